//! Numbers of the NBD protocol (fixed newstyle) and the request's head.

use std::fmt;

pub(super) const MAGIC: u64 = 0x4e42_444d_4147_4943;
pub(super) const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
pub(super) const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
pub(super) const REQUEST_MAGIC: u32 = 0x2560_9513;
pub(super) const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
pub(super) const STRUCTURED_REPLY_MAGIC: u32 = 0x668e_33ef;

pub(super) const FIXED_NEWSTYLE: u16 = 1;
pub(super) const NO_ZEROES: u16 = 1 << 1;

pub(super) const OPT_GO: u32 = 7;
pub(super) const OPT_STRUCTURED_REPLY: u32 = 8;
pub(super) const OPT_SET_META_CONTEXT: u32 = 10;

pub(super) const REP_ACK: u32 = 1;
pub(super) const REP_INFO: u32 = 3;
pub(super) const REP_META_CONTEXT: u32 = 4;
pub(super) const REP_ERROR: u32 = 1 << 31;
pub(super) const REP_ERR_UNSUPPORTED: u32 = REP_ERROR + 1;
pub(super) const REP_ERR_POLICY: u32 = REP_ERROR + 2;
pub(super) const REP_ERR_TLS_REQUIRED: u32 = REP_ERROR + 5;
pub(super) const REP_ERR_UNKNOWN: u32 = REP_ERROR + 6;
pub(super) const REP_ERR_SHUTDOWN: u32 = REP_ERROR + 7;

pub(super) const INFO_EXPORT: u16 = 0;
pub(super) const INFO_BLOCK_SIZE: u16 = 3;

pub(super) const CHUNK_DONE: u16 = 1;
pub(super) const CHUNK_NONE: u16 = 0;
pub(super) const CHUNK_OFFSET_DATA: u16 = 1;
pub(super) const CHUNK_OFFSET_HOLE: u16 = 2;
pub(super) const CHUNK_BLOCK_STATUS: u16 = 5;
pub(super) const CHUNK_ERROR: u16 = 1 << 15;
pub(super) const CHUNK_ERROR_OFFSET: u16 = CHUNK_ERROR + 2;

pub(super) const FLAG_NO_HOLE: u16 = 1 << 1;
pub(super) const FLAG_DONT_FRAGMENT: u16 = 1 << 2;
pub(super) const FLAG_FAST_ZERO: u16 = 1 << 4;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Read bytes.
    Read,
    /// Write bytes.
    Write,
    /// End the connection; has no answer.
    Disconnect,
    /// Put what was answered on stable storage.
    Flush,
    /// Tell that a range is not needed; what it reads as afterwards is open.
    Trim,
    /// Make a range read as zeroes.
    WriteZeroes,
    /// Ask for the state of a range in the negotiated contexts.
    BlockStatus,
}

impl Command {
    fn number(self) -> u16 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Disconnect => 2,
            Self::Flush => 3,
            Self::Trim => 4,
            Self::WriteZeroes => 6,
            Self::BlockStatus => 7,
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Disconnect => "disconnect",
            Self::Flush => "flush",
            Self::Trim => "trim",
            Self::WriteZeroes => "zero",
            Self::BlockStatus => "ask the status of",
        }
    }
}

/// A command with its range, as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation {
    /// What is asked for.
    pub command: Command,
    /// First byte of the range.
    pub offset: u64,
    /// Bytes of the range.
    pub length: u32,
}

impl Operation {
    pub(super) fn request(self, flags: u16, cookie: u64) -> [u8; 28] {
        let mut head = [0; 28];
        let fields = [
            &REQUEST_MAGIC.to_be_bytes()[..],
            &flags.to_be_bytes(),
            &self.command.number().to_be_bytes(),
            &cookie.to_be_bytes(),
            &self.offset.to_be_bytes(),
            &self.length.to_be_bytes(),
        ];
        for (byte, field) in head.iter_mut().zip(fields.into_iter().flatten()) {
            *byte = *field;
        }
        head
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            Command::Flush | Command::Disconnect => f.write_str(self.command.verb()),
            _ => write!(
                f,
                "{} {} bytes at {}",
                self.command.verb(),
                self.length,
                self.offset
            ),
        }
    }
}

/// What an export can do, as its server tells with its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransmissionFlags(pub(super) u16);

impl TransmissionFlags {
    fn has(self, bit: u16) -> bool {
        self.0 & (1 << bit) != 0
    }

    /// Writes are refused.
    pub fn is_read_only(self) -> bool {
        self.has(1)
    }

    /// FLUSH is understood.
    pub fn has_flush(self) -> bool {
        self.has(2)
    }

    /// TRIM is understood.
    pub fn has_trim(self) -> bool {
        self.has(5)
    }

    /// WRITE_ZEROES is understood.
    pub fn has_write_zeroes(self) -> bool {
        self.has(6)
    }

    /// A read may ask for one unbroken answer.
    pub fn has_dont_fragment(self) -> bool {
        self.has(7)
    }

    /// Several connections see one another's writes, and one flush covers them all.
    pub fn has_multi_conn(self) -> bool {
        self.has(8)
    }

    /// WRITE_ZEROES can be told to fail rather than to write zeroes out.
    pub fn has_fast_zero(self) -> bool {
        self.has(11)
    }
}
