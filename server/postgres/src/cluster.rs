//! Makes, starts and stops a private cluster.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::binaries::Binaries;
use crate::home::{self, Home};
use crate::keeper::Keeper;
use crate::leftover;
use crate::options::{ClusterOptions, Durability};
use crate::settings::{PORT, WalCompression, settings};
use crate::socket;

/// How long a start may take; recovery after a crash replays up to 4 GB of log.
const START_PATIENCE: Duration = Duration::from_mins(5);
const STOP_PATIENCE: Duration = Duration::from_mins(1);
/// The role that owns everything in a private cluster.
const ROLE: &str = "posthouse";

/// A Postgres cluster of our own, running as a child process.
///
/// Dropping it stops the server; [`PrivateCluster::stop`] does so without blocking the runtime.
#[derive(Debug)]
pub struct PrivateCluster {
    keeper: Keeper,
    data_dir: PathBuf,
    socket_dir: PathBuf,
    durability: Durability,
    /// Kept open: another process must not run on the same data.
    _lock: File,
}

/// Everything that is known before the server runs.
struct Plan {
    home: Home,
    binaries: Binaries,
    socket_dir: PathBuf,
    log_path: PathBuf,
    args: Vec<String>,
    lock: File,
}

impl PrivateCluster {
    /// Starts the cluster of a data directory, making it first if there is none.
    pub async fn start(dir: &Path, options: ClusterOptions) -> Result<Self> {
        let durability = options.durability;
        let dir = dir.to_owned();
        let plan = tokio::task::spawn_blocking(move || plan(&dir, &options)).await??;
        let log = rotate(&plan.log_path)?;
        let mut last_error = None;
        // Children of a killed server may hold its shared memory for a moment.
        for _ in 0..5 {
            let cluster = Self {
                keeper: Keeper::start(
                    &plan.home.owner,
                    &plan.binaries.program("postgres"),
                    plan.args.clone(),
                    log.try_clone()?,
                )?,
                data_dir: plan.home.data_dir(),
                socket_dir: plan.socket_dir.clone(),
                durability,
                _lock: plan.lock.try_clone()?,
            };
            match cluster.wait_until_ready(&plan.log_path).await {
                Ok(()) => return Ok(cluster),
                Err(error) => last_error = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Err(last_error.unwrap_or_else(|| anyhow::anyhow!("Postgres did not start")))
    }

    /// Returns the URL of a database, for `sqlx` and for `psql` alike.
    pub fn database_url(&self, name: &str) -> String {
        format!("postgres://{ROLE}@localhost:{PORT}/{name}?host={}", self.socket_dir.display())
    }

    /// Makes a database unless it exists; tells whether it did.
    pub async fn create_database_if_missing(&self, name: &str) -> Result<bool> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
            bail!("{name:?} is not a plain database name");
        }
        let mut connection = PgConnection::connect(&self.database_url("postgres")).await?;
        let exists: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                .bind(name)
                .fetch_one(&mut connection)
                .await?;
        if !exists {
            // A name cannot be a parameter; the check above leaves nothing to quote.
            let statement = AssertSqlSafe(format!("CREATE DATABASE \"{name}\""));
            sqlx::query(statement).execute(&mut connection).await?;
        }
        connection.close().await?;
        Ok(!exists)
    }

    /// The process id of the server.
    pub fn pid(&self) -> i32 {
        self.keeper.pid()
    }

    /// The directory Postgres calls PGDATA.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Waits until the server ends for whatever reason.
    pub async fn wait_for_exit(&self) {
        self.keeper.wait().await;
    }

    /// Stops the server: connections are ended, a checkpoint is written.
    pub async fn stop(self) -> Result<()> {
        for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL] {
            self.keeper.signal(signal);
            if tokio::time::timeout(STOP_PATIENCE, self.keeper.wait()).await.is_ok() {
                self.remove_socket_dir();
                return Ok(());
            }
            tracing::warn!("Postgres did not end within {} s of {signal}", STOP_PATIENCE.as_secs());
        }
        bail!("Postgres {} does not end", self.pid())
    }

    async fn wait_until_ready(&self, log_path: &Path) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        let url = self.database_url("postgres");
        loop {
            if let Some(status) = self.keeper.exit_status() {
                bail!("Postgres ended with {status}; its log says:\n{}", log_tail(log_path));
            }
            match PgConnection::connect(&url).await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).context("Postgres does not become ready");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Fails when the directory is in use or gone, which is as good.
    fn remove_socket_dir(&self) {
        fs::remove_dir(&self.socket_dir).ok();
    }
}

