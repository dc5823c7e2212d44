//! Small objects: whole under a name of their own first, then renamed.

use std::ffi::OsStr;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use nix::unistd::gethostname;

use super::folder::Folder;

/// Other hosts' writers are at it no longer than this, or they are gone.
const LONGEST: Duration = Duration::from_secs(3600);

/// Replaces the file `name` in one step; durable on return. What writers have left that were killed
/// in the middle of the same goes.
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
    written?;
    // What was put is there, whatever becomes of others' leftovers: the next one tries again.
    drop(sweep(folder, name));
    Ok(())
}

fn sweep(folder: &Folder, name: &str) -> io::Result<()> {
    for file in folder.names()? {
        if Writer::of(&file, name).is_some_and(|writer| writer.is_gone()) {
            folder.remove_file(&file)?;
        }
    }
    Ok(())
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

/// Who writes under a name of [`unique_name`].
#[derive(Debug, PartialEq, Eq)]
struct Writer {
    host: u64,
    process: u32,
    began: Duration,
}

impl Writer {
    fn of(file: &OsStr, name: &str) -> Option<Self> {
        let unique = file.to_str()?.strip_prefix('.')?.strip_prefix(name)?;
        let numbers = unique.strip_prefix('.')?.strip_suffix(".tmp")?;
        let mut numbers = numbers.split('-');
        let mut next = || numbers.next()?.parse::<u64>().ok();
        let (host, process, began, _count) = (next()?, next()?, next()?, next()?);
        if numbers.next().is_some() {
            return None;
        }
        Some(Self {
            host,
            process: u32::try_from(process).ok()?,
            began: Duration::from_nanos(began),
        })
    }

    /// Never said of one that is still at it: its file would go from under it.
    fn is_gone(&self) -> bool {
        let is_here = self.host == this_host();
        let process = format!("/proc/{}", self.process);
        if is_here && !std::path::Path::new(&process).exists() {
            return true;
        }
        self.process != std::process::id() && now().saturating_sub(self.began) > LONGEST
    }
}

/// `O_EXCL` has the last word.
fn unique_name(name: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let (host, process, time) = (this_host(), std::process::id(), now().as_nanos());
    format!(".{name}.{host}-{process}-{time}-{count}.tmp")
}

fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// Hosts that share the folder do not share processes, nor do containers of a host.
fn this_host() -> u64 {
    static HOST: LazyLock<u64> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        gethostname().unwrap_or_default().hash(&mut hasher);
        let processes = std::fs::read_link("/proc/self/ns/pid");
        processes.unwrap_or_default().hash(&mut hasher);
        hasher.finish()
    });
    *HOST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_told_by_its_name_and_one_that_is_at_it_is_not_gone() {
        let ours = unique_name("o");
        let writer = Writer::of(OsStr::new(&ours), "o").unwrap();
        assert_eq!(
            (writer.host, writer.process),
            (this_host(), std::process::id())
        );
        assert!(!writer.is_gone());
        for other in [
            ".o.p.1-2-3-4.tmp",
            ".p.1-2-3-4.tmp",
            ".o.tmp",
            ".o.1-2-3.tmp",
            ".o.1-2-3-4-5.tmp",
            ".o.partial",
        ] {
            assert_eq!(Writer::of(OsStr::new(other), "o"), None, "{other}");
        }
    }

    #[test]
    fn writers_that_ended_here_or_that_began_long_ago_elsewhere_are_gone() {
        let no_process = u32::MAX - 1;
        let writer = |host, process, began| Writer {
            host,
            process,
            began,
        };
        let earlier = now() - 2 * LONGEST;
        assert!(writer(this_host(), no_process, now()).is_gone());
        assert!(writer(1, 1, earlier).is_gone());
        assert!(!writer(1, 1, now()).is_gone());
        assert!(!writer(this_host(), std::process::id(), earlier).is_gone());
    }
}
