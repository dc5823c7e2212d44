//! `backstay-datamover`: without a subcommand the daemon, which runs in the foreground, logs to
//! standard error and ends on SIGTERM; with one a tool for a shell.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_datamover::command::{self, Command};
use agent_datamover::{Settings, serve};
use anyhow::Context;
use clap::{Parser, Subcommand};
use services_foundation::config::Config;
use services_foundation::{shutdown, telemetry};

const DEFAULT_CONFIG: &str = "/etc/backstay/datamover.conf";

/// Moves disks to and from backup targets: for a cloud as a daemon, for you with a subcommand.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// INI file of the daemon; may be given several times, a later one over an earlier [default:
    /// /etc/backstay/datamover.conf]
    #[arg(long)]
    config_file: Vec<PathBuf>,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of it in a program's life"
)]
enum Task {
    /// Run the daemon of a compute host (also without a subcommand)
    Serve {
        /// As without a subcommand
        #[arg(long)]
        config_file: Vec<PathBuf>,
    },
    #[command(flatten)]
    Command(Command),
}

const AFTER_HELP: &str = "\
Exit status:
  0    done
  1    it was refused or it failed; the reason is on standard error
  2    the command line is wrong
  3    a backup is damaged
  4    what was named is not there: target, name, point, disk
  130  interrupted; a backup goes on when the same command is given again";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Two libraries bring one each; neither may be picked by chance.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("a TLS provider was chosen before");
    }
    if let Some(Task::Command(command)) = &arguments.task {
        return match telemetry::init("warn") {
            Ok(()) => ExitCode::from(command::run(command)),
            Err(_) => ExitCode::FAILURE,
        };
    }
    let mut files = arguments.config_file;
    if let Some(Task::Serve { config_file }) = arguments.task {
        files.extend(config_file);
    }
    if files.is_empty() {
        files.push(PathBuf::from(DEFAULT_CONFIG));
    }
    match daemon(&files) {
        Ok(never) => match never {},
        Err(error) => {
            command::complain(&format!("Error: {error:?}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn daemon(files: &[PathBuf]) -> anyhow::Result<Infallible> {
    let config = Config::load(files).context("cannot start")?;
    telemetry::init(&config.get_or("DEFAULT", "log_level", String::new())?)?;
    let settings = Settings::from_config(&config).context("cannot start")?;
    config.warn_about_unknown(include_str!("../../../packaging/etc/datamover.conf"));
    let stop = shutdown::on_signal().context("cannot listen for signals")?;
    let result = serve(settings, stop).await;
    if let Err(error) = &result {
        tracing::error!("{error:#}");
    }
    // A call that hangs in a dead mount must not keep the program from ending.
    std::process::exit(i32::from(result.is_err()));
}
