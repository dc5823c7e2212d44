//! A point over NBD, judged by other people's clients.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use agent_blocks::nbd::Reply;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::shell::{C, Running, Shell, noise};

fn exported(shell: &Shell, line: &str) -> (Running, String) {
    let mut command = shell.command(&format!("export {line} --json"));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut told).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    (Running(child), told["uri"].as_str().unwrap().to_owned())
}

fn succeeds(program: &str, arguments: &[&str], folder: &Path) -> bool {
    let mut command = Command::new(program);
    let output = command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    output.status.success()
}

/// A chain of three, with zeroes over data, compressed and not.
fn chain() -> Shell {
    let shell = Shell::new();
    let mut bytes = noise(90 * C + 1024, 1);
    bytes[10 * C..30 * C].fill(0);
    shell.write("disk", &bytes);
    shell.json("backup disk t --name web --point one --compression none");
    bytes[40 * C..50 * C].fill(0);
    bytes[12 * C..14 * C].copy_from_slice(&noise(2 * C, 2));
    shell.write("disk", &bytes);
    shell.json("backup disk t --name web --point two --incremental --compression zstd");
    bytes[80 * C + 9] ^= 1;
    shell.write("disk", &bytes);
    shell.json("backup disk t --name web --point three --incremental --compression zlib");
    shell
}

#[test]
fn every_client_reads_the_disk_as_it_was() {
    let shell = chain();
    for address in ["s", "127.0.0.1:0"] {
        let (mut server, uri) = exported(&shell, &format!("t web --nbd {address}"));
        let folder = shell.path("");
        let qemu = ["compare", "-f", "raw", "-F", "raw", "disk", &uri];
        assert!(succeeds("qemu-img", &qemu, &folder), "{uri}");
        assert!(succeeds(
            "qemu-img",
            &["convert", "-O", "raw", &uri, "a"],
            &folder
        ));
        assert!(shell.read("a") == shell.read("disk"));
        assert!(succeeds("nbdcopy", &[&uri, "b"], &folder));
        assert!(shell.read("b") == shell.read("disk"));
        assert!(succeeds(
            "nbdcopy",
            &["--synchronous", "--connections=1", &uri, "c"],
            &folder
        ));
        assert!(shell.read("c") == shell.read("disk"));
        assert!(succeeds("nbdinfo", &["--list", &uri], &folder));
        assert!(succeeds("nbdinfo", &["--is", "read-only", &uri], &folder));
        let map = Command::new("nbdinfo")
            .args(["--map", "--totals", &uri])
            .output()
            .unwrap();
        let map = String::from_utf8_lossy(&map.stdout).into_owned();
        // 18 clusters that were always zero and ten that have become so.
        assert!(map.contains(&(28 * C).to_string()), "{map}");
        assert_eq!(server.signal(Signal::SIGINT).code(), Some(0));
        assert!(!shell.path("s").exists());
    }
}

#[test]
fn our_own_client_reads_an_earlier_point() {
    let shell = chain();
    let (_server, uri) = exported(&shell, "t web@one --nbd s");
    shell.json(&format!("backup {uri} t --name copy"));
    shell.json("restore t web@one one");
    shell.assert_restores("copy", &shell.read("one"));
}

#[test]
fn a_disk_of_an_odd_size_or_none_is_served() {
    let shell = Shell::new();
    for size in [0, 1, 65_537] {
        let bytes = noise(size, 3);
        shell.write("disk", &bytes);
        shell.json(&format!("backup disk t --name n{size}"));
        let (_server, uri) = exported(&shell, &format!("t n{size} --nbd s{size}"));
        let output = Command::new("nbdinfo")
            .args(["--size", &uri])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            size.to_string()
        );
        assert!(succeeds("nbdcopy", &[&uri, "out"], &shell.path("")) || size == 0);
        if size > 0 {
            assert!(shell.read("out") == bytes);
        }
    }
}

#[test]
fn a_damaged_cluster_is_an_error_and_the_others_are_served() {
    let shell = Shell::new();
    let bytes = noise(50 * C, 1);
    shell.write("disk", &bytes);
    shell.json("backup disk t --name web --compression none");
    shell.flip(
        format!("t/{}", shell.image("web@latest")),
        (2 + 20) * C as u64,
    );
    let (_server, uri) = exported(&shell, "t web --nbd s");
    let folder = shell.path("");
    assert!(!succeeds("nbdcopy", &[&uri, "out"], &folder));
    let settings = agent_blocks::Settings::default();
    let endpoint = agent_blocks::nbd::Endpoint::at(shell.path("s"), "disk", &settings);
    let mut connection = endpoint.connect(&[]).unwrap();
    let mut read = |cluster: usize| {
        let cookie = connection.send_read((cluster * C) as u64, 65_536, false);
        connection.wait(cookie.unwrap())
    };
    assert!(read(20).is_err());
    assert!(matches!(read(21).unwrap(), Reply::Data(part) if part == bytes[21 * C..22 * C]));
}
