//! A socket in front of Postgres that a test can cut: then the database is away for the server.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    task::{JoinHandle, JoinSet},
};

/// The name that every Postgres client looks for in the directory of sockets.
const SOCKET: &str = ".s.PGSQL.5432";

/// A stand-in for the socket of Postgres.
#[derive(Clone)]
pub struct PostgresProxy {
    shared: Arc<Shared>,
}

struct Shared {
    dir: tempfile::TempDir,
    upstream: PathBuf,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = running.take() {
            task.abort();
        }
    }
}

impl PostgresProxy {
    /// Starts a proxy for the cluster whose socket is in `socket_dir`.
    pub fn start(socket_dir: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let upstream = socket_dir.join(SOCKET);
        let shared = Shared { dir, upstream, running: Mutex::default() };
        let proxy = Self { shared: Arc::new(shared) };
        proxy.restore();
        proxy
    }

    /// Turns the URL of a database into one that leads through here.
    pub fn url(&self, direct: &str) -> String {
        let (before, _) = direct.split_once("?host=").unwrap();
        format!("{before}?host={}", self.shared.dir.path().display())
    }

    /// Ends all connections and takes no new ones.
    pub async fn cut(&self) {
        let task = self.running().take();
        if let Some(task) = task {
            task.abort();
            // An error is the abort itself.
            drop(task.await);
            std::fs::remove_file(self.shared.dir.path().join(SOCKET)).unwrap();
        }
    }

    /// Takes connections again.
    pub fn restore(&self) {
        let mut running = self.running();
        if running.is_none() {
            let listener = UnixListener::bind(self.shared.dir.path().join(SOCKET)).unwrap();
            *running = Some(tokio::spawn(serve(listener, self.shared.upstream.clone())));
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: UnixListener, upstream: PathBuf) {
    // Aborting this task ends the connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let upstream = upstream.clone();
        connections.spawn(async move { relay(client, &upstream).await });
        while connections.try_join_next().is_some() {}
    }
}

async fn relay(mut client: UnixStream, upstream: &Path) {
    if let Ok(mut server) = UnixStream::connect(upstream).await {
        // The end of a connection is not our concern.
        drop(copy_bidirectional(&mut client, &mut server).await);
    }
}
