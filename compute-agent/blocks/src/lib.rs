//! Where a backup's bytes come from and where a restore's bytes go to.
//!
//! ```text
//!   rbd diff ──────────┐                      ┌── Extent stream (ascending, what to read)
//!   NBD block status ──┴─> MapDisk ───────────┤
//!                                             v
//!   qemu-nbd ── unix socket ── nbd::Connection ──> DiskReader ──> Chunk stream (guest order)
//!   qemu-nbd ── unix socket ── nbd::Connection <── DiskSink   <── write_at, zero_at, flush
//! ```
//!
//! Everything here blocks: call it from threads that may. Nothing knows OpenStack, and no C library
//! is linked: `rbd` and `qemu-nbd` are child processes that end with us. Streams are pulled, so memory
//! is bounded by [`ReadPlan`] however large or fragmented the disk is. What a peer sends is checked
//! before it is believed, and no wait is without a limit ([`Settings`]).

mod child;
mod chunk;
mod disk;
mod error;
pub mod extent;
mod file;
mod file_source;
mod json_program;
pub mod libvirt;
#[cfg(any(test, feature = "test-support"))]
pub mod memory;
pub mod nbd;
pub mod qemu_img;
pub mod qemu_nbd;
mod raw_copy;
pub mod rbd;
mod settings;
mod watched;

pub use agent_direct_io::{Buffer, BufferPool};
pub use chunk::{Chunk, ReadPlan};
pub use disk::{
    Changes, ChunkStream, DiskReader, DiskSink, DiskSource, ExtentStream, MapDisk, ReadDisk,
    WriteDisk,
};
pub use error::{BlocksError, ErrorKind};
pub use extent::{Extent, ExtentKind};
pub use file::FileTarget;
pub use file_source::FileSource;
pub use json_program::JsonProgram;
pub use nbd::layered::LayeredSource;
pub use nbd::source::{NbdSource, NbdTarget};
pub use nbd::tracked::{Since, TrackedSource};
pub use raw_copy::RawSource;
pub use rbd::{MonitorHost, RbdImage, RbdSource, RbdTarget};
pub use settings::Settings;
pub use watched::Watched;
