//! Targets in a server of these tests.

use std::net::SocketAddr;
use std::time::Duration;

use agent_format::ObjectName;
use agent_target::Target;
use agent_target_s3::{S3Settings, S3Target};

use tests_s3_server::BUCKET;

pub(crate) const MIB: usize = 1 << 20;

pub(crate) fn settings(address: SocketAddr) -> S3Settings {
    S3Settings {
        endpoint_url: Some(format!("http://{address}")),
        prefix: "cloud/backups".to_owned(),
        largest_part_bytes: 5 << 20,
        parts_in_flight: 3,
        request_timeout: Duration::from_secs(2),
        ..S3Settings::new(BUCKET, "key", "secret".to_owned().into())
    }
}

pub(crate) fn target(address: SocketAddr) -> S3Target {
    S3Target::new(settings(address)).unwrap()
}

pub(crate) fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

/// Bytes that differ everywhere, so that nothing in the wrong place goes unnoticed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

/// The whole object, read as images are.
pub(crate) fn content(target: &S3Target, object: &ObjectName) -> Vec<u8> {
    let image = target.open_image(object).unwrap();
    let mut bytes = vec![0; usize::try_from(image.size_bytes()).unwrap()];
    image.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}
