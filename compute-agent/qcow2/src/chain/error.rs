//! Why a chain cannot be read.

use std::io;

use crate::HeaderError;

/// Why a chain cannot be read; names the image.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such image in the chain.
    #[error("the chain has no such image")]
    NoImage,
    /// One of the images has no usable header.
    #[error("cannot use image {image}")]
    Header {
        /// The image.
        image: String,
        /// What is wrong with it.
        #[source]
        source: HeaderError,
    },
    /// The images do not make a chain.
    #[error("image {image} does not fit into its chain: {what}")]
    NotAChain {
        /// The image.
        image: String,
        /// What does not fit.
        what: String,
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
    Io {
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
    /// The caller asked for what is not there.
    #[error("{length} bytes at offset {offset} are not within {size}")]
    OutOfRange {
        /// Where.
        offset: u64,
        /// How much.
        length: u64,
        /// Where it ends.
        size: u64,
    },
}
