//! A raw file as a source, with an earlier copy of it to tell what changed: compared byte by byte, as
//! nothing on the host has kept a record.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::file_source::next_data;
use crate::{
    BlocksError, Changes, DiskReader, Extent, ExtentStream, FileSource, MapDisk, ReadDisk,
};

/// How much is compared at a time, and how exact the answer is.
const STEP: usize = 64 << 10;

/// A raw file. A point to compare with is the path of an earlier copy of it.
#[derive(Debug)]
pub struct RawSource {
    path: PathBuf,
    bytes: FileSource,
}

impl RawSource {
    /// A file that nobody writes to while it is open.
    pub fn open(path: &Path) -> Result<Self, BlocksError> {
        Ok(Self {
            path: path.to_owned(),
            bytes: FileSource::open(path)?,
        })
    }
}

impl ReadDisk for RawSource {
    fn size_bytes(&self) -> u64 {
        self.bytes.size_bytes()
    }

    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        self.bytes.open_reader()
    }
}

impl MapDisk for RawSource {
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        self.bytes.allocated()
    }

    fn changed_since(&self, point: &str) -> Result<Changes<'_>, BlocksError> {
        let doing = |path: &Path| format!("open {} to compare it", path.display());
        let earlier = match File::open(point) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Changes::Unknown {
                    reason: format!("{point} is gone"),
                });
            }
            Err(error) => return Err(BlocksError::io(doing(Path::new(point)), error)),
        };
        let now =
            File::open(&self.path).map_err(|error| BlocksError::io(doing(&self.path), error))?;
        Ok(Changes::Known(Box::new(Comparison {
            now,
            earlier,
            offset: 0,
            size_bytes: self.size_bytes(),
        })))
    }
}

struct Comparison {
    now: File,
    earlier: File,
    offset: u64,
    size_bytes: u64,
}

impl Comparison {
    /// The next step that differs, if there is one.
    fn next_change(&mut self) -> io::Result<Option<Extent>> {
        let (mut now, mut earlier) = (vec![0; STEP], vec![0; STEP]);
        loop {
            // Where neither file has data, both read as zeroes.
            let data =
                next_data(&self.now, self.offset)?.min(next_data(&self.earlier, self.offset)?);
            let offset = data / STEP as u64 * STEP as u64;
            let offset = offset.max(self.offset);
            if offset >= self.size_bytes {
                return Ok(None);
            }
            let length = (self.size_bytes - offset).min(STEP as u64);
            self.offset = offset + length;
            read_padded(&self.now, &mut now, offset)?;
            read_padded(&self.earlier, &mut earlier, offset)?;
            if now != earlier {
                return Ok(Some(Extent::data(offset, length)));
            }
        }
    }
}

impl Iterator for Comparison {
    type Item = Result<Extent, BlocksError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_change()
            .map_err(|error| {
                self.offset = self.size_bytes;
                BlocksError::io("compare a file with its earlier copy", error)
            })
            .transpose()
    }
}

/// Past the end there are zeroes: a disk that has grown was zero there.
fn read_padded(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    buffer.fill(0);
    let mut rest = buffer;
    let mut at = offset;
    while !rest.is_empty() {
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(length) => {
                at += length as u64;
                rest = rest.split_at_mut(length).1;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(earlier: &[u8], now: &[u8]) -> Vec<Extent> {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("earlier"), folder.path().join("now"));
        std::fs::write(&a, earlier).unwrap();
        std::fs::write(&b, now).unwrap();
        let source = RawSource::open(&b).unwrap();
        match source.changed_since(a.to_str().unwrap()).unwrap() {
            Changes::Known(extents) => extents.map(Result::unwrap).collect(),
            Changes::Unknown { reason } => panic!("{reason}"),
        }
    }

    #[test]
    fn only_steps_that_differ_are_changes() {
        let earlier = vec![1; 5 * STEP];
        let mut now = earlier.clone();
        now[2 * STEP + 7] = 2;
        now[4 * STEP] = 2;
        let step = STEP as u64;
        let expected = [Extent::data(2 * step, step), Extent::data(4 * step, step)];
        assert_eq!(changes(&earlier, &now), expected);
    }

    #[test]
    fn what_has_grown_is_compared_with_zeroes() {
        let earlier = vec![1; STEP];
        let mut now = vec![1; STEP];
        now.extend(vec![0; STEP]);
        now.extend(vec![3; 512]);
        assert_eq!(
            changes(&earlier, &now),
            [Extent::data(2 * STEP as u64, 512)]
        );
    }

    #[test]
    fn without_the_earlier_copy_nothing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("now");
        std::fs::write(&path, vec![1; 512]).unwrap();
        let source = RawSource::open(&path).unwrap();
        assert!(matches!(
            source.changed_since("/nowhere"),
            Ok(Changes::Unknown { .. })
        ));
    }
}
