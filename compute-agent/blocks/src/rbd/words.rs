//! Reading the complaints of `rbd` and of qemu's RBD driver. Their exit status is no help: a missing
//! key and a missing snapshot are both 2.

use crate::ErrorKind;

/// From the most telling words to the least: a missing key also "couldn't connect", and everything
/// about a missing thing ends in "No such file".
const WORDS: [(&str, ErrorKind); 19] = [
    ("setpriv: failed to execute", ErrorKind::Setup),
    ("unable to find a keyring", ErrorKind::Denied),
    ("Operation not permitted", ErrorKind::Denied),
    ("Permission denied", ErrorKind::Denied),
    ("unable to open config file", ErrorKind::Setup),
    ("Unknown driver 'rbd'", ErrorKind::Setup),
    ("error reading conf file", ErrorKind::Setup),
    ("failed to find snapshot", ErrorKind::SnapshotNotFound),
    ("failed to locate snapshot", ErrorKind::SnapshotNotFound),
    (
        "error setting snapshot context: (2)",
        ErrorKind::SnapshotNotFound,
    ),
    ("diff error: (2)", ErrorKind::SnapshotNotFound),
    ("timed out", ErrorKind::Unavailable),
    ("couldn't connect to the cluster", ErrorKind::Unavailable),
    ("error connecting", ErrorKind::Unavailable),
    (
        "Cannot send after transport endpoint shutdown",
        ErrorKind::Unavailable,
    ),
    ("Connection refused", ErrorKind::Unavailable),
    ("No space left", ErrorKind::NoSpace),
    ("quota exceeded", ErrorKind::NoSpace),
    ("No such file or directory", ErrorKind::NotFound),
];

pub(crate) fn kind_of_words(stderr: &str) -> ErrorKind {
    let found = WORDS.iter().find(|(words, _)| stderr.contains(words));
    found.map_or(ErrorKind::Io, |(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_of_ceph_16_and_qemu_7_are_told_apart() {
        let cases = [
            (
                "rbd: error opening image nope: (2) No such file or directory",
                ErrorKind::NotFound,
            ),
            (
                "rbd: error opening pool 'nopool': (2) No such file or directory",
                ErrorKind::NotFound,
            ),
            (
                "error setting snapshot context: (2) No such file or directory",
                ErrorKind::SnapshotNotFound,
            ),
            (
                "rbd: diff error: (2) No such file or directory",
                ErrorKind::SnapshotNotFound,
            ),
            (
                "auth: unable to find a keyring on /etc/ceph/ceph.client.nobody.keyring: (2) No such \
                 file or directory; rbd: couldn't connect to the cluster!",
                ErrorKind::Denied,
            ),
            (
                "rbd: error opening image blocks: (1) Operation not permitted",
                ErrorKind::Denied,
            ),
            (
                "global_init: unable to open config file from search list /nope",
                ErrorKind::Setup,
            ),
            (
                "failed to locate snapshot: zz; error reading header: No such file or directory",
                ErrorKind::SnapshotNotFound,
            ),
            (
                "error reading header from nope: No such file or directory",
                ErrorKind::NotFound,
            ),
            (
                "error connecting: Connection timed out",
                ErrorKind::Unavailable,
            ),
            ("something else", ErrorKind::Io),
        ];
        for (words, kind) in cases {
            assert_eq!(kind_of_words(words), kind, "{words}");
        }
    }
}
