//! A folder with a target, disks, and the command.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tests_s3_server::Server;

use crate::place::{Kept, On, Place};

pub(crate) const C: usize = 1 << 16;
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Shell {
    folder: TempDir,
    place: Place,
}

impl Shell {
    pub(crate) fn new() -> Self {
        Self::on(On::Folder)
    }

    pub(crate) fn on(on: On) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(on, folder.path());
        Self { folder, place }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backstay-datamover"));
        command
            .args(self.place.words(line))
            .current_dir(self.folder.path())
            .env("BACKSTAY_STATE", self.path("state"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Must succeed; the result as JSON.
    pub(crate) fn json(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --json"));
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Must fail in this way; what it says.
    pub(crate) fn fails(&self, line: &str, status: i32) -> String {
        let output = self.run(line);
        let told = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(status), "{line}: {told}");
        told
    }

    /// The point, restored and compared.
    pub(crate) fn assert_restores(&self, point: &str, bytes: &[u8]) {
        let out = self.path("restored");
        if out.exists() {
            fs::remove_file(&out).unwrap();
        }
        self.json(&format!("restore t {point} restored"));
        assert!(self.read("restored") == bytes, "{point} is another disk");
    }

    /// The image of a point, from the target's root.
    pub(crate) fn image(&self, point: &str) -> String {
        let info = self.json(&format!("info t {point}"));
        info["disks"][0]["image"].as_str().unwrap().to_owned()
    }

    /// As the first step of merging a point away does; its snapshot's id.
    pub(crate) fn withdraw(&self, point: &str) -> String {
        let info = self.json(&format!("info t {point}"));
        let id = info["snapshot_id"].as_str().unwrap().to_owned();
        let manifest = self.stored(&format!("snapshot_{id}/manifest.json"));
        let manifest = manifest.first().unwrap();
        fs::rename(manifest, manifest.with_file_name("manifest.withdrawn.json")).unwrap();
        id
    }

    /// What there is on the target, to be read only: a bucket's is a copy.
    pub(crate) fn files(&self) -> PathBuf {
        self.place.files(self.folder.path())
    }

    /// Files on the target whose path has `part` in it, hidden ones included.
    pub(crate) fn stored(&self, part: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.files(), &mut found);
        found.retain(|path| path.to_string_lossy().contains(part));
        found
    }

    /// Uploads that nobody has ended.
    pub(crate) fn unfinished_uploads(&self) -> usize {
        self.place.unfinished_uploads()
    }

    /// Of its bucket.
    pub(crate) fn server(&self) -> &Server {
        self.place.server()
    }

    /// Returns when what was killed has no more effect.
    pub(crate) fn settle(&self) {
        self.place.settle();
    }

    /// What the target holds now, under this name if it is a folder.
    pub(crate) fn keep(&self, name: &'static str) -> Kept {
        self.place.keep(self.folder.path(), name)
    }

    pub(crate) fn put_back(&self, kept: &Kept) {
        self.place.put_back(self.folder.path(), kept);
    }

    pub(crate) fn flip(&self, path: impl AsRef<Path>, offset: u64) {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.folder.path().join(path))
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Puts a copy of a folder in the place of another.
pub(crate) fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn signal(&mut self, signal: Signal) -> std::process::ExitStatus {
        let id = Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        kill(id, signal).unwrap();
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until it is so.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Bytes that differ from cluster to cluster and from seed to seed.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
