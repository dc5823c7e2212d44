//! Memory does not grow with the disk: a synthetic one, in every other cluster an extent.

use agent_blocks::{
    BlocksError, BufferPool, Changes, Chunk, ChunkStream, DiskReader, Extent, ExtentKind,
    ExtentStream, MapDisk, ReadDisk, ReadPlan,
};
use agent_contract::BackupJob;

use super::run_from;
use crate::transfer::pipeline;
use crate::transfer::test_host::{C, Life, backup_job, host, image};

const CLUSTER: u64 = C as u64;

/// Changed everywhere since any point: data that is mostly zero, and next to it what was discarded.
struct Endless {
    size_bytes: u64,
}

impl ReadDisk for Endless {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        Ok(Box::new(Generator {
            pool: BufferPool::new(1 << 20),
        }))
    }
}

impl MapDisk for Endless {
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        let clusters = 0..self.size_bytes / CLUSTER;
        Ok(Box::new(clusters.map(|cluster| {
            let offset = cluster * CLUSTER;
            Ok(match cluster % 2 {
                0 => Extent::data(offset + 4096, 4096),
                _ => Extent::zero(offset, CLUSTER),
            })
        })))
    }

    fn changed_since(&self, _: &str) -> Result<Changes<'_>, BlocksError> {
        self.allocated().map(Changes::Known)
    }
}

struct Generator {
    pool: BufferPool,
}

impl DiskReader for Generator {
    fn read<'a>(&'a mut self, extents: ExtentStream<'a>, _: ReadPlan) -> ChunkStream<'a> {
        Box::new(extents.map(|extent| {
            let Extent {
                offset,
                length,
                kind,
            } = extent?;
            if kind == ExtentKind::Zero {
                return Ok(Chunk::Zero { offset, length });
            }
            let mut bytes = self.pool.take(usize::try_from(length).unwrap());
            bytes.fill(u8::from((offset / CLUSTER).is_multiple_of(64)));
            Ok(Chunk::Data { offset, bytes })
        }))
    }
}

/// The most memory that this process had in use since the last call.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    kib.parse::<u64>().unwrap() << 10
}

#[test]
fn a_disk_of_4_gib_with_an_extent_in_every_cluster_fits_into_memory() {
    let size_bytes = 4 << 30;
    let mut host = host();
    host.host.checkpoint_interval = std::time::Duration::from_secs(5);
    let full = backup_job("w/a", C, None);
    let one = agent_blocks::memory::MemoryDisk::new(vec![1; C]);
    Life::new()
        .live(&host, |run| run_from(run, &full, || Ok(Box::new(one))))
        .unwrap();
    let job = BackupJob {
        size_bytes,
        since: Some("any".into()),
        backing: Some(image("w/a")),
        ..backup_job("w/b", C, None)
    };
    peak_bytes();
    let before = peak_bytes();
    let facts = Life::new()
        .live(&host, |run| {
            run_from(run, &job, || Ok(Box::new(Endless { size_bytes })))
        })
        .unwrap();
    let used = peak_bytes().saturating_sub(before);
    let clusters = size_bytes / CLUSTER;
    assert_eq!(facts.data_bytes, clusters.div_ceil(64) * CLUSTER);
    assert_eq!(facts.data_bytes + facts.zero_bytes, size_bytes);
    let allowed = (64 + 4 * pipeline::workers() as u64) << 20;
    assert!(used <= allowed, "{} MiB", used >> 20);
}
