//! oslo.messaging's envelope, version 2.0: JSON with the message as JSON in a string.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Version of this contract in each message; another first number is another contract.
const CONTRACT: &str = "2.0";
const MAJOR: &str = "2";

/// Bytes that are no message of this envelope.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnvelopeError {
    #[error("not an oslo.messaging 2.0 message")]
    Json(#[from] serde_json::Error),
    #[error("envelope of version {0:?}, not 2.0")]
    Version(String),
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    #[serde(rename = "oslo.version")]
    version: String,
    #[serde(rename = "oslo.message")]
    message: String,
}

fn seal(message: &impl Serialize) -> Result<Vec<u8>, EnvelopeError> {
    let message = serde_json::to_string(message)?;
    let version = "2.0".to_owned();
    Ok(serde_json::to_vec(&Envelope { version, message })?)
}

fn open<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, EnvelopeError> {
    let envelope: Envelope = serde_json::from_slice(bytes)?;
    match envelope.version.split_once('.') {
        Some(("2", _)) => Ok(serde_json::from_str(&envelope.message)?),
        _ => Err(EnvelopeError::Version(envelope.version)),
    }
}

/// A call, which wants a reply, or a cast, which does not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) method: String,
    #[serde(default)]
    pub(super) args: Value,
    #[serde(default)]
    version: Option<String>,
    #[serde(rename = "_unique_id", default)]
    pub(super) unique_id: Option<String>,
    #[serde(flatten)]
    pub(super) reply_to: Option<ReplyTo>,
}

/// Where the reply goes, and what it answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReplyTo {
    #[serde(rename = "_msg_id")]
    pub(super) message_id: String,
    #[serde(rename = "_reply_q")]
    pub(super) queue: String,
}

impl Request {
    /// `body` is a method with its arguments, as the contract serialises its questions.
    pub(super) fn new(
        body: &impl Serialize,
        reply_to: Option<ReplyTo>,
    ) -> Result<Self, EnvelopeError> {
        let mut body: Map<String, Value> = serde_json::from_value(serde_json::to_value(body)?)?;
        Ok(Self {
            method: serde_json::from_value(body.remove("method").unwrap_or_default())?,
            args: body.remove("args").unwrap_or_else(|| json!({})),
            version: Some(CONTRACT.to_owned()),
            unique_id: Some(new_id()),
            reply_to,
        })
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        seal(self)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        open(bytes)
    }

    /// The contract's question in it, or why there is none.
    pub(super) fn body<T: for<'a> Deserialize<'a>>(self) -> Result<T, String> {
        let version = self.version.unwrap_or_else(|| "1.0".to_owned());
        if version.split('.').next() != Some(MAJOR) {
            return Err(format!(
                "this datamover speaks version {CONTRACT}, not {version}"
            ));
        }
        let body = json!({ "method": self.method, "args": self.args });
        serde_json::from_value(body).map_err(|error| format!("{}: {error}", self.method))
    }
}

/// What comes back for a call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    #[serde(default)]
    pub(super) result: Value,
    #[serde(default)]
    pub(super) failure: Option<String>,
    #[serde(default)]
    ending: bool,
    #[serde(rename = "_msg_id")]
    pub(super) message_id: String,
    #[serde(rename = "_unique_id", default)]
    unique_id: Option<String>,
}

impl Reply {
    pub(super) fn result(to: &ReplyTo, result: Value) -> Self {
        Self {
            result,
            failure: None,
            ending: true,
            message_id: to.message_id.clone(),
            unique_id: Some(new_id()),
        }
    }

    /// As oslo.messaging serialises an exception of a class that the other end need not know.
    pub(super) fn failure(to: &ReplyTo, message: &str) -> Self {
        let failure = json!({
            "class": "RPCDispatcherError",
            "module": "oslo_messaging.rpc.dispatcher",
            "message": message,
            "tb": [],
            "args": [message],
            "kwargs": {},
        });
        Self {
            failure: Some(failure.to_string()),
            ..Self::result(to, Value::Null)
        }
    }

    /// False for the "still at it" messages that oslo.messaging's servers may send before the end.
    pub(super) fn is_last(&self) -> bool {
        self.ending || self.failure.is_some()
    }

    /// The failure's message, if it is one.
    pub(super) fn failure_message(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        let parsed: Option<Value> = serde_json::from_str(failure).ok();
        let message = parsed
            .as_ref()
            .and_then(|v| v.get("message"))
            .and_then(Value::as_str);
        Some(message.unwrap_or(failure).to_owned())
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        seal(self)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        open(bytes)
    }
}

pub(super) fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Reply, ReplyTo, Request};
    use crate::{Question, TransferId};

    fn reply_to() -> ReplyTo {
        ReplyTo {
            message_id: "m".into(),
            queue: "reply_q".into(),
        }
    }

    #[test]
    fn a_question_is_on_the_wire_as_oslo_writes_a_call() {
        let id = TransferId(uuid::Uuid::nil());
        let request = Request::new(&Question::TransferShow { id }, Some(reply_to())).unwrap();
        let outer: Value = serde_json::from_slice(&request.to_bytes().unwrap()).unwrap();
        assert_eq!(outer["oslo.version"], "2.0");
        let inner: Value = serde_json::from_str(outer["oslo.message"].as_str().unwrap()).unwrap();
        assert_eq!(inner["method"], "transfer_show");
        assert_eq!(inner["args"], json!({ "id": id }));
        assert_eq!(
            (&inner["_msg_id"], &inner["_reply_q"]),
            (&json!("m"), &json!("reply_q"))
        );
        let read: Question = Request::from_bytes(&request.to_bytes().unwrap())
            .unwrap()
            .body()
            .unwrap();
        assert_eq!(read, Question::TransferShow { id });
    }

    #[test]
    fn a_call_of_python_is_read_with_its_context_and_without_a_version() {
        let inner = json!({
            "method": "transfer_show", "args": {"id": uuid::Uuid::nil()}, "version": "2.1",
            "namespace": null, "_msg_id": "m", "_reply_q": "q", "_timeout": null,
            "_unique_id": "u", "_context_user": null,
        });
        let bytes = json!({"oslo.version": "2.0", "oslo.message": inner.to_string()}).to_string();
        let request = Request::from_bytes(bytes.as_bytes()).unwrap();
        assert_eq!(request.reply_to.as_ref().unwrap().queue, "q");
        assert!(request.body::<Question>().is_ok());
        let old = json!({"oslo.version": "2.0", "oslo.message": r#"{"method":"x"}"#}).to_string();
        let request = Request::from_bytes(old.as_bytes()).unwrap();
        assert!(request.reply_to.is_none());
        assert!(request.body::<Question>().unwrap_err().contains("not 1.0"));
    }

    #[test]
    fn another_envelope_is_refused() {
        for bytes in [
            "",
            "{}",
            r#"{"oslo.version":"3.0","oslo.message":"{}"}"#,
            "[1]",
        ] {
            assert!(Request::from_bytes(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }

    #[test]
    fn a_failure_keeps_its_message() {
        let bytes = Reply::failure(&reply_to(), "no such method")
            .to_bytes()
            .unwrap();
        let reply = Reply::from_bytes(&bytes).unwrap();
        assert!(reply.is_last());
        assert_eq!(reply.failure_message().as_deref(), Some("no such method"));
    }
}
