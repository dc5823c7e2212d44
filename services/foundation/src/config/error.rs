use std::path::PathBuf;

/// A configuration that cannot be worked with. Never prints a value: it may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or may not be read.
    #[error("cannot read configuration file {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is no INI file.
    #[error("{}, line {line}: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A value that must be there is not.
    #[error("[{section}] {key} is not set (looked in {looked_in})")]
    Missing {
        /// Section.
        section: String,
        /// Key.
        key: String,
        /// Files and variable in which it could stand.
        looked_in: String,
    },
    /// A value is there and makes no sense.
    #[error("{origin}: [{section}] {key} is not valid")]
    Invalid {
        /// File or environment variable.
        origin: String,
        /// Section.
        section: String,
        /// Key.
        key: String,
        /// What the parser of its type says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
