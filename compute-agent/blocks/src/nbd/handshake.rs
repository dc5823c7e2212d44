//! The fixed newstyle handshake: structured replies, meta contexts, then `NBD_OPT_GO`.

use std::io::{self, Read, Write};

use super::{
    error::NbdError,
    export::{BlockSizes, Export},
    protocol::*,
    wire::{bytes_of, u16_of, u32_of, u64_of},
};
use crate::ErrorKind;

/// No reply to an option is longer: names and messages have 4096 bytes at most.
const LONGEST_REPLY: u32 = 16 * 1024;
/// No option is answered with more pieces than this.
const MOST_REPLIES: usize = 256;

const GREETING: &str = "the greeting";
const STRUCTURED: &str = "structured replies";
const CONTEXTS: &str = "meta contexts";
const GO: &str = "the export";

struct Handshake<'a> {
    reader: &'a mut dyn Read,
    writer: &'a mut dyn Write,
    step: &'static str,
}

struct OptionReply {
    kind: u32,
    payload: Vec<u8>,
}

/// Brings a fresh connection to its transmission phase. Contexts that the server does not have are
/// missing from the answer; that is no failure here.
pub(super) fn negotiate(
    reader: &mut dyn Read,
    writer: &mut dyn Write,
    export_name: &str,
    contexts: &[String],
) -> Result<Export, NbdError> {
    let mut handshake = Handshake {
        reader,
        writer,
        step: GREETING,
    };
    handshake.greet()?;
    let structured = handshake.structured_replies()?;
    let contexts = match structured && !contexts.is_empty() {
        true => handshake.meta_contexts(export_name, contexts)?,
        false => Vec::new(),
    };
    let (size_bytes, flags, block_sizes) = handshake.go(export_name)?;
    Ok(Export {
        size_bytes,
        flags,
        block_sizes,
        structured,
        contexts,
    })
}

