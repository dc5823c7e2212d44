//! A target on a small file system of its own, which a test may fill and lock.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent_target::DirectoryTarget;

use super::unprivileged::{give, uid};
use crate::objects::objects_below;

/// A mounted tmpfs; gone, with all that lies on it, with its value.
pub struct MountedTarget(PathBuf);

impl MountedTarget {
    /// Over the target's folder; `None` where the test may not mount.
    pub(super) fn over(target: &Path, size: &str) -> Option<Self> {
        let uid = uid()?;
        let options = format!("size={size},uid={uid},gid={uid},mode=0755");
        mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], target);
        let mounted = Self(target.to_owned());
        DirectoryTarget::initialise(target).unwrap();
        objects_below(target)
            .iter()
            .for_each(|path| give(path.as_ref()));
        Some(mounted)
    }

    /// Uses up all space that is left.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        let bytes = [1; 64 << 10];
        while filler.write_all(&bytes).is_ok() {}
        while filler.write_all(&bytes[..512]).is_ok() {}
    }

    /// Gives the space back that [`fill`](Self::fill) used up.
    pub fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    /// Nobody can write to it any more, or everybody again.
    pub fn set_read_only(&self, is_read_only: bool) {
        let access = if is_read_only { "ro" } else { "rw" };
        mount(&["-o", &format!("remount,{access}")], &self.0);
    }

    /// Gives it another size.
    pub fn resize(&self, size: &str) {
        mount(&["-o", &format!("remount,size={size}")], &self.0);
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for MountedTarget {
    fn drop(&mut self) {
        let _ended = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], target: &Path) {
    let output = Command::new("mount").args(arguments).arg(target).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}
