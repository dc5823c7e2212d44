//! One request of Keystone v3: a token, and the catalog that comes with it.

use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::error::LoginError;

/// A domain, as given.
#[derive(Debug, Clone)]
pub(crate) enum Domain {
    Id(String),
    Name(String),
}

/// A project, as given.
#[derive(Debug, Clone)]
pub(crate) enum Project {
    Id(String),
    Name(String, Domain),
}

/// A user, as given.
#[derive(Debug, Clone)]
pub(crate) enum User {
    Id(String),
    Name(String, Domain),
}

/// How we prove who we are.
#[derive(Debug)]
pub(crate) enum Identity {
    Password {
        user: User,
        password: SecretString,
    },
    Token(SecretString),
    ApplicationCredential {
        id: String,
        secret: SecretString,
    },
    NamedApplicationCredential {
        name: String,
        user: User,
        secret: SecretString,
    },
}

/// A service of the catalog.
#[derive(Debug, Deserialize)]
pub(crate) struct Service {
    #[serde(rename = "type", default)]
    pub(crate) service_type: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) endpoints: Vec<Endpoint>,
}

/// One of its URLs.
#[derive(Debug, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) interface: String,
    pub(crate) url: String,
    pub(crate) region: Option<String>,
}

/// What a login brings.
pub(crate) struct Token {
    pub(crate) secret: SecretString,
    /// None where the login is not for a project.
    pub(crate) project_id: Option<String>,
    pub(crate) catalog: Vec<Service>,
}

/// Asks for a token.
pub(crate) async fn token(
    http: &Client,
    auth_url: &Url,
    identity: &Identity,
    project: Option<&Project>,
) -> Result<Token, LoginError> {
    let unreachable = |source| LoginError::Unreachable {
        url: auth_url.to_string(),
        source,
    };
    let answer = http
        .post(format!("{auth_url}/auth/tokens"))
        .json(&request(identity, project))
        .send()
        .await
        .map_err(|error| unreachable(Box::new(error.without_url())))?;
    let status = answer.status();
    let subject = answer
        .headers()
        .get("x-subject-token")
        .and_then(|value| value.to_str().ok());
    let secret = subject.map(SecretString::from);
    let body = answer
        .bytes()
        .await
        .map_err(|error| unreachable(Box::new(error.without_url())))?;
    match (status, secret) {
        (StatusCode::CREATED, Some(secret)) => {
            let body: Created = serde_json::from_slice(&body)
                .map_err(|_| LoginError::NotKeystone(auth_url.to_string()))?;
            Ok(Token {
                secret,
                project_id: body.token.project.map(|project| project.id),
                catalog: body.token.catalog,
            })
        }
        _ => Err(refusal(auth_url, status, &body)),
    }
}

fn refusal(auth_url: &Url, status: StatusCode, body: &[u8]) -> LoginError {
    let url = auth_url.to_string();
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match body.pointer("/error/message").and_then(Value::as_str) {
        Some(reason) => LoginError::Refused {
            url,
            reason: reason.to_owned(),
        },
        None if status.is_server_error() => LoginError::Refused {
            url,
            reason: status.to_string(),
        },
        None => LoginError::NotKeystone(url),
    }
}

/// An application credential is for one project by itself: it is refused with a scope.
fn request(identity: &Identity, project: Option<&Project>) -> Value {
    let (method, proof, may_scope) = match identity {
        Identity::Password { user, password } => {
            let mut user = user_object(user);
            set(&mut user, "password", password.expose_secret());
            ("password", json!({ "user": user }), true)
        }
        Identity::Token(token) => ("token", json!({ "id": token.expose_secret() }), true),
        Identity::ApplicationCredential { id, secret } => {
            let proof = json!({ "id": id, "secret": secret.expose_secret() });
            ("application_credential", proof, false)
        }
        Identity::NamedApplicationCredential { name, user, secret } => {
            let (user, secret) = (user_object(user), secret.expose_secret());
            let proof = json!({ "name": name, "user": user, "secret": secret });
            ("application_credential", proof, false)
        }
    };
    let mut auth = json!({ "identity": { "methods": [method], method: proof } });
    if let (Some(project), Some(auth), true) = (project, auth.as_object_mut(), may_scope) {
        auth.insert(
            "scope".to_owned(),
            json!({ "project": project_object(project) }),
        );
    }
    json!({ "auth": auth })
}

fn set(object: &mut Value, key: &str, value: &str) {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), Value::String(value.to_owned()));
    }
}

fn domain_object(domain: &Domain) -> Value {
    match domain {
        Domain::Id(id) => json!({ "id": id }),
        Domain::Name(name) => json!({ "name": name }),
    }
}

fn user_object(user: &User) -> Value {
    match user {
        User::Id(id) => json!({ "id": id }),
        User::Name(name, domain) => json!({ "name": name, "domain": domain_object(domain) }),
    }
}

fn project_object(project: &Project) -> Value {
    match project {
        Project::Id(id) => json!({ "id": id }),
        Project::Name(name, domain) => json!({ "name": name, "domain": domain_object(domain) }),
    }
}

#[derive(Deserialize)]
struct Created {
    token: Body,
}

#[derive(Deserialize)]
struct Body {
    project: Option<ProjectBody>,
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Deserialize)]
struct ProjectBody {
    id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_credential_by_name_names_its_user() {
        let identity = Identity::NamedApplicationCredential {
            name: "ci".into(),
            user: User::Name("demo".into(), Domain::Id("default".into())),
            secret: "s".into(),
        };
        assert_eq!(
            request(&identity, Some(&Project::Id("p".into()))),
            json!({"auth": {"identity": {"methods": ["application_credential"],
                "application_credential": {"name": "ci", "secret": "s",
                    "user": {"name": "demo", "domain": {"id": "default"}}}}}})
        );
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        let identity = Identity::Password {
            user: User::Id("u".into()),
            password: "secret-word".into(),
        };
        assert!(!format!("{identity:?}").contains("secret-word"));
    }
}
