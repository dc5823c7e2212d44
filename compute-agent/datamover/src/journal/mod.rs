//! What must be known after a crash: one small JSON file an entry, replaced in one step, durable when
//! `save` returns.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use services_foundation::error_chain::ErrorChain;
use uuid::Uuid;

/// The journal cannot be used: nothing may be begun that it does not hold.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub(crate) struct JournalError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// One folder of entries of one type.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// Makes the folder if need be; only its owner may look into it.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, JournalError> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        made.map_err(failed("make", &folder))?;
        Ok(Self { folder })
    }

    /// Replaces the entry.
    pub(crate) fn save(&self, id: Uuid, entry: &impl Serialize) -> Result<(), JournalError> {
        let path = self.file(id, "json");
        let bytes = serde_json::to_vec(entry).map_err(io::Error::from);
        let bytes = bytes.map_err(failed("write", &path))?;
        self.replace(&path, |file| file.write_all(&bytes))
    }

    /// Writes a file beside the entry, whole or not at all.
    pub(crate) fn replace(
        &self,
        path: &Path,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), JournalError> {
        let new = new_of(path);
        let write_new = || {
            // Some entries hold secrets.
            let mut options = File::options();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            write(&mut file)?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            File::open(&self.folder)?.sync_all()
        };
        write_new().map_err(|error| {
            // Whatever of it is there is written over by the next one.
            let _no_matter = fs::remove_file(&new);
            failed("write", path)(error)
        })
    }

    /// A file of this entry beside its JSON.
    pub(crate) fn file(&self, id: Uuid, extension: &str) -> PathBuf {
        self.folder.join(format!("{id}.{extension}"))
    }

    /// Removes the entry.
    pub(crate) fn remove(&self, id: Uuid) -> Result<(), JournalError> {
        self.remove_file(&self.file(id, "json"))
    }

    /// Removes a file beside it, and what a kill may have left of its next version; none is fine.
    pub(crate) fn remove_file(&self, path: &Path) -> Result<(), JournalError> {
        for path in [path, &new_of(path)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// One entry; none if there is none. One that cannot be read is told of and as good as none.
    pub(crate) fn fetch<T: DeserializeOwned>(&self, id: Uuid) -> Result<Option<T>, JournalError> {
        let path = self.file(id, "json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        match serde_json::from_slice(&bytes) {
            Ok(entry) => Ok(Some(entry)),
            Err(source) => {
                let error = failed("read", &path)(source.into());
                tracing::error!("an entry of the journal is lost: {}", ErrorChain(&error));
                Ok(None)
            }
        }
    }

    /// All entries. One that cannot be read is told of and left where it is: it must not keep the
    /// others from being served.
    pub(crate) fn load<T: DeserializeOwned>(&self) -> Result<Vec<(Uuid, T)>, JournalError> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.folder).map_err(failed("list", &self.folder))? {
            let path = file.map_err(failed("list", &self.folder))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let id = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse().ok());
            let read = fs::read(&path).and_then(|b| serde_json::from_slice(&b).map_err(Into::into));
            match (id, read) {
                (Some(id), Ok(entry)) => entries.push((id, entry)),
                (None, _) => tracing::warn!("{} is no entry of the journal", path.display()),
                (_, Err(source)) => {
                    let error = failed("read", &path)(source);
                    tracing::error!("an entry of the journal is lost: {}", ErrorChain(&error));
                }
            }
        }
        Ok(entries)
    }
}

/// Where its next version is written: an entry and a file beside it are written side by side.
fn new_of(path: &Path) -> PathBuf {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    new.into()
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError {
        doing,
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use uuid::Uuid;

    use super::Journal;

    #[test]
    fn an_entry_and_a_file_beside_it_are_written_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().into()).unwrap();
        let id = Uuid::new_v4();
        let plan = journal.file(id, "plan");
        journal
            .replace(&plan, |file| {
                file.write_all(b"one")?;
                journal.save(id, &1).unwrap();
                file.write_all(b"two")
            })
            .unwrap();
        assert_eq!(std::fs::read(&plan).unwrap(), b"onetwo");
        assert_eq!(journal.load::<u32>().unwrap(), [(id, 1)]);
    }

    #[test]
    fn an_entry_is_found_again_and_a_damaged_one_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().join("a/b")).unwrap();
        let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
        journal.save(one, &1).unwrap();
        journal.save(one, &2).unwrap();
        journal.save(two, &3).unwrap();
        std::fs::write(journal.file(two, "json"), b"{").unwrap();
        std::fs::write(journal.file(two, "json.new"), b"{").unwrap();
        std::fs::write(journal.folder.join("x.json"), b"1").unwrap();
        assert_eq!(journal.load::<u32>().unwrap(), [(one, 2)]);
        journal.remove(one).unwrap();
        journal.remove(one).unwrap();
        journal.remove(two).unwrap();
        assert!(!journal.file(two, "json.new").exists());
        assert!(journal.load::<u32>().unwrap().is_empty());
    }
}
