//! What must be so on a target, and beside it, whatever has become of a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::Shell;

/// Points by name, and what their disk was.
pub(crate) type Points = BTreeMap<String, Vec<u8>>;

/// The points that are listed, oldest first.
pub(crate) fn listed(shell: &Shell) -> Vec<String> {
    let names = shell.json("info t");
    let is_ours = |name: &serde_json::Value| name["name"] == "web";
    if !names["names"].as_array().unwrap().iter().any(is_ours) {
        return Vec::new();
    }
    let info = shell.json("info t web");
    let points = info["points"].as_array().unwrap().iter();
    points
        .map(|point| point["point"].as_str().unwrap().to_owned())
        .collect()
}

/// All of `always` are listed, nothing but them and maybe some of `maybe`, and each is whole.
pub(crate) fn assert_points(shell: &Shell, always: &Points, maybe: &Points) {
    shell.settle();
    assert_images(shell);
    let found = listed(shell);
    for point in always.keys() {
        assert!(found.contains(point), "{point} is lost, left: {found:?}");
    }
    for point in found {
        let bytes = always.get(&point).or_else(|| maybe.get(&point));
        let bytes = bytes.unwrap_or_else(|| panic!("{point} is listed"));
        shell.assert_restores(&format!("web@{point}"), bytes);
    }
}

/// What every published image is to QEMU: consistent, with no cluster too many.
pub(crate) fn assert_images(shell: &Shell) {
    for image in images(shell) {
        let mut command = Command::new("qemu-img");
        let checked = command.args(["check", "-q"]).arg(&image).output().unwrap();
        assert!(checked.status.success(), "{image:?}: {checked:?}");
    }
}

fn images(shell: &Shell) -> Vec<PathBuf> {
    let mut images = shell.stored("/vm_res_id_");
    images.retain(|path| {
        let is_partial = path.to_string_lossy().contains(".partial");
        let is_index = path.extension().is_some();
        !is_partial && !is_index && !is_below(path, "merges")
    });
    images
}

fn is_below(path: &Path, folder: &str) -> bool {
    path.iter().any(|part| part == folder)
}

/// What is remembered of runs that have not come to their end.
pub(crate) fn journal(shell: &Shell) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(shell.path("state/transfers")) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Of what an interrupted run leaves nothing is there any more.
pub(crate) fn assert_nothing_left(shell: &Shell) {
    let root = shell.files();
    let mut left = shell.stored("");
    left.retain(|path| {
        let within = path.strip_prefix(&root).unwrap();
        let mut parts = within.iter().map(|part| part.to_string_lossy());
        let is_hidden = parts.any(|part| part.starts_with('.') && part != ".backstay-target");
        is_hidden || is_below(path, "merges") || is_below(path, "manifest.withdrawn.json")
    });
    assert_eq!(shell.unfinished_uploads(), 0);
    left.extend(journal(shell));
    assert!(left.is_empty(), "{left:?}");
    let points = listed(shell).len();
    assert_eq!(shell.stored("/manifest.json").len(), points);
    assert_eq!(images(shell).len(), points);
}
