//! Which images an image builds upon: only the images' own headers know.

use agent_format::ObjectName;
use agent_qcow2::{Header, ReadError};
use agent_target::Target;

use super::error::{JobError, target as failed};

/// The image and those that it builds upon, newest first, down to the full one.
pub(crate) fn lineage(
    target: &dyn Target,
    newest: &ObjectName,
) -> Result<Vec<ObjectName>, JobError> {
    let ancestors = ancestors(target, newest)?;
    Ok(ancestors.into_iter().map(|(image, _)| image).collect())
}

/// The same, with their headers.
pub(crate) fn ancestors(
    target: &dyn Target,
    newest: &ObjectName,
) -> Result<Vec<(ObjectName, Header)>, JobError> {
    let mut chain: Vec<(ObjectName, Header)> = Vec::new();
    let mut next = Some(newest.clone());
    while let Some(image) = next {
        if chain.iter().any(|(name, _)| *name == image) {
            let what = "it builds upon itself";
            return Err(JobError::Damaged {
                image: image.to_string(),
                offset: 0,
                what,
            });
        }
        let header = header_of(target, &image)?;
        next = match &header.backing_name {
            None => None,
            Some(name) => Some(image.resolve(name).map_err(|error| {
                JobError::Refused(format!("image {image} builds upon no image: {error}"))
            })?),
        };
        chain.push((image, header));
    }
    Ok(chain)
}

pub(crate) fn header_of(target: &dyn Target, image: &ObjectName) -> Result<Header, JobError> {
    let data = target
        .open_image(image)
        .map_err(failed("open an image of the chain"))?;
    Header::read(&data).map_err(|source| {
        JobError::Chain(ReadError::Header {
            image: image.to_string(),
            source,
        })
    })
}

#[cfg(test)]
mod tests {
    use agent_format::ObjectName;
    use agent_qcow2::{Backing, BackingFormat, Compression, ImageOptions, ImageWriter};
    use agent_target::{MemoryTarget, Target};

    use super::lineage;
    use crate::transfer::error::JobError;

    fn name(text: &str) -> ObjectName {
        ObjectName::new(text).unwrap()
    }

    fn write(target: &MemoryTarget, image: &str, parent: Option<&str>) {
        let sink = target.create_image(&name(image), None).unwrap();
        let options = ImageOptions {
            size_bytes: 1 << 20,
            backing: parent.map(|parent| Backing {
                name: name(image).relative_path_to(&name(parent)),
                format: BackingFormat::Qcow2,
            }),
            compression: Compression::None,
        };
        let writer = ImageWriter::create(sink, options).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn a_chain_is_followed_down_to_the_full_image() {
        let target = MemoryTarget::new();
        write(&target, "w/s1/a", None);
        write(&target, "w/s2/b", Some("w/s1/a"));
        write(&target, "w/s3/c", Some("w/s2/b"));
        let chain = lineage(&target, &name("w/s3/c")).unwrap();
        assert_eq!(chain, ["w/s3/c", "w/s2/b", "w/s1/a"].map(name));
        assert_eq!(lineage(&target, &name("w/s1/a")).unwrap(), [name("w/s1/a")]);
    }

    #[test]
    fn images_that_build_upon_each_other_are_damaged() {
        let target = MemoryTarget::new();
        write(&target, "w/a", Some("w/b"));
        write(&target, "w/b", Some("w/a"));
        let error = lineage(&target, &name("w/a")).unwrap_err();
        assert!(matches!(error, JobError::Damaged { .. }), "{error}");
    }

    #[test]
    fn a_missing_parent_and_one_outside_of_the_target_are_errors() {
        let target = MemoryTarget::new();
        write(&target, "w/b", Some("w/a"));
        let error = lineage(&target, &name("w/b")).unwrap_err();
        assert!(matches!(error, JobError::Target { .. }), "{error}");
        target.put_object(&name("w/a"), &[7; 512]).unwrap();
        let error = lineage(&target, &name("w/b")).unwrap_err();
        assert!(matches!(error, JobError::Chain(_)), "{error}");
    }
}
