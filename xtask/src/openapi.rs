//! Keeps `openapi/posthouse.json` equal to what the code says.
//!
//! The document is printed by an example of `posthouse-api`, so that this program needs not be
//! linked with the crates whose data it renews.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::drift::{self, Files};

const FILE: &str = "posthouse.json";

/// Writes or compares the document.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "posthouse-api", "--example", "openapi"])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the OpenAPI document cannot be printed");
    }
    let text = String::from_utf8(output.stdout).context("the document is not UTF-8")?;
    let document: serde_json::Value =
        serde_json::from_str(&text).context("the document is not JSON")?;
    if document.get("openapi").is_none() {
        bail!("the document is not an OpenAPI document");
    }
    let dir = root.join("openapi");
    let generated = Files::from([(FILE.to_owned(), text)]);
    let mut committed = drift::read_dir(&dir, ".json")?;
    committed.retain(|name, _| name == FILE);
    if check {
        return drift::check(&committed, &generated, &dir, "cargo xtask openapi");
    }
    drift::replace(&committed, &generated, &dir)
}
