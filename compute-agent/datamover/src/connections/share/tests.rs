use std::fs;
use std::path::Path;
use std::process::Command;

use agent_blocks::{Changes, Chunk, Extent, ReadPlan};
use tempfile::TempDir;

use super::*;

const C: u64 = 1 << 16;

fn run(program: &str, folder: &Path, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?} {output:?}");
}

/// A volume as Cinder keeps it, in `format`, with snapshots `a` and `b`.
struct Share {
    folder: TempDir,
}

impl Share {
    fn new(format: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let share = Self { folder };
        share.qemu_img(&["create", "-q", "-f", format, "volume-x", "4M"]);
        share.write(format, "volume-x", 1, 0, 4);
        share.overlay("volume-x", format, "a");
        share.write("qcow2", "volume-x.a", 2, 1, 1);
        share.overlay("volume-x.a", "qcow2", "b");
        share.write("qcow2", "volume-x.b", 3, 2, 1);
        share.info(r#"{"active": "volume-x.b", "a": "volume-x.a", "b": "volume-x.b"}"#);
        share
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn qemu_img(&self, arguments: &[&str]) {
        run("qemu-img", self.folder.path(), arguments);
    }

    fn overlay(&self, below: &str, format: &str, snapshot: &str) {
        let name = format!("volume-x.{snapshot}");
        self.qemu_img(&[
            "create", "-q", "-f", "qcow2", "-b", below, "-F", format, &name,
        ]);
    }

    fn write(&self, format: &str, name: &str, pattern: u8, cluster: u64, count: u64) {
        let command = format!("write -P {pattern} {} {}", cluster * C, count * C);
        run(
            "qemu-io",
            self.folder.path(),
            &["-f", format, "-c", &command, name],
        );
    }

    fn info(&self, text: &str) {
        fs::write(self.path("volume-x.info"), text).unwrap();
    }

    fn open(&self, snapshot: &str) -> Result<ShareSnapshot, BlocksError> {
        let (volume, settings) = (self.path("volume-x.b"), Settings::default());
        let layers = layers_of_snapshot(&volume, snapshot, &settings)?;
        ShareSnapshot::open(&volume, snapshot, layers, &settings)
    }
}

fn first_bytes(disk: &ShareSnapshot, clusters: u64) -> Vec<u8> {
    let extents = [Ok(Extent::data(0, clusters * C))].into_iter();
    let mut reader = disk.open_reader().unwrap();
    let mut bytes = Vec::new();
    for chunk in reader.read(Box::new(extents), ReadPlan::default()) {
        match chunk.unwrap() {
            Chunk::Data { bytes: more, .. } => bytes.extend_from_slice(&more),
            Chunk::Zero { length, .. } => {
                bytes.resize(bytes.len() + usize::try_from(length).unwrap(), 0);
            }
        }
    }
    let each = bytes.chunks(usize::try_from(C).unwrap());
    each.map(|cluster| *cluster.first().unwrap()).collect()
}

fn changes(disk: &ShareSnapshot, since: &str) -> Result<Vec<Extent>, String> {
    match disk.changed_since(since).unwrap() {
        Changes::Known(extents) => Ok(extents.map(Result::unwrap).collect()),
        Changes::Unknown { reason } => Err(reason),
    }
}

#[test]
fn a_snapshot_is_the_chain_below_the_file_that_was_put_upon_it() {
    for format in ["raw", "qcow2"] {
        let share = Share::new(format);
        let (a, b) = (share.open("a").unwrap(), share.open("b").unwrap());
        assert_eq!(first_bytes(&a, 5), [1, 1, 1, 1, 0]);
        assert_eq!(first_bytes(&b, 5), [1, 2, 1, 1, 0]);
        assert_eq!(changes(&b, "a"), Ok(vec![Extent::data(C, C)]));
        assert_eq!(changes(&b, "b"), Ok(vec![]));
        assert!(changes(&a, "b").is_err());
        assert!(changes(&b, "gone").is_err());
        assert!(share.open("active").is_err());
    }
}

#[test]
fn a_snapshot_between_two_may_be_merged_away() {
    let share = Share::new("qcow2");
    share.overlay("volume-x.b", "qcow2", "c");
    share.info(
        r#"{"active": "volume-x.c", "a": "volume-x.a", "b": "volume-x.b", "c": "volume-x.c"}"#,
    );
    let c = share.open("c").unwrap();
    let expected = Ok(vec![Extent::data(C, 2 * C)]);
    assert_eq!(changes(&c, "a"), expected);
    // As Cinder deletes `b`.
    share.qemu_img(&["commit", "-q", "-d", "volume-x.b"]);
    share.qemu_img(&[
        "rebase",
        "-q",
        "-u",
        "-b",
        "volume-x.a",
        "-F",
        "qcow2",
        "volume-x.c",
    ]);
    fs::remove_file(share.path("volume-x.b")).unwrap();
    share.info(r#"{"active": "volume-x.c", "a": "volume-x.a", "c": "volume-x.c"}"#);
    // What was opened before reads on, and says that it cannot compare.
    assert_eq!(first_bytes(&c, 4), [1, 2, 3, 1]);
    assert!(changes(&c, "a").is_err());
    let c = share.open("c").unwrap();
    assert_eq!(first_bytes(&c, 4), [1, 2, 3, 1]);
    assert_eq!(changes(&c, "a"), expected);
    assert!(changes(&c, "b").is_err());
}

#[test]
fn nothing_leads_out_of_the_share() {
    let share = Share::new("qcow2");
    let other = tempfile::tempdir().unwrap();
    let secret = other.path().join("volume-x.secret");
    let base = other.path().join("base");
    let (secret, base) = (secret.to_str().unwrap(), base.to_str().unwrap());
    share.qemu_img(&["create", "-q", "-f", "raw", base, "4M"]);
    share.qemu_img(&[
        "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", secret,
    ]);
    for name in [secret, "../volume-x.secret", "volume-y.a", ".."] {
        share.info(&format!(r#"{{"a": "{name}"}}"#));
        assert!(share.open("a").is_err(), "{name}");
    }
    // A link, and a header that names a file elsewhere or does not say of what format.
    fs::remove_file(share.path("volume-x.a")).unwrap();
    share.info(r#"{"a": "volume-x.a"}"#);
    std::os::unix::fs::symlink(secret, share.path("volume-x.a")).unwrap();
    assert!(share.open("a").is_err());
    fs::remove_file(share.path("volume-x.a")).unwrap();
    share.overlay(base, "raw", "a");
    assert!(share.open("a").is_err());
    share.overlay("volume-x", "qcow2", "a");
    share.open("a").unwrap();
    share.info("{");
    assert!(share.open("a").is_err());
}
