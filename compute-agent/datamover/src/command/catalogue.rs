//! Whose backups are on a target, of which points in time, and which images make a disk.

use agent_format::layout::{SnapshotFile, SnapshotFolder, WorkloadFile, WorkloadFolder};
use agent_format::manifest::{DiskEntry, Manifest};
use agent_format::{ObjectName, SnapshotId, WorkloadId};
use agent_target::{ErrorKind, ObjectStat, Target};
use serde::Deserialize;
use services_foundation::error_chain::ErrorChain;

use super::error::{CommandError, target as failed};
use super::point::{PointSpec, workload_of};

/// More than any of our JSON files ever has.
pub(super) const JSON_LIMIT_BYTES: u64 = 64 << 20;

/// Whose backups: a name of the command, or a workload of the service.
#[derive(Debug, Clone)]
pub(super) struct Workload {
    pub(super) folder: WorkloadFolder,
    pub(super) name: String,
}

/// A backup of one moment.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) name: Option<String>,
    /// What was backed up, as the command line said it.
    pub(super) source: Option<String>,
    /// Of its bytes, where something tells.
    pub(super) source_identity: Option<String>,
    pub(super) manifest: Manifest,
}

/// All points of a workload, oldest first.
#[derive(Debug)]
pub(super) struct Points {
    pub(super) workload: Workload,
    pub(super) points: Vec<Point>,
    /// Manifests that cannot be used, and why.
    pub(super) damaged: Vec<(ObjectName, String)>,
    /// All that lies in the workload's folder.
    pub(super) objects: Vec<ObjectStat>,
    /// Of points that are being merged away: no backups any more, but others may build upon them.
    pub(super) withdrawn: Vec<Manifest>,
}

#[derive(Default, Deserialize)]
struct Named {
    display_name: Option<String>,
    source: Option<String>,
    source_identity: Option<String>,
}

/// Of a folder on a target: `workload_<id>`, maybe with `snapshot_<id>`.
fn ids_in(name: &ObjectName) -> Option<(WorkloadId, Option<SnapshotId>)> {
    let mut parts = name.parts();
    let workload = parts.next()?.strip_prefix("workload_")?.parse().ok()?;
    let snapshot = parts.next().and_then(|part| part.strip_prefix("snapshot_"));
    Some((workload, snapshot.and_then(|id| id.parse().ok())))
}

/// Everybody whose backups are on the target, by name.
pub(super) fn workloads(target: &dyn Target) -> Result<Vec<Workload>, CommandError> {
    let objects = target.list(None).map_err(failed("list the target"))?;
    let mut ids: Vec<_> = objects
        .iter()
        .filter_map(|object| Some(ids_in(&object.name)?.0))
        .collect();
    ids.dedup();
    let mut workloads = Vec::with_capacity(ids.len());
    for workload_id in ids {
        let folder = WorkloadFolder { workload_id };
        let name = name_in(target, &folder.file(WorkloadFile::Workload))?;
        let name = name.unwrap_or_else(|| workload_id.to_string());
        workloads.push(Workload { folder, name });
    }
    workloads.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(workloads)
}

/// The display name in a JSON file; one that is missing or damaged has none.
fn name_in(target: &dyn Target, file: &ObjectName) -> Result<Option<String>, CommandError> {
    Ok(named(target, file)?.and_then(|named| named.display_name))
}

fn named(target: &dyn Target, file: &ObjectName) -> Result<Option<Named>, CommandError> {
    match target.get_object(file, JSON_LIMIT_BYTES) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Corrupt) => Ok(None),
        Err(error) => Err(failed("read the target")(error)),
    }
}

/// The points of who has this name or id.
pub(super) fn find(target: &dyn Target, name: &str) -> Result<Points, CommandError> {
    points(target, find_workload(target, name)?)
}

