use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use services_keystone::{Method, Request, Service};
use services_openstack::CloudErrorKind as Kind;
use services_openstack::ports::{
    NewVolume, NewVolumeSnapshot, Volume, VolumeSnapshot, VolumeSource,
};
use services_types::{VolumeId, VolumeSnapshotId};

use crate::cleanup::Made;
use crate::site::{Check, unique, wait_until};

pub(crate) fn pair(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

pub(crate) fn small_volume(name: String, metadata: BTreeMap<String, String>) -> NewVolume {
    NewVolume {
        name,
        description: "made by the conformance suite".to_owned(),
        size_gib: 1,
        volume_type: None,
        availability_zone: None,
        metadata,
        source: VolumeSource::Empty,
    }
}

pub(crate) async fn volume_made(on: &Check, new: &NewVolume) -> Volume {
    let id = on.cloud.block_storage().volume_create(new).await.unwrap();
    on.cleanup.add(Made::Volume(id.clone()));
    volume_in_state(on, &id, "available").await
}

pub(crate) async fn volume_in_state(on: &Check, id: &VolumeId, status: &str) -> Volume {
    let ask = || on.cloud.block_storage().volume_fetch(id);
    wait_until(
        status,
        ask,
        |v| matches!(v, Ok(v) if v.status == status || v.status == "error"),
    )
    .await
    .unwrap()
}

pub(crate) async fn snapshot_made(on: &Check, new: &NewVolumeSnapshot) -> VolumeSnapshot {
    let storage = on.cloud.block_storage();
    let id = storage.snapshot_create(new).await.unwrap();
    on.cleanup.add(Made::Snapshot(id.clone()));
    let is_made = |s: &Result<VolumeSnapshot, _>| matches!(s, Ok(s) if s.status != "creating");
    wait_until("snapshot", || storage.snapshot_fetch(&id), is_made)
        .await
        .unwrap()
}

pub(crate) async fn a_volume_is_made_marked_found_and_deleted(on: Arc<Check>) {
    let storage = on.cloud.block_storage();
    let (name, flow) = (unique("volume"), unique("flow"));
    let volume = volume_made(
        &on,
        &small_volume(name.clone(), pair("backstay_flow", &flow)),
    )
    .await;
    assert_eq!(
        (
            volume.name.as_str(),
            volume.status.as_str(),
            volume.size_gib
        ),
        (name.as_str(), "available", 1)
    );
    assert_eq!(volume.description, "made by the conformance suite");
    assert_eq!(volume.metadata, pair("backstay_flow", &flow));
    assert!(!volume.is_bootable && !volume.is_multiattach && !volume.is_encrypted);
    assert!(volume.volume_type.is_some() && volume.availability_zone.is_some());

    storage.volume_set_bootable(&volume.id, true).await.unwrap();
    storage
        .volume_set_image_metadata(&volume.id, &pair("hw_qemu_guest_agent", "yes"))
        .await
        .unwrap();
    storage
        .volume_set_image_metadata(&volume.id, &pair("os_type", "linux"))
        .await
        .unwrap();
    let volume = storage.volume_fetch(&volume.id).await.unwrap();
    assert!(volume.is_bootable);
    let mut properties = pair("hw_qemu_guest_agent", "yes");
    properties.extend(pair("os_type", "linux"));
    assert_eq!(volume.image_metadata, properties);

    let found = storage
        .volumes_with_metadata("backstay_flow", &flow)
        .await
        .unwrap();
    assert_eq!(
        found.iter().map(|v| &v.id).collect::<Vec<_>>(),
        [&volume.id]
    );
    assert!(
        storage
            .volumes_with_metadata("backstay_flow", "it's none")
            .await
            .unwrap()
            .is_empty()
    );

    storage
        .volume_metadata_remove(&volume.id, "backstay_flow")
        .await
        .unwrap();
    storage
        .volume_metadata_remove(&volume.id, "backstay_flow")
        .await
        .unwrap();
    assert!(
        storage
            .volumes_with_metadata("backstay_flow", &flow)
            .await
            .unwrap()
            .is_empty()
    );

    storage.volume_delete(&volume.id).await.unwrap();
    let gone = wait_until(
        "deleted",
        || storage.volume_fetch(&volume.id),
        Result::is_err,
    )
    .await
    .unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
    assert_eq!(
        storage.volume_delete(&volume.id).await.unwrap_err().kind(),
        Kind::NotFound
    );
    let refused = storage
        .volume_metadata_remove(&volume.id, "backstay_flow")
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
}

pub(crate) async fn a_snapshot_keeps_its_metadata(on: Arc<Check>) {
    let storage = on.cloud.block_storage();
    let volume = volume_made(&on, &small_volume(unique("snapped"), BTreeMap::new())).await;
    let (name, flow) = (unique("snapshot"), unique("flow"));
    let new = NewVolumeSnapshot {
        volume_id: volume.id.clone(),
        name: name.clone(),
        description: "made by the conformance suite".to_owned(),
        metadata: pair("backstay_flow", &flow),
    };
    let snapshot = snapshot_made(&on, &new).await;
    assert_eq!(snapshot.status, "available");
    assert_eq!((snapshot.name, snapshot.size_gib), (name, 1));
    assert_eq!(
        (snapshot.volume_id, snapshot.metadata),
        (volume.id.clone(), new.metadata)
    );

    let found = storage
        .snapshots_with_metadata("backstay_flow", &flow)
        .await
        .unwrap();
    assert_eq!(
        found.iter().map(|s| &s.id).collect::<Vec<_>>(),
        [&snapshot.id]
    );

    let refused = storage.volume_delete(&volume.id).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict, "{refused}");

    storage.snapshot_delete(&snapshot.id).await.unwrap();
    let gone = wait_until(
        "deleted",
        || storage.snapshot_fetch(&snapshot.id),
        Result::is_err,
    )
    .await
    .unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
    let unknown: VolumeSnapshotId = uuid::Uuid::new_v4().to_string().parse().unwrap();
    assert_eq!(
        storage.snapshot_delete(&unknown).await.unwrap_err().kind(),
        Kind::NotFound
    );
}

