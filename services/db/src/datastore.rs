//! The asynchronous face of the blocking database.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use diesel::r2d2::{ManageConnection, Pool, PooledConnection};
use uuid::Uuid;

use crate::Error;
use crate::connection::{AnyConnection, Connector, in_transaction};
use crate::error::Stop;
use crate::location::Location;
use crate::trouble::{Trouble, classify};

/// Tells the time; tests put their own in place.
type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Enough for every request that one node serves at a time; Galera's nodes each see as many.
const POOL_SIZE: u32 = 16;
/// How long a request waits for a free connection, and a new connection for the server.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// A transaction that met another is done again so many times; with the pauses below 3 s at most in all.
const ATTEMPTS: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// The database, cheap to clone. Methods are noun first, one file a noun.
///
/// * Every write is one transaction: all of it happened or nothing.
/// * Where another transaction was in the way (deadlock, Galera's certification, SQLite's lock) the
///   whole is done again a bounded number of times, then it is [`Error::Unavailable`].
/// * Work is done on a blocking thread and goes on when the caller's future is dropped.
/// * Times are UTC, cut to microseconds, and come from one clock, see [`Datastore::with_clock`].
#[derive(Clone)]
pub struct Datastore {
    pool: Pool<Connector>,
    clock: Clock,
}

impl Datastore {
    /// Connects; makes SQLite's file where it is missing, but no tables: see [`Datastore::migrate`].
    ///
    /// `mysql://user:password@host[:port]/database[?unix_socket=/path]`, `sqlite:////absolute/path` or
    /// `sqlite::memory:`.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let location = Location::parse(url)?;
        let pool = blocking("connect to the database", move || open(location)).await??;
        Ok(Self {
            pool,
            clock: Arc::new(Utc::now),
        })
    }

    /// The same database with another clock; leases and all times in rows follow it.
    #[must_use]
    pub fn with_clock(&self, clock: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self {
            pool: self.pool.clone(),
            clock: Arc::new(clock),
        }
    }

    /// Runs one transaction. `doing` completes "could not ...".
    pub(crate) async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&mut AnyConnection, DateTime<Utc>) -> Result<T, Stop> + Send + 'static,
    {
        self.run(doing, move |connection, now| {
            in_transaction(connection, |connection| work(connection, now))
        })
        .await
    }

    /// Runs queries that change nothing, each for itself. `doing` completes "could not ...".
    pub(crate) async fn read<T, F>(&self, doing: &'static str, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&mut AnyConnection) -> Result<T, Stop> + Send + 'static,
    {
        self.run(doing, move |connection, _| work(connection)).await
    }

    /// Runs the work on a blocking thread, again while the database is contended.
    pub(crate) async fn run<T, F>(&self, doing: &'static str, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&mut AnyConnection, DateTime<Utc>) -> Result<T, Stop> + Send + 'static,
    {
        let store = self.clone();
        blocking(doing, move || {
            let mut connection = store.connection(doing)?;
            repeat(doing, || work(&mut connection, store.now()))
        })
        .await?
    }

    fn connection(&self, doing: &'static str) -> Result<PooledConnection<Connector>, Error> {
        self.pool.get().map_err(|source| Error::Unavailable {
            doing,
            source: source.into(),
        })
    }

    /// What a row can hold of this moment.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.clock)().trunc_subsecs(6)
    }
}

/// In memory every connection is a database of its own, so there may only ever be one.
fn open(location: Location) -> Result<Pool<Connector>, Error> {
    let builder = Pool::builder()
        .connection_timeout(CONNECTION_TIMEOUT)
        .error_handler(Box::new(PoolErrors));
    let builder = match location {
        Location::SqliteMemory => builder.max_size(1).max_lifetime(None).idle_timeout(None),
        _ => builder.max_size(POOL_SIZE).min_idle(Some(1)),
    };
    let connector = Connector::new(location);
    // The pool would try for as long as a request waits, and then not say why.
    connector
        .connect()
        .map_err(|source| unreachable_database(source.into()))?;
    builder
        .build(connector)
        .map_err(|source| unreachable_database(source.into()))
}