/// The one of this name or id.
pub(super) fn find_workload(target: &dyn Target, name: &str) -> Result<Workload, CommandError> {
    let of_command = WorkloadFolder {
        workload_id: workload_of(name),
    };
    let by_id = name
        .parse()
        .ok()
        .map(|workload_id| WorkloadFolder { workload_id });
    for folder in by_id.into_iter().chain([of_command]) {
        let file = folder.file(WorkloadFile::Workload);
        if target
            .stat(&file)
            .map_err(failed("look at the target"))?
            .is_some()
        {
            let name = name_in(target, &file)?.unwrap_or_else(|| name.to_owned());
            return Ok(Workload { folder, name });
        }
    }
    let mut same: Vec<_> = workloads(target)?
        .into_iter()
        .filter(|workload| workload.name == name)
        .collect();
    match (same.pop(), same.is_empty()) {
        (Some(workload), true) => Ok(workload),
        (Some(_), false) => Err(CommandError::Refused(format!(
            "several workloads are called {name:?}: give an id (see `info`)"
        ))),
        (None, _) => Err(CommandError::NotFound(format!(
            "there are no backups of {name:?} on this target"
        ))),
    }
}

/// All points of a workload; a damaged manifest hides no other.
pub(super) fn points(target: &dyn Target, workload: Workload) -> Result<Points, CommandError> {
    let folder = workload.folder.name();
    let objects = target.list(Some(&folder));
    let objects = objects.map_err(failed("list the backups"))?;
    let (mut points, mut damaged, mut withdrawn) = (Vec::new(), Vec::new(), Vec::new());
    for object in &objects {
        let Some((workload_id, Some(snapshot_id))) = ids_in(&object.name) else {
            continue;
        };
        let folder = SnapshotFolder {
            workload_id,
            snapshot_id,
        };
        if object.name == folder.withdrawn_manifest() {
            withdrawn.extend(read_withdrawn(target, &folder)?);
        }
        if object.name != folder.manifest() {
            continue;
        }
        match read_manifest(target, &folder)? {
            Ok(manifest) => {
                let named = named(target, &folder.file(SnapshotFile::Snapshot))?;
                let named = named.unwrap_or_default();
                points.push(Point {
                    name: named.display_name,
                    source: named.source,
                    source_identity: named.source_identity,
                    manifest,
                });
            }
            Err(why) => damaged.push((object.name.clone(), why)),
        }
    }
    points.sort_by_key(|point| (point.manifest.created_at, point.manifest.snapshot_id));
    // Of a folder that has both, the withdrawal did not come to its end.
    withdrawn.retain(|gone: &Manifest| {
        let mut ids = points.iter().map(|point| point.manifest.snapshot_id);
        !ids.any(|id| id == gone.snapshot_id)
    });
    Ok(Points {
        workload,
        points,
        damaged,
        objects,
        withdrawn,
    })
}

/// What was withdrawn; one that cannot be read says nothing.
fn read_withdrawn(
    target: &dyn Target,
    folder: &SnapshotFolder,
) -> Result<Option<Manifest>, CommandError> {
    match target.get_object(&folder.withdrawn_manifest(), JSON_LIMIT_BYTES) {
        Ok(bytes) => Ok(Manifest::from_slice(&bytes).ok()),
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Corrupt) => Ok(None),
        Err(error) => Err(failed("read a withdrawn manifest")(error)),
    }
}

/// The manifest, or why it is damaged.
fn read_manifest(
    target: &dyn Target,
    folder: &SnapshotFolder,
) -> Result<Result<Manifest, String>, CommandError> {
    let bytes = match target.get_object(&folder.manifest(), JSON_LIMIT_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind == ErrorKind::Corrupt => {
            return Ok(Err(ErrorChain(&error).to_string()));
        }
        Err(error) => return Err(failed("read a manifest")(error)),
    };
    let manifest = match Manifest::from_slice(&bytes) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(Err(ErrorChain(&error).to_string())),
    };
    let is_of_folder =
        manifest.workload_id == folder.workload_id && manifest.snapshot_id == folder.snapshot_id;
    Ok(if is_of_folder {
        Ok(manifest)
    } else {
        Err("it is the manifest of another snapshot".to_owned())
    })
}

impl Point {
    /// What people call it.
    pub(super) fn label(&self) -> String {
        let id = || self.manifest.snapshot_id.to_string();
        self.name.clone().unwrap_or_else(id)
    }

