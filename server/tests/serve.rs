//! `posthouse serve` against a Postgres that it does not own: nodes that start together, the first
//! administrator, Postgres going away and coming back, the graceful end.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use posthouse_postgres::{ClusterOptions, PrivateCluster};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PATIENCE: Duration = Duration::from_secs(40);

struct Site {
    dir: TempDir,
    cluster: PrivateCluster,
}

impl Site {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = start_cluster(dir.path()).await;
        cluster.create_database_if_missing("site").await.unwrap();
        Self { dir, cluster }
    }

    fn command(&self, name: &str, config: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_posthouse"));
        command.arg(name).arg("--config").arg(config);
        command.env("DATABASE_URL", self.cluster.database_url("site"));
        command.env("POSTHOUSE_MASTER_KEY", KEY);
        command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
        command
    }

    fn configure(&self, node: &str) -> (PathBuf, u16) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "hostname = 'mail.example.test'\nnode_name = '{node}'\n\
             [listen]\nhttp = '127.0.0.1:{port}'\n\
             [blobs]\ndirectory = '{dir}/blobs'\n\
             [spool]\ndirectory = '{dir}/spool'\n\
             [delivery]\nresolvers = ['127.0.0.1:9']\n",
            dir = self.dir.path().display(),
        );
        let path = self.dir.path().join(format!("{node}.toml"));
        fs::write(&path, text).unwrap();
        (path, port)
    }

    fn node(&self, name: &str) -> Node {
        let (config, port) = self.configure(name);
        let child = self.command("serve", &config).spawn().unwrap();
        Node { child, url: format!("http://127.0.0.1:{port}") }
    }
}

async fn start_cluster(dir: &Path) -> PrivateCluster {
    PrivateCluster::start(dir, ClusterOptions::throwaway()).await.unwrap()
}

struct Node {
    child: Child,
    url: String,
}

impl Node {
    async fn get(&self, path: &str) -> reqwest::Result<Response> {
        reqwest::get(format!("{}{path}", self.url)).await
    }

    async fn wait_until_ready(&self, wanted: StatusCode) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get("/readyz").await.map(|response| response.status());
            if answer.as_ref().is_ok_and(|status| *status == wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "{answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> Response {
        let request = reqwest::Client::new().post(format!("{}{path}", self.url));
        request.bearer_auth(key).json(body).send().await.unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }
}

/// A test that fails leaves nothing running.
impl Drop for Node {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGKILL);
            self.child.wait().unwrap();
        }
    }
}

#[tokio::test]
async fn nodes_start_together_and_survive_the_absence_of_postgres() {
    let mut site = Site::new().await;
    let (mut one, mut two) = (site.node("one"), site.node("two"));
    one.wait_until_ready(StatusCode::OK).await;
    two.wait_until_ready(StatusCode::OK).await;

    let (config, _) = site.configure("command");
    let mut command = site.command("create-admin", &config);
    let output = command.args(["--name", "root"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let key = String::from_utf8(output.stdout).unwrap();
    let key = key.trim();
    assert!(key.starts_with("phk_"), "{key}");
    let created = one.post("/v1/domains", key, &json!({"name": "example.test"})).await;
    assert_eq!(created.status(), StatusCode::CREATED);

    site.cluster.stop().await.unwrap();
    one.wait_until_ready(StatusCode::SERVICE_UNAVAILABLE).await;
    let refused = one.post("/v1/domains", key, &json!({"name": "second.test"})).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(one.get("/healthz").await.unwrap().status(), StatusCode::OK);

    site.cluster = start_cluster(site.dir.path()).await;
    one.wait_until_ready(StatusCode::OK).await;
    two.wait_until_ready(StatusCode::OK).await;
    let created = two.post("/v1/domains", key, &json!({"name": "second.test"})).await;
    assert_eq!(created.status(), StatusCode::CREATED);

    for node in [&mut one, &mut two] {
        node.signal(Signal::SIGTERM);
        assert!(node.child.wait().unwrap().success());
    }
    site.cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_waits_for_postgres_and_a_signal_ends_the_wait() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let config = dir.path().join("posthouse.toml");
    let text = "hostname = 'mail.example.test'\n[listen]\nhttp = '127.0.0.1:0'\n\
                [delivery]\nresolvers = ['127.0.0.1:9']\n";
    fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthouse"));
    command.arg("serve").arg("--config").arg(&config).stderr(Stdio::piped());
    command.env("DATABASE_URL", "postgres://nobody:hunter2@127.0.0.1:9/nothing");
    command.env("POSTHOUSE_MASTER_KEY", KEY).env_remove("RUST_LOG");
    let child = command.spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(log.contains("waiting for Postgres at 127.0.0.1:9/nothing"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}
