//! Compares the snapshot's JSON files with what its manifest says of them.

use async_trait::async_trait;

use super::plan_verification::Damage;
use super::snapshot_id;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// A file that is gone or another is damage.
#[derive(Debug)]
pub(super) struct CheckFiles;

#[async_trait]
impl Step for CheckFiles {
    const NAME: &'static str = "check_files";
    type Output = Vec<Damage>;

    async fn run(&self, cx: &StepContext) -> Result<Vec<Damage>, StepFailure> {
        let id = snapshot_id(cx)?;
        let workload_id = cx.claim().request.workload_id();
        let manifest = match target_files::read_manifest(cx, workload_id, id).await {
            Ok(manifest) => manifest,
            // The plan has it among the damage.
            Err(failure) if failure.is_missing_object || failure.is_damage => {
                return Ok(Vec::new());
            }
            Err(failure) => return Err(failure),
        };
        let mut damage = Vec::new();
        for object in &manifest.objects {
            let name = object.name.clone();
            let read = target_files::read_recorded::<serde_json::Value>(cx, &manifest, name);
            match read.await {
                Ok(_) => {}
                Err(failure) if failure.is_missing_object || failure.is_damage => {
                    damage.push(Damage {
                        snapshot_id: id,
                        what: format!("{}: {}", object.name, failure.tenant_message),
                    });
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(damage)
    }
}
