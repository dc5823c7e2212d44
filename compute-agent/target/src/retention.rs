//! Keeping objects from everyone, ourselves included.

use std::time::SystemTime;

use agent_format::ObjectName;

use crate::Result;

/// A target that refuses to remove or change an object before a date: S3 with object lock.
///
/// What is kept is the object, not its name: deleting or replacing it succeeds where the target keeps
/// versions, and its bytes stay there.
pub trait Retention: Send + Sync {
    /// Keeps a finished object until then. A later date replaces an earlier one; `Denied` if `until` is
    /// earlier than what was promised, `NotFound` if there is no such object.
    fn retain(&self, name: &ObjectName, until: SystemTime) -> Result<()>;

    /// Until when the object is kept; none if it may be removed.
    fn retained_until(&self, name: &ObjectName) -> Result<Option<SystemTime>>;
}
