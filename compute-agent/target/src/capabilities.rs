//! What a target can do beyond the trait, and how much fits.

/// How much a target holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// All of it.
    pub total_bytes: u64,
    /// What we may still write.
    pub free_bytes: u64,
}

/// What a target can do beyond what every target can.
///
/// What only some have is a field here, and a small trait of its own where there are calls for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Every new object is kept until a date: deleting and replacing free nothing before it.
    pub is_immutable: bool,
    /// Deleted and replaced objects stay as old versions, until somebody removes those.
    pub keeps_versions: bool,
    /// Single objects can be kept until a date: [`Target::retention`](crate::Target::retention).
    pub has_object_lock: bool,
}
