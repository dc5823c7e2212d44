use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use services_keystone::{Method, Request, Service};
use services_openstack::CloudErrorKind as Kind;
use services_openstack::ports::{NewServer, NewServerDisk, NewVolumeSnapshot, Server};
use services_types::FlavorRecord;

use super::block_storage::{pair, small_volume, snapshot_made, volume_in_state, volume_made};
use super::network::port_made;
use crate::cleanup::Made;
use crate::site::{Check, unique, wait_until};

async fn server_made(on: &Check, new: &NewServer) -> Server {
    let id = on.cloud.compute().server_create(new).await.unwrap();
    on.cleanup.add(Made::Server(id.clone()));
    let ask = || on.cloud.compute().server_fetch(&id);
    wait_until("built", ask, |s| matches!(s, Ok(s) if s.status != "BUILD"))
        .await
        .unwrap()
}

pub(crate) async fn a_server_is_made_and_deleted(on: Arc<Check>) {
    let (compute, storage) = (on.cloud.compute(), on.cloud.block_storage());
    let boot = volume_made(&on, &small_volume(unique("boot"), BTreeMap::new())).await;
    let data = volume_made(&on, &small_volume(unique("data"), BTreeMap::new())).await;
    storage.volume_set_bootable(&boot.id, true).await.unwrap();
    let port = port_made(&on, |_| {}).await;
    let flavor_id = on
        .id_of(Service::Compute, "flavors/detail", &on.site.flavor)
        .await
        .parse()
        .unwrap();
    let (name, flow) = (unique("server"), unique("flow"));
    let disk = |volume_id: &services_types::VolumeId, device: &str, boot_index| NewServerDisk {
        volume_id: volume_id.clone(),
        device: device.to_owned(),
        boot_index,
        is_deleted_on_termination: false,
    };
    let new = NewServer {
        name: name.clone(),
        flavor_id,
        port_ids: vec![port.id.clone()],
        disks: vec![disk(&boot.id, "vda", 0), disk(&data.id, "vdb", -1)],
        key_name: None,
        metadata: pair("backstay_flow", &flow),
        availability_zone: None,
        user_data: Some("IyEvYmluL3NoCg==".to_owned()),
        has_config_drive: on.site.has_config_drives,
    };
    let server = server_made(&on, &new).await;
    assert_eq!(
        (server.status.as_str(), server.fault.as_deref()),
        ("ACTIVE", None)
    );
    assert_eq!((&server.name, &server.metadata), (&name, &new.metadata));
    assert_eq!(server.project_id, on.project_id().await);
    assert_eq!(server.flavor.name, on.site.flavor);
    assert!(server.flavor.id.is_none() && server.flavor.vcpus > 0 && server.flavor.ram_mib > 0);
    assert_eq!(server.has_config_drive, new.has_config_drive);
    assert!(server.image_id.is_none() && server.availability_zone.is_some());
    assert_eq!(
        (server.host.as_ref(), server.instance_name.as_ref()),
        (None, None)
    );

    let seen = on
        .service_cloud()
        .await
        .compute()
        .server_fetch(&server.id)
        .await
        .unwrap();
    assert!(seen.host.is_some() && seen.instance_name.is_some());
    assert_eq!(seen.user_data, new.user_data);

    let found = compute
        .servers_with_metadata("backstay_flow", &flow)
        .await
        .unwrap();
    assert_eq!(
        found.iter().map(|s| &s.id).collect::<Vec<_>>(),
        [&server.id]
    );
    compute
        .server_metadata_set(&server.id, &pair("workload_id", "w"))
        .await
        .unwrap();
    compute
        .server_metadata_remove(&server.id, "backstay_flow")
        .await
        .unwrap();
    compute
        .server_metadata_remove(&server.id, "backstay_flow")
        .await
        .unwrap();
    assert_eq!(
        compute.server_fetch(&server.id).await.unwrap().metadata,
        pair("workload_id", "w")
    );

    let ports = on
        .cloud
        .network()
        .ports_of_server(&server.id)
        .await
        .unwrap();
    assert_eq!(ports.iter().map(|p| &p.id).collect::<Vec<_>>(), [&port.id]);
    assert_eq!(ports[0].device_id, server.id.as_str());

    volumes_are_attached(&on, &server, &boot, &data).await;
    a_volume_in_use_can_be_snapped(&on, &data).await;

    compute.server_delete(&server.id).await.unwrap();
    let gone = wait_until(
        "deleted",
        || compute.server_fetch(&server.id),
        Result::is_err,
    )
    .await
    .unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
    assert_eq!(
        compute.server_delete(&server.id).await.unwrap_err().kind(),
        Kind::NotFound
    );
    assert_eq!(
        compute
            .server_metadata_remove(&server.id, "x")
            .await
            .unwrap_err()
            .kind(),
        Kind::NotFound
    );
    assert_eq!(
        volume_in_state(&on, &data.id, "available").await.status,
        "available"
    );
}

