//! How an identity proves itself, and what Keystone gives it.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::catalog::Catalog;
use crate::settings::KeystoneSettings;
use crate::token::TokenInfo;

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
pub(crate) fn password_body(settings: &KeystoneSettings, trust_id: Option<&str>) -> Value {
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
