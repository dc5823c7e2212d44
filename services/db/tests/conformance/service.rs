//! Programs that report themselves.

use std::time::Duration;

use services_db::Datastore;

use crate::build::{Clock, at_once};

pub(crate) async fn a_heartbeat_makes_one_row_a_program(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    store
        .service_heartbeat("node-2", "backstay-api")
        .await
        .unwrap();
    store
        .service_heartbeat("node-1", "backstay-engine")
        .await
        .unwrap();
    clock.forward(Duration::from_secs(10));
    store
        .service_heartbeat("node-2", "backstay-api")
        .await
        .unwrap();
    let listed = store.service_list().await.unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|it| (it.host.as_str(), it.binary.as_str()))
        .collect();
    assert_eq!(
        names,
        [("node-1", "backstay-engine"), ("node-2", "backstay-api")]
    );
    assert_eq!(listed[1].last_seen_at, clock.now());
    assert_eq!(
        listed[1].last_seen_at - listed[0].last_seen_at,
        chrono::TimeDelta::seconds(10)
    );
    assert!(!listed[0].is_disabled && listed[0].disabled_reason.is_none());
    assert!(!listed[0].version.is_empty());
}

pub(crate) async fn many_first_heartbeats_at_once_make_one_row(store: Datastore) {
    let tasks = (0..6).map(|_| {
        let store = store.clone();
        async move { store.service_heartbeat("node-1", "backstay-api").await }
    });
    for outcome in at_once(tasks).await {
        outcome.unwrap();
    }
    assert_eq!(store.service_list().await.unwrap().len(), 1);
}
