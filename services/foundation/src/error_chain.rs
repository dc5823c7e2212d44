//! An error and its causes on one line. Our errors do not print their source, so that the boundary
//! which handles them can do it once, here.

use std::error::Error;
use std::fmt;

/// Prints `what failed: why: why that`; a cause that its error has already printed is left out.
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut printed = self.0.to_string();
        f.write_str(&printed)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !printed.contains(&text) {
                write!(f, ": {text}")?;
                printed = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorChain;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        source: Option<Box<Layer>>,
    }

    fn layer(text: &'static str, source: Option<Layer>) -> Layer {
        Layer {
            text,
            source: source.map(Box::new),
        }
    }

    #[test]
    fn every_cause_is_printed_once_from_the_outside_in() {
        let error = layer(
            "no backup",
            Some(layer("read /x", Some(layer("disk gone", None)))),
        );
        assert_eq!(
            ErrorChain(&error).to_string(),
            "no backup: read /x: disk gone"
        );
    }

    #[test]
    fn a_cause_that_its_error_already_printed_is_left_out() {
        let error = layer("read /x: disk gone", Some(layer("disk gone", None)));
        assert_eq!(ErrorChain(&error).to_string(), "read /x: disk gone");
    }
}
