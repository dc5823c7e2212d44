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
/// The place for what only some have: when object lock comes (an object that nobody may delete
/// before a date, as S3 has), it is a field here that says whether the target keeps to it, and a
/// small trait of its own with the calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Deleted and replaced objects keep their bytes until a date: deleting frees nothing at once.
    pub is_immutable: bool,
}
