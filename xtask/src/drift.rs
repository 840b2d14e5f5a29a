//! Compares generated files with the committed ones, or replaces them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// File names and contents.
pub(crate) type Files = BTreeMap<String, String>;

/// Reads all files of a directory with the given ending; none when there is no directory.
pub(crate) fn read_dir(dir: &Path, ending: &str) -> Result<Files> {
    let mut files = Files::new();
    if !dir.exists() {
        return Ok(files);
    }
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(ending) {
            let text = fs::read_to_string(&path);
            files.insert(name.to_owned(), text.with_context(|| path.display().to_string())?);
        }
    }
    Ok(files)
}

/// Lists what differs, one line each.
fn differences(committed: &Files, generated: &Files) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, text) in generated {
        match committed.get(name) {
            None => lines.push(format!("missing: {name}")),
            Some(old) if old != text => lines.push(format!("outdated: {name}")),
            Some(_) => {}
        }
    }
    let unused = committed.keys().filter(|name| !generated.contains_key(*name));
    lines.extend(unused.map(|name| format!("no longer used: {name}")));
    lines
}

/// Fails with a list of differences and the command that removes them.
pub(crate) fn check(committed: &Files, generated: &Files, dir: &Path, remedy: &str) -> Result<()> {
    let lines = differences(committed, generated);
    if lines.is_empty() {
        return Ok(());
    }
    bail!("{} is not current; run `{remedy}`:\n{}", dir.display(), lines.join("\n"))
}

/// Writes what differs and removes what is no longer used.
pub(crate) fn replace(committed: &Files, generated: &Files, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for name in committed.keys().filter(|name| !generated.contains_key(*name)) {
        fs::remove_file(dir.join(name)).with_context(|| format!("cannot remove {name}"))?;
    }
    for (name, text) in generated.iter().filter(|(name, text)| committed.get(*name) != Some(text)) {
        fs::write(dir.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn every_kind_of_difference_is_named_and_then_removed() {
        let dir = tempfile::tempdir().unwrap();
        let old = files(&[("a.json", "1"), ("b.json", "2"), ("gone.json", "3")]);
        let new = files(&[("a.json", "1"), ("b.json", "22"), ("c.json", "4")]);
        replace(&Files::new(), &old, dir.path()).unwrap();
        let committed = read_dir(dir.path(), ".json").unwrap();
        let error = check(&committed, &new, dir.path(), "make gen").unwrap_err().to_string();
        for part in ["outdated: b.json", "missing: c.json", "no longer used: gone.json", "make gen"]
        {
            assert!(error.contains(part), "{error}");
        }
        replace(&committed, &new, dir.path()).unwrap();
        let committed = read_dir(dir.path(), ".json").unwrap();
        assert_eq!(committed, new);
        check(&committed, &new, dir.path(), "make gen").unwrap();
    }
}
