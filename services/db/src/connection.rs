//! One connection to either database, and how a transaction begins on it.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::r2d2::{ManageConnection, R2D2Connection};
use diesel::{Connection, MysqlConnection, QueryResult, SqliteConnection};

use crate::error::Stop;
use crate::location::Location;

/// Either database. Queries are written once against this; SQL that only one knows needs a `match`.
#[derive(diesel::MultiConnection)]
pub(crate) enum AnyConnection {
    Mysql(MysqlConnection),
    Sqlite(SqliteConnection),
}

/// READ COMMITTED, because every transaction here first writes the row that it depends on: what it reads
/// after that is the newest. STRICT, so that nothing is cut to fit.
const MYSQL_ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
const MYSQL_SESSION: &str = "SET SESSION time_zone = '+00:00', \
    SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'";

/// Another process may hold the only write lock for as long as its disk takes to sync.
const SQLITE_SESSION: &str =
    "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;";

/// Makes connections for the pool. Diesel's own would try SQLite where MariaDB does not answer, and so
/// make a file named by the URL.
#[derive(Debug)]
pub(crate) struct Connector {
    location: Location,
}

impl Connector {
    pub(crate) fn new(location: Location) -> Self {
        Self { location }
    }

    fn establish(&self) -> Result<AnyConnection, ConnectError> {
        match &self.location {
            Location::Mysql(url) => {
                let mut connection = MysqlConnection::establish(url)?;
                connection.batch_execute(MYSQL_ISOLATION)?;
                connection.batch_execute(MYSQL_SESSION)?;
                Ok(AnyConnection::Mysql(connection))
            }
            Location::Sqlite(path) => sqlite(&path.to_string_lossy()),
            Location::SqliteMemory => sqlite(":memory:"),
        }
    }
}

fn sqlite(path: &str) -> Result<AnyConnection, ConnectError> {
    let mut connection = SqliteConnection::establish(path)?;
    connection.batch_execute(SQLITE_SESSION)?;
    Ok(AnyConnection::Sqlite(connection))
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("cannot connect")]
    Connect(#[from] diesel::ConnectionError),
    #[error("cannot set the connection up")]
    SetUp(#[from] diesel::result::Error),
}

impl ManageConnection for Connector {
    type Connection = AnyConnection;
    type Error = ConnectError;

    fn connect(&self) -> Result<AnyConnection, ConnectError> {
        self.establish()
    }

    fn is_valid(&self, connection: &mut AnyConnection) -> Result<(), ConnectError> {
        Ok(connection.ping()?)
    }

    fn has_broken(&self, connection: &mut AnyConnection) -> bool {
        std::thread::panicking() || connection.is_broken()
    }
}

/// Runs the work in one transaction: all of it or nothing of it.
///
/// SQLite's write lock is taken at the beginning, where waiting for it works; taken later it would fail
/// at once. Work that panics leaves the connection to the pool, which throws it away.
pub(crate) fn in_transaction<T>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, Stop>,
) -> Result<T, Stop> {
    begin(connection)?;
    match work(connection) {
        Ok(value) => {
            <AnyConnection as Connection>::TransactionManager::commit_transaction(connection)?;
            Ok(value)
        }
        Err(stop) => {
            roll_back(connection);
            Err(stop)
        }
    }
}

fn begin(connection: &mut AnyConnection) -> QueryResult<()> {
    match connection {
        AnyConnection::Mysql(mysql) => AnsiTransactionManager::begin_transaction(mysql),
        AnyConnection::Sqlite(sqlite) => {
            AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE")
        }
    }
}

/// A rollback that fails marks the connection broken, and the server rolls back when it is closed:
/// the reason for rolling back is what the caller needs to hear.
fn roll_back(connection: &mut AnyConnection) {
    if let Err(error) =
        <AnyConnection as Connection>::TransactionManager::rollback_transaction(connection)
    {
        tracing::warn!(%error, "a transaction could not be rolled back, its connection is dropped");
    }
}
