//! The loop: ask, judge, tell, pause.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::options::WaitOptions;
use super::progress::{Progress, line};
use super::verdict::{Goal, Verdict, judge, judge_restore};
use crate::api::{Api, ApiError, Kind, RESTORE, text};
use crate::error::CliError;

/// How long an API that does not answer is asked again.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to say when the waiting ends before the job does: commands to look and to cancel.
pub(crate) struct Hints {
    pub(crate) look: &'static str,
    pub(crate) cancel: Option<&'static str>,
}

/// Waits for the end of a job on the object `id`; gives what it has become, null where it is gone.
pub(crate) async fn follow(
    api: &Api,
    kind: &Kind,
    id: &str,
    goal: Goal,
    hints: &Hints,
    options: &WaitOptions,
) -> Result<Value, CliError> {
    let mut follower = Follower {
        api,
        kind,
        id,
        goal,
        began: false,
        silent_since: None,
        progress: Progress::new(),
    };
    let end = tokio::select! {
        // A Ctrl-C that cannot be caught ends the program anyway.
        _ = tokio::signal::ctrl_c() => {
            follower.progress.clear();
            return Err(CliError::Interrupted(follower.left_alone("Interrupted", hints)));
        }
        end = within(options.timeout, follower.run(options.poll)) => end,
    };
    end.unwrap_or_else(|| {
        follower.progress.clear();
        let waited = options.timeout.unwrap_or_default().as_secs_f64();
        let text = follower.left_alone(&format!("Not ended after {waited} seconds"), hints);
        Err(CliError::TimedOut(text))
    })
}

/// None when the limit has passed first.
async fn within<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

struct Follower<'a> {
    api: &'a Api,
    kind: &'a Kind,
    id: &'a str,
    goal: Goal,
    /// A deletion has been seen under way.
    began: bool,
    silent_since: Option<Instant>,
    progress: Progress,
}

impl Follower<'_> {
    async fn run(&mut self, poll: Duration) -> Result<Value, CliError> {
        loop {
            match self.api.show(self.kind, self.id).await {
                Ok(object) => {
                    self.silent_since = None;
                    if let Some(end) = self.consider(Some(&object)) {
                        return end;
                    }
                }
                Err(error) if error.is_not_found() => {
                    if let Some(end) = self.consider(None) {
                        return end;
                    }
                }
                Err(error) => self.bear(error)?,
            }
            tokio::time::sleep(poll).await;
        }
    }

    fn consider(&mut self, object: Option<&Value>) -> Option<Result<Value, CliError>> {
        if let Some(object) = object {
            self.began |= text(object, "status") == "deleting";
        }
        let verdict = if self.kind.key == RESTORE.key {
            judge_restore(object)
        } else {
            judge(self.goal, object, self.began)
        };
        let told = match object {
            Some(object) => line(self.kind.noun, object),
            None => format!("{} {}: deleted", self.kind.noun, self.id),
        };
        match verdict {
            Verdict::GoesOn => {
                self.progress.tell(&told);
                None
            }
            Verdict::Good => {
                self.progress.finish(&told);
                Some(Ok(object.cloned().unwrap_or(Value::Null)))
            }
            Verdict::Bad(why) => {
                self.progress.clear();
                let Kind { noun, .. } = self.kind;
                Some(Err(CliError::Failed(format!("{noun} {}: {why}", self.id))))
            }
        }
    }

    /// An API that is being restarted is waited for; anything else ends the waiting.
    fn bear(&mut self, error: ApiError) -> Result<(), CliError> {
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        if !error.is_transient() || since.elapsed() > PATIENCE {
            self.progress.clear();
            return Err(error.into());
        }
        self.progress.tell(&format!("{error}; asking again"));
        Ok(())
    }

    fn left_alone(&self, why: &str, hints: &Hints) -> String {
        let Kind { noun, .. } = self.kind;
        let Hints { look, cancel } = hints;
        let id = self.id;
        let cancel = cancel.map(|command| format!(", to cancel: workloadmgr {command} {id}"));
        format!(
            "{why}; the job on {noun} {id} goes on. To look: workloadmgr {look} {id}{}",
            cancel.unwrap_or_default()
        )
    }
}
