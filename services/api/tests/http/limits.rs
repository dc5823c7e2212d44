//! Large and broken bodies.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::site::{MAX_BODY_BYTES, Site};

#[tokio::test]
async fn a_body_up_to_the_limit_is_read() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let workload = tenant.workload("daily", &[&server]).await;
    let below = format!("workloads/{workload}");
    let change = |length: usize| json!({"workload": {"description": "x".repeat(length)}});
    let envelope = change(0).to_string().len();
    tenant
        .put(&below, change(MAX_BODY_BYTES - envelope))
        .await
        .ok(202);
    let too_large = change(MAX_BODY_BYTES - envelope + 1);
    tenant
        .put(&below, too_large)
        .await
        .refused(413, "overLimit");
}

const HUNDRED_MB: usize = 100 * 1024 * 1024;

/// Sends as a client that does not listen until it has sent everything, or cannot any more.
fn send_all(address: &str, head: &str, chunk: &[u8]) -> (String, usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut sent = 0;
    while sent < HUNDRED_MB {
        match stream.write(chunk) {
            Ok(bytes) => sent += bytes,
            Err(_) => break,
        }
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..bytes]);
    }
    (String::from_utf8_lossy(&answer).into_owned(), sent)
}

#[tokio::test]
async fn a_hundred_megabytes_are_refused_at_once_and_not_read() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let path = tenant.path("workloads");
    let token = tenant.token.clone().unwrap();
    let address = site.url.trim_start_matches("http://").to_owned();
    let lengths = [
        format!("Content-Length: {HUNDRED_MB}"),
        "Transfer-Encoding: chunked".to_owned(),
    ];
    for length in lengths {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nX-Auth-Token: {token}\r\n{length}\r\n\r\n"
        );
        // As a chunk it is 1 MiB; as plain bytes it is just bytes.
        let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
        let begun = Instant::now();
        let to = address.clone();
        let (answer, sent) = tokio::task::spawn_blocking(move || send_all(&to, &head, &chunk))
            .await
            .unwrap();
        assert!(sent < HUNDRED_MB, "all of it was read");
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
            "{answer}"
        );
    }
    tenant.get("workloads").await.ok(200);
}

#[tokio::test]
async fn a_client_that_listens_gets_the_refusal_before_it_has_sent_the_body() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let path = tenant.path("workloads");
    let token = tenant.token.clone().unwrap();
    let address = site.url.trim_start_matches("http://").to_owned();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nX-Auth-Token: {token}\r\nContent-Length: {HUNDRED_MB}\r\n\r\n"
    );
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut buffer = [0; 4096];
        let bytes = stream.read(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..bytes]).into_owned()
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("overLimit"), "{answer}");
}
