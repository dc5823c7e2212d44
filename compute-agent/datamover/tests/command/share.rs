//! A shell whose target is on a file system that fails when told to.

use std::fs;
use std::process::Output;

use tests_faultfs::{Call, Errno, Faults, FaultyMount};

use crate::shell::{C, Shell, copy, noise, stderr};
use crate::state::Points;

/// And what is said of a target that answers so.
const ERRNOS: [(Errno, &str); 4] = [
    (Errno::ENOSPC, "the target is full"),
    (Errno::EIO, "the target is not available"),
    (Errno::EROFS, "the target is read-only"),
    (Errno::ESTALE, "the target is not available"),
];
const CALLS: [Call; 8] = [
    Call::Look,
    Call::Open,
    Call::Create,
    Call::Read,
    Call::Write,
    Call::Sync,
    Call::Rename,
    Call::Remove,
];

pub(crate) struct Share {
    mount: FaultyMount,
    pub(crate) shell: Shell,
}

impl Share {
    /// Says why, if nothing can be mounted here.
    pub(crate) fn is_unavailable() -> bool {
        let why = tests_faultfs::unavailable();
        if let Some(why) = why {
            println!("skipped: {why}");
        }
        why.is_some()
    }

    /// With the target and the disk of another shell.
    pub(crate) fn with(template: &Shell) -> Self {
        let shell = Shell::new();
        copy(&template.path("t"), &shell.path("backing"));
        fs::copy(template.path("disk"), shell.path("disk")).unwrap();
        let mount = FaultyMount::new(&shell.path("backing"), &shell.path("t")).unwrap();
        Self { mount, shell }
    }

    pub(crate) fn faults(&self) -> &Faults {
        self.mount.faults()
    }
}

/// So many points of a disk, which has changed since the last.
pub(crate) fn history(count: usize) -> (Shell, Points) {
    let shell = Shell::new();
    let mut points = Points::new();
    let mut bytes = noise(48 * C, 1);
    bytes[10 * C..20 * C].fill(0);
    for number in 0..=count {
        shell.write("disk", &bytes);
        if number < count {
            let point = format!("p{number}");
            let line = format!("backup disk t --name web --point {point} --incremental");
            shell.json(&line);
            points.insert(point, bytes.clone());
            let at = (number * 7 + 2) * C;
            bytes[at..at + 4 * C].copy_from_slice(&noise(4 * C, number as u64 + 7));
        }
    }
    (shell, points)
}

/// Such a call fails after some, then after three times as many, until there are not that many.
pub(crate) fn strike(mut round: impl FnMut(Call, u64, Errno, &str) -> bool) {
    for (kind, call) in CALLS.into_iter().enumerate() {
        let mut after = 0;
        for turn in kind.. {
            let (errno, words) = ERRNOS[turn % ERRNOS.len()];
            if !round(call, after, errno, words) {
                break;
            }
            after = after * 3 + 1;
        }
    }
}

/// The command fails, and says so.
pub(crate) fn assert_told(output: &Output, words: &str) {
    let told = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("cannot ") && told.contains(words), "{told}");
    assert!(
        told.contains("workload_") || told.contains(" t: "),
        "{told}"
    );
}