async fn volumes_are_attached(
    on: &Check,
    server: &Server,
    boot: &services_openstack::ports::Volume,
    data: &services_openstack::ports::Volume,
) {
    let storage = on.cloud.block_storage();
    let attached = on
        .cloud
        .compute()
        .volume_attachments(&server.id)
        .await
        .unwrap();
    let devices: Vec<_> = attached
        .iter()
        .map(|a| (a.device.as_str(), &a.volume_id))
        .collect();
    assert_eq!(devices, [("/dev/vda", &boot.id), ("/dev/vdb", &data.id)]);
    assert!(attached.iter().all(|a| !a.is_deleted_on_termination));

    let in_use = storage.volume_fetch(&data.id).await.unwrap();
    assert_eq!(in_use.status, "in-use");
    assert_eq!(
        in_use.attachments,
        [(attached[1].attachment_id.clone(), Some(server.id.clone()))]
    );
    let attachment = storage
        .attachment_fetch(&attached[1].attachment_id)
        .await
        .unwrap();
    assert_eq!(
        (&attachment.volume_id, attachment.status.as_str()),
        (&data.id, "attached")
    );
    if on.site.has_rbd {
        let name = attachment.connection_info["name"].as_str().unwrap();
        assert!(name.ends_with(&format!("/volume-{}", data.id)), "{name}");
    }
}

async fn a_volume_in_use_can_be_snapped(on: &Check, volume: &services_openstack::ports::Volume) {
    let storage = on.cloud.block_storage();
    let new = NewVolumeSnapshot {
        volume_id: volume.id.clone(),
        name: unique("in-use"),
        description: String::new(),
        metadata: BTreeMap::new(),
    };
    let snapshot = snapshot_made(on, &new).await;
    assert_eq!(snapshot.status, "available");
    storage.snapshot_delete(&snapshot.id).await.unwrap();
    let gone = wait_until(
        "deleted",
        || storage.snapshot_fetch(&snapshot.id),
        Result::is_err,
    )
    .await;
    assert_eq!(gone.unwrap_err().kind(), Kind::NotFound);
}

pub(crate) async fn a_flavor_is_seen_by_its_project_alone(on: Arc<Check>) {
    let service = on.service_cloud().await;
    let wanted = FlavorRecord {
        id: None,
        name: unique("flavor"),
        vcpus: 2,
        ram_mib: 192,
        disk_gib: 3,
        ephemeral_gib: 1,
        swap_mib: 64,
        extra_specs: pair("hw:watchdog_action", "reset"),
    };
    let project = on.project_id().await;
    let id = service.compute().flavor_create(&wanted, &project).await;
    let id = id.unwrap();
    let another = FlavorRecord {
        name: unique("flavor"),
        ..wanted.clone()
    };
    let other = service.compute().flavor_create(&another, &project).await;
    let other = other.unwrap();
    assert_ne!(id, other);
    service.compute().flavor_delete(&other).await.unwrap();
    let seen = on.cloud.compute().flavors().await.unwrap();
    let strangers = on.stranger_cloud().await.compute().flavors().await.unwrap();
    service.compute().flavor_delete(&id).await.unwrap();

    let expected = FlavorRecord {
        id: Some(id.clone()),
        ..wanted
    };
    assert_eq!(
        seen.into_iter().find(|f| f.id.as_ref() == Some(&id)),
        Some(expected)
    );
    assert!(strangers.iter().all(|f| f.id.as_ref() != Some(&id)));
    assert_eq!(
        service
            .compute()
            .flavor_delete(&id)
            .await
            .unwrap_err()
            .kind(),
        Kind::NotFound
    );
    let known = on.cloud.compute().flavors().await.unwrap();
    let refused = on
        .cloud
        .compute()
        .flavor_create(&known[0], &project)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
}

pub(crate) async fn a_key_pair_is_found_by_name(on: Arc<Check>) {
    let name = unique("key pair");
    assert!(!on.cloud.compute().has_key_pair(&name).await.unwrap());
    let body = json!({ "keypair": { "name": name, "type": "ssh", "public_key": PUBLIC_KEY } });
    let request = Request::new(Method::POST, Service::Compute, &["os-keypairs"])
        .body(body)
        .microversion("2.90");
    on.raw(&on.tenant, request).await;
    let is_found = on.cloud.compute().has_key_pair(&name).await;
    let is_found_by_others = on
        .stranger_cloud()
        .await
        .compute()
        .has_key_pair(&name)
        .await;
    on.raw(
        &on.tenant,
        Request::new(Method::DELETE, Service::Compute, &["os-keypairs", &name]),
    )
    .await;
    assert!(is_found.unwrap());
    assert!(!is_found_by_others.unwrap());
}

const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2Kp0gV0lD9V3GmC0JxT3fWq0q8Qp1f3m0i1s8m6n2k conformance";

/// Backstay makes none, but protects them.
pub(crate) async fn a_server_made_of_an_image_says_so(on: Arc<Check>) {
    let image_id = on.id_of(Service::Image, "images", &on.site.image).await;
    let flavor_id = on
        .id_of(Service::Compute, "flavors/detail", &on.site.flavor)
        .await;
    let body = json!({ "server": {
        "name": unique("of-image"), "imageRef": image_id, "flavorRef": flavor_id, "networks": "none",
    } });
    let request = Request::new(Method::POST, Service::Compute, &["servers"])
        .body(body)
        .microversion("2.90");
    let made = on.raw(&on.tenant, request).await;
    let id: services_types::ServerId = made["server"]["id"].as_str().unwrap().parse().unwrap();
    on.cleanup.add(Made::Server(id.clone()));
    let compute = on.cloud.compute();
    let is_built = |s: &Result<Server, _>| matches!(s, Ok(s) if s.status != "BUILD");
    let server = wait_until("built", || compute.server_fetch(&id), is_built)
        .await
        .unwrap();
    assert_eq!(server.status, "ACTIVE");
    assert_eq!(server.image_id.unwrap().as_str(), image_id);
    assert!(server.flavor.disk_gib > 0);
    assert_eq!(compute.volume_attachments(&id).await.unwrap(), []);
}
