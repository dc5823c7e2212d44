//! What lies among the backups and is part of none.

use std::collections::BTreeSet;

use agent_format::ObjectName;
use agent_format::manifest::Manifest;
use agent_target::ObjectStat;

use crate::command::catalogue::Points;

/// Objects in folders of snapshots that no manifest names: of a backup that is being written now, or was
/// never ended, or was removed but for them. Where the manifest is damaged nothing can be told of a folder.
pub(super) fn among(points: &Points) -> impl Iterator<Item = &ObjectStat> {
    let named: BTreeSet<_> = points.manifests().flat_map(names).collect();
    let is_part = move |name: &ObjectName| {
        let folder = name.parts().nth(1).unwrap_or_default();
        let in_snapshot = folder.starts_with("snapshot_");
        let is_damaged =
            |(manifest, _): &(ObjectName, String)| manifest.parts().nth(1) == Some(folder);
        !in_snapshot || named.contains(name) || points.damaged.iter().any(is_damaged)
    };
    let objects = points.objects.iter();
    objects.filter(move |object| !is_part(&object.name))
}

fn names(manifest: &Manifest) -> Vec<ObjectName> {
    let folder = manifest.folder();
    let mut names = vec![folder.manifest(), folder.withdrawn_manifest()];
    names.extend(manifest.objects.iter().map(|object| object.name.clone()));
    for disk in &manifest.disks {
        names.extend([disk.image.name.clone(), disk.index.name.clone()]);
    }
    names
}
