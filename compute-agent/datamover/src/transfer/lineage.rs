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
    let mut chain = vec![newest.clone()];
    let mut image = newest.clone();
    while let Some(parent) = parent_of(target, &image)? {
        if chain.contains(&parent) {
            let what = "it builds upon itself";
            return Err(JobError::Damaged {
                image: parent.to_string(),
                offset: 0,
                what,
            });
        }
        chain.push(parent.clone());
        image = parent;
    }
    Ok(chain)
}

/// The image that this one names as its backing file; none for a full one.
fn parent_of(target: &dyn Target, image: &ObjectName) -> Result<Option<ObjectName>, JobError> {
    let data = target
        .open_image(image)
        .map_err(failed("open an image of the chain"))?;
    let header = Header::read(&data).map_err(|source| {
        JobError::Chain(ReadError::Header {
            image: image.to_string(),
            source,
        })
    })?;
    let Some(name) = header.backing_name else {
        return Ok(None);
    };
    match image.resolve(&name) {
        Ok(parent) => Ok(Some(parent)),
        Err(error) => Err(JobError::Refused(format!("image {image}: {error}"))),
    }
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
