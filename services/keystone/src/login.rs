//! How an identity proves itself, and what Keystone gives it.

use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::catalog::Catalog;
use crate::error::{KeystoneError, KeystoneErrorKind as Kind};
use crate::exchange::{AUTH_TOKEN, SUBJECT_TOKEN, append_segments, exchange, secret_header};
use crate::request::Answer;
use crate::session::Keystone;
use crate::settings::KeystoneSettings;
use crate::token::{TokenEnvelope, TokenInfo};

/// Whose token a session uses.
pub(crate) enum Login {
    /// Our user, in its project.
    Password,
    /// Our user, as the trustor of this trust.
    Trust(String),
    /// Whoever this token was given to; it cannot be renewed.
    Token(SecretString),
}

/// A token, what it stands for, and the services that it is good for.
pub(crate) struct Issued {
    pub(crate) token: SecretString,
    pub(crate) info: TokenInfo,
    pub(crate) catalog: Catalog,
}

/// The body of `POST /v3/auth/tokens`.
fn password_body(settings: &KeystoneSettings, trust_id: Option<&str>) -> Value {
    let scope = match trust_id {
        Some(id) => json!({ "OS-TRUST:trust": { "id": id } }),
        None => json!({ "project": {
            "name": settings.project_name,
            "domain": { "name": settings.project_domain_name },
        } }),
    };
    json!({ "auth": {
        "identity": {
            "methods": ["password"],
            "password": { "user": {
                "name": settings.username,
                "domain": { "name": settings.user_domain_name },
                "password": settings.password.expose_secret(),
            } },
        },
        "scope": scope,
    } })
}

impl Keystone {
    pub(crate) async fn log_in_by_password(&self) -> Result<Issued, KeystoneError> {
        let operation = format!("log in to Keystone as {}", self.settings.username);
        let body = password_body(&self.settings, None);
        self.post_login(&body, &operation)
            .await?
            .map_err(|refused| refused.into_keystone_error(operation))
    }

    pub(crate) async fn log_in_by_trust(&self, trust_id: &str) -> Result<Issued, KeystoneError> {
        let operation = format!("log in to Keystone by trust {trust_id}");
        let body = password_body(&self.settings, Some(trust_id));
        let refused = match self.post_login(&body, &operation).await? {
            Ok(issued) => return Ok(issued),
            Err(refused) => refused.into_keystone_error(operation),
        };
        // Keystone hides from who is not logged in whether the trust or the password is wrong.
        match refused.kind() {
            Kind::Unauthorized | Kind::Forbidden | Kind::NotFound => {
                self.log_in_by_password().await?;
                let message = "the trust is gone, or its trustor is disabled or has lost a role";
                let operation = format!("log in to Keystone by trust {trust_id}");
                Err(KeystoneError::new(Kind::TrustLost, operation, message).with_source(refused))
            }
            _ => Err(refused),
        }
    }

    pub(crate) async fn look_up_own_token(
        &self,
        token: &SecretString,
    ) -> Result<Issued, KeystoneError> {
        let operation = "look up the caller's token";
        let secret = secret_header(token)?;
        let headers = HeaderMap::from_iter([(AUTH_TOKEN, secret.clone()), (SUBJECT_TOKEN, secret)]);
        let answer = exchange(self.http.get(self.tokens_url()).headers(headers), operation).await?;
        if answer.is_success() {
            issued_from(&answer, token.clone(), operation)
        } else {
            Err(answer.into_keystone_error(operation))
        }
    }

    async fn post_login(
        &self,
        body: &serde_json::Value,
        operation: &str,
    ) -> Result<Result<Issued, Answer>, KeystoneError> {
        let answer = exchange(self.http.post(self.tokens_url()).json(body), operation).await?;
        match (answer.is_success(), answer.subject_token.clone()) {
            (false, _) => Ok(Err(answer)),
            (true, Some(token)) => issued_from(&answer, token, operation).map(Ok),
            (true, None) => Err(KeystoneError::new(
                Kind::Broken,
                operation,
                "the answer holds no token",
            )),
        }
    }

    fn tokens_url(&self) -> Url {
        let mut url = self.settings.identity_url();
        append_segments(&mut url, &["auth", "tokens"]);
        url
    }
}

fn issued_from(
    answer: &Answer,
    token: SecretString,
    operation: &str,
) -> Result<Issued, KeystoneError> {
    let mut body = answer
        .json::<TokenEnvelope>()
        .map_err(|e| {
            KeystoneError::new(Kind::Broken, operation, "unexpected answer").with_source(e)
        })?
        .token;
    let catalog = Catalog::new(std::mem::take(&mut body.catalog));
    Ok(Issued {
        token,
        info: body.into_info(),
        catalog,
    })
}
