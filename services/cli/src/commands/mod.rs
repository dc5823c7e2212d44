//! Every command: one file each, and one table that knows them all.
//!
//! To add one: write the file with its arguments (the doc comment is the purpose that `--help`
//! shows) and its `run`, then a line here.

mod arguments;
mod restore;
mod snapshot;
mod trust;
mod workload;
mod workload_type;

use std::pin::Pin;

use clap::{ArgMatches, Command};

use crate::api::Api;
use crate::error::CliError;

/// What a command does once its arguments are read.
pub(crate) trait Run: clap::Args {
    fn run(self, api: &Api) -> impl Future<Output = Result<(), CliError>>;
}

/// What a command is about; the groups of `workloadmgr --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noun {
    Workload,
    Snapshot,
    Restore,
    WorkloadType,
    Trust,
}

impl Noun {
    pub(crate) const ALL: [Self; 5] = [
        Self::Workload,
        Self::Snapshot,
        Self::Restore,
        Self::WorkloadType,
        Self::Trust,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Workload => "Workloads (servers that are backed up together)",
            Self::Snapshot => "Snapshots (backups of a workload)",
            Self::Restore => "Restores (servers made of a snapshot)",
            Self::WorkloadType => "Workload types",
            Self::Trust => "Trusts (what lets the service work for you later)",
        }
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), CliError>> + 'a>>;

/// A line of the table.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) noun: Noun,
    /// Adds arguments, purpose and examples to a bare command.
    pub(crate) build: fn(Command) -> Command,
    pub(crate) run: for<'a> fn(&'a ArgMatches, &'a Api) -> Running<'a>,
}

const fn entry<C: Run>(noun: Noun, name: &'static str) -> Entry {
    Entry {
        name,
        noun,
        build: C::augment_args,
        run: start::<C>,
    }
}

fn start<'a, C: Run>(matches: &'a ArgMatches, api: &'a Api) -> Running<'a> {
    Box::pin(async move {
        let arguments =
            C::from_arg_matches(matches).map_err(|error| CliError::Usage(error.to_string()))?;
        arguments.run(api).await
    })
}

/// All commands, in the order in which `--help` shows them.
pub(crate) static COMMANDS: &[Entry] = &[
    entry::<workload::list::List>(Noun::Workload, "workload-list"),
    entry::<workload::show::Show>(Noun::Workload, "workload-show"),
    entry::<workload::create::Create>(Noun::Workload, "workload-create"),
    entry::<workload::modify::Modify>(Noun::Workload, "workload-modify"),
    entry::<workload::snapshot::Snapshot>(Noun::Workload, "workload-snapshot"),
    entry::<workload::unlock::Unlock>(Noun::Workload, "workload-unlock"),
    entry::<workload::delete::Delete>(Noun::Workload, "workload-delete"),
    entry::<snapshot::list::List>(Noun::Snapshot, "snapshot-list"),
    entry::<snapshot::show::Show>(Noun::Snapshot, "snapshot-show"),
    entry::<snapshot::oneclick_restore::OneclickRestore>(
        Noun::Snapshot,
        "snapshot-oneclick-restore",
    ),
    entry::<snapshot::cancel::Cancel>(Noun::Snapshot, "snapshot-cancel"),
    entry::<snapshot::verify::Verify>(Noun::Snapshot, "snapshot-verify"),
    entry::<snapshot::delete::Delete>(Noun::Snapshot, "snapshot-delete"),
    entry::<restore::list::List>(Noun::Restore, "restore-list"),
    entry::<restore::show::Show>(Noun::Restore, "restore-show"),
    entry::<restore::cancel::Cancel>(Noun::Restore, "restore-cancel"),
    entry::<restore::delete::Delete>(Noun::Restore, "restore-delete"),
    entry::<workload_type::list::List>(Noun::WorkloadType, "workload-type-list"),
    entry::<workload_type::show::Show>(Noun::WorkloadType, "workload-type-show"),
    entry::<trust::list::List>(Noun::Trust, "trust-list"),
    entry::<trust::show::Show>(Noun::Trust, "trust-show"),
    entry::<trust::create::Create>(Noun::Trust, "trust-create"),
    entry::<trust::delete::Delete>(Noun::Trust, "trust-delete"),
];
