//! Killed between freeze and thaw: no guest stays frozen for longer than its deadline of 5 s.

use std::time::{Duration, SystemTime};

use services_openstack::fake::{Effect, Fault};
use services_types::SnapshotId;
use tests_flows::processes::DeploymentOptions;
use tests_flows::wait_until;

use crate::protected::Protected;

const DEADLINE: f64 = 5.0;
/// For a machine that is busy with other tests.
const LATE: f64 = 2.0;

/// A guest with an agent is frozen, and Cinder takes its time.
async fn frozen(cinder_takes: Duration) -> (Protected, SnapshotId, f64) {
    let workload = Protected::with_little_data(DeploymentOptions::default()).await;
    workload.site.guest.start_agent();
    let slow = Fault::on("POST", "/snapshots", Effect::Delay(cinder_takes));
    workload.site.cloud.inject(slow);
    let id = workload
        .site
        .request_snapshot(workload.workload, true)
        .await;
    wait_until("the freeze", || async {
        workload.site.cloud.count("POST", "/snapshots") == 1
    })
    .await;
    let told = workload.site.guest.told("freeze");
    assert_eq!(told.len(), 1);
    assert_eq!(workload.site.guest.told("thaw").len(), 0);
    (workload, id, told[0])
}

async fn thawed_at(workload: &Protected) -> f64 {
    wait_until("the thaw", || async {
        !workload.site.guest.told("thaw").is_empty()
    })
    .await;
    workload.site.guest.told("thaw")[0]
}

/// The snapshot is complete, and says that its disks may not agree.
async fn complete_with_warning(workload: &Protected, id: SnapshotId) {
    let snapshot = workload.complete(id).await;
    let warning = snapshot.warning_msg.unwrap();
    assert!(warning.contains("thawed"), "{warning}");
    assert_eq!(workload.site.guest.told("freeze").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_thawed_by_the_deadline_when_its_engine_is_killed() {
    let (mut workload, id, frozen_at) = frozen(Duration::from_secs(20)).await;
    workload.site.engine.kill();
    let frozen_for = thawed_at(&workload).await - frozen_at;
    assert!(
        (DEADLINE - LATE..DEADLINE + LATE).contains(&frozen_for),
        "{frozen_for} s"
    );
    workload.site.engine.start();
    complete_with_warning(&workload, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_thawed_by_a_datamover_that_was_killed_over_the_deadline() {
    let (mut workload, id, frozen_at) = frozen(Duration::from_secs(3)).await;
    workload.site.datamover.kill();
    let now = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap().as_secs_f64()
    };
    wait_until("the deadline", || async { now() > frozen_at + DEADLINE }).await;
    assert_eq!(workload.site.guest.told("thaw").len(), 0);
    let started_at = now();
    workload.site.datamover.start();
    let waited = thawed_at(&workload).await - started_at;
    assert!(waited < LATE, "{waited} s");
    complete_with_warning(&workload, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_whose_datamover_is_killed_before_the_deadline_is_thawed_in_time() {
    let (mut workload, id, frozen_at) = frozen(Duration::from_secs(1)).await;
    workload.site.datamover.kill();
    workload.site.datamover.start();
    let frozen_for = thawed_at(&workload).await - frozen_at;
    assert!(frozen_for < DEADLINE + LATE, "{frozen_for} s");
    workload.complete(id).await;
}
