//! A disk as a plain model, sinks to write images to, and `qemu-img` as the judge.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod plan;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use agent_qcow2::{
    Backing, BackingFormat, CLUSTER_BYTES, Chain, ChainImage, Compression, Compressor, FileSink,
    ImageOptions, ImageSink, ImageWriter, ReadError,
};

pub(crate) const CLUSTER: usize = CLUSTER_BYTES as usize;

pub(crate) fn options(size_bytes: u64, backing: Option<&str>) -> ImageOptions {
    compressed_options(size_bytes, backing, Compression::None)
}

pub(crate) fn compressed_options(
    size_bytes: u64,
    backing: Option<&str>,
    compression: Compression,
) -> ImageOptions {
    let backing = backing.map(|name| Backing {
        name: name.to_owned(),
        format: BackingFormat::Qcow2,
    });
    ImageOptions {
        size_bytes,
        backing,
        compression,
    }
}

/// Bytes that tell where they were written, and in which image.
pub(crate) fn pattern(cluster: u64, seed: u8) -> Vec<u8> {
    let mut bytes = vec![seed; CLUSTER];
    for (n, sector) in bytes.chunks_mut(512).enumerate() {
        sector[..8].copy_from_slice(&(cluster * 128 + n as u64).to_le_bytes());
    }
    bytes
}

/// The same with some sectors, from none to all, that no compressor makes shorter.
pub(crate) fn mixed(cluster: u64, seed: u8) -> Vec<u8> {
    let mut bytes = pattern(cluster, seed);
    let mut state = (cluster << 8 | u64::from(seed)).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let noisy = [0, 1, 20, 50, 90, 126, 128][(next() % 7) as usize] * 512;
    for word in bytes[..noisy].chunks_mut(8) {
        word.copy_from_slice(&next().to_le_bytes());
    }
    bytes
}

/// Writes clusters as a backup does: compressed where that saves something.
pub(crate) fn write_packed<S: ImageSink>(
    writer: &mut ImageWriter<S>,
    compressor: &mut Compressor,
    first: u64,
    data: &[u8],
) {
    for (cluster, bytes) in (first..).zip(data.chunks(CLUSTER)) {
        match compressor.compress(bytes).unwrap() {
            Some(payload) => writer.write_compressed(cluster, payload).unwrap(),
            None => writer.write_data(cluster, bytes).unwrap(),
        }
    }
}

/// What a disk must read as: clusters that are not zero, up to `end`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) end: u64,
    pub(crate) clusters: BTreeMap<u64, Vec<u8>>,
}

impl Model {
    /// The view through an overlay of another size: what is cut off is zero from then on.
    pub(crate) fn resize(&mut self, size_bytes: u64) {
        self.end = size_bytes.next_multiple_of(512);
        let end = self.end;
        self.clusters.retain(|cluster, bytes| {
            let left = end.saturating_sub(cluster * CLUSTER_BYTES);
            if left < CLUSTER_BYTES {
                bytes[left as usize..].fill(0);
            }
            left > 0
        });
    }

    pub(crate) fn write_raw(&self, path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(self.end).unwrap();
        for (cluster, bytes) in &self.clusters {
            let offset = cluster * CLUSTER_BYTES;
            let length = (self.end - offset).min(CLUSTER_BYTES) as usize;
            file.write_all_at(&bytes[..length], offset).unwrap();
        }
    }

    pub(crate) fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut out = vec![0; length];
        let end = offset + length as u64;
        for (cluster, bytes) in self.clusters.range(offset / CLUSTER_BYTES..) {
            let start = cluster * CLUSTER_BYTES;
            if start >= end {
                break;
            }
            let (from, to) = (start.max(offset), (start + CLUSTER_BYTES).min(end));
            out[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&bytes[(from - start) as usize..(to - start) as usize]);
        }
        out
    }
}

pub(crate) fn open_file(path: &Path) -> Box<(File, u64)> {
    let file = File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    Box::new((file, length))
}

/// Opens a chain of files, newest first.
pub(crate) fn open_chain<P: AsRef<Path>>(paths: &[P]) -> Result<Chain, ReadError> {
    let image = |path: &P| ChainImage {
        name: path.as_ref().display().to_string(),
        data: open_file(path.as_ref()),
    };
    Chain::open(paths.iter().map(image).collect())
}

pub(crate) fn new_sink(path: &Path) -> FileSink {
    FileSink::create(open_for_writing(path)).unwrap()
}

pub(crate) fn resumed_sink(path: &Path, length: u64) -> FileSink {
    FileSink::resume(open_for_writing(path), length).unwrap()
}

fn open_for_writing(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .unwrap()
}

/// Runs from `/`, so that a relative backing name can only be found beside its image.
pub(crate) fn qemu_img<A: AsRef<std::ffi::OsStr>>(args: &[A]) -> Result<String, String> {
    let output = Command::new("qemu-img")
        .args(args)
        .current_dir("/")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!(
            "{}\n{text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

/// No errors, no leaks.
pub(crate) fn assert_clean(image: &Path) {
    qemu_img(&["check", "-f", "qcow2", image.to_str().unwrap()]).unwrap();
}

pub(crate) fn assert_reads_as(image: &Path, raw: &Path) {
    let (image, raw) = (image.to_str().unwrap(), raw.to_str().unwrap());
    qemu_img(&["compare", "-f", "raw", "-F", "qcow2", raw, image]).unwrap();
}

static ZEROES: [u8; CLUSTER] = [0; CLUSTER];

/// A file that stays small however much of it is zero: for images of terabytes.
pub(crate) struct SparseSink {
    pub(crate) file: File,
    pub(crate) position: u64,
}

impl ImageSink for SparseSink {
    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        self.position = length;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        for (n, cluster) in bytes.chunks(CLUSTER).enumerate() {
            if cluster != &ZEROES[..cluster.len()] {
                self.file
                    .write_all_at(cluster, self.position + (n * CLUSTER) as u64)?;
            }
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.set_len(self.position)
    }

    fn finish(&mut self, head: &[u8]) -> io::Result<()> {
        self.file.set_len(self.position)?;
        self.file.write_all_at(head, 0)
    }
}

/// A sink in memory that is watched through its clones, with the minimum of an S3 part if wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct VecSink {
    pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
    pub(crate) head_minimum: u64,
    /// Appends from this length on fail.
    pub(crate) full_at: Option<u64>,
}

impl VecSink {
    pub(crate) fn take(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }
}

impl ImageSink for VecSink {
    fn head_minimum_bytes(&self) -> u64 {
        self.head_minimum
    }

    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().resize(length as usize, 0xEE);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.full_at.is_some_and(|full| self.position() >= full) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.lock().unwrap().extend(bytes);
        Ok(())
    }

    fn position(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, head: &[u8]) -> io::Result<()> {
        self.bytes.lock().unwrap()[..head.len()].copy_from_slice(head);
        Ok(())
    }
}

/// Takes everything and keeps nothing.
#[derive(Default)]
pub(crate) struct NullSink {
    pub(crate) position: u64,
}

impl ImageSink for NullSink {
    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        self.position = length;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _head: &[u8]) -> io::Result<()> {
        Ok(())
    }
}
