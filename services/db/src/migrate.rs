//! Bringing the tables up to this release.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use uuid::Uuid;

use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::lease::Lease;
use crate::{Datastore, Error};

const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Migrations are done under a lease: Galera has no lock that all nodes see. Its table is therefore made
/// before them, by a statement that all may say at once.
const MYSQL_LEASES: &str = "CREATE TABLE IF NOT EXISTS leases (\
    name VARCHAR(255) NOT NULL PRIMARY KEY, holder VARCHAR(255) NULL, epoch BIGINT NOT NULL, \
    expires_at DATETIME(6) NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";
const SQLITE_LEASES: &str = "CREATE TABLE IF NOT EXISTS leases (\
    name TEXT NOT NULL PRIMARY KEY, holder TEXT NULL, epoch BIGINT NOT NULL, \
    expires_at TIMESTAMP NOT NULL)";

const LEASE_NAME: &str = "migrations";
/// No single migration may take longer; the lease is renewed before each.
const LEASE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
/// Long enough to outlive the lease of a node that died while it migrated.
const PATIENCE: Duration = Duration::from_secs(180);

impl Datastore {
    /// Makes and changes tables as this release needs them. Safe when several nodes or programs start at
    /// once: one does it, the others wait until it is done (at most 3 minutes, then `Unavailable`).
    pub async fn migrate(&self) -> Result<(), Error> {
        self.run("prepare the database", |connection, _| prepare(connection))
            .await?;
        let holder = Uuid::new_v4().to_string();
        let started = tokio::time::Instant::now();
        while self.has_pending_migration().await? {
            match self.lease_acquire(LEASE_NAME, &holder, LEASE).await? {
                Some(lease) => {
                    let outcome = self.migrate_all(&lease).await;
                    self.lease_release(&lease).await?;
                    outcome?;
                }
                None if started.elapsed() > PATIENCE => return Err(never_done()),
                None => tokio::time::sleep(POLL).await,
            }
        }
        Ok(())
    }

    async fn has_pending_migration(&self) -> Result<bool, Error> {
        self.run("read which migrations were done", |connection, _| {
            match connection {
                AnyConnection::Mysql(mysql) => mysql.has_pending_migration(MYSQL),
                AnyConnection::Sqlite(sqlite) => sqlite.has_pending_migration(SQLITE),
            }
            .map_err(failed)
        })
        .await
    }

    async fn migrate_all(&self, lease: &Lease) -> Result<(), Error> {
        while self.has_pending_migration().await? {
            self.lease_renew(lease, LEASE).await?;
            self.run("migrate the database", migrate_one).await?;
        }
        Ok(())
    }
}

fn prepare(connection: &mut AnyConnection) -> Result<(), Stop> {
    match connection {
        AnyConnection::Mysql(mysql) => mysql.batch_execute(MYSQL_LEASES)?,
        AnyConnection::Sqlite(sqlite) => {
            // Stays with the file: readers and the one writer do not wait for each other.
            sqlite.batch_execute("PRAGMA journal_mode = WAL")?;
            sqlite.batch_execute(SQLITE_LEASES)?;
        }
    }
    Ok(())
}

fn migrate_one(connection: &mut AnyConnection, _now: DateTime<Utc>) -> Result<(), Stop> {
    match connection {
        AnyConnection::Mysql(mysql) => next(mysql, MYSQL),
        AnyConnection::Sqlite(sqlite) => {
            sqlite.immediate_transaction(|sqlite| next::<Sqlite>(sqlite, SQLITE))
        }
    }
    .map_err(failed)
}

type MigrationOutcome = diesel::migration::Result<()>;

fn next<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: impl MigrationSource<DB>,
) -> MigrationOutcome {
    connection.run_next_migration(source)?;
    Ok(())
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Stop {
    match error.downcast::<diesel::result::Error>() {
        Ok(error) => Stop::Sql(*error),
        Err(source) => Stop::Ours(Error::Refused {
            doing: "migrate the database",
            source,
        }),
    }
}

fn never_done() -> Error {
    Error::Unavailable {
        doing: "migrate the database",
        source: "another node has been migrating it for too long".into(),
    }
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;
    use diesel::sql_types::Text;
    use tests_support::MariaDb;

    use super::*;

    #[derive(QueryableByName)]
    struct Column {
        #[diesel(sql_type = Text)]
        table_name: String,
        #[diesel(sql_type = Text)]
        column_name: String,
    }

    fn revert_and_migrate<DB: diesel::backend::Backend>(
        connection: &mut impl MigrationHarness<DB>,
        source: fn() -> EmbeddedMigrations,
    ) where
        EmbeddedMigrations: MigrationSource<DB>,
    {
        connection.run_pending_migrations(source()).unwrap();
        connection.revert_all_migrations(source()).unwrap();
        connection.run_pending_migrations(source()).unwrap();
    }

    #[test]
    fn what_was_migrated_can_be_taken_back_and_done_again() {
        let mut sqlite = SqliteConnection::establish(":memory:").unwrap();
        revert_and_migrate::<Sqlite>(&mut sqlite, || SQLITE);
        let url = MariaDb::of_this_run().unwrap().database().unwrap();
        let mut mysql = MysqlConnection::establish(&url).unwrap();
        revert_and_migrate::<diesel::mysql::Mysql>(&mut mysql, || MYSQL);
    }

    /// MariaDB commits every statement of a migration by itself, so a crash can come in between.
    #[test]
    fn a_migration_that_was_cut_off_is_done_again() {
        let url = MariaDb::of_this_run().unwrap().database().unwrap();
        let mut mysql = MysqlConnection::establish(&url).unwrap();
        mysql.run_pending_migrations(MYSQL).unwrap();
        mysql
            .batch_execute("DELETE FROM __diesel_schema_migrations; DROP TABLE flow_events")
            .unwrap();
        mysql.run_pending_migrations(MYSQL).unwrap();
    }

    #[test]
    fn both_databases_have_the_same_columns_in_the_same_order() {
        let mut sqlite = SqliteConnection::establish(":memory:").unwrap();
        sqlite.run_pending_migrations(SQLITE).unwrap();
        let columns: Vec<Column> = diesel::sql_query(
            "SELECT m.name AS table_name, p.name AS column_name FROM sqlite_master m \
             JOIN pragma_table_info(m.name) p WHERE m.type = 'table' ORDER BY m.name, p.cid",
        )
        .load(&mut sqlite)
        .unwrap();
        let of_sqlite: String = columns
            .iter()
            .map(|it| format!("{}\t{}\n", it.table_name, it.column_name))
            .collect();

        let server = MariaDb::of_this_run().unwrap();
        let url = server.database().unwrap();
        let mut mysql = MysqlConnection::establish(&url).unwrap();
        mysql.run_pending_migrations(MYSQL).unwrap();
        let name = url.split(['/', '?']).nth(3).unwrap();
        let of_mariadb = server
            .query(&format!(
                "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS \
                 WHERE TABLE_SCHEMA = '{name}' ORDER BY CAST(TABLE_NAME AS BINARY), ORDINAL_POSITION"
            ))
            .unwrap();
        assert_eq!(of_sqlite, of_mariadb);
    }
}
