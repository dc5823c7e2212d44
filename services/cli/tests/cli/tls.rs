//! HTTPS with a private CA.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use crate::stub::Stub;
use crate::workloadmgr::{run, succeed};

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    let output = command
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// `ca.pem`, and a server's certificate that it has signed.
fn certificates(folder: &Path) -> ServerConfig {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        folder,
        &format!("req -x509 {KEY} -keyout ca.key -out ca.pem -days 2 -subj /CN=ca"),
    );
    openssl(
        folder,
        &format!("req {KEY} -keyout server.key -out server.csr -subj /CN=server"),
    );
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial";
    openssl(
        folder,
        &format!("{sign} -out server.pem -days 2 -extfile names"),
    );
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

#[test]
fn an_unknown_ca_is_refused_unless_it_is_named_or_nothing_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let stub = Stub::start_tls(certificates(folder.path()));
    stub.on("GET /workloads", 200, &json!({"workloads": []}));
    let ended = run(&stub, &["workload-list"]);
    assert_eq!(ended.code, 3);
    assert!(ended.stderr.contains("certificate"), "{}", ended.stderr);
    let ca = folder.path().join("ca.pem");
    succeed(
        &stub,
        &["workload-list", "--os-cacert", ca.to_str().unwrap()],
    );
    succeed(&stub, &["--insecure", "workload-list"]);
    let key = folder.path().join("ca.key");
    let ended = run(
        &stub,
        &["workload-list", "--os-cacert", key.to_str().unwrap()],
    );
    assert_eq!(ended.code, 3);
    assert!(
        ended.stderr.contains("there is none in it"),
        "{}",
        ended.stderr
    );
}
