//! Results on standard output, everything else on standard error.

use std::io::{self, Write};

use super::error::CommandError;

/// A line of result.
pub(super) fn say(line: &str) -> Result<(), CommandError> {
    match writeln!(io::stdout().lock(), "{line}") {
        // Whoever reads it has read enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(super::error::io("write the result")),
    }
}

/// A line for people, not for programs. If standard error is gone, there is nobody to tell.
pub fn complain(line: &str) {
    let _nobody_reads = writeln!(io::stderr().lock(), "{line}");
}

/// A size as people say it.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut whole, mut rest, mut unit) = (bytes, 0, None);
    for next in UNITS {
        if whole < 1024 {
            break;
        }
        (rest, whole, unit) = (whole % 1024, whole / 1024, Some(next));
    }
    match unit {
        None => format!("{bytes} B"),
        Some(unit) => format!("{whole}.{} {unit}", rest * 10 / 1024),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_said_with_one_digit_behind_the_point() {
        let said = [0, 1023, 1024, 1536, 65537, u64::MAX].map(super::size);
        let expected = [
            "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "64.0 KiB", "15.9 EiB",
        ];
        assert_eq!(said, expected);
    }
}
