//! What builds on a snapshot's images, as the manifests on the target have it. A database that is behind
//! must not let an image go that a backup needs.

use agent_contract::ImageFacts;
use agent_format::manifest::{DiskEntry, ObjectRecord};
use agent_format::{Digest, MergedDisk, ObjectName};
use services_db::SnapshotFilter;
use services_types::{SnapshotId, SnapshotStatus};

use crate::context::FlowContext;
use crate::runner::StepFailure;
use crate::target_files::{self, Description};

/// What of a snapshot lies on the target.
pub(super) struct Remains {
    /// What its images are; `None` where that cannot be read (any more).
    pub(super) description: Option<Description>,
    pub(super) images: Vec<ObjectName>,
}

/// Looks at a snapshot that is to go.
pub(super) async fn remains(
    cx: &FlowContext,
    snapshot_id: SnapshotId,
) -> Result<Remains, StepFailure> {
    let workload_id = cx.claim().request.workload_id();
    match target_files::read_description(cx, workload_id, snapshot_id).await {
        Ok(description) => {
            let disks = &description.manifest.disks;
            let images = disks.iter().map(|disk| disk.image.name.clone()).collect();
            let description = Some(description);
            Ok(Remains {
                description,
                images,
            })
        }
        Err(failure) if failure.is_missing_object || failure.is_damage => Ok(Remains {
            description: None,
            images: target_files::images_left(cx, workload_id, snapshot_id).await?,
        }),
        Err(failure) => Err(failure),
    }
}

/// Other snapshots of the workload, on the same target, as far as their manifests can be read. One that
/// is known to build on `snapshot_id` and whose manifest cannot be read is an obstacle.
pub(super) async fn others(
    cx: &FlowContext,
    snapshot_id: SnapshotId,
) -> Result<Vec<Description>, StepFailure> {
    let workload_id = cx.claim().request.workload_id();
    let filter = SnapshotFilter {
        workload_id: Some(workload_id),
        ..SnapshotFilter::default()
    };
    let mut rows = cx.db().snapshot_list(filter).await?;
    rows.extend(cx.db().snapshots_kept_for_chain(workload_id).await?);
    let mut others = Vec::new();
    for row in rows {
        if row.id == snapshot_id {
            continue;
        }
        let has_failed = matches!(
            row.status,
            SnapshotStatus::Error | SnapshotStatus::Cancelled
        );
        let needs_it = row.backing_snapshot_id == Some(snapshot_id) && !has_failed;
        match target_files::read_description(cx, workload_id, row.id).await {
            Ok(description) => others.push(description),
            Err(failure) if !(failure.is_missing_object || failure.is_damage) => {
                return Err(failure);
            }
            Err(_) if !needs_it => {}
            Err(failure) => {
                return Err(StepFailure {
                    is_missing_object: false,
                    ..StepFailure::because(
                        format!(
                            "Snapshot {} builds on this one and has lost its manifest, delete it first",
                            row.id
                        ),
                        &failure,
                    )
                });
            }
        }
    }
    Ok(others)
}

/// Where the disks are that build on an image: number of the snapshot, number of the disk in it.
pub(super) fn successors(others: &[Description], image: &ObjectName) -> Vec<(usize, usize)> {
    let in_one = |(number, other): (usize, &Description)| {
        let disks = other.manifest.disks.iter().enumerate();
        disks
            .filter(|(_, disk)| disk.backing.as_ref() == Some(image))
            .map(|(disk, _)| (number, disk))
            .collect::<Vec<_>>()
    };
    others.iter().enumerate().flat_map(in_one).collect()
}

/// What the successor of a merged image has become, and what it builds on now.
pub(super) fn merged(
    successor: &DiskEntry,
    into: &ImageFacts,
    backing: Option<ObjectName>,
) -> Result<MergedDisk, StepFailure> {
    let record = |of: &ObjectRecord, size_bytes, blake3: &str| {
        let blake3: Digest = blake3
            .parse()
            .map_err(|e| StepFailure::because("A datamover told a digest that is none", &e))?;
        Ok::<_, StepFailure>(ObjectRecord {
            name: of.name.clone(),
            size_bytes,
            blake3,
        })
    };
    let (image, index) = (&successor.image, &successor.index);
    Ok(MergedDisk {
        image: record(image, into.image_size_bytes, &into.image_blake3)?,
        index: record(index, into.index_size_bytes, &into.index_blake3)?,
        backing,
        virtual_size_bytes: into.virtual_size_bytes,
        data_bytes: into.data_bytes,
        zero_bytes: into.zero_bytes,
    })
}

