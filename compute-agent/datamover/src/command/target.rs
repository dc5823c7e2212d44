//! Opening a target by what the command line calls it.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use agent_target::{DirectoryTarget, Target};

use super::error::{CommandError, io, target};

/// Where backups are kept.
#[derive(Debug, Clone)]
pub enum TargetPlace {
    /// A folder.
    Directory(PathBuf),
}

impl FromStr for TargetPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a target is a folder".to_owned());
        }
        Ok(Self::Directory(text.into()))
    }
}

impl TargetPlace {
    /// What it is called from anywhere, to tell the work for one target from that for another.
    pub(super) fn identity(&self) -> Result<String, CommandError> {
        match self {
            Self::Directory(path) => {
                let real = path.canonicalize();
                let real = real.map_err(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => {
                        CommandError::NotFound(format!("there is no folder {}", path.display()))
                    }
                    _ => io(format!("look at {}", path.display()))(error),
                })?;
                Ok(real.display().to_string())
            }
        }
    }

    pub(super) fn open(&self) -> Result<Arc<dyn Target>, CommandError> {
        let Self::Directory(path) = self;
        self.identity()?;
        let directory = DirectoryTarget::new(path);
        // Every call looks for the target's marker; this one is the cheapest.
        directory.capacity().map_err(target("open the target"))?;
        Ok(Arc::new(directory))
    }

    /// Makes the folder, if need be, and makes it a target.
    pub(super) fn initialise(&self) -> Result<(), CommandError> {
        let Self::Directory(path) = self;
        std::fs::create_dir_all(path).map_err(io(format!("make {}", path.display())))?;
        let made = DirectoryTarget::initialise(path);
        made.map(drop).map_err(target("make the folder a target"))
    }
}