    /// The disk that is meant; a point of several needs to be told.
    pub(super) fn disk(&self, wanted: Option<&str>) -> Result<&DiskEntry, CommandError> {
        let is_wanted = |disk: &&DiskEntry| {
            wanted.is_none_or(|wanted| {
                wanted == disk.disk.as_str() || wanted == disk.resource_id.to_string()
            })
        };
        let mut disks = self.manifest.disks.iter().filter(is_wanted);
        match (disks.next(), disks.next()) {
            (Some(disk), None) => Ok(disk),
            (None, _) => Err(CommandError::NotFound(format!(
                "{} has no such disk",
                self.label()
            ))),
            (Some(_), Some(_)) => {
                let all = self.manifest.disks.iter();
                let all: Vec<_> = all
                    .map(|d| format!("{} ({})", d.resource_id, d.disk))
                    .collect();
                Err(CommandError::Refused(format!(
                    "{} has several disks, say which with --disk: {}",
                    self.label(),
                    all.join(", ")
                )))
            }
        }
    }
}

impl Points {
    /// The newest that can be used.
    pub(super) fn newest(&self) -> Option<&Point> {
        self.points.last()
    }

    /// Of all whose images something may build upon: the points, and those that are being merged away.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        let points = self.points.iter().map(|point| &point.manifest);
        points.chain(&self.withdrawn)
    }

    /// The point of a snapshot.
    pub(super) fn by_id(&self, id: SnapshotId) -> Option<&Point> {
        let mut points = self.points.iter();
        points.find(|point| point.manifest.snapshot_id == id)
    }

    /// Whether a snapshot is a backup or was one: others may build upon its images.
    pub(super) fn was_published(&self, id: SnapshotId) -> bool {
        let folder = self.workload.folder.snapshot(id);
        let marks = [folder.manifest(), folder.withdrawn_manifest()];
        let mut objects = self.objects.iter();
        objects.any(|object| marks.contains(&object.name))
    }

    /// The point that is meant; the newest if none was named.
    pub(super) fn find(&self, spec: &PointSpec) -> Result<&Point, CommandError> {
        let missing = |point: &str| {
            let name = &self.workload.name;
            CommandError::NotFound(format!("there is no point {point:?} of {name:?}"))
        };
        let Some(wanted) = spec.point.as_deref().filter(|point| *point != "latest") else {
            // One that cannot be read may be newer.
            self.check_whole()?;
            return self.newest().ok_or_else(|| missing("latest"));
        };
        let by_name = |point: &&Point| point.name.as_deref() == Some(wanted);
        let by_id = |point: &&Point| {
            let id = point.manifest.snapshot_id.to_string();
            wanted.len() >= 4 && id.starts_with(wanted)
        };
        let mut found: Vec<_> = self.points.iter().filter(by_name).collect();
        if found.is_empty() {
            found = self.points.iter().filter(by_id).collect();
        }
        match found.as_slice() {
            [point] => Ok(point),
            [] => self.check_whole().and(Err(missing(wanted))),
            _ => Err(CommandError::Refused(format!(
                "{wanted:?} means several points: give the id of one (see `info`)"
            ))),
        }
    }

    /// Fails if a manifest is damaged.
    pub(super) fn check_whole(&self) -> Result<(), CommandError> {
        match self.damaged.first() {
            None => Ok(()),
            Some((name, why)) => Err(CommandError::Damaged(format!("{name} is damaged: {why}"))),
        }
    }

    /// The images that make this disk, newest first; those of points that are being merged away are
    /// among them until they are merged.
    pub(super) fn chain<'a>(
        &'a self,
        newest: &'a DiskEntry,
    ) -> Result<Vec<&'a DiskEntry>, CommandError> {
        let mut chain = vec![newest];
        let mut last = newest;
        while let Some(backing) = &last.backing {
            let mut all = self.manifests().flat_map(|manifest| &manifest.disks);
            let found = all.find(|disk| disk.image.name == *backing);
            let parent = found.ok_or_else(|| {
                let image = &last.image.name;
                CommandError::Damaged(format!(
                    "image {image} builds upon {backing}, which no manifest has"
                ))
            })?;
            if chain.iter().any(|disk| disk.image.name == *backing) {
                let what = format!("image {backing} builds upon itself");
                return Err(CommandError::Damaged(what));
            }
            chain.push(parent);
            last = parent;
        }
        Ok(chain)
    }
}
