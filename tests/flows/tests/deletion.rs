//! Deleting snapshots and workloads.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on may panic"
)]

use services_db::{Conflict, Error, Member, WorkloadChange};
use services_types::{
    FlowId, FlowKind, FlowStatus, RestoreStatus, ServerId, SnapshotStatus, SnapshotType, WorkloadId,
};
use tests_flows::{ServerSpec, Site, SiteOptions, Taken, digest, wait_until, write_pattern};

const MIB: u64 = 1 << 20;

/// A workload of one server with two disks.
struct Protected {
    server: ServerId,
    workload: WorkloadId,
}

impl Protected {
    async fn new(site: &Site) -> Self {
        let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
        let workload = site.workload(std::slice::from_ref(&server)).await;
        Self { server, workload }
    }

    /// A snapshot after each of so many rounds of writing; the first is full.
    async fn chain(&self, site: &Site, length: u8) -> Vec<Taken> {
        let mut chain = Vec::new();
        for round in 0..length {
            self.write(site, round).await;
            chain.push(Taken::take(site, self.workload, &self.server, round == 0).await);
        }
        chain
    }

    /// What each round writes overlaps with what others wrote, on one disk more than on the other.
    async fn write(&self, site: &Site, round: u8) {
        for (number, volume) in (0u64..).zip(site.tenant.volumes(&self.server).await) {
            let path = site.cloud.volume_path(&volume);
            let at = u64::from(round % 3) * MIB + number * 70_000;
            write_pattern(&path, at, 150_000, round * 2 + 1);
            write_pattern(&path, 40 * MIB + u64::from(round) * MIB, 5000, round);
            if number == 1 {
                // Zeroes over what an earlier round wrote.
                let nothing = vec![0; 130_000];
                let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
                let at = 40 * MIB + u64::from(round / 2) * MIB;
                std::os::unix::fs::FileExt::write_all_at(&file, &nothing, at).unwrap();
            }
        }
    }
}

async fn expect_all_whole(site: &Site, chain: &[Taken]) {
    for taken in chain {
        taken.expect_whole(site).await;
    }
}

fn objects_of(site: &Site, part: &str) -> Vec<String> {
    let mut objects = site.objects();
    objects.retain(|name| name.contains(part));
    objects
}

