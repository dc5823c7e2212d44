//! Checksums: BLAKE3, written as 64 hexadecimal digits in JSON.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const ZEROES: [u8; 4096] = [0; 4096];

/// How the digests of a backup were made.
///
/// The manifest and every index name it, so that another algorithm can come without a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HashAlgorithm {
    /// BLAKE3 with 32 bytes of output.
    Blake3,
}

/// A BLAKE3 digest; compared in constant time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(blake3::Hash);

impl Digest {
    /// Length of a digest in bytes.
    pub const BYTES: usize = blake3::OUT_LEN;

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }

    /// The digest of all that can be read.
    pub fn of_reader(reader: impl io::Read) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        Ok(Self(hasher.update_reader(reader)?.finalize()))
    }

    /// The digest that the index holds for a cluster: a last cluster that the disk ends in is
    /// hashed as it lies in the image, filled up with zeroes to `cluster_size`.
    pub fn of_cluster(bytes: &[u8], cluster_size: usize) -> Self {
        let mut missing = cluster_size.saturating_sub(bytes.len());
        if missing == 0 {
            return Self::of(bytes);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(bytes);
        while missing > 0 {
            let step = missing.min(ZEROES.len());
            hasher.update(ZEROES.get(..step).unwrap_or(&ZEROES));
            missing -= step;
        }
        Self(hasher.finalize())
    }

    /// The digest of several pieces, as if they were one.
    pub(crate) fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize())
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        self.0.as_bytes()
    }
}

impl From<[u8; Digest::BYTES]> for Digest {
    fn from(bytes: [u8; Digest::BYTES]) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct ParseDigestError(#[source] blake3::HexError);

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text)
            .map(Self)
            .map_err(ParseDigestError)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_cluster_is_hashed_as_if_filled_with_zeroes() {
        for length in [0, 1, 511, 4096, 65535, 65536] {
            let short = vec![7; length];
            let mut whole = short.clone();
            whole.resize(65536, 0);
            assert_eq!(Digest::of_cluster(&short, 65536), Digest::of(&whole));
        }
    }

    #[test]
    fn a_digest_survives_json() {
        let digest = Digest::of(b"backup");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json.len(), 66);
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"abc\"").is_err());
    }
}
