//! What is damaged is found, named, and not restored.

use std::fs;

use crate::shell::{C, Shell, noise};

fn two_points(compression: &str) -> Shell {
    let shell = Shell::new();
    let mut bytes = noise(20 * C, 1);
    shell.write("disk", &bytes);
    shell.json(&format!(
        "backup disk t --name web --point one --compression {compression}"
    ));
    bytes[4 * C] ^= 1;
    shell.write("disk", &bytes);
    shell.json(&format!(
        "backup disk t --name web --point two --incremental --compression {compression}"
    ));
    shell
}

fn assert_found(shell: &Shell, point: &str, words: &[&str]) {
    for command in ["verify t", &format!("verify t {point}")] {
        let told = shell.fails(command, 3);
        for word in words {
            assert!(told.contains(word), "{command}: {told}");
        }
    }
    let told = shell.fails(&format!("restore t {point} restored"), 3);
    assert!(!shell.path("restored").exists(), "{told}");
    assert!(shell.stored("partial").is_empty());
    let left = fs::read_dir(shell.path("")).unwrap().filter(|file| {
        file.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("partial")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_bit_flip_in_a_cluster_is_named_by_image_and_guest_offset() {
    for compression in ["none", "zstd", "zlib"] {
        let shell = two_points(compression);
        let image = shell.image("web@two");
        let length = fs::metadata(shell.path("t").join(&image)).unwrap().len();
        // Header and L1 take two clusters; what follows is the one cluster of data.
        shell.flip(format!("t/{image}"), 2 * C as u64 + 300);
        assert!(length > 3 * C as u64);
        let offset = format!("guest offset {}", 4 * C);
        assert_found(&shell, "web@two", &[&image, &offset]);
        // What does not need it is whole.
        shell.json("verify t web@one");
        shell.json("restore t web@one restored");
    }
}

#[test]
fn a_bit_flip_in_the_parent_is_found_from_the_child() {
    let shell = two_points("none");
    let image = shell.image("web@one");
    shell.flip(format!("t/{image}"), (2 + 9) * C as u64);
    assert_found(
        &shell,
        "web@two",
        &[&image, &format!("guest offset {}", 9 * C)],
    );
}

#[test]
fn a_bit_flip_in_the_index_is_found() {
    let shell = two_points("none");
    let image = shell.image("web@two");
    shell.flip(format!("t/{image}.index"), 50);
    assert_found(&shell, "web@two", &[&image, "index"]);
}

#[test]
fn a_bit_flip_in_header_or_tables_is_found() {
    let shell = two_points("none");
    let image = shell.image("web@two");
    // The L1 table's first entry.
    shell.flip(format!("t/{image}"), C as u64 + 5);
    assert_found(&shell, "web@two", &[&image]);
}

#[test]
fn a_missing_image_or_index_is_found() {
    for ending in ["", ".index"] {
        let shell = two_points("none");
        let image = shell.image("web@one");
        fs::remove_file(shell.path("t").join(format!("{image}{ending}"))).unwrap();
        let told = shell.fails("verify t web@two", 3);
        assert!(told.contains("missing") && told.contains(&image), "{told}");
        let output = shell.run("restore t web@two restored");
        assert!(!output.status.success());
        assert!(!shell.path("restored").exists());
    }
}

#[test]
fn a_damaged_manifest_hides_no_other_point_and_is_not_passed_over() {
    let shell = two_points("none");
    let manifest = shell.stored("manifest.json");
    let two = shell.json("info t web@two")["snapshot_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let damaged = manifest
        .iter()
        .find(|path| path.to_string_lossy().contains(&two))
        .unwrap();
    fs::write(damaged, b"{\"format_version\": 1}").unwrap();
    assert!(shell.fails("verify t", 3).contains(&two));
    // The newest of what is left must not be taken for the newest.
    assert!(shell.fails("restore t web restored", 3).contains("damaged"));
    shell.json("restore t web@one restored");
    assert!(shell.fails("info t web", 3).contains("one"));
}

#[test]
fn a_manifest_with_other_digests_is_found() {
    let shell = two_points("none");
    let two = shell.json("info t web@two");
    let digest = two["disks"][0]["chain"][0]["index"]["blake3"]
        .as_str()
        .unwrap();
    let snapshot = two["snapshot_id"].as_str().unwrap();
    let manifests = shell.stored("manifest.json");
    let path = manifests
        .iter()
        .find(|path| path.to_string_lossy().contains(snapshot))
        .unwrap();
    let text = fs::read_to_string(path).unwrap();
    let other = digest.chars().rev().collect::<String>();
    fs::write(path, text.replace(digest, &other)).unwrap();
    assert_found(&shell, "web@two", &["index is not the one of the manifest"]);
}

#[test]
fn a_description_that_was_changed_is_found() {
    let shell = two_points("none");
    let path = shell.stored("disk_db").pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] = b' ';
    fs::write(&path, bytes).unwrap();
    assert!(shell.fails("verify t", 3).contains("disk_db"));
}

#[test]
fn what_is_part_of_no_backup_is_told_and_is_no_damage() {
    let shell = two_points("none");
    let none = shell.json("verify t");
    assert_eq!(none["unreferenced"].as_array().unwrap().len(), 0, "{none}");
    let image = shell.path("t").join(shell.image("web@one"));
    let stray = image.with_file_name("stray");
    fs::write(&stray, [1; 2000]).unwrap();
    let found = &shell.json("verify t web")["unreferenced"];
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found[0]["size_bytes"], 2000);
    let name = found[0]["object"].as_str().unwrap();
    assert_eq!(shell.path("t").join(name), stray);
    let output = shell.run("verify t");
    assert!(String::from_utf8_lossy(&output.stdout).contains(name));
    // Of a point alone nothing else is asked.
    let one = shell.json("verify t web@two");
    assert_eq!(one["unreferenced"].as_array().unwrap().len(), 0);
    // Nobody can say what belongs to a manifest that cannot be read.
    let manifest = image.ancestors().nth(3).unwrap().join("manifest.json");
    fs::write(manifest, b"{").unwrap();
    assert!(!shell.fails("verify t", 3).contains("part of no backup"));
}
