//! A chain of backups of one disk on a target, and what each of them must show.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use agent_blocks::Extent;
use agent_blocks::memory::MemoryDisk;
use agent_contract::{
    DiskLocation, ImageCompression, ImageFacts, MergeJob, RestoreJob, TransferJob, TransferOutcome,
};
use agent_format::ObjectName;
use agent_target::{DirectoryTarget, MemoryTarget, Target};
use tempfile::TempDir;

use crate::transfer::error::JobError;
use crate::transfer::lineage::lineage;
use crate::transfer::test_host::{C, Life, TestHost, backup_job, host_with, image, noise};
use crate::transfer::{back_up, fill};

/// A kind of target, as tests make them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Directory,
    /// In place, forgetting what was not synced.
    Memory,
    /// Composes.
    LikeS3,
    /// Writes anew.
    Plain,
}

pub(super) const KINDS: [Kind; 4] = [Kind::Directory, Kind::Memory, Kind::LikeS3, Kind::Plain];

pub(super) struct History {
    pub(super) target: Arc<dyn Target>,
    pub(super) root: Option<PathBuf>,
    _folder: TempDir,
    host: TestHost,
    /// The disk at each backup, by the backup's image.
    pub(super) disks: BTreeMap<String, Vec<u8>>,
}

pub(super) fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

pub(super) fn image_name(number: usize) -> String {
    format!("w/s{number:03}/v/i")
}

impl History {
    pub(super) fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut root = None;
        let target: Arc<dyn Target> = match kind {
            Kind::Directory => {
                root = Some(folder.path().to_owned());
                Arc::new(DirectoryTarget::initialise(folder.path()).unwrap())
            }
            Kind::Memory => Arc::new(MemoryTarget::new().without_compositions()),
            Kind::LikeS3 => Arc::new(MemoryTarget::new().without_updates()),
            Kind::Plain => Arc::new(MemoryTarget::new().without_updates().without_compositions()),
        };
        Self {
            host: host_on(target.clone()),
            target,
            root,
            _folder: folder,
            disks: BTreeMap::new(),
        }
    }

    /// The same on a target of its own.
    pub(super) fn copy(&self, kind: Kind) -> Self {
        let mut copy = Self::new(kind);
        for stat in self.target.list(None).unwrap() {
            let bytes = self.target.get_object(&stat.name, 64 << 20).unwrap();
            match &copy.root {
                // Without waiting for the disk.
                Some(root) => {
                    let path = root.join(stat.name.as_str());
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, bytes).unwrap();
                }
                None => copy.target.put_object(&stat.name, &bytes).unwrap(),
            }
        }
        copy.disks.clone_from(&self.disks);
        copy
    }

    /// Backs the disk up, of which `changes` (in clusters) are new.
    pub(super) fn back_up(
        &mut self,
        number: usize,
        bytes: Vec<u8>,
        changes: &[(u64, u64)],
        compression: ImageCompression,
    ) {
        let c = C as u64;
        let extent = |(first, count): &(u64, u64)| {
            let range = (first * c) as usize..((first + count) * c) as usize;
            let is_zero = bytes.get(range).is_some_and(|b| b.iter().all(|b| *b == 0));
            let make = if is_zero { Extent::zero } else { Extent::data };
            make(first * c, count * c)
        };
        let changes: Vec<_> = changes.iter().map(extent).collect();
        let disk = MemoryDisk::new(bytes.clone()).with_changes("before", changes);
        let parent = self.disks.keys().next_back().cloned();
        let since = parent.as_deref().map(|parent| ("before", parent));
        let mut job = backup_job(&image_name(number), bytes.len(), since);
        job.compression = compression;
        let made = Life::new().live(&self.host, |run| {
            back_up(run, &job, || Ok(Box::new(disk.clone())))
        });
        made.unwrap();
        self.disks.insert(image_name(number), bytes);
    }

    /// Four backups of a disk that grows, and shrinks to the middle of a cluster.
    pub(super) fn four(kind: Kind, compression: ImageCompression) -> Self {
        let mut history = Self::new(kind);
        let mut bytes = noise(30 * C + 700, 1);
        bytes[4 * C..9 * C].fill(0);
        bytes[12 * C..20 * C].fill(0x33);
        history.back_up(1, bytes.clone(), &[], compression);
        bytes[C..2 * C].fill(7);
        bytes[20 * C..23 * C].fill(0);
        history.back_up(2, bytes.clone(), &[(1, 1), (20, 3)], compression);
        bytes.resize(50 * C + 33, 0);
        bytes[21 * C..22 * C].copy_from_slice(&noise(C, 2));
        bytes[40 * C..45 * C].copy_from_slice(&noise(5 * C, 3));
        history.back_up(3, bytes.clone(), &[(21, 1), (40, 5)], compression);
        bytes.truncate(42 * C + 1024);
        bytes[10 * C..11 * C].fill(9);
        history.back_up(4, bytes, &[(10, 1), (42, 1)], compression);
        history
    }

    pub(super) fn merge(&mut self, removed: usize, kept: usize) -> Result<ImageFacts, JobError> {
        let facts = merge_on(&self.host, removed, kept)?;
        self.disks.remove(&image_name(removed));
        Ok(facts)
    }

    /// Every backup comes back, verified.
    pub(super) fn assert_all(&self) {
        for (image, bytes) in &self.disks {
            assert!(
                restored(&self.host, image, bytes.len()) == *bytes,
                "{image}"
            );
        }
    }

    /// Images and their indexes, and nothing else.
    pub(super) fn assert_tidy(&self) {
        let listed = self.target.list(None).unwrap();
        let listed: Vec<_> = listed.iter().map(|stat| stat.name.to_string()).collect();
        let expected = self.disks.keys();
        let expected: Vec<_> = expected
            .flat_map(|image| [image.clone(), format!("{image}.index")])
            .collect();
        assert_eq!(listed, expected);
    }
}

pub(super) fn host_on(target: Arc<dyn Target>) -> TestHost {
    host_with(tempfile::tempdir().unwrap(), target)
}

pub(super) fn merge_on(
    host: &TestHost,
    removed: usize,
    kept: usize,
) -> Result<ImageFacts, JobError> {
    let job = TransferJob::Merge(merge_job(removed, kept));
    let outcome = Life::new().live(host, |run| run.carry_out(&job))?;
    match outcome {
        TransferOutcome::Merged(facts) => Ok(facts),
        other => panic!("{other:?}"),
    }
}

pub(super) fn merge_job(removed: usize, kept: usize) -> MergeJob {
    MergeJob {
        image: image(&image_name(removed)),
        successor: image(&image_name(kept)),
    }
}

/// What a restore gives, after it was told that a merge had to be finished first.
pub(super) fn restored(host: &TestHost, newest: &str, size_bytes: usize) -> Vec<u8> {
    let target = host.host.targets.get("main").unwrap();
    for _ in 0..2 {
        let chain = lineage(target.as_ref(), &name(newest)).unwrap();
        let job = RestoreJob {
            chain: chain.iter().map(|name| image(name.as_str())).collect(),
            size_bytes: size_bytes as u64,
            destination: DiskLocation::Raw {
                path: "/not/opened".into(),
            },
            is_destination_zeroed: false,
            digests: Vec::new(),
        };
        let disk = MemoryDisk::new(vec![0xaa; size_bytes]);
        match Life::new().live(host, |run| fill(run, &job, &disk)) {
            Ok(_) => return disk.bytes(),
            Err(JobError::Refused(message)) if message.contains("was finished") => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("there is always another merge to be finished")
}
