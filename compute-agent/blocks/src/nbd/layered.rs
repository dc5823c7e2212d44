//! A chain of files that stand still: which of them holds what tells what changed between them.

use super::{
    endpoint::Endpoint,
    status::{StatusExtent, StatusWalk},
};
use crate::{
    BlocksError, DiskReader, Extent, ExtentStream, NbdSource, ReadDisk, Settings,
    extent::merge,
    qemu_nbd::{Image, Layer, QemuNbd},
};

/// Counts layers from 1, the newest; 0 is what none of them holds.
const ALLOCATION_DEPTH: &str = "qemu:allocation-depth";

/// A chain of qcow2 files, perhaps with a raw one at its end, served by a `qemu-nbd` of our own that
/// locks none of them.
#[derive(Debug)]
pub struct LayeredSource {
    disk: NbdSource,
    endpoint: Endpoint,
}

impl LayeredSource {
    /// The layers, newest first.
    pub fn open(layers: Vec<Layer>, settings: &Settings) -> Result<Self, BlocksError> {
        let image = Image::Layers(layers);
        let server = QemuNbd::start_with_depth(&image, settings)?;
        let endpoint = Endpoint::of_server(server, image.to_string(), settings);
        let disk = NbdSource::open(endpoint.clone())?;
        Ok(Self { disk, endpoint })
    }

    /// All that the chain holds.
    pub fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        crate::MapDisk::allocated(&self.disk)
    }

    /// What the newest `count` layers hold: the difference to those below.
    pub fn in_newest(&self, count: usize) -> Result<ExtentStream<'_>, BlocksError> {
        let connection = self.endpoint.connect(&[ALLOCATION_DEPTH])?;
        let doing = self.endpoint.doing("ask for the layers of");
        let walk = StatusWalk::new(connection, ALLOCATION_DEPTH, 0..self.size_bytes())
            .map_err(|error| error.while_doing(doing.clone()))?;
        let most = u32::try_from(count).unwrap_or(u32::MAX);
        let held = walk.filter_map(move |run| match run {
            Ok(run) => within(run, most).map(Ok),
            Err(error) => Some(Err(error.while_doing(doing.clone()))),
        });
        Ok(Box::new(merge(held)))
    }
}

impl ReadDisk for LayeredSource {
    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }

    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        self.disk.open_reader()
    }
}

/// Whether it is zero is found out when it is read.
fn within(run: StatusExtent, most: u32) -> Option<Extent> {
    (1..=most)
        .contains(&run.flags)
        .then(|| Extent::data(run.offset, run.length))
}
