//! Images in files, changed in place, composed, and written anew.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use agent_qcow2::{
    Backing, BackingFormat, ChainImage, CopyingSink, FileSink, Header, ImageSink, ImageUpdate,
    MergeComposition, MergeError, MergePair, MergeSource, MergedImage, PreparedMerge,
    prepare_merge, write_merged,
};

use crate::support::{Model, new_sink, open_file};

/// A file that is changed in place.
pub(crate) struct StoredImage(pub(crate) File);

impl StoredImage {
    pub(crate) fn open(path: &Path) -> Self {
        Self(
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap(),
        )
    }
}

impl ImageUpdate for StoredImage {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn punch(&mut self, range: Range<u64>) -> io::Result<()> {
        use nix::fcntl::{FallocateFlags, fallocate};
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let (offset, length) = (range.start as i64, (range.end - range.start) as i64);
        fallocate(&self.0, mode, offset, length).map_err(Into::into)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn size_bytes(&self) -> u64 {
        self.0.metadata().unwrap().len()
    }
}

pub(crate) fn image(path: &Path) -> ChainImage {
    ChainImage {
        name: path.display().to_string(),
        data: open_file(path),
    }
}

pub(crate) fn in_memory(bytes: &[u8]) -> ChainImage {
    ChainImage {
        name: "in memory".to_owned(),
        data: Box::new(bytes.to_vec()),
    }
}

/// The two, with what the disk shows in the cluster that must be known.
pub(crate) fn open_pair(
    parent: &Path,
    successor: &Path,
    base: Option<&Path>,
    model: &Model,
) -> MergePair {
    let grandparent = base.map(|base| Header::read(&open_file(base)).unwrap().virtual_size);
    let mut pair = MergePair::open(image(parent), image(successor), grandparent).unwrap();
    set_boundary(&mut pair, model);
    pair
}

pub(crate) fn set_boundary(pair: &mut MergePair, model: &Model) {
    if let Some(cluster) = pair.boundary() {
        let offset = cluster << 16;
        let length = (model.end - offset).min(1 << 16) as usize;
        pair.set_boundary(model.read(offset, length));
    }
}

pub(crate) fn go_on(_bytes: u64) -> bool {
    true
}

pub(crate) fn prepare(pair: &MergePair, parent: &Path) -> (PreparedMerge, StoredImage) {
    let mut update = StoredImage::open(parent);
    let prepared = prepare_merge(pair, &mut update, &mut go_on).unwrap();
    (prepared, update)
}

/// A new file of copies.
struct Composer {
    sink: FileSink,
    parent: File,
    successor: File,
    head_minimum: u64,
}

impl ImageSink for Composer {
    fn head_minimum_bytes(&self) -> u64 {
        self.head_minimum
    }

    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        self.sink.reserve_head(length)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.append(bytes)
    }

    fn position(&self) -> u64 {
        self.sink.position()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sink.sync()
    }

    fn finish(&mut self, head: &[u8]) -> io::Result<()> {
        self.sink.finish(head)
    }
}

impl CopyingSink for Composer {
    fn append_copy(&mut self, source: MergeSource, range: Range<u64>) -> io::Result<()> {
        let file = match source {
            MergeSource::Parent => &self.parent,
            MergeSource::Successor => &self.successor,
        };
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut bytes, range.start)?;
        self.sink.append(&bytes)
    }
}

/// The merged image as a new file in the successor's place; none if it cannot be composed.
pub(crate) fn compose(
    pair: &MergePair,
    parent: &Path,
    successor: &Path,
    head_minimum: u64,
) -> Option<MergedImage> {
    let composition = match MergeComposition::plan(pair, head_minimum) {
        Ok(composition) => composition,
        Err(MergeError::Unsupported { .. }) => return None,
        Err(error) => panic!("{error:?}"),
    };
    let new = successor.with_extension("new");
    let mut composer = Composer {
        sink: new_sink(&new),
        parent: File::open(parent).unwrap(),
        successor: File::open(successor).unwrap(),
        head_minimum,
    };
    let composed = composition.write(&mut composer, &mut go_on).unwrap();
    composer.finish(&composed.head).unwrap();
    std::fs::rename(new, successor).unwrap();
    Some(composed.merged)
}

pub(crate) fn rewrite(pair: &MergePair, successor: &Path) -> MergedImage {
    let new = successor.with_extension("new");
    let backing = pair
        .parent_header()
        .backing_name
        .clone()
        .map(|name| Backing {
            name,
            format: BackingFormat::Qcow2,
        });
    let sink = new_sink(&new);
    let summary = write_merged(pair, sink, backing, &mut go_on).unwrap();
    std::fs::rename(new, successor).unwrap();
    MergedImage {
        size_bytes: summary.size_bytes,
        virtual_size: summary.virtual_size,
        head_blake3: summary.head_blake3,
    }
}
