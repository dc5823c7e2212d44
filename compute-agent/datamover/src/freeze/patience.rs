use std::time::Duration;

use super::virsh::AgentError;

const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// With the longest pause a day: whoever is away for longer does not come back to this guest.
const ATTEMPTS: u32 = 2880;
/// Of a guest that libvirt does not know: gone, or at work on another host.
const ATTEMPTS_WITHOUT_GUEST: u32 = 10;

/// For how long a guest that cannot be thawed is tried again.
#[derive(Default)]
pub(super) struct Patience {
    attempts: u32,
    without_guest: u32,
}

impl Patience {
    /// How long to wait after this failure; none when it is enough.
    pub(super) fn after(&mut self, error: &AgentError) -> Option<Duration> {
        self.without_guest = match error {
            AgentError::Said(words) if words.contains("failed to get domain") => {
                self.without_guest + 1
            }
            _ => 0,
        };
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.attempts.min(8));
        self.attempts += 1;
        let is_enough = self.attempts >= ATTEMPTS || self.without_guest >= ATTEMPTS_WITHOUT_GUEST;
        (!is_enough).then(|| doubled.min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AgentError, Patience};

    fn tried_for(error: &AgentError) -> Duration {
        let mut patience = Patience::default();
        std::iter::from_fn(|| patience.after(error)).sum()
    }

    #[test]
    fn a_libvirt_that_is_away_for_hours_does_not_leave_a_guest_frozen() {
        let refused = AgentError::Said("failed to connect to the hypervisor".into());
        assert!(tried_for(&refused) > Duration::from_secs(23 * 3600));
        assert!(tried_for(&AgentError::Silent(10)) > Duration::from_secs(23 * 3600));
    }

    #[test]
    fn a_guest_that_is_gone_is_not_asked_for_a_day() {
        let gone = AgentError::Said("failed to get domain '5c1dbf4e'".into());
        assert!(tried_for(&gone) < Duration::from_secs(600));
    }
}
