//! Snapshots: shapes, and one at a time.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use services_types::{
    DiskId, DiskKeeper, DiskRecord, FixedIp, FlavorRecord, ImageRecord, NetworkRecord, NicRecord,
    NovaDiskRecord, NovaDiskRole, SecurityGroupRecord, ServerId, ServerRecord, SubnetRecord,
    Topology, VolumeRecord,
};

use crate::engine;
use crate::site::{Site, User};

fn topology(server: &ServerId) -> Topology {
    let volume = VolumeRecord {
        id: "vol-1".parse().unwrap(),
        name: "boot".to_owned(),
        description: String::new(),
        size_gib: 2,
        volume_type: Some("ceph".to_owned()),
        availability_zone: Some("nova".to_owned()),
        is_bootable: true,
        is_multiattach: false,
        is_encrypted: false,
        metadata: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        image_metadata: BTreeMap::from([
            ("image_id".to_owned(), "img-1".to_owned()),
            ("image_name".to_owned(), "debian".to_owned()),
        ]),
        attachment_id: "att-1".parse().unwrap(),
    };
    let nic = NicRecord {
        port_id: "port-1".parse().unwrap(),
        name: String::new(),
        network_id: "net-1".parse().unwrap(),
        mac_address: "fa:16:3e:00:00:02".to_owned(),
        fixed_ips: vec![FixedIp {
            subnet_id: "sub-1".parse().unwrap(),
            ip_address: "10.0.0.5".to_owned(),
        }],
        security_group_ids: vec!["sg-1".parse().unwrap()],
        is_port_security_enabled: true,
        allowed_address_pairs: Vec::new(),
        vnic_type: "normal".to_owned(),
        floating_ip: None,
    };
    let flavor = FlavorRecord {
        id: None,
        name: "m1.small".to_owned(),
        vcpus: 1,
        ram_mib: 512,
        disk_gib: 0,
        ephemeral_gib: 0,
        swap_mib: 0,
        extra_specs: BTreeMap::new(),
    };
    Topology {
        servers: vec![ServerRecord {
            id: server.clone(),
            name: "web".to_owned(),
            status: "ACTIVE".to_owned(),
            availability_zone: Some("nova".to_owned()),
            host: "compute-1".to_owned(),
            instance_name: "instance-00000001".to_owned(),
            metadata: BTreeMap::from([("role".to_owned(), "front".to_owned())]),
            key_name: Some("ann".to_owned()),
            has_config_drive: true,
            user_data: None,
            image: None,
            flavor,
            nics: vec![nic],
            disks: vec![DiskRecord {
                device: "vda".to_owned(),
                is_boot: true,
                is_deleted_on_termination: false,
                is_excluded: false,
                keeper: DiskKeeper::Volume(volume),
            }],
        }],
        networks: vec![NetworkRecord {
            id: "net-1".parse().unwrap(),
            name: "private".to_owned(),
            description: String::new(),
            is_admin_state_up: true,
            is_shared: false,
            is_external: false,
            mtu: None,
        }],
        subnets: vec![SubnetRecord {
            id: "sub-1".parse().unwrap(),
            name: "private-v4".to_owned(),
            network_id: "net-1".parse().unwrap(),
            cidr: "10.0.0.0/24".to_owned(),
            ip_version: 4,
            gateway_ip: Some("10.0.0.1".to_owned()),
            is_dhcp_enabled: true,
            dns_nameservers: Vec::new(),
            allocation_pools: Vec::new(),
            host_routes: Vec::new(),
        }],
        routers: Vec::new(),
        security_groups: vec![SecurityGroupRecord {
            id: "sg-1".parse().unwrap(),
            name: "web-only".to_owned(),
            description: String::new(),
            is_stateful: true,
            rules: Vec::new(),
        }],
    }
}

async fn take(tenant: &User<'_>, workload: &str, query: &str, body: Value) -> Value {
    let below = format!("workloads/{workload}{query}");
    tenant.post(&below, body).await.ok(202)["snapshot"].clone()
}

