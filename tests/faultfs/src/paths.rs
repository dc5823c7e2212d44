//! Which inode the kernel knows by which path. The numbers are those of the folder behind.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fuser::INodeNo;

#[derive(Debug)]
pub(crate) struct Paths(Mutex<HashMap<u64, PathBuf>>);

impl Paths {
    pub(crate) fn new(root: &Path) -> Self {
        let root = (INodeNo::ROOT.0, root.to_owned());
        Self(Mutex::new(HashMap::from([root])))
    }

    /// Where an inode is now; none if nothing of that number was ever looked up.
    pub(crate) fn get(&self, inode: INodeNo) -> Option<PathBuf> {
        self.lock().get(&inode.0).cloned()
    }

    pub(crate) fn child(&self, parent: INodeNo, name: &OsStr) -> Option<PathBuf> {
        self.get(parent).map(|folder| folder.join(name))
    }

    pub(crate) fn insert(&self, inode: u64, path: PathBuf) {
        self.lock().insert(inode, path);
    }

    /// What was below `from`, or it itself, is below `to` now.
    pub(crate) fn rename(&self, from: &Path, to: &Path) {
        for path in self.lock().values_mut() {
            if let Ok(rest) = path.strip_prefix(from) {
                *path = if rest.as_os_str().is_empty() {
                    to.to_owned()
                } else {
                    to.join(rest)
                };
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
