//! Requests and answers.

use std::time::Instant;

use clap::ArgMatches;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::error::ApiError;
use super::url::request_url;
use crate::output::{printable, write_stderr};
use crate::session::{CloudOptions, LoginError, Session, login};

/// The API of one project, logged in.
pub(crate) struct Api {
    session: Session,
    debug: bool,
}

impl Api {
    /// Logs in with the options of this command line.
    pub(crate) async fn connect(arguments: &ArgMatches) -> Result<Self, LoginError> {
        let session = login(&CloudOptions::new(arguments)).await?;
        let api = Self {
            session,
            debug: arguments.get_flag("debug"),
        };
        api.trace(|| {
            let Session {
                endpoint,
                project_id,
                ..
            } = &api.session;
            format!("logged in to project {project_id}; the API is at {endpoint}")
        });
        Ok(api)
    }

    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, ApiError> {
        self.send(Method::GET, path, query, None).await
    }

    pub(crate) async fn post(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        self.send(Method::POST, path, query, body).await
    }

    pub(crate) async fn put(&self, path: &[&str], body: &Value) -> Result<Value, ApiError> {
        self.send(Method::PUT, path, &[], Some(body)).await
    }

    pub(crate) async fn delete(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, ApiError> {
        self.send(Method::DELETE, path, query, None).await
    }

    /// The member `key` of an answer: every answer wraps its object in one.
    pub(crate) fn unwrap(&self, answer: Value, key: &'static str) -> Result<Value, ApiError> {
        match answer {
            Value::Object(mut object) => object.remove(key),
            _ => None,
        }
        .ok_or_else(|| ApiError::Lacks {
            key,
            url: self.session.endpoint.to_string(),
        })
    }

    /// An answer of null stands for an empty body. A token that has expired is renewed once.
    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let url = request_url(&self.session.endpoint, path, query);
        let mut answer = self.exchange(&method, &url, body).await?;
        if answer.0 == StatusCode::UNAUTHORIZED && self.session.renew().await? {
            self.trace(|| "logged in again".to_owned());
            answer = self.exchange(&method, &url, body).await?;
        }
        read(answer.0, &answer.1, &url)
    }

    async fn exchange(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Vec<u8>), ApiError> {
        self.trace(|| match body {
            Some(body) => format!("{method} {url} {body}"),
            None => format!("{method} {url}"),
        });
        let begin = Instant::now();
        let (status, bytes) =
            self.transfer(method, url, body)
                .await
                .map_err(|error| ApiError::Unreachable {
                    url: url.to_string(),
                    source: Box::new(error.without_url()),
                })?;
        self.trace(|| {
            let text = String::from_utf8_lossy(&bytes);
            format!("{status} in {} ms: {text}", begin.elapsed().as_millis())
        });
        Ok((status, bytes))
    }

    async fn transfer(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
        let Session {
            http, project_id, ..
        } = &self.session;
        let mut request = http
            .request(method.clone(), url.clone())
            .header("Accept", "application/json")
            .header("X-Auth-Project-Id", project_id);
        if let Some(token) = self.session.token_header() {
            request = request.header("X-Auth-Token", token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        Ok((answer.status(), answer.bytes().await?.to_vec()))
    }

    fn trace(&self, line: impl FnOnce() -> String) {
        if self.debug {
            write_stderr(&format!("DEBUG:workloadmgr:{}\n", printable(&line())));
        }
    }
}

fn read(status: StatusCode, body: &[u8], url: &Url) -> Result<Value, ApiError> {
    if status.is_success() && body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    match answer {
        Some(answer) if status.is_success() => Ok(answer),
        Some(answer) if status != StatusCode::NOT_MODIFIED => Err(ApiError::Fault {
            status: status.as_u16(),
            message: fault_message(&answer).unwrap_or_else(|| status.to_string()),
        }),
        _ => Err(ApiError::NotJson {
            status: status.as_u16(),
            url: url.to_string(),
        }),
    }
}

/// `{"<faultName>": {"code": N, "message": "..."}}`, and what other OpenStack services answer.
fn fault_message(answer: &Value) -> Option<String> {
    let object = answer.as_object()?;
    let nested = object
        .values()
        .find_map(|fault| fault.get("message")?.as_str());
    let message = nested.or_else(|| object.get("message")?.as_str())?;
    Some(message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(status: u16, body: &str) -> Result<Value, ApiError> {
        let url = Url::parse("http://h/v1/p").unwrap();
        read(StatusCode::from_u16(status).unwrap(), body.as_bytes(), &url)
    }

    #[test]
    fn the_message_of_a_fault_is_what_the_user_reads() {
        let error = read_text(
            409,
            r#"{"conflictingRequest":{"code":409,"message":"busy"}}"#,
        );
        assert_eq!(error.unwrap_err().to_string(), "busy");
        let error = read_text(400, r#"{"message":"flat"}"#);
        assert_eq!(error.unwrap_err().to_string(), "flat");
        assert_eq!(
            read_text(500, "{}").unwrap_err().to_string(),
            "500 Internal Server Error"
        );
    }

    #[test]
    fn an_empty_answer_is_fine_when_the_status_is() {
        assert_eq!(read_text(202, " ").unwrap(), Value::Null);
        assert!(matches!(
            read_text(404, ""),
            Err(ApiError::NotJson { status: 404, .. })
        ));
    }

    #[test]
    fn a_page_of_a_proxy_is_not_taken_for_an_answer() {
        for status in [200, 502] {
            let error = read_text(status, "<html>Welcome</html>").unwrap_err();
            assert_eq!(error.exit_code(), 3);
        }
    }
}
