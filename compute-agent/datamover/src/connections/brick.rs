use std::path::PathBuf;

use agent_blocks::{BlocksError, ErrorKind, JsonProgram};
use serde_json::{Value, json};

use crate::settings::BrickSettings;

/// The program that calls os-brick.
#[derive(Clone)]
pub(crate) struct Brick {
    program: JsonProgram,
    settings: Value,
}

/// What os-brick told of a volume that it connected.
pub(super) struct Connected {
    pub(super) device_info: Value,
    pub(super) path: PathBuf,
}

impl Brick {
    /// For this host, as Nova names it; `state` is where locks are kept if Nova's are not shared.
    pub(crate) fn new(settings: &BrickSettings, host: &str, state: &std::path::Path) -> Self {
        let mut words = settings.command.iter().cloned();
        let program = words.next().unwrap_or_default();
        Self {
            program: JsonProgram {
                program: program.into(),
                arguments: words.collect(),
                limit: settings.timeout,
            },
            settings: json!({
                "host": host,
                "my_ip": settings.my_ip,
                "multipath": settings.use_multipath,
                "mount_path": settings.mount_path,
                "lock_path": state.join("brick-locks"),
                "root_helper": settings.root_helper,
                "config_file": settings.config_file,
                "uid": nix::unistd::geteuid().as_raw(),
            }),
        }
    }

    pub(super) fn connector(&self) -> Result<Value, BlocksError> {
        let told = self.ask(json!({"verb": "connector"}))?;
        told.get("connector")
            .cloned()
            .ok_or_else(|| strange("tell what it needs to know of this host"))
    }

    pub(super) fn connect(&self, connection_info: &Value) -> Result<Connected, BlocksError> {
        let told = self.ask(json!({
            "verb": "connect",
            "connection_info": connection_info,
        }))?;
        let path = told.get("path").and_then(Value::as_str);
        let path = path.ok_or_else(|| strange("connect a volume"))?;
        Ok(Connected {
            device_info: told.get("device_info").cloned().unwrap_or_default(),
            path: path.into(),
        })
    }

    /// Success also if it is not connected.
    pub(super) fn disconnect(
        &self,
        connection_info: &Value,
        device_info: Option<&Value>,
    ) -> Result<(), BlocksError> {
        let question = json!({
            "verb": "disconnect",
            "connection_info": connection_info,
            "device_info": device_info,
        });
        self.ask(question).map(drop)
    }

    fn ask(&self, mut question: Value) -> Result<Value, BlocksError> {
        if let Some(question) = question.as_object_mut() {
            question.insert("settings".to_owned(), self.settings.clone());
        }
        let told = self.program.ask(&question)?;
        match told.get("error").and_then(Value::as_str) {
            None => Ok(told),
            Some(error) => {
                let doing = format!("let os-brick work: {error}");
                let kind = match told.get("kind").and_then(Value::as_str) {
                    Some("setup") => ErrorKind::Setup,
                    Some("invalid") => ErrorKind::Invalid,
                    _ => ErrorKind::Unavailable,
                };
                Err(BlocksError::new(kind, doing))
            }
        }
    }
}

fn strange(what: &str) -> BlocksError {
    let doing = format!("let os-brick {what}: the answer lacks it");
    BlocksError::new(ErrorKind::Protocol, doing)
}
