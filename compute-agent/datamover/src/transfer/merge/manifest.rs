//! What the manifest says of the image that stays.

use std::sync::{Mutex, PoisonError};

use agent_contract::ImageFacts;
use agent_format::manifest::{Manifest, ObjectRecord};
use agent_format::{Digest, MergedDisk, ObjectName};
use agent_target::{ErrorKind, Target};
use services_foundation::error_chain::ErrorChain;

use crate::transfer::error::{JobError, target as failed};
use crate::transfer::run::Place;

const LIMIT_BYTES: u64 = 256 << 20;
/// A snapshot that is a backup, and one that is being deleted.
const NAMES: [&str; 2] = ["manifest.json", "manifest.withdrawn.json"];

/// Takes the facts down in the manifest of the image's snapshot, if there is one. Who asked for the
/// merge may do so as well, from the same facts.
pub(super) fn follow(
    kept: &Place,
    base: Option<&ObjectName>,
    facts: &ImageFacts,
) -> Result<(), JobError> {
    // Disks of one snapshot may be merged at the same time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let merged = MergedDisk {
        image: record(&kept.image, facts.image_size_bytes, &facts.image_blake3)?,
        index: record(&kept.index, facts.index_size_bytes, &facts.index_blake3)?,
        backing: base.cloned(),
        virtual_size_bytes: facts.virtual_size_bytes,
        data_bytes: facts.data_bytes,
        zero_bytes: facts.zero_bytes,
    };
    for name in names(&kept.image) {
        let Some(mut manifest) = read(kept.target.as_ref(), &name)? else {
            continue;
        };
        if !manifest.follow_merge(&merged) {
            continue;
        }
        match manifest.to_vec() {
            Ok(json) => {
                let put = kept.target.put_object(&name, &json);
                put.map_err(failed("write the manifest of a merged image"))?;
            }
            Err(error) => tracing::warn!(%name, "cannot follow a merge: {}", ErrorChain(&error)),
        }
    }
    Ok(())
}

/// Of the snapshot in whose folder the image lies, if it lies in one.
fn names(image: &ObjectName) -> Vec<ObjectName> {
    let mut parts = image.parts();
    let (Some(workload), Some(snapshot), Some(_)) = (parts.next(), parts.next(), parts.next())
    else {
        return Vec::new();
    };
    let names = NAMES.map(|name| ObjectName::new(format!("{workload}/{snapshot}/{name}")));
    names.into_iter().flatten().collect()
}

/// One that cannot be understood is none: it says nothing that a merge could make wrong.
fn read(target: &dyn Target, name: &ObjectName) -> Result<Option<Manifest>, JobError> {
    let json = match target.get_object(name, LIMIT_BYTES) {
        Ok(json) => json,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read the manifest of a merged image")(error)),
    };
    match Manifest::from_slice(&json) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) => {
            tracing::warn!(%name, "cannot follow a merge: {}", ErrorChain(&error));
            Ok(None)
        }
    }
}

fn record(name: &ObjectName, size_bytes: u64, blake3: &str) -> Result<ObjectRecord, JobError> {
    let blake3 = blake3.parse::<Digest>();
    Ok(ObjectRecord {
        name: name.clone(),
        size_bytes,
        blake3: blake3.map_err(|error| JobError::Refused(error.to_string()))?,
    })
}
