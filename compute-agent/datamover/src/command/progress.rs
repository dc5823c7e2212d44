//! How far a transfer is: one line that is drawn again and again on a terminal, a line every few
//! seconds elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use agent_contract::TransferProgress;

use super::output::{complain, size};

const TICK: Duration = Duration::from_millis(100);
const REDRAW: Duration = Duration::from_millis(200);
const LINE_INTERVAL: Duration = Duration::from_secs(5);
const BAR: usize = 24;

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Nowhere,
    Bar,
    Lines,
}

/// Shows how far a transfer is.
pub(super) struct Progress {
    label: String,
    style: Style,
    began: Instant,
    began_bytes: Option<u64>,
    shown_at: Option<Instant>,
}

impl Progress {
    pub(super) fn new(label: &str, is_quiet: bool) -> Self {
        let style = match (is_quiet, io::stderr().is_terminal()) {
            (true, _) => Style::Nowhere,
            (false, true) => Style::Bar,
            (false, false) => Style::Lines,
        };
        Self {
            label: label.to_owned(),
            style,
            began: Instant::now(),
            began_bytes: None,
            shown_at: None,
        }
    }

    /// Calls `look` often, until the other end of `done` is dropped.
    pub(super) fn watch(mut self, done: &Receiver<()>, mut look: impl FnMut() -> TransferProgress) {
        while done.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            let progress = look();
            self.show(progress);
        }
        if self.style == Style::Bar && self.shown_at.is_some() {
            draw("");
        }
    }

    fn show(&mut self, progress: TransferProgress) {
        let (interval, is_bar) = match self.style {
            Style::Nowhere => return,
            Style::Bar => (REDRAW, true),
            Style::Lines => (LINE_INTERVAL, false),
        };
        let since = self.shown_at.unwrap_or(self.began);
        if progress.total_bytes == 0 || since.elapsed() < interval {
            return;
        }
        self.shown_at = Some(Instant::now());
        // What was done before an interruption says nothing about the rate of now.
        let began_bytes = *self.began_bytes.get_or_insert(progress.done_bytes);
        let line = line(&self.label, progress, began_bytes, self.began.elapsed());
        if is_bar {
            draw(&format!("{} {line}", bar(progress)));
        } else {
            complain(&line);
        }
    }
}

/// Over the line that is there.
fn draw(line: &str) {
    let mut stderr = io::stderr().lock();
    let _nobody_reads = write!(stderr, "\r\x1b[2K{line}").and_then(|()| stderr.flush());
}

fn per_mille(progress: TransferProgress) -> u64 {
    let (done, total) = (progress.done_bytes, progress.total_bytes.max(1));
    let scaled = u128::from(done) * 1000 / u128::from(total);
    u64::try_from(scaled).unwrap_or(1000).min(1000)
}

fn bar(progress: TransferProgress) -> String {
    let filled = usize::try_from(per_mille(progress)).unwrap_or(0) * BAR / 1000;
    format!("[{}{}]", "#".repeat(filled), ".".repeat(BAR - filled))
}

fn line(label: &str, progress: TransferProgress, began_bytes: u64, elapsed: Duration) -> String {
    let share = per_mille(progress);
    let mut line = format!(
        "{label}: {}.{} %, {} of {}",
        share / 10,
        share % 10,
        size(progress.done_bytes),
        size(progress.total_bytes)
    );
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let moved = progress.done_bytes.saturating_sub(began_bytes);
    let rate = moved.saturating_mul(1000) / millis.max(1);
    let left = progress.total_bytes.saturating_sub(progress.done_bytes);
    if let Some(left) = left.checked_div(rate) {
        line += &format!(", {}/s, {} left", size(rate), clock(left));
    }
    line
}

fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agent_contract::TransferProgress;

    use super::{bar, line};

    fn progress(done_bytes: u64, total_bytes: u64) -> TransferProgress {
        TransferProgress {
            total_bytes,
            done_bytes,
            ..TransferProgress::default()
        }
    }

    #[test]
    fn share_rate_and_time_left_are_said() {
        let half = progress(512 << 20, 1 << 30);
        let said = line("web", half, 0, Duration::from_secs(4));
        let expected = "web: 50.0 %, 512.0 MiB of 1.0 GiB, 128.0 MiB/s, 0:04 left";
        assert_eq!(said, expected);
        assert_eq!(bar(half), "[############............]");
    }

    #[test]
    fn what_was_done_before_does_not_count_as_fast() {
        let resumed = line("web", progress(900, 1000), 900, Duration::from_secs(1));
        assert_eq!(resumed, "web: 90.0 %, 900 B of 1000 B");
    }

    #[test]
    fn more_than_was_promised_is_not_more_than_all() {
        assert!(line("web", progress(12, 10), 0, Duration::ZERO).starts_with("web: 100.0 %"));
    }
}
