//! An engine that sleeps past its lease while another takes its flow over, and then wakes up.

use std::time::Duration;

use services_db::{Flow, Snapshot};
use services_openstack::fake::{Effect, Fault};
use services_types::{FlowId, SnapshotId};
use tests_flows::wait_until;

use crate::protected::{MIB, Protected, SLOWLY};

const DROPPED: &str = "a flow was lost to its lease and dropped here";

/// All that the sleeper could spoil.
#[derive(Debug, PartialEq)]
struct Seen {
    snapshot: Snapshot,
    flow: Flow,
    objects: Vec<String>,
    leftovers: Vec<String>,
    changes: usize,
}

async fn seen(workload: &Protected, id: SnapshotId, flow: FlowId) -> Seen {
    let site = &workload.site;
    let services = ["/compute/", "/volume/", "/network/"];
    let changes = ["POST", "PUT", "DELETE"]
        .iter()
        .flat_map(|method| services.map(|service| site.cloud.count(method, service)))
        .sum();
    Seen {
        snapshot: site.db.snapshot_fetch(id).await.unwrap(),
        flow: site.db.flow_fetch(flow).await.unwrap(),
        objects: site.objects(),
        leftovers: site.cloud.leftovers("demo"),
        changes,
    }
}

/// The other engine completes what the sleeping one began; waking up changes nothing, and the next flow
/// is the sleeper's again.
async fn taken_over(workload: &mut Protected, id: SnapshotId) {
    workload.site.second_engine.start();
    let snapshot = workload.complete(id).await;
    assert_eq!(snapshot.host.as_deref(), Some("a"));
    let flow = workload.site.db.flow_of_snapshot(id).await.unwrap().id;
    let ended = workload.site.ended(flow).await;
    assert_eq!(ended.epoch, 2);
    assert!(!workload.site.engine.log().contains(DROPPED));

    let before = seen(workload, id, flow).await;
    workload.site.engine.go_on();
    workload.site.engine.says(DROPPED, 1).await;
    workload.site.second_engine.kill();
    let log = workload.site.engine.log();
    assert!(!log.contains("step is undone"), "{log}");
    assert_eq!(seen(workload, id, flow).await, before);

    let next = workload.site.snapshot(workload.workload, false).await;
    workload.complete(next.id).await;
    let flow = workload.site.db.flow_of_snapshot(next.id).await.unwrap();
    assert_eq!(flow.epoch, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_sleeps_during_an_upload_does_no_harm_when_it_wakes() {
    let mut workload = Protected::start(SLOWLY).await;
    let (id, ..) = workload.mid_upload(2 * MIB).await;
    workload.site.engine.pause();
    taken_over(&mut workload, id).await;
    assert_eq!(workload.site.cloud.count("POST", "/snapshots"), 4);
}

/// The sleeper's request reaches Cinder after the other engine has looked for what there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_cinder_snapshot_that_is_taken_too_late_is_not_left() {
    let mut workload = Protected::start(SLOWLY).await;
    let late = Effect::Delay(Duration::from_secs(7));
    workload
        .site
        .cloud
        .inject(Fault::on("POST", "/snapshots", late));
    let id = workload
        .site
        .request_snapshot(workload.workload, true)
        .await;
    wait_until("the first Cinder snapshot to be asked for", || async {
        workload.site.cloud.count("POST", "/snapshots") == 1
    })
    .await;
    workload.site.engine.pause();
    taken_over(&mut workload, id).await;
    // One of the sleeper, two of the other engine, two of the next flow.
    assert_eq!(workload.site.cloud.count("POST", "/snapshots"), 5);
}
