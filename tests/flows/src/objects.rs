//! What lies on a target.

use std::path::Path;

/// Names of all files below a folder.
pub(crate) fn objects_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    collect(folder, &mut names);
    names.sort();
    names
}

fn collect(folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else {
            names.push(path.display().to_string());
        }
    }
}
