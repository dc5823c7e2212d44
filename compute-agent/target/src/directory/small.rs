//! Small objects: whole under a name of their own first, then renamed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::folder::Folder;

/// Replaces the file `name` in one step; durable on return.
pub(super) fn put(folder: &Folder, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = unique_name(name);
    let mut file = folder.create_file(&temporary)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| folder.publish(&temporary, name));
    if written.is_err() {
        // The first error is the one to tell; what stays behind goes with its folder.
        drop(folder.remove_file(&temporary));
    }
    written
}

/// All bytes of `file`, which was seen not to be larger than the limit, and must not have grown.
pub(super) fn get(file: File, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it grew while it was read",
        ));
    }
    Ok(bytes)
}

/// Goes all the way to stable storage and leaves nothing.
pub(super) fn write_and_remove(folder: &Folder) -> io::Result<()> {
    let name = unique_name("backstay-write-test");
    let mut file = folder.create_file(&name)?;
    let written = file.write_all(&[0; 4096]).and_then(|()| file.sync_all());
    let removed = folder.remove_file(&name);
    written.and(removed)
}

/// Hosts that share the folder do not share process ids or clocks, but `O_EXCL` has the last word.
fn unique_name(name: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!(
        ".{name}.{}-{}-{count}.tmp",
        std::process::id(),
        time.as_nanos()
    )
}
