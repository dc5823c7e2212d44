//! The handshake: options, until one of them begins the transmission.

use std::io::{self, Read, Write};

use crate::nbd::protocol::*;
use crate::nbd::wire::{bytes_of, u16_of, u32_of, u64_of};

const OPT_EXPORT_NAME: u32 = 1;
const OPT_ABORT: u32 = 2;
const OPT_LIST: u32 = 3;
const OPT_INFO: u32 = 6;
const OPT_LIST_META_CONTEXT: u32 = 9;
const REP_SERVER: u32 = 2;
const REP_ERR_INVALID: u32 = REP_ERROR + 3;
/// A list of names and contexts is far below it.
const MOST_OPTION_BYTES: u32 = 16 << 10;
/// Nobody needs more to agree.
const MOST_OPTIONS: u32 = 256;
/// Export flags: flags are there, read-only, several connections see the same.
const EXPORT_FLAGS: u16 = 1 | 1 << 1 | 1 << 8;
/// `base:allocation`, the one context.
pub(super) const CONTEXT_ID: u32 = 1;
const CONTEXT: &[u8] = b"base:allocation";
/// Larger reads are refused.
pub(super) const LARGEST_READ: u32 = 32 << 20;

/// What a client and we have agreed on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Agreed {
    pub(super) has_structured_replies: bool,
    pub(super) has_context: bool,
}

/// None if the client ended it. One that cannot be understood is an error.
pub(super) fn negotiate(
    size_bytes: u64,
    export: &str,
    reader: &mut dyn Read,
    writer: &mut dyn Write,
) -> io::Result<Option<Agreed>> {
    let mut hello = Vec::with_capacity(18);
    hello.extend(MAGIC.to_be_bytes());
    hello.extend(OPTION_MAGIC.to_be_bytes());
    hello.extend((FIXED_NEWSTYLE | NO_ZEROES).to_be_bytes());
    writer.write_all(&hello)?;
    let flags = u32_of(reader)?;
    if flags & !u32::from(FIXED_NEWSTYLE | NO_ZEROES) != 0 {
        return Err(broken("it has flags that nobody knows"));
    }
    let has_no_zeroes = flags & u32::from(NO_ZEROES) != 0;
    let mut hall = Hall {
        size_bytes,
        export,
        writer,
        agreed: Agreed::default(),
    };
    for _ in 0..MOST_OPTIONS {
        if u64_of(reader)? != OPTION_MAGIC {
            return Err(broken("an option has no magic"));
        }
        let (option, length) = (u32_of(reader)?, u32_of(reader)?);
        if length > MOST_OPTION_BYTES {
            return Err(broken("an option is too long"));
        }
        let data = bytes_of(reader, usize::try_from(length).unwrap_or_default())?;
        match hall.answer(option, &data, has_no_zeroes)? {
            Next::Option => {}
            Next::Transmission => return Ok(Some(hall.agreed)),
            Next::End => return Ok(None),
        }
    }
    Err(broken("it does not come to the point"))
}

enum Next {
    Option,
    Transmission,
    End,
}

struct Hall<'a> {
    size_bytes: u64,
    export: &'a str,
    writer: &'a mut dyn Write,
    agreed: Agreed,
}

