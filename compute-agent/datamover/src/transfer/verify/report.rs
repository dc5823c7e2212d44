use std::fmt;

use services_foundation::error_chain::ErrorChain;

use super::{Compared, is_damage};
use crate::transfer::error::JobError;

/// So many are named, the others counted.
const NAMED: usize = 100;

/// One thing that is wrong with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where on the disk; none: all of it.
    pub(crate) offset: Option<u64>,
    pub(crate) what: String,
}

impl Damage {
    pub(super) fn at(offset: u64, what: &str) -> Self {
        Self {
            offset: Some(offset),
            what: what.to_owned(),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "guest offset {offset}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// What was found in an image.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) image: String,
    /// Guest bytes whose digests were compared.
    pub(crate) verified_bytes: u64,
    /// All that is wrong.
    pub(crate) damage_count: u64,
    /// The first of it.
    pub(crate) damage: Vec<Damage>,
}

impl Report {
    pub(crate) fn of(image: String) -> Self {
        Self {
            image,
            verified_bytes: 0,
            damage_count: 0,
            damage: Vec::new(),
        }
    }

    pub(crate) fn damage(&mut self, what: &str, offset: Option<u64>) {
        self.push(Damage {
            offset,
            what: what.to_owned(),
        });
    }

    fn push(&mut self, damage: Damage) {
        self.damage_count += 1;
        if self.damage.len() < NAMED {
            self.damage.push(damage);
        }
    }

    pub(super) fn add(&mut self, compared: Compared) {
        self.verified_bytes += compared.bytes;
        compared
            .damage
            .into_iter()
            .for_each(|damage| self.push(damage));
    }

    /// An error that means damage becomes part of the report; none is left of it then.
    pub(super) fn or_damage<T>(
        &mut self,
        result: Result<T, JobError>,
        offset: Option<u64>,
    ) -> Result<Option<T>, JobError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(JobError::Damaged { what, .. }) => {
                self.damage(what, offset);
                Ok(None)
            }
            Err(error) if is_damage(&error) => {
                self.damage(&ErrorChain(&error).to_string(), offset);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Each with the image's name; the last one counts what has no line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let image = &self.image;
        let mut lines: Vec<_> = self
            .damage
            .iter()
            .map(|damage| format!("image {image}: {damage}"))
            .collect();
        let unnamed = self.damage_count.saturating_sub(self.damage.len() as u64);
        if unnamed > 0 {
            lines.push(format!("image {image}: and {unnamed} more"));
        }
        lines
    }
}
