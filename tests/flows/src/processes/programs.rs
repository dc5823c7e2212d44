//! Our programs, as `cargo build` left them beside the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const BUILD: &str = "run `cargo build --workspace --bins` first";

/// The path of one of our programs. A program that is not there, or is older than a source that the test
/// was built from, would prove nothing: the test ends. (What is edited while tests run is for the next run.)
pub(super) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let program = folder.join(name);
    let Some(built_at) = modified_at(&program) else {
        panic!("there is no {}: {BUILD}", program.display());
    };
    let test_built_at = modified_at(&test).unwrap();
    let is_newer = |at| at > built_at && at <= test_built_at;
    let newer = sources(&program)
        .into_iter()
        .find(|source| modified_at(source).is_some_and(is_newer));
    if let Some(newer) = newer {
        panic!(
            "{} is older than {}: {BUILD}",
            program.display(),
            newer.display()
        );
    }
    program
}

fn modified_at(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// What cargo wrote down of a program: one line, `PROGRAM: SOURCE SOURCE...`.
fn sources(program: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let (_, sources) = text.split_once(": ").unwrap_or_default();
    let escaped = sources.trim_end().replace("\\ ", "\u{0}");
    escaped
        .split(' ')
        .map(|path| PathBuf::from(path.replace('\u{0}', " ")))
        .collect()
}
