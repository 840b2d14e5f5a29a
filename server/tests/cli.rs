//! Commands of the binary that need no database, and the refusals of those that do.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthouse_core::{
    Id,
    trace::{TraceKey, Traced},
    vault::Vault,
};
use time::{OffsetDateTime, macros::datetime};

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

const BEGAN: OffsetDateTime = datetime!(2026-02-03 04:05:06.789 UTC);

/// A configuration whose master key is 32 times `octet`.
fn configuration(dir: &Path, octet: u8) -> PathBuf {
    let (key, path) = (dir.join("master.key"), dir.join("posthouse.toml"));
    fs::write(&key, STANDARD.encode([octet; 32])).unwrap();
    let text = format!(
        "hostname = 'mail.example.test'\nmaster_key_file = '{}'\n\
         [database]\nurl = 'postgres://nobody@127.0.0.1:9/nothing'\n",
        key.display()
    );
    fs::write(&path, text).unwrap();
    path
}

/// What stands in the Received field of an installation with this master key.
fn trace(octet: u8, traced: Traced) -> String {
    TraceKey::new(&Vault::new(&[octet; 32]).unwrap()).unwrap().seal(traced).unwrap()
}

#[test]
fn ids_of_received_fields_are_told_without_a_database() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), 7);
    let (connection, message) = (Id::new(BEGAN), Id::in_shard(BEGAN, 9));
    let (one, two) = (trace(7, Traced::Connection(connection)), trace(7, Traced::Message(message)));
    let told = format!(
        "connection {connection} began 2026-02-03T04:05:06.789Z\n\
         message {message} accepted 2026-02-03T04:05:06.789Z\n"
    );
    let config = config.to_str().unwrap();
    let output = posthouse(&["cid", "--config", config, &one, &two]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), told);

    // The key of localserve is a file of the same name in its data directory.
    let data = dir.path().to_str().unwrap();
    let output = posthouse(&["cid", "--data", data, &one, &two]);
    assert_eq!(stdout(&output), told, "{}", stderr(&output));
}

#[test]
fn ids_of_others_are_named_after_those_that_are_ours() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), 7);
    let traced = Traced::Connection("req_01kggtsv35fay928t5cy4tqkff".parse().unwrap());
    let (ours, theirs) = (trace(7, traced), trace(8, traced));
    let args = ["cid", "--config", config.to_str().unwrap(), &theirs, &ours, "4bXkz93Zs2z1h8"];
    let output = posthouse(&args);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stdout(&output),
        "connection req_01kggtsv35fay928t5cy4tqkff began 2026-02-03T04:05:06.789Z\n"
    );
    let wanted = format!("made with this master key: {theirs}, 4bXkz93Zs2z1h8");
    assert!(stderr(&output).contains(&wanted), "{}", stderr(&output));
}

#[test]
fn cid_says_where_it_wants_the_master_key_from() {
    let output = posthouse(&["cid", "4bXkz93Zs2z1h8"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--config"), "{}", stderr(&output));
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let output = posthouse(&["cid", "--data", data.to_str().unwrap(), "4bXkz93Zs2z1h8"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no master key in"), "{}", stderr(&output));
    assert!(!data.exists(), "it makes no key");
}
