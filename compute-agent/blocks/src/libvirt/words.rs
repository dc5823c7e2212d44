//! Reading the complaints of `virsh`, whose exit status is always 1.

use crate::ErrorKind;

/// From the most telling words to the least.
const WORDS: [(&str, ErrorKind); 12] = [
    ("failed to get domain", ErrorKind::NotFound),
    ("Domain not found", ErrorKind::NotFound),
    ("no domain backup job present", ErrorKind::SnapshotNotFound),
    ("Domain checkpoint not found", ErrorKind::SnapshotNotFound),
    ("no domain checkpoint", ErrorKind::SnapshotNotFound),
    ("not found in backing chain", ErrorKind::SnapshotNotFound),
    ("missing or broken bitmap", ErrorKind::SnapshotNotFound),
    ("Permission denied", ErrorKind::Denied),
    (
        "failed to connect to the hypervisor",
        ErrorKind::Unavailable,
    ),
    ("Connection refused", ErrorKind::Unavailable),
    ("cannot acquire state change lock", ErrorKind::Unavailable),
    ("domain is not running", ErrorKind::Unavailable),
];

pub(super) fn kind_of_words(stderr: &str) -> ErrorKind {
    let found = WORDS.iter().find(|(words, _)| stderr.contains(words));
    found.map_or(ErrorKind::Io, |(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_of_libvirt_9_are_told_apart() {
        let cases = [
            (
                "error: failed to get domain '5c1dbf4e'",
                ErrorKind::NotFound,
            ),
            (
                "error: Domain backup job id not found: no domain backup job present",
                ErrorKind::SnapshotNotFound,
            ),
            (
                "error: Failed to delete checkpoint mX; error: internal error: bitmap 'mX' not \
                 found in backing chain of 'vda'",
                ErrorKind::SnapshotNotFound,
            ),
            (
                "error: checkpoint inconsistent: missing or broken bitmap 'm9' for disk 'vda'",
                ErrorKind::SnapshotNotFound,
            ),
            (
                "error: failed to connect to the hypervisor; error: Failed to connect socket to \
                 '/var/run/libvirt/libvirt-sock': No such file or directory",
                ErrorKind::Unavailable,
            ),
            ("error: something else", ErrorKind::Io),
        ];
        for (words, kind) in cases {
            assert_eq!(kind_of_words(words), kind, "{words}");
        }
    }
}
