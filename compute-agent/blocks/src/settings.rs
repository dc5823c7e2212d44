//! What a host's administrator may set for this crate.

use std::{path::PathBuf, time::Duration};

/// Programs, places and limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The `rbd` program.
    pub rbd: PathBuf,
    /// The `qemu-nbd` program.
    pub qemu_nbd: PathBuf,
    /// The `qemu-img` program.
    pub qemu_img: PathBuf,
    /// The `virsh` program.
    pub virsh: PathBuf,
    /// Where private directories for sockets are made. Keep it short: a socket's path has 107 bytes.
    pub socket_dir: PathBuf,
    /// Until `qemu-nbd` must serve; opening an image of a busy cluster takes seconds.
    pub start_timeout: Duration,
    /// From asking `qemu-nbd` to end until it is killed.
    pub stop_timeout: Duration,
    /// For `rbd info`, `virsh` and their like.
    pub command_timeout: Duration,
    /// For `rbd diff`, which prints nothing before it has looked at every object of the image.
    pub diff_timeout: Duration,
    /// Until one request over NBD must be answered. Longer than a storage failover takes.
    pub io_timeout: Duration,
    /// Connections a reader or a sink opens where the export allows several.
    pub connections: usize,
    /// Writes in flight of one sink.
    pub write_window: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rbd: PathBuf::from("rbd"),
            qemu_nbd: PathBuf::from("qemu-nbd"),
            qemu_img: PathBuf::from("qemu-img"),
            virsh: PathBuf::from("virsh"),
            socket_dir: std::env::temp_dir(),
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(60),
            diff_timeout: Duration::from_secs(3600),
            io_timeout: Duration::from_secs(300),
            connections: 2,
            write_window: 16,
        }
    }
}
