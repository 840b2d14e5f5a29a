//! One throwaway Postgres cluster for all test processes of a run, and a database for each test.
//!
//! nextest runs every test in a process of its own. The first one that needs a database starts a
//! keeper: the same test binary again, in the background, which runs the cluster and ends it when
//! no test process has been there for some seconds. Locks on files tell who is there, so nothing
//! stays behind however a process ends. A test gets a copy of a database that was migrated once.

use std::{
    fs::{self, File, TryLockError},
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use posthouse_postgres::{ClusterOptions, PrivateCluster};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, postgres::PgPoolOptions};

/// Tells the keeper where to work; without it, it is an empty test.
const KEEPER_VARIABLE: &str = "POSTHOUSE_TEST_CLUSTER";
/// The name of the test that is the keeper.
const KEEPER_TEST: &str = "keeps_postgres_for_this_run";
/// How long the cluster waits for the next test process.
const LINGER: Duration = Duration::from_secs(5);
const START_PATIENCE: Duration = Duration::from_secs(90);

/// Makes a test binary able to keep the cluster. Every binary that asks for a database needs it
/// once.
#[macro_export]
macro_rules! postgres_keeper {
    () => {
        #[test]
        #[ignore = "the keeper of the test cluster: started by the harness"]
        fn keeps_postgres_for_this_run() {
            $crate::postgres::keep();
        }
    };
}

/// A database of one test.
#[derive(Debug)]
pub struct Database {
    name: String,
    base: String,
}

/// The lock that shows that this process is there; the kernel gives it back at its end.
static PRESENCE: Mutex<Option<File>> = Mutex::new(None);

impl Database {
    /// Makes a database with the current schema.
    pub async fn create() -> Self {
        let (base, template) = tokio::task::spawn_blocking(cluster).await.unwrap();
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        let mut connection = connect(&base, "postgres").await;
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template}");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        Self { name, base }
    }

    /// The URL, by the cluster's own socket.
    pub fn url(&self) -> String {
        database_url(&self.base, &self.name)
    }

    /// The directory of the cluster's socket.
    pub fn socket_dir(&self) -> PathBuf {
        let (_, host) = self.base.split_once("host=").unwrap();
        PathBuf::from(host)
    }

    /// Connections for a test that looks into the database.
    pub async fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(4).connect(&self.url()).await.unwrap()
    }

    /// Removes the database, whoever is still connected.
    pub async fn remove(self) {
        let mut connection = connect(&self.base, "postgres").await;
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// Runs the cluster while there are test processes.
pub fn keep() {
    let Some(dir) = std::env::var_os(KEEPER_VARIABLE).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(keep_in(&dir));
}

async fn keep_in(dir: &Path) {
    let alive = lock_file(dir, "keeper");
    if alive.try_lock().is_err() {
        return;
    }
    let place = dir.join("cluster");
    remove_tree(&place);
    let cluster = PrivateCluster::start(&place, ClusterOptions::throwaway()).await.unwrap();
    let url = cluster.database_url("postgres");
    fs::write(dir.join("url.new"), url).unwrap();
    fs::rename(dir.join("url.new"), dir.join("url")).unwrap();
    let last_seen = tokio::select! {
        // Then the tests fail, which says more than starting it again would.
        () = cluster.wait_for_exit() => None,
        locks = wait_until_unused(dir) => Some(locks),
    };
    remove_file(&dir.join("url"));
    drop(cluster);
    remove_tree(&place);
    // Only now may a new process start a new keeper.
    drop((last_seen, alive));
}

/// Returns with the locks that keep new test processes waiting.
async fn wait_until_unused(dir: &Path) -> (File, File) {
    let mut seen = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let (start, users) = (lock_file(dir, "start"), lock_file(dir, "users"));
        if start.try_lock().is_err() || users.try_lock().is_err() {
            seen = Instant::now();
        } else if seen.elapsed() > LINGER {
            return (start, users);
        }
    }
}

