//! The doors of an app: opening them, noticing when one shuts by itself, shutting them.

use std::{fmt::Display, sync::Arc};

use anyhow::{Result, anyhow};
use posthouse_api::ApiState;
use posthouse_smtp_gateway::{ListenerKind, SmtpConfig, SmtpServer};
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Listeners;

/// Protocols of HTTPS, the better one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Doors that are open.
pub(super) struct Doors {
    tls: Option<Arc<ServerConfig>>,
    /// Ends doors and event streams.
    pub(super) stopping: CancellationToken,
    tasks: TaskTracker,
    failure: watch::Sender<Option<String>>,
}

impl Doors {
    pub(super) fn new(tls: Option<Arc<ServerConfig>>) -> Self {
        Self {
            tls,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            failure: watch::Sender::new(None),
        }
    }

    /// Opens all doors.
    pub(super) fn open(
        &self,
        listeners: Listeners,
        state: ApiState,
        smtp: SmtpConfig,
    ) -> Result<()> {
        // Before anything listens: it is all that can go wrong.
        let smtp = SmtpServer::new(state.platform.clone(), smtp, self.tls.clone())?;
        let router = posthouse_api::router(state);
        let stopping = || self.stopping.clone();
        if let Some(listener) = listeners.http {
            let router = router.clone();
            self.spawn("HTTP", posthouse_api::serve(listener, router, None, stopping()));
        }
        if let Some(listener) = listeners.https {
            let tls = self.tls.as_deref().map(with_alpn);
            self.spawn("HTTPS", posthouse_api::serve(listener, router, tls, stopping()));
        }
        let mail = [
            ("SMTP", listeners.smtp, ListenerKind::Mx),
            ("submission", listeners.submission, ListenerKind::Submission),
            ("submissions", listeners.submissions, ListenerKind::Submissions),
        ];
        for (name, listener, kind) in mail {
            if let Some(listener) = listener {
                let tasks = self.tasks.clone();
                self.spawn(name, smtp.clone().serve(listener, kind, stopping(), tasks));
            }
        }
        Ok(())
    }

    /// Waits until a door shuts by itself; tells why.
    pub(super) async fn failed(&self) -> anyhow::Error {
        let mut failure = self.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(text) => anyhow!(text.clone().unwrap_or_default()),
            // The sender is ours: never closed while we wait.
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes no more connections and waits for the end of those that are open.
    pub(super) async fn shut(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Runs a door until the stop; ending earlier is a failure of the app.
    fn spawn<E: Display>(
        &self,
        name: &'static str,
        door: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let stopping = self.stopping.clone();
        let failure = self.failure.clone();
        self.tasks.spawn(async move {
            let result = door.await;
            if stopping.is_cancelled() {
                return;
            }
            let why = result.err().map_or_else(String::new, |error| format!(": {error}"));
            failure.send_replace(Some(format!("the {name} door shut{why}")));
        });
    }
}

/// Doors of an app that is dropped without [`super::App::stop`] shut as well.
impl Drop for Doors {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

fn with_alpn(tls: &ServerConfig) -> Arc<ServerConfig> {
    let mut tls = tls.clone();
    tls.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Arc::new(tls)
}
