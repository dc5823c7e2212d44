//! Which inode the kernel knows by which path. Numbers are never given twice: the folder behind gives those of
//! removed files to new ones, which the kernel, still holding the old, would take for the same file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fuser::INodeNo;

#[derive(Debug)]
pub(crate) struct Paths(Mutex<Table>);

#[derive(Debug)]
struct Table {
    paths: HashMap<u64, PathBuf>,
    /// Of what is there now.
    numbers: HashMap<PathBuf, u64>,
    last: u64,
}

impl Paths {
    pub(crate) fn new(root: &Path) -> Self {
        let number = INodeNo::ROOT.0;
        Self(Mutex::new(Table {
            paths: HashMap::from([(number, root.to_owned())]),
            numbers: HashMap::from([(root.to_owned(), number)]),
            last: number,
        }))
    }

    /// Where an inode is now, or was last; none if nothing of that number was ever looked up.
    pub(crate) fn get(&self, inode: INodeNo) -> Option<PathBuf> {
        self.lock().paths.get(&inode.0).cloned()
    }

    pub(crate) fn child(&self, parent: INodeNo, name: &OsStr) -> Option<PathBuf> {
        self.get(parent).map(|folder| folder.join(name))
    }

    /// The number of what is at this path.
    pub(crate) fn number(&self, path: PathBuf) -> INodeNo {
        let mut table = self.lock();
        if let Some(number) = table.numbers.get(&path) {
            return INodeNo(*number);
        }
        table.last += 1;
        let number = table.last;
        table.paths.insert(number, path.clone());
        table.numbers.insert(path, number);
        INodeNo(number)
    }

    /// What comes to this path next is something else.
    pub(crate) fn remove(&self, path: &Path) {
        self.lock().numbers.remove(path);
    }

    /// What was below `from`, or it itself, is below `to` now.
    pub(crate) fn rename(&self, from: &Path, to: &Path) {
        let mut table = self.lock();
        table.numbers.remove(to);
        let is_moved = |path: &PathBuf, _: &mut u64| path.starts_with(from);
        let moved: Vec<_> = table.numbers.extract_if(is_moved).collect();
        for (old, number) in moved {
            let rest = old.strip_prefix(from).unwrap_or(&old);
            let new = if rest.as_os_str().is_empty() {
                to.to_owned()
            } else {
                to.join(rest)
            };
            table.paths.insert(number, new.clone());
            table.numbers.insert(new, number);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
