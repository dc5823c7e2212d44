//! The command line.

use std::path::PathBuf;

use agent_contract::ImageCompression;
use clap::{Args, Subcommand, ValueEnum};

use super::place::DiskPlace;
use super::point::PointSpec;
use super::target::TargetPlace;

/// What can be done without the daemon.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Back a disk up
    #[command(after_help = BACKUP_HELP)]
    Backup(BackupArguments),
    /// Restore a disk; every byte is verified before it is written
    #[command(after_help = RESTORE_HELP)]
    Restore(RestoreArguments),
    /// Verify backups: every byte of a point, of all points of a name, or of a whole target; of the latter two
    /// also what lies there and is part of no backup
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArguments),
    /// Let the oldest points go; what later ones need of them is merged into those
    #[command(after_help = MERGE_HELP)]
    Merge(MergeArguments),
    /// Serve a point as a read-only disk over NBD
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArguments),
    /// Show what is on a target: names, the points of one, or the chain of a point
    #[command(after_help = INFO_HELP)]
    Info(InfoArguments),
}

/// What every subcommand takes.
#[derive(Debug, Args)]
pub struct Common {
    /// Where interrupted work is remembered [default: $XDG_STATE_HOME/backstay-datamover, or
    /// ~/.local/state/backstay-datamover]
    #[arg(long, value_name = "FOLDER", env = "BACKSTAY_STATE")]
    pub state: Option<PathBuf>,
    /// Show neither progress nor the result
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Read and write no faster than this many bytes a second
    #[arg(long, value_name = "BYTES")]
    pub limit_rate: Option<u64>,
    /// How much work an interruption may cost, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, hide = true)]
    pub checkpoint_seconds: u64,
    /// Ceph's configuration file, for rbd: [default: that of the rbd program]
    #[arg(long, value_name = "FILE", env = "CEPH_CONF")]
    pub ceph_conf: Option<PathBuf>,
    /// Ceph's user without `client.`, for rbd:
    #[arg(long, value_name = "USER")]
    pub ceph_user: Option<String>,
    /// INI file of the daemon, for target:ID; may be given several times, a later one over an earlier
    /// [default: /etc/backstay/datamover.conf]
    #[arg(long, value_name = "FILE")]
    pub config_file: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the type says it")]
    pub s3: S3Options,
}

/// How to reach a bucket. Its keys come from the environment: `ps` shows options.
#[derive(Debug, Args)]
#[command(next_help_heading = "For s3:// (keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)")]
pub struct S3Options {
    /// https://HOST[:PORT] [default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or Amazon's]
    #[arg(long, value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// What requests are signed for [default: AWS_REGION, AWS_DEFAULT_REGION, or us-east-1]
    #[arg(long, value_name = "REGION")]
    pub s3_region: Option<String>,
    /// Authorities to trust instead of the system's, in PEM
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE")]
    pub s3_ca_file: Option<PathBuf>,
    /// The bucket's name is in the host's name and not in the path
    #[arg(long)]
    pub s3_virtual_host: bool,
}

/// `backup`.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// The disk: a file, a block device, rbd:POOL/IMAGE@SNAPSHOT, nbd://HOST[:PORT][/EXPORT] or
    /// nbd+unix:///[EXPORT]?socket=PATH. Nothing may write to it meanwhile
    pub source: DiskPlace,
    /// Where backups are kept: a folder, s3://BUCKET[/PREFIX], or target:ID of the configuration file
    pub target: TargetPlace,
    /// Whose backup it is; a later one of the same name can build upon it
    #[arg(long, value_name = "NAME", value_parser = super::point::parse_name)]
    pub name: String,
    /// Name of this point in time [default: the time, as 2026-01-31T12:00:00Z]
    #[arg(long, value_name = "POINT", value_parser = super::point::parse_name)]
    pub point: Option<String>,
    /// Store only what differs from the newest backup of this name, found by comparing checksums; of
    /// an RBD snapshot the storage is asked. Without an earlier one all is stored
    #[arg(long, conflicts_with_all = ["since", "changed"])]
    pub incremental: bool,
    /// Store only what changed since this earlier state of the disk, which the newest backup of this
    /// name must show: an RBD snapshot of the same image, or of a file another raw copy
    #[arg(long, value_name = "STATE", conflicts_with = "changed")]
    pub since: Option<String>,
    /// Store only these extents, all that changed since the newest backup of this name: lines of
    /// `OFFSET LENGTH` in bytes, ascending; may be a pipe. Nobody checks that nothing else changed
    #[arg(long, value_name = "FILE")]
    pub changed: Option<PathBuf>,
    /// What to do with data
    #[arg(long, value_enum, default_value_t = CompressionChoice::Zstd)]
    pub compression: CompressionChoice,
    /// Make the target one if it is none yet
    #[arg(long)]
    pub initialise: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the type says it")]
    pub common: Common,
}

