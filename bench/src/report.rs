//! Prints one JSON object per line, as soon as it is known.

use std::io::Write as _;

use anyhow::Result;
use serde::Serialize;

/// Prints one line.
pub(crate) fn line(value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&text)?;
    Ok(out.flush()?)
}

/// Rounds to two digits after the point, for reading.
pub(crate) fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// A count as a number to divide; counts stay far below 2^53.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts of a bench are far below 2^53"
)]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

/// Events per second.
pub(crate) fn rate(count: u64, elapsed: std::time::Duration) -> f64 {
    number(count) / elapsed.as_secs_f64().max(1e-9)
}