#[tokio::test]
async fn a_snapshot_goes_from_creating_to_available_in_the_contracts_shape() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let workload = tenant.workload("daily", &[&server]).await;
    let body = json!({"snapshot": {"name": "first", "description": "d", "full": "True"}});
    let made = take(&tenant, &workload, "", body).await;
    assert_eq!(made["status"], "creating");
    assert_eq!(
        made["snapshot_type"], "incremental",
        "the body does not decide"
    );
    assert_eq!(
        (&made["name"], &made["description"]),
        (&json!("first"), &json!("d"))
    );
    assert_eq!(made["workload_id"], json!(workload));
    assert_eq!(made["user_id"], json!(tenant.user_id));
    let below = format!("snapshots/{}", made["id"].as_str().unwrap());
    assert_eq!(
        tenant.get(&below).await.ok(200)["snapshot"]["instances"],
        json!([])
    );

    let servers = [(&server, "web")];
    let claim = engine::begin_snapshot(&site.datastore, &servers, &topology(&server)).await;
    assert_eq!(
        tenant.get(&below).await.ok(200)["snapshot"]["status"],
        "uploading"
    );
    engine::finish_snapshot(&site.datastore, &claim).await;
    let shown = tenant.get(&below).await.ok(200)["snapshot"].clone();
    for (key, value) in [
        ("status", json!("available")),
        ("snapshot_type", json!("full")),
        ("host", json!("node-1")),
        ("size", json!(1000)),
        ("uploaded_size", json!(2000)),
        ("restore_size", json!(3000)),
        ("progress_percent", json!(100)),
        ("progress_msg", json!("Upload is complete")),
        ("warning_msg", json!("The guest agent did not answer")),
        ("error_msg", Value::Null),
        ("pinned", json!(false)),
        ("metadata", json!([])),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    for key in [
        "finished_at",
        "time_taken",
        "updated_at",
        "links",
        "restores_info",
    ] {
        assert!(shown.get(key).is_some(), "{key}");
    }
    assert_eq!(
        shown["instances"],
        json!([instance(&server, shown["id"].as_str().unwrap())])
    );
}

fn instance(server: &ServerId, snapshot: &str) -> Value {
    json!({
        "id": server.as_str(), "name": "web", "status": "available",
        "metadata": {"availability_zone": "nova", "key_name": "ann", "config_drive": "True",
                     "vm_metadata": "{\"role\":\"front\"}"},
        "flavor": {"name": "m1.small", "vcpus": 1, "ram": 512, "disk": 0, "ephemeral": 0, "swap": 0},
        "security_group": [{"id": "sg-1", "name": "web-only", "security_group_type": "neutron"}],
        "nics": [{"mac_address": "fa:16:3e:00:00:02", "ip_address": "10.0.0.5",
                  "network": {"id": "net-1", "name": "private",
                              "subnet": {"id": "sub-1", "name": "private-v4", "cidr": "10.0.0.0/24",
                                         "ip_version": 4, "gateway_ip": "10.0.0.1"}}}],
        "vdisks": [{"vm_id": server.as_str(), "snapshot_id": snapshot, "volume_id": "vol-1",
                    "volume_name": "boot", "volume_size": 2, "volume_type": "ceph",
                    "availability_zone": "nova", "volume_mountpoint": "/dev/vda",
                    "metadata": {"k": "v"}, "restore_size": 2_147_483_648_u64, "label": null,
                    "media": "disk", "image_id": "img-1", "image_name": "debian"}],
    })
}

/// Clients tell the boot disk of a server that was made of an image by the volume that it lacks.
#[tokio::test]
async fn a_disk_of_novas_own_is_shown_with_its_image_and_without_a_volume() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let mut topology = topology(&server);
    let role = NovaDiskRole::Root;
    let nova = NovaDiskRecord {
        id: DiskId::of_server(&uuid::Uuid::from_u128(7), role),
        role,
        size_bytes: 1 << 30,
    };
    let recorded = &mut topology.servers[0];
    recorded.image = Some(ImageRecord {
        id: "img-2".parse().unwrap(),
        name: "lab-guest".to_owned(),
        properties: BTreeMap::from([("hw_qemu_guest_agent".to_owned(), "yes".to_owned())]),
    });
    recorded.disks[0].keeper = DiskKeeper::Nova(nova);
    let excluded = DiskRecord {
        is_excluded: true,
        ..recorded.disks[0].clone()
    };
    recorded.disks.push(excluded);
    let workload = tenant.workload("daily", &[&server]).await;
    let made = take(&tenant, &workload, "", json!({"snapshot": {}})).await;
    engine::begin_snapshot(&site.datastore, &[(&server, "web")], &topology).await;
    let below = format!("snapshots/{}", made["id"].as_str().unwrap());
    let shown = tenant.get(&below).await.ok(200)["snapshot"].clone();
    let disks = &shown["instances"][0]["vdisks"];
    assert_eq!(
        disks[0],
        json!({"vm_id": server.as_str(), "snapshot_id": shown["id"],
               "volume_mountpoint": "/dev/vda", "metadata": {}, "restore_size": 1_073_741_824,
               "label": null, "media": "disk", "image_id": "img-2", "image_name": "lab-guest",
               "hw_qemu_guest_agent": "yes"})
    );
    assert_eq!(disks[1]["restore_size"], 0);
}

