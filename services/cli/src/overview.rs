//! The text of `workloadmgr --help`: commands by noun, exit statuses, where to begin.

use clap::Command;

use crate::commands::{COMMANDS, Noun};

/// Our list of commands replaces clap's, which knows no groups.
pub(crate) const TEMPLATE: &str = "\
{about}

Usage: workloadmgr [OPTIONS] COMMAND [ARGUMENTS]
       workloadmgr help COMMAND{after-help}

Options (before or after the command; those of the cloud may also stand in the environment or in
clouds.yaml; when a cloud is named, the other OS_* variables are not looked at):
{options}
";

const EXIT_STATUS: &str = "\
Exit status:
  0    done (with --wait: done and good)
  1    it was refused or it failed; the reason is on stderr
  2    the command line is wrong
  3    Keystone or the API could not be reached, or did not let us in
  4    --timeout has passed; the job goes on
  130  Ctrl-C while waiting; the job goes on";

const BEGIN: &str = "\
To begin with:
  workloadmgr workload-create --display-name web --instance SERVER_ID --wait
  workloadmgr workload-snapshot web --full --wait
  workloadmgr snapshot-list --workload_id web
  workloadmgr snapshot-oneclick-restore SNAPSHOT_ID --wait";

/// Everything between the usage line and the options.
pub(crate) fn text() -> String {
    let groups: Vec<String> = Noun::ALL.iter().map(|noun| group(*noun)).collect();
    let other = "Other:\n  complete                    Print a completion script for your shell";
    format!("{}{other}\n\n{BEGIN}\n\n{EXIT_STATUS}", groups.concat())
}

fn group(noun: Noun) -> String {
    let lines: String = COMMANDS
        .iter()
        .filter(|entry| entry.noun == noun)
        .map(|entry| {
            let about = (entry.build)(Command::new(entry.name))
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default();
            format!("  {:<26}  {about}\n", entry.name)
        })
        .collect();
    format!("{}:\n{lines}\n", noun.title())
}
