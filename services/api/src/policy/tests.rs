use std::io::Write;

use chrono::Utc;

use super::*;

fn token(project: &str, roles: &[&str]) -> TokenInfo {
    TokenInfo {
        user_id: "u-1".to_owned(),
        user_name: "ann".to_owned(),
        project_id: Some(project.to_owned()),
        project_name: Some("demo".to_owned()),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        is_admin_project: false,
        trust_id: None,
        expires_at: Utc::now(),
    }
}

fn project(id: &str) -> ProjectId {
    id.parse().unwrap()
}

const CREATE: &str = "workload:workload_create";

#[test]
fn by_default_owners_and_admins_may_and_others_may_not() {
    let policy = Policy::load(None).unwrap();
    for (who, of, may) in [
        (token("p-1", &["member"]), "p-1", true),
        (token("p-1", &["member"]), "p-2", false),
        (token("p-1", &["admin"]), "p-2", true),
        (token("p-1", &["ADMIN"]), "p-2", true),
    ] {
        assert_eq!(
            policy.allows(CREATE, &who, &project(of)),
            may,
            "{who:?} {of}"
        );
    }
}

#[test]
fn an_operation_without_a_rule_is_refused_to_everybody() {
    let policy = Policy::load(None).unwrap();
    assert!(!policy.allows(
        "workload:unheard_of",
        &token("p-1", &["admin"]),
        &project("p-1")
    ));
}

fn file_with(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn a_rule_of_the_file_binds_admins_too_and_a_change_is_seen_at_once() {
    let file = file_with(
        "{\n\"backup_admin\": [[\"role:backup\"]],\n\"workload:workload_create\": \"rule:backup_admin\"\n}",
    );
    let policy = Policy::load(Some(file.path().to_owned())).unwrap();
    let (admin, backup) = (token("p-1", &["admin"]), token("p-1", &["backup"]));
    assert!(!policy.allows(CREATE, &admin, &project("p-1")));
    assert!(policy.allows(CREATE, &backup, &project("p-1")));
    std::fs::write(
        file.path(),
        "\"workload:workload_create\": \"rule:admin_api\"\n",
    )
    .unwrap();
    assert!(policy.allows(CREATE, &admin, &project("p-1")));
    assert!(!policy.allows(CREATE, &backup, &project("p-1")));
}

#[test]
fn a_file_that_breaks_later_leaves_the_rules_as_they_were() {
    let file = file_with("\"workload:workload_create\": \"!\"");
    let policy = Policy::load(Some(file.path().to_owned())).unwrap();
    for broken in [
        "{ not yaml",
        "\"workload:workload_create\": \"role:\"",
        "\"a\": \"rule:a\"",
    ] {
        std::fs::write(file.path(), broken).unwrap();
        assert!(
            !policy.allows(CREATE, &token("p-1", &["admin"]), &project("p-1")),
            "{broken}"
        );
    }
    std::fs::remove_file(file.path()).unwrap();
    assert!(!policy.allows(CREATE, &token("p-1", &["admin"]), &project("p-1")));
}

#[test]
fn at_the_start_a_bad_file_is_an_error() {
    assert!(matches!(
        Policy::load(Some("/nowhere/policy.yaml".into())),
        Err(PolicyError::Read { .. })
    ));
    for bad in [
        "- a list",
        "\"x\": \"(role:a\"",
        "\"a\": \"rule:b\"\n\"b\": \"not rule:a\"",
    ] {
        let file = file_with(bad);
        assert!(Policy::load(Some(file.path().to_owned())).is_err(), "{bad}");
    }
    let empty = file_with("# nothing yet\n");
    assert!(Policy::load(Some(empty.path().to_owned())).is_ok());
}
