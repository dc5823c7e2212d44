//! Logging in, finding the API, and the ways in which both fail: exit status 3.

use serde_json::json;

use crate::requests::full;
use crate::stub::{PASSWORD, PROJECT, Stub, TOKEN_BEGIN, service};
use crate::workloadmgr::{Ended, bare, command, run, succeed};

fn v3(stub: &Stub) -> String {
    format!("{}/v3", stub.url)
}

#[test]
fn a_password_is_sent_with_user_project_and_domains() {
    let stub = full();
    let mut command = command(&stub, &["workload-list"]);
    command
        .env("OS_USER_DOMAIN_NAME", "Users")
        .env("OS_PROJECT_DOMAIN_ID", "projects");
    assert!(command.output().unwrap().status.success());
    let auth = &stub.logins()[0]["auth"];
    let user = &auth["identity"]["password"]["user"];
    assert_eq!(user["name"], "demo");
    assert_eq!(user["domain"], json!({"name": "Users"}));
    assert_eq!(auth["scope"]["project"]["name"], "demo");
    assert_eq!(auth["scope"]["project"]["domain"]["id"], "projects");
}

#[test]
fn domains_default_to_the_default_domain() {
    let stub = full();
    succeed(&stub, &["workload-list"]);
    let auth = &stub.logins()[0]["auth"];
    assert_eq!(
        auth["identity"]["password"]["user"]["domain"],
        json!({"id": "default"})
    );
    assert_eq!(auth["scope"]["project"]["domain"]["id"], "default");
}

#[test]
fn options_win_over_the_environment_and_may_follow_the_command() {
    let stub = full();
    succeed(
        &stub,
        &[
            "--os-username",
            "a",
            "workload-list",
            "--os-project-id",
            "pid",
        ],
    );
    let auth = &stub.logins()[0]["auth"];
    assert_eq!(auth["identity"]["password"]["user"]["name"], "a");
    assert_eq!(auth["scope"]["project"]["id"], "pid");
}

#[test]
fn an_application_credential_needs_no_user_and_no_project() {
    let stub = full();
    let ended: Ended = bare(&["workload-list"])
        .env("OS_AUTH_URL", v3(&stub))
        .env("OS_AUTH_TYPE", "v3applicationcredential")
        .env("OS_APPLICATION_CREDENTIAL_ID", "ac")
        .env("OS_APPLICATION_CREDENTIAL_SECRET", PASSWORD)
        .env("OS_REGION_NAME", "One")
        .output()
        .unwrap()
        .into();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let identity = &stub.logins()[0]["auth"]["identity"];
    assert_eq!(identity["application_credential"]["id"], "ac");
}

#[test]
fn a_token_is_enough() {
    let stub = full();
    let ended: Ended = bare(&["workload-list"])
        .env("OS_AUTH_URL", v3(&stub))
        .env("OS_TOKEN", "given-token")
        .env("OS_PROJECT_NAME", "demo")
        .env("OS_REGION_NAME", "One")
        .output()
        .unwrap()
        .into();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(
        stub.logins()[0]["auth"]["identity"]["token"]["id"],
        "given-token"
    );
}

