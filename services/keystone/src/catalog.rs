//! Which service listens where, for one token.

use url::Url;

use crate::request::Service;
use crate::settings::Interface;
use crate::token::CatalogService;

pub(crate) struct Catalog {
    services: Vec<CatalogService>,
}

impl Catalog {
    pub(crate) fn new(services: Vec<CatalogService>) -> Self {
        Self { services }
    }

    /// The root of a service's API, its version included.
    pub(crate) fn endpoint(
        &self,
        service: Service,
        interface: Interface,
        region: Option<&str>,
    ) -> Option<Url> {
        let endpoint = service
            .catalog_types()
            .iter()
            .flat_map(|wanted| {
                self.services
                    .iter()
                    .filter(move |s| s.service_type == *wanted)
            })
            .flat_map(|found| &found.endpoints)
            .find(|e| {
                e.interface == interface.as_str()
                    && region.is_none_or(|wanted| e.region_id.as_deref() == Some(wanted))
            })?;
        let mut url = Url::parse(&endpoint.url).ok()?;
        with_version(&mut url, service.version());
        Some(url)
    }
}

/// Some clouds register a service with the version in its URL, some without.
fn with_version(url: &mut Url, version: Option<&str>) {
    let path = url.path().trim_end_matches('/').to_owned();
    let has_version = path.split('/').any(|segment| {
        let mut chars = segment.chars();
        chars.next() == Some('v') && chars.next().is_some_and(|c| c.is_ascii_digit())
    });
    match version {
        Some(version) if !has_version => url.set_path(&format!("{path}/{version}")),
        _ => url.set_path(&path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::CatalogEndpoint;

    fn catalog(service_type: &str, entries: &[(&str, &str, &str)]) -> Catalog {
        Catalog::new(vec![CatalogService {
            service_type: service_type.to_owned(),
            endpoints: entries
                .iter()
                .map(|(interface, region, url)| CatalogEndpoint {
                    interface: (*interface).to_owned(),
                    region_id: Some((*region).to_owned()),
                    url: (*url).to_owned(),
                })
                .collect(),
        }])
    }

    #[test]
    fn region_and_interface_both_decide() {
        let catalog = catalog(
            "compute",
            &[
                ("public", "one", "http://one.public/v2.1"),
                ("internal", "two", "http://two.internal/v2.1/"),
                ("public", "two", "http://two.public/v2.1/abc"),
            ],
        );
        let found = |interface, region| {
            catalog
                .endpoint(Service::Compute, interface, region)
                .map(String::from)
        };
        assert_eq!(
            found(Interface::Public, Some("two")).unwrap(),
            "http://two.public/v2.1/abc"
        );
        assert_eq!(
            found(Interface::Internal, None).unwrap(),
            "http://two.internal/v2.1"
        );
        assert_eq!(found(Interface::Admin, Some("two")), None);
        assert_eq!(found(Interface::Public, Some("three")), None);
    }

    #[test]
    fn a_version_is_added_only_where_the_url_has_none() {
        for (url, expected) in [
            ("http://n:9696", "http://n:9696/v2.0"),
            ("http://n:9696/", "http://n:9696/v2.0"),
            ("http://n/network", "http://n/network/v2.0"),
            ("http://n/network/v2.0/", "http://n/network/v2.0"),
        ] {
            let catalog = catalog("network", &[("public", "r", url)]);
            let found = catalog.endpoint(Service::Network, Interface::Public, None);
            assert_eq!(found.map(String::from).unwrap(), expected);
        }
    }

    #[test]
    fn cinder_is_found_under_its_old_name_too() {
        let catalog = catalog("volumev3", &[("public", "r", "http://c/v3/p")]);
        assert!(
            catalog
                .endpoint(Service::BlockStorage, Interface::Public, Some("r"))
                .is_some()
        );
    }
}
