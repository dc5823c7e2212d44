//! Large and broken bodies.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::site::{MAX_BODY_BYTES, Site, User};

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
const MIB: usize = 1024 * 1024;

/// How a client says how long its body is, and one MiB of it.
fn framings() -> [(String, Vec<u8>); 2] {
    let blanks = vec![b' '; MIB];
    let chunk = [b"100000\r\n".as_slice(), &blanks, b"\r\n"].concat();
    [
        (format!("Content-Length: {HUNDRED_MB}"), blanks),
        ("Transfer-Encoding: chunked".to_owned(), chunk),
    ]
}

fn head(user: &User<'_>, framing: &str) -> String {
    let (path, token) = (user.path("workloads"), user.token.clone().unwrap());
    format!("POST {path} HTTP/1.1\r\nHost: api\r\nX-Auth-Token: {token}\r\n{framing}\r\n\r\n")
}

fn connect(user: &User<'_>) -> TcpStream {
    let address = user.site.url.trim_start_matches("http://");
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn first_answer(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 4096];
    let bytes = stream.read(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..bytes]).into_owned()
}

#[tokio::test]
async fn a_client_that_listens_gets_the_refusal_long_before_it_has_sent_a_hundred_megabytes() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    for (framing, mib) in framings() {
        let (mut stream, head) = (connect(&tenant), head(&tenant, &framing));
        let answer = tokio::task::spawn_blocking(move || {
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&mib).unwrap();
            first_answer(&mut stream)
        });
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{framing}: {answer}");
        assert!(answer.contains("overLimit"), "{framing}: {answer}");
    }
}

/// Nothing of the body is kept, but a connection closed under a client that still sends would lose it
/// the answer.
#[tokio::test]
async fn a_client_that_sends_all_before_it_listens_still_gets_the_refusal() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    for (framing, mib) in framings() {
        let (mut stream, head) = (connect(&tenant), head(&tenant, &framing));
        let answer = tokio::task::spawn_blocking(move || {
            stream.write_all(head.as_bytes()).unwrap();
            for _ in 0..HUNDRED_MB / MIB {
                stream.write_all(&mib).unwrap();
            }
            first_answer(&mut stream)
        });
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{framing}: {answer}");
    }
    tenant.get("workloads").await.ok(200);
}
