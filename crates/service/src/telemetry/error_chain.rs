//! Errors in logs: an error's own message names its layer only, so a log needs the whole chain.

use std::error::Error;
use std::fmt;

/// Displays an error and all its causes: `cannot send: connection refused: os error 111`.
///
/// For an `anyhow::Error`, `{error:#}` says the same.
#[derive(Debug, Clone, Copy)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn an_error_is_displayed_with_all_its_causes() {
        let error = anyhow!("c").context("b").context("a");
        assert_eq!(ErrorChain(error.as_ref()).to_string(), "a: b: c");
        assert_eq!(format!("{error:#}"), "a: b: c");
        assert_eq!(ErrorChain(&fmt::Error).to_string(), fmt::Error.to_string());
    }
}
