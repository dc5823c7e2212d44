//! What is not done, and what is said then.

use std::process::{Command, Stdio};

use crate::shell::{C, Running, Shell, noise, wait_for};

fn one_point() -> Shell {
    let shell = Shell::new();
    shell.write("disk", &noise(3 * C, 1));
    shell.json("backup disk t --name web --point one");
    shell
}

#[test]
fn a_file_that_has_something_in_it_is_only_overwritten_by_force() {
    let shell = one_point();
    shell.write("mine", b"precious");
    assert!(shell.fails("restore t web mine", 1).contains("--force"));
    assert_eq!(shell.read("mine"), b"precious");
    shell.json("restore t web mine --force");
    assert!(shell.read("mine") == shell.read("disk"));
    // Nothing is lost of an empty one.
    shell.write("empty", b"");
    shell.json("restore t web empty");
    assert!(shell.read("empty") == shell.read("disk"));
}

#[test]
fn what_is_not_there_has_a_status_of_its_own() {
    let shell = one_point();
    for line in [
        "info t nobody",
        "info t web@never",
        "restore t nobody out",
        "restore t web@never out",
        "backup nothing t --name web",
        "info nowhere",
        "backup disk t --name other --changed disk",
    ] {
        shell.fails(line, 4);
    }
    assert!(!shell.path("out").exists());
}

#[test]
fn a_folder_is_a_target_only_when_it_was_made_one() {
    let shell = one_point();
    std::fs::create_dir(shell.path("plain")).unwrap();
    assert!(
        shell
            .fails("backup disk plain --name web", 1)
            .contains("not mounted")
    );
    assert_eq!(std::fs::read_dir(shell.path("plain")).unwrap().count(), 0);
    shell.json("backup disk plain --name web --initialise");
    shell.json("backup disk new/folder --name web --initialise");
}

#[test]
fn a_wrong_command_line_is_said_to_be_one() {
    let shell = one_point();
    for line in [
        "backup",
        "backup disk t",
        "backup disk t --name a@b",
        "backup disk t --name a --incremental --since b",
        "backup rbd:x t --name a",
        "restore t web@ out",
        "merge t web --keep 0",
        "nonsense",
    ] {
        shell.fails(line, 2);
    }
}

#[test]
fn a_point_has_one_name_and_a_name_one_point() {
    let shell = one_point();
    assert!(
        shell
            .fails("backup disk t --name web --point one", 1)
            .contains("already")
    );
    shell.fails("backup disk t --name web --point latest", 1);
    assert_eq!(
        shell.json("info t web")["points"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn an_nbd_disk_is_read_and_written_and_must_be_large_enough() {
    let shell = one_point();
    let (small, large) = (3 * C - 512, 5 * C);
    for (name, size) in [("small", small), ("large", large)] {
        let bytes = vec![0xee; size];
        shell.write(name, &bytes);
        let socket = shell.path(&format!("{name}.sock"));
        let child = Command::new("qemu-nbd")
            .args(["-t", "-f", "raw", "-x", "disk", "-k"])
            .arg(&socket)
            .arg(shell.path(name))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _server = Running(child);
        wait_for("qemu-nbd does not serve", || socket.exists());
        let uri = format!("nbd+unix:///disk?socket={}", socket.display());
        assert!(
            shell
                .fails(&format!("restore t web {uri}"), 1)
                .contains("--force")
        );
        let line = format!("restore t web {uri} --force");
        if name == "small" {
            assert!(shell.fails(&line, 1).contains("bytes"));
            assert!(shell.read(name) == bytes);
            continue;
        }
        shell.json(&line);
        assert!(shell.read(name)[..3 * C] == shell.read("disk"));
        assert!(shell.read(name)[3 * C..].iter().all(|byte| *byte == 0xee));
        shell.json(&format!("backup {uri} t --name nbd"));
        shell.assert_restores("nbd", &shell.read(name));
    }
}

#[test]
fn a_full_target_is_said_to_be_full_and_keeps_nothing() {
    let shell = one_point();
    shell.write("large", &noise(80 * C, 9));
    std::fs::create_dir(shell.path("full")).unwrap();
    let script = r#"mount -t tmpfs -o size=3m none full &&
        "$0" backup disk full --name web --initialise --compression none >&2 &&
        ! "$0" backup large full --name large --compression none >&2 &&
        find full -name '*partial*' && "$0" verify full >&2 && "$0" info full"#;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(env!("CARGO_BIN_EXE_backstay-datamover"))
        .current_dir(shell.path(""))
        .env("BACKSTAY_STATE", shell.path("state"))
        .output()
        .unwrap();
    let (out, told) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{out}{told}");
    assert!(told.contains("the target is full"), "{told}");
    assert!(!out.contains("partial") && !out.contains("large"), "{out}");
    assert!(out.contains("web"), "{out}");
}
