//! `--changed`: somebody else knows what changed.
//!
//! The list may be as long as the disk is large, and come through a pipe: it is checked once, line by line, and
//! kept beside what is known of the unfinished backup, an extent in 16 bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use agent_blocks::{
    BlocksError, Changes, DiskReader, DiskSource, Extent, ExtentStream, MapDisk, ReadDisk,
    extent::merge,
};
use agent_format::Digest;
use uuid::Uuid;

use crate::command::error::{CommandError, io};
use crate::command::session::Session;
use crate::journal::Journal;

/// More is no line of a list.
const LINE_BYTES: u64 = 4096;
const RECORD_BYTES: usize = 16;

/// Where the list of an unfinished backup is kept.
pub(super) fn path_of(journal: &Journal, key: Uuid) -> PathBuf {
    journal.file(key, "changed")
}

/// Checks a list and keeps it; its digest is what it is known by.
pub(super) fn keep(
    session: &Session<'_>,
    key: Uuid,
    list: &Path,
    size_bytes: u64,
) -> Result<Digest, CommandError> {
    let named = list.display();
    let kept = path_of(&session.host.journal, key);
    let text = File::open(list).map_err(io(format!("read {named}")))?;
    let mut problem = None;
    let written = session.host.journal.replace(&kept, |file| {
        copy(BufReader::new(text), BufWriter::new(file), size_bytes).map_err(|why| match why {
            Trouble::Writing(error) => error,
            Trouble::Reading(error) => {
                problem = Some(io(format!("read {named}"))(error));
                ErrorKind::InvalidData.into()
            }
            Trouble::Line(why) => {
                problem = Some(CommandError::Refused(format!("{named}: {why}")));
                ErrorKind::InvalidData.into()
            }
        })
    });
    if let Some(problem) = problem {
        return Err(problem);
    }
    written?;
    let digest = File::open(&kept).and_then(Digest::of_reader);
    digest.map_err(io(format!("read {}", kept.display())))
}

/// Nothing is to be resumed any more that needs it.
pub(super) fn forget(session: &Session<'_>, key: Uuid) -> Result<(), CommandError> {
    let journal = &session.host.journal;
    Ok(journal.remove_file(&path_of(journal, key))?)
}

#[derive(Debug)]
enum Trouble {
    Reading(io::Error),
    Writing(io::Error),
    Line(String),
}

fn copy(mut list: impl BufRead, mut to: impl Write, size_bytes: u64) -> Result<(), Trouble> {
    let mut line = Vec::new();
    let mut least = 0;
    for number in 1_u64.. {
        line.clear();
        let mut limited = (&mut list).take(LINE_BYTES);
        let read = limited.read_until(b'\n', &mut line);
        if read.map_err(Trouble::Reading)? == 0 {
            break;
        }
        let at_line = |why| Trouble::Line(format!("line {number} {why}"));
        let Some((offset, length)) = extent_of(&line, size_bytes).map_err(at_line)? else {
            continue;
        };
        if offset < least {
            let why = format!("begins before the line above it ({least}): sort it, with `sort -n`");
            return Err(at_line(why));
        }
        least = offset;
        let record = [offset.to_le_bytes(), length.to_le_bytes()];
        to.write_all(record.as_flattened())
            .map_err(Trouble::Writing)?;
    }
    to.flush().map_err(Trouble::Writing)
}

/// None: the line says nothing.
fn extent_of(line: &[u8], size_bytes: u64) -> Result<Option<(u64, u64)>, String> {
    let no_extent = || "is not `OFFSET LENGTH` in bytes".to_owned();
    let text = std::str::from_utf8(line).map_err(|_| no_extent())?;
    let words: Vec<_> = text.split_whitespace().collect();
    let numbers = match words.as_slice() {
        [] => return Ok(None),
        [comment, ..] if comment.starts_with('#') => return Ok(None),
        [offset, length] => offset.parse::<u64>().ok().zip(length.parse::<u64>().ok()),
        _ => None,
    };
    let (offset, length) = numbers.ok_or_else(no_extent)?;
    match offset.checked_add(length) {
        Some(end) if end <= size_bytes => Ok((length > 0).then_some((offset, length))),
        _ => Err(format!("lies beyond the disk's {size_bytes} bytes")),
    }
}

/// A disk of which it is known what changed.
pub(super) struct Listed {
    disk: Box<dyn DiskSource>,
    list: PathBuf,
}

impl Listed {
    /// `list` is one that was kept.
    pub(super) fn new(disk: Box<dyn DiskSource>, list: PathBuf) -> Self {
        Self { disk, list }
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
        let failed = |error: io::Error| {
            let doing = format!("read {}", self.list.display());
            BlocksError::caused(agent_blocks::ErrorKind::Io, doing, error)
        };
        let mut list = BufReader::new(File::open(&self.list).map_err(failed)?);
        let extents = std::iter::from_fn(move || next_record(&mut list).transpose());
        let extents = extents.map(move |extent| extent.map_err(failed));
        Ok(Changes::Known(Box::new(merge(extents))))
    }
}

fn next_record(list: &mut impl BufRead) -> io::Result<Option<Extent>> {
    if list.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut number = || {
        let mut bytes = [0; RECORD_BYTES / 2];
        list.read_exact(&mut bytes)?;
        Ok::<_, io::Error>(u64::from_le_bytes(bytes))
    };
    Ok(Some(Extent::data(number()?, number()?)))
}

#[cfg(test)]
mod tests {
    use agent_blocks::Extent;

    use super::{Trouble, copy, next_record};

    fn extents(text: &str, size_bytes: u64) -> Result<Vec<Extent>, Trouble> {
        let mut kept = Vec::new();
        copy(text.as_bytes(), &mut kept, size_bytes)?;
        let mut kept = kept.as_slice();
        let next = || next_record(&mut kept).unwrap();
        Ok(std::iter::from_fn(next).collect())
    }

    #[test]
    fn comments_and_empty_lines_and_extents_may_stand_between() {
        let text = "# changed\n\n0 10\n7 0\n5 10\n4096 512";
        let want = [(0, 10), (5, 10), (4096, 512)].map(|(o, l)| Extent::data(o, l));
        assert_eq!(extents(text, 5000).unwrap(), want);
        assert_eq!(extents("", 0).unwrap(), []);
    }

    #[test]
    fn a_line_that_is_no_extent_of_the_disk_is_named() {
        let long = format!("{}1 1", " ".repeat(5000));
        for (bad, why) in [
            ("1", "OFFSET"),
            ("1 2 3", "OFFSET"),
            ("a b", "OFFSET"),
            ("-1 2", "OFFSET"),
            ("0 11", "10 bytes"),
            ("18446744073709551615 1", "10 bytes"),
            ("5 1\n4 1", "sort -n"),
            (long.as_str(), "sort -n"),
        ] {
            let text = format!("5 1\n{bad}\n");
            let Err(Trouble::Line(said)) = extents(&text, 10) else {
                panic!("{bad:?} is taken");
            };
            assert!(said.contains("line "), "{said}");
            assert!(said.contains(why) || bad.len() > 4096, "{bad:?}: {said}");
        }
    }
}
