//! The last words of a child.

use std::{
    io::Read,
    process::ChildStderr,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Enough for every message of Ceph and qemu; a chatty child costs no more than this.
const KEPT_BYTES: usize = 8 * 1024;

#[derive(Debug, Clone, Default)]
pub(super) struct Stderr(Arc<Mutex<Vec<u8>>>);

impl Stderr {
    /// Reads until the child closes its end, on a thread that ends with that.
    pub(super) fn collect(
        mut pipe: ChildStderr,
    ) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let kept = Self::default();
        let keeper = kept.clone();
        let thread = thread::Builder::new()
            .name("child-stderr".to_owned())
            .spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                    keeper.keep(buffer.get(..length).unwrap_or_default());
                }
            })?;
        Ok((kept, thread))
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let excess = kept.len().saturating_sub(KEPT_BYTES);
        kept.drain(..excess);
    }

    /// What was said so far, on one line.
    pub(super) fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("; ")
    }
}
