//! Are the tokens that others send us good? Asked of Keystone by our own session, and remembered.
//!
//! | answer | remembered |
//! |---|---|
//! | good | until 60 s after the question was sent, or the token's end if that is sooner |
//! | bad | 5 s |
//! | no answer | never |
//!
//! Tokens are kept as keyed hashes, with a key of this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use moka::Expiry;
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{KeystoneError, KeystoneErrorKind as Kind};
use crate::request::{Method, Request, Service};
use crate::retry::RetryPolicy;
use crate::session::{Keystone, Session};
use crate::token::{TokenEnvelope, TokenInfo};

/// A token that Keystone revoked is taken for good this long at most.
pub const LONGEST_TOKEN_AGE: Duration = Duration::from_secs(60);
const REFUSAL_AGE: Duration = Duration::from_secs(5);
const MOST_ENTRIES: u64 = 10_000;
/// Fernet tokens have about 250 bytes; more than this is somebody trying something.
const LONGEST_TOKEN: usize = 8 * 1024;
/// Somebody waits for the answer.
const PATIENCE: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_millis(100),
    longest_delay: Duration::from_secs(1),
    overall: Duration::from_secs(3),
};

type TokenHash = [u8; blake3::OUT_LEN];

#[derive(Clone)]
struct Verdict {
    info: Option<Arc<TokenInfo>>,
    lifetime: Duration,
}

struct ByVerdict;

impl Expiry<TokenHash, Verdict> for ByVerdict {
    fn expire_after_create(
        &self,
        _: &TokenHash,
        verdict: &Verdict,
        _: Instant,
    ) -> Option<Duration> {
        Some(verdict.lifetime)
    }
}

/// Validates tokens of incoming requests.
pub struct TokenValidator {
    session: Session,
    hash_key: TokenHash,
    max_age: Duration,
    known: Cache<TokenHash, Verdict>,
}

impl TokenValidator {
    /// `max_age` above [`LONGEST_TOKEN_AGE`] is cut to it. Sends nothing: Keystone may be down yet.
    pub fn new(keystone: &Keystone, max_age: Duration) -> Self {
        Self {
            session: keystone.service_session(),
            hash_key: fresh_hash_key(),
            max_age: max_age.min(LONGEST_TOKEN_AGE),
            known: Cache::builder()
                .max_capacity(MOST_ENTRIES)
                .expire_after(ByVerdict)
                .build(),
        }
    }

    /// Whom the token stands for; `None` where Keystone does not know it (any more). An error means
    /// that Keystone could not be asked: nobody is let in on that.
    pub async fn validate(
        &self,
        token: &SecretString,
    ) -> Result<Option<Arc<TokenInfo>>, Arc<KeystoneError>> {
        let text = token.expose_secret();
        if text.is_empty()
            || text.len() > LONGEST_TOKEN
            || !text.bytes().all(|b| b.is_ascii_graphic())
        {
            return Ok(None);
        }
        let hash = *blake3::keyed_hash(&self.hash_key, text.as_bytes()).as_bytes();
        let verdict = self.known.try_get_with(hash, self.ask(token)).await?;
        // The cache drops what is over in its own time; the token's end is sharp.
        Ok(verdict.info.filter(|info| info.expires_at > Utc::now()))
    }

    /// Where clients are told to get a token.
    pub fn keystone(&self) -> &Keystone {
        self.session.keystone()
    }

    async fn ask(&self, token: &SecretString) -> Result<Verdict, KeystoneError> {
        let operation = "validate a token";
        let asked_at = Instant::now();
        let request = Request::new(Method::GET, Service::Identity, &["auth", "tokens"])
            .query("nocatalog", "")
            .subject_token(token.clone());
        let answer = self.session.send_with_retries(&request, &PATIENCE).await?;
        match answer.status() {
            200 => {
                let info = answer
                    .json::<TokenEnvelope>()
                    .map_err(|e| {
                        KeystoneError::new(Kind::Broken, operation, "unexpected answer")
                            .with_source(e)
                    })?
                    .token
                    .into_info();
                let lifetime = self.max_age.saturating_sub(asked_at.elapsed());
                Ok(Verdict {
                    info: Some(Arc::new(info)),
                    lifetime,
                })
            }
            // 401 here is about our own token, not the one asked about.
            404 => Ok(Verdict {
                info: None,
                lifetime: REFUSAL_AGE.min(self.max_age),
            }),
            _ => Err(answer.into_keystone_error(operation)),
        }
    }
}

/// Two UUIDs' worth of the system's randomness.
fn fresh_hash_key() -> TokenHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(uuid::Uuid::new_v4().as_bytes());
    hasher.update(uuid::Uuid::new_v4().as_bytes());
    *hasher.finalize().as_bytes()
}
