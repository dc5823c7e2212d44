//! Leases by name: who of several nodes may do what only one may, until when (D6).
//!
//! A lease is taken by compare-and-set on its row, never by a lock: Galera replicates rows only.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::schema::leases;
use crate::{Datastore, Error};

/// A lease that was granted. Valid until it runs out, or as long as its epoch stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is a lease on.
    pub name: String,
    /// Who asked for it.
    pub holder: String,
    /// Raised by every grant.
    pub epoch: i64,
}

impl Datastore {
    /// Takes the lease if nobody has it, if it has run out, or if this holder has it already (the lease
    /// that it had is void then). `None`: another has it.
    pub async fn lease_acquire(
        &self,
        name: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<Option<Lease>, Error> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.write("acquire a lease", move |connection, now| {
            acquire(connection, &name, &holder, duration, now)
        })
        .await
    }

    /// Keeps the lease for `duration` from now. `Fenced`: another has it; stop what it allowed.
    pub async fn lease_renew(&self, lease: &Lease, duration: Duration) -> Result<(), Error> {
        let lease = lease.clone();
        self.write("renew a lease", move |connection, now| {
            let renewed = diesel::update(leases::table.find(&lease.name))
                .filter(leases::epoch.eq(lease.epoch))
                .filter(leases::holder.eq(&lease.holder))
                .set(leases::expires_at.eq(end(now, duration)))
                .execute(connection)?;
            match renewed {
                0 => Err(lost(&lease).into()),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Gives the lease back, so that another need not wait for its end. Of a lost lease: nothing.
    pub async fn lease_release(&self, lease: &Lease) -> Result<(), Error> {
        let lease = lease.clone();
        self.write("release a lease", move |connection, _| {
            diesel::update(leases::table.find(&lease.name))
                .filter(leases::epoch.eq(lease.epoch))
                .filter(leases::holder.eq(&lease.holder))
                .set(leases::holder.eq(None::<String>))
                .execute(connection)?;
            Ok(())
        })
        .await
    }
}

fn acquire(
    connection: &mut AnyConnection,
    name: &str,
    holder: &str,
    duration: Duration,
    now: DateTime<Utc>,
) -> Result<Option<Lease>, Stop> {
    let found = leases::table
        .find(name)
        .select((leases::holder, leases::epoch, leases::expires_at))
        .first::<(Option<String>, i64, NaiveDateTime)>(connection)
        .optional()?;
    let epoch = match found {
        None => insert(connection, name, holder, end(now, duration))?,
        Some((Some(other), _, expires_at)) if other != holder && expires_at > to_moment(now) => {
            None
        }
        Some((_, epoch, _)) => replace(connection, name, holder, epoch, end(now, duration))?,
    };
    Ok(epoch.map(|epoch| Lease {
        name: name.to_owned(),
        holder: holder.to_owned(),
        epoch,
    }))
}

fn insert(
    connection: &mut AnyConnection,
    name: &str,
    holder: &str,
    expires_at: NaiveDateTime,
) -> Result<Option<i64>, Stop> {
    let inserted = diesel::insert_into(leases::table)
        .values((
            leases::name.eq(name),
            leases::holder.eq(holder),
            leases::epoch.eq(1),
            leases::expires_at.eq(expires_at),
        ))
        .execute(connection);
    match inserted {
        Ok(_) => Ok(Some(1)),
        Err(error) if is_duplicate(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn replace(
    connection: &mut AnyConnection,
    name: &str,
    holder: &str,
    epoch: i64,
    expires_at: NaiveDateTime,
) -> Result<Option<i64>, Stop> {
    let replaced = diesel::update(leases::table.find(name))
        .filter(leases::epoch.eq(epoch))
        .set((
            leases::holder.eq(holder),
            leases::epoch.eq(epoch + 1),
            leases::expires_at.eq(expires_at),
        ))
        .execute(connection)?;
    Ok((replaced == 1).then_some(epoch + 1))
}

/// Whether an insert failed because there is such a row.
pub(crate) fn is_duplicate(error: &diesel::result::Error) -> bool {
    matches!(
        error,
        diesel::result::Error::DatabaseError(diesel::result::DatabaseErrorKind::UniqueViolation, _)
    )
}

/// The end of a lease; one of more than a year is as good as a year.
pub(crate) fn end(now: DateTime<Utc>, duration: Duration) -> NaiveDateTime {
    const LONGEST: chrono::TimeDelta = chrono::TimeDelta::days(365);
    let duration = chrono::TimeDelta::from_std(duration).map_or(LONGEST, |it| it.min(LONGEST));
    to_moment(now + duration)
}

fn lost(lease: &Lease) -> Error {
    Error::Fenced {
        what: format!("lease {}", lease.name),
    }
}
