//! The fake cloud, one for each check.

use std::sync::Arc;

use services_openstack::fake::{Account, FakeCloud};

use crate::site::Site;

pub(crate) fn site() -> Site {
    let cloud = FakeCloud::start().unwrap();
    // One entry a page: every list of two is a paged one.
    cloud.set_page_size(1);
    Site {
        service: cloud.settings(Account::Service).unwrap(),
        tenant: cloud.settings(Account::Tenant).unwrap(),
        stranger: cloud.settings(Account::Stranger).unwrap(),
        network: "private".to_owned(),
        external_network: "external".to_owned(),
        image: "fake-image".to_owned(),
        flavor: "fake.tiny".to_owned(),
        multiattach_type: "fake-multi".to_owned(),
        has_config_drives: true,
        has_rbd: false,
        keeper: Some(Arc::new(cloud)),
    }
}
