//! The names every other crate speaks: ids, states, what a flow is asked to do, what a server
//! looked like when it was protected. No input or output, no decisions beyond "is this legal".

mod flow;
mod id;
mod restore;
mod schedule;
mod snapshot;
mod topology;
mod workload;

pub use flow::{FlowClaim, FlowKind, FlowRequest, FlowStatus};
pub use id::{
    AttachmentId, DiskId, FlavorId, FlowId, ImageId, InvalidId, NetworkId, PortId, ProjectId,
    RestoreId, RouterId, SecurityGroupId, ServerId, SnapshotId, SubnetId, TrustId, UserId,
    VolumeId, VolumeSnapshotId, WorkloadId, WorkloadTypeId,
};
pub use restore::{RestoreKind, RestoreOptions, RestoreStatus};
pub use schedule::{FullBackup, InvalidSchedule, JobSchedule, Retention};
pub use snapshot::{SnapshotStatus, SnapshotType};
pub use topology::{
    AddressPair, DiskKeeper, DiskRecord, FixedIp, FlavorRecord, FloatingIpRecord, ImageRecord,
    NetworkRecord, NicRecord, NovaDiskRecord, NovaDiskRole, RouterRecord, SecurityGroupRecord,
    SecurityGroupRule, ServerRecord, SubnetRecord, Topology, VolumeRecord,
};
pub use workload::{PARALLEL, SERIAL, WorkloadStatus};

/// A state that stands in a database row as a word of the contract.
macro_rules! contract_words {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// The word that clients and the database see.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(crate::UnknownWord { what: $what, word: word.to_owned() }),
                }
            }
        }
    };
}
pub(crate) use contract_words;

/// A word from a database or a client that is none of the contract's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{word}` is no {what}")]
pub struct UnknownWord {
    what: &'static str,
    word: String,
}
