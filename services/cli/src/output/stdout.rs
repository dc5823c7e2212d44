//! The only writer to stdout.

use std::io::{self, Write};

use super::error::OutputError;

/// Writes a finished result.
pub(crate) fn write_bytes(bytes: &[u8]) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|source| OutputError::Write { source })
}

/// A text without control characters: a name or a message of somebody else must not steer the
/// terminal. Line ends stay.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => "\n".to_owned(),
            c if c.is_control() => c.escape_default().to_string(),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jb\nc\u{9b}ä"),
            "a\\u{1b}[2Jb\nc\\u{9b}ä"
        );
    }
}
