//! Leases by name.

use std::time::Duration;

use services_db::Datastore;

use crate::build::{Clock, LEASE, at_once, is_fenced};

pub(crate) async fn it_has_one_holder_until_it_runs_out(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let first = store
        .lease_acquire("scheduler", "n1", LEASE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (first.name.as_str(), first.holder.as_str(), first.epoch),
        ("scheduler", "n1", 1)
    );
    assert_eq!(
        store.lease_acquire("scheduler", "n2", LEASE).await.unwrap(),
        None
    );
    assert!(
        store
            .lease_acquire("other", "n2", LEASE)
            .await
            .unwrap()
            .is_some()
    );
    clock.forward(LEASE - Duration::from_secs(1));
    store.lease_renew(&first, LEASE).await.unwrap();
    clock.forward(LEASE - Duration::from_secs(1));
    assert_eq!(
        store.lease_acquire("scheduler", "n2", LEASE).await.unwrap(),
        None
    );
    clock.forward(Duration::from_secs(1));
    let second = store
        .lease_acquire("scheduler", "n2", LEASE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(second.epoch, 2);
    assert!(is_fenced(&store.lease_renew(&first, LEASE).await));
    store.lease_release(&first).await.unwrap();
    store.lease_renew(&second, LEASE).await.unwrap();
}

pub(crate) async fn of_many_who_want_it_one_gets_it(store: Datastore) {
    let tasks = (0..8).map(|number| {
        let store = store.clone();
        async move {
            let holder = format!("n{number}");
            store
                .lease_acquire("scheduler", &holder, LEASE)
                .await
                .unwrap()
        }
    });
    let granted = at_once(tasks).await.into_iter().flatten().count();
    assert_eq!(granted, 1);
}

pub(crate) async fn its_own_holder_gets_it_again_and_the_old_grant_is_void(store: Datastore) {
    let first = store
        .lease_acquire("scheduler", "n1", LEASE)
        .await
        .unwrap()
        .unwrap();
    let second = store
        .lease_acquire("scheduler", "n1", LEASE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(second.epoch, first.epoch + 1);
    assert!(is_fenced(&store.lease_renew(&first, LEASE).await));
    store.lease_renew(&second, LEASE).await.unwrap();
}

pub(crate) async fn released_it_is_free_at_once(store: Datastore) {
    let first = store
        .lease_acquire("scheduler", "n1", LEASE)
        .await
        .unwrap()
        .unwrap();
    store.lease_release(&first).await.unwrap();
    assert!(is_fenced(&store.lease_renew(&first, LEASE).await));
    let second = store
        .lease_acquire("scheduler", "n2", LEASE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(second.epoch, 2);
}
