//! Has the job ended, and how? A pure decision over what the API said last.

use serde_json::Value;

use crate::api::text;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// It is made, and usable.
    Made,
    /// It was looked at, and is usable again.
    Verified,
    /// It is deleted. It was in this state before, which may have been an error.
    Gone { was_error: bool },
}

impl Goal {
    /// The end of a deletion of `object`, which is as it was before.
    pub(crate) fn gone(object: &Value) -> Self {
        Self::Gone {
            was_error: text(object, "status") == "error",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    GoesOn,
    Good,
    /// Why, as the API has it.
    Bad(String),
}

/// `object` is None where the API knows it no more. `began` says that a deletion has been seen.
pub(crate) fn judge(goal: Goal, object: Option<&Value>, began: bool) -> Verdict {
    let status = object.map_or("deleted", |object| text(object, "status"));
    match (goal, status) {
        (Goal::Gone { .. }, "deleted") => Verdict::Good,
        (Goal::Gone { was_error }, "error") if began || !was_error => bad(object, status),
        (Goal::Gone { .. }, "error" | "deleting") => Verdict::GoesOn,
        // It was being deleted and is whole again: the deletion was taken back.
        (Goal::Gone { .. }, "available") if began => bad(object, status),
        (Goal::Gone { .. }, _) => Verdict::GoesOn,
        (Goal::Made, "error" | "cancelled" | "deleting" | "deleted") => bad(object, status),
        // The last ones: somebody already works with it.
        (
            Goal::Made,
            "available" | "locked" | "restoring" | "verifying" | "mounting" | "mounted",
        )
        | (Goal::Verified, "available" | "restoring" | "mounting" | "mounted") => Verdict::Good,
        (Goal::Verified, "verifying") => Verdict::GoesOn,
        (Goal::Verified, _) => bad(object, status),
        (Goal::Made, _) => Verdict::GoesOn,
    }
}

/// `restoring` is the work itself for a restore, and the state of a finished snapshot.
pub(crate) fn judge_restore(object: Option<&Value>) -> Verdict {
    match object.map(|object| text(object, "status")) {
        Some("restoring") => Verdict::GoesOn,
        _ => judge(Goal::Made, object, false),
    }
}

fn bad(object: Option<&Value>, status: &str) -> Verdict {
    let message = object.map_or("", |object| text(object, "error_msg"));
    Verdict::Bad(if message.is_empty() {
        format!("its status is {status}")
    } else {
        format!("its status is {status}: {message}")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(status: &str) -> Value {
        json!({"status": status})
    }

    #[test]
    fn something_made_ends_available_or_bad() {
        for (status, wanted) in [
            ("creating", Verdict::GoesOn),
            ("uploading", Verdict::GoesOn),
            ("available", Verdict::Good),
            ("locked", Verdict::Good),
            ("restoring", Verdict::Good),
            ("verifying", Verdict::Good),
            ("cancelled", Verdict::Bad("its status is cancelled".into())),
        ] {
            assert_eq!(
                judge(Goal::Made, Some(&with(status)), false),
                wanted,
                "{status}"
            );
        }
        let failed = json!({"status": "error", "error_msg": "no space"});
        assert_eq!(
            judge(Goal::Made, Some(&failed), false),
            Verdict::Bad("its status is error: no space".into())
        );
        assert_eq!(
            judge(Goal::Made, None, false),
            Verdict::Bad("its status is deleted".into())
        );
    }

    #[test]
    fn a_deletion_ends_when_it_is_gone() {
        let goal = Goal::gone(&with("available"));
        assert_eq!(judge(goal, None, false), Verdict::Good);
        assert_eq!(judge(goal, Some(&with("deleted")), true), Verdict::Good);
        assert_eq!(
            judge(goal, Some(&with("available")), false),
            Verdict::GoesOn
        );
        assert_eq!(judge(goal, Some(&with("deleting")), true), Verdict::GoesOn);
        assert!(matches!(
            judge(goal, Some(&with("available")), true),
            Verdict::Bad(_)
        ));
        assert!(matches!(
            judge(goal, Some(&with("error")), false),
            Verdict::Bad(_)
        ));
    }

    #[test]
    fn deleting_what_was_in_error_is_not_taken_for_a_failure_at_once() {
        let goal = Goal::gone(&with("error"));
        assert_eq!(judge(goal, Some(&with("error")), false), Verdict::GoesOn);
        assert!(matches!(
            judge(goal, Some(&with("error")), true),
            Verdict::Bad(_)
        ));
    }

    #[test]
    fn a_restore_that_restores_goes_on() {
        assert_eq!(judge_restore(Some(&with("restoring"))), Verdict::GoesOn);
        assert_eq!(judge_restore(Some(&with("available"))), Verdict::Good);
        assert!(matches!(
            judge_restore(Some(&with("cancelled"))),
            Verdict::Bad(_)
        ));
    }
}