pub(crate) async fn a_volume_is_reserved_by_an_attachment(on: Arc<Check>) {
    let storage = on.cloud.block_storage();
    let volume = volume_made(&on, &small_volume(unique("filled"), BTreeMap::new())).await;
    let connector = json!({ "host": "backstay-conformance", "ip": "127.0.0.1", "initiator": "", "multipath": false });
    let made = storage
        .attachment_create(&volume.id, &connector)
        .await
        .unwrap();
    on.cleanup.add(Made::Attachment(made.id.clone()));
    assert_eq!(
        (&made.volume_id, made.status.as_str()),
        (&volume.id, "attached")
    );

    let fetched = storage.attachment_fetch(&made.id).await.unwrap();
    assert_eq!(fetched.connection_info, made.connection_info);
    assert!(
        fetched.connection_info["driver_volume_type"].is_string(),
        "{}",
        fetched.connection_info
    );
    if on.site.has_rbd {
        let name = fetched.connection_info["name"].as_str().unwrap();
        assert!(name.ends_with(&format!("/volume-{}", volume.id)), "{name}");
    }

    let taken = volume_in_state(&on, &volume.id, "in-use").await;
    assert_eq!(taken.attachments, [(made.id.clone(), None)]);
    assert_eq!(
        storage.volume_delete(&volume.id).await.unwrap_err().kind(),
        Kind::Conflict
    );
    let refused = storage
        .attachment_create(&volume.id, &connector)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict, "{refused}");

    storage.attachment_delete(&made.id).await.unwrap();
    let free = volume_in_state(&on, &volume.id, "available").await;
    assert!(free.attachments.is_empty());
    assert_eq!(
        storage.attachment_fetch(&made.id).await.unwrap_err().kind(),
        Kind::NotFound
    );
}

