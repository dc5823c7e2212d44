//! The two images of a merge as they are on the target.

use agent_format::manifest::{FORMAT_VERSION, ObjectRecord};
use agent_format::merge_intent::{MergeIntent, MergeWay, MergedObjects};
use agent_format::{Digest, ObjectName};
use agent_qcow2::{Chain, ChainImage, Header, MergePair};
use agent_target::{ErrorKind, Target};

use crate::transfer::error::{JobError, target as failed};
use crate::transfer::lineage::{header_of, lineage};
use crate::transfer::reading::read_trailer;
use crate::transfer::run::Place;

pub(super) struct Subject {
    pub(super) removed: Place,
    pub(super) kept: Place,
    /// What the removed one builds upon, and the kept one afterwards.
    pub(super) base: Option<ObjectName>,
    /// That, as the removed image's header calls it.
    backing_name: Option<String>,
}

impl Subject {
    /// Looks at both; gives the kept one back if it needs the other no more, which is gone then.
    pub(super) fn open(removed: Place, kept: Place) -> Result<Result<Self, Place>, JobError> {
        let target = kept.target.as_ref();
        let header = header_of(target, &kept.image)?;
        let builds_upon = parent(&kept.image, &header)?;
        let is_there = target
            .stat(&removed.image)
            .map_err(failed("look for an image"))?
            .is_some();
        let is_linked = builds_upon.as_ref() == Some(&removed.image);
        if !is_there && !is_linked {
            return Ok(Err(kept));
        }
        if !is_linked {
            let (kept, removed) = (&kept.image, &removed.image);
            let message = format!("image {kept} does not build upon {removed}");
            return Err(JobError::Refused(message));
        }
        let header = header_of(target, &removed.image)?;
        Ok(Ok(Self {
            base: parent(&removed.image, &header)?,
            backing_name: header.backing_name,
            removed,
            kept,
        }))
    }

    /// Whether the header of the removed image can become that of the kept one.
    pub(super) fn header_fits(&self) -> bool {
        let name = |base| self.kept.image.relative_path_to(base);
        self.base.as_ref().map(name) == self.backing_name
    }

    pub(super) fn pair(&self) -> Result<MergePair, JobError> {
        let target = self.kept.target.as_ref();
        let base = self.base.as_ref();
        let base = base.map(|base| header_of(target, base)).transpose()?;
        let mut pair = MergePair::open(
            open(target, &self.removed.image)?,
            open(target, &self.kept.image)?,
            base.map(|header| header.virtual_size),
        )
        .map_err(JobError::Merge)?;
        if let Some(cluster) = pair.boundary() {
            pair.set_boundary(shown(target, &self.kept.image, cluster)?);
        }
        Ok(pair)
    }

    pub(super) fn intent(&self, way: MergeWay) -> Result<MergeIntent, JobError> {
        Ok(MergeIntent {
            format_version: FORMAT_VERSION,
            way,
            removed: objects(&self.removed)?,
            kept: objects(&self.kept)?,
            backing: self.base.clone(),
        })
    }
}

fn parent(image: &ObjectName, header: &Header) -> Result<Option<ObjectName>, JobError> {
    let name = header.backing_name.as_deref();
    let resolved = name.map(|name| image.resolve(name)).transpose();
    resolved.map_err(|error| JobError::Refused(error.to_string()))
}

pub(super) fn open(target: &dyn Target, image: &ObjectName) -> Result<ChainImage, JobError> {
    Ok(ChainImage {
        name: image.to_string(),
        data: target.open_image(image).map_err(failed("open an image"))?,
    })
}

/// What a disk shows in a cluster: whatever state a merge of its images is in, the same.
pub(super) fn shown(
    target: &dyn Target,
    image: &ObjectName,
    cluster: u64,
) -> Result<Vec<u8>, JobError> {
    let images = lineage(target, image)?;
    let images = images.iter().map(|image| open(target, image));
    let chain = Chain::open(images.collect::<Result<_, _>>()?).map_err(JobError::Chain)?;
    let offset = cluster.saturating_mul(chain.cluster_size());
    let length = chain.virtual_size().saturating_sub(offset);
    let length = usize::try_from(length.min(chain.cluster_size())).unwrap_or_default();
    let mut bytes = vec![0; length];
    chain.read_at(&mut bytes, offset).map_err(JobError::Chain)?;
    Ok(bytes)
}

fn objects(place: &Place) -> Result<MergedObjects, JobError> {
    let size_bytes = |name| {
        let stat = place
            .target
            .stat(name)
            .map_err(failed("look at an image"))?;
        Ok::<_, JobError>(stat.map_or(0, |stat| stat.size_bytes))
    };
    Ok(MergedObjects {
        image: ObjectRecord {
            name: place.image.clone(),
            size_bytes: size_bytes(&place.image)?,
            blake3: head_digest(place)?,
        },
        index: ObjectRecord {
            name: place.index.clone(),
            size_bytes: size_bytes(&place.index)?,
            blake3: read_trailer(place)?.digest,
        },
    })
}

pub(super) fn head_digest(place: &Place) -> Result<Digest, JobError> {
    let header = header_of(place.target.as_ref(), &place.image)?;
    let image = open(place.target.as_ref(), &place.image)?;
    let digest = header.head_blake3(&image.data);
    let digest = digest.map_err(|source| {
        JobError::Chain(agent_qcow2::ReadError::Io {
            image: image.name,
            offset: 0,
            length: 0,
            source,
        })
    })?;
    Ok(digest.into())
}

/// The same, or none if there is no such image.
pub(super) fn head_digest_if_any(place: &Place) -> Result<Option<Digest>, JobError> {
    match head_digest(place) {
        Ok(digest) => Ok(Some(digest)),
        Err(JobError::Target { source, .. }) if source.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
