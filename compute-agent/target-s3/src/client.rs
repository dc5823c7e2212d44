//! The SDK's client: credentials, timeouts and retries.

use std::fs;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction, RetryConfig};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;

use crate::settings::{S3Settings, SettingsError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// A transfer that is slower than this is taken for one that hangs.
const SLOWEST_BYTES_PER_SECOND: u64 = 512 << 10;

pub(crate) fn connect(settings: &S3Settings) -> Result<Client, SettingsError> {
    let secret = settings.secret_access_key.expose_secret();
    let credentials =
        Credentials::new(&settings.access_key_id, secret, None, None, "configuration");
    let retries = RetryConfig::standard()
        .with_max_attempts(settings.attempts.max(1))
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(LONGEST_BACKOFF);
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .credentials_provider(credentials)
        .force_path_style(settings.path_style)
        // Bodies are signed, so their SHA-256 goes with them; trailers with checksums are refused by
        // servers that are not Amazon's.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(retries)
        .retry_classifier(Busy)
        .timeout_config(timeouts(settings, 0))
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .grace_period(settings.request_timeout)
                .build(),
        );
    if let Some(url) = &settings.endpoint_url {
        config = config.endpoint_url(url);
    }
    if let Some(file) = &settings.ca_file {
        let unusable = |why: String| SettingsError {
            key: "ca_file",
            why,
        };
        let pem = fs::read(file).map_err(|e| unusable(format!("{}: {e}", file.display())))?;
        // The builder takes a file without any, and trusts nobody then.
        let mut authorities = CertificateDer::pem_slice_iter(&pem);
        if authorities.next().is_none_or(|first| first.is_err()) {
            let why = format!("{} holds no certificate in PEM", file.display());
            return Err(unusable(why));
        }
        let context = TlsContext::builder()
            .with_trust_store(TrustStore::empty().with_pem_certificate(pem))
            .build()
            .map_err(|e| unusable(format!("{}: {e}", file.display())))?;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context)
            .build_https();
        config = config.http_client(http);
    }
    Ok(Client::from_conf(config.build()))
}

/// For a request that carries `bytes` either way.
pub(crate) fn timeouts(settings: &S3Settings, bytes: u64) -> TimeoutConfig {
    let sending = Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND);
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(settings.request_timeout))
        .read_timeout(settings.request_timeout + sending)
        .build()
}

/// How long to wait before the attempt after `failed` ones: longer each time, by chance, so that all
/// who were sent away do not come back at once.
pub(crate) fn backoff(failed: u32) -> Duration {
    let longest = FIRST_BACKOFF
        .saturating_mul(1 << failed.min(16))
        .min(LONGEST_BACKOFF);
    longest.mul_f64(fastrand::f64())
}

/// What the SDK's own rules leave out: busy servers that say so without a code that it knows, and
/// bodies that did not arrive whole.
#[derive(Debug)]
struct Busy;

impl ClassifyRetry for Busy {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let answer = context.response();
        match answer.map(|answer| answer.status().as_u16()) {
            Some(429) => RetryAction::throttling_error(),
            Some(408) => RetryAction::transient_error(),
            Some(400) => {
                let body = answer.and_then(|answer| answer.body().bytes());
                let text = body.map(String::from_utf8_lossy).unwrap_or_default();
                let lost = ["BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"];
                if lost.iter().any(|code| text.contains(code)) {
                    RetryAction::transient_error()
                } else {
                    RetryAction::NoActionIndicated
                }
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "busy servers"
    }
}
