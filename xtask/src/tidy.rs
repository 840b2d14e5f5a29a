//! Rules of ARCHITECTURE.md that the compiler does not know.

mod layers;
mod sources;

use std::path::Path;

use anyhow::{Result, bail};

/// Checks everything and fails with all faults at once.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut faults = layers::check(root)?;
    faults.extend(sources::check(root)?);
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{} faults:\n{}", faults.len(), faults.join("\n"))
}