fn unreachable_database(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Unavailable {
        doing: "connect to the database",
        source,
    }
}

/// The pool tries again by itself; whoever waits for a connection is told in the end.
#[derive(Debug)]
struct PoolErrors;

impl diesel::r2d2::HandleError<crate::connection::ConnectError> for PoolErrors {
    fn handle_error(&self, error: crate::connection::ConnectError) {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(%error, cause, "the database refused a connection");
    }
}

async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::Unavailable {
            doing,
            source: source.into(),
        })
}

fn repeat<T>(
    doing: &'static str,
    mut attempt: impl FnMut() -> Result<T, Stop>,
) -> Result<T, Error> {
    let mut longest = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(Stop::Sql(error)) if classify(&error) == Trouble::Contended => {
                tracing::debug!(doing, %error, "another transaction was in the way, trying again");
                std::thread::sleep(shortened_by_chance(longest));
                longest = (longest * 2).min(LONGEST_PAUSE);
            }
            ended => return ended.map_err(|stop| told(doing, stop)),
        }
    }
    attempt().map_err(|stop| told(doing, stop))
}

/// Those who met once must not meet again at the same moment.
fn shortened_by_chance(longest: Duration) -> Duration {
    let (chance, _) = Uuid::new_v4().as_u64_pair();
    longest.mul_f64(0.5 + 0.5 * f64::from(u16::try_from(chance & 0xffff).unwrap_or(0)) / 65536.0)
}

fn told(doing: &'static str, stop: Stop) -> Error {
    match stop {
        Stop::Ours(error) => error,
        Stop::Sql(error) => match classify(&error) {
            Trouble::Final => Error::Refused {
                doing,
                source: error.into(),
            },
            Trouble::Contended | Trouble::Unavailable => Error::Unavailable {
                doing,
                source: error.into(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use diesel::result::{DatabaseErrorKind, Error as SqlError};

    use super::*;

    fn locked() -> Stop {
        let words = Box::new("database is locked".to_owned());
        Stop::Sql(SqlError::DatabaseError(DatabaseErrorKind::Unknown, words))
    }

    #[test]
    fn a_transaction_that_met_another_is_done_again() {
        let mut attempts = 0;
        let outcome = repeat("try", || {
            attempts += 1;
            if attempts < 4 {
                Err(locked())
            } else {
                Ok(attempts)
            }
        });
        assert_eq!(outcome.unwrap(), 4);
    }

    #[test]
    fn one_that_never_gets_through_is_unavailable_in_the_end() {
        let mut attempts = 0;
        let outcome = repeat("try", || {
            attempts += 1;
            Err::<(), _>(locked())
        });
        assert!(matches!(outcome, Err(Error::Unavailable { .. })));
        assert_eq!(attempts, ATTEMPTS);
    }

    #[test]
    fn what_we_refuse_is_not_tried_again() {
        let mut attempts = 0;
        let outcome = repeat("try", || {
            attempts += 1;
            Err::<(), _>(Error::not_found("workload", &"x").into())
        });
        assert!(matches!(outcome, Err(Error::NotFound { .. })));
        assert_eq!(attempts, 1);
    }

    #[tokio::test]
    async fn work_that_stops_leaves_nothing() {
        use diesel::prelude::*;

        use crate::schema::leases;

        let store = Datastore::connect("sqlite::memory:").await.unwrap();
        store.migrate().await.unwrap();
        let count = async || {
            store
                .read("count", |connection| {
                    Ok(leases::table.count().get_result::<i64>(connection)?)
                })
                .await
                .unwrap()
        };
        let before = count().await;
        let refused: Result<(), Error> = store
            .write("insert and stop", |connection, now| {
                diesel::insert_into(leases::table)
                    .values((
                        leases::name.eq("x"),
                        leases::epoch.eq(1),
                        leases::expires_at.eq(now.naive_utc()),
                    ))
                    .execute(connection)?;
                Err(Error::not_found("sense", &"x").into())
            })
            .await;
        assert!(matches!(refused, Err(Error::NotFound { .. })));
        assert_eq!(count().await, before);
    }
}
