//! Tells what a database's error means for us. Diesel knows few of them by kind, so the rest are told by
//! the words that MariaDB's, Galera's and SQLite's sources have had for many years.

use diesel::result::{DatabaseErrorKind, Error};

/// What to do about an error of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Another transaction was in the way: the same work may succeed when done again from its start.
    Contended,
    /// The server is not there, or not now.
    Unavailable,
    /// It will never succeed.
    Final,
}

/// Deadlock also stands for a transaction that Galera's other nodes refused at COMMIT.
const CONTENDED: [&str; 6] = [
    "database is locked",
    "database table is locked",
    "database schema is locked",
    "Deadlock found",
    "Lock wait timeout exceeded",
    "Record has changed since last read",
];

const UNAVAILABLE: [&str; 8] = [
    "has gone away",
    "Lost connection",
    "Can't connect",
    "Connection was killed",
    "Server shutdown in progress",
    "WSREP has not yet prepared node",
    "disk I/O error",
    "database or disk is full",
];

pub(crate) fn classify(error: &Error) -> Trouble {
    match error {
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => Trouble::Contended,
        Error::DatabaseError(DatabaseErrorKind::ClosedConnection, _)
        | Error::BrokenTransactionManager => Trouble::Unavailable,
        Error::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            by_words(information.message())
        }
        Error::RollbackErrorOnCommit { commit_error, .. } => classify(commit_error),
        _ => Trouble::Final,
    }
}

fn by_words(message: &str) -> Trouble {
    if CONTENDED.iter().any(|words| message.contains(words)) {
        Trouble::Contended
    } else if UNAVAILABLE.iter().any(|words| message.contains(words)) {
        Trouble::Unavailable
    } else {
        Trouble::Final
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(message: &str) -> Error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))
    }

    #[test]
    fn a_commit_that_galera_refused_is_tried_again() {
        let refused = unknown("Deadlock found when trying to get lock; try restarting transaction");
        assert_eq!(classify(&refused), Trouble::Contended);
        let rolled_back = Error::RollbackErrorOnCommit {
            rollback_error: Box::new(unknown("anything")),
            commit_error: Box::new(refused),
        };
        assert_eq!(classify(&rolled_back), Trouble::Contended);
    }

    #[test]
    fn a_busy_sqlite_is_tried_again() {
        assert_eq!(classify(&unknown("database is locked")), Trouble::Contended);
    }

    #[test]
    fn a_lost_server_is_unavailable() {
        assert_eq!(
            classify(&unknown("Server has gone away")),
            Trouble::Unavailable
        );
        assert_eq!(
            classify(&unknown("Lost connection to server during query")),
            Trouble::Unavailable
        );
    }

    #[test]
    fn a_wrong_statement_is_final() {
        assert_eq!(
            classify(&unknown("Unknown column 'x' in 'field list'")),
            Trouble::Final
        );
        let duplicate = Error::DatabaseError(
            DatabaseErrorKind::UniqueViolation,
            Box::new("Duplicate entry".to_owned()),
        );
        assert_eq!(classify(&duplicate), Trouble::Final);
    }
}
