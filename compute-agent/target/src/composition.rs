//! Making an image from pieces of others, without carrying them through this host.

use std::io;
use std::ops::Range;

use agent_format::ObjectName;
use agent_qcow2::ImageSink;

/// A new object as [`ImageSink`] makes one, some of whose bytes the target copies from its other
/// objects by itself.
pub trait ImageComposition: ImageSink {
    /// Adds the bytes `range` of the object `source` of the same target at
    /// [`position`](ImageSink::position): all of them, or an error.
    ///
    /// Any range will do, but only long ones (on S3 those of 5 MiB or more) stay on the target; the
    /// rest is read and sent. `source` may be the object that this one will replace, and must not
    /// change before [`finish`](ImageSink::finish).
    fn append_copy(&mut self, source: &ObjectName, range: Range<u64>) -> io::Result<()>;
}
