//! Small objects: whole under a name of their own first, then renamed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::folder::Folder;

/// Replaces the file `name` in one step; durable on return. What writers have left that were killed
/// in the middle of the same goes; one that is still at it is told `NotFound`, and begins again.
pub(super) fn put(folder: &Folder, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = unique_name(name);
    let mut file = folder.create_file(&temporary)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| folder.publish(&temporary, name));
    if written.is_err() {
        // The first error is the one to tell; what stays behind goes with the next.
        drop(folder.remove_file(&temporary));
    }
    written.and_then(|()| sweep(folder, name))
}

fn sweep(folder: &Folder, name: &str) -> io::Result<()> {
    let names = match folder.names() {
        // Somebody has removed the folder since, and what was put, too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    let mut left = names.iter().filter(|file| is_temporary(file, name));
    left.try_for_each(|file| folder.remove_file(file))
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

/// Whether [`unique_name`] may have made it of `name`.
fn is_temporary(file: &OsStr, name: &str) -> bool {
    let file = file.to_str().unwrap_or_default();
    let unique = file
        .strip_prefix('.')
        .and_then(|file| file.strip_prefix(name)?.strip_prefix('.'));
    let numbers = unique.and_then(|unique| unique.strip_suffix(".tmp"));
    numbers.is_some_and(|numbers| {
        let is_number = |part: &str| part.parse::<u128>().is_ok();
        numbers.split('-').count() == 3 && numbers.split('-').all(is_number)
    })
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
