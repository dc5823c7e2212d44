//! Reaching a database and preparing it.

use services_db::{Datastore, Error};

use crate::build::{at_once, conflict, new_snapshot, workload};
use crate::database::Database;

async fn many_migrate_at_once(url: String) {
    let tasks = (0..6).map(|_| {
        let url = url.clone();
        async move {
            let store = Datastore::connect(&url).await?;
            store.migrate().await?;
            Ok::<_, Error>(store.workload_type_list().await?.len())
        }
    });
    for outcome in at_once(tasks).await {
        assert_eq!(outcome.unwrap(), 2);
    }
}

/// What one process writes, another sees at once, and neither passes the other at the gate.
async fn two_processes_share_it(first: &Datastore, url: &str) {
    let second = Datastore::connect(url).await.unwrap();
    second.migrate().await.unwrap();
    let workload_id = workload(first, &["a"]).await;
    assert_eq!(
        second.workload_fetch(workload_id).await.unwrap().id,
        workload_id
    );
    let request = |store: &Datastore| {
        let store = store.clone();
        async move {
            let flow_id = services_types::FlowId::random();
            store
                .snapshot_request(new_snapshot(workload_id), flow_id)
                .await
        }
    };
    let outcomes = at_once([first, &second, first, &second].map(request)).await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for refused in lost {
        conflict(refused);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_programs_that_start_at_once_migrate_sqlite_once() {
    let (url, _folder) = Database::sqlite_url();
    many_migrate_at_once(url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_that_start_at_once_migrate_mariadb_once() {
    let (url, _) = Database::mariadb_url();
    many_migrate_at_once(url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_a_sqlite_file() {
    let database = Database::sqlite().await;
    two_processes_share_it(&database.store, &database.url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_a_mariadb() {
    let database = Database::mariadb().await;
    two_processes_share_it(&database.store, &database.url).await;
}

#[tokio::test]
async fn sqlite_in_memory_serves_many_tasks() {
    let store = Datastore::connect("sqlite::memory:").await.unwrap();
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    let tasks = (0..6).map(|number| {
        let store = store.clone();
        async move { workload(&store, &[&format!("server-{number}")]).await }
    });
    at_once(tasks).await;
    assert_eq!(store.workload_list(None).await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_sqlite_file_outlives_its_process() {
    let (url, _folder) = Database::sqlite_url();
    let store = Datastore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    let id = workload(&store, &["a"]).await;
    drop(store);
    let store = Datastore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store.workload_fetch(id).await.unwrap().id, id);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable_and_its_password_is_not_told() {
    let url = "mysql://backstay:secret-word@127.0.0.1:1/backstay";
    let refused = Datastore::connect(url).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
    assert!(!format!("{refused:?}").contains("secret-word"));
    let stray = std::path::Path::new("mysql:");
    assert!(!stray.exists(), "no file of SQLite's is made in its place");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_unavailable() {
    let refused = Datastore::connect("sqlite:////no/such/folder/db").await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })));
}

/// As after a restart of the server, or a proxy's time limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_server_closed_are_replaced() {
    let database = Database::mariadb().await;
    let name = database.url.split(['/', '?']).nth(3).unwrap();
    let server = tests_support::MariaDb::of_this_run().unwrap();
    let connections = server
        .query(&format!(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{name}'"
        ))
        .unwrap();
    assert!(connections.lines().count() > 0);
    for connection in connections.lines() {
        server
            .query(&format!("KILL CONNECTION {connection}"))
            .unwrap();
    }
    let id = workload(&database.store, &["a"]).await;
    assert_eq!(database.store.workload_fetch(id).await.unwrap().id, id);
}

/// The contract's tests read `select * from workload_types` and expect the id in the sixth column.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_stands_in_the_sixth_column_of_workload_types() {
    let database = Database::mariadb().await;
    let name = database.url.split(['/', '?']).nth(3).unwrap();
    let server = tests_support::MariaDb::of_this_run().unwrap();
    let columns = server
        .query(&format!(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{name}' \
             AND TABLE_NAME = 'workload_types' ORDER BY ORDINAL_POSITION"
        ))
        .unwrap();
    assert_eq!(columns.lines().nth(5), Some("id"));
}