pub(crate) async fn volumes_of_others_are_not_there(on: Arc<Check>) {
    let flow = unique("flow");
    let volume = volume_made(
        &on,
        &small_volume(unique("mine"), pair("backstay_flow", &flow)),
    )
    .await;
    let stranger = on.stranger_cloud().await;
    let refused = stranger
        .block_storage()
        .volume_fetch(&volume.id)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
    assert!(
        stranger
            .block_storage()
            .volumes_with_metadata("backstay_flow", &flow)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn more_than_the_quota_is_refused_as_such(on: Arc<Check>) {
    let project = on.project_id().await;
    let quotas = Request::new(
        Method::GET,
        Service::BlockStorage,
        &["os-quota-sets", project.as_str()],
    );
    let answer = on.raw(&on.tenant, quotas).await;
    let gigabytes = answer["quota_set"]["gigabytes"].as_u64().unwrap();
    let new = NewVolume {
        size_gib: gigabytes + 1,
        ..small_volume(unique("huge"), BTreeMap::new())
    };
    let refused = on
        .cloud
        .block_storage()
        .volume_create(&new)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::OverQuota, "{refused}");
}

pub(crate) async fn a_volume_is_made_of_a_snapshot_or_an_image(on: Arc<Check>) {
    let original = volume_made(&on, &small_volume(unique("original"), BTreeMap::new())).await;
    let snapshot = NewVolumeSnapshot {
        volume_id: original.id.clone(),
        name: unique("snapshot"),
        description: String::new(),
        metadata: BTreeMap::new(),
    };
    let snapshot = snapshot_made(&on, &snapshot).await;
    let flow = unique("flow");
    let copy = NewVolume {
        source: VolumeSource::Snapshot(snapshot.id.clone()),
        ..small_volume(unique("copy"), pair("backstay_flow", &flow))
    };
    let copy = volume_made(&on, &copy).await;
    assert_eq!(copy.status, "available");
    assert_eq!(copy.volume_type, original.volume_type);
    assert_eq!(copy.metadata, pair("backstay_flow", &flow));
    assert!(!copy.is_bootable);

    let image_id = on.id_of(Service::Image, "images", &on.site.image).await;
    let of_image = NewVolume {
        source: VolumeSource::Image(image_id.parse().unwrap()),
        ..small_volume(unique("of-image"), BTreeMap::new())
    };
    let of_image = volume_made(&on, &of_image).await;
    assert_eq!(of_image.status, "available");
    assert!(of_image.is_bootable);
    assert_eq!(of_image.image_metadata["image_id"], image_id);
    assert_eq!(of_image.image_metadata["hw_qemu_guest_agent"], "yes");
    // The copy hangs on its snapshot where storage clones: it goes first.
    on.cleanup.add(Made::Volume(copy.id));
}

pub(crate) async fn a_volume_for_several_is_reserved_while_in_use(on: Arc<Check>) {
    let storage = on.cloud.block_storage();
    let new = NewVolume {
        volume_type: Some(on.site.multiattach_type.clone()),
        ..small_volume(unique("shared"), BTreeMap::new())
    };
    let volume = volume_made(&on, &new).await;
    assert!(volume.is_multiattach);
    let mut made = Vec::new();
    for host in ["conformance-a", "conformance-b"] {
        let connector = json!({ "host": host, "ip": "127.0.0.1", "multipath": false });
        let attachment = storage.attachment_create(&volume.id, &connector);
        let attachment = attachment.await.unwrap();
        on.cleanup.add(Made::Attachment(attachment.id.clone()));
        made.push(attachment.id);
    }
    assert_eq!(
        volume_in_state(&on, &volume.id, "in-use")
            .await
            .attachments
            .len(),
        2
    );
    storage.attachment_delete(&made[0]).await.unwrap();
    let left = volume_in_state(&on, &volume.id, "in-use").await;
    assert_eq!(left.attachments, [(made[1].clone(), None)]);
    storage.attachment_delete(&made[1]).await.unwrap();
    volume_in_state(&on, &volume.id, "available").await;
}
