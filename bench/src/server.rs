//! The server under test, as a child process with a data directory of its own.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, StatusCode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::process::{Child, Command};

use crate::api::Connection;

const START_PATIENCE: Duration = Duration::from_mins(2);
const STOP_PATIENCE: Duration = Duration::from_mins(2);
/// Says that a directory is ours to remove.
const MARKER: &str = "made-by-posthouse-bench";
/// What `localserve` adds to its base for each door.
const DOORS: [u16; 6] = [25, 80, 143, 465, 587, 993];

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Its process id.
    pub pid: u32,
    /// Its HTTP door.
    pub http: SocketAddr,
    /// A key that may administer.
    pub admin_key: String,
    /// Its private database.
    pub database_url: String,
    data: PathBuf,
    /// How it is started.
    command: Command,
}

/// What we need of `localserve.json`.
#[derive(Debug, Deserialize)]
struct Localserve {
    http_url: String,
    admin_api_key: String,
    database_url: String,
}

impl Server {
    /// Starts it on an empty data directory, with the DNS and the sink of the bench.
    pub(crate) async fn start(
        program: &Path,
        data: &Path,
        dns: SocketAddr,
        sink: u16,
    ) -> Result<Self> {
        let data = fresh_data(data)?;
        let log = File::create(data.join("server.log"))?;
        let mut command = Command::new(program);
        command
            .args(["localserve", "--json", "--deliver", "real", "--data"])
            .arg(data.join("data"))
            .args(["--port-base", &free_port_base()?.to_string()])
            .args(["--resolver", &dns.to_string(), "--delivery-port", &sink.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {}; build it first", program.display()))?;
        let ready = Box::pin(wait_until_ready(&mut child, &data)).await;
        let (http, localserve) =
            ready.with_context(|| format!("the server's log ends with:\n{}", log_tail(&data)))?;
        let pid = child.id().context("the server has ended")?;
        let Localserve { admin_api_key: admin_key, database_url, .. } = localserve;
        Ok(Self { child, pid, http, admin_key, database_url, data, command })
    }

    /// Kills it and starts it again; how long that takes until it is ready.
    pub(crate) async fn crash(&mut self) -> Result<Duration> {
        self.child.kill().await?;
        let started = Instant::now();
        self.child = self.command.spawn()?;
        let ready = Box::pin(wait_until_ready(&mut self.child, &self.data)).await;
        ready.with_context(|| format!("the log ends with:\n{}", log_tail(&self.data)))?;
        self.pid = self.child.id().context("the server has ended")?;
        Ok(started.elapsed())
    }

    /// Stops it as Ctrl-C would, and removes its data.
    pub(crate) async fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.pid)?), Signal::SIGINT)?;
        let ended = tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await;
        let status = ended.context("the server does not end")??;
        if !status.success() {
            bail!("the server ended with {status}; its log ends with:\n{}", log_tail(&self.data));
        }
        remove_data(&self.data)
    }
}

async fn wait_until_ready(child: &mut Child, data: &Path) -> Result<(SocketAddr, Localserve)> {
    let deadline = Instant::now() + START_PATIENCE;
    let file = data.join("data/localserve.json");
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            bail!("the server ended with {status}");
        }
        if let Ok(text) = fs::read(&file)
            && let Ok(localserve) = serde_json::from_slice::<Localserve>(&text)
        {
            let address = localserve.http_url.trim_start_matches("http://").trim_end_matches('/');
            let http: SocketAddr = address.parse().context("http_url names no address")?;
            if is_ready(http).await {
                return Ok((http, localserve));
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the server is not ready after {} s", START_PATIENCE.as_secs())
}

async fn is_ready(http: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::open(http).await else {
        return false;
    };
    let answer = connection.call(Method::GET, "/readyz", "", Bytes::new()).await;
    answer.is_ok_and(|(status, _)| status == StatusCode::OK)
}

fn fresh_data(data: &Path) -> Result<PathBuf> {
    if data.exists() {
        if !data.join(MARKER).exists() {
            bail!("{} exists and was not made by the bench; name another --data", data.display());
        }
        remove_data(data)?;
    }
    fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    fs::write(data.join(MARKER), "")?;
    Ok(data.canonicalize()?)
}

/// Removes the data, and the cluster that may live elsewhere when root runs it.
fn remove_data(data: &Path) -> Result<()> {
    for link in ["data/postgres", "data/postgres/postgres"] {
        if let Ok(cluster) = fs::read_link(data.join(link)) {
            fs::remove_dir_all(&cluster).ok();
        }
    }
    fs::remove_dir_all(data).with_context(|| format!("cannot remove {}", data.display()))
}

fn free_port_base() -> Result<u16> {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (20_000..60_000)
        .step_by(1000)
        .find(|base| DOORS.iter().all(|door| is_free(base + door)))
        .context("no free ports")
}

fn log_tail(data: &Path) -> String {
    let text = fs::read_to_string(data.join("server.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(20)).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_is_not_ours_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("mail");
        fs::create_dir(&data).unwrap();
        assert!(fresh_data(&data).is_err());
        let ours = fresh_data(&dir.path().join("bench")).unwrap();
        fs::write(ours.join("old"), "").unwrap();
        let again = fresh_data(&ours).unwrap();
        assert!(!again.join("old").exists());
    }
}
