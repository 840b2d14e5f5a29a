//! Rules for single files: a doc comment, a bounded length, a pure `proto`, no clock of their own.
//!
//! Of TypeScript, only the first two.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

const MAX_LINES: usize = 500;
/// Directories of the workspace that hold Rust code.
const CRATES: [&str; 8] =
    ["core", "api", "smtp-gateway", "imap-gateway", "server", "tests", "bench", "xtask"];
/// Directories that hold TypeScript.
const TYPESCRIPT: [&str; 2] = ["sdk-ts", "examples"];
/// What is made, not written.
const MADE: [&str; 5] = ["target", "node_modules", "dist", "build", "generated"];
/// Asking for the time makes a test wait; the Clock port can be moved.
const CLOCKS: [&str; 3] = ["OffsetDateTime::now_utc", "SystemTime::now", "UtcDateTime::now"];
/// Where the real clock may be read.
const CLOCK_HOMES: [&str; 4] = ["core/src/ports/", "tests/", "bench/", "xtask/"];

/// Checks all files.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for name in CRATES {
        collect(&root.join(name), &["rs"], &mut paths)?;
    }
    for name in TYPESCRIPT {
        collect(&root.join(name), &["ts", "mjs"], &mut paths)?;
    }
    paths.sort();
    let mut faults = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        faults.extend(file_faults(&name, &text));
    }
    Ok(faults)
}

fn collect(dir: &Path, endings: &[&str], paths: &mut Vec<PathBuf>) -> Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        let is = |part: Option<&OsStr>, known: &[&str]| {
            known.iter().any(|known| part == Some(OsStr::new(known)))
        };
        if path.is_dir() && !is(path.file_name(), &MADE) {
            collect(&path, endings, paths)?;
        } else if is(path.extension(), endings) {
            paths.push(path);
        }
    }
    Ok(())
}

fn file_faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let first = text.lines().next().unwrap_or_default();
    let is_rust = Path::new(name).extension() == Some(OsStr::new("rs"));
    let comment = if is_rust { "//! " } else { "// " };
    if !first.starts_with(comment) {
        faults
            .push(format!("{name}:1: does not start with a `{comment}` line that says what it is"));
    } else if first.contains("Placeholder") {
        faults.push(format!("{name}:1: is a placeholder"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{name}: has {lines} lines; split what is over {MAX_LINES}"));
    }
    let reads_clock = !CLOCK_HOMES.iter().any(|home| name.starts_with(home));
    let is_proto = name.contains("-gateway/src/proto/");
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let code = line.split("//").next().unwrap_or_default();
        if is_proto && code.contains("posthouse_core") {
            faults.push(format!("{name}:{number}: proto is pure and must not name posthouse_core"));
        }
        if reads_clock && CLOCKS.iter().any(|clock| code.contains(clock)) {
            faults.push(format!("{name}:{number}: ask the Clock port for the time"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_file_has_no_faults() {
        let text = "//! What it is.\n\nuse posthouse_core::Cx;\n// not SystemTime::now\n";
        assert!(file_faults("api/src/lib.rs", text).is_empty());
    }

    #[test]
    fn typescript_says_what_it_is_too() {
        assert!(file_faults("sdk-ts/src/pages.ts", "// Lists.\n").is_empty());
        assert_eq!(file_faults("sdk-ts/src/pages.ts", "export {};\n").len(), 1);
    }

    #[test]
    fn every_rule_names_file_and_line() {
        let proto = "//! Pure.\nuse posthouse_core::Cx;\n";
        let found = file_faults("smtp-gateway/src/proto/session.rs", proto);
        assert!(found[0].starts_with("smtp-gateway/src/proto/session.rs:2:"), "{found:?}");
        let found = file_faults("core/src/lib.rs", "fn f() { SystemTime::now(); }\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            file_faults("core/src/ports/clock.rs", "//! Clock.\nSystemTime::now()\n").is_empty()
        );
        let long = format!("//! Long.\n{}", "\n".repeat(600));
        assert_eq!(file_faults("api/src/long.rs", &long).len(), 1);
    }
}
