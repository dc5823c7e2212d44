use crate::shell::{C, Shell, noise};

fn history(shell: &Shell, points: usize) -> Vec<Vec<u8>> {
    let mut bytes = noise(30 * C + 5, 1);
    let mut disks = Vec::new();
    for number in 0..points {
        let at = number % 30 * C;
        bytes[at..at + C].copy_from_slice(&noise(C, number as u64 + 50));
        if number % 3 == 1 {
            bytes[20 * C..22 * C].fill(0);
        }
        if number % 3 == 2 {
            bytes[21 * C..22 * C].copy_from_slice(&noise(C, number as u64 + 90));
        }
        shell.write("disk", &bytes);
        shell.json(&format!(
            "backup disk t --name web --point p{number} --incremental"
        ));
        disks.push(bytes.clone());
    }
    disks
}

#[test]
fn the_oldest_goes_and_all_others_stay_as_they_were() {
    let shell = Shell::new();
    let disks = history(&shell, 7);
    let merged = shell.json("merge t web");
    assert_eq!(
        (&merged["points"], &merged["merged"]),
        (&6.into(), &serde_json::json!(["p0"]))
    );
    for (number, bytes) in disks.iter().enumerate().skip(1) {
        shell.assert_restores(&format!("web@p{number}"), bytes);
    }
    assert_eq!(shell.json("merge t web --keep 2")["points"], 2);
    shell.assert_restores("web@p5", &disks[5]);
    shell.assert_restores("web@p6", &disks[6]);
    assert_eq!(shell.json("verify t")["damage_count"], 0);
    let info = shell.json("info t web");
    assert_eq!(info["points"][0]["type"], "full");
    assert_eq!(shell.stored("manifest").len(), 2);
    // What was merged can be built upon, and one alone stays.
    shell.json("backup disk t --name web --incremental");
    assert_eq!(shell.json("merge t web --keep 1")["points"], 1);
    shell.assert_restores("web", &disks[6]);
    assert_eq!(shell.json("merge t web")["merged"], serde_json::json!([]));
}

#[test]
fn an_old_one_that_nothing_builds_upon_is_removed() {
    let shell = Shell::new();
    shell.write("disk", &noise(3 * C, 1));
    shell.json("backup disk t --name web --point one");
    shell.json("backup disk t --name web --point two");
    assert_eq!(shell.json("merge t web --keep 1")["points"], 1);
    assert_eq!(shell.stored(".index").len(), 1);
    shell.assert_restores("web@two", &shell.read("disk"));
}

#[test]
fn a_merge_that_did_not_come_to_its_end_costs_no_point_and_is_finished() {
    let shell = Shell::new();
    let disks = history(&shell, 3);
    let oldest = shell.withdraw("web@p0");
    shell.assert_restores("web@p1", &disks[1]);
    shell.assert_restores("web@p2", &disks[2]);
    assert_eq!(shell.json("verify t")["damage_count"], 0);
    assert_eq!(shell.stored("manifest.withdrawn.json").len(), 1);
    let merged = shell.json("merge t web");
    assert_eq!(merged["points"], 2);
    shell.assert_restores("web@p1", &disks[1]);
    shell.assert_restores("web@p2", &disks[2]);
    assert!(shell.stored(&oldest).is_empty());
}

/// As the service leaves them when a deletion failed, and another one after it.
#[test]
fn several_that_were_withdrawn_cost_no_point_in_whatever_order_they_go() {
    let shell = Shell::new();
    let disks = history(&shell, 7);
    for number in 0..5 {
        shell.withdraw(&format!("web@p{number}"));
    }
    shell.assert_restores("web@p5", &disks[5]);
    assert_eq!(shell.json("merge t web")["points"], 2);
    shell.assert_restores("web@p5", &disks[5]);
    shell.assert_restores("web@p6", &disks[6]);
    assert_eq!(shell.json("verify t")["damage_count"], 0);
    assert_eq!(shell.stored(".index").len(), 2);
}
