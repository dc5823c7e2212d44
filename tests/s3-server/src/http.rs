//! As much of HTTP/1.1 as the server, and a proxy before it, need.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A request or an answer.
#[derive(Debug, Default, Clone)]
pub struct Message {
    /// `GET /bucket/key HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub start: String,
    /// In their order.
    pub headers: Vec<(String, String)>,
    /// Without the marks of its chunks.
    pub body: Vec<u8>,
}

impl Message {
    /// Whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Of a request.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap()
    }

    /// What stands before and behind the question mark, decoded.
    pub fn target(&self) -> (String, Vec<(String, String)>) {
        let target = self.start.split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let pairs = pairs.map(|(key, value)| (decode(key), decode(value)));
        (decode(path), pairs.collect())
    }

    /// Sends the head, and this instead of its own body.
    pub fn write_to(&self, stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
        let mut head = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)
    }
}

/// Percent-encoding undone.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        match (first, more) {
            (b'%', [a, b, tail @ ..]) => {
                let hex = [*a, *b];
                let hex = std::str::from_utf8(&hex).unwrap();
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                rest = tail;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The head of the next message; none at the end of the connection.
pub fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Message>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut message = Message {
        start: line.trim_end().to_owned(),
        ..Message::default()
    };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(Some(message));
        };
        let header = (name.to_owned(), value.trim().to_owned());
        message.headers.push(header);
    }
}

/// Reads the body that the head announced; chunks are put together, and the head says so.
pub fn read_body(reader: &mut BufReader<TcpStream>, message: &mut Message) -> io::Result<()> {
    let is_chunked = message
        .header("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if !is_chunked {
        let length = message.header("content-length").unwrap_or("0");
        message.body = vec![0; length.parse().unwrap()];
        return reader.read_exact(&mut message.body);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk)?;
        chunk.truncate(length);
        if chunk.is_empty() {
            break;
        }
        message.body.extend(chunk);
    }
    let is_other = |name: &str| !name.eq_ignore_ascii_case("transfer-encoding");
    message.headers.retain(|(name, _)| is_other(name));
    let length = message.body.len().to_string();
    message.headers.push(("Content-Length".to_owned(), length));
    Ok(())
}

/// Who waits for it before sending a body is told to send it.
pub fn invite_body(stream: &mut TcpStream, request: &Message) -> io::Result<()> {
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    Ok(())
}
