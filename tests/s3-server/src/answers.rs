//! Pieces of requests and answers.

use std::fmt::Write as _;

use md5::{Digest, Md5};

use crate::http::Message;

pub(crate) fn between<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    let pieces = text.split(from).skip(1);
    pieces
        .map(|piece| piece.split(to).next().unwrap())
        .collect()
}

/// `bytes=3-7`.
pub(crate) fn bytes_of(range: &str) -> (usize, usize) {
    let (from, to) = range.trim_start_matches("bytes=").split_once('-').unwrap();
    (from.parse().unwrap(), to.parse().unwrap())
}

pub(crate) fn tag(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in Md5::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text + "\""
}

pub(crate) fn empty(status: u16) -> Message {
    Message {
        start: format!("HTTP/1.1 {status} So"),
        ..Message::default()
    }
}

pub(crate) fn with(mut answer: Message, name: &str, value: &str) -> Message {
    answer.headers.push((name.to_owned(), value.to_owned()));
    answer
}

pub(crate) fn xml(text: String) -> Message {
    Message {
        body: text.into_bytes(),
        ..empty(200)
    }
}

/// What S3 says of a failure.
pub fn error(status: u16, code: &str) -> Message {
    let text = format!("<Error><Code>{code}</Code><Message>of a test</Message></Error>");
    Message {
        body: text.into_bytes(),
        ..empty(status)
    }
}
