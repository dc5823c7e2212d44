//! Verifying snapshots: what is whole, what is damaged, and what follows.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on may panic"
)]

use services_db::Snapshot;
use services_types::{FlowId, FlowKind, SnapshotStatus, SnapshotType, WorkloadId};
use tests_flows::{ServerSpec, Site, SiteOptions, write_pattern};

struct Chain {
    site: Site,
    workload: WorkloadId,
    full: Snapshot,
    incremental: Snapshot,
}

async fn chain(options: SiteOptions) -> Chain {
    let site = Site::start(options).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let volumes = site.tenant.volumes(&server).await;
    let workload = site.workload(&[server]).await;
    let write = |at, seed| write_pattern(&site.cloud.volume_path(&volumes[1]), at, 300_000, seed);
    write(0, 1);
    let full = site.snapshot(workload, true).await;
    write(1 << 20, 2);
    let incremental = site.snapshot(workload, false).await;
    assert_eq!(incremental.status, SnapshotStatus::Available);
    Chain {
        site,
        workload,
        full,
        incremental,
    }
}

async fn verify(site: &Site, snapshot: &Snapshot) -> Snapshot {
    let flow_id = FlowId::random();
    let asked = site.db.snapshot_verify_request(snapshot.id, flow_id);
    asked.await.unwrap();
    site.ended(flow_id).await;
    site.db.snapshot_fetch(snapshot.id).await.unwrap()
}

/// Changes a few bytes in the middle of the largest image of a snapshot.
fn damage(site: &Site, snapshot: &Snapshot) {
    let mut images = site.objects();
    images.retain(|name| name.contains(&snapshot.id.to_string()) && name.contains("_vdb/"));
    let image = images
        .iter()
        .find(|name| !name.ends_with(".index"))
        .unwrap();
    // Behind the head there is data.
    let length = std::fs::metadata(image).unwrap().len();
    write_pattern(&image.into(), length / 2, 64, 0xff);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_whole_says_so() {
    let chain = chain(SiteOptions::default()).await;
    let found = verify(&chain.site, &chain.incremental).await;
    assert_eq!(found.status, SnapshotStatus::Available);
    let message = found.progress_msg.unwrap();
    assert!(message.contains("4 images"), "{message}");
    assert!(message.contains("nothing is damaged"), "{message}");
    assert_eq!(found.damage, None);
    assert!(found.verified_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_and_nothing_is_built_upon_it() {
    let chain = chain(SiteOptions::default()).await;
    damage(&chain.site, &chain.full);
    let found = verify(&chain.site, &chain.incremental).await;
    assert_eq!(found.status, SnapshotStatus::Available);
    let named = found.damage.unwrap();
    assert!(named.contains("_vdb/"), "{named}");
    let full = chain.site.db.snapshot_fetch(chain.full.id).await.unwrap();
    assert_eq!(full.damage, Some(named));

    let next = chain.site.snapshot(chain.workload, false).await;
    assert_eq!(next.status, SnapshotStatus::Available);
    assert_eq!(next.snapshot_type, SnapshotType::Full);
    let warning = next.warning_msg.clone().unwrap();
    assert!(warning.contains("is damaged"), "{warning}");
    let found = verify(&chain.site, &next).await;
    assert_eq!(found.damage, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_a_manifest_or_a_file_that_is_gone_is_damage() {
    for (of_full, part) in [
        (true, ".index"),
        (true, "/manifest.json"),
        (false, "/manifest.json"),
        (false, "/network_db"),
    ] {
        let chain = chain(SiteOptions::default()).await;
        let snapshot = if of_full {
            &chain.full
        } else {
            &chain.incremental
        };
        let mut objects = chain.site.objects();
        objects.retain(|it| it.contains(&snapshot.id.to_string()) && it.ends_with(part));
        std::fs::remove_file(&objects[0]).unwrap();
        let found = verify(&chain.site, &chain.incremental).await;
        assert_eq!(found.status, SnapshotStatus::Available, "{part}");
        assert!(found.damage.is_some(), "{part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_may_run_twice() {
    for step in services_engine::step_names(FlowKind::SnapshotVerify) {
        let chain = chain(SiteOptions::repeating(FlowKind::SnapshotVerify, step)).await;
        let found = verify(&chain.site, &chain.incremental).await;
        assert_eq!(found.damage, None, "{step}");
        assert!(found.verified_at.is_some(), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_at_any_step_leaves_the_snapshot_as_it_was() {
    for step in services_engine::step_names(FlowKind::SnapshotVerify) {
        let mut chain = chain(SiteOptions::failing(FlowKind::SnapshotVerify, step)).await;
        let found = verify(&chain.site, &chain.incremental).await;
        assert_eq!(found.status, SnapshotStatus::Available, "{step}");
        assert_eq!((found.verified_at, found.damage), (None, None), "{step}");
        let message = found.progress_msg.unwrap();
        assert!(message.starts_with("It could not be verified"), "{message}");
        chain.site.stop_engines().await;
        chain.site.add_engine(SiteOptions::default());
        let found = verify(&chain.site, &chain.incremental).await;
        assert!(found.verified_at.is_some(), "{step}");
    }
}
