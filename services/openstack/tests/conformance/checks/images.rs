use std::sync::Arc;

use services_keystone::Service;
use services_openstack::CloudErrorKind as Kind;

use crate::site::Check;

pub(crate) async fn an_image_has_a_name_and_properties(on: Arc<Check>) {
    let id = on.id_of(Service::Image, "images", &on.site.image).await;
    let images = on.cloud.images();
    let image = images.image_fetch(&id.parse().unwrap()).await.unwrap();
    assert_eq!(image.name, on.site.image);
    assert_eq!(image.properties["hw_qemu_guest_agent"], "yes");
    let no_properties = [
        "id",
        "status",
        "visibility",
        "min_disk",
        "owner",
        "checksum",
    ];
    assert!(
        no_properties
            .iter()
            .all(|key| !image.properties.contains_key(*key)),
        "{:?}",
        image.properties
    );

    let unknown = uuid::Uuid::new_v4().to_string().parse().unwrap();
    let refused = images.image_fetch(&unknown).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
}
