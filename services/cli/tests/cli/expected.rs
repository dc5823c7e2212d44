//! Comparing with a file that stands in the repository.

use std::path::Path;

/// Set to write the files instead of comparing with them.
const WRITE: &str = "BACKSTAY_WRITE_EXPECTED";

/// Fails when the file does not hold this text.
pub(crate) fn compare(file: &Path, text: &str) {
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        expected == text,
        "{} is not what is printed now ({WRITE}=1 writes it anew):\n{text}",
        file.display()
    );
}
