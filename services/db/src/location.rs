//! Where the database is, read from the URL that operators write.

use std::fmt;
use std::path::PathBuf;

use crate::Error;

/// One of the databases that we speak to.
#[derive(Clone)]
pub(crate) enum Location {
    /// Diesel reads the URL itself: `mysql://user:pass@host[:port]/db?unix_socket=...&ssl_ca=...`.
    Mysql(String),
    /// A file; made when it is missing.
    Sqlite(PathBuf),
    /// Gone with the [`crate::Datastore`]; for tests of others.
    SqliteMemory,
}

impl Location {
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        if url == "sqlite::memory:" {
            return Ok(Self::SqliteMemory);
        }
        if url.starts_with("mysql://") {
            return Ok(Self::Mysql(url.to_owned()));
        }
        let Some(path) = url.strip_prefix("sqlite:///") else {
            return Err(Error::BadUrl {
                reason: "starts neither with mysql:// nor with sqlite:///",
            });
        };
        if path.starts_with('/') {
            Ok(Self::Sqlite(PathBuf::from(path)))
        } else {
            Err(Error::BadUrl {
                reason: "must name SQLite's file by an absolute path: sqlite:////var/lib/...",
            })
        }
    }
}

/// Without the URL: it may hold a password.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mysql(_) => f.write_str("MariaDB"),
            Self::Sqlite(path) => write!(f, "SQLite at {}", path.display()),
            Self::SqliteMemory => f.write_str("SQLite in memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_path_is_absolute() {
        let Ok(Location::Sqlite(path)) = Location::parse("sqlite:////var/lib/backstay/db") else {
            panic!("not read as a file");
        };
        assert_eq!(path, PathBuf::from("/var/lib/backstay/db"));
        assert!(Location::parse("sqlite:///db").is_err());
    }

    #[test]
    fn an_unknown_database_is_refused_without_showing_the_password() {
        let refused = Location::parse("postgres://a:secret@b/c").unwrap_err();
        assert!(!format!("{refused:?} {refused}").contains("secret"));
        let known = Location::parse("mysql://a:secret@b/c").unwrap();
        assert!(!format!("{known:?}").contains("secret"));
    }
}
