//! From which earlier state of the disk the changes may be taken: the one that the newest backup shows,
//! and no other of the same name. A wrong one would make a backup of a disk that never was.

use super::super::catalogue::Point;
use crate::command::arguments::Common;
use crate::command::error::CommandError;
use crate::command::place::DiskPlace;

/// The snapshot that the newest backup shows, if the storage still has that very one.
pub(super) fn known(
    common: &Common,
    place: &DiskPlace,
    parent: &Point,
) -> Result<Option<String>, CommandError> {
    let earlier = parent
        .source
        .as_ref()
        .and_then(|source| source.parse().ok());
    let Some(since) = earlier.and_then(|earlier| snapshot_before(place, &earlier)) else {
        return Ok(None);
    };
    Ok(is_shown_by(common, place, &since, parent)?.then_some(since))
}

/// Refuses an RBD snapshot that the newest backup does not show. Of other disks nothing can be told.
pub(super) fn check(
    common: &Common,
    place: &DiskPlace,
    since: &str,
    parent: Option<&Point>,
) -> Result<(), CommandError> {
    let (DiskPlace::Rbd { .. }, Some(parent)) = (place, parent) else {
        return Ok(());
    };
    // One that was made anew must not pass for the old one; of a gone one the changes cannot be told.
    if parent.source_identity.is_none() || is_shown_by(common, place, since, parent)? {
        return Ok(());
    }
    let source = parent.source.as_deref().unwrap_or("another disk");
    let label = parent.label();
    Err(CommandError::Refused(format!(
        "{since:?} is not what {label} was made of ({source}, as it was then): use --incremental"
    )))
}

/// Another snapshot of the same image.
fn snapshot_before(place: &DiskPlace, earlier: &DiskPlace) -> Option<String> {
    match (place, earlier) {
        (
            DiskPlace::Rbd {
                pool,
                image,
                snapshot: Some(now),
            },
            DiskPlace::Rbd {
                pool: earlier_pool,
                image: earlier_image,
                snapshot: Some(since),
            },
        ) if pool == earlier_pool && image == earlier_image && now != since => Some(since.clone()),
        _ => None,
    }
}

fn is_shown_by(
    common: &Common,
    place: &DiskPlace,
    since: &str,
    parent: &Point,
) -> Result<bool, CommandError> {
    let DiskPlace::Rbd { pool, image, .. } = place else {
        return Ok(false);
    };
    let earlier = DiskPlace::Rbd {
        pool: pool.clone(),
        image: image.clone(),
        snapshot: Some(since.to_owned()),
    };
    let identity = earlier.identity(common)?;
    Ok(identity.is_some() && identity == parent.source_identity)
}

#[cfg(test)]
mod tests {
    use super::snapshot_before;

    #[test]
    fn only_another_snapshot_of_the_same_image_can_tell_changes() {
        let before = |now: &str, earlier: &str| {
            snapshot_before(&now.parse().unwrap(), &earlier.parse().unwrap())
        };
        assert_eq!(before("rbd:p/i@b", "rbd:p/i@a"), Some("a".to_owned()));
        for (now, earlier) in [
            ("rbd:p/i@a", "rbd:p/i@a"),
            ("rbd:p/i@b", "rbd:p/j@a"),
            ("rbd:p/i@b", "rbd:q/i@a"),
            ("rbd:p/i@b", "rbd:p/i"),
            ("rbd:p/i", "rbd:p/i@a"),
            ("/dev/sda", "rbd:p/i@a"),
        ] {
            assert_eq!(before(now, earlier), None, "{now} {earlier}");
        }
    }
}
