//! Rounds and leadership on a real database.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on may panic"
)]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::{Value, json};
use services_db::{Datastore, Member, NewWorkload, Snapshot, SnapshotFilter, SnapshotOutcome};
use services_scheduler::settings::Settings;
use services_scheduler::{Round, lead, run_round};
use services_types::{FlowClaim, FlowStatus, SnapshotStatus, SnapshotType, WorkloadId};
use tokio_util::sync::CancellationToken;

async fn datastore(now: &'static str) -> Datastore {
    let datastore = Datastore::connect("sqlite::memory:").await.unwrap();
    datastore.migrate().await.unwrap();
    datastore.with_clock(move || utc(now))
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn workload(datastore: &Datastore, schedule: Value) -> WorkloadId {
    let id = WorkloadId::random();
    let member = Member {
        server_id: format!("vm-{id}").parse().unwrap(),
        name: "vm".to_owned(),
    };
    let new = NewWorkload {
        id,
        user_id: "ann".parse().unwrap(),
        project_id: "p-1".parse().unwrap(),
        name: "daily".to_owned(),
        description: String::new(),
        workload_type_id: services_types::SERIAL.parse().unwrap(),
        source_platform: None,
        schedule,
        availability_zone: None,
        metadata: Default::default(),
        members: vec![member],
    };
    datastore.workload_create(new).await.unwrap();
    datastore.workload_set_available(id).await.unwrap();
    id
}

async fn snapshots(datastore: &Datastore, workload_id: WorkloadId) -> Vec<Snapshot> {
    let filter = SnapshotFilter {
        workload_id: Some(workload_id),
        ..Default::default()
    };
    datastore.snapshot_list(filter).await.unwrap()
}

/// What an engine would do.
async fn complete(datastore: &Datastore, backing: Option<&Snapshot>) -> FlowClaim {
    let lease = Duration::from_secs(60);
    let claim = datastore
        .flow_claim_next("engine", lease)
        .await
        .unwrap()
        .unwrap();
    datastore.workload_lock(&claim).await.unwrap();
    let set = |status| datastore.snapshot_set_status(&claim, status);
    set(SnapshotStatus::Executing).await.unwrap();
    let kind = if backing.is_some() {
        SnapshotType::Incremental
    } else {
        SnapshotType::Full
    };
    datastore
        .snapshot_set_chain(&claim, kind, backing.map(|it| it.id))
        .await
        .unwrap();
    set(SnapshotStatus::Uploading).await.unwrap();
    let outcome = SnapshotOutcome {
        size_bytes: 1,
        uploaded_bytes: 1,
        restore_bytes: 1,
        message: String::new(),
        warning: None,
    };
    datastore
        .snapshot_publish(&claim, outcome, None)
        .await
        .unwrap();
    datastore
        .flow_finish(&claim, FlowStatus::Done, None)
        .await
        .unwrap();
    claim
}

const DAILY: &str = "2026-06-01T00:00:00Z";

fn daily() -> Value {
    json!({"enabled": true, "start_date": "06/01/2026", "start_time": "09:00 PM"})
}

#[tokio::test]
async fn a_due_snapshot_is_asked_for_once() {
    let datastore = datastore(DAILY).await;
    let id = workload(&datastore, daily()).await;
    let now = utc("2026-06-01T21:00:04Z");
    let asked = Round {
        requested: 1,
        ..Round::default()
    };
    assert_eq!(
        run_round(&datastore, Some("main"), now).await.unwrap(),
        asked
    );
    let found = snapshots(&datastore, id).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "jobscheduler");
    assert_eq!(found[0].due_at, Some(utc("2026-06-01T21:00:00Z")));
    assert_eq!(found[0].target_id.as_deref(), Some("main"));
    assert_eq!(found[0].user_id.as_str(), "ann");
    let later = now + TimeDelta::seconds(30);
    assert_eq!(
        run_round(&datastore, None, later).await.unwrap(),
        Round::default()
    );
}

#[tokio::test]
async fn two_schedulers_at_once_ask_for_one_snapshot() {
    let datastore = datastore(DAILY).await;
    let id = workload(&datastore, daily()).await;
    let now = utc("2026-06-01T21:00:04Z");
    let (one, other) = tokio::join!(
        run_round(&datastore, None, now),
        run_round(&datastore, None, now)
    );
    assert_eq!(one.unwrap().requested + other.unwrap().requested, 1);
    assert_eq!(snapshots(&datastore, id).await.len(), 1);
}

