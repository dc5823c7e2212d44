//! Guests of libvirt, through `virsh`: their disks, and backup jobs of those that run.
//!
//! | file | |
//! |---|---|
//! | `domain` | what disks a guest has |
//! | `backup` | a pull-mode backup job: all asked disks at one moment, served over NBD |
//! | `bitmap` | the records of changes that jobs leave in qcow2 files |
//! | `words` | reading the complaints of `virsh` |
//!
//! A record of changes (persistent dirty bitmap) is known to libvirt only as long as a checkpoint
//! stands, and a guest with a checkpoint cannot be undefined: Nova's deletion, hard reboot and resize
//! would fail. So no checkpoint outlives a call of this module. It is defined anew, from no more than
//! the bitmap's name, for the moment that it is needed.

mod backup;
mod bitmap;
mod domain;
mod words;
mod xml;

pub use backup::{BackupDisk, BackupJob};
pub use domain::{Domain, DomainDisk, DomainStorage};

use std::io::Write;

use tempfile::NamedTempFile;

use crate::{
    BlocksError, ErrorKind, Settings,
    child::{ChildError, Invocation, output},
};

/// One libvirt. Guests are named by their UUID.
#[derive(Debug, Clone)]
pub struct Libvirt {
    uri: String,
    settings: Settings,
}

impl Libvirt {
    /// Reached as `uri` says, `qemu:///system`.
    pub fn new(uri: impl Into<String>, settings: &Settings) -> Self {
        Self {
            uri: uri.into(),
            settings: settings.clone(),
        }
    }

    /// Runs `virsh VERB --domain GUEST ARGUMENTS`; what it prints.
    fn virsh(&self, verb: &str, guest: &str, arguments: &[&str]) -> Result<String, BlocksError> {
        let doing = || format!("virsh {verb} {guest}");
        let mut invocation = Invocation::new(&self.settings.virsh)
            .pair("--connect", &self.uri)
            .arg("--quiet")
            .arg(verb)
            .pair("--domain", guest);
        for argument in arguments {
            invocation = invocation.arg(*argument);
        }
        let printed = output(invocation, self.settings.command_timeout).map_err(|error| {
            let kind = match &error {
                ChildError::Start { .. } => ErrorKind::Setup,
                ChildError::Failed { stderr, .. } => words::kind_of_words(stderr),
                ChildError::TimedOut { .. } => ErrorKind::Timeout,
                ChildError::TooMuch { .. } => ErrorKind::Protocol,
                ChildError::Wait { .. } => ErrorKind::Io,
            };
            BlocksError::caused(kind, doing(), error)
        })?;
        String::from_utf8(printed)
            .map_err(|error| BlocksError::caused(ErrorKind::Protocol, doing(), error))
    }
}

/// A file for a program that takes no XML otherwise; gone with the value.
fn xml_file(xml: &str) -> Result<NamedTempFile, BlocksError> {
    let written = NamedTempFile::new().and_then(|mut file| {
        file.write_all(xml.as_bytes())?;
        Ok(file)
    });
    written.map_err(|error| {
        BlocksError::caused(ErrorKind::Setup, "write a description for libvirt", error)
    })
}

fn path_of(file: &NamedTempFile) -> String {
    file.path().display().to_string()
}
