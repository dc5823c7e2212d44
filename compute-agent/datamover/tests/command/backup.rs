use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::shell::{C, Shell, noise};

#[test]
fn disks_of_every_odd_size_come_back_to_the_byte() {
    let shell = Shell::new();
    for size in [0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 1_000_003] {
        let mut bytes = noise(size, 7);
        shell.write("disk", &bytes);
        let full = shell.json(&format!("backup disk t --name n{size} --point one"));
        assert_eq!(full["size_bytes"], size);
        assert_eq!(full["type"], "full");
        if let Some(byte) = bytes.last_mut() {
            *byte ^= 1;
        }
        shell.write("disk", &bytes);
        let next = shell.json(&format!(
            "backup disk t --name n{size} --point two --incremental"
        ));
        assert_eq!(next["type"], "incremental");
        shell.assert_restores(&format!("n{size}"), &bytes);
        if let Some(byte) = bytes.last_mut() {
            *byte ^= 1;
        }
        shell.assert_restores(&format!("n{size}@one"), &bytes);
    }
    let verified = shell.json("verify t");
    assert_eq!(verified["damage_count"], 0, "{verified}");
    assert_eq!(verified["points"], 18);
}

#[test]
fn a_disk_that_grows_and_shrinks_comes_back_as_it_was_each_time() {
    let shell = Shell::new();
    let mut disks = Vec::new();
    for (number, size) in [5 * C + 100, 20 * C + 1, 300, 0, 9 * C, 3 * C + 511]
        .into_iter()
        .enumerate()
    {
        let mut bytes = noise(size, 3);
        if size > 4 * C {
            bytes[2 * C..4 * C].fill(0);
        }
        shell.write("disk", &bytes);
        shell.json(&format!(
            "backup disk t --name web --point p{number} --incremental"
        ));
        disks.push(bytes);
    }
    for (number, bytes) in disks.iter().enumerate() {
        shell.assert_restores(&format!("web@p{number}"), bytes);
    }
    assert_eq!(shell.json("verify t web")["damage_count"], 0);
}

#[test]
fn only_what_changed_is_stored_however_it_is_known() {
    let shell = Shell::new();
    let mut bytes = noise(40 * C, 1);
    shell.write("disk", &bytes);
    shell.write("before", &bytes);
    for name in ["hash", "copy", "list"] {
        shell.json(&format!(
            "backup disk t --name {name} --point one --compression none"
        ));
    }
    bytes[7 * C + 5] ^= 1;
    bytes[30 * C..31 * C].fill(0);
    shell.write("disk", &bytes);
    shell.write(
        "list",
        format!("{} 1\n{} {C}\n", 7 * C + 5, 30 * C).as_bytes(),
    );
    for (name, how) in [
        ("hash", "--incremental"),
        ("copy", "--since before"),
        ("list", "--changed list"),
    ] {
        let made = shell.json(&format!(
            "backup disk t --name {name} {how} --compression none"
        ));
        assert_eq!(made["data_bytes"], C, "{name}: {made}");
        shell.assert_restores(name, &bytes);
    }
    // Known extents are all that is read.
    shell.write("list", b"");
    let nothing = shell.json("backup disk t --name list --changed list");
    assert_eq!(nothing["bytes_read"], 0);
}

#[test]
fn a_list_of_what_changed_may_come_through_a_pipe_and_must_ascend() {
    let shell = Shell::new();
    shell.write("disk", &noise(40 * C, 1));
    shell.json("backup disk t --name web");
    shell.write("list", b"65536 1\n# a comment\n4096 1\n");
    let told = shell.fails("backup disk t --name web --changed list", 1);
    assert!(
        told.contains("line 3") && told.contains("sort -n"),
        "{told}"
    );
    let mut command = shell.command("backup disk t --name web --changed /dev/stdin --json");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let list: String = (0..20).map(|n| format!("{} {C}\n", 2 * n * C)).collect();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(list.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["bytes_read"], 20 * C);
    // Neither list is kept.
    let left = std::fs::read_dir(shell.path("state/transfers")).unwrap();
    let left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_compression_makes_images_that_qemu_reads() {
    let shell = Shell::new();
    let mut bytes = noise(9 * C + 512, 1);
    bytes[C..5 * C].fill(7);
    shell.write("disk", &bytes);
    for compression in ["none", "zstd", "zlib"] {
        let made = shell.json(&format!(
            "backup disk t --name {compression} --compression {compression}"
        ));
        let image = shell.path("t").join(made["image"].as_str().unwrap());
        let compared = Command::new("qemu-img")
            .args(["compare", "-f", "qcow2", "-F", "raw"])
            .args([&image, &shell.path("disk")])
            .output()
            .unwrap();
        assert!(compared.status.success(), "{compression}: {compared:?}");
        let checked = Command::new("qemu-img").arg("check").arg(&image).status();
        assert!(checked.unwrap().success(), "{compression}");
    }
}

#[test]
fn what_is_on_a_target_is_listed() {
    let shell = Shell::new();
    shell.write("disk", &noise(3 * C, 1));
    shell.json("backup disk t --name web --point monday");
    shell.json("backup disk t --name web --point tuesday --incremental");
    shell.json("backup disk t --name db");
    let all = shell.json("info t");
    let names: Vec<_> = all["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| &n["name"])
        .collect();
    assert_eq!(names, ["db", "web"]);
    let web = shell.json("info t web");
    let points: Vec<_> = web["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["point"])
        .collect();
    assert_eq!(points, ["monday", "tuesday"]);
    let tuesday = shell.json("info t web@tuesday");
    assert_eq!(tuesday["disks"][0]["chain"].as_array().unwrap().len(), 2);
    // By the beginning of its id, too, and by the workload's.
    let id = tuesday["snapshot_id"].as_str().unwrap();
    assert_eq!(
        shell.json(&format!("info t web@{}", &id[..8]))["point"],
        "tuesday"
    );
    let workload = web["workload_id"].as_str().unwrap();
    assert_eq!(
        shell.json(&format!("info t {workload}@latest"))["point"],
        "tuesday"
    );
    let human = shell.run("info t web@tuesday");
    assert!(String::from_utf8_lossy(&human.stdout).contains("restored from 2 images"));
}