/// What to do with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompressionChoice {
    /// Read by QEMU 5.1 and newer.
    Zstd,
    /// Read by every QEMU; slower and larger.
    Zlib,
    /// Stored as it is.
    None,
}

impl From<CompressionChoice> for ImageCompression {
    fn from(choice: CompressionChoice) -> Self {
        match choice {
            CompressionChoice::Zstd => Self::Zstd,
            CompressionChoice::Zlib => Self::Zlib,
            CompressionChoice::None => Self::None,
        }
    }
}

/// `restore`.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// Where the backups are
    pub target: TargetPlace,
    /// Which: a name, the id of a workload, or one of these with @ and a point's name, the beginning
    /// of its id, or `latest`
    #[arg(value_name = "NAME[@POINT]")]
    pub point: PointSpec,
    /// Where to: a file (made, or replaced with --force), a block device, rbd:POOL/IMAGE, nbd://... or
    /// nbd+unix://...
    pub destination: DiskPlace,
    /// Overwrite what is there
    #[arg(long)]
    pub force: bool,
    /// Which disk, of a point that has several: its name (vda) or the id of its volume
    #[arg(long)]
    pub disk: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the type says it")]
    pub common: Common,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// Where the backups are
    pub target: TargetPlace,
    /// Which [default: all of the target]
    #[arg(value_name = "NAME[@POINT]")]
    pub point: Option<PointSpec>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the type says it")]
    pub common: Common,
}

/// `merge`.
#[derive(Debug, Args)]
pub struct MergeArguments {
    /// Where the backups are
    pub target: TargetPlace,
    /// Whose
    #[arg(value_parser = super::point::parse_name)]
    pub name: String,
    /// How many points stay, the newest [default: all but the oldest]
    #[arg(long, value_name = "N", value_parser = parse_keep)]
    pub keep: Option<usize>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the type says it")]
    pub common: Common,
}

fn parse_keep(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one point stays".to_owned()),
        Ok(keep) => Ok(keep),
        Err(_) => Err("it is a number of points".to_owned()),
    }
}

/// `export`.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Where the backups are
    pub target: TargetPlace,
    /// Which, as for `restore`
    #[arg(value_name = "NAME[@POINT]")]
    pub point: PointSpec,
    /// Where to serve it: a path for a unix socket, or HOST:PORT; whoever reaches it can read the disk
    #[arg(long, value_name = "ADDRESS")]
    pub nbd: String,
    /// What clients call it; the empty name leads to it in any case
    #[arg(long, value_name = "EXPORT", default_value = "disk")]
    pub export_name: String,
    /// Which disk, of a point that has several: its name (vda) or the id of its volume
    #[arg(long)]
    pub disk: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the type says it")]
    pub common: Common,
}

/// `info`.
#[derive(Debug, Args)]
pub struct InfoArguments {
    /// Where the backups are
    pub target: TargetPlace,
    /// A name for its points, a point for its chain [default: all names]
    #[arg(value_name = "NAME[@POINT]")]
    pub point: Option<PointSpec>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the type says it")]
    pub common: Common,
}

const BACKUP_HELP: &str = "\
Interrupted, the same command goes on where it was, if the disk has not changed; else it begins anew.
Nothing can be seen on the target before it is whole.

Examples:
  backstay-datamover backup disk.raw /backups --name web --initialise
  backstay-datamover backup disk.raw /backups --name web --incremental
  backstay-datamover backup rbd:volumes/volume-1@tuesday /backups --name db --since monday";

const RESTORE_HELP: &str = "\
Examples:
  backstay-datamover restore /backups web restored.raw
  backstay-datamover restore /backups web@2026-01-31T12:00:00Z /dev/vg/web --force";

const VERIFY_HELP: &str = "\
What is damaged is named by image and offset in the disk; the exit status is 3 then.

Examples:
  backstay-datamover verify /backups
  backstay-datamover verify /backups web@latest --json";

const MERGE_HELP: &str = "\
Interrupted, the same command goes on.

Examples:
  backstay-datamover merge /backups web --keep 7";

const EXPORT_HELP: &str = "\
Runs until Ctrl-C. Bytes are verified when they are read; a damaged cluster is an I/O error to the client.

Examples:
  backstay-datamover export /backups web --nbd /run/web.sock
  qemu-img convert -O raw 'nbd+unix:///disk?socket=/run/web.sock' web.raw
  backstay-datamover export /backups web@latest --nbd 127.0.0.1:10809";

const INFO_HELP: &str = "\
Examples:
  backstay-datamover info /backups
  backstay-datamover info /backups web --json
  backstay-datamover info /backups web@latest";
