//! SIGKILL at random moments.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::shell::stderr;

const TICK: Duration = Duration::from_millis(1);

/// Kills runs of one kind.
pub(crate) struct Killer {
    random: u64,
    /// How long a run takes that nobody kills, as far as is known by now.
    span: Duration,
    longest: Duration,
    /// Runs that were killed, by the quarter of the span.
    quarters: [usize; 4],
    ended: usize,
}

impl Killer {
    /// The seed makes the same moments again, though not what a run has done by then.
    pub(crate) fn new(seed: u64, span: Duration) -> Self {
        println!("seed {seed}, a run takes {span:?}");
        Self {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            span,
            longest: span,
            quarters: [0; 4],
            ended: 0,
        }
    }

    pub(crate) fn draw(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let bits = u32::try_from(self.random >> 32).unwrap();
        f64::from(bits) / f64::from(u32::MAX)
    }

    /// Whether there must be more: so many, and in all parts of a run.
    pub(crate) fn wants(&self, kills: usize) -> bool {
        let killed: usize = self.quarters.iter().sum();
        let runs = killed + self.ended;
        assert!(runs < 5 * kills, "{:?}, {}", self.quarters, self.ended);
        let is_enough = killed >= kills && !self.quarters.contains(&0);
        if is_enough {
            println!("killed: {:?}, ended: {}", self.quarters, self.ended);
        }
        !is_enough
    }

    /// False if the run had ended before its moment came, which it must have done well.
    pub(crate) fn kill(&mut self, command: &mut Command) -> bool {
        let share = self.draw();
        let moment = self.span.mul_f64(share);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let began = Instant::now();
        while began.elapsed() < moment && child.try_wait().unwrap().is_none() {
            sleep(TICK.min(moment.saturating_sub(began.elapsed())));
        }
        let took = began.elapsed();
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let is_killed = output.status.signal() == Some(Signal::SIGKILL as i32);
        if is_killed {
            let quarter = (1..4).filter(|n| share * 4.0 > f64::from(*n)).count();
            self.quarters[quarter] += 1;
            self.span = self.span.mul_f64(1.02).min(self.longest);
        } else {
            assert!(output.status.success(), "{}", stderr(&output));
            self.ended += 1;
            // Those that come may be as short.
            self.span = (self.span + took) / 2;
        }
        is_killed
    }
}

/// How long it takes when nobody kills it; it must succeed.
pub(crate) fn span_of(command: &mut Command) -> Duration {
    let began = Instant::now();
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    began.elapsed()
}
