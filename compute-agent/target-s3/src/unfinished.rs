//! What stands beside an unfinished image, so that any host can go on with it.

use agent_format::ObjectName;
use agent_target::{ErrorKind, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bucket::{Bucket, Found, Part, Upload};
use crate::error::{bare, because};

const STATE: &str = "state";
const TAIL: &str = "tail-";
const LARGEST_STATE: u64 = 1 << 16;
const VERSION: u32 = 1;
const OPERATION: &str = "resume image";

/// How an unfinished image is cut into parts, and the upload that has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    version: u32,
    /// None while all of it is less than a part.
    pub(crate) upload_id: Option<String>,
    /// What the finished object will be marked with.
    pub(crate) writer: String,
    /// The first part's length, or 0 if there is no head.
    pub(crate) head_bytes: u64,
    /// The length of all other parts but the last.
    pub(crate) part_bytes: u64,
}

impl State {
    pub(crate) fn new(part_bytes: u64) -> Self {
        Self {
            version: VERSION,
            upload_id: None,
            writer: uuid::Uuid::new_v4().to_string(),
            head_bytes: 0,
            part_bytes,
        }
    }

    /// The number of the first part that is no head.
    pub(crate) fn first_part(&self) -> i32 {
        if self.head_bytes > 0 { 2 } else { 1 }
    }

    /// Where the part begins that the byte at `position` belongs to.
    pub(crate) fn part_start(&self, position: u64) -> u64 {
        let whole = position.saturating_sub(self.head_bytes) / self.part_bytes;
        self.head_bytes + whole * self.part_bytes
    }

    /// The number of the part that begins at `start`.
    pub(crate) fn part_number(&self, start: u64) -> i32 {
        let before = start.saturating_sub(self.head_bytes) / self.part_bytes;
        i32::try_from(before)
            .unwrap_or(i32::MAX)
            .saturating_add(self.first_part())
    }
}

/// A piece of the tail, valid up to where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: u64,
    pub(crate) key: String,
}

/// An unfinished image as it was at the length to go on from.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) state: State,
    /// Numbers and tags of the parts before the tail.
    pub(crate) parts: Vec<Part>,
    pub(crate) tail: Vec<u8>,
    pub(crate) pieces: Vec<Piece>,
}

/// Where a piece that begins at `start` is kept; in order of `start`.
pub(crate) fn piece_key(partial: &str, start: u64) -> String {
    format!("{partial}{TAIL}{start:020}")
}

impl Bucket {
    pub(crate) async fn write_state(&self, partial: &str, state: &State) -> Result<()> {
        let key = format!("{partial}{STATE}");
        let bytes = serde_json::to_vec(state)
            .map_err(|e| because(ErrorKind::Other, "flush image", &key, e.to_string()))?;
        self.put("flush image", &key, Bytes::from(bytes)).await
    }

