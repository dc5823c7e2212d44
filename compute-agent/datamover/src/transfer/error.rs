use agent_blocks::{BlocksError, ErrorKind as DiskError};
use agent_contract::{ImagePlace, TransferState};
use agent_format::index::{IndexMergeError, IndexReadError, IndexWriteError};
use agent_format::merge_intent::MergeIntentError;
use agent_qcow2::{HeaderError, MergeError, ReadError, WriteError};
use agent_target::{ErrorKind as TargetKind, TargetError};
use services_foundation::error_chain::ErrorChain;

use crate::journal::JournalError;
use crate::transfer::ticket::Interrupted;

/// Why a transfer ended without being done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error("cannot {doing}")]
    Disk {
        doing: &'static str,
        #[source]
        source: BlocksError,
    },
    #[error("the disk has {found} bytes, not {expected} as was asked for")]
    Size { expected: u64, found: u64 },
    #[error("cannot {doing}")]
    Target {
        doing: &'static str,
        #[source]
        source: TargetError,
    },
    #[error("cannot write the image")]
    Image(#[source] WriteError),
    #[error("cannot compress a cluster")]
    Compress(#[source] agent_qcow2::CompressError),
    #[error("cannot write the image's index")]
    Index(#[source] IndexWriteError),
    #[error("cannot read the backup")]
    Chain(#[source] ReadError),
    #[error("cannot merge the images")]
    Merge(#[source] MergeError),
    #[error("cannot merge the indexes of image {image} and the one it builds upon")]
    MergeIndexes {
        image: String,
        #[source]
        source: IndexMergeError,
    },
    #[error("cannot tell what a merge was about to do")]
    MergeIntent(#[source] MergeIntentError),
    #[error("cannot read the index of image {image}")]
    ReadIndex {
        image: String,
        #[source]
        source: IndexReadError,
    },
    #[error("image {image} is damaged at guest offset {offset}: {what}")]
    Damaged {
        image: String,
        offset: u64,
        what: &'static str,
    },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("cannot read the plan of the transfer")]
    Plan(#[source] std::io::Error),
    #[error("target {} is not in this host's configuration any more", .0.target)]
    NoTarget(ImagePlace),
    #[error("{0}")]
    Refused(String),
    #[error("a part of the transfer ended without a word")]
    Broken,
    /// Not a failure: somebody told us to stop.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
}

pub(crate) fn disk(doing: &'static str) -> impl Fn(BlocksError) -> JobError + Copy {
    move |source| JobError::Disk { doing, source }
}

pub(crate) fn target(doing: &'static str) -> impl Fn(TargetError) -> JobError + Copy {
    move |source| JobError::Target { doing, source }
}

impl JobError {
    /// For the status of the transfer; the same words go to the log.
    pub(crate) fn to_state(&self) -> TransferState {
        TransferState::Failed {
            message: ErrorChain(self).to_string(),
            tenant_message: self.tenant_message().to_owned(),
            is_transient: self.is_transient(),
        }
    }

    /// The kind of the target's error somewhere below, if this is about the target.
    fn target_kind(&self) -> Option<TargetKind> {
        match self {
            Self::Target { .. }
            | Self::Image(_)
            | Self::Index(_)
            | Self::Chain(_)
            | Self::Merge(_)
            | Self::MergeIndexes { .. }
            | Self::ReadIndex { .. } => Some(TargetKind::of(self)),
            _ => None,
        }
    }

    /// The backup is not what was written.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::ReadIndex { source, .. } => !matches!(source, IndexReadError::Io { .. }),
            Self::Chain(source) => match source {
                ReadError::Header { source, .. } => !matches!(source, HeaderError::Io { .. }),
                ReadError::Io { .. } => self.target_kind() == Some(TargetKind::Corrupt),
                _ => true,
            },
            Self::Target { source, .. } => source.kind == TargetKind::Corrupt,
            Self::Merge(MergeError::Header { source, .. }) => match source {
                HeaderError::Io { .. } => self.target_kind() == Some(TargetKind::Corrupt),
                _ => true,
            },
            Self::Merge(MergeError::Damaged { .. }) => true,
            Self::MergeIndexes { source, .. } => matches!(
                source,
                IndexMergeError::Mismatch | IndexMergeError::Damaged { .. }
            ),
            _ => false,
        }
    }

    /// Asked again it may go on where it was, without anybody doing something about it.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Disk { source, .. } => source.kind().is_transient(),
            Self::Journal(_) | Self::Plan(_) | Self::Broken | Self::Interrupted(_) => true,
            _ => self.target_kind().is_some_and(TargetKind::is_transient),
        }
    }

    /// No host names, no paths.
    fn tenant_message(&self) -> &'static str {
        match self {
            Self::Size { .. } => "The disk's size is not the expected one.",
            Self::Disk { source, .. } => match source.kind() {
                DiskError::NotFound | DiskError::SnapshotNotFound => "The disk was not found.",
                DiskError::NoSpace => "The storage is full.",
                _ => "The disk could not be read or written.",
            },
            Self::Damaged { .. } => "The backup is damaged.",
            Self::Merge(_) | Self::MergeIndexes { .. } if self.is_damage() => {
                "The backup is damaged."
            }
            _ => match self.target_kind() {
                Some(TargetKind::Full) => "The backup target is full.",
                Some(TargetKind::ReadOnly | TargetKind::Denied) => {
                    "The backup target cannot be written to."
                }
                Some(TargetKind::Unavailable) => "The backup target is not available.",
                Some(TargetKind::NotFound) => "A part of the backup is missing.",
                Some(TargetKind::Corrupt) => "The backup is damaged.",
                _ => "The disk could not be transferred.",
            },
        }
    }
}
