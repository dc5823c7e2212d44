//! A MariaDB of the tests' own: started by the first test of a run that wants it, shared by the others,
//! gone with the run. Reached by its socket only; each test makes databases of its own in it.
//!
//! `cargo nextest` runs each test in a process, so the server belongs to nextest and not to the test that
//! started it: a watching shell ends it when its owner is gone, and it dies with the shell.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// A cold start on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);

/// Small and quick; what it keeps need not survive.
const OPTIONS: [&str; 13] = [
    "--no-defaults",
    "--skip-networking",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--max-connections=1000",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-file-per-table=0",
    "--innodb-buffer-pool-size=48M",
    "--innodb-log-file-size=16M",
    "--innodb-lock-wait-timeout=10",
    "--max-allowed-packet=64M",
];

/// `$1` is the owner's process id, `$2` the folder, the rest the server's command.
const WATCH: &str = r#"owner=$1; folder=$2; shift 2
"$@" & server=$!
while [ -d "/proc/$owner" ] && kill -0 "$server" 2>/dev/null; do sleep 1; done
kill -9 "$server" 2>/dev/null; wait "$server" 2>/dev/null
rm -rf "$folder" "$folder.lock""#;

/// The private server of this test run.
#[derive(Clone, Debug)]
pub struct MariaDb {
    socket: PathBuf,
}

impl MariaDb {
    /// Starts the server, or finds the one that another test of this run has started.
    pub fn of_this_run() -> Result<Self> {
        let (owner, run) = owner();
        let folder = std::env::temp_dir().join(format!("backstay-mariadb-{run}"));
        let lock_path = folder.with_extension("lock");
        let lock = File::create(&lock_path).context("make the lock of the private MariaDB")?;
        lock.lock().context("wait for the private MariaDB")?;
        let server = Self {
            socket: folder.join("socket"),
        };
        if !server.answers() {
            server.start(&folder, owner)?;
        }
        Ok(server)
    }

    /// Makes an empty database and gives its URL.
    pub fn database(&self) -> Result<String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        self.query(&format!("CREATE DATABASE {name}"))?;
        let socket = self.socket.display();
        Ok(format!(
            "mysql://root@localhost/{name}?unix_socket={socket}"
        ))
    }

    /// Says SQL as the server's administrator; gives the rows, columns apart by tabs, without a head.
    pub fn query(&self, statement: &str) -> Result<String> {
        let output = Command::new("mariadb")
            .args([
                "--no-defaults",
                "--user=root",
                "--batch",
                "--skip-column-names",
            ])
            .arg(format!("--socket={}", self.socket.display()))
            .args(["--execute", statement])
            .output()
            .context("run the client `mariadb` (package mariadb-client)")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{statement}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn answers(&self) -> bool {
        UnixStream::connect(&self.socket).is_ok()
    }

    fn start(&self, folder: &Path, owner: u32) -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder).context("remove what an earlier MariaDB left")?;
        }
        let data = folder.join("data");
        fs::create_dir_all(&data)?;
        install(folder, &data)?;
        self.spawn(folder, &data, owner)?;
        let started = Instant::now();
        while !self.answers() {
            if started.elapsed() > PATIENCE {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                bail!("the private MariaDB did not start in {PATIENCE:?}: {log}");
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn spawn(&self, folder: &Path, data: &Path, owner: u32) -> Result<()> {
        let log = File::create(folder.join("log"))?;
        Command::new("setsid")
            .args(["sh", "-c", WATCH, "watch"])
            .arg(owner.to_string())
            .arg(folder)
            .args(["setpriv", "--pdeathsig", "KILL"])
            .args(if is_root() { AS_MYSQL } else { &[] })
            .arg("mariadbd")
            .args(OPTIONS)
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", self.socket.display()))
            .arg(format!("--pid-file={}", data.join("pid").display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start `mariadbd` (package mariadb-server)")?;
        Ok(())
    }
}

/// MariaDB refuses to run as root.
const AS_MYSQL: &[&str] = &["--reuid=mysql", "--regid=mysql", "--init-groups"];

/// The process with which the server ends, and a name for the run: nextest's, or this process.
fn owner() -> (u32, String) {
    match std::env::var("NEXTEST_RUN_ID") {
        Ok(run) => (std::os::unix::process::parent_id(), run),
        Err(_) => (std::process::id(), std::process::id().to_string()),
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

fn install(folder: &Path, data: &Path) -> Result<()> {
    let mut command = Command::new("mariadb-install-db");
    command
        .args(["--no-defaults", "--skip-test-db"])
        .arg("--auth-root-authentication-method=normal")
        .arg(format!("--datadir={}", data.display()));
    if is_root() {
        command.arg("--user=mysql");
        chown_to_mysql(folder)?;
    }
    let output = command
        .output()
        .context("run `mariadb-install-db` (package mariadb-server)")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "mariadb-install-db: {said}");
    Ok(())
}

/// The server makes its socket in the folder.
fn chown_to_mysql(folder: &Path) -> Result<()> {
    let status = Command::new("chown")
        .args(["-R", "mysql:mysql"])
        .arg(folder)
        .status()
        .context("give the folder to the user mysql")?;
    ensure!(status.success(), "chown failed");
    Ok(())
}
