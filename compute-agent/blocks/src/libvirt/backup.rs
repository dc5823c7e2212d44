//! Pull-mode backup jobs. While one runs, QEMU keeps what the guest overwrites in scratch files and
//! serves the disks as they were at its beginning.

use std::{
    collections::BTreeSet,
    fmt::Write,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use roxmltree::Document;
use serde::{Deserialize, Serialize};

use super::{Libvirt, path_of, xml::escaped, xml_file};
use crate::{BlocksError, ErrorKind, Since};

/// How often a job that was told to end is looked at.
const POLL: Duration = Duration::from_millis(50);

/// What a job serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupJob {
    /// Where QEMU listens; its user must be able to make the socket.
    pub socket: PathBuf,
    /// Where QEMU keeps what is overwritten; likewise.
    pub scratch_folder: PathBuf,
    /// The bitmap that begins with the job, on the disks that say so.
    pub mark: String,
    /// All disks of the job.
    pub disks: Vec<BackupDisk>,
}

/// A disk of a job; the export has its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupDisk {
    /// `vda`.
    pub device: String,
    /// Record its changes from now on; qcow2 only.
    pub is_marked: bool,
    /// Bitmap of an earlier job whose changes are served.
    pub since: Option<String>,
}

impl BackupDisk {
    /// How the export tells the changes.
    pub fn changes(&self) -> Option<Since> {
        self.since.as_ref().map(|point| Since {
            point: point.clone(),
            context: format!("qemu:dirty-bitmap:backup-{}", self.device),
        })
    }
}

impl BackupJob {
    fn backup_xml(&self, other_disks: &[&str]) -> String {
        let mut xml = format!(
            "<domainbackup mode='pull'><server transport='unix' socket='{}'/><disks>",
            escaped(&self.socket.display().to_string())
        );
        for disk in &self.disks {
            let name = escaped(&disk.device);
            let scratch = self.scratch_folder.join(format!("{}.scratch", disk.device));
            let scratch = escaped(&scratch.display().to_string());
            let mode = match &disk.since {
                Some(since) => {
                    format!("backupmode='incremental' incremental='{}'", escaped(since))
                }
                None => "backupmode='full'".to_owned(),
            };
            // Writing to a string does not fail.
            let _written = write!(
                xml,
                "<disk name='{name}' backup='yes' type='file' {mode} exportname='{name}'>\
                 <scratch file='{scratch}'/></disk>"
            );
        }
        for name in other_disks {
            let _written = write!(xml, "<disk name='{}' backup='no'/>", escaped(name));
        }
        xml + "</disks></domainbackup>"
    }

    fn marked(&self) -> Vec<&str> {
        let marked = self.disks.iter().filter(|disk| disk.is_marked);
        marked.map(|disk| disk.device.as_str()).collect()
    }

    /// Bitmaps of earlier jobs, each with its disks.
    fn earlier(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        let names: BTreeSet<_> = self
            .disks
            .iter()
            .filter_map(|disk| disk.since.as_deref())
            .collect();
        names.into_iter().map(|name| {
            let disks = self.disks.iter();
            let disks = disks.filter(|disk| disk.since.as_deref() == Some(name));
            (name, disks.map(|disk| disk.device.as_str()).collect())
        })
    }
}

impl Libvirt {
    /// Begins the job on a running guest; `other_disks` are all that it has beside those of the job.
    /// All disks are served as they are at this moment, and the mark begins at the same.
    pub fn begin_backup(
        &self,
        guest: &str,
        job: &BackupJob,
        other_disks: &[&str],
    ) -> Result<(), BlocksError> {
        for (name, disks) in job.earlier() {
            self.define_checkpoint(guest, name, &disks)?;
        }
        let begun = self.begin(guest, job, other_disks);
        let mut names: Vec<_> = job.earlier().map(|(name, _)| name).collect();
        names.push(&job.mark);
        let forgotten = names
            .into_iter()
            .map(|name| self.forget_checkpoint(guest, name));
        // All of them, whatever becomes of one.
        let forgotten: Vec<_> = forgotten.collect();
        begun.and_then(|()| forgotten.into_iter().collect())
    }

