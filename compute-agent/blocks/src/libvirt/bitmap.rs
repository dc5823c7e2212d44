//! Records of changes: persistent dirty bitmaps in qcow2 files, which QEMU keeps up to date while the
//! guest runs. Each is independent of the others.

use std::fmt::Write;

use super::{Libvirt, path_of, xml::escaped, xml_file};
use crate::{BlocksError, ErrorKind};

impl Libvirt {
    /// Why the changes that a bitmap of a running guest's disk records cannot be told; none if they can.
    pub fn is_bitmap_lost(
        &self,
        guest: &str,
        device: &str,
        name: &str,
    ) -> Result<Option<String>, BlocksError> {
        self.forget_checkpoint(guest, name)?;
        let checked = self.redefine(guest, name, &[device], &["--redefine-validate"]);
        self.forget_checkpoint(guest, name)?;
        match checked {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::SnapshotNotFound => Ok(Some(format!(
                "the record of changes of disk {device} was lost"
            ))),
            Err(error) => Err(error),
        }
    }

    /// Removes a bitmap from a running guest's disk; one that is not there is success.
    pub fn remove_bitmap(&self, guest: &str, device: &str, name: &str) -> Result<(), BlocksError> {
        self.define_checkpoint(guest, name, &[device])?;
        match self.virsh("checkpoint-delete", guest, &["--checkpointname", name]) {
            Ok(_) => Ok(()),
            Err(error) => {
                self.forget_checkpoint(guest, name)?;
                match error.kind() {
                    ErrorKind::SnapshotNotFound => Ok(()),
                    _ => Err(error),
                }
            }
        }
    }

    /// Makes libvirt forget a checkpoint; its bitmap stays. One that is not known is success.
    pub fn forget_checkpoint(&self, guest: &str, name: &str) -> Result<(), BlocksError> {
        let arguments = ["--metadata", "--checkpointname", name];
        match self.virsh("checkpoint-delete", guest, &arguments) {
            Err(error) if error.kind() != ErrorKind::SnapshotNotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The names of a guest's checkpoints, whoever made them.
    pub fn checkpoints(&self, guest: &str) -> Result<Vec<String>, BlocksError> {
        let printed = self.virsh("checkpoint-list", guest, &["--name"])?;
        let names = printed.lines().map(str::trim);
        Ok(names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// Tells libvirt of bitmaps of this name; without looking whether they are there.
    pub(super) fn define_checkpoint(
        &self,
        guest: &str,
        name: &str,
        disks: &[&str],
    ) -> Result<(), BlocksError> {
        self.forget_checkpoint(guest, name)?;
        self.redefine(guest, name, disks, &[])
    }

    fn redefine(
        &self,
        guest: &str,
        name: &str,
        disks: &[&str],
        flags: &[&str],
    ) -> Result<(), BlocksError> {
        // Libvirt wants a time of creation and makes nothing of it.
        let file = xml_file(&checkpoint_xml(name, disks, &[], Some(1)))?;
        let path = path_of(&file);
        let mut arguments = vec!["--xmlfile", &path, "--redefine"];
        arguments.extend(flags);
        self.virsh("checkpoint-create", guest, &arguments).map(drop)
    }
}

pub(super) fn checkpoint_xml(
    name: &str,
    marked: &[&str],
    unmarked: &[&str],
    created: Option<u64>,
) -> String {
    let name = escaped(name);
    let mut xml = format!("<domaincheckpoint><name>{name}</name>");
    // Writing to a string does not fail.
    if let Some(created) = created {
        let _written = write!(xml, "<creationTime>{created}</creationTime>");
    }
    xml.push_str("<disks>");
    for disk in marked {
        let disk = escaped(disk);
        let _written = write!(
            xml,
            "<disk name='{disk}' checkpoint='bitmap' bitmap='{name}'/>"
        );
    }
    for disk in unmarked {
        let _written = write!(xml, "<disk name='{}' checkpoint='no'/>", escaped(disk));
    }
    xml + "</disks></domaincheckpoint>"
}
