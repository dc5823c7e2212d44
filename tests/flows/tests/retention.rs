//! How much of the past is kept, and that what is kept stays whole.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on may panic"
)]

use serde_json::json;
use services_db::{Snapshot, SnapshotFilter, WorkloadChange};
use services_types::{FlowKind, SnapshotStatus, WorkloadId, WorkloadStatus};
use tests_flows::{ServerSpec, Site, SiteOptions, Taken, wait_until, write_pattern};

async fn keep(site: &Site, workload: WorkloadId, count: u32) {
    let change = WorkloadChange {
        schedule: Some(json!({
            "enabled": false,
            "start_date": "06/01/2026",
            "retention_policy_type": "Number of Snapshots to Keep",
            "retention_policy_value": count,
        })),
        ..WorkloadChange::default()
    };
    site.db.workload_update(workload, change).await.unwrap();
}

/// All that is left once nothing works on the workload any more.
async fn at_rest(site: &Site, workload: WorkloadId) -> Vec<Snapshot> {
    wait_until("the workload to be at rest", || async {
        let status = site.db.workload_fetch(workload).await.unwrap().status;
        status == WorkloadStatus::Available
    })
    .await;
    let filter = SnapshotFilter {
        workload_id: Some(workload),
        ..SnapshotFilter::default()
    };
    site.db.snapshot_list(filter).await.unwrap()
}

struct Kept {
    site: Site,
    workload: WorkloadId,
    server: services_types::ServerId,
    round: u8,
}

impl Kept {
    async fn new(options: SiteOptions) -> Self {
        let site = Site::start(options).await;
        let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
        let workload = site.workload(std::slice::from_ref(&server)).await;
        Self {
            site,
            workload,
            server,
            round: 0,
        }
    }

    async fn take(&mut self, is_full: bool) -> Taken {
        self.round += 1;
        for volume in self.site.tenant.volumes(&self.server).await {
            let at = u64::from(self.round % 4) * 90_000;
            write_pattern(
                &self.site.cloud.volume_path(&volume),
                at,
                100_000,
                self.round,
            );
        }
        Taken::take(&self.site, self.workload, &self.server, is_full).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_incrementals_the_oldest_is_merged_into_the_next() {
    let mut kept = Kept::new(SiteOptions::default()).await;
    keep(&kept.site, kept.workload, 3).await;
    let mut taken = Vec::new();
    for round in 0..6 {
        taken.push(kept.take(round == 0).await);
        let left = at_rest(&kept.site, kept.workload).await;
        assert_eq!(left.len(), taken.len().min(3));
        for one in &taken[taken.len().saturating_sub(3)..] {
            one.expect_whole(&kept.site).await;
        }
        // Retention merges; the number of incrementals since the full one goes on.
        assert_eq!(left.last().unwrap().incrementals_since_full, round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_full_ones_the_oldest_is_deleted() {
    let mut kept = Kept::new(SiteOptions::default()).await;
    keep(&kept.site, kept.workload, 1).await;
    let first = kept.take(true).await.snapshot;
    let second = kept.take(true).await;
    let left = at_rest(&kept.site, kept.workload).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id, second.snapshot.id);
    second.expect_whole(&kept.site).await;
    let objects = kept.site.objects();
    assert!(!objects.iter().any(|it| it.contains(&first.id.to_string())));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_less_is_to_be_kept_all_that_is_too_much_goes_after_the_next_snapshot() {
    let mut kept = Kept::new(SiteOptions::default()).await;
    let mut taken = Vec::new();
    for round in 0..5 {
        taken.push(kept.take(round == 0).await);
    }
    keep(&kept.site, kept.workload, 2).await;
    taken.push(kept.take(false).await);
    let left = at_rest(&kept.site, kept.workload).await;
    assert_eq!(left.len(), 2);
    for one in &taken[4..] {
        one.expect_whole(&kept.site).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_failed_is_finished_after_the_next_snapshot() {
    for step in ["plan_removal", "free_images", "rebase"] {
        let failing = SiteOptions::failing(FlowKind::SnapshotDelete, step);
        let mut kept = Kept::new(failing).await;
        keep(&kept.site, kept.workload, 2).await;
        let first = kept.take(true).await.snapshot;
        kept.take(false).await;
        let mut taken = vec![kept.take(false).await];
        let left = at_rest(&kept.site, kept.workload).await;
        let failed = left.iter().find(|it| it.id == first.id).unwrap();
        assert!(failed.error_msg.is_some(), "{step}");
        taken[0].expect_content(&kept.site);

        kept.site.stop_engines().await;
        kept.site.add_engine(SiteOptions::default());
        taken.push(kept.take(false).await);
        let left = at_rest(&kept.site, kept.workload).await;
        let ids: Vec<_> = left.iter().map(|it| it.id).collect();
        let wanted: Vec<_> = taken.iter().map(|it| it.snapshot.id).collect();
        assert_eq!(ids, wanted, "{step}");
        for one in &taken {
            one.expect_whole(&kept.site).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_snapshot_neither_counts_nor_prunes() {
    let mut kept = Kept::new(SiteOptions::default()).await;
    keep(&kept.site, kept.workload, 1).await;
    let good = kept.take(true).await;
    kept.site.cloud.lose(kept.server.as_str());
    let failed = kept.site.snapshot(kept.workload, false).await;
    assert_eq!(failed.status, SnapshotStatus::Error);
    let left = at_rest(&kept.site, kept.workload).await;
    assert_eq!(left.len(), 2);
    good.expect_whole(&kept.site).await;
}