#[tokio::test]
async fn a_busy_workload_is_served_when_it_is_free_again_but_not_after_the_grace() {
    let datastore = datastore(DAILY).await;
    let hourly = json!({"start_date": "06/01/2026", "start_time": "00:00", "interval": "1 hr"});
    workload(&datastore, hourly).await;
    let first = utc("2026-06-01T01:00:00Z");
    assert_eq!(
        run_round(&datastore, None, first).await.unwrap().requested,
        1
    );
    let second = utc("2026-06-01T02:00:00Z");
    assert_eq!(
        run_round(&datastore, None, second).await.unwrap().postponed,
        1
    );
    let past_grace = second + TimeDelta::seconds(601);
    assert_eq!(
        run_round(&datastore, None, past_grace).await.unwrap(),
        Round::default()
    );
    complete(&datastore, None).await;
    let within = second + TimeDelta::seconds(599);
    assert_eq!(
        run_round(&datastore, None, within).await.unwrap().requested,
        1
    );
}

#[tokio::test]
async fn a_full_backup_comes_after_the_configured_number_of_incrementals() {
    let datastore = datastore(DAILY).await;
    let hourly = json!({"start_date": "06/01/2026", "start_time": "00:00", "interval": "1 hr",
                        "fullbackup_interval": "2"});
    let id = workload(&datastore, hourly).await;
    let mut asked_full = Vec::new();
    for hour in 1..=7 {
        let now = utc(DAILY) + TimeDelta::hours(hour);
        let datastore = datastore.with_clock(move || now);
        assert_eq!(
            run_round(&datastore, None, now).await.unwrap().requested,
            1,
            "{hour}"
        );
        let all = snapshots(&datastore, id).await;
        let asked = all.iter().max_by_key(|it| it.due_at).unwrap();
        let is_full = asked.snapshot_type == SnapshotType::Full;
        asked_full.push(is_full);
        let newest = datastore.snapshot_newest_available(id).await.unwrap();
        complete(&datastore, newest.as_ref().filter(|_| !is_full)).await;
    }
    // The first is made full by the engine, whatever was asked for.
    assert_eq!(asked_full, [false, false, false, true, false, false, true]);
}

#[tokio::test]
async fn a_workload_with_a_broken_schedule_does_not_keep_others_from_their_backups() {
    let datastore = datastore(DAILY).await;
    workload(&datastore, json!({"interval": "now and then"})).await;
    let id = workload(&datastore, daily()).await;
    let round = run_round(&datastore, None, utc("2026-06-01T21:00:04Z"))
        .await
        .unwrap();
    assert_eq!(
        round,
        Round {
            requested: 1,
            postponed: 0,
            failed: 1
        }
    );
    assert_eq!(snapshots(&datastore, id).await.len(), 1);
}

#[tokio::test]
async fn a_workload_in_error_gets_no_scheduled_snapshot() {
    let datastore = datastore(DAILY).await;
    let id = workload(&datastore, daily()).await;
    datastore.workload_set_error(id, "broken").await.unwrap();
    let round = run_round(&datastore, None, utc("2026-06-01T21:00:04Z"))
        .await
        .unwrap();
    assert_eq!(round, Round::default());
}

fn settings(holder: &str) -> Settings {
    Settings {
        database: SecretString::from("unused"),
        host: "node".to_owned(),
        holder: holder.to_owned(),
        poll: Duration::from_millis(10),
        lease: Duration::from_secs(60),
        target_id: None,
    }
}

#[tokio::test]
async fn the_leader_works_reports_itself_and_gives_the_lease_back() {
    let datastore = Datastore::connect("sqlite::memory:").await.unwrap();
    datastore.migrate().await.unwrap();
    let past = datastore.with_clock(|| Utc::now() - TimeDelta::days(2));
    // Every hour on the hour of now, so that a slot is always within the grace.
    let start = Utc::now() - TimeDelta::days(1);
    let id = workload(
        &past,
        json!({"start_date": start.format("%m/%d/%Y").to_string(),
               "start_time": start.format("%H:%M").to_string(), "interval": "1 hr"}),
    )
    .await;
    let stop = CancellationToken::new();
    let settings = settings("one:1");
    let other_is_refused = async {
        let limit = tokio::time::Instant::now() + Duration::from_secs(20);
        while snapshots(&datastore, id).await.is_empty() {
            assert!(
                tokio::time::Instant::now() < limit,
                "no snapshot was asked for"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let lease = Duration::from_secs(60);
        let other = datastore
            .lease_acquire("backstay-scheduler", "two:2", lease)
            .await
            .unwrap();
        assert_eq!(other, None);
        stop.cancel();
    };
    tokio::join!(lead(&datastore, &settings, &stop), other_is_refused);
    assert_eq!(snapshots(&datastore, id).await.len(), 1);
    let services = datastore.service_list().await.unwrap();
    assert_eq!(services[0].binary, "backstay-scheduler");
    let lease = Duration::from_secs(60);
    assert!(
        datastore
            .lease_acquire("backstay-scheduler", "two:2", lease)
            .await
            .unwrap()
            .is_some()
    );
}
