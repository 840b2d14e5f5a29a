//! Commands of the binary that need no database, and the refusals of those that do.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    fs,
    process::{Command, Output},
};

fn posthouse(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthouse"));
    for name in ["DATABASE_URL", "POSTHOUSE_MASTER_KEY", "POSTHOUSE_CONFIG", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.args(args).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn keys_are_the_base64_of_32_octets_and_differ() {
    let one = posthouse(&["generate-key"]);
    let other = posthouse(&["generate-key"]);
    assert!(one.status.success());
    assert_eq!(stdout(&one).trim().len(), 44);
    assert_ne!(one.stdout, other.stdout);
}

#[test]
fn the_explained_configuration_is_valid_once_its_key_exists() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("master.key");
    fs::write(&key, posthouse(&["generate-key"]).stdout).unwrap();
    let example = posthouse(&["config", "--explain"]);
    let text = stdout(&example).replace("/etc/posthouse/master.key", key.to_str().unwrap());
    let path = dir.path().join("posthouse.toml");
    fs::write(&path, text).unwrap();
    let checked = posthouse(&["config", "--config", path.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", stderr(&checked));
    assert!(stdout(&checked).contains("is valid"));
}

#[test]
fn a_faulty_configuration_ends_with_ex_config() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("posthouse.toml");
    fs::write(&path, "[listen]\nhttp = 'here'\n").unwrap();
    let output = posthouse(&["serve", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    for part in ["posthouse.toml", "hostname", "listen.http", "database.url", "generate-key"] {
        assert!(stderr(&output).contains(part), "{part}: {}", stderr(&output));
    }
}

#[test]
fn unknown_roles_are_refused() {
    let output = posthouse(&["serve", "--config", "x", "--only", "api,imap"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("imap"));
}

#[test]
fn the_version_is_printed() {
    let output = posthouse(&["version"]);
    assert_eq!(stdout(&output).trim(), concat!("posthouse ", env!("CARGO_PKG_VERSION")));
}
