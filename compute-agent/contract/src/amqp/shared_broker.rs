//! A RabbitMQ that all tests of a run share: started by the first that wants it, gone with the run.
//! Each test takes an exchange and a host's name of its own in it.
//!
//! `cargo nextest` runs each test in a process, so the broker belongs to nextest and not to the test that
//! started it: a watching shell ends it when its owner is gone.

use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Uid;

use super::private_broker::{
    AS_SERVICE_USER, SERVER, START_LIMIT, configure, free_port, newest_log, set_environment,
    transport_url,
};

/// `$1` is the owner's process id, `$2` the folder, `$3` epmd's port, the rest what programs are started
/// with. The server replaces its own shell where it believes to run under systemd: one process to end.
const WATCH: &str = r#"owner=$1; folder=$2; epmd_port=$3; shift 3
export RUNNING_UNDER_SYSTEMD=true
"$@" epmd -port "$epmd_port" -address 127.0.0.1 & epmd=$!
"$@" "$SERVER" & server=$!
while [ -d "/proc/$owner" ] && kill -0 "$server" 2>/dev/null; do sleep 1; done
kill -9 "$server" "$epmd" 2>/dev/null; wait "$server" 2>/dev/null
rm -rf "$folder" "$folder.lock""#;

/// The broker of this test run.
#[derive(Clone, Copy, Debug)]
pub struct SharedBroker {
    port: u16,
}

impl SharedBroker {
    /// Starts the broker, or finds the one that another test of this run has started.
    pub fn of_this_run() -> io::Result<Self> {
        let (owner, run) = owner();
        let folder = std::env::temp_dir().join(format!("backstay-rabbitmq-{run}"));
        let lock = File::create(folder.with_extension("lock"))?;
        lock.lock()?;
        let known = fs::read_to_string(folder.join("port")).unwrap_or_default();
        if let Ok(port) = known.parse()
            && answers(port)
        {
            return Ok(Self { port });
        }
        let port = start(&folder, owner)?;
        fs::write(folder.join("port"), port.to_string())?;
        Ok(Self { port })
    }

    /// For [`crate::amqp::TransportUrl`].
    pub fn transport_url(&self) -> String {
        transport_url(self.port)
    }
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn start(folder: &Path, owner: u32) -> io::Result<u16> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir(folder)?;
    let [port, epmd, node] = [free_port()?, free_port()?, free_port()?];
    configure(folder, port)?;
    let is_root = Uid::effective().is_root();
    let mut watch = Command::new("setsid");
    watch
        .args(["sh", "-c", WATCH, "watch"])
        .arg(owner.to_string())
        .arg(folder)
        .arg(epmd.to_string())
        .args(["setpriv", "--pdeathsig", "KILL"])
        .args(is_root.then_some(AS_SERVICE_USER).into_iter().flatten())
        .env("SERVER", SERVER)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    set_environment(&mut watch, folder, [port, epmd, node]);
    watch.spawn()?;
    let deadline = Instant::now() + START_LIMIT;
    while !answers(port) {
        if Instant::now() > deadline {
            let log = newest_log(&folder.join("log"));
            return Err(io::Error::other(format!(
                "the shared RabbitMQ did not start: {log}"
            )));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(port)
}

/// The process with which the broker ends, and a name for the run: nextest's, or this process.
fn owner() -> (u32, String) {
    match std::env::var("NEXTEST_RUN_ID") {
        Ok(run) => (std::os::unix::process::parent_id(), run),
        Err(_) => (std::process::id(), std::process::id().to_string()),
    }
}
