//! Calls of the `rbd` program.

use serde::de::DeserializeOwned;

use super::{RbdImage, json, words::kind_of_words};
use crate::{
    BlocksError, ErrorKind, Settings,
    child::{ChildError, Invocation, output},
};

impl RbdImage {
    /// A subcommand with the way to the cluster. Names are values of options, never parsed as specs.
    pub(super) fn invocation(&self, subcommand: &[&str], settings: &Settings) -> Invocation {
        self.addressed(subcommand, settings)
            .pair("--format", "json")
    }

    /// As [`RbdImage::invocation`], for what prints nothing.
    pub(super) fn addressed(&self, subcommand: &[&str], settings: &Settings) -> Invocation {
        let mut invocation = Invocation::new(&settings.rbd);
        for word in subcommand {
            invocation = invocation.arg(*word);
        }
        if let Some(conf) = &self.conf {
            invocation = invocation.pair("--conf", conf.display().to_string());
        }
        if let Some(user) = &self.user {
            invocation = invocation.pair("--id", user);
        }
        if !self.monitors.is_empty() {
            let monitors = self
                .monitors
                .iter()
                .map(|m| format!("{}:{}", bracketed(&m.host), m.port));
            invocation = invocation.pair("--mon-host", monitors.collect::<Vec<_>>().join(","));
        }
        invocation
            .arg(format!("--pool={}", self.pool))
            .arg(format!("--image={}", self.image))
    }

    pub(super) fn snapshot_argument(&self) -> Option<String> {
        self.snapshot
            .as_ref()
            .map(|snapshot| format!("--snap={snapshot}"))
    }

    /// Size and layout of the image at its snapshot.
    pub(super) fn info(&self, settings: &Settings) -> Result<json::Info, BlocksError> {
        let mut invocation = self.invocation(&["info"], settings);
        invocation.arguments.extend(self.snapshot_argument());
        self.ask(invocation, settings)
    }

    /// The size in bytes at the snapshot, or now.
    pub fn size_bytes(&self, settings: &Settings) -> Result<u64, BlocksError> {
        Ok(self.info(settings)?.size)
    }

    /// Whether the image has a snapshot of this name.
    pub fn has_snapshot(&self, name: &str, settings: &Settings) -> Result<bool, BlocksError> {
        Ok(self.snapshot_id(name, settings)?.is_some())
    }

    /// The number of the snapshot of this name: another one when it is made anew under its old name.
    pub fn snapshot_id(&self, name: &str, settings: &Settings) -> Result<Option<u64>, BlocksError> {
        let invocation = self.invocation(&["snap", "ls"], settings);
        let snapshots: Vec<json::Snapshot> = self.ask(invocation, settings)?;
        let mut snapshots = snapshots.into_iter();
        let found = snapshots.find(|snapshot| snapshot.name == name);
        Ok(found.map(|snapshot| snapshot.id))
    }

    fn ask<T: DeserializeOwned>(
        &self,
        invocation: Invocation,
        settings: &Settings,
    ) -> Result<T, BlocksError> {
        let doing = format!("ask rbd about {self}");
        let printed = output(invocation, settings.command_timeout)
            .map_err(|error| told(error, doing.clone()))?;
        serde_json::from_slice(&printed)
            .map_err(|error| BlocksError::caused(ErrorKind::Protocol, doing, error))
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// A child's failure with the kind that its words mean.
pub(super) fn told(error: ChildError, doing: String) -> BlocksError {
    let kind = match &error {
        ChildError::Start { .. } => ErrorKind::Setup,
        ChildError::Failed { stderr, .. } => kind_of_words(stderr),
        ChildError::TimedOut { .. } => ErrorKind::Timeout,
        ChildError::TooMuch { .. } => ErrorKind::Protocol,
        ChildError::Wait { .. } => ErrorKind::Io,
    };
    BlocksError::caused(kind, doing, error)
}
