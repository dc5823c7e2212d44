use std::sync::Arc;

use services_keystone::Service;
use services_openstack::CloudErrorKind as Kind;

use crate::site::Check;

pub(crate) async fn an_image_has_a_name(on: Arc<Check>) {
    let id = on.id_of(Service::Image, "images", &on.site.image).await;
    let name = on
        .cloud
        .images()
        .image_name(&id.parse().unwrap())
        .await
        .unwrap();
    assert_eq!(name, on.site.image);

    let unknown = uuid::Uuid::new_v4().to_string().parse().unwrap();
    let refused = on.cloud.images().image_name(&unknown).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
}
