//! Keystone trusts.

use services_db::{Conflict, Datastore, NewTrust, Trust};

use crate::build::{Clock, conflict, is_not_found};

fn new_trust(name: &str, user: &str, project: &str) -> NewTrust {
    NewTrust {
        name: name.to_owned(),
        trust_id: format!("id-of-{name}").parse().unwrap(),
        user_id: user.parse().unwrap(),
        project_id: project.parse().unwrap(),
        description: format!("token id for user {user} project {project}"),
        roles: "member,creator".to_owned(),
    }
}

async fn found(store: &Datastore, user: &str, project: &str) -> Option<Trust> {
    let (user, project) = (user.parse().unwrap(), project.parse().unwrap());
    store.trust_fetch(&user, &project).await.unwrap()
}

pub(crate) async fn a_trust_is_found_by_user_and_by_name(store: Datastore) {
    for (name, user, project) in [("t1", "u1", "p1"), ("t2", "u2", "p1"), ("t3", "u1", "p2")] {
        let replaced = store
            .trust_store(new_trust(name, user, project))
            .await
            .unwrap();
        assert!(replaced.is_empty());
    }
    let trust = found(&store, "u1", "p1").await.unwrap();
    assert_eq!(
        (trust.name.as_str(), trust.trust_id.as_str()),
        ("t1", "id-of-t1")
    );
    assert_eq!(trust.roles, "member,creator");
    assert_eq!(trust.description, "token id for user u1 project p1");
    assert_eq!(store.trust_fetch_by_name("t1").await.unwrap(), trust);
    assert_eq!(found(&store, "u2", "p2").await, None);
    let listed = store.trust_list(&"p1".parse().unwrap()).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(is_not_found(&store.trust_fetch_by_name("t9").await));
    let refused = conflict(store.trust_store(new_trust("t2", "u3", "p1")).await);
    assert_eq!(refused, Conflict::Exists { what: "trust" });
}

pub(crate) async fn a_new_one_replaces_the_old_of_the_same_user(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    store
        .trust_store(new_trust("t1", "u1", "p1"))
        .await
        .unwrap();
    store
        .trust_store(new_trust("other", "u2", "p1"))
        .await
        .unwrap();
    clock.forward(std::time::Duration::from_secs(1));
    let replaced = store
        .trust_store(new_trust("t2", "u1", "p1"))
        .await
        .unwrap();
    let names: Vec<_> = replaced.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["t1"]);
    assert_eq!(found(&store, "u1", "p1").await.unwrap().name, "t2");
    assert!(is_not_found(&store.trust_fetch_by_name("t1").await));
    assert_eq!(found(&store, "u2", "p1").await.unwrap().name, "other");
}

pub(crate) async fn a_forgotten_one_is_gone(store: Datastore) {
    store
        .trust_store(new_trust("t1", "u1", "p1"))
        .await
        .unwrap();
    store.trust_delete("t1").await.unwrap();
    assert_eq!(found(&store, "u1", "p1").await, None);
    assert!(is_not_found(&store.trust_delete("t1").await));
    let listed = store.trust_list(&"p1".parse().unwrap()).await.unwrap();
    assert!(listed.is_empty());
}
