//! A program that reads one JSON value and answers with one.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use crate::{
    BlocksError, ErrorKind,
    child::{ChildError, Invocation, output},
};

/// How the program is started.
#[derive(Debug, Clone)]
pub struct JsonProgram {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// It is ended when it takes longer.
    pub limit: Duration,
}

impl JsonProgram {
    /// Runs the program once. What it is asked may hold secrets: it stands on no command line, and in
    /// no error.
    pub fn ask(&self, question: &Value) -> Result<Value, BlocksError> {
        let doing = || format!("ask {}", self.program.display());
        let input = serde_json::to_vec(question)
            .map_err(|error| BlocksError::caused(ErrorKind::Invalid, doing(), error))?;
        let mut invocation = Invocation::new(&self.program).reading(input);
        for argument in &self.arguments {
            invocation = invocation.arg(argument);
        }
        let printed = output(invocation, self.limit).map_err(|error| {
            let kind = match &error {
                ChildError::Start { .. } => ErrorKind::Setup,
                ChildError::Failed { stderr, .. } if stderr.contains("setpriv: failed") => {
                    ErrorKind::Setup
                }
                ChildError::TimedOut { .. } => ErrorKind::Timeout,
                _ => ErrorKind::Protocol,
            };
            BlocksError::caused(kind, doing(), error)
        })?;
        serde_json::from_slice(&printed)
            .map_err(|error| BlocksError::caused(ErrorKind::Protocol, doing(), error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(program: &str, arguments: &[&str]) -> Result<Value, BlocksError> {
        let program = JsonProgram {
            program: program.into(),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            limit: Duration::from_secs(10),
        };
        program.ask(&json!({"password": "x".repeat(100_000)}))
    }

    #[test]
    fn what_a_program_reads_and_answers_may_be_larger_than_a_pipe() {
        let answer = ask("cat", &[]).unwrap();
        assert_eq!(answer["password"].as_str().unwrap().len(), 100_000);
    }

    #[test]
    fn a_program_that_is_missing_or_says_nonsense_is_an_error_without_the_question() {
        for (program, arguments, kind) in [
            ("/no/such/program", &[][..], ErrorKind::Setup),
            ("echo", &["nonsense"], ErrorKind::Protocol),
            ("false", &[], ErrorKind::Protocol),
        ] {
            let error = ask(program, arguments).unwrap_err();
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(!format!("{error:?}").contains("xxx"), "{program}");
        }
    }
}
