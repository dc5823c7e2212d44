//! Which versions of the API there are.

pub(crate) mod list;