    /// Throws away what there is of an unfinished `name`.
    pub(crate) async fn abandon(&self, operation: &'static str, name: &ObjectName) -> Result<()> {
        let partial = self.partial_key(name);
        let beside = self.list(operation, &partial).await?;
        let keys: Vec<String> = beside.into_iter().map(|object| object.key).collect();
        // The state goes first: what it describes is about to go.
        let (states, tails): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| key.ends_with(STATE));
        self.delete_all(operation, &states).await?;
        let key = self.key(name);
        for upload in self.uploads(operation, &key).await? {
            if upload.key == key {
                self.abort_upload(operation, &upload).await?;
            }
        }
        self.delete_all(operation, &tails).await
    }

    /// Finds an unfinished `name`, cut to `length`. Where there is none, nor is there anything beside it: whoever
    /// completed the object, or threw it away, may have been killed before all was removed.
    pub(crate) async fn unfinished(&self, name: &ObjectName, length: u64) -> Result<Unfinished> {
        let found = self.find_unfinished(name, length).await;
        if matches!(&found, Err(error) if error.kind == ErrorKind::NotFound) {
            self.abandon(OPERATION, name).await?;
        }
        found
    }

    async fn find_unfinished(&self, name: &ObjectName, length: u64) -> Result<Unfinished> {
        let partial = self.partial_key(name);
        let beside = self.list(OPERATION, &partial).await?;
        let state = self.read_state(name, &partial, &beside).await?;
        let shorter = || {
            let why = format!("it was not synced at a length of {length} bytes");
            because(ErrorKind::Corrupt, OPERATION, name.as_str(), why)
        };
        if length < state.head_bytes {
            return Err(shorter());
        }
        let tail_start = state.part_start(length);
        let parts = self.parts_before(name, &state, tail_start).await?;
        let (pieces, stale) = sort_pieces(&partial, &beside, length);
        let (tail, pieces) = self.tail(&pieces, tail_start..length, &beside).await?;
        let tail = tail.ok_or_else(shorter)?;
        self.delete_all(OPERATION, &stale).await?;
        Ok(Unfinished {
            state,
            parts,
            tail,
            pieces,
        })
    }

    async fn read_state(
        &self,
        name: &ObjectName,
        partial: &str,
        beside: &[Found],
    ) -> Result<State> {
        let key = format!("{partial}{STATE}");
        if !beside.iter().any(|object| object.key == key) {
            return Err(bare(ErrorKind::NotFound, OPERATION, name.as_str()));
        }
        let bytes = self.get(OPERATION, &key, LARGEST_STATE).await?;
        let state: State = serde_json::from_slice(&bytes)
            .map_err(|e| because(ErrorKind::Corrupt, OPERATION, &key, e.to_string()))?;
        if state.version != VERSION || state.part_bytes == 0 {
            let why = "another version of this program has begun it";
            return Err(because(ErrorKind::Corrupt, OPERATION, &key, why));
        }
        Ok(state)
    }

    /// All parts before `tail_start`; `Corrupt` if one is missing.
    async fn parts_before(
        &self,
        name: &ObjectName,
        state: &State,
        tail_start: u64,
    ) -> Result<Vec<Part>> {
        let first = state.first_part();
        let end = state.part_number(tail_start);
        let parts = match &state.upload_id {
            // A part that was sent before an upload was known to be is of no use.
            None => {
                let upload = self.uploads(OPERATION, &self.key(name)).await?;
                let ours = |upload: &&Upload| upload.key == self.key(name);
                for forgotten in upload.iter().filter(ours) {
                    self.abort_upload(OPERATION, forgotten).await?;
                }
                Vec::new()
            }
            Some(id) => {
                let mut parts = self.parts(OPERATION, &self.key(name), id).await?;
                parts.retain(|part| (first..end).contains(&part.number));
                parts
            }
        };
        let is_whole = parts
            .iter()
            .map(|part| (part.number, part.size_bytes))
            .eq((first..end).map(|number| (number, state.part_bytes)));
        if !is_whole {
            let why = "the server does not have all parts that it acknowledged";
            return Err(because(ErrorKind::Corrupt, OPERATION, name.as_str(), why));
        }
        Ok(parts)
    }

    /// The bytes of `range`, or none if the pieces do not have them all; and the pieces they are in.
    async fn tail(
        &self,
        pieces: &[Piece],
        range: std::ops::Range<u64>,
        beside: &[Found],
    ) -> Result<(Option<Vec<u8>>, Vec<Piece>)> {
        let mut tail = Vec::new();
        let ends = pieces.iter().skip(1).map(|next| next.start);
        for (piece, end) in pieces.iter().zip(ends.chain([range.end])) {
            if end <= range.start {
                continue;
            }
            if piece.start != range.start + tail.len() as u64 {
                return Ok((None, Vec::new()));
            }
            let stored = beside.iter().find(|object| object.key == piece.key);
            let limit = stored.map_or(0, |object| object.size_bytes);
            let bytes = self.get(OPERATION, &piece.key, limit).await?;
            let wanted = usize::try_from(end - piece.start).unwrap_or(usize::MAX);
            let Some(bytes) = bytes.get(..wanted) else {
                return Ok((None, Vec::new()));
            };
            tail.extend_from_slice(bytes);
        }
        let is_whole = range.start + tail.len() as u64 == range.end;
        Ok((is_whole.then_some(tail), pieces.to_vec()))
    }
}

/// The pieces that begin before `length`, in order, and the keys of the others.
fn sort_pieces(partial: &str, beside: &[Found], length: u64) -> (Vec<Piece>, Vec<String>) {
    let mut pieces = Vec::new();
    let mut stale = Vec::new();
    for object in beside {
        let start = object
            .key
            .strip_prefix(partial)
            .and_then(|name| name.strip_prefix(TAIL)?.parse().ok());
        match start {
            Some(start) if start < length => pieces.push(Piece {
                start,
                key: object.key.clone(),
            }),
            Some(_) => stale.push(object.key.clone()),
            None => {}
        }
    }
    pieces.sort_unstable_by_key(|piece| piece.start);
    (pieces, stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_belongs_to_one_part() {
        let mut state = State::new(100);
        assert_eq!((state.part_start(0), state.part_number(0)), (0, 1));
        assert_eq!((state.part_start(250), state.part_number(200)), (200, 3));
        state.head_bytes = 7;
        assert_eq!((state.part_start(7), state.part_number(7)), (7, 2));
        assert_eq!((state.part_start(106), state.part_number(7)), (7, 2));
        assert_eq!((state.part_start(107), state.part_number(107)), (107, 3));
    }

    #[test]
    fn pieces_behind_the_length_are_stale() {
        let found = |name: &str| Found {
            key: format!("p/{name}"),
            size_bytes: 1,
        };
        let beside = [10, 20, 30].map(|start| found(&piece_key("", start)));
        let (pieces, stale) = sort_pieces("p/", &beside, 20);
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].start, 10);
        assert_eq!(stale.len(), 2);
    }
}
