//! One of our programs as a child process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::programs::program;
use super::unprivileged::{command, give};
use crate::wait_until;

/// How much of a log a failed test shows.
const SHOWN_LINES: usize = 150;

/// A program with its configuration and its log, running or not. Ends with its value.
pub struct Daemon {
    name: String,
    program: PathBuf,
    config: PathBuf,
    log: PathBuf,
    /// Searched for programs before the usual folders.
    tools: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// Not started yet. `name` is that of its files in the folder.
    pub(super) fn new(folder: &Path, name: &str, program_name: &str, config: &str) -> Self {
        let daemon = Self {
            name: name.to_owned(),
            program: program(program_name),
            config: folder.join(format!("{name}.conf")),
            log: folder.join(format!("{name}.log")),
            tools: folder.join("bin"),
            child: None,
        };
        daemon.configure(config);
        daemon
    }

    /// Replaces its configuration, for its next start.
    pub(super) fn configure(&self, text: &str) {
        fs::write(&self.config, text).unwrap();
        give(&self.config);
    }

    /// Starts it; its log goes on.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.unwrap();
        let usual = std::env::var("PATH").unwrap();
        let mut command = command(&self.program);
        command
            .arg("--config-file")
            .arg(&self.config)
            .env("PATH", format!("{}:{usual}", self.tools.display()))
            .env("TMPDIR", "/tmp")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops it in the middle of whatever it is doing, until [`go_on`](Self::go_on).
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on after [`pause`](Self::pause).
    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().unwrap().id();
        kill(Pid::from_raw(i32::try_from(id).unwrap()), signal).unwrap();
    }

    /// Everything it has said since its first start.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said this at least so often since its first start.
    pub async fn says(&self, text: &str, times: usize) {
        let what = format!("{} to say {text:?}", self.name);
        wait_until(&what, || async {
            self.log().matches(text).count() >= times
        })
        .await;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended = child.kill().and_then(|()| child.wait());
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let shown = lines.len().saturating_sub(SHOWN_LINES);
            eprintln!("--- log of {}", self.name);
            lines[shown..].iter().for_each(|line| eprintln!("{line}"));
        }
    }
}
