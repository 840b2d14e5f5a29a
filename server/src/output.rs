//! The only place that writes to standard output and, besides the log, to standard error.

use std::io::Write as _;

/// Prints a line to standard output. A reader that is gone is no fault of ours.
pub fn line(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush()).ok();
}

/// Prints an error with its causes to standard error.
pub fn error(error: &anyhow::Error) {
    writeln!(std::io::stderr().lock(), "posthouse: {error:#}").ok();
}
