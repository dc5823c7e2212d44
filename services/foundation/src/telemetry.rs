//! Logs go to standard error, where systemd's journal or a container's log collects them.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is none of error, warn, info, debug, trace, nor a list of `target=level`.
    #[error("log level {level:?} is not understood")]
    Level {
        /// As configured.
        level: String,
        /// What the parser says.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was set up before.
    #[error("logging is already set up")]
    Installed(#[source] tracing_subscriber::util::TryInitError),
}

/// Libraries that tell more of themselves than an operator wants at our own level; a level for one
/// of them in the configuration comes after these and so wins.
const QUIET: &str = "lapin=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,h2=warn,\
                     actix_server=warn,mio=warn";

/// Sends this process's events to standard error. `level` is a word (`info`) or a list as
/// `info,services_engine=debug`; empty means `info`.
pub fn init(level: &str) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let filter = filter(level)?;
    let stderr = std::io::stderr;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        .finish()
        .try_init()
        .map_err(TelemetryError::Installed)
}

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let level = match level.trim() {
        "" => "info",
        other => other,
    };
    let directives = if level.eq_ignore_ascii_case("trace") {
        level.to_owned()
    } else {
        format!("{QUIET},{level}")
    };
    EnvFilter::try_new(directives).map_err(|source| TelemetryError::Level {
        level: level.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn an_empty_level_means_info_and_a_list_is_understood() {
        assert!(filter("").unwrap().to_string().contains("info"));
        assert!(
            filter("warn,services_engine=debug")
                .unwrap()
                .to_string()
                .contains("debug")
        );
    }

    #[test]
    fn a_level_that_is_none_is_refused_by_name() {
        let error = filter("a=b=c").unwrap_err();
        assert!(error.to_string().contains("a=b=c"));
    }
}
