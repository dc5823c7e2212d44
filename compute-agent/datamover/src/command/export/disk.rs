//! A chain that is verified as it is read: no byte is served that is not the one that was backed up.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_blocks::nbd::server::ServedDisk;
use agent_format::Digest;
use agent_format::index::{ClusterContent, IndexBlocks, IndexReadError, IndexReader, IndexRecord};
use agent_format::manifest::DiskEntry;
use agent_qcow2::{Chain, ChainImage, Decompressor, Extent, ExtentKind, ReadAt};
use agent_target::Target;

use crate::command::error::{CommandError, target as failed};
use crate::command::session::Session;

/// Clusters that were verified lately: what a file system asks for again and again. 8 MiB.
const KEPT_CLUSTERS: usize = 128;
/// Blocks of an image's index, of 4096 records each.
const KEPT_BLOCKS: usize = 4;

pub(super) struct ExportedDisk {
    size_bytes: u64,
    chain: Chain,
    layers: Vec<Layer>,
    recent: Mutex<VecDeque<(Key, Arc<Vec<u8>>)>>,
    decompressors: Mutex<Vec<Decompressor>>,
}

/// Image and cluster.
type Key = (usize, u64);

/// One image by itself, with what its clusters must be.
struct Layer {
    name: String,
    alone: Chain,
    index: Box<dyn ReadAt>,
    blocks: IndexBlocks,
    kept: Mutex<VecDeque<(usize, Arc<Vec<IndexRecord>>)>>,
}

impl ExportedDisk {
    /// Reads the indexes, and compares them and the images' heads with the manifests.
    pub(super) fn open(
        session: &Session<'_>,
        entries: &[&DiskEntry],
    ) -> Result<Self, CommandError> {
        let target = session.target.as_ref();
        let size_bytes = entries.first().map_or(0, |entry| entry.size_bytes);
        let images = entries.iter().map(|entry| image_of(target, entry));
        let images = images.collect::<Result<Vec<_>, _>>()?;
        let chain = Chain::open(images).map_err(unreadable)?;
        let layers = entries.iter().map(|entry| Layer::open(target, entry));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            size_bytes,
            chain,
            layers,
            recent: Mutex::default(),
            decompressors: Mutex::default(),
        })
    }

    /// A whole cluster of one image, verified.
    fn cluster(&self, image: usize, cluster: u64) -> io::Result<Arc<Vec<u8>>> {
        let key = (image, cluster);
        if let Some((_, bytes)) = lock(&self.recent).iter().find(|(at, _)| *at == key) {
            return Ok(bytes.clone());
        }
        let layer = self.layers.get(image).ok_or(io::ErrorKind::NotFound)?;
        let mut decompressor = lock(&self.decompressors).pop().unwrap_or_default();
        let read = layer.read(cluster, &mut decompressor);
        lock(&self.decompressors).push(decompressor);
        let bytes = Arc::new(read?);
        let mut recent = lock(&self.recent);
        if recent.len() >= KEPT_CLUSTERS {
            recent.pop_front();
        }
        recent.push_back((key, bytes.clone()));
        Ok(bytes)
    }

    fn copy(&self, extent: &Extent, image: usize, buffer: &mut [u8]) -> io::Result<()> {
        let cluster_size = self.chain.cluster_size();
        let (mut offset, mut rest) = (extent.guest_offset, buffer);
        while !rest.is_empty() {
            let bytes = self.cluster(image, offset / cluster_size)?;
            let within = in_memory(offset % cluster_size);
            let wanted = bytes.get(within..).unwrap_or_default();
            let length = wanted.len().min(rest.len());
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (now, later) = rest.split_at_mut(length);
            now.copy_from_slice(wanted.get(..length).unwrap_or_default());
            offset += length as u64;
            rest = later;
        }
        Ok(())
    }
}

