use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::{Config, ConfigError};
use crate::error_chain::ErrorChain;

fn config(texts: &[&str], environment: &[(&str, &str)]) -> Config {
    try_config(texts, environment).unwrap()
}

fn try_config(texts: &[&str], environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let texts = texts.iter().enumerate();
    Config::from_texts(
        texts.map(|(i, text)| (PathBuf::from(format!("/etc/{i}.conf")), (*text).to_owned())),
        environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
    )
}

#[test]
fn a_later_file_wins_and_the_environment_wins_over_files() {
    let config = config(
        &[
            "[a]\none = 1\ntwo = 1\nthree = 1\n",
            "[a]\ntwo = 2\nthree = 2\n",
        ],
        &[("BACKSTAY_A__THREE", "3")],
    );
    let get = |key| config.get::<u32>("a", key).unwrap();
    assert_eq!(
        (get("one"), get("two"), get("three")),
        (Some(1), Some(2), Some(3))
    );
}

#[test]
fn a_section_that_is_opened_twice_is_one_section_and_the_last_value_holds() {
    let config = config(&["[a]\nx = 1\n[b]\ny = 1\n[a]\nx = 2\n"], &[]);
    assert_eq!(config.require::<u32>("a", "x").unwrap(), 2);
}

#[test]
fn characters_that_other_ini_dialects_interpret_are_kept() {
    let config = config(&["[a]\npassword = a#b;c\"d\\e=f%g\n"], &[]);
    let password = config.require_secret("a", "password").unwrap();
    assert_eq!(password.expose_secret(), "a#b;c\"d\\e=f%g");
    assert!(!format!("{password:?}").contains("a#b"));
}

#[test]
fn comments_and_empty_values_are_not_set() {
    let config = config(&["# x\n[a]\n; y\n#z = 1\nempty =\n"], &[]);
    assert_eq!(config.get::<String>("a", "empty").unwrap(), None);
    assert_eq!(config.get_or("a", "z", 7_u16).unwrap(), 7);
}

#[test]
fn lists_are_separated_by_commas_or_lines() {
    let config = config(&["[a]\nx = /b, /c,,\ny =\n  /d\n  /e\nz = 1\n"], &[]);
    assert_eq!(
        config.list::<PathBuf>("a", "x").unwrap(),
        ["/b", "/c"].map(PathBuf::from)
    );
    assert_eq!(
        config.list::<PathBuf>("a", "y").unwrap(),
        ["/d", "/e"].map(PathBuf::from)
    );
    assert!(config.list::<String>("a", "none").unwrap().is_empty());
    assert_eq!(config.require::<u8>("a", "z").unwrap(), 1);
}

#[test]
fn flags_take_the_words_of_oslo() {
    let config = config(&["[a]\nx = Yes\ny = off\nz = maybe\n"], &[]);
    assert!(config.flag("a", "x", false).unwrap());
    assert!(!config.flag("a", "y", true).unwrap());
    assert!(config.flag("a", "other", true).unwrap());
    assert!(config.flag("a", "z", true).is_err());
}

#[test]
fn an_error_names_file_section_and_key_and_never_the_value() {
    let config = config(&["[a]\nx = secret-word\n"], &[]);
    let error = config.get::<u32>("a", "x").unwrap_err();
    let text = ErrorChain(&error).to_string();
    assert_eq!(
        text,
        "/etc/0.conf: [a] x is not valid: invalid digit found in string"
    );
    let error = config.require::<u32>("a", "y").unwrap_err();
    assert_eq!(
        error.to_string(),
        "[a] y is not set (looked in /etc/0.conf, BACKSTAY_A__Y)"
    );
}

#[test]
fn a_line_that_is_none_is_refused_with_its_file() {
    let Err(error) = try_config(&["[a]\nx = 1\nnonsense\n"], &[]) else {
        panic!("accepted");
    };
    assert!(
        error.to_string().starts_with("/etc/0.conf, line "),
        "{error}"
    );
    let Err(error) = try_config(&["x = 1\n[a]\n"], &[]) else {
        panic!("accepted");
    };
    assert!(
        error.to_string().contains("before the first section"),
        "{error}"
    );
}

#[test]
fn sections_are_found_by_prefix() {
    let config = config(
        &["[target:b]\npath = /b\n[target:a]\npath = /a\n[other]\nx=1\n"],
        &[],
    );
    assert_eq!(config.sections_named("target:"), ["a", "b"]);
    assert_eq!(config.require::<String>("target:a", "path").unwrap(), "/a");
}

#[test]
fn a_section_with_other_characters_has_a_variable_of_underscores() {
    let config = config(
        &["[target:nfs-1]\npath = /b\n"],
        &[("BACKSTAY_TARGET_NFS_1__PATH", "/c")],
    );
    assert_eq!(
        config.require::<String>("target:nfs-1", "path").unwrap(),
        "/c"
    );
}

#[test]
fn what_nobody_asked_for_is_unknown() {
    let config = config(
        &["[a]\nx = 1\nlog_levle = 1\n"],
        &[
            ("BACKSTAY_A__X", "2"),
            ("BACKSTAY_B__Y", "1"),
            ("HOME", "/"),
            ("BACKSTAY_HOME", "/"),
        ],
    );
    assert_eq!(config.require::<u8>("a", "x").unwrap(), 2);
    assert_eq!(
        config.unknown(),
        ["/etc/0.conf: [a] log_levle", "BACKSTAY_B__Y"]
    );
}

#[test]
fn a_setting_of_another_program_that_shares_the_file_is_not_strange() {
    let text = "[api]\nport = 1\nprot = 2\n[engine]\nworkers = 3\n".to_owned();
    let environment = [("BACKSTAY_API__LISTEN".to_owned(), "::".to_owned())];
    let config = Config::from_texts(vec![("a.conf".into(), text)], environment).unwrap();
    assert_eq!(config.get::<u16>("engine", "workers").unwrap(), Some(3));
    let sample = "[api]\n#listen = 127.0.0.1\n# Where to listen.\n#port = 8780\n";
    assert_eq!(config.strange(sample), ["a.conf: [api] prot"]);
}

#[test]
fn one_of_several_sections_of_a_kind_is_not_strange() {
    let text = "[target:far]\npath = /a\npaht = /b\n".to_owned();
    let config = Config::from_texts(vec![("a.conf".into(), text)], []).unwrap();
    let sample = "[target]\npath = /var/lib\n";
    assert_eq!(config.strange(sample), ["a.conf: [target:far] paht"]);
}
