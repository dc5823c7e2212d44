//! The parsers on recorded bytes, without a socket: for fuzzing and for samples of hostile servers.

use std::io;

use super::{
    error::{Fault, NbdError},
    export::Export,
    handshake::negotiate,
    pending::{Pending, Reply},
    protocol::Operation,
    reply::receive,
};

/// What the client makes of a server that sends `bytes` during the handshake.
pub fn replay_handshake(
    mut bytes: &[u8],
    export_name: &str,
    contexts: &[String],
) -> Result<Export, NbdError> {
    negotiate(&mut bytes, &mut io::sink(), export_name, contexts)
}

/// What the client makes of a server that sends `bytes` to requests with the cookies 0, 1, 2...;
/// the answers in that order, `None` where there is none. Fails with what ends the connection, and
/// with nothing when the bytes ended between two messages.
pub fn replay_replies(
    requests: &[Operation],
    structured: bool,
    mut bytes: &[u8],
) -> Result<Vec<Option<Result<Reply, NbdError>>>, String> {
    let mut pending = Pending::default();
    for (cookie, operation) in (0..).zip(requests) {
        pending.insert(cookie, *operation);
    }
    while !bytes.is_empty() {
        receive(&mut bytes, &mut pending, structured).map_err(|fault| match fault {
            Fault::Io(error) => error.to_string(),
            Fault::Protocol(problem) => problem,
        })?;
    }
    let answers = (0..)
        .zip(requests)
        .map(|(cookie, _)| pending.take_finished(cookie));
    Ok(answers.collect())
}
