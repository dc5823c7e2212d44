//! What is known of a backup that is not yet one: enough to go on, and to leave nothing behind.

use std::io::ErrorKind;

use agent_contract::{ImageCompression, TransferId};
use agent_format::layout::SnapshotFolder;
use agent_format::{Digest, ObjectName, SnapshotId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::error::{CommandError, io, target};
use crate::command::session::Session;
use crate::transfer::Work;

/// An interrupted backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Unfinished {
    pub(super) asked: Asked,
    pub(super) snapshot_id: SnapshotId,
    pub(super) created_at: DateTime<Utc>,
    pub(super) work: Option<Work>,
}

/// What decides what the image will be: equal, and an interrupted one goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) source: String,
    /// Of the bytes of the source; none: it cannot be told whether they are the same.
    pub(super) identity: Option<String>,
    pub(super) size_bytes: u64,
    pub(super) compression: ImageCompression,
    pub(super) point: Option<String>,
    pub(super) backing: Option<ObjectName>,
    pub(super) since: Option<String>,
    /// The list of what changed, which is kept beside.
    pub(super) changed: Option<Digest>,
}

impl Asked {
    /// Whether `later` asks for this once more, when `image` is what came of it: the newest, and so what
    /// the next one would build upon.
    pub(super) fn is_asked_again(&self, later: &Self, image: &ObjectName) -> bool {
        let mut later = later.clone();
        if later.backing.as_ref() == Some(image) {
            later.backing.clone_from(&self.backing);
            later.since.clone_from(&self.since);
        }
        *self == later
    }
}

impl Unfinished {
    /// One a name and target.
    pub(super) fn key(target: &str, name: &str) -> Uuid {
        let text = format!("{target}\n{name}");
        Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes())
    }

    pub(super) fn load(session: &Session<'_>, key: Uuid) -> Result<Option<Self>, CommandError> {
        let path = session.host.journal.file(key, "json");
        match std::fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(unfinished) => Ok(Some(unfinished)),
                Err(error) => {
                    let path = path.display();
                    session.warn(&format!(
                        "{path} cannot be understood, beginning anew: {error}"
                    ));
                    Ok(None)
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(format!("read {}", path.display()))(error)),
        }
    }

    pub(super) fn save(&self, session: &Session<'_>, key: Uuid) -> Result<(), CommandError> {
        Ok(session.host.journal.save(key, self)?)
    }

    /// Nothing is to be resumed any more.
    pub(super) fn forget(session: &Session<'_>, key: Uuid) -> Result<(), CommandError> {
        let plan = session.host.plan_path(TransferId(key));
        session.host.journal.remove_file(&plan)?;
        Ok(session.host.journal.remove(key)?)
    }

    /// Removes what it wrote (it has no manifest, so nobody sees it), and forgets it.
    pub(super) fn drop_all(
        &self,
        session: &Session<'_>,
        key: Uuid,
        folder: &SnapshotFolder,
    ) -> Result<(), CommandError> {
        // Half of it may be left: whoever comes then begins at the beginning.
        let anew = Self {
            work: None,
            ..self.clone()
        };
        anew.save(session, key)?;
        let removed = session.target.delete_folder(&folder.name());
        removed.map_err(target("remove an unfinished backup"))?;
        Self::forget(session, key)
    }
}
