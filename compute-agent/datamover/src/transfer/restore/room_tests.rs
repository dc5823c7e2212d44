use std::sync::{Mutex, PoisonError};

use agent_blocks::memory::MemoryDisk;
use agent_blocks::{BlocksError, DiskSink, ErrorKind, WriteDisk};

use super::fill;
use super::tests::{chain, job};
use crate::transfer::JobError;
use crate::transfer::test_host::{C, Life, host};

/// A disk on storage with little room.
struct Roomy {
    disk: MemoryDisk,
    most_bytes: u64,
    reserved: Mutex<Vec<(u64, u64)>>,
}

impl Roomy {
    fn new(size_bytes: usize, most_bytes: u64) -> Self {
        Self {
            disk: MemoryDisk::new(vec![0; size_bytes]),
            most_bytes,
            reserved: Mutex::default(),
        }
    }
}

impl WriteDisk for Roomy {
    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }

    fn reserve(&self, offset: u64, length: u64) -> Result<(), BlocksError> {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.push((offset, length));
        let taken: u64 = reserved.iter().map(|(_, length)| length).sum();
        if taken > self.most_bytes {
            return Err(BlocksError::new(ErrorKind::NoSpace, "reserve"));
        }
        Ok(())
    }

    fn open_sink(&self) -> Result<Box<dyn DiskSink>, BlocksError> {
        self.disk.open_sink()
    }
}

#[test]
fn long_runs_of_data_get_their_space_and_zeroes_get_none() {
    let host = host();
    let bytes = chain(&host);
    let disk = Roomy::new(bytes.len(), u64::MAX);
    let job = job(bytes.len(), true);
    Life::new()
        .live(&host, |run| fill(run, &job, &disk))
        .unwrap();
    assert!(disk.disk.bytes() == bytes);
    // Through all images of the chain, the first to the sector that the disk then ended in; the clusters
    // between them are zero or too few.
    let c = C as u64;
    let reserved = disk.reserved.into_inner().unwrap();
    assert_eq!(reserved, [(23 * c, 17 * c + 1024), (100 * c, 660 * c)]);
}

#[test]
fn too_little_room_is_told_before_a_byte_is_written() {
    let host = host();
    let bytes = chain(&host);
    let disk = Roomy::new(bytes.len(), 100 * C as u64);
    let job = job(bytes.len(), true);
    let result = Life::new().live(&host, |run| fill(run, &job, &disk));
    let error = result.unwrap_err();
    assert!(
        matches!(&error, JobError::Disk { source, .. } if source.kind() == ErrorKind::NoSpace),
        "{error}"
    );
    assert!(disk.disk.bytes().iter().all(|byte| *byte == 0));
}
