//! An export with a dirty bitmap: it tells what changed since one earlier point.

use super::{
    endpoint::Endpoint,
    status::{StatusExtent, StatusWalk},
};
use crate::{
    BlocksError, Changes, DiskReader, Extent, ExtentStream, MapDisk, NbdSource, ReadDisk,
    extent::merge,
};

/// What a bitmap is called by those who ask, and by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// The earlier point.
    pub point: String,
    /// The export's context: `qemu:dirty-bitmap:NAME`.
    pub context: String,
}

/// A disk behind NBD whose server has kept a record of changes.
#[derive(Debug)]
pub struct TrackedSource {
    disk: NbdSource,
    endpoint: Endpoint,
    since: Option<Since>,
}

impl TrackedSource {
    /// An export that is served already.
    pub fn open(endpoint: Endpoint, since: Option<Since>) -> Result<Self, BlocksError> {
        let disk = NbdSource::open(endpoint.clone())?;
        Ok(Self {
            disk,
            endpoint,
            since,
        })
    }
}

impl ReadDisk for TrackedSource {
    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }

    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        self.disk.open_reader()
    }
}

impl MapDisk for TrackedSource {
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        self.disk.allocated()
    }

    fn changed_since(&self, point: &str) -> Result<Changes<'_>, BlocksError> {
        let Some(since) = self.since.as_ref().filter(|since| since.point == point) else {
            let reason = format!("nothing has recorded what changed since {point}");
            return Ok(Changes::Unknown { reason });
        };
        let connection = self.endpoint.connect(&[&since.context])?;
        if connection.export().context_id(&since.context).is_none() {
            let reason = format!("the record of what changed since {point} is not served");
            return Ok(Changes::Unknown { reason });
        }
        let doing = self.endpoint.doing("ask for what changed in");
        let walk = StatusWalk::new(connection, &since.context, 0..self.size_bytes())
            .map_err(|error| error.while_doing(doing.clone()))?;
        let changes = walk.filter_map(move |run| match run {
            Ok(run) => as_change(run).map(Ok),
            Err(error) => Some(Err(error.while_doing(doing.clone()))),
        });
        Ok(Changes::Known(Box::new(merge(changes))))
    }
}

/// Whether it is zero now is found out when it is read.
fn as_change(run: StatusExtent) -> Option<Extent> {
    (run.flags & 1 != 0).then(|| Extent::data(run.offset, run.length))
}
