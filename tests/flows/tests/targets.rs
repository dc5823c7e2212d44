//! More than one target: where chains begin, and that they stay there.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on may panic"
)]

use std::path::{Path, PathBuf};

use services_types::{RestoreStatus, SnapshotStatus, SnapshotType};
use tests_flows::{
    LocalDatamover, ServerSpec, Site, SiteOptions, digest, wait_until, write_pattern,
};

/// A target without its mark is not written to.
struct Mark {
    at: PathBuf,
    aside: PathBuf,
}

impl Mark {
    fn hide(target: &Path) -> Self {
        let mut files = std::fs::read_dir(target).unwrap();
        let at = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none(), "the mark is all there is");
        let aside = target.parent().unwrap().join("mark");
        std::fs::rename(&at, &aside).unwrap();
        Self { at, aside }
    }

    fn show(self) {
        std::fs::rename(self.aside, self.at).unwrap();
    }
}

fn backups(target: &Path) -> usize {
    let files = std::fs::read_dir(target).unwrap();
    let names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
    names.filter(|it| it.starts_with("workload_")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_begins_where_it_can_and_stays_there_to_its_end() {
    let site = Site::start(SiteOptions {
        has_second_target: true,
        ..SiteOptions::default()
    })
    .await;
    let second = site.second_target.clone().unwrap();
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let volumes = site.tenant.volumes(&server).await;
    let workload = site.workload(std::slice::from_ref(&server)).await;
    let write = |at, seed| write_pattern(&site.cloud.volume_path(&volumes[1]), at, 90_000, seed);
    write(0, 1);
    // Datamovers look at their targets now and then.
    let mark = Mark::hide(&site.target);
    wait_until("the datamover to see it", || async {
        let hosts = agent_contract::DatamoverClient::hosts(site.datamover.as_ref()).await;
        hosts.unwrap()[0].targets == [LocalDatamover::SECOND_TARGET]
    })
    .await;
    let full = site.snapshot(workload, true).await;
    assert_eq!(
        (full.status, full.error_msg.as_deref()),
        (SnapshotStatus::Available, None)
    );
    assert_eq!(full.target_id.as_deref(), Some("second"));
    mark.show();
    assert_eq!((backups(&site.target), backups(&second)), (0, 1));

    write(200_000, 2);
    let incremental = site.snapshot(workload, false).await;
    assert_eq!(incremental.snapshot_type, SnapshotType::Incremental);
    assert_eq!(incremental.target_id.as_deref(), Some("second"));
    site.delete_snapshot(&full).await;
    assert!(site.db.snapshot_fetch(full.id).await.is_err());

    let wanted: Vec<_> = volumes
        .iter()
        .map(|id| digest(&site.cloud.volume_path(id)))
        .collect();
    site.tenant.lose(&site.cloud, &server).await;
    let restore = site.restore(&incremental).await;
    assert_eq!(
        (restore.status, restore.error_msg),
        (RestoreStatus::Available, None)
    );
    let made = site.db.restored_servers(restore.id).await.unwrap();
    let volumes = site.tenant.volumes(&made[0].server_id).await;
    let digests: Vec<_> = volumes
        .iter()
        .map(|id| digest(&site.cloud.volume_path(id)))
        .collect();
    assert_eq!(digests, wanted);
    assert_eq!(backups(&site.target), 0);
}