#[test]
fn a_cloud_of_clouds_yaml_is_not_mixed_with_the_environment() {
    let stub = full();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clouds.yaml");
    let text = format!(
        "clouds:\n  My-Cloud:\n    auth:\n      auth_url: {}\n      username: yaml-user\n      \
         password: {PASSWORD}\n      project_name: demo\n      user_domain_name: Default\n      \
         project_domain_name: Default\n    region_name: One\n    interface: public\n",
        v3(&stub)
    );
    std::fs::write(&file, text).unwrap();
    for arguments in [
        &["workload-list", "--os-cloud", "My-Cloud"][..],
        &["workload-list"],
    ] {
        let mut command = bare(arguments);
        command
            .env("OS_CLIENT_CONFIG_FILE", &file)
            .env("OS_USERNAME", "of-another-cloud");
        if arguments.len() == 1 {
            command.env("OS_CLOUD", "My-Cloud");
        }
        let ended: Ended = command.output().unwrap().into();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
    for login in stub.logins() {
        assert_eq!(
            login["auth"]["identity"]["password"]["user"]["name"],
            "yaml-user"
        );
    }
    let ended: Ended = bare(&["workload-list", "--os-cloud", "nope"])
        .env("OS_CLIENT_CONFIG_FILE", &file)
        .output()
        .unwrap()
        .into();
    assert_eq!(ended.code, 3);
    assert_eq!(
        ended.stderr,
        "ERROR:workloadmgr:clouds.yaml has no cloud named 'nope'\n"
    );
}

#[test]
fn region_and_interface_choose_the_endpoint() {
    let stub = full();
    let list = json!({"workloads": []});
    let internal = format!("GET /internal/One/v1/{PROJECT}/workloads");
    let second = format!("GET /public/Two/v1/{PROJECT}/workloads");
    stub.on(&internal, 200, &list).on(&second, 200, &list);
    succeed(
        &stub,
        &["workload-list", "--os-endpoint-type", "internalURL"],
    );
    succeed(&stub, &["workload-list", "--os-region-name", "Two"]);
    assert_eq!(stub.lines(), [internal, second]);
    let ended = run(&stub, &["workload-list", "--os-interface", "admin"]);
    assert_eq!(ended.code, 3);
    assert!(
        ended.stderr.contains("has no admin (region One) endpoint"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_service_under_an_older_name_is_found() {
    let stub = full();
    stub.catalog(json!([service("wlm", "TrilioVaultWLM", &stub.url)]));
    succeed(&stub, &["workload-list"]);
}

#[test]
fn no_service_in_the_catalog_is_told() {
    let stub = full();
    stub.catalog(json!([service("compute", "nova", &stub.url)]));
    let ended = run(&stub, &["workload-list"]);
    assert_eq!(ended.code, 3);
    assert!(
        ended.stderr.contains("no service of type workloads"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_wrong_password_is_told_with_keystones_words() {
    let stub = full();
    let ended = run(&stub, &["workload-list", "--os-password", "wrong"]);
    assert_eq!(ended.code, 3);
    assert_eq!(
        ended.stderr,
        format!(
            "ERROR:workloadmgr:Keystone at {} did not let us in: The request you have made \
            requires authentication.\n",
            v3(&stub)
        )
    );
    assert!(stub.lines().is_empty());
}

#[test]
fn a_keystone_that_is_down_and_no_cloud_at_all_are_told() {
    let ended: Ended = bare(&["workload-list"]).output().unwrap().into();
    assert_eq!(ended.code, 3);
    assert!(
        ended.stderr.contains("no cloud is chosen: set OS_CLOUD"),
        "{}",
        ended.stderr
    );
    let ended: Ended = bare(&[
        "workload-list",
        "--os-auth-url",
        "http://127.0.0.1:1/v3",
        "--os-username",
        "u",
        "--os-password",
        "p",
        "--os-project-name",
        "p",
    ])
    .output()
    .unwrap()
    .into();
    assert_eq!(ended.code, 3);
    assert!(ended.stderr.contains("127.0.0.1:1"), "{}", ended.stderr);
    assert!(ended.stderr.contains("refused"), "{}", ended.stderr);
}

#[test]
fn debug_shows_requests_but_no_secret() {
    let stub = full();
    let ended = succeed(&stub, &["--debug", "trust-create", "member"]);
    assert!(
        ended.stderr.contains("DEBUG:workloadmgr:POST "),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("is_cloud_trust"));
    assert!(ended.stderr.contains("200 OK in "));
    assert!(!ended.stderr.contains(TOKEN_BEGIN));
    assert!(!ended.stderr.contains(PASSWORD));
    assert_eq!(succeed(&stub, &["trust-list"]).stderr, "");
}

#[test]
fn nothing_is_left_on_disk() {
    let stub = full();
    let home = tempfile::tempdir().unwrap();
    let mut command = command(&stub, &["workload-list"]);
    command
        .env("HOME", home.path())
        .env_remove("XDG_CONFIG_HOME");
    assert!(command.output().unwrap().status.success());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn an_application_credential_by_name_names_its_user() {
    let stub = full();
    let ended: Ended = bare(&["workload-list", "--os-username", "demo"])
        .env("OS_AUTH_URL", &stub.url)
        .env("OS_APPLICATION_CREDENTIAL_NAME", "ci")
        .env("OS_APPLICATION_CREDENTIAL_SECRET", PASSWORD)
        .env("OS_REGION_NAME", "One")
        .output()
        .unwrap()
        .into();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let credential = &stub.logins()[0]["auth"]["identity"]["application_credential"];
    assert_eq!(credential["name"], "ci");
    assert_eq!(credential["user"]["name"], "demo");
    assert_eq!(stub.logins()[0]["auth"].get("scope"), None);
}

#[test]
fn an_incomplete_login_says_what_is_missing() {
    let cases: [(&[&str], &str); 5] = [
        (&["--os-username", "u"], "lacks the password (OS_PASSWORD)"),
        (
            &["--os-password", "p"],
            "lacks the user's name (OS_USERNAME)",
        ),
        (
            &["--os-auth-type", "v3totp"],
            "login method v3totp is not supported",
        ),
        (
            &["--os-auth-type", "v3applicationcredential"],
            "OS_APPLICATION_CREDENTIAL_SECRET",
        ),
        (
            &[
                "--os-username",
                "u",
                "--os-password",
                "p",
                "--os-cacert",
                "/none",
            ],
            "/none",
        ),
    ];
    for (more, part) in cases {
        let arguments = [
            &["workload-list", "--os-auth-url", "http://127.0.0.1:1"],
            more,
        ]
        .concat();
        let ended: Ended = bare(&arguments).output().unwrap().into();
        assert_eq!(ended.code, 3);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn secrets_may_stand_in_secure_yaml() {
    let stub = full();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/openstack");
    std::fs::create_dir_all(&folder).unwrap();
    let clouds = format!(
        "clouds:\n  mine:\n    region_name: One\n    auth: {{auth_url: '{}', username: demo, \
         project_name: demo}}\n",
        stub.url
    );
    let secure = format!("clouds:\n  mine:\n    auth:\n      password: {PASSWORD}\n");
    std::fs::write(folder.join("clouds.yaml"), clouds).unwrap();
    std::fs::write(folder.join("secure.yaml"), secure).unwrap();
    let mut command = bare(&["workload-list", "--os-cloud", "mine"]);
    let ended: Ended = command.env("HOME", home.path()).output().unwrap().into();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    std::fs::write(folder.join("secure.yaml"), "clouds: [").unwrap();
    let mut command = bare(&["workload-list", "--os-cloud", "mine"]);
    let ended: Ended = command.env("HOME", home.path()).output().unwrap().into();
    assert_eq!(ended.code, 3);
    assert!(
        ended.stderr.contains("secure.yaml could not be read"),
        "{}",
        ended.stderr
    );
}
