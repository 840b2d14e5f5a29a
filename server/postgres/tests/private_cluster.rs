//! A private cluster against the real Postgres programs: restarts, kills, users, links.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use posthouse_postgres::{ClusterOptions, PrivateCluster};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

/// A directory that every user may enter.
fn open_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

async fn start(dir: &Path) -> PrivateCluster {
    PrivateCluster::start(dir, ClusterOptions::throwaway()).await.unwrap()
}

async fn connect(cluster: &PrivateCluster) -> PgConnection {
    cluster.create_database_if_missing("app").await.unwrap();
    PgConnection::connect(&cluster.database_url("app")).await.unwrap()
}

async fn remember(cluster: &PrivateCluster, value: i32) {
    let mut connection = connect(cluster).await;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS kept (value int)")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("INSERT INTO kept VALUES ($1)").bind(value).execute(&mut connection).await.unwrap();
    sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await.unwrap();
}

async fn remembered(cluster: &PrivateCluster) -> i64 {
    let mut connection = connect(cluster).await;
    sqlx::query_scalar("SELECT sum(value) FROM kept").fetch_one(&mut connection).await.unwrap()
}

async fn setting(cluster: &PrivateCluster, name: &str) -> String {
    let mut connection = connect(cluster).await;
    sqlx::query_scalar("SELECT current_setting($1)")
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

fn alive(pid: i32) -> bool {
    let zombie =
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z"));
    !zombie && kill(Pid::from_raw(pid), None).is_ok()
}

#[tokio::test]
async fn a_second_start_finds_the_data_of_the_first() {
    let dir = open_dir();
    let data = dir.path().join("data");
    let cluster = start(&data).await;
    let pid = cluster.pid();
    remember(&cluster, 42).await;
    cluster.stop().await.unwrap();
    assert!(!alive(pid));

    let cluster = start(&data).await;
    assert_eq!(remembered(&cluster).await, 42);
    assert!(!cluster.create_database_if_missing("app").await.unwrap());
    assert!(data.join("postgres.log.1").exists());
}

#[tokio::test]
async fn psql_takes_the_same_url() {
    let dir = open_dir();
    let cluster = start(dir.path()).await;
    let output = Command::new("psql")
        .args([&cluster.database_url("postgres"), "-Atc", "SELECT current_user, 6 * 7"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "posthouse|42");
}

#[tokio::test]
async fn a_durable_cluster_waits_for_the_disk() {
    let dir = open_dir();
    let cluster = PrivateCluster::start(dir.path(), ClusterOptions::durable()).await.unwrap();
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(setting(&cluster, name).await, "on", "{name}");
    }
    assert_eq!(setting(&cluster, "listen_addresses").await, "");
    assert_eq!(setting(&cluster, "server_encoding").await, "UTF8");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_postgres_recovers_at_the_next_start() {
    let dir = open_dir();
    let cluster = start(dir.path()).await;
    remember(&cluster, 7).await;
    kill(Pid::from_raw(cluster.pid()), Signal::SIGKILL).unwrap();
    cluster.wait_for_exit().await;
    drop(cluster);
    let cluster = start(dir.path()).await;
    assert_eq!(remembered(&cluster).await, 7);
}

#[tokio::test]
async fn two_processes_cannot_run_on_the_same_data() {
    let dir = open_dir();
    let _cluster = start(dir.path()).await;
    let second = PrivateCluster::start(dir.path(), ClusterOptions::throwaway()).await;
    let message = second.unwrap_err().to_string();
    assert!(message.contains("in use by process"), "{message}");
}

#[tokio::test]
async fn ctrl_c_in_the_terminal_does_not_reach_it() {
    let dir = open_dir();
    let cluster = start(dir.path()).await;
    let group = nix::unistd::getpgid(Some(Pid::from_raw(cluster.pid()))).unwrap();
    assert_ne!(group, nix::unistd::getpgrp());
}

#[tokio::test]
async fn names_that_need_quoting_are_refused() {
    let dir = open_dir();
    let cluster = start(dir.path()).await;
    for name in ["", "a\"b", "a b", "A", "ä"] {
        assert!(cluster.create_database_if_missing(name).await.is_err(), "{name:?}");
    }
}

/// Not a test by itself: the process that the next test kills.
#[tokio::test]
#[ignore = "started by the_server_dies_with_a_killed_parent"]
async fn child_that_gets_killed() {
    let Some(dir) = std::env::var_os("POSTHOUSE_TEST_DIR") else {
        return;
    };
    let cluster = start(Path::new(&dir)).await;
    remember(&cluster, 5).await;
    fs::write(Path::new(&dir).join("pid"), cluster.pid().to_string()).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn the_server_dies_with_a_killed_parent() {
    let dir = open_dir();
    let pid_file = dir.path().join("pid");
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child_that_gets_killed"])
        .env("POSTHOUSE_TEST_DIR", dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !pid_file.exists() {
        assert!(parent.try_wait().unwrap().is_none(), "the child ended early");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    let orphan: i32 = fs::read_to_string(&pid_file).unwrap().parse().unwrap();

    // At once, while the orphan may still be writing its checkpoint.
    let cluster = start(dir.path()).await;
    assert!(!alive(orphan));
    assert_eq!(remembered(&cluster).await, 5);
}

#[tokio::test]
async fn an_orphan_that_nobody_told_to_end_is_stopped_first() {
    let dir = open_dir();
    let cluster = start(dir.path()).await;
    let data_dir = cluster.data_dir().to_owned();
    remember(&cluster, 3).await;
    cluster.stop().await.unwrap();
    let orphan = start_detached(&data_dir);

    let cluster = start(dir.path()).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    while alive(orphan) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!alive(orphan));
    assert_eq!(remembered(&cluster).await, 3);
}

/// Starts a Postgres on the same data that does not die with us.
fn start_detached(data_dir: &Path) -> i32 {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;
    let owner = fs::metadata(data_dir).unwrap();
    let program = Command::new("sh")
        .args([
            "-c",
            "command -v postgres || ls /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1",
        ])
        .output()
        .unwrap();
    let program = String::from_utf8(program.stdout).unwrap();
    let mut command = Command::new(program.trim());
    command.arg("-D").arg(data_dir).args(["-c", "listen_addresses="]);
    command.arg("-c").arg(format!("unix_socket_directories={}", data_dir.display()));
    command.current_dir("/").stderr(Stdio::null());
    if geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let mut child = command.process_group(0).spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    // Reaps it, so that it does not stay as a zombie.
    std::thread::spawn(move || child.wait());
    let pid_file = data_dir.join("postmaster.pid");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !fs::read_to_string(&pid_file).is_ok_and(|text| text.contains("ready")) {
        assert!(Instant::now() < deadline, "the orphan does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    pid
}

#[tokio::test]
async fn unreachable_data_of_root_lives_outside_and_follows_its_directory() {
    if !geteuid().is_root() {
        return;
    }
    let outside = open_dir();
    let private = tempfile::tempdir().unwrap();
    fs::set_permissions(private.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let options =
        ClusterOptions { outside_dir: outside.path().join("c"), ..ClusterOptions::throwaway() };
    let data = private.path().join("data");
    let cluster = PrivateCluster::start(&data, options.clone()).await.unwrap();
    assert!(data.join("postgres").is_symlink());
    remember(&cluster, 11).await;
    cluster.stop().await.unwrap();

    let moved = private.path().join("moved");
    fs::rename(&data, &moved).unwrap();
    let cluster = PrivateCluster::start(&moved, options.clone()).await.unwrap();
    assert_eq!(remembered(&cluster).await, 11, "a moved directory finds its cluster");
    cluster.stop().await.unwrap();

    fs::rename(&moved, &data).unwrap();
    let cluster = PrivateCluster::start(&data, options.clone()).await.unwrap();
    drop(cluster);
    fs::remove_dir_all(&data).unwrap();
    let cluster = PrivateCluster::start(&data, options.clone()).await.unwrap();
    assert!(cluster.create_database_if_missing("app").await.unwrap(), "a new directory is empty");
    drop(cluster);

    fs::remove_dir_all(outside.path().join("c")).unwrap();
    let error = PrivateCluster::start(&data, options).await.unwrap_err();
    assert!(format!("{error:#}").contains("is no longer in"), "{error:#}");
}
