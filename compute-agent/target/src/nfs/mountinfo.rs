//! What is mounted, as `/proc/self/mountinfo` tells it (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// The fifth field of a line is where it is mounted.
const MOUNT_POINT: usize = 4;

/// Whether something is mounted at exactly `point`.
pub(super) fn has_mount_at(mountinfo: &str, point: &Path) -> bool {
    let points = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(MOUNT_POINT));
    points
        .map(unescaped)
        .any(|found| Path::new(&found) == point)
}

/// Blanks and backslashes are written as three octal digits.
fn unescaped(field: &str) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) if *first == b'\\' => {
                out.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::has_mount_at;

    const TEXT: &str = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        40 22 0:35 / /mnt/with\\040blank rw shared:9 - nfs4 server:/a rw,vers=4.2\n";

    #[test]
    fn a_mount_point_is_found_by_its_whole_name() {
        assert!(has_mount_at(TEXT, Path::new("/mnt/with blank")));
        assert!(has_mount_at(TEXT, Path::new("/")));
        assert!(!has_mount_at(TEXT, Path::new("/mnt")));
        assert!(!has_mount_at(TEXT, Path::new("/mnt/with")));
        assert!(!has_mount_at("", Path::new("/")));
    }
}
