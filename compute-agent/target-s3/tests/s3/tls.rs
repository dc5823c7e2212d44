//! An encrypted way to the server, and whose word is taken for who it is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use agent_target::{ErrorKind, Target};
use agent_target_s3::{S3Settings, S3Target, SettingsError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::site::{name, settings};
use tests_s3_server::{Habits, Server};

/// What stands before a server that speaks plainly.
struct Front {
    address: SocketAddr,
    ca_file: PathBuf,
    _folder: TempDir,
    _runtime: Runtime,
}

impl Front {
    fn before(server: &Server) -> Self {
        let authority = authority();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, authority.pem()).unwrap();
        let acceptor = acceptor(&authority);
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let behind = server.address;
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Who does not trust us ends it here.
                    let Ok(mut outer) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut inner = TcpStream::connect(behind).await.unwrap();
                    let _either_may_end_it = copy_bidirectional(&mut outer, &mut inner).await;
                });
            }
        });
        Self {
            address,
            ca_file,
            _folder: folder,
            _runtime: runtime,
        }
    }

    fn settings(&self, ca_file: Option<PathBuf>) -> S3Settings {
        S3Settings {
            endpoint_url: Some(format!("https://{}", self.address)),
            ca_file,
            ..settings(self.address)
        }
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Shows a certificate for this host, by the authority.
fn acceptor(authority: &CertifiedIssuer<'_, KeyPair>) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let shown = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![shown.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[test]
fn an_authority_of_the_settings_is_trusted() {
    let server = Server::start(Habits::default());
    let front = Front::before(&server);
    let target = S3Target::new(front.settings(Some(front.ca_file.clone()))).unwrap();
    target.put_object(&name("w/o"), b"encrypted").unwrap();
    assert_eq!(target.get_object(&name("w/o"), 100).unwrap(), b"encrypted");
}

#[test]
fn a_server_that_nobody_vouches_for_gets_nothing() {
    let server = Server::start(Habits::default());
    let (front, other) = (Front::before(&server), Front::before(&server));
    for ca_file in [None, Some(other.ca_file.clone())] {
        let target = S3Target::new(front.settings(ca_file)).unwrap();
        let error = target.put_object(&name("w/o"), b"secret").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
        let told = format!("{error:?}");
        assert!(told.to_lowercase().contains("certificate"), "{told}");
    }
}

fn refused(settings: S3Settings) -> SettingsError {
    S3Target::new(settings).map(|_| ()).unwrap_err()
}

#[test]
fn a_file_without_authorities_is_refused_by_its_key() {
    let server = Server::start(Habits::default());
    let front = Front::before(&server);
    let missing = front.ca_file.with_file_name("missing.pem");
    let error = refused(front.settings(Some(missing)));
    assert_eq!(error.key, "ca_file");
    assert!(error.why.contains("missing.pem"), "{}", error.why);
    let empty = front.ca_file.with_file_name("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    let error = refused(front.settings(Some(empty)));
    assert!(error.why.contains("empty.pem"), "{}", error.why);
}
