//! Notes what was found, and lets go of the workload.

use std::collections::BTreeMap;

use async_trait::async_trait;
use services_db::Verification;
use services_types::SnapshotId;

use super::check_files::CheckFiles;
use super::plan_verification::{Damage, PlanVerification};
use super::snapshot_id;
use super::verify_images::{Verified, VerifyImages};
use crate::runner::{Step, StepContext, StepFailure};

/// So many findings are named for a snapshot; the rest is a number.
const MOST_NAMED: usize = 20;

/// One transaction.
#[derive(Debug)]
pub(super) struct Publish;

#[async_trait]
impl Step for Publish {
    const NAME: &'static str = "publish";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let plan = cx.output_of::<PlanVerification>()?;
        let verified = cx.output_of::<VerifyImages>()?;
        let mut damage = plan.damage.clone();
        damage.extend(cx.output_of::<CheckFiles>()?);
        damage.extend(verified.damage.clone());
        let found = verification(snapshot_id(cx)?, plan.images.len(), &verified, &damage);
        Ok(cx.db().snapshot_verified(cx.claim(), found).await?)
    }
}

fn verification(
    id: SnapshotId,
    images: usize,
    verified: &Verified,
    damage: &[Damage],
) -> Verification {
    let mut by_snapshot: BTreeMap<SnapshotId, Vec<&str>> = BTreeMap::new();
    for one in damage {
        by_snapshot
            .entry(one.snapshot_id)
            .or_default()
            .push(&one.what);
    }
    by_snapshot.remove(&id);
    let all: Vec<_> = damage.iter().map(|one| one.what.as_str()).collect();
    Verification {
        message: match damage.len() {
            0 => format!(
                "Verified: {images} images, {} MiB, nothing is damaged",
                verified.bytes >> 20
            ),
            count => format!("Verified: {count} damages were found"),
        },
        damage: (!all.is_empty()).then(|| in_words(&all)),
        damaged_parents: by_snapshot
            .into_iter()
            .map(|(id, found)| (id, in_words(&found)))
            .collect(),
    }
}

fn in_words(found: &[&str]) -> String {
    let mut words: Vec<_> = found
        .iter()
        .take(MOST_NAMED)
        .map(|it| (*it).to_owned())
        .collect();
    if let Some(rest) = found.len().checked_sub(MOST_NAMED).filter(|rest| *rest > 0) {
        words.push(format!("and {rest} more"));
    }
    words.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_of_the_snapshot_and_of_those_whose_images_are_damaged() {
        let (id, parent) = (SnapshotId::random(), SnapshotId::random());
        let damage = [
            Damage {
                snapshot_id: parent,
                what: "a".to_owned(),
            },
            Damage {
                snapshot_id: id,
                what: "b".to_owned(),
            },
        ];
        let found = verification(id, 2, &Verified::default(), &damage);
        assert_eq!(found.damage.as_deref(), Some("a\nb"));
        assert_eq!(found.damaged_parents, [(parent, "a".to_owned())]);
        let whole = verification(id, 2, &Verified::default(), &[]);
        assert_eq!(whole.damage, None);
        assert!(
            whole.message.contains("nothing is damaged"),
            "{}",
            whole.message
        );
    }

    #[test]
    fn of_very_many_findings_the_first_are_named() {
        let found = vec!["x"; 50];
        let words = in_words(&found);
        assert!(words.ends_with("\nand 30 more"), "{words}");
        assert_eq!(words.lines().count(), MOST_NAMED + 1);
    }
}