#[tokio::test]
async fn only_the_query_makes_a_snapshot_full_and_its_name_has_a_default() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    for (query, kind) in [
        ("?full=1", "full"),
        ("?full=True", "full"),
        ("?full=true", "full"),
        ("?full=0", "incremental"),
        ("?full=", "incremental"),
    ] {
        let server = tenant.server("web").await;
        let workload = tenant.workload("daily", &[&server]).await;
        let made = take(
            &tenant,
            &workload,
            query,
            json!({"snapshot": {"name": " "}}),
        )
        .await;
        assert_eq!(made["snapshot_type"], kind, "{query}");
        assert_eq!(made["name"], "snapshot");
    }
}

#[tokio::test]
async fn one_snapshot_of_a_workload_at_a_time() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let below = format!("workloads/{}", tenant.workload("daily", &[&server]).await);
    tenant.post_nothing(&below).await.ok(202);
    let message = tenant
        .post_nothing(&below)
        .await
        .refused(409, "conflictingRequest");
    assert_eq!(message, "A snapshot of the workload is already running.");
    let list = tenant.get("snapshots").await.ok(200);
    let running = list["snapshots"][0]["id"].as_str().unwrap().to_owned();
    tenant
        .delete(&format!("snapshots/{running}"))
        .await
        .refused(409, "conflictingRequest");
    engine::complete_snapshot(&site.datastore, &[(&server, "web")]).await;
    tenant.post_nothing(&below).await.ok(202);
}

#[tokio::test]
async fn lists_are_oldest_first_and_filtered_as_asked() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (web, db) = (tenant.server("web").await, tenant.server("db").await);
    let one = tenant.workload("one", &[&web]).await;
    let other = tenant.workload("other", &[&db]).await;
    for name in ["a", "b"] {
        take(&tenant, &one, "", json!({"snapshot": {"name": name}})).await;
        engine::complete_snapshot(&site.datastore, &[(&web, "web")]).await;
    }
    take(&tenant, &other, "", json!({"snapshot": {"name": "c"}})).await;
    let names = async |query: &str| {
        let list = tenant.get(&format!("snapshots{query}")).await.ok(200);
        let items = list["snapshots"].as_array().unwrap().clone();
        items
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect::<String>()
    };
    assert_eq!(names("").await, "abc");
    assert_eq!(names("/detail").await, "abc");
    assert_eq!(names(&format!("?workload_id={one}")).await, "ab");
    assert_eq!(names(&format!("?workload_id={other}&all=True")).await, "c");
    assert_eq!(names("?host=node-1").await, "ab");
    assert_eq!(names("?host=elsewhere").await, "");
    assert_eq!(names("?date_from=2020-01-01T00:00:00").await, "abc");
    assert_eq!(names("?date_to=2020-01-01T00:00:00").await, "");
    assert_eq!(
        names(&format!("?project_id={}", tenant.project_id)).await,
        "abc"
    );
    let listed = tenant.get("snapshots").await.ok(200)["snapshots"][0].clone();
    let keys: Vec<_> = listed.as_object().unwrap().keys().cloned().collect();
    let expected = [
        "created_at",
        "description",
        "host",
        "id",
        "name",
        "snapshot_type",
        "status",
        "workload_id",
    ];
    assert_eq!(keys, expected);
    let unknown = "00000000-0000-4000-8000-000000000000";
    tenant
        .get(&format!("snapshots?workload_id={unknown}"))
        .await
        .refused(404, "itemNotFound");
}

#[tokio::test]
async fn a_running_snapshot_can_be_stopped_and_a_settled_one_cannot() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let workload = tenant.workload("daily", &[&server]).await;
    let made = take(&tenant, &workload, "", json!({"snapshot": {}})).await;
    let below = format!("snapshots/{}", made["id"].as_str().unwrap());
    for _ in 0..2 {
        tenant.get(&format!("{below}/cancel")).await.ok(202);
    }
    let id = made["id"].as_str().unwrap().parse().unwrap();
    let flow = site.datastore.flow_of_snapshot(id).await.unwrap();
    assert!(flow.is_cancel_requested);
    engine::complete_snapshot(&site.datastore, &[(&server, "web")]).await;
    tenant
        .get(&format!("{below}/cancel"))
        .await
        .refused(409, "conflictingRequest");
}

#[tokio::test]
async fn below_another_workload_a_snapshot_is_not_found() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (web, db) = (tenant.server("web").await, tenant.server("db").await);
    let one = tenant.workload("one", &[&web]).await;
    let other = tenant.workload("other", &[&db]).await;
    let made = take(&tenant, &one, "", json!({"snapshot": {}})).await;
    let id = made["id"].as_str().unwrap();
    tenant
        .get(&format!("workloads/{one}/snapshots/{id}"))
        .await
        .ok(200);
    tenant
        .get(&format!("workloads/{other}/snapshots/{id}"))
        .await
        .refused(404, "itemNotFound");
    tenant
        .delete(&format!("workloads/{other}/snapshots/{id}"))
        .await
        .refused(404, "itemNotFound");
}
