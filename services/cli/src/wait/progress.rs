//! How a job goes, on stderr: one line that is written over on a terminal, else a line at a change.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::text;
use crate::output::{printable, write_stderr};

/// Least time between two lines where stderr is no terminal.
const QUIET: Duration = Duration::from_secs(3);

/// Tells of one job.
pub(crate) struct Progress {
    began: Instant,
    is_live: bool,
    told: Option<(Instant, String)>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            is_live: io::stderr().is_terminal(),
            told: None,
        }
    }

    /// Says how it goes, if that is worth a line.
    pub(crate) fn tell(&mut self, text: &str) {
        let text = printable(text).replace('\n', " ");
        if self.is_live {
            write_stderr(&format!(
                "\r\u{1b}[K[{}] {text}",
                clock(self.began.elapsed())
            ));
        } else if self.is_worth_a_line(&text) {
            write_stderr(&format!("[{}] {text}\n", clock(self.began.elapsed())));
            self.told = Some((Instant::now(), text));
        }
    }

    /// Leaves the live line, so that what follows stands alone.
    pub(crate) fn finish(&mut self, text: &str) {
        let text = printable(text).replace('\n', " ");
        let begin = if self.is_live { "\r\u{1b}[K" } else { "" };
        write_stderr(&format!(
            "{begin}[{}] {text}\n",
            clock(self.began.elapsed())
        ));
    }

    /// Leaves the live line without a word.
    pub(crate) fn clear(&mut self) {
        if self.is_live {
            write_stderr("\r\u{1b}[K");
        }
    }

    fn is_worth_a_line(&self, text: &str) -> bool {
        match &self.told {
            None => true,
            Some((when, last)) => last != text && when.elapsed() >= QUIET,
        }
    }
}

/// One line about an object under work.
pub(crate) fn line(noun: &str, object: &Value) -> String {
    let mut line = format!("{noun} {}: {}", text(object, "id"), text(object, "status"));
    let number = |key: &str| object.get(key).and_then(Value::as_u64);
    if let Some(percent) = number("progress_percent").filter(|percent| *percent > 0) {
        line.push_str(&format!(" {percent} %"));
    }
    if let (Some(done @ 1..), Some(size @ 1..)) = (number("uploaded_size"), number("size")) {
        line.push_str(&format!(" ({} of {})", bytes(done), bytes(size)));
    }
    match text(object, "progress_msg") {
        "" => {}
        message => line.push_str(&format!(", {message}")),
    }
    line
}

fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 3600 {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    } else {
        format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

/// With one decimal, in the largest binary unit that leaves one digit before the point.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut whole = count;
    let mut tenths = 0;
    let mut unit = "bytes";
    for next in UNITS {
        if whole < 1024 {
            break;
        }
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit = next;
    }
    if unit == "bytes" {
        format!("{whole} {unit}")
    } else {
        format!("{whole}.{tenths} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_state_percent_sizes_and_message() {
        let object = json!({"id": "s", "status": "uploading", "progress_percent": 45,
            "uploaded_size": 1288490188, "size": 2899102924u64, "progress_msg": "disk 2 of 3"});
        assert_eq!(
            line("snapshot", &object),
            "snapshot s: uploading 45 % (1.1 GiB of 2.6 GiB), disk 2 of 3"
        );
        let bare = json!({"id": "s", "status": "creating", "progress_percent": 0, "size": 0});
        assert_eq!(line("snapshot", &bare), "snapshot s: creating");
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16383.9 PiB");
        assert_eq!(clock(Duration::from_secs(61)), "1:01");
        assert_eq!(clock(Duration::from_secs(3661)), "1:01:01");
    }
}
