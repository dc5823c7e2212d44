//! From arguments to a finished command: parse, log in, run, exit status.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::api::Api;
use crate::commands::{self, Entry};
use crate::error::CliError;
use crate::output::write_stderr;
use crate::{overview, report, session};

/// Name of the command that prints a completion script.
const COMPLETE: &str = "complete";

/// Runs one command line and says with which status the program shall end.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => return refuse(&error, &arguments),
    };
    match dispatch(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            report::report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The whole grammar: options that choose the cloud, the commands of the table, `complete`.
pub(crate) fn command() -> Command {
    let globals = globals();
    let mut root = Command::new("workloadmgr")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Backs up servers of an OpenStack project and restores them")
        .help_template(overview::TEMPLATE)
        .after_help(overview::text())
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(false)
        .args(globals.iter().cloned());
    for entry in commands::COMMANDS {
        root = root.subcommand(subcommand(entry, &globals));
    }
    root.subcommand(complete_command(&globals))
}

fn subcommand(entry: &Entry, globals: &[Arg]) -> Command {
    let command = (entry.build)(Command::new(entry.name));
    let examples = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    command
        .after_help(format!(
            "{examples}\n\nOptions that choose the cloud and log in: workloadmgr --help"
        ))
        .args(globals.iter().map(|arg| arg.clone().hide(true)))
}

/// Accepted before and after the name of the command; shown by `workloadmgr --help` only.
fn globals() -> Vec<Arg> {
    let mut globals = session::cloud_arguments();
    globals.push(
        Arg::new("debug")
            .long("debug")
            .action(ArgAction::SetTrue)
            .global(true)
            .help("Show each request and answer on stderr, without token and password"),
    );
    globals
}

fn complete_command(globals: &[Arg]) -> Command {
    Command::new(COMPLETE)
        .about("Print a completion script for your shell")
        .arg(
            Arg::new("shell")
                .required(true)
                .value_parser(clap::value_parser!(clap_complete::Shell))
                .help("Shell that shall complete our commands and options"),
        )
        .args(globals.iter().map(|arg| arg.clone().hide(true)))
        .after_help("Example:\n  source <(workloadmgr complete bash)")
}

fn dispatch(matches: &ArgMatches) -> Result<(), CliError> {
    let Some((name, arguments)) = matches.subcommand() else {
        return Err(CliError::Usage(
            "which command? See workloadmgr --help".into(),
        ));
    };
    if name == COMPLETE {
        return complete(arguments);
    }
    let Some(entry) = commands::COMMANDS.iter().find(|entry| entry.name == name) else {
        return Err(CliError::Usage(format!("there is no command {name}")));
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    runtime.block_on(async {
        let api = Api::connect(arguments).await?;
        (entry.run)(arguments, &api).await
    })
}

fn complete(arguments: &ArgMatches) -> Result<(), CliError> {
    if let Some(shell) = arguments.get_one::<clap_complete::Shell>("shell") {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut command(), "workloadmgr", &mut script);
        crate::output::write_bytes(&script)?;
    }
    Ok(())
}

/// Help and version go to stdout; what clap does not understand is told in argparse's words.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        // Quiet when the reader has gone.
        drop(error.print());
        return ExitCode::SUCCESS;
    }
    let text = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.render().to_string()
    } else {
        usage_message(&error.render().to_string(), command_name(arguments))
    };
    write_stderr(&text);
    ExitCode::from(2)
}

/// Which of our commands stands on the command line.
fn command_name(arguments: &[OsString]) -> Option<&'static str> {
    arguments
        .iter()
        .find_map(|argument| {
            commands::COMMANDS
                .iter()
                .find(|entry| argument == entry.name)
        })
        .map(|entry| entry.name)
}

fn usage_message(rendered: &str, command: Option<&str>) -> String {
    let text = rendered.strip_prefix("error: ").unwrap_or(rendered);
    match command {
        Some(name) => format!("workloadmgr {name}: error: {text}"),
        None => format!("workloadmgr: error: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_command_teaches_purpose_and_example() {
        for sub in command().get_subcommands() {
            let name = sub.get_name();
            assert!(sub.get_about().is_some(), "{name} has no purpose");
            let after = sub
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(after.contains("Example"), "{name} has no example");
            for arg in sub.get_arguments() {
                assert!(
                    arg.get_help().is_some(),
                    "{name} {} has no help",
                    arg.get_id()
                );
            }
        }
    }

    #[test]
    fn usage_errors_name_the_command_as_argparse_does() {
        let message = usage_message("error: too few\n", Some("workload-show"));
        assert_eq!(message, "workloadmgr workload-show: error: too few\n");
    }

    #[test]
    fn cloud_options_stand_before_or_after_the_command() {
        for line in [
            ["workloadmgr", "--os-cloud", "a", "workload-list"],
            ["workloadmgr", "workload-list", "--os-cloud", "a"],
        ] {
            let matches = command().try_get_matches_from(line).unwrap();
            let (_, sub) = matches.subcommand().unwrap();
            assert_eq!(
                sub.get_one::<String>("os-cloud").map(String::as_str),
                Some("a")
            );
        }
    }
}
