//! The QEMU guest agent, asked through `virsh`.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

/// For an agent that is there and has nothing to do.
const PING_SECONDS: u32 = 3;
/// For file systems with a lot to write; a thaw waits for nothing.
const WORK_SECONDS: u32 = 8;
/// What `virsh` itself may take beyond that before it is killed: libvirt may hang.
const GRACE: Duration = Duration::from_secs(2);

/// The guest did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    #[error("virsh could not be run")]
    Spawn(#[source] std::io::Error),
    #[error("no answer within {0} s")]
    Silent(u64),
    #[error("{0}")]
    Said(String),
}

/// Asks the guests of one libvirt.
#[derive(Clone, Debug)]
pub(crate) struct Virsh {
    uri: String,
}

impl Virsh {
    pub(crate) fn new(uri: String) -> Self {
        Self { uri }
    }

    pub(crate) async fn ping(&self, domain: &str) -> Result<(), AgentError> {
        self.ask(domain, "guest-ping", PING_SECONDS)
            .await
            .map(|_| ())
    }

    /// How many file systems were frozen.
    pub(crate) async fn freeze(&self, domain: &str) -> Result<u32, AgentError> {
        self.ask_for_number(domain, "guest-fsfreeze-freeze").await
    }

    /// How many file systems were thawed; none if nothing was frozen.
    pub(crate) async fn thaw(&self, domain: &str) -> Result<u32, AgentError> {
        self.ask_for_number(domain, "guest-fsfreeze-thaw").await
    }

    async fn ask_for_number(&self, domain: &str, command: &str) -> Result<u32, AgentError> {
        let answer = self.ask(domain, command, WORK_SECONDS).await?;
        let number = answer.get("return").and_then(Value::as_u64);
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| AgentError::Said(format!("{command} answered {answer}")))
    }

    async fn ask(&self, domain: &str, command: &str, seconds: u32) -> Result<Value, AgentError> {
        let mut virsh = Command::new("virsh");
        virsh
            .args([
                "--connect",
                &self.uri,
                "qemu-agent-command",
                "--domain",
                domain,
            ])
            .args(["--timeout", &seconds.to_string()])
            .args(["--cmd", &format!("{{\"execute\":\"{command}\"}}")])
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = virsh.spawn().map_err(AgentError::Spawn)?;
        let limit = Duration::from_secs(seconds.into()) + GRACE;
        let output = match tokio::time::timeout(limit, child.wait_with_output()).await {
            Ok(output) => output.map_err(AgentError::Spawn)?,
            Err(_) => return Err(AgentError::Silent(limit.as_secs())),
        };
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let text = text.trim().trim_start_matches("error: ");
            return Err(AgentError::Said(text.chars().take(300).collect()));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| AgentError::Said(format!("virsh's answer is no JSON: {error}")))
    }
}
