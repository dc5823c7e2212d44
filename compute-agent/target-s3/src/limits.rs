//! How many parts the server takes.

use std::sync::{Mutex, PoisonError};

use agent_target::{ErrorKind, Result};
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use serde_json::Value;

use crate::bucket::Bucket;
use crate::error::{because, failed};

/// What Amazon takes, and nearly all others.
const USUAL: u64 = 10_000;
/// What Swift takes unless it says something else.
const SWIFT: u64 = 1_000;
const LARGEST_ANSWER: u64 = 1 << 20;
const MIB: u64 = 1 << 20;
/// Smaller parts cost more requests than they save memory.
const COMFORTABLE_PART_BYTES: u64 = 16 * MIB;

/// Asked once.
#[derive(Debug, Default)]
pub(crate) struct PartLimit(Mutex<Option<u64>>);

impl PartLimit {
    pub(crate) fn known(&self) -> Option<u64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the server if it has not been asked yet.
    pub(crate) async fn get(&self, bucket: &Bucket) -> Result<u64> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let limit = bucket.largest_part_number().await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(limit);
        Ok(limit)
    }
}

/// How large the parts of an object of at most `bound` bytes are; an error if they would be larger
/// than `largest`.
pub(crate) fn plan_parts(
    name: &str,
    bound: Option<u64>,
    largest: u64,
    part_limit: u64,
) -> Result<u64> {
    let Some(bound) = bound else {
        return Ok(largest);
    };
    // The first part is the head's.
    let least = bound.div_ceil(part_limit - 1).next_multiple_of(MIB);
    if least > largest {
        let why = format!(
            "it may grow to {bound} bytes and the server takes {part_limit} parts: part_size_mib \
             would have to be at least {}, it is {}",
            least / MIB,
            largest / MIB
        );
        return Err(because(ErrorKind::Other, "begin image", name, why));
    }
    Ok(least.max(COMFORTABLE_PART_BYTES.min(largest)))
}

impl Bucket {
    /// Swift tells it to everyone, without a signature, at a path that other servers take for a bucket
    /// that we may not see.
    async fn largest_part_number(&self) -> Result<u64> {
        let operation = "ask for the limits of";
        let Some(endpoint) = self.settings.endpoint_url.clone() else {
            return Ok(USUAL);
        };
        let url = format!("{}/info", endpoint.trim_end_matches('/'));
        let asked = self.client.get_object().bucket(self.name()).key("info");
        let answer = asked.customize().interceptor(Plain { url }).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let is_swift = error
                    .raw_response()
                    .is_some_and(|answer| answer.headers().get("x-trans-id").is_some());
                let has_answered = error.raw_response().is_some();
                let error = failed(operation, &endpoint)(error);
                return match error.kind {
                    ErrorKind::Unavailable if !has_answered => Err(error),
                    _ if is_swift => Ok(SWIFT),
                    _ => Ok(USUAL),
                };
            }
        };
        let is_small = answer
            .content_length
            .and_then(|length| u64::try_from(length).ok())
            .is_some_and(|length| length <= LARGEST_ANSWER);
        if !is_small {
            return Ok(USUAL);
        }
        let body = answer.body.collect().await.map_err(|e| {
            let why = format!("the answer did not come whole: {e}");
            because(ErrorKind::Unavailable, operation, &endpoint, why)
        })?;
        Ok(said_in(&body.to_vec()))
    }
}

/// A page that is not Swift's says nothing.
fn said_in(info: &[u8]) -> u64 {
    let Ok(info) = serde_json::from_slice::<Value>(info) else {
        return USUAL;
    };
    if info.get("swift").is_none() {
        return USUAL;
    }
    let limit = info.pointer("/s3api/max_upload_part_num");
    let limit = limit.and_then(Value::as_u64).filter(|limit| *limit > 1);
    limit.unwrap_or(SWIFT)
}

/// Sends the request to another address, without any sign of who we are.
#[derive(Debug)]
struct Plain {
    url: String,
}

impl Intercept for Plain {
    fn name(&self) -> &'static str {
        "plain request"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let request = context.request_mut();
        request.set_uri(self.url.clone())?;
        let headers = request.headers_mut();
        headers.remove("authorization");
        headers.remove("x-amz-date");
        headers.remove("x-amz-content-sha256");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swift_says_its_limit_and_others_have_the_usual_one() {
        let info = br#"{"swift": {}, "s3api": {"max_upload_part_num": 4000}}"#;
        assert_eq!(said_in(info), 4000);
        assert_eq!(said_in(br#"{"swift": {}}"#), 1000);
        assert_eq!(said_in(b"{}"), 10_000);
        assert_eq!(said_in(b"<html>"), 10_000);
    }

    #[test]
    fn parts_are_as_large_as_the_image_asks_for() {
        let plan = |bound| plan_parts("w/i", bound, 128 * MIB, 10_001);
        assert_eq!(plan(Some(1 << 30)).unwrap(), 16 * MIB);
        assert_eq!(plan(Some(10_000 * 100 * MIB)).unwrap(), 100 * MIB);
        assert_eq!(plan(Some(10_000 * 100 * MIB + 1)).unwrap(), 101 * MIB);
        assert_eq!(plan(None).unwrap(), 128 * MIB);
        assert_eq!(plan_parts("w/i", Some(1), 8 * MIB, 1000).unwrap(), 8 * MIB);
    }

    #[test]
    fn an_image_that_would_need_larger_parts_is_refused_with_the_number() {
        let error = plan_parts("w/i", Some(1 << 40), 128 * MIB, 1000).unwrap_err();
        let why = error.source.unwrap().to_string();
        assert!(why.contains("at least 1050, it is 128"), "{why}");
    }
}
