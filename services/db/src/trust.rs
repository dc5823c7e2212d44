//! Keystone trusts: what lets us work for a user later (D12). They stand in the contract's table `settings`,
//! category `identity`, type `trust_id`; their roles in `setting_metadata`.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use services_types::{ProjectId, TrustId, UserId};
use uuid::Uuid;

use crate::column::{Row, VERSION, moment, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::lease::is_duplicate;
use crate::schema::{setting_metadata, settings};
use crate::{Conflict, Datastore, Error};

const CATEGORY: &str = "identity";
const TYPE: &str = "trust_id";
const AVAILABLE: &str = "available";
const DELETED: &str = "deleted";
const ROLE_KEY: &str = "role_name";

/// A trust that is to be kept.
#[derive(Clone, Debug)]
pub struct NewTrust {
    /// The contract's name, `trust-<uuid>`.
    pub name: String,
    /// Keystone's id of it.
    pub trust_id: TrustId,
    /// Who trusts us.
    pub user_id: UserId,
    /// In which project.
    pub project_id: ProjectId,
    /// Display description.
    pub description: String,
    /// The roles that it gives, with a comma between.
    pub roles: String,
}

/// A trust that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The contract's name, `trust-<uuid>`.
    pub name: String,
    /// Keystone's id of it.
    pub trust_id: TrustId,
    /// Who trusts us.
    pub user_id: UserId,
    /// In which project.
    pub project_id: ProjectId,
    /// Display description.
    pub description: String,
    /// The roles that it gives, with a comma between.
    pub roles: String,
    /// When it was kept.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = settings)]
struct TrustRow {
    name: String,
    value: String,
    user_id: String,
    project_id: String,
    description: String,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl Datastore {
    /// Keeps the trust; it is the one that [`Datastore::trust_fetch`] finds from then on. Returns those of
    /// the same user and project that it replaces: they are forgotten here and must be revoked in Keystone.
    pub async fn trust_store(&self, new: NewTrust) -> Result<Vec<Trust>, Error> {
        self.write("keep a trust", move |connection, now| {
            let replaced = load(connection, Some(&new.user_id), &new.project_id)?;
            for trust in &replaced {
                bury(connection, &trust.name, now)?;
            }
            insert(connection, &new, now)?;
            Ok(replaced)
        })
        .await
    }

    /// The trust of this user in this project; the newest where two logins were at once.
    pub async fn trust_fetch(
        &self,
        user_id: &UserId,
        project_id: &ProjectId,
    ) -> Result<Option<Trust>, Error> {
        let (user_id, project_id) = (user_id.clone(), project_id.clone());
        self.read("find the trust of a user", move |connection| {
            Ok(load(connection, Some(&user_id), &project_id)?.pop())
        })
        .await
    }

    /// The trusts of all users of a project, oldest first.
    pub async fn trust_list(&self, project_id: &ProjectId) -> Result<Vec<Trust>, Error> {
        let project_id = project_id.clone();
        self.read("list trusts", move |connection| {
            load(connection, None, &project_id)
        })
        .await
    }

    /// The trust of this name, of whatever project.
    pub async fn trust_fetch_by_name(&self, name: &str) -> Result<Trust, Error> {
        let name = name.to_owned();
        self.read("read a trust", move |connection| {
            let row = settings::table
                .filter(settings::name.eq(&name))
                .filter(settings::category.eq(CATEGORY))
                .filter(settings::setting_type.eq(TYPE))
                .filter(settings::deleted.eq(false))
                .select(TrustRow::as_select())
                .first(connection)
                .optional()?
                .ok_or_else(|| Error::not_found("trust", &name))?;
            typed(connection, row)
        })
        .await
    }

    /// Forgets the trust of this name; revoking it in Keystone is the caller's.
    pub async fn trust_delete(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.write("forget a trust", move |connection, now| {
            match bury(connection, &name, now)? {
                0 => Err(Error::not_found("trust", &name).into()),
                _ => Ok(()),
            }
        })
        .await
    }
}

fn load(
    connection: &mut AnyConnection,
    user_id: Option<&UserId>,
    project_id: &ProjectId,
) -> Result<Vec<Trust>, Stop> {
    let mut query = settings::table
        .filter(settings::category.eq(CATEGORY))
        .filter(settings::setting_type.eq(TYPE))
        .filter(settings::deleted.eq(false))
        .filter(settings::project_id.eq(project_id.as_str()))
        .order((settings::created_at, settings::name))
        .select(TrustRow::as_select())
        .into_boxed();
    if let Some(user_id) = user_id {
        query = query.filter(settings::user_id.eq(user_id.as_str()));
    }
    let rows = query.load(connection)?;
    rows.into_iter().map(|row| typed(connection, row)).collect()
}

fn typed(connection: &mut AnyConnection, columns: TrustRow) -> Result<Trust, Stop> {
    let roles: Option<String> = setting_metadata::table
        .filter(setting_metadata::settings_name.eq(&columns.name))
        .filter(setting_metadata::settings_project_id.eq(&columns.project_id))
        .filter(setting_metadata::key.eq(ROLE_KEY))
        .select(setting_metadata::value)
        .first(connection)
        .optional()?;
    let row = Row {
        what: "trust",
        id: &columns.name,
    };
    Ok(Trust {
        trust_id: row.parse(&columns.value)?,
        user_id: row.parse(&columns.user_id)?,
        project_id: row.parse(&columns.project_id)?,
        roles: roles.unwrap_or_default(),
        created_at: moment(columns.created_at),
        updated_at: moment(columns.updated_at),
        name: columns.name,
        description: columns.description,
    })
}

fn insert(connection: &mut AnyConnection, new: &NewTrust, now: DateTime<Utc>) -> Result<(), Stop> {
    let inserted = diesel::insert_into(settings::table)
        .values((
            settings::created_at.eq(to_moment(now)),
            settings::updated_at.eq(to_moment(now)),
            settings::deleted.eq(false),
            settings::version.eq(VERSION),
            settings::name.eq(&new.name),
            settings::project_id.eq(new.project_id.as_str()),
            settings::user_id.eq(new.user_id.as_str()),
            settings::value.eq(new.trust_id.as_str()),
            settings::description.eq(&new.description),
            settings::category.eq(CATEGORY),
            settings::setting_type.eq(TYPE),
            settings::public.eq(false),
            settings::hidden.eq(true),
            settings::status.eq(AVAILABLE),
        ))
        .execute(connection);
    match inserted {
        Ok(_) => insert_roles(connection, new, now),
        Err(error) if is_duplicate(&error) => Err(Conflict::Exists { what: "trust" }.into()),
        Err(error) => Err(error.into()),
    }
}

fn insert_roles(
    connection: &mut AnyConnection,
    new: &NewTrust,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::insert_into(setting_metadata::table)
        .values((
            setting_metadata::created_at.eq(to_moment(now)),
            setting_metadata::updated_at.eq(to_moment(now)),
            setting_metadata::deleted.eq(false),
            setting_metadata::version.eq(VERSION),
            setting_metadata::id.eq(Uuid::new_v4().to_string()),
            setting_metadata::settings_name.eq(&new.name),
            setting_metadata::settings_project_id.eq(new.project_id.as_str()),
            setting_metadata::key.eq(ROLE_KEY),
            setting_metadata::value.eq(&new.roles),
        ))
        .execute(connection)?;
    Ok(())
}

fn bury(connection: &mut AnyConnection, name: &str, now: DateTime<Utc>) -> Result<usize, Stop> {
    Ok(diesel::update(settings::table)
        .filter(settings::name.eq(name))
        .filter(settings::category.eq(CATEGORY))
        .filter(settings::setting_type.eq(TYPE))
        .filter(settings::deleted.eq(false))
        .set((
            settings::status.eq(DELETED),
            settings::deleted.eq(true),
            settings::deleted_at.eq(to_moment(now)),
            settings::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?)
}