#[tokio::test(flavor = "multi_thread")]
async fn the_full_one_goes_and_the_incremental_takes_its_place() {
    let site = Site::start(SiteOptions::default()).await;
    let protected = Protected::new(&site).await;
    let chain = protected.chain(&site, 2).await;
    let (full, incremental) = (&chain[0].snapshot, &chain[1].snapshot);
    assert_eq!(incremental.snapshot_type, SnapshotType::Incremental);

    site.delete_snapshot(full).await;
    assert!(site.db.snapshot_fetch(full.id).await.is_err());
    assert_eq!(
        objects_of(&site, &full.id.to_string()),
        Vec::<String>::new()
    );
    chain[1].expect_whole(&site).await;
    let now = site.db.snapshot_fetch(incremental.id).await.unwrap();
    assert_eq!(now.snapshot_type, SnapshotType::Full);
    assert_eq!(now.backing_snapshot_id, None);
    assert!(now.size_bytes > incremental.size_bytes);

    // The Cinder snapshots still stand, so the next one is an incremental.
    protected.write(&site, 7).await;
    let next = Taken::take(&site, protected.workload, &protected.server, false).await;
    assert_eq!(next.snapshot.snapshot_type, SnapshotType::Incremental);
    assert_eq!(next.snapshot.incrementals_since_full, 2);
    next.expect_whole(&site).await;

    for taken in [&next, &chain[1]] {
        site.delete_snapshot(&taken.snapshot).await;
    }
    assert_eq!(objects_of(&site, "snapshot_"), Vec::<String>::new());
    let left = site.cloud.leftovers("demo");
    assert!(
        !left.iter().any(|line| line.starts_with("volume snapshot")),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_whatever_order_snapshots_go_the_others_stay_whole() {
    let site = Site::start(SiteOptions::default()).await;
    // Oldest first, newest first, from the middle, and three without an order.
    for order in [
        [0, 0, 0, 0, 0],
        [4, 3, 2, 1, 0],
        [2, 1, 1, 1, 0],
        [1, 3, 0, 1, 0],
        [3, 0, 2, 0, 0],
        [0, 2, 1, 0, 0],
    ] {
        let protected = Protected::new(&site).await;
        let mut chain = protected.chain(&site, 5).await;
        expect_all_whole(&site, &chain).await;
        for number in order {
            let gone = chain.remove(number).snapshot;
            site.delete_snapshot(&gone).await;
            assert!(site.db.snapshot_fetch(gone.id).await.is_err(), "{order:?}");
            let left = objects_of(&site, &gone.id.to_string());
            assert_eq!(left, Vec::<String>::new(), "{order:?}");
            expect_all_whole(&site, &chain).await;
        }
        let left = objects_of(&site, &format!("workload_{}/snapshot", protected.workload));
        assert_eq!(left, Vec::<String>::new(), "{order:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_deletion_may_run_twice() {
    for step in services_engine::step_names(FlowKind::SnapshotDelete) {
        let site = Site::start(SiteOptions::repeating(FlowKind::SnapshotDelete, step)).await;
        let protected = Protected::new(&site).await;
        let mut chain = protected.chain(&site, 3).await;
        let middle = chain.remove(1).snapshot;
        site.delete_snapshot(&middle).await;
        assert!(site.db.snapshot_fetch(middle.id).await.is_err(), "{step}");
        expect_all_whole(&site, &chain).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_fails_harms_no_other_and_can_be_asked_for_again() {
    for step in services_engine::step_names(FlowKind::SnapshotDelete) {
        let mut site = Site::start(SiteOptions::failing(FlowKind::SnapshotDelete, step)).await;
        let protected = Protected::new(&site).await;
        let mut chain = protected.chain(&site, 3).await;
        let middle = chain.remove(1).snapshot;
        site.delete_snapshot(&middle).await;
        let failed = site.db.snapshot_fetch(middle.id).await.unwrap();
        assert!(
            failed.error_msg.unwrap().contains("delete it again"),
            "{step}"
        );
        for taken in &chain {
            taken.expect_content(&site);
        }
        site.stop_engines().await;
        site.add_engine(SiteOptions::default());
        site.delete_snapshot(&middle).await;
        assert!(site.db.snapshot_fetch(middle.id).await.is_err(), "{step}");
        expect_all_whole(&site, &chain).await;
        let left = objects_of(&site, &middle.id.to_string());
        assert_eq!(left, Vec::<String>::new(), "{step}");
    }
}

/// The engine ends after each event of the flow's log in turn, and another one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_taken_over_wherever_its_engine_ends() {
    let events = 2 * services_engine::step_names(FlowKind::SnapshotDelete).len();
    for seen in 1..events {
        let mut site = Site::start(SiteOptions::default()).await;
        let protected = Protected::new(&site).await;
        let mut chain = protected.chain(&site, 3).await;
        let middle = chain.remove(1).snapshot;
        let flow_id = FlowId::random();
        site.db
            .snapshot_delete_request(middle.id, flow_id)
            .await
            .unwrap();
        wait_until("the flow to come so far", || async {
            site.db.flow_events(flow_id).await.unwrap().len() >= seen
        })
        .await;
        site.stop_engines().await;
        site.add_engine(SiteOptions::default());
        assert_eq!(site.ended(flow_id).await.status, FlowStatus::Done, "{seen}");
        assert!(site.db.snapshot_fetch(middle.id).await.is_err(), "{seen}");
        expect_all_whole(&site, &chain).await;
    }
}

/// Members come and go, and one disk of an incremental is full because its Cinder snapshot was lost.
#[tokio::test(flavor = "multi_thread")]
async fn disks_that_only_one_of_two_snapshots_has_are_no_obstacle() {
    for gone in 0..4 {
        let site = Site::start(SiteOptions::default()).await;
        let stays = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
        let leaves = site.tenant.server(&ServerSpec::with_two_disks("db2")).await;
        let comes = site.tenant.server(&ServerSpec::with_two_disks("db3")).await;
        let workload = site.workload(&[stays.clone(), leaves.clone()]).await;
        let write = async |servers: &[&ServerId], round: u8| {
            for server in servers {
                for volume in site.tenant.volumes(server).await {
                    let path = site.cloud.volume_path(&volume);
                    write_pattern(&path, u64::from(round) * 50_000, 100_000, round);
                }
            }
        };
        let mut chain = Vec::new();
        let both = [&stays, &leaves];
        write(&both, 1).await;
        chain.push(Taken::take_of(&site, workload, &both, true).await);
        write(&both, 2).await;
        chain.push(Taken::take_of(&site, workload, &both, false).await);
        let member = |server: &ServerId| Member {
            server_id: server.clone(),
            name: server.to_string(),
        };
        let change = WorkloadChange {
            members: Some(vec![member(&stays), member(&comes)]),
            ..WorkloadChange::default()
        };
        site.db.workload_update(workload, change).await.unwrap();
        let anchors = site.db.volume_anchors_fetch(workload).await.unwrap();
        let first = site.tenant.volumes(&stays).await.remove(0);
        let lost = anchors.iter().find(|it| it.volume_id == first).unwrap();
        site.cloud.lose(lost.volume_snapshot_id.as_str());
        let both = [&stays, &comes];
        write(&both, 3).await;
        chain.push(Taken::take_of(&site, workload, &both, false).await);
        assert_eq!(chain[2].snapshot.snapshot_type, SnapshotType::Incremental);
        write(&both, 4).await;
        chain.push(Taken::take_of(&site, workload, &both, false).await);
        expect_all_whole(&site, &chain).await;

        let gone = chain.remove(gone).snapshot;
        site.delete_snapshot(&gone).await;
        assert!(site.db.snapshot_fetch(gone.id).await.is_err());
        expect_all_whole(&site, &chain).await;
        while let Some(taken) = chain.pop() {
            expect_all_whole(&site, &chain).await;
            site.delete_snapshot(&taken.snapshot).await;
        }
        let left = objects_of(&site, &format!("workload_{workload}/snapshot"));
        assert_eq!(left, Vec::<String>::new());
    }
}

/// As releases left it that kept a deleted snapshot for as long as later ones built on it.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_release_kept_is_merged_with_the_next_deletion() {
    let mut site = Site::start(SiteOptions::default()).await;
    let protected = Protected::new(&site).await;
    let mut chain = protected.chain(&site, 5).await;
    site.stop_engines().await;
    for number in [0, 1] {
        let flow_id = FlowId::random();
        let id = chain[number].snapshot.id;
        site.db.snapshot_delete_request(id, flow_id).await.unwrap();
        let lease = std::time::Duration::from_secs(60);
        loop {
            let claim = site.db.flow_claim_next("older release", lease).await;
            let claim = claim.unwrap().unwrap();
            let is_it = claim.flow_id == flow_id;
            if is_it {
                site.db.snapshot_deleted(&claim, true, None).await.unwrap();
            }
            let ended = site.db.flow_finish(&claim, FlowStatus::Done, None);
            ended.await.unwrap();
            if is_it {
                break;
            }
        }
    }
    site.add_engine(SiteOptions::default());
    let newest = chain.remove(4).snapshot;
    let kept: Vec<_> = chain.drain(..2).map(|taken| taken.snapshot.id).collect();
    site.delete_snapshot(&newest).await;
    expect_all_whole(&site, &chain).await;
    for id in kept {
        assert_eq!(objects_of(&site, &id.to_string()), Vec::<String>::new());
    }
    let left = site.db.snapshots_kept_for_chain(protected.workload).await;
    assert!(left.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_is_restored_or_taken_none_is_deleted() {
    let mut site = Site::start(SiteOptions::default()).await;
    let protected = Protected::new(&site).await;
    let chain = protected.chain(&site, 2).await;
    site.stop_engines().await;
    let restore = site.request_restore(&chain[1].snapshot).await;
    expect_refused(&site, &chain, Conflict::Busy).await;
    site.db
        .flow_cancel_request(services_db::FlowSubject::Restore(restore))
        .await
        .unwrap();
    site.add_engine(SiteOptions::default());
    site.settled_restore(restore).await;
    site.stop_engines().await;
    site.request_snapshot(protected.workload, false).await;
    expect_refused(&site, &chain, Conflict::SnapshotRunning).await;
}

/// Its manifest is withdrawn, its images are still there.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_snapshot_is_restored_while_a_deletion_is_unfinished() {
    let site = Site::start(SiteOptions::failing(
        FlowKind::SnapshotDelete,
        "free_images",
    ))
    .await;
    let protected = Protected::new(&site).await;
    let chain = protected.chain(&site, 3).await;
    site.delete_snapshot(&chain[1].snapshot).await;
    let failed = site.db.snapshot_fetch(chain[1].snapshot.id).await.unwrap();
    assert_eq!(failed.status, SnapshotStatus::Error);
    let wanted = chain[2].digests();
    site.tenant.lose(&site.cloud, &protected.server).await;
    let restore = site.restore(&chain[2].snapshot).await;
    assert_eq!(
        (restore.status, restore.error_msg),
        (RestoreStatus::Available, None)
    );
    let made = site.db.restored_servers(restore.id).await.unwrap();
    let volumes = site.tenant.volumes(&made[0].server_id).await;
    let digests = volumes.iter().map(|id| digest(&site.cloud.volume_path(id)));
    assert_eq!(digests.collect::<Vec<_>>(), wanted);
}

async fn expect_refused(site: &Site, chain: &[Taken], conflict: Conflict) {
    for taken in chain {
        let flow_id = FlowId::random();
        let deletion = site.db.snapshot_delete_request(taken.snapshot.id, flow_id);
        match deletion.await {
            Err(Error::Conflict(told)) => assert_eq!(told, conflict),
            other => panic!("{other:?}"),
        }
    }
}

/// As a deletion leaves it that broke off behind the manifest, or an undo that could not be completed.
#[tokio::test(flavor = "multi_thread")]
async fn images_without_a_manifest_go_with_their_snapshot() {
    let site = Site::start(SiteOptions::default()).await;
    let protected = Protected::new(&site).await;
    let full = protected.chain(&site, 1).await.remove(0).snapshot;
    let folder = format!("workload_{}/snapshot_{}", protected.workload, full.id);
    let folder = site.target.join(folder);
    std::fs::remove_file(folder.join("manifest.json")).unwrap();
    std::fs::write(folder.join(".unfinished.partial"), b"torn").unwrap();

    site.delete_snapshot(&full).await;
    assert!(site.db.snapshot_fetch(full.id).await.is_err());
    assert!(!folder.exists(), "{:?}", site.objects());
}

/// What its images build on is not known any more.
#[tokio::test(flavor = "multi_thread")]
async fn images_without_a_manifest_stay_while_a_later_snapshot_needs_them() {
    let site = Site::start(SiteOptions::default()).await;
    let protected = Protected::new(&site).await;
    let chain = protected.chain(&site, 2).await;
    let (full, incremental) = (&chain[0].snapshot, &chain[1].snapshot);
    let folder = format!("workload_{}/snapshot_{}", protected.workload, full.id);
    std::fs::remove_file(site.target.join(folder).join("manifest.json")).unwrap();

    site.delete_snapshot(full).await;
    let failed = site.db.snapshot_fetch(full.id).await.unwrap();
    assert_eq!(failed.status, SnapshotStatus::Error);
    let why = failed.error_msg.unwrap();
    assert!(why.contains("its manifest is lost"), "{why}");
    chain[1].expect_content(&site);

    site.delete_snapshot(incremental).await;
    site.delete_snapshot(full).await;
    assert_eq!(objects_of(&site, "snapshot_"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_workload_leaves_nothing_behind() {
    let site = Site::start(SiteOptions::default()).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let workload = site.workload(std::slice::from_ref(&server)).await;
    let full = site.snapshot(workload, true).await;
    site.delete_snapshot(&full).await;

    let flow_id = FlowId::random();
    site.db
        .workload_delete_request(workload, flow_id)
        .await
        .unwrap();
    assert_eq!(site.ended(flow_id).await.status, FlowStatus::Done);
    assert!(site.db.workload_fetch(workload).await.is_err());
    assert_eq!(
        site.db.workload_of_server(server.clone()).await.unwrap(),
        None
    );
    assert_eq!(objects_of(&site, "workload_"), Vec::<String>::new());
    let server = site
        .tenant
        .cloud
        .compute()
        .server_fetch(&server)
        .await
        .unwrap();
    assert_eq!(
        server
            .metadata
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        ["role"]
    );
}
