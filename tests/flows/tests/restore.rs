//! One-click restores: what comes back, and what a failure leaves.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on may panic"
)]

use services_types::{FlowKind, RestoreStatus, ServerId, SnapshotStatus, WorkloadId};
use tests_flows::{ServerSpec, Site, SiteOptions, digest, write_pattern};

const MIB: u64 = 1 << 20;

/// A server with known bytes, a full and an incremental of it, then the server is lost.
struct Lost {
    site: Site,
    workload: WorkloadId,
    snapshot: services_db::Snapshot,
    server: ServerId,
    digests: Vec<agent_format::Digest>,
    mac_address: String,
    ip_address: String,
}

async fn lost(options: SiteOptions) -> Lost {
    let site = Site::start(options).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let volumes = site.tenant.volumes(&server).await;
    write_pattern(&site.cloud.volume_path(&volumes[0]), 0, 200_000, 1);
    write_pattern(&site.cloud.volume_path(&volumes[1]), 5 * MIB, 500_000, 2);
    let workload = site.workload(std::slice::from_ref(&server)).await;
    assert_eq!(
        site.snapshot(workload, true).await.status,
        SnapshotStatus::Available
    );
    write_pattern(
        &site.cloud.volume_path(&volumes[1]),
        5 * MIB + 1000,
        66_000,
        3,
    );
    let snapshot = site.snapshot(workload, false).await;
    assert_eq!(
        (snapshot.status, &snapshot.error_msg),
        (SnapshotStatus::Available, &None)
    );
    let digests = volumes
        .iter()
        .map(|id| digest(&site.cloud.volume_path(id)))
        .collect();
    let ports = site
        .tenant
        .cloud
        .network()
        .ports_of_server(&server)
        .await
        .unwrap();
    let (mac_address, ip_address) = (
        ports[0].mac_address.clone(),
        ports[0].fixed_ips[0].ip_address.clone(),
    );
    site.tenant.lose(&site.cloud, &server).await;
    Lost {
        site,
        workload,
        snapshot,
        server,
        digests,
        mac_address,
        ip_address,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_server_comes_back_with_its_data_and_addresses() {
    let lost = lost(SiteOptions::default()).await;
    let site = &lost.site;
    let restore = site.restore(&lost.snapshot).await;
    assert_eq!(
        (restore.status, restore.error_msg),
        (RestoreStatus::Available, None)
    );
    let made = site.db.restored_servers(restore.id).await.unwrap();
    assert_eq!(made.len(), 1);
    let new = &made[0].server_id;
    assert_ne!(*new, lost.server);

    let server = site.tenant.cloud.compute().server_fetch(new).await.unwrap();
    assert_eq!(
        (server.name.as_str(), server.status.as_str()),
        ("db1", "ACTIVE")
    );
    let metadata: Vec<_> = server.metadata.keys().map(String::as_str).collect();
    assert_eq!(metadata, ["role", "workload_id", "workload_name"]);

    let volumes = site.tenant.volumes(new).await;
    let digests: Vec<_> = volumes
        .iter()
        .map(|id| digest(&site.cloud.volume_path(id)))
        .collect();
    assert_eq!(digests, lost.digests);
    for (number, id) in volumes.iter().enumerate() {
        let volume = site
            .tenant
            .cloud
            .block_storage()
            .volume_fetch(id)
            .await
            .unwrap();
        assert_eq!(volume.name, format!("db1-{number}"));
        assert_eq!(volume.is_bootable, number == 0);
        assert_eq!(
            volume
                .metadata
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>(),
            ["kept"]
        );
    }

    let ports = site
        .tenant
        .cloud
        .network()
        .ports_of_server(new)
        .await
        .unwrap();
    assert_eq!(ports[0].mac_address, lost.mac_address);
    assert_eq!(ports[0].fixed_ips[0].ip_address, lost.ip_address);
    assert_eq!(
        (ports[0].name.as_str(), ports[0].description.as_str()),
        ("db1-port", "")
    );

    let members = site.db.workload_members(lost.workload).await.unwrap();
    assert_eq!(
        members.iter().map(|one| &one.server_id).collect::<Vec<_>>(),
        [new]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_still_exists_is_not_restored_over() {
    let site = Site::start(SiteOptions::default()).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let workload = site.workload(&[server]).await;
    let snapshot = site.snapshot(workload, true).await;
    let before = site.cloud.leftovers("demo");
    let restore = site.restore(&snapshot).await;
    assert_eq!(restore.status, RestoreStatus::Error);
    assert!(
        restore
            .error_msg
            .unwrap()
            .contains("still exists: delete it first")
    );
    assert_eq!(site.cloud.leftovers("demo"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_cluster_is_named_and_no_server_starts() {
    let lost = lost(SiteOptions::default()).await;
    let image = lost
        .site
        .objects()
        .into_iter()
        .filter(|name| name.contains("_vdb/") && !name.ends_with(".index"))
        .max_by_key(|name| std::fs::metadata(name).unwrap().len())
        .unwrap();
    let length = std::fs::metadata(&image).unwrap().len();
    // Past the header, L1 and the tables at the end: in the middle there is data.
    write_pattern(&image.into(), length / 2, 64, 0xff);
    let restore = lost.site.restore(&lost.snapshot).await;
    assert_eq!(restore.status, RestoreStatus::Error);
    let left = lost.site.cloud.leftovers("demo");
    assert!(
        left.iter().all(|line| line.starts_with("security group")),
        "{left:?}"
    );
}

/// Each step fails in turn: the project is as it was, the snapshot can be restored again.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_at_any_step_leaves_nothing() {
    for step in services_engine::step_names(FlowKind::RestoreCreate) {
        let lost = lost(SiteOptions::failing(FlowKind::RestoreCreate, step)).await;
        let before = lost.site.cloud.leftovers("demo");
        let restore = lost.site.restore(&lost.snapshot).await;
        assert_eq!(restore.status, RestoreStatus::Error, "{step}");
        assert!(restore.error_msg.unwrap().contains(step), "{step}");
        assert_eq!(lost.site.cloud.leftovers("demo"), before, "{step}");
        let snapshot = lost.site.db.snapshot_fetch(lost.snapshot.id).await.unwrap();
        assert_eq!(snapshot.status, SnapshotStatus::Available, "{step}");
    }
}

/// Each step is run twice in turn, as after a crash between its work and its record.
#[tokio::test(flavor = "multi_thread")]
async fn every_step_may_run_twice() {
    for step in services_engine::step_names(FlowKind::RestoreCreate) {
        let lost = lost(SiteOptions::repeating(FlowKind::RestoreCreate, step)).await;
        let restore = lost.site.restore(&lost.snapshot).await;
        assert_eq!(
            (restore.status, restore.error_msg),
            (RestoreStatus::Available, None),
            "{step}"
        );
        let left = lost.site.cloud.leftovers("demo");
        let count = |kind: &str| left.iter().filter(|line| line.starts_with(kind)).count();
        assert_eq!(
            (count("server"), count("volume "), count("port")),
            (1, 2, 1),
            "{left:?}"
        );
    }
}
