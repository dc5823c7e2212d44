//! Where the API is, out of the catalog that came with the token.

use url::Url;

use super::error::LoginError;
use super::keystone::{Endpoint, Service};

/// Types or names under which such a service is registered, best first; compared without case.
const KNOWN_AS: [&str; 6] = [
    "workloads",
    "workloadmgr",
    "triliovault",
    "triliovaultwlm",
    "wlm",
    "backup",
];

/// The URL that all paths are relative to.
pub(crate) fn find(
    catalog: &[Service],
    interface: &str,
    region: Option<&str>,
) -> Result<Url, LoginError> {
    let service = service(catalog).ok_or_else(|| LoginError::NoService {
        looked_for: KNOWN_AS.join(", "),
    })?;
    let endpoint = service
        .endpoints
        .iter()
        .find(|endpoint| fits(endpoint, interface, region))
        .ok_or_else(|| no_endpoint(service, interface, region))?;
    let url = Url::parse(&endpoint.url)
        .ok()
        .filter(|url| !url.cannot_be_a_base());
    url.ok_or_else(|| LoginError::BadEndpoint(endpoint.url.clone()))
}

fn service(catalog: &[Service]) -> Option<&Service> {
    KNOWN_AS.iter().find_map(|known| {
        let by_type = catalog
            .iter()
            .find(|service| service.service_type.eq_ignore_ascii_case(known));
        by_type.or_else(|| {
            catalog
                .iter()
                .find(|service| service.name.eq_ignore_ascii_case(known))
        })
    })
}

fn fits(endpoint: &Endpoint, interface: &str, region: Option<&str>) -> bool {
    endpoint.interface == interface
        && region.is_none_or(|region| endpoint.region.as_deref() == Some(region))
}

fn no_endpoint(service: &Service, interface: &str, region: Option<&str>) -> LoginError {
    let known: Vec<String> = service
        .endpoints
        .iter()
        .map(|endpoint| {
            format!(
                "{} in {}",
                endpoint.interface,
                endpoint.region.as_deref().unwrap_or("no region")
            )
        })
        .collect();
    LoginError::NoEndpoint {
        service: service.service_type.clone(),
        wanted: match region {
            Some(region) => format!("{interface} (region {region})"),
            None => interface.to_owned(),
        },
        known: if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(interface: &str, region: &str, url: &str) -> Endpoint {
        Endpoint {
            interface: interface.to_owned(),
            region: Some(region.to_owned()),
            url: url.to_owned(),
        }
    }

    fn named(service_type: &str, name: &str, endpoints: Vec<Endpoint>) -> Service {
        Service {
            service_type: service_type.into(),
            name: name.into(),
            endpoints,
        }
    }

    #[test]
    fn the_type_workloads_wins_over_other_names() {
        let catalog = [
            named(
                "backup",
                "freezer",
                vec![endpoint("public", "R", "http://other/")],
            ),
            named(
                "workloads",
                "backstay",
                vec![endpoint("public", "R", "http://ours/v1/p")],
            ),
        ];
        assert_eq!(
            find(&catalog, "public", None).unwrap().as_str(),
            "http://ours/v1/p"
        );
    }

    #[test]
    fn a_service_is_found_by_its_name_without_regard_to_case() {
        let catalog = [named(
            "x",
            "TrilioVaultWLM",
            vec![endpoint("public", "R", "http://a/")],
        )];
        assert_eq!(
            find(&catalog, "public", Some("R")).unwrap().as_str(),
            "http://a/"
        );
    }

    #[test]
    fn region_and_interface_are_honoured() {
        let catalog = [named(
            "workloads",
            "backstay",
            vec![
                endpoint("public", "One", "http://one/"),
                endpoint("internal", "Two", "http://two-internal/"),
                endpoint("public", "Two", "http://two/"),
            ],
        )];
        assert_eq!(
            find(&catalog, "public", Some("Two")).unwrap().as_str(),
            "http://two/"
        );
        assert_eq!(
            find(&catalog, "internal", None).unwrap().as_str(),
            "http://two-internal/"
        );
        let error = find(&catalog, "admin", Some("One"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no admin (region One) endpoint"), "{error}");
        assert!(error.contains("public in One, internal in Two"), "{error}");
    }

    #[test]
    fn an_empty_catalog_says_what_was_looked_for() {
        let error = find(&[], "public", None).unwrap_err().to_string();
        assert!(
            error.contains("is Backstay registered in this cloud?"),
            "{error}"
        );
    }
}