impl Drop for PrivateCluster {
    fn drop(&mut self) {
        if self.keeper.exit_status().is_some() {
            return;
        }
        let first = match self.durability {
            Durability::Durable => Signal::SIGINT,
            Durability::Throwaway => Signal::SIGQUIT,
        };
        self.keeper.signal(first);
        if !self.keeper.wait_blocking(Duration::from_secs(10)) {
            self.keeper.signal(Signal::SIGKILL);
            self.keeper.wait_blocking(Duration::from_secs(5));
        }
        self.remove_socket_dir();
    }
}

fn plan(dir: &Path, options: &ClusterOptions) -> Result<Plan> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let dir = dir.canonicalize().with_context(|| format!("cannot read {}", dir.display()))?;
    let lock = lock(&dir)?;
    let home = home::find(&dir, &options.outside_dir)?;
    let binaries = Binaries::find(options.bin_dir.as_deref(), home.major()?)?;
    if home.major()?.is_none() {
        initialise(&home, &binaries, options.durability)?;
    }
    leftover::stop(&home.data_dir())?;
    let socket_dir = socket::prepare(&home.data_dir(), &home.owner)?;
    let compression = wal_compression(&home, &binaries);
    let mut args = vec!["-D".to_owned(), home.data_dir().display().to_string()];
    for setting in settings(options, &socket_dir, compression) {
        args.extend(["-c".to_owned(), setting]);
    }
    Ok(Plan { home, binaries, socket_dir, log_path: dir.join("postgres.log"), args, lock })
}

/// Takes the data directory for this process; the kernel gives it back however we end.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("postgres.lock");
    let mut file =
        File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                bail!("{} is in use by process {}", dir.display(), holder.trim());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// Makes the cluster beside its place and renames it, so that a half-made one is never used.
fn initialise(home: &Home, binaries: &Binaries, durability: Durability) -> Result<()> {
    let fresh = home.dir.join("data.new");
    // Postgres 17 and newer could use its built-in C.UTF-8; older ones need the system's.
    let mut failure = String::new();
    for ctype in ["C.UTF-8", "C"] {
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        let mut command = home.owner.command(binaries.program("initdb"));
        command.args(["--encoding=UTF8", "--locale=C", "--auth=trust", "--no-instructions"]);
        command.arg(format!("--lc-ctype={ctype}")).arg(format!("--username={ROLE}"));
        if durability == Durability::Throwaway {
            command.arg("--no-sync");
        }
        let output = command.arg("-D").arg(&fresh).output().context("cannot run initdb")?;
        if output.status.success() {
            let mut access = File::create(fresh.join("pg_hba.conf"))?;
            access.write_all(b"local all all trust\n")?;
            access.sync_all()?;
            return fs::rename(&fresh, home.data_dir()).context("cannot rename the new cluster");
        }
        failure = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    bail!("initdb failed:\n{failure}")
}

/// Asks the server itself, because it depends on how it was built.
fn wal_compression(home: &Home, binaries: &Binaries) -> WalCompression {
    let mut command: Command = home.owner.command(binaries.program("postgres"));
    command.arg("-D").arg(home.data_dir());
    command.args(["-c", "wal_compression=lz4", "-C", "wal_compression"]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if status.is_ok_and(|status| status.success()) {
        WalCompression::Lz4
    } else {
        WalCompression::Builtin
    }
}

/// Starts a new log file and keeps the one of the run before.
fn rotate(log_path: &Path) -> Result<File> {
    if log_path.exists() {
        fs::rename(log_path, log_path.with_extension("log.1"))?;
    }
    File::create(log_path).with_context(|| format!("cannot write {}", log_path.display()))
}

fn log_tail(log_path: &Path) -> String {
    let text = fs::read_to_string(log_path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(12)).copied().collect::<Vec<_>>().join("\n")
}
