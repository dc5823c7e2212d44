//! The contract of a target.

use agent_format::ObjectName;
use agent_qcow2::{ImageSink, ImageUpdate, ReadAt};

use crate::{Capabilities, Capacity, ErrorKind, ImageComposition, Result, Retention, TargetError};

/// An object as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectStat {
    /// Its name.
    pub name: ObjectName,
    /// Its length.
    pub size_bytes: u64,
}

/// Where backups live. All calls block; a target is shared by any number of threads.
///
/// An object is seen whole or not at all, by everyone who uses the same target. After an error, nothing
/// more is tried here: [`ErrorKind::is_transient`](crate::ErrorKind::is_transient) says what may be.
pub trait Target: Send + Sync {
    /// Stores a small object; replaces one of that name in one step. On return it is durable. On an
    /// error the old state stands, or, if the answer was lost on the way, the new one.
    fn put_object(&self, name: &ObjectName, bytes: &[u8]) -> Result<()>;

    /// The whole of a small object; `NotFound` if there is none, `Corrupt` if it is larger than
    /// `limit_bytes`, so that a damaged target cannot fill our memory.
    fn get_object(&self, name: &ObjectName, limit_bytes: u64) -> Result<Vec<u8>>;

    /// All objects below `folder`, at any depth, in order of their names; of the whole target if
    /// none is given. No such folder is an empty one. Unfinished images are not objects.
    fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectStat>>;

    /// Removes an object; no such object is fine, so that it can be repeated. Folders that become
    /// empty vanish.
    fn delete(&self, name: &ObjectName) -> Result<()>;

    /// Removes everything below `folder`, unfinished images and interrupted writes included; no such
    /// folder is fine. Not in one step: remove first the object that gives the others their meaning.
    fn delete_folder(&self, folder: &ObjectName) -> Result<()>;

    /// The object's length, or none if there is no such object.
    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectStat>>;

    /// Opens an object for reading anywhere in it. It stays readable while it is replaced or deleted
    /// or the reading fails with `Unavailable`; never are bytes of two objects mixed.
    fn open_image(&self, name: &ObjectName) -> Result<Box<dyn ReadAt>>;

    /// Begins a large object, or goes on with an unfinished one at `resume` bytes, to which it is cut.
    ///
    /// It is no object before [`ImageSink::finish`], which replaces one of that name. Without
    /// `resume` an unfinished one of that name is thrown away. With it: `NotFound` if there is none,
    /// `Corrupt` if it is shorter, that is, not the one that was synced at that length. Dropping the
    /// sink leaves it to be resumed.
    ///
    /// Errors of the sink are `io::Error`s that carry a [`TargetError`](crate::TargetError):
    /// [`ErrorKind::of`](crate::ErrorKind::of) finds it. At most one writer for a name at a time; who
    /// that is decides the caller.
    fn create_image(&self, name: &ObjectName, resume: Option<u64>) -> Result<Box<dyn ImageSink>>;

    /// Begins a large object like [`create_image`](Self::create_image) without `resume`, which will have
    /// at most `most_bytes` bytes. Refused at once if the target cannot hold one of that size.
    fn create_image_up_to(&self, name: &ObjectName, most_bytes: u64) -> Result<Box<dyn ImageSink>> {
        let _no_limit = most_bytes;
        self.create_image(name, None)
    }

    /// Throws an unfinished large object away; none is fine. A finished one is not touched.
    fn abandon_image(&self, name: &ObjectName) -> Result<()>;

    /// Opens a finished image to be changed where it lies; `NotFound` if there is none. `None` if this
    /// target cannot do that; one that can also does [`rename_image`](Self::rename_image).
    fn update_image(&self, name: &ObjectName) -> Result<Option<Box<dyn ImageUpdate>>> {
        let _not_offered = name;
        Ok(None)
    }

    /// Gives a finished image the name `to`, over whatever has it, in one step: at any moment either
    /// name means one whole object. On return it is durable. `NotFound` if there is no `from`. Folders
    /// that become empty vanish.
    fn rename_image(&self, from: &ObjectName, to: &ObjectName) -> Result<()> {
        let why = format!("this target cannot, so it cannot become {to}");
        Err(TargetError::new(
            ErrorKind::Other,
            "rename image",
            from.as_str(),
            why,
        ))
    }

    /// Begins a large object like [`create_image`](Self::create_image) without `resume`, made in part
    /// of others. `None` if this target cannot copy by itself.
    fn compose_image(&self, name: &ObjectName) -> Result<Option<Box<dyn ImageComposition>>> {
        let _not_offered = name;
        Ok(None)
    }

    /// How much fits; none if the target does not know (an S3 bucket).
    fn capacity(&self) -> Result<Option<Capacity>>;

    /// Proves by writing and removing something small that a backup could begin now.
    fn check_writable(&self) -> Result<()>;

    /// What it can do beyond this trait, as it is set up now.
    fn capabilities(&self) -> Result<Capabilities> {
        Ok(Capabilities::default())
    }

    /// Keeps objects from being removed, where [`Capabilities::has_object_lock`] says that it can.
    fn retention(&self) -> Option<&dyn Retention> {
        None
    }
}
