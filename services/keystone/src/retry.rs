//! Sends again what is safe to send again.
//!
//! Safe: what certainly did not reach the service; what the service says it did not take on (429,
//! 503 with Retry-After); what may be done twice (GET, PUT, DELETE, or marked so), when there was no
//! answer or a 5xx. A log-in that fails for want of Keystone counts as "did not reach".

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::error::{KeystoneError, KeystoneErrorKind};
use crate::request::{Answer, Request};
use crate::session::Session;

/// How long to go on trying.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Before the second attempt; doubles from there.
    pub first_delay: Duration,
    /// No delay is longer, unless the service asks for more.
    pub longest_delay: Duration,
    /// No attempt begins later than this after the first.
    pub overall: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(8),
            overall: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// One attempt.
    pub const NEVER: Self = Self {
        first_delay: Duration::ZERO,
        longest_delay: Duration::ZERO,
        overall: Duration::ZERO,
    };
}

enum Verdict {
    Final,
    Again { at_least: Option<Duration> },
}

fn judge(request: &Request, result: &Result<Answer, KeystoneError>) -> Verdict {
    let again = |at_least| Verdict::Again { at_least };
    match result {
        Err(error) if error.kind() != KeystoneErrorKind::Unreachable => Verdict::Final,
        Err(error) if error.is_unsent() || request.is_repeatable => again(None),
        Err(_) => Verdict::Final,
        Ok(answer) => match (answer.status(), answer.retry_after) {
            (429, wait) => again(wait),
            (503, Some(wait)) => again(Some(wait)),
            (408 | 500 | 502 | 503 | 504, wait) if request.is_repeatable => again(wait),
            _ => Verdict::Final,
        },
    }
}

impl Session {
    /// Sends a request, and again where that is safe, within the policy's limit. The last answer or
    /// error is given back. A DELETE that finds nothing at a later attempt counts as done by the
    /// earlier one whose answer was lost: it is answered 204.
    pub async fn send_with_retries(
        &self,
        request: &Request,
        policy: &RetryPolicy,
    ) -> Result<Answer, KeystoneError> {
        let begun = Instant::now();
        let mut delay = policy.first_delay;
        let mut attempt = 1_u32;
        loop {
            let result = self.send(request).await;
            let Verdict::Again { at_least } = judge(request, &result) else {
                return result.map(|answer| answer.or_already_deleted(request, attempt));
            };
            let wait = at_least.unwrap_or(delay);
            if begun.elapsed() + wait >= policy.overall {
                return result;
            }
            debug!(request = %request.describe(), attempt, wait_ms = wait.as_millis(), "Trying again");
            sleep(wait).await;
            delay = (delay * 2).min(policy.longest_delay);
            attempt += 1;
        }
    }
}

impl Answer {
    fn or_already_deleted(mut self, request: &Request, attempt: u32) -> Self {
        if attempt > 1 && request.is_delete() && self.status() == 404 {
            self.status = reqwest::StatusCode::NO_CONTENT;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Method, Service};

    fn answer(status: u16, retry_after: Option<u64>) -> Result<Answer, KeystoneError> {
        Ok(Answer {
            status: reqwest::StatusCode::from_u16(status).unwrap(),
            retry_after: retry_after.map(Duration::from_secs),
            request_id: None,
            subject_token: None,
            body: bytes::Bytes::new(),
        })
    }

    fn is_again(request: &Request, result: &Result<Answer, KeystoneError>) -> bool {
        matches!(judge(request, result), Verdict::Again { .. })
    }

    #[test]
    fn a_post_is_sent_again_only_when_it_was_certainly_not_taken_on() {
        let post = Request::new(Method::POST, Service::Compute, &["servers"]);
        for (status, retry_after, expected) in [
            (202, None, false),
            (400, None, false),
            (409, None, false),
            (429, None, true),
            (500, None, false),
            (502, None, false),
            (503, None, false),
            (503, Some(1), true),
            (504, None, false),
        ] {
            assert_eq!(
                is_again(&post, &answer(status, retry_after)),
                expected,
                "{status}"
            );
        }
        let unreachable = || KeystoneError::new(KeystoneErrorKind::Unreachable, "POST", "cut");
        assert!(!is_again(&post, &Err(unreachable())));
        assert!(is_again(&post, &Err(unreachable().unsent())));
    }

    #[test]
    fn reading_is_repeated_after_every_transient_failure_and_no_other() {
        let get = Request::new(Method::GET, Service::Compute, &["servers"]);
        for status in [429, 500, 502, 503, 504] {
            assert!(is_again(&get, &answer(status, None)), "{status}");
        }
        for status in [200, 400, 401, 403, 404, 409, 501] {
            assert!(!is_again(&get, &answer(status, None)), "{status}");
        }
        let error = KeystoneError::new(KeystoneErrorKind::TrustLost, "log in", "gone");
        assert!(!is_again(&get, &Err(error)));
    }
}
