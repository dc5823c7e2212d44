//! Snapshots of our own on images of others.

use super::{RbdImage, command::told};
use crate::{BlocksError, ErrorKind, Settings, child::output};

impl RbdImage {
    /// Takes the snapshot that this names; one of that name must not exist.
    pub fn create_snapshot(&self, settings: &Settings) -> Result<(), BlocksError> {
        self.change_snapshot("create", settings)
    }

    /// Removes the snapshot that this names; it, its image or its pool may be gone already.
    pub fn remove_snapshot(&self, settings: &Settings) -> Result<(), BlocksError> {
        match self.change_snapshot("rm", settings) {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::SnapshotNotFound
                ) =>
            {
                Ok(())
            }
            done => done,
        }
    }

    fn change_snapshot(&self, verb: &str, settings: &Settings) -> Result<(), BlocksError> {
        let doing = format!("rbd snap {verb} {self}");
        let mut invocation = self.addressed(&["snap", verb, "--no-progress"], settings);
        invocation.arguments.extend(self.snapshot_argument());
        let done = output(invocation, settings.command_timeout);
        done.map(drop).map_err(|error| told(error, doing))
    }
}
