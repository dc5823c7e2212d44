use std::fs;
use std::io;

use agent_blocks::{BlocksError, ErrorKind};
use agent_contract::{Refusal, RefusalKind};
use chrono::Utc;

use super::Points;
use super::entry::{End, Entry, JobPart, Phase};
use super::take::marks;
use crate::refused::{by_journal, by_storage};

impl Points {
    /// Ends a point; what was begun before goes on as it was begun.
    pub(super) fn end_entry(
        &self,
        entry: &mut Entry,
        keep_marks: bool,
        why: &str,
    ) -> Result<(), Refusal> {
        let end = match &entry.phase {
            Phase::New | Phase::Ended { .. } => return Ok(()),
            Phase::Ending { end } => end.clone(),
            Phase::Taken { disks } => End {
                kept: keep_marks.then(|| marks(disks)),
                why: why.to_owned(),
                is_forgotten: false,
            },
            Phase::Taking => End {
                kept: None,
                why: why.to_owned(),
                is_forgotten: true,
            },
        };
        entry.phase = Phase::Ending { end: end.clone() };
        self.save(entry)?;
        self.finish(entry, &end)
    }

    /// Removes all parts; each may be gone already.
    pub(super) fn finish(&self, entry: &mut Entry, end: &End) -> Result<(), Refusal> {
        let servers = &self.0.servers;
        for part in &entry.parts.snapshots {
            let snapshot = servers
                .rbd(&part.pool, &part.image)
                .at(part.snapshot.as_str());
            let removed = snapshot.remove_snapshot(&servers.blocks);
            removed.map_err(|error| by_storage(&error))?;
        }
        if let Some(part) = &entry.parts.job {
            self.end_job(&entry.guest(), part)?;
        }
        if entry.parts.job.is_some() || end.kept.is_some() {
            self.settle_marks(&entry.guest(), end)?;
        }
        tracing::info!(point = %entry.id, "has ended: {}", end.why);
        if end.is_forgotten {
            let removed = self.0.journal.remove(entry.id.0);
            removed.map_err(|error| by_journal(&error))?;
            entry.phase = Phase::New;
            return Ok(());
        }
        entry.phase = Phase::Ended {
            why: end.why.clone(),
            at: Utc::now(),
        };
        self.save(entry)
    }

    fn end_job(&self, guest: &str, part: &JobPart) -> Result<(), Refusal> {
        let ended = self.end_job_of_guest(guest, part).or_else(gone);
        ended.map_err(|error| by_storage(&error))?;
        match fs::remove_dir_all(&part.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let folder = part.folder.display();
                let message = format!("cannot remove {folder}: {error}");
                Err(Refusal::new(RefusalKind::Internal, message))
            }
            _ => Ok(()),
        }
    }

    fn end_job_of_guest(&self, guest: &str, part: &JobPart) -> Result<(), BlocksError> {
        let libvirt = &self.0.servers.libvirt;
        libvirt.end_backup(guest, &part.job.socket)?;
        let since = part.job.disks.iter().filter_map(|d| d.since.as_deref());
        for name in since.chain([part.job.mark.as_str()]) {
            libvirt.forget_checkpoint(guest, name)?;
        }
        Ok(())
    }

    fn settle_marks(&self, guest: &str, end: &End) -> Result<(), Refusal> {
        if let Some(kept) = &end.kept {
            self.ledger_change(guest, |ledger| ledger.keep(kept))?;
        }
        // The backups stand whether or not this works; the next point tries again.
        if let Err(refusal) = self.sweep(guest) {
            tracing::warn!(server = guest, "old records of changes stay: {refusal}");
        }
        Ok(())
    }
}

/// With the guest its job and its files are gone.
fn gone(error: BlocksError) -> Result<(), BlocksError> {
    match error.kind() {
        ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}
