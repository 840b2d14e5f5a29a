//! Which crate may depend on which: arrows go one way, doors hold no SQL.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// What a package must not depend on, and why.
const RULES: [(&str, &[&str], &str); 6] = [
    (
        "posthouse-mail",
        &[
            "posthouse-core",
            "posthouse-api",
            "posthouse-smtp-gateway",
            "posthouse-imap-gateway",
            "posthouse-server",
            "sqlx",
            "tokio",
            "axum",
            "hyper",
            "http",
            "utoipa",
        ],
        "it is pure: no database, no network, no wire",
    ),
    (
        "posthouse-core",
        &[
            "posthouse-api",
            "posthouse-smtp-gateway",
            "posthouse-imap-gateway",
            "posthouse-server",
            "posthouse-postgres",
            "axum",
            "hyper",
            "http",
            "utoipa",
        ],
        "the core knows no wire",
    ),
    (
        "posthouse-api",
        &["posthouse-smtp-gateway", "posthouse-imap-gateway", "posthouse-server", "sqlx"],
        "SQL and other doors are the core's business",
    ),
    (
        "posthouse-smtp-gateway",
        &["posthouse-api", "posthouse-imap-gateway", "posthouse-server", "sqlx", "axum", "utoipa"],
        "SQL and other doors are the core's business",
    ),
    (
        "posthouse-imap-gateway",
        &["posthouse-api", "posthouse-smtp-gateway", "posthouse-server", "sqlx", "axum", "utoipa"],
        "SQL and other doors are the core's business",
    ),
    (
        "posthouse-postgres",
        &["posthouse-core", "posthouse-mail", "posthouse-api", "posthouse-server"],
        "xtask must build while the query crates do not",
    ),
];

/// Reads the workspace from cargo and checks every rule.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root)
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    Ok(faults(&metadata))
}

fn faults(metadata: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for package in list(metadata, "packages") {
        let name = text(package, "name");
        let Some((_, banned, reason)) = RULES.iter().find(|(package, ..)| *package == name) else {
            continue;
        };
        // Tests may look behind the curtain; `kind` is null for ordinary dependencies.
        let built = list(package, "dependencies").filter(|dep| text(dep, "kind") != "dev");
        for dependency in built.map(|dep| text(dep, "name")).filter(|name| banned.contains(name)) {
            faults.push(format!("{name} must not depend on {dependency}: {reason}"));
        }
    }
    faults
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_door_with_sql_is_refused_unless_only_its_tests_use_it() {
        let package = |kind: Value| {
            json!({"packages": [{"name": "posthouse-api", "dependencies": [
                {"name": "axum", "kind": null}, {"name": "sqlx", "kind": kind},
            ]}]})
        };
        let found = faults(&package(Value::Null));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("posthouse-api must not depend on sqlx"), "{found:?}");
        assert!(faults(&package(json!("dev"))).is_empty());
    }
}