impl Handshake<'_> {
    fn greet(&mut self) -> Result<(), NbdError> {
        let magic = u64_of(self.reader).map_err(self.lost())?;
        let option_magic = u64_of(self.reader).map_err(self.lost())?;
        if (magic, option_magic) != (MAGIC, OPTION_MAGIC) {
            return self.broken("this is no newstyle NBD server");
        }
        let flags = u16_of(self.reader).map_err(self.lost())?;
        if flags & FIXED_NEWSTYLE == 0 {
            return self.broken("the server lacks the fixed newstyle handshake");
        }
        let ours = u32::from(flags & (FIXED_NEWSTYLE | NO_ZEROES));
        self.writer
            .write_all(&ours.to_be_bytes())
            .map_err(self.lost())
    }

    fn structured_replies(&mut self) -> Result<bool, NbdError> {
        self.step = STRUCTURED;
        self.ask(OPT_STRUCTURED_REPLY, &[])?;
        match self.answer(OPT_STRUCTURED_REPLY)?.kind {
            REP_ACK => Ok(true),
            kind if kind & REP_ERROR != 0 => Ok(false),
            kind => self.broken(format!("option reply {kind}")),
        }
    }

    fn meta_contexts(
        &mut self,
        export_name: &str,
        contexts: &[String],
    ) -> Result<Vec<(u32, String)>, NbdError> {
        self.step = CONTEXTS;
        let mut payload = Vec::new();
        self.put_text(&mut payload, export_name)?;
        let count = u32::try_from(contexts.len()).unwrap_or(u32::MAX);
        payload.extend(count.to_be_bytes());
        for context in contexts {
            self.put_text(&mut payload, context)?;
        }
        self.ask(OPT_SET_META_CONTEXT, &payload)?;
        let mut granted: Vec<(u32, String)> = Vec::new();
        for _ in 0..MOST_REPLIES {
            let reply = self.answer(OPT_SET_META_CONTEXT)?;
            match reply.kind {
                REP_ACK => return Ok(granted),
                REP_META_CONTEXT => {
                    let mut payload = reply.payload.as_slice();
                    let id = u32_of(&mut payload).map_err(self.short())?;
                    let name = String::from_utf8_lossy(payload).into_owned();
                    if granted.iter().any(|(other, _)| *other == id) {
                        return self.broken("two contexts share an id");
                    }
                    // A server may answer a query with others: only what was asked for counts.
                    if contexts.contains(&name) {
                        granted.push((id, name));
                    }
                }
                REP_ERR_UNSUPPORTED => return Ok(Vec::new()),
                _ => return self.refused(&reply),
            }
        }
        self.broken("too many contexts")
    }

    fn go(&mut self, export_name: &str) -> Result<(u64, TransmissionFlags, BlockSizes), NbdError> {
        self.step = GO;
        let mut payload = Vec::new();
        self.put_text(&mut payload, export_name)?;
        payload.extend(1_u16.to_be_bytes());
        payload.extend(INFO_BLOCK_SIZE.to_be_bytes());
        self.ask(OPT_GO, &payload)?;
        let mut export = None;
        let mut block_sizes = BlockSizes::default();
        for _ in 0..MOST_REPLIES {
            let reply = self.answer(OPT_GO)?;
            match reply.kind {
                REP_ACK => match export {
                    Some((size_bytes, flags)) => return Ok((size_bytes, flags, block_sizes)),
                    None => return self.broken("the server did not tell the export's size"),
                },
                REP_INFO => {
                    let mut info = reply.payload.as_slice();
                    match u16_of(&mut info).map_err(self.short())? {
                        INFO_EXPORT => export = Some(self.export_info(info)?),
                        INFO_BLOCK_SIZE => block_sizes = self.block_size_info(info)?,
                        _ => {}
                    }
                }
                _ => return self.refused(&reply),
            }
        }
        self.broken("too much information about the export")
    }

    fn export_info(&self, mut info: &[u8]) -> Result<(u64, TransmissionFlags), NbdError> {
        let size_bytes = u64_of(&mut info).map_err(self.short())?;
        let flags = u16_of(&mut info).map_err(self.short())?;
        if i64::try_from(size_bytes).is_err() {
            return self.broken(format!("an export of {size_bytes} bytes"));
        }
        Ok((size_bytes, TransmissionFlags(flags)))
    }

    fn block_size_info(&self, mut info: &[u8]) -> Result<BlockSizes, NbdError> {
        let minimum = u32_of(&mut info).map_err(self.short())?;
        let preferred = u32_of(&mut info).map_err(self.short())?;
        let maximum = u32_of(&mut info).map_err(self.short())?;
        if !minimum.is_power_of_two() || minimum > (1 << 16) || maximum < minimum.max(512) {
            return self.broken(format!("block sizes {minimum}, {preferred}, {maximum}"));
        }
        Ok(BlockSizes {
            minimum,
            maximum: maximum.min(BlockSizes::LARGEST),
        })
    }

    fn put_text(&self, payload: &mut Vec<u8>, text: &str) -> Result<(), NbdError> {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        if length > 4096 {
            return Err(NbdError::Refused {
                step: self.step,
                reason: format!("a name of {length} bytes, 4096 are allowed"),
                kind: ErrorKind::Invalid,
            });
        }
        payload.extend(length.to_be_bytes());
        payload.extend(text.as_bytes());
        Ok(())
    }

    fn ask(&mut self, option: u32, payload: &[u8]) -> Result<(), NbdError> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut message = OPTION_MAGIC.to_be_bytes().to_vec();
        message.extend(option.to_be_bytes());
        message.extend(length.to_be_bytes());
        message.extend(payload);
        self.writer.write_all(&message).map_err(self.lost())
    }

    fn answer(&mut self, option: u32) -> Result<OptionReply, NbdError> {
        let magic = u64_of(self.reader).map_err(self.lost())?;
        let about = u32_of(self.reader).map_err(self.lost())?;
        let kind = u32_of(self.reader).map_err(self.lost())?;
        let length = u32_of(self.reader).map_err(self.lost())?;
        if magic != OPTION_REPLY_MAGIC || about != option {
            return self.broken(format!("a reply to option {about} with magic {magic:#x}"));
        }
        if length > LONGEST_REPLY {
            return self.broken(format!("an option reply of {length} bytes"));
        }
        let length = usize::try_from(length).unwrap_or_default();
        let payload = bytes_of(self.reader, length).map_err(self.lost())?;
        Ok(OptionReply { kind, payload })
    }

    fn lost(&self) -> impl FnOnce(io::Error) -> NbdError + use<> {
        let step = self.step;
        move |source| NbdError::Handshake { step, source }
    }

    fn short(&self) -> impl FnOnce(io::Error) -> NbdError + use<> {
        let during = format!("agreeing on {}", self.step);
        move |_| NbdError::Protocol {
            during,
            problem: "a reply is too short".to_owned(),
        }
    }

    fn broken<T>(&self, problem: impl Into<String>) -> Result<T, NbdError> {
        let during = format!("agreeing on {}", self.step);
        Err(NbdError::Protocol {
            during,
            problem: problem.into(),
        })
    }

    fn refused<T>(&self, reply: &OptionReply) -> Result<T, NbdError> {
        let (name, kind) = match reply.kind {
            REP_ERR_UNSUPPORTED => ("not supported", ErrorKind::Invalid),
            REP_ERR_POLICY => ("forbidden", ErrorKind::Denied),
            REP_ERR_TLS_REQUIRED => ("TLS required", ErrorKind::Denied),
            REP_ERR_UNKNOWN => ("no such export", ErrorKind::NotFound),
            REP_ERR_SHUTDOWN => ("shutting down", ErrorKind::Unavailable),
            kind if kind & REP_ERROR != 0 => ("error", ErrorKind::Invalid),
            kind => return self.broken(format!("option reply {kind}")),
        };
        let words = String::from_utf8_lossy(&reply.payload);
        let reason = if words.is_empty() {
            name.to_owned()
        } else {
            format!("{name}: {words}")
        };
        Err(NbdError::Refused {
            step: self.step,
            reason,
            kind,
        })
    }
}