#[cfg(test)]
mod tests {
    use agent_format::HashAlgorithm;
    use agent_format::layout::DiskName;
    use agent_format::manifest::{FORMAT_VERSION, HashUse, Manifest, SnapshotType};
    use uuid::Uuid;

    use super::*;

    fn name(text: &str) -> ObjectName {
        ObjectName::new(text).unwrap()
    }

    fn record(text: &str) -> ObjectRecord {
        ObjectRecord {
            name: name(text),
            size_bytes: 1,
            blake3: Digest::of(text.as_bytes()),
        }
    }

    /// A snapshot with this number, one before it, and disks as `image <- parent` or `image`.
    fn manifest(number: u128, previous: Option<u128>, disks: &[&str]) -> Manifest {
        let disk = |words: &&str| {
            let (image, backing) = match words.split_once(" <- ") {
                Some((image, parent)) => (image, Some(name(parent))),
                None => (*words, None),
            };
            DiskEntry {
                vm_id: Uuid::from_u128(1).into(),
                resource_id: Uuid::from_u128(2).into(),
                disk: DiskName::new("vda").unwrap(),
                image: record(image),
                index: record(&format!("{image}.index")),
                backing,
                size_bytes: 512,
                virtual_size_bytes: 512,
                cluster_size: 65536,
                data_bytes: 0,
                zero_bytes: 0,
                mark: None,
            }
        };
        Manifest {
            format_version: FORMAT_VERSION,
            workload_id: Uuid::from_u128(9).into(),
            snapshot_id: Uuid::from_u128(number).into(),
            snapshot_type: match previous {
                Some(_) => SnapshotType::Incremental,
                None => SnapshotType::Full,
            },
            created_at: chrono::DateTime::UNIX_EPOCH,
            previous_snapshot_id: previous.map(|id| Uuid::from_u128(id).into()),
            hash: HashUse {
                algorithm: HashAlgorithm::Blake3,
                is_keyed: false,
            },
            disks: disks.iter().map(disk).collect(),
            objects: Vec::new(),
        }
    }

    #[test]
    fn all_that_build_on_an_image_are_found() {
        let others: Vec<_> = [
            manifest(3, Some(2), &["3/b", "3/a <- 2/a"]),
            manifest(4, Some(3), &["4/a <- 3/a"]),
            manifest(5, Some(2), &["5/a <- 2/a"]),
        ]
        .into_iter()
        .map(|manifest| Description {
            manifest,
            is_withdrawn: false,
        })
        .collect();
        assert_eq!(successors(&others, &name("2/a")), [(0, 1), (2, 0)]);
        assert_eq!(successors(&others, &name("3/a")), [(1, 0)]);
        assert_eq!(successors(&others, &name("4/a")), []);
    }

    #[test]
    fn a_digest_that_is_none_is_not_written_down() {
        let newest = manifest(3, Some(2), &["3/a <- 2/a"]);
        let facts = ImageFacts {
            image_size_bytes: 7,
            image_blake3: "x".to_owned(),
            index_size_bytes: 8,
            index_blake3: Digest::of(b"index").to_string(),
            virtual_size_bytes: 512,
            cluster_size: 65536,
            data_bytes: 65536,
            zero_bytes: 0,
            warnings: Vec::new(),
        };
        assert!(merged(&newest.disks[0], &facts, None).is_err());
        let facts = ImageFacts {
            image_blake3: Digest::of(b"image").to_string(),
            ..facts
        };
        let disk = merged(&newest.disks[0], &facts, None).unwrap();
        assert_eq!((disk.image.size_bytes, disk.index.size_bytes), (7, 8));
        assert_eq!((disk.backing, disk.data_bytes), (None, 65536));
        assert_eq!(disk.image.name, newest.disks[0].image.name);
    }
}
