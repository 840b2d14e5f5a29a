//! Starts the composition root of the server with what a test gives it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use posthouse_core::{
    Actor, Config, Cx, Id, Scopes,
    accounts::{self, NewAccount},
    api_keys::{self, NewApiKey},
    ports::{
        TestClock,
        hickory::{Dnssec, HickoryResolver},
    },
    room::Share,
};
use posthouse_server::{
    app::{self, AppConfig, Listeners, Outgoing},
    database::DatabaseSettings,
    roles::Roles,
    tls::{LocalCertificates, SessionTickets, server_config},
};
use posthouse_smtp_gateway::{SmtpConfig, outbound::OutboundConfig};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::net::TcpListener;

use crate::app::MASTER_KEY;

/// Connections to Postgres: few, as many tests share the cluster.
const CONNECTIONS: u32 = 12;

/// What a server is started from, again after a restart.
#[derive(Clone)]
pub(crate) struct Plan {
    pub node_name: String,
    pub core: Config,
    pub url: String,
    pub resolver: SocketAddr,
    pub dnssec: Dnssec,
    pub clock: Arc<TestClock>,
    pub tls_dir: PathBuf,
}

/// Where the doors are.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub http: SocketAddr,
    pub smtp: SocketAddr,
    pub submission: SocketAddr,
    pub submissions: SocketAddr,
}

/// A running server.
pub(crate) struct Server {
    app: app::App,
    pub addresses: Addresses,
}

impl Server {
    /// Starts on free ports.
    pub(crate) async fn start(plan: &Plan) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let any = Addresses { http: any, smtp: any, submission: any, submissions: any };
        Self::start_at(plan, any).await
    }

    /// Starts on given ports.
    pub(crate) async fn start_at(plan: &Plan, at: Addresses) -> Self {
        let database = DatabaseSettings::from_url(&plan.url, CONNECTIONS).unwrap();
        let listeners = Listeners {
            http: Some(listen(at.http).await),
            smtp: Some(listen(at.smtp).await),
            submission: Some(listen(at.submission).await),
            submissions: Some(listen(at.submissions).await),
            ..Listeners::default()
        };
        let hostname = plan.core.hostname.clone();
        let certificates = certificates(plan);
        let mut core = plan.core.clone();
        core.policy_hosts.roots = Some(roots(&certificates));
        let config = AppConfig {
            core,
            node_name: plan.node_name.clone(),
            pool: database.pool("test"),
            clock: plan.clock.clone(),
            resolver: Arc::new(HickoryResolver::new(&[plan.resolver], &plan.dnssec).unwrap()),
            master_key: MASTER_KEY,
            listeners,
            tls: Some(tls(&certificates)),
            roles: Roles::all(),
            outbound: Outgoing::Smtp(OutboundConfig::new(hostname, roots(&certificates))),
            api: posthouse_api::Limits::default(),
            smtp: SmtpConfig::default(),
        };
        let app = app::App::start(config).await.unwrap();
        let bound = app.addresses();
        let addresses = Addresses {
            http: bound.http.unwrap(),
            smtp: bound.smtp.unwrap(),
            submission: bound.submission.unwrap(),
            submissions: bound.submissions.unwrap(),
        };
        Self { app, addresses }
    }

    /// Makes the first administrator and gives a key with every right.
    pub(crate) async fn make_admin(&self) -> String {
        let platform = self.app.platform().clone();
        let now = platform.now();
        let cx = Cx::new(platform, Actor::system(Id::new(now)), Id::new(now));
        let account = NewAccount { name: "admin".to_owned(), admin: true, ..NewAccount::default() };
        let account = accounts::create(&cx, account).await.unwrap().value;
        let key = NewApiKey {
            name: "admin".to_owned(),
            account: Some(account.id),
            scopes: Scopes::all().names(),
            ..NewApiKey::default()
        };
        api_keys::create(&cx, key).await.unwrap().value.secret
    }

    /// Takes all memory for large contents.
    pub(crate) async fn hold_memory(&self) -> Share {
        self.app.platform().memory().wait(u64::MAX).await.unwrap()
    }

    /// Does the hourly clean-up now.
    pub(crate) async fn clean_up(&self) {
        posthouse_core::workers::clean_up(self.app.platform()).await.unwrap();
    }

    /// Fetches the MTA-STS policies again that are due.
    pub(crate) async fn refresh_policies(&self) {
        posthouse_core::mta_sts::refresh_due(self.app.platform()).await.unwrap();
    }

    /// Checks the domains that are due.
    pub(crate) async fn check_domains(&self) {
        Box::pin(posthouse_core::domains::checks::run_due(self.app.platform())).await.unwrap();
    }

    /// Sends the reports about TLS that are due.
    pub(crate) async fn send_tls_reports(&self) {
        posthouse_core::tls_reports::send_due(self.app.platform()).await.unwrap();
    }

    /// Stops as at SIGTERM.
    pub(crate) async fn stop(self) {
        self.app.stop().await;
    }
}

async fn listen(address: SocketAddr) -> TcpListener {
    TcpListener::bind(address).await.unwrap()
}

fn certificates(plan: &Plan) -> LocalCertificates {
    // The certificate is for clients, which have the time of the machine.
    #[expect(clippy::disallowed_methods, reason = "the clock of the test may be ahead")]
    let now = time::OffsetDateTime::now_utc();
    let names = [plan.core.hostname.clone()];
    LocalCertificates::ensure(&plan.tls_dir, &names, now).unwrap()
}

fn tls(files: &LocalCertificates) -> Arc<ServerConfig> {
    server_config(&files.cert_file, &files.key_file, &[], SessionTickets::Off).unwrap()
}

/// The server trusts its own authority, so that a test can give a mail server a good certificate.
fn roots(files: &LocalCertificates) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.ca_file).unwrap()).unwrap();
    Arc::new(roots)
}
