//! Which of our programs run where, as they report themselves.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use crate::column::{VERSION, moment, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::lease::is_duplicate;
use crate::schema::services;
use crate::{Datastore, Error};

/// One program on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The node.
    pub host: String,
    /// The program.
    pub binary: String,
    /// Its release.
    pub version: String,
    /// Whether an operator put it aside.
    pub is_disabled: bool,
    /// Why.
    pub disabled_reason: Option<String>,
    /// When it last reported itself.
    pub last_seen_at: DateTime<Utc>,
}

impl Datastore {
    /// A program of this release says that it lives.
    pub async fn service_heartbeat(&self, host: &str, binary: &str) -> Result<(), Error> {
        let (host, binary) = (host.to_owned(), binary.to_owned());
        self.write("note that a service lives", move |connection, now| {
            if !touch(connection, &host, &binary, now)? {
                insert(connection, &host, &binary, now)?;
            }
            Ok(())
        })
        .await
    }

    /// All programs that ever reported themselves, by node and name.
    pub async fn service_list(&self) -> Result<Vec<Service>, Error> {
        self.read("list the services", |connection| {
            let rows: Vec<(String, String, String, bool, Option<String>, NaiveDateTime)> =
                services::table
                    .filter(services::deleted.eq(false))
                    .order((services::host, services::binary))
                    .select((
                        services::host,
                        services::binary,
                        services::version,
                        services::disabled,
                        services::disabled_reason,
                        services::last_seen_at,
                    ))
                    .load(connection)?;
            Ok(rows
                .into_iter()
                .map(
                    |(host, binary, version, is_disabled, disabled_reason, seen)| Service {
                        host,
                        binary,
                        version,
                        is_disabled,
                        disabled_reason,
                        last_seen_at: moment(seen),
                    },
                )
                .collect())
        })
        .await
    }
}

fn touch(
    connection: &mut AnyConnection,
    host: &str,
    binary: &str,
    now: DateTime<Utc>,
) -> Result<bool, Stop> {
    let touched = diesel::update(services::table)
        .filter(services::host.eq(host))
        .filter(services::binary.eq(binary))
        .set((
            services::version.eq(VERSION),
            services::last_seen_at.eq(to_moment(now)),
            services::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(touched > 0)
}

/// Two processes of one name may begin at once; the other's row is as good.
fn insert(
    connection: &mut AnyConnection,
    host: &str,
    binary: &str,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    let inserted = diesel::insert_into(services::table)
        .values((
            services::created_at.eq(to_moment(now)),
            services::updated_at.eq(to_moment(now)),
            services::deleted.eq(false),
            services::version.eq(VERSION),
            services::id.eq(Uuid::new_v4().to_string()),
            services::host.eq(host),
            services::binary.eq(binary),
            services::disabled.eq(false),
            services::last_seen_at.eq(to_moment(now)),
        ))
        .execute(connection);
    match inserted {
        Err(error) if !is_duplicate(&error) => Err(error.into()),
        _ => Ok(()),
    }
}