impl ServedDisk for ExportedDisk {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.saturating_add(buffer.len() as u64);
        let mut rest = buffer;
        for extent in self.chain.extents(offset..end) {
            let extent = extent.map_err(io::Error::other)?;
            let length = in_memory(extent.length).min(rest.len());
            let (now, later) = rest.split_at_mut(length);
            match extent.kind {
                ExtentKind::Zero => now.fill(0),
                ExtentKind::Data { image, .. } | ExtentKind::Compressed { image, .. } => {
                    self.copy(&extent, image, now)?;
                }
            }
            rest = later;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn extent_at(&self, offset: u64, length: u64) -> io::Result<(u64, bool)> {
        let mut same = 0;
        let mut is_zero = None;
        for extent in self.chain.extents(offset..offset.saturating_add(length)) {
            let extent = extent.map_err(io::Error::other)?;
            let zero = extent.kind == ExtentKind::Zero;
            if is_zero.is_some_and(|before| before != zero) {
                break;
            }
            is_zero = Some(zero);
            same += extent.length;
        }
        Ok((same.clamp(1, length.max(1)), is_zero.unwrap_or(true)))
    }
}

impl Layer {
    fn open(target: &dyn Target, entry: &DiskEntry) -> Result<Self, CommandError> {
        let name = entry.image.name.to_string();
        let damaged = |what: &str| CommandError::Damaged(format!("image {name}: {what}"));
        let alone = Chain::open_alone(image_of(target, entry)?).map_err(unreadable)?;
        let image = alone.images().first();
        let head = image.map(agent_qcow2::Image::head_blake3).transpose();
        if head.map_err(unreadable)?.map(Digest::from) != Some(entry.image.blake3) {
            return Err(damaged("its head is not the one of the manifest"));
        }
        let opened = || target.open_image(&entry.index.name);
        let index = opened().map_err(failed("open an index"))?;
        let stream = Stream {
            object: opened().map_err(failed("open an index"))?,
            position: 0,
        };
        let unusable = |error: IndexReadError| damaged(&error.to_string());
        let mut reader = IndexReader::open(io::BufReader::new(stream)).map_err(unusable)?;
        let blocks = IndexBlocks::read(&mut reader).map_err(unusable)?;
        if reader.summary().map(|summary| summary.digest) != Some(entry.index.blake3) {
            return Err(damaged("its index is not the one of the manifest"));
        }
        Ok(Self {
            name: entry.image.name.to_string(),
            alone,
            index,
            blocks,
            kept: Mutex::default(),
        })
    }

    fn read(&self, cluster: u64, decompressor: &mut Decompressor) -> io::Result<Vec<u8>> {
        let cluster_size = self.alone.cluster_size();
        let start = cluster.saturating_mul(cluster_size);
        let end = start
            .saturating_add(cluster_size)
            .min(self.alone.virtual_size());
        let extents = self
            .alone
            .extents(start..end)
            .collect::<Result<Vec<_>, _>>();
        let extents = extents.map_err(io::Error::other)?;
        let mut bytes = vec![0; in_memory(end.saturating_sub(start))];
        let read = self.alone.read_extents(&extents, &mut bytes, decompressor);
        read.map_err(io::Error::other)?;
        let expected = self.digest_of(cluster)?;
        if expected != Some(Digest::of_cluster(&bytes, in_memory(cluster_size))) {
            let name = &self.name;
            let what = format!("image {name} is damaged at guest offset {start}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(bytes)
    }

    fn digest_of(&self, cluster: u64) -> io::Result<Option<Digest>> {
        let Some(number) = self.blocks.block_of(cluster) else {
            return Ok(None);
        };
        let records = self.records(number)?;
        let found = records.binary_search_by_key(&cluster, |record| record.cluster);
        let record = found.ok().and_then(|at| records.get(at));
        Ok(record.and_then(|record| match record.content {
            ClusterContent::Data(digest) => Some(digest),
            ClusterContent::Zero => None,
        }))
    }

    fn records(&self, number: usize) -> io::Result<Arc<Vec<IndexRecord>>> {
        let mut kept = lock(&self.kept);
        if let Some((_, records)) = kept.iter().find(|(at, _)| *at == number) {
            return Ok(records.clone());
        }
        let read = |buffer: &mut [u8], offset| self.index.read_exact_at(buffer, offset);
        let records = self
            .blocks
            .records(number, read)
            .map_err(io::Error::other)?;
        let records = Arc::new(records);
        if kept.len() >= KEPT_BLOCKS {
            kept.pop_front();
        }
        kept.push_back((number, records.clone()));
        Ok(records)
    }
}

fn image_of(target: &dyn Target, entry: &DiskEntry) -> Result<ChainImage, CommandError> {
    let name = &entry.image.name;
    let data = target.open_image(name).map_err(failed("open an image"))?;
    Ok(ChainImage {
        name: name.to_string(),
        data,
    })
}

fn unreadable(error: agent_qcow2::ReadError) -> CommandError {
    let source = crate::transfer::JobError::Chain(error);
    CommandError::Transfer {
        doing: "open the backup".to_owned(),
        source,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For numbers of a cluster's size, or of a request's.
fn in_memory(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A stored object as a stream.
struct Stream {
    object: Box<dyn ReadAt>,
    position: u64,
}

impl io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.object.size_bytes().saturating_sub(self.position);
        let length = in_memory(left).min(buffer.len());
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        self.object.read_exact_at(buffer, self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}
