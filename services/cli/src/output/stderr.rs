//! What people read beside the result.

use std::io::{self, Write};

/// Writes at once. A stderr that is gone is no reason to fail: nobody is left to tell.
pub(crate) fn write_stderr(text: &str) {
    let mut stderr = io::stderr().lock();
    drop(
        stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush()),
    );
}
