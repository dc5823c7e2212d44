//! What a server's answer, or its silence, means to who uses a target.

use std::error::Error;
use std::io;

use agent_target::{ErrorKind, TargetError};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// For `map_err`: an error of the SDK while doing `operation` with `name`.
pub(crate) fn failed<'a, E>(
    operation: &'static str,
    name: &'a str,
) -> impl FnOnce(SdkError<E, HttpResponse>) -> TargetError + 'a
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    move |error| {
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
        let code = meta.and_then(|meta| meta.code());
        let kind = kind_of(status, code);
        let source: Box<dyn Error + Send + Sync> = match status {
            // What the SDK prints of an answer is its own words for it; the server's say more.
            Some(status) => {
                let code = code.unwrap_or("no code");
                let message = meta.and_then(|meta| meta.message()).unwrap_or("no message");
                format!("the server answered {status}, {code}: {message}").into()
            }
            None => Box::new(error),
        };
        TargetError {
            kind,
            operation,
            name: name.to_owned(),
            source: Some(source),
        }
    }
}

/// No status means that no answer came.
fn kind_of(status: Option<u16>, code: Option<&str>) -> ErrorKind {
    match code {
        // Not `NotFound`: nothing may be taken for deleted because its bucket is not there.
        Some("NoSuchBucket") => return ErrorKind::Unavailable,
        Some("NoSuchKey" | "NoSuchUpload" | "NoSuchVersion" | "NotFound") => {
            return ErrorKind::NotFound;
        }
        Some("QuotaExceeded" | "InsufficientStorage" | "XMinioStorageFull" | "StorageFull") => {
            return ErrorKind::Full;
        }
        // The bytes were changed or lost on the way to the server, which kept nothing of them.
        Some(
            "BadDigest"
            | "XAmzContentSHA256Mismatch"
            | "IncompleteBody"
            | "RequestTimeout"
            | "SlowDown"
            | "ServiceUnavailable"
            | "InternalError",
        ) => return ErrorKind::Unavailable,
        _ => {}
    }
    match status {
        None | Some(200..=299 | 408 | 429 | 500 | 502..=504) => ErrorKind::Unavailable,
        Some(404) => ErrorKind::NotFound,
        Some(401 | 403) => ErrorKind::Denied,
        Some(405) => ErrorKind::ReadOnly,
        // Swift answers 413 where a container's or an account's quota is used up.
        Some(413 | 507) => ErrorKind::Full,
        Some(_) => ErrorKind::Other,
    }
}

/// Whether the server says that it cannot do this at all.
pub(crate) fn is_unsupported<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let code = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code);
    matches!(status, Some(405 | 501))
        || matches!(
            code,
            Some("NotImplemented" | "MethodNotAllowed" | "MalformedXML")
        )
}

/// An error that has no deeper cause than `why`.
pub(crate) fn because(
    kind: ErrorKind,
    operation: &'static str,
    name: &str,
    why: impl Into<String>,
) -> TargetError {
    TargetError {
        kind,
        operation,
        name: name.to_owned(),
        source: Some(why.into().into()),
    }
}

/// An error that its kind explains.
pub(crate) fn bare(kind: ErrorKind, operation: &'static str, name: &str) -> TargetError {
    TargetError {
        kind,
        operation,
        name: name.to_owned(),
        source: None,
    }
}

/// Something that ends before it should.
pub(crate) fn past_the_end(name: &str) -> io::Error {
    let error = bare(ErrorKind::Corrupt, "read past the end of", name);
    io::Error::new(io::ErrorKind::UnexpectedEof, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_stays() {
        for status in [None, Some(429), Some(500), Some(503)] {
            assert!(kind_of(status, None).is_transient(), "{status:?}");
        }
        assert_eq!(
            kind_of(Some(403), Some("QuotaExceeded")),
            ErrorKind::Full,
            "the code says more than the status"
        );
        assert_eq!(kind_of(Some(403), Some("AccessDenied")), ErrorKind::Denied);
        assert_eq!(kind_of(Some(507), None), ErrorKind::Full);
        assert_eq!(kind_of(Some(404), Some("NoSuchKey")), ErrorKind::NotFound);
        assert_eq!(
            kind_of(Some(404), Some("NoSuchBucket")),
            ErrorKind::Unavailable
        );
        assert_eq!(kind_of(Some(400), Some("InvalidPart")), ErrorKind::Other);
    }
}
