//! Why two images cannot be merged.

use std::io;

use crate::{HeaderError, WriteError};

/// Why two images cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One of them has no usable header.
    #[error("cannot use image {image}")]
    Header {
        /// The image.
        image: String,
        /// What is wrong with it.
        #[source]
        source: HeaderError,
    },
    /// QCOW2 can say this, but it cannot be merged in this way: write the image anew.
    #[error("image {image} cannot be merged as it is: {what}")]
    Unsupported {
        /// The image.
        image: String,
        /// What it has.
        what: &'static str,
    },
    /// An image says what cannot be.
    #[error("image {image} is damaged at offset {offset}: {what}")]
    Damaged {
        /// The image.
        image: String,
        /// Where in its file.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// An image could not be read.
    #[error("cannot read {length} bytes of image {image} at offset {offset}")]
    Read {
        /// The image.
        image: String,
        /// Where in its file.
        offset: u64,
        /// How much.
        length: usize,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The merged image could not be written.
    #[error("cannot write the merged image at offset {offset}")]
    Write {
        /// Where in its file.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The merged image could not be written anew.
    #[error("cannot write the merged image anew")]
    Anew(#[source] WriteError),
    /// Who watches it said so.
    #[error("the merge was stopped")]
    Stopped,
}
