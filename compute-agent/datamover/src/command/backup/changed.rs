//! `--changed`: somebody else knows what changed.

use std::path::Path;

use agent_blocks::{
    BlocksError, Changes, DiskReader, DiskSource, Extent, ExtentStream, MapDisk, ReadDisk,
    extent::merge,
};
use serde::{Deserialize, Serialize};

use crate::command::error::{CommandError, io};

/// Offsets and lengths, ascending, within the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listing(Vec<(u64, u64)>);

/// Reads a list of extents in any order.
pub(super) fn read(path: &Path, size_bytes: u64) -> Result<Listing, CommandError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(io(format!("read {}", path.display())))?;
    parse(&text, size_bytes)
        .map_err(|why| CommandError::Refused(format!("{}: {why}", path.display())))
}

fn parse(text: &str, size_bytes: u64) -> Result<Listing, String> {
    let mut extents = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<_> = line.split_whitespace().collect();
        let numbers = match words.as_slice() {
            [] => continue,
            [comment, ..] if comment.starts_with('#') => continue,
            [offset, length] => offset.parse::<u64>().ok().zip(length.parse::<u64>().ok()),
            _ => None,
        };
        let Some((offset, length)) = numbers else {
            return Err(format!("line {number} is not `OFFSET LENGTH` in bytes"));
        };
        if offset
            .checked_add(length)
            .is_none_or(|end| end > size_bytes)
        {
            return Err(format!(
                "line {number} lies beyond the disk's {size_bytes} bytes"
            ));
        }
        if length > 0 {
            extents.push((offset, length));
        }
    }
    extents.sort_unstable();
    Ok(Listing(extents))
}

/// A disk of which it is known what changed.
pub(super) struct Listed {
    disk: Box<dyn DiskSource>,
    listing: Listing,
}

impl Listed {
    pub(super) fn new(disk: Box<dyn DiskSource>, listing: Listing) -> Self {
        Self { disk, listing }
    }
}

impl ReadDisk for Listed {
    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }

    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        self.disk.open_reader()
    }
}

impl MapDisk for Listed {
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        self.disk.allocated()
    }

    fn changed_since(&self, _point: &str) -> Result<Changes<'_>, BlocksError> {
        let extents = self.listing.0.iter();
        let extents = extents.map(|(offset, length)| Ok(Extent::data(*offset, *length)));
        Ok(Changes::Known(Box::new(merge(extents))))
    }
}

#[cfg(test)]
mod tests {
    use super::{Listing, parse};

    #[test]
    fn extents_come_in_any_order_with_comments_between() {
        let text = "# changed\n\n4096 512\n0 10\n7 0\n";
        assert_eq!(parse(text, 5000), Ok(Listing(vec![(0, 10), (4096, 512)])));
    }

    #[test]
    fn a_line_that_is_no_extent_of_the_disk_is_refused() {
        for bad in [
            "1",
            "1 2 3",
            "a b",
            "-1 2",
            "0 11",
            "18446744073709551615 1",
        ] {
            assert!(parse(bad, 10).is_err(), "{bad:?}");
        }
    }
}
