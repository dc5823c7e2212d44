//! `qemu-nbd` as a child of ours, serving one image on a unix socket that only we can reach.

mod image;

use std::{
    io::Read,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub use image::{FileFormat, Image, Layer};

use crate::{
    BlocksError, ErrorKind, Settings,
    child::{ChildError, Invocation, Running},
    rbd::kind_of_words,
};

/// How often the socket is tried until it is served.
const POLL: Duration = Duration::from_millis(10);

/// `sun_path` of a unix address, without its final zero.
const LONGEST_SOCKET_PATH: usize = 107;

/// Clients at a time: readers and sinks times their connections stay far below it.
const CLIENTS: u32 = 64;

/// What the server lets its clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read; the image is opened read-only, so that an RBD image's lock is left alone.
    ReadOnly,
    /// Read and write; discards reach the storage.
    ReadWrite,
}

/// A server that ends when this is dropped, or with us.
#[derive(Debug)]
pub struct QemuNbd {
    // Fields drop in this order: the server ends before its directory goes.
    running: Running,
    directory: TempDir,
}

impl QemuNbd {
    /// Starts a server and waits until it serves.
    pub fn start(image: &Image, access: Access, settings: &Settings) -> Result<Self, BlocksError> {
        Self::start_with(image, access, &[], settings)
    }

    /// As [`QemuNbd::start`], read-only; also tells which layer of a chain holds what, as the context
    /// `qemu:allocation-depth`.
    pub fn start_with_depth(image: &Image, settings: &Settings) -> Result<Self, BlocksError> {
        Self::start_with(image, Access::ReadOnly, &["-A"], settings)
    }

    /// As [`QemuNbd::start`]; also offers a persistent bitmap of a qcow2 file as the context
    /// `qemu:dirty-bitmap:NAME`.
    pub fn start_with_bitmap(
        image: &Image,
        access: Access,
        bitmap: Option<&str>,
        settings: &Settings,
    ) -> Result<Self, BlocksError> {
        match bitmap {
            Some(bitmap) => Self::start_with(image, access, &["-B", bitmap], settings),
            None => Self::start(image, access, settings),
        }
    }

    fn start_with(
        image: &Image,
        access: Access,
        more: &[&str],
        settings: &Settings,
    ) -> Result<Self, BlocksError> {
        let doing = format!("serve {image} with qemu-nbd");
        let directory = private_directory(&settings.socket_dir, &doing)?;
        let invocation = invocation(image, access, more, settings, &socket_in(&directory));
        let (running, _stdout) = Running::start(invocation, settings.stop_timeout)
            .map_err(|error| BlocksError::caused(ErrorKind::Setup, doing.clone(), error))?;
        let mut server = Self { running, directory };
        server.wait_until_it_serves(settings, &doing)?;
        Ok(server)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.directory)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// What it complained about so far.
    pub fn stderr(&self) -> String {
        self.running.stderr()
    }

    fn wait_until_it_serves(
        &mut self,
        settings: &Settings,
        doing: &str,
    ) -> Result<(), BlocksError> {
        let limit = settings.start_timeout;
        let deadline = Instant::now() + limit;
        let program = settings.qemu_nbd.clone();
        let wrong = |kind, error| BlocksError::caused(kind, doing, error);
        loop {
            if greets(&self.socket(), deadline) {
                return Ok(());
            }
            let ended = self
                .running
                .poll()
                .map_err(|error| wrong(ErrorKind::Io, error))?;
            let stderr = self.running.stderr();
            if let Some(status) = ended {
                let kind = kind_of_words(&stderr);
                return Err(wrong(
                    kind,
                    ChildError::Failed {
                        program,
                        status,
                        stderr,
                    },
                ));
            }
            if Instant::now() >= deadline {
                // While it opens an image it does not listen to SIGTERM.
                self.running.has_nothing_to_lose();
                let error = ChildError::TimedOut {
                    program,
                    limit,
                    stderr,
                };
                return Err(wrong(ErrorKind::Timeout, error));
            }
            thread::sleep(POLL);
        }
    }
}

/// Whether the server says the first word. Being connected proves nothing: it listens before it has
/// opened the image.
fn greets(socket: &Path, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    let greeting = UnixStream::connect(socket).and_then(|mut stream| {
        stream.set_read_timeout(Some(left.max(POLL)))?;
        stream.read_exact(&mut [0; 8])
    });
    greeting.is_ok()
}

fn socket_in(directory: &TempDir) -> PathBuf {
    directory.path().join("s")
}

fn private_directory(parent: &Path, doing: &str) -> Result<TempDir, BlocksError> {
    let failed = |error| BlocksError::caused(ErrorKind::Setup, doing, error);
    let directory = tempfile::Builder::new()
        .prefix("nbd")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(failed)?;
    let length = socket_in(&directory).as_os_str().len();
    if length > LONGEST_SOCKET_PATH {
        let doing = format!("{doing}: the socket's path would have {length} bytes, above 107");
        return Err(BlocksError::new(ErrorKind::Setup, doing));
    }
    Ok(directory)
}

fn invocation(
    image: &Image,
    access: Access,
    more: &[&str],
    settings: &Settings,
    socket: &Path,
) -> Invocation {
    let mut invocation = Invocation::new(&settings.qemu_nbd)
        .arg("-t")
        .pair("-e", CLIENTS.to_string())
        .pair("-k", socket.display().to_string())
        .arg("--detect-zeroes=off")
        .arg(format!("--cache={}", image.cache_mode()));
    invocation = match access {
        Access::ReadOnly => invocation.arg("-r"),
        Access::ReadWrite => invocation.arg("--discard=unmap"),
    };
    for argument in more {
        invocation = invocation.arg(*argument);
    }
    invocation.arg("--image-opts").arg(image.options(access))
}
