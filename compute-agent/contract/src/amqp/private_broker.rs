//! A RabbitMQ of a test's own: in a temporary folder, on free ports of the loopback, gone with its
//! value. Needs Debian's package `rabbitmq-server`; no service of it has to run.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, Uid, User};
use tempfile::TempDir;

pub(super) const START_LIMIT: Duration = Duration::from_secs(60);
const PASSWORD: &str = "broker-secret";
pub(super) const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A running broker.
pub struct PrivateBroker {
    folder: TempDir,
    port: u16,
    epmd_port: u16,
    dist_port: u16,
    epmd: Child,
    server: Option<Child>,
}

impl PrivateBroker {
    /// Starts a broker and waits until it listens.
    pub fn start() -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("backstay-rabbitmq-")
            .tempdir()?;
        let (port, epmd_port, dist_port) = (free_port()?, free_port()?, free_port()?);
        configure(folder.path(), port)?;
        let mut epmd = as_service_user("epmd");
        epmd.args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"]);
        let epmd = spawn(&mut epmd)?;
        let mut broker = Self {
            folder,
            port,
            epmd_port,
            dist_port,
            epmd,
            server: None,
        };
        broker.start_again()?;
        Ok(broker)
    }

    /// Starts it after [`PrivateBroker::kill`], with the same port and the same data.
    pub fn start_again(&mut self) -> io::Result<()> {
        let home = self.folder.path();
        let mut server = as_service_user(SERVER);
        set_environment(
            &mut server,
            home,
            [self.port, self.epmd_port, self.dist_port],
        );
        self.server = Some(spawn(&mut server)?);
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self
                .server
                .as_mut()
                .map(Child::try_wait)
                .transpose()?
                .flatten();
            if ended.is_some() || Instant::now() > deadline {
                let log = newest_log(&home.join("log"));
                return Err(io::Error::other(format!("RabbitMQ did not start: {log}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Ends it with SIGKILL, as a failing controller would.
    pub fn kill(&mut self) -> io::Result<()> {
        self.server.take().map_or(Ok(()), kill_group)
    }

    /// For [`crate::amqp::TransportUrl`], and for oslo.messaging.
    pub fn transport_url(&self) -> String {
        transport_url(self.port)
    }

    /// What must stand in no log.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }
}

impl Drop for PrivateBroker {
    fn drop(&mut self) {
        // A test that failed must still leave no process behind; nobody is there to tell of more.
        let _server = self.kill();
        let _epmd = self.epmd.kill().and_then(|()| self.epmd.wait());
    }
}

pub(super) fn transport_url(port: u16) -> String {
    format!("rabbit://backstay:{PASSWORD}@127.0.0.1:{port}/")
}

/// Writes a broker's configuration into its folder.
pub(super) fn configure(folder: &Path, port: u16) -> io::Result<()> {
    let config = format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\ndefault_user = backstay\n\
         default_pass = {PASSWORD}\nvm_memory_high_watermark.absolute = 256MB\n\
         disk_free_limit.absolute = 10MB\n"
    );
    std::fs::write(folder.join("rabbitmq.conf"), config)?;
    std::fs::write(folder.join("enabled_plugins"), "[].\n")?;
    give_to_service_user(folder)
}

/// The ports are those of clients, of epmd, and of the node.
pub(super) fn set_environment(server: &mut Command, home: &Path, [port, epmd, node]: [u16; 3]) {
    server
        .env("HOME", home)
        .env("RABBITMQ_NODENAME", format!("test{port}@localhost"))
        .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq"))
        .env("RABBITMQ_MNESIA_BASE", home.join("data"))
        .env("RABBITMQ_LOG_BASE", home.join("log"))
        .env(
            "RABBITMQ_ENABLED_PLUGINS_FILE",
            home.join("enabled_plugins"),
        )
        .env("RABBITMQ_DIST_PORT", node.to_string())
        .env("ERL_EPMD_PORT", epmd.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
        );
}

fn kill_group(mut child: Child) -> io::Result<()> {
    let group = i32::try_from(child.id()).map_err(io::Error::other)?;
    killpg(Pid::from_raw(group), Signal::SIGKILL).map_err(io::Error::from)?;
    child.wait().map(|_| ())
}

pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.process_group(0).spawn()
}

/// RabbitMQ does not like to be root.
pub(super) const AS_SERVICE_USER: [&str; 3] =
    ["--reuid=rabbitmq", "--regid=rabbitmq", "--clear-groups"];

fn as_service_user(program: &str) -> Command {
    if !Uid::effective().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(AS_SERVICE_USER).arg(program);
    command
}

fn give_to_service_user(folder: &Path) -> io::Result<()> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let user = User::from_name("rabbitmq")?
        .ok_or_else(|| io::Error::other("there is no user rabbitmq"))?;
    let give = |path: &Path| chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()));
    give(folder)?;
    std::fs::read_dir(folder)?.try_for_each(|entry| give(&entry?.path()))
}

pub(super) fn newest_log(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    texts.collect::<Vec<_>>().join("\n")
}