impl Hall<'_> {
    fn answer(&mut self, option: u32, data: &[u8], has_no_zeroes: bool) -> io::Result<Next> {
        match option {
            OPT_EXPORT_NAME => return self.export_by_name(data, has_no_zeroes),
            OPT_ABORT => {
                self.reply(option, REP_ACK, &[])?;
                return Ok(Next::End);
            }
            OPT_LIST if data.is_empty() => {
                let mut server = length_of(self.export).to_be_bytes().to_vec();
                server.extend(self.export.as_bytes());
                self.reply(option, REP_SERVER, &server)?;
                self.reply(option, REP_ACK, &[])?;
            }
            OPT_STRUCTURED_REPLY if data.is_empty() => {
                self.agreed.has_structured_replies = true;
                self.reply(option, REP_ACK, &[])?;
            }
            OPT_LIST | OPT_STRUCTURED_REPLY => self.reply(option, REP_ERR_INVALID, &[])?,
            OPT_INFO | OPT_GO => return self.info(option, data),
            OPT_LIST_META_CONTEXT | OPT_SET_META_CONTEXT => self.contexts(option, data)?,
            _ => self.reply(option, REP_ERR_UNSUPPORTED, &[])?,
        }
        Ok(Next::Option)
    }

    fn reply(&mut self, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
        let mut reply = Vec::with_capacity(20 + data.len());
        reply.extend(OPTION_REPLY_MAGIC.to_be_bytes());
        reply.extend(option.to_be_bytes());
        reply.extend(kind.to_be_bytes());
        let length = u32::try_from(data.len()).map_err(io::Error::other)?;
        reply.extend(length.to_be_bytes());
        reply.extend(data);
        self.writer.write_all(&reply)
    }

    /// The empty name is the default export, of which there is one.
    fn has_export(&self, name: &[u8]) -> bool {
        name.is_empty() || name == self.export.as_bytes()
    }

    /// The old way, which knows no error but hanging up.
    fn export_by_name(&mut self, name: &[u8], has_no_zeroes: bool) -> io::Result<Next> {
        if !self.has_export(name) {
            return Ok(Next::End);
        }
        let mut reply = self.size_bytes.to_be_bytes().to_vec();
        reply.extend(EXPORT_FLAGS.to_be_bytes());
        if !has_no_zeroes {
            reply.extend([0; 124]);
        }
        self.writer.write_all(&reply)?;
        Ok(Next::Transmission)
    }

    fn info(&mut self, option: u32, data: &[u8]) -> io::Result<Next> {
        let mut rest = data;
        let asked = (|| {
            let name = name_of(&mut rest)?;
            let count = u16_of(&mut rest)?;
            let wanted = (0..count).map(|_| u16_of(&mut rest));
            let wanted = wanted.collect::<io::Result<Vec<_>>>()?;
            Ok::<_, io::Error>((name, wanted))
        })();
        let Some((name, wanted)) = asked.ok().filter(|_| rest.is_empty()) else {
            self.reply(option, REP_ERR_INVALID, &[])?;
            return Ok(Next::Option);
        };
        if !self.has_export(&name) {
            self.reply(option, REP_ERR_UNKNOWN, b"there is no such export")?;
            return Ok(Next::Option);
        }
        let mut export = INFO_EXPORT.to_be_bytes().to_vec();
        export.extend(self.size_bytes.to_be_bytes());
        export.extend(EXPORT_FLAGS.to_be_bytes());
        self.reply(option, REP_INFO, &export)?;
        if wanted.contains(&INFO_BLOCK_SIZE) {
            let mut sizes = INFO_BLOCK_SIZE.to_be_bytes().to_vec();
            for size in [1, 64 << 10, LARGEST_READ] {
                sizes.extend(size.to_be_bytes());
            }
            self.reply(option, REP_INFO, &sizes)?;
        }
        self.reply(option, REP_ACK, &[])?;
        Ok(if option == OPT_GO {
            Next::Transmission
        } else {
            Next::Option
        })
    }

    fn contexts(&mut self, option: u32, data: &[u8]) -> io::Result<()> {
        let is_set = option == OPT_SET_META_CONTEXT;
        if is_set {
            self.agreed.has_context = false;
        }
        let mut rest = data;
        let asked = (|| {
            let name = name_of(&mut rest)?;
            let count = u32_of(&mut rest)?.min(MOST_OPTION_BYTES);
            let queries = (0..count).map(|_| name_of(&mut rest));
            let queries = queries.collect::<io::Result<Vec<_>>>()?;
            Ok::<_, io::Error>((name, queries))
        })();
        let is_usable = self.agreed.has_structured_replies || !is_set;
        let Some((name, queries)) = asked.ok().filter(|_| rest.is_empty() && is_usable) else {
            return self.reply(option, REP_ERR_INVALID, &[]);
        };
        if !self.has_export(&name) {
            return self.reply(option, REP_ERR_UNKNOWN, &[]);
        }
        let is_ours = |query: &Vec<u8>| query == CONTEXT || !is_set && query == b"base:";
        if queries.iter().any(is_ours) || !is_set && queries.is_empty() {
            self.agreed.has_context |= is_set;
            let mut context = CONTEXT_ID.to_be_bytes().to_vec();
            context.extend(CONTEXT);
            self.reply(option, REP_META_CONTEXT, &context)?;
        }
        self.reply(option, REP_ACK, &[])
    }
}

fn name_of(rest: &mut &[u8]) -> io::Result<Vec<u8>> {
    let length = usize::try_from(u32_of(rest)?).unwrap_or(usize::MAX);
    let Some((name, behind)) = rest.split_at_checked(length) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let name = name.to_vec();
    *rest = behind;
    Ok(name)
}

fn length_of(name: &str) -> u32 {
    u32::try_from(name.len()).unwrap_or(u32::MAX)
}

pub(super) fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
