//! Running mount(8) and umount(8), which may hang for as long as a server does.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// What it says is kept up to this.
const WORDS_LIMIT: u64 = 4096;

/// Runs a command; on failure, in words: what it was and what it said.
pub(super) fn run(words: &[&str], limit: Duration) -> Result<(), String> {
    let line = words.join(" ");
    let Some((program, arguments)) = words.split_first() else {
        return Err("there is no command".to_owned());
    };
    let child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| format!("{line}: {error}"))?;
    let said = match wait_for_its_words(&mut child, limit) {
        Some(said) => said,
        None => {
            // It may be in an uninterruptible call: then it is left to init.
            let killed = child.kill();
            return Err(match killed {
                Ok(()) => format!("{line}: not done after {} s", limit.as_secs()),
                Err(error) => format!("{line}: hangs and cannot be ended: {error}"),
            });
        }
    };
    let status = child.wait().map_err(|error| format!("{line}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{line}: {status}: {}", said.trim()))
    }
}

/// Until it closes its standard error, which it does by ending.
fn wait_for_its_words(child: &mut Child, limit: Duration) -> Option<String> {
    let stderr = child.stderr.take()?;
    let (sender, words) = channel();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let read = stderr.take(WORDS_LIMIT).read_to_end(&mut said);
        let said = match read {
            Ok(_) => String::from_utf8_lossy(&said).into_owned(),
            Err(error) => format!("its words cannot be read: {error}"),
        };
        // Nobody listens after the limit.
        let _late = sender.send(said);
    });
    words.recv_timeout(limit).ok()
}