/// Returns the URL of the cluster and the name of the migrated database.
fn cluster() -> (String, String) {
    let dir = cluster_dir();
    fs::create_dir_all(&dir).unwrap();
    let start = lock_file(&dir, "start");
    start.lock().unwrap();
    join_users(&dir);
    let alive = lock_file(&dir, "keeper");
    match alive.try_lock() {
        Ok(()) => {
            alive.unlock().unwrap();
            start_keeper(&dir);
        }
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => panic!("cannot lock: {error}"),
    }
    let base = fs::read_to_string(dir.join("url")).unwrap();
    let template = prepare_template(&base);
    (base, template)
}

fn join_users(dir: &Path) {
    let mut presence = PRESENCE.lock().unwrap();
    if presence.is_none() {
        let users = lock_file(dir, "users");
        users.lock_shared().unwrap();
        *presence = Some(users);
    }
}

#[expect(clippy::zombie_processes, reason = "the keeper outlives this process")]
fn start_keeper(dir: &Path) {
    remove_file(&dir.join("url"));
    let log_path = dir.join("keeper.log");
    let log = File::create(&log_path).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--nocapture", "--test-threads=1", KEEPER_TEST])
        .env(KEEPER_VARIABLE, dir)
        .current_dir("/")
        // A group of its own: neither Ctrl-C nor the time limit of a test ends it too early.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + START_PATIENCE;
    while !dir.join("url").exists() {
        let ended = child.try_wait().unwrap().is_some();
        if ended || Instant::now() > deadline {
            let log = fs::read_to_string(&log_path).unwrap_or_default();
            panic!("no test cluster (is postgres_keeper!() in this test binary?):\n{log}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Makes the template of the current migrations, unless an earlier test did. The caller holds the
/// start lock.
fn prepare_template(base: &str) -> String {
    let name = format!("template_{:016x}", migrations_hash());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = connect(base, "postgres").await;
        let ready = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)";
        let query = sqlx::query_scalar(ready).bind(&name);
        if query.fetch_one(&mut connection).await.unwrap() {
            return;
        }
        for statement in
            [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")]
        {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        }
        let url = database_url(base, &name);
        let pool = PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        posthouse_core::migrate::run(&pool).await.unwrap();
        pool.close().await;
        let statement = format!("ALTER DATABASE {name} IS_TEMPLATE true ALLOW_CONNECTIONS false");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
    name
}

/// One place for each working copy and user. The copies in the cluster are named by their schema,
/// so that test binaries of different ages can share it.
fn cluster_dir() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let hash = fnv(here.as_os_str().as_encoded_bytes(), FNV_START);
    // The home of the user tells users apart without asking for the user id.
    let home = std::env::home_dir().unwrap_or_default();
    let hash = fnv(home.as_os_str().as_encoded_bytes(), hash);
    std::env::temp_dir().join(format!("posthouse-tests-{hash:016x}"))
}

fn migrations_hash() -> u64 {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/migrations");
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().fold(FNV_START, |hash, file| fnv(&fs::read(file).unwrap(), hash))
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, for names of files: the standard library's hash differs between releases.
fn fnv(bytes: &[u8], start: u64) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

async fn connect(base: &str, name: &str) -> PgConnection {
    PgConnection::connect(&database_url(base, name)).await.unwrap()
}

fn database_url(base: &str, name: &str) -> String {
    base.replacen("/postgres?", &format!("/{name}?"), 1)
}

fn lock_file(dir: &Path, name: &str) -> File {
    let path = dir.join(name).with_extension("lock");
    File::options().create(true).truncate(false).write(true).open(path).unwrap()
}

fn remove_file(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", path.display());
    }
}

fn remove_tree(path: &Path) {
    // Root's cluster may be a link to a place that the Postgres user can reach.
    if let Ok(target) = fs::read_link(path.join("postgres")) {
        drop(fs::remove_dir_all(target));
    }
    if let Err(error) = fs::remove_dir_all(path) {
        let harmless = error.kind() == std::io::ErrorKind::NotFound;
        if !harmless {
            drop(writeln!(std::io::stderr(), "cannot remove {}: {error}", path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::postgres_keeper!();

    #[tokio::test]
    async fn a_test_gets_a_database_with_the_schema() {
        let database = Database::create().await;
        let pool = database.pool().await;
        let count = sqlx::query_scalar("SELECT count(*) FROM queue_shards");
        let shards: i64 = count.fetch_one(&pool).await.unwrap();
        assert_eq!(shards, 256);
        pool.close().await;
        database.remove().await;
    }
}
