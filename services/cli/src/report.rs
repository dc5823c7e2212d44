//! The one place that prints an error.

use std::error::Error;

use crate::error::CliError;
use crate::output::{printable, write_stderr};

/// Writes what went wrong to stderr, with the deepest cause: the layers between repeat each other.
pub(crate) fn report(error: &CliError) {
    let line = match error {
        CliError::Interrupted(text) => printable(text),
        other => format!("ERROR:workloadmgr:{}", printable(&with_cause(other))),
    };
    write_stderr(&format!("{line}\n"));
}

fn with_cause(error: &(dyn Error + 'static)) -> String {
    let message = error.to_string();
    match root_cause(error).map(ToString::to_string) {
        Some(cause) if !message.contains(&cause) => format!("{message}: {cause}"),
        _ => message,
    }
}

fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&next| next.source()).last()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_deepest_cause_is_added_once() {
        let error = CliError::Runtime(io::Error::other("no more threads"));
        assert_eq!(with_cause(&error), "could not start: no more threads");
        assert_eq!(with_cause(&CliError::Failed("as is".into())), "as is");
    }
}