    fn begin(&self, guest: &str, job: &BackupJob, other_disks: &[&str]) -> Result<(), BlocksError> {
        let backup = xml_file(&job.backup_xml(other_disks))?;
        let marked = job.marked();
        if marked.is_empty() {
            return self
                .virsh("backup-begin", guest, &["--backupxml", &path_of(&backup)])
                .map(drop);
        }
        let unmarked = job.disks.iter().filter(|disk| !disk.is_marked);
        let unmarked = unmarked.map(|disk| disk.device.as_str());
        let unmarked: Vec<_> = unmarked.chain(other_disks.iter().copied()).collect();
        let checkpoint = xml_file(&super::bitmap::checkpoint_xml(
            &job.mark, &marked, &unmarked, None,
        ))?;
        let (backup, checkpoint) = (path_of(&backup), path_of(&checkpoint));
        let arguments = ["--backupxml", &backup, "--checkpointxml", &checkpoint];
        self.virsh("backup-begin", guest, &arguments).map(drop)
    }

    /// The socket of the guest's backup job, whoever began it; none if there is no job.
    pub fn backup_socket(&self, guest: &str) -> Result<Option<PathBuf>, BlocksError> {
        let xml = match self.virsh("backup-dumpxml", guest, &[]) {
            Ok(xml) => xml,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::SnapshotNotFound | ErrorKind::Unavailable
                ) && !self.domain(guest)?.is_running =>
            {
                return Ok(None);
            }
            Err(error) if error.kind() == ErrorKind::SnapshotNotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let socket = socket_of(&xml).map_err(|error| {
            let doing = format!("read libvirt's description of the backup job of {guest}");
            BlocksError::caused(ErrorKind::Protocol, doing, error)
        })?;
        // A job over TCP, or in push mode, is a stranger's too.
        Ok(Some(socket.unwrap_or_default()))
    }

    /// Ends the job that listens there and waits for its end; success if there is none.
    pub fn end_backup(&self, guest: &str, socket: &Path) -> Result<(), BlocksError> {
        let deadline = Instant::now() + self.settings.command_timeout;
        let mut is_told = false;
        while self.backup_socket(guest)?.as_deref() == Some(socket) {
            if !is_told {
                match self.virsh("domjobabort", guest, &[]) {
                    Ok(_) => is_told = true,
                    // It may have ended just now; if not, that is found out.
                    Err(error) if self.backup_socket(guest)?.as_deref() == Some(socket) => {
                        return Err(error);
                    }
                    Err(_) => return Ok(()),
                }
            }
            if Instant::now() > deadline {
                let doing = format!("wait for the end of the backup job of {guest}");
                return Err(BlocksError::new(ErrorKind::Timeout, doing));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

fn socket_of(xml: &str) -> Result<Option<PathBuf>, roxmltree::Error> {
    let document = Document::parse(xml)?;
    let server = document
        .root_element()
        .children()
        .find(|node| node.has_tag_name("server"));
    let socket = server.and_then(|server| server.attribute("socket"));
    Ok(socket.map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> BackupJob {
        let disk = |device: &str, is_marked, since: Option<&str>| BackupDisk {
            device: device.into(),
            is_marked,
            since: since.map(str::to_owned),
        };
        BackupJob {
            socket: "/p/it's/s".into(),
            scratch_folder: "/p".into(),
            mark: "new".into(),
            disks: vec![
                disk("vda", true, Some("old")),
                disk("vdb", true, None),
                disk("vdc", false, None),
            ],
        }
    }

    #[test]
    fn every_disk_of_the_guest_is_named_and_names_are_escaped() {
        let xml = job().backup_xml(&["vdd"]);
        assert_eq!(
            xml,
            "<domainbackup mode='pull'><server transport='unix' socket='/p/it&apos;s/s'/><disks>\
             <disk name='vda' backup='yes' type='file' backupmode='incremental' incremental='old' \
             exportname='vda'><scratch file='/p/vda.scratch'/></disk>\
             <disk name='vdb' backup='yes' type='file' backupmode='full' exportname='vdb'>\
             <scratch file='/p/vdb.scratch'/></disk>\
             <disk name='vdc' backup='yes' type='file' backupmode='full' exportname='vdc'>\
             <scratch file='/p/vdc.scratch'/></disk>\
             <disk name='vdd' backup='no'/></disks></domainbackup>"
        );
        assert_eq!(socket_of(&xml).unwrap(), Some("/p/it's/s".into()));
        let earlier: Vec<_> = job()
            .earlier()
            .map(|(name, disks)| format!("{name} {disks:?}"))
            .collect();
        assert_eq!(earlier, [r#"old ["vda"]"#]);
        assert_eq!(job().marked(), ["vda", "vdb"]);
    }

    #[test]
    fn a_job_without_a_unix_socket_is_nobodys_of_ours() {
        let push = "<domainbackup mode='push'><disks/></domainbackup>";
        assert_eq!(socket_of(push).unwrap(), None);
        let tcp = "<domainbackup mode='pull'><server transport='tcp' name='h'/></domainbackup>";
        assert_eq!(socket_of(tcp).unwrap(), None);
    }
}
