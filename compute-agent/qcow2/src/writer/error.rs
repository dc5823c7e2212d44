//! Why an image cannot be written.

use std::io;

use super::Compression;

/// Why an image cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Empty, or larger than QCOW2 can describe.
    #[error("a disk of {size_bytes} bytes does not fit into an image")]
    InvalidSize {
        /// The size asked for.
        size_bytes: u64,
    },
    /// Not a relative path, or too long.
    #[error(
        "{name:?} cannot be the name of a backing file: it must be a relative path of at most \
             1023 bytes"
    )]
    InvalidBacking {
        /// The name asked for.
        name: String,
    },
    /// Clusters must come in ascending order, each once.
    #[error("guest cluster {guest_cluster} comes too late: the next one is {next}")]
    OutOfOrder {
        /// The refused cluster.
        guest_cluster: u64,
        /// The first that can still be written.
        next: u64,
    },
    /// The disk ends before them.
    #[error("{clusters} clusters at guest cluster {guest_cluster} end past a disk of {all}")]
    PastTheEnd {
        /// The first refused cluster.
        guest_cluster: u64,
        /// How many.
        clusters: u64,
        /// How many the disk has.
        all: u64,
    },
    /// Data ends inside of a cluster that is not the disk's last.
    #[error("{length} bytes at guest cluster {guest_cluster} are not whole clusters")]
    PartialCluster {
        /// The first cluster.
        guest_cluster: u64,
        /// The bytes given.
        length: u64,
    },
    /// A payload that no compressor makes, or an image that has none.
    #[error("{length} bytes are no payload of guest cluster {guest_cluster} for {compression:?}")]
    InvalidPayload {
        /// The cluster.
        guest_cluster: u64,
        /// The length given.
        length: usize,
        /// What the image is compressed with.
        compression: Compression,
    },
    /// The sink does not stand where the image must go on.
    #[error("the image goes on at offset {expected}, but its sink stands at {found}")]
    SinkPosition {
        /// Where it must stand.
        expected: u64,
        /// Where it stands.
        found: u64,
    },
    /// The checkpoint is of another image, or damaged.
    #[error("the checkpoint does not fit this image: {what}")]
    BadCheckpoint {
        /// What does not fit.
        what: &'static str,
    },
    /// An earlier call failed, so the state of the file is unknown.
    #[error("writing has failed before: resume from a checkpoint")]
    FailedBefore,
    /// The sink failed.
    #[error("cannot write image at offset {offset}")]
    Sink {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
}
