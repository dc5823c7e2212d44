//! What the handshake tells about an export.

use super::protocol::TransmissionFlags;

/// An export as its server described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Size of the disk.
    pub size_bytes: u64,
    /// What the server can do with it.
    pub flags: TransmissionFlags,
    /// What requests may look like.
    pub block_sizes: BlockSizes,
    /// Whether answers come in typed chunks.
    pub structured: bool,
    /// The contexts that were asked for and that the server has, with the ids it uses for them.
    pub contexts: Vec<(u32, String)>,
}

impl Export {
    /// The id of a context, if the server has it.
    pub fn context_id(&self, name: &str) -> Option<u32> {
        self.contexts
            .iter()
            .find(|(_, context)| context == name)
            .map(|(id, _)| *id)
    }
}

/// The limits of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSizes {
    /// Offsets and lengths are multiples of it.
    pub minimum: u32,
    /// The most bytes one request can carry.
    pub maximum: u32,
}

impl BlockSizes {
    /// We never ask for more at once, whatever the server offers.
    pub(super) const LARGEST: u32 = 32 << 20;
}

impl Default for BlockSizes {
    /// What the protocol lets a client assume of a server that does not say.
    fn default() -> Self {
        Self {
            minimum: 1,
            maximum: Self::LARGEST,
        }
    }
}
