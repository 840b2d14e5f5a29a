//! The whole server in this process, on free ports, with everything around it made for one test.
//!
//! ```no_run
//! # async fn example() {
//! use posthouse_tests::{app::App, sink::Script};
//!
//! let app = App::test().sink("mx.remote.test", Script::new()).start().await;
//! let alice = app.account("alice@example.test").await;
//! let message = alice.send(&["bob@remote.test"], "Hello").await;
//! alice.wait_for_status(&message.id(), "delivered").await;
//! assert_eq!(app.sink("mx.remote.test").count(), 1);
//! app.stop().await;
//! # }
//! ```

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use posthouse_core::{
    Config,
    ports::{TestClock, hickory::Dnssec},
    room::Share,
};
use serde_json::json;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    client::Client,
    dns::{DnsServer, Zone},
    logs,
    person::Person,
    postgres::Database,
    proxy::PostgresProxy,
    server::{Addresses, Plan, Server},
    sink::{Script, Sink},
    smtp_client::SmtpClient,
    wait::eventually,
};

/// The password of every account that a test makes.
pub const PASSWORD: &str = "correct horse battery staple";
/// The master key of every server.
pub const MASTER_KEY: [u8; 32] = [42; 32];

type Change = Box<dyn FnOnce(&mut Config) + Send>;

/// What a test wants to be different.
#[derive(Default)]
pub struct Builder {
    zones: Vec<Zone>,
    sinks: Vec<(String, Script)>,
    changes: Vec<Change>,
    breakable: bool,
    dnssec: bool,
}

impl Builder {
    /// Adds a zone to the DNS.
    #[must_use]
    pub fn dns(mut self, zone: Zone) -> Self {
        self.zones.push(zone);
        self
    }

    /// Starts a mail server. It gets an address in DNS; when no zone covers its name, it is also
    /// made the mail exchanger of the domain one label up.
    #[must_use]
    pub fn sink(mut self, host: &str, script: Script) -> Self {
        self.sinks.push((host.to_owned(), script));
        self
    }

    /// Outgoing mail goes to the sandbox.
    #[must_use]
    pub fn sandbox(self) -> Self {
        self.configure(|config| {
            config.delivery.sandbox = true;
            config.sandbox = true;
        })
    }

    /// The waits between attempts to deliver.
    #[must_use]
    pub fn retry_schedule(self, waits: &[Duration]) -> Self {
        let waits = waits.to_vec();
        self.configure(move |config| config.delivery.retry_schedule = waits)
    }

    /// Changes the configuration.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Puts a socket in front of Postgres that [`App::postgres`] can cut.
    #[must_use]
    pub const fn breakable_postgres(mut self) -> Self {
        self.breakable = true;
        self
    }

    /// Answers of DNS are validated, up from its root zone.
    #[must_use]
    pub const fn dnssec(mut self) -> Self {
        self.dnssec = true;
        self
    }

    /// Starts everything.
    pub async fn start(self) -> App {
        logs::start();
        let network = Network::new();
        let dns = DnsServer::start(self.zones).await;
        let database = Database::create().await;
        let db = database.pool().await;
        let proxy = self.breakable.then(|| PostgresProxy::start(&database.socket_dir()));
        let url = proxy.as_ref().map_or_else(|| database.url(), |proxy| proxy.url(&database.url()));
        let files = tempfile::tempdir().unwrap();
        let mut core = config(files.path(), network.port);
        for change in self.changes {
            change(&mut core);
        }
        let clock = Arc::new(TestClock::default());
        let tls_dir = files.path().to_owned();
        let node_name = "test".to_owned();
        let resolver = dns.address();
        let dnssec = if self.dnssec {
            Dnssec::Validate { anchors: Some(dns.trust_anchor()) }
        } else {
            Dnssec::Off
        };
        let plan = Plan { node_name, core, url, resolver, dnssec, clock: clock.clone(), tls_dir };
        let server = Server::start(&plan).await;
        let admin_key = server.make_admin().await;
        let app = App {
            clock,
            plan,
            server: Some(server),
            admin_key,
            dns,
            network,
            hosts: Mutex::default(),
            sinks: Mutex::default(),
            forwards: Mutex::default(),
            db,
            database,
            proxy,
            files,
        };
        for (host, script) in self.sinks {
            app.start_sink(&host, script).await;
        }
        app
    }
}

fn config(files: &Path, delivery_port: u16) -> Config {
    let mut config = Config {
        hostname: "mail.posthouse.test".to_owned(),
        blob_store: posthouse_core::config::BlobStore::Directory(files.join("blobs")),
        webhook_allowed_networks: vec!["127.0.0.0/8".to_owned()],
        ..Config::default()
    };
    config.spool.directory = files.join("spool");
    config.delivery.port = delivery_port;
    config.policy_hosts.port = delivery_port;
    config.policy_hosts.allowed_networks = vec!["127.0.0.0/8".to_owned()];
    config
}

/// Another node of the installation.
pub struct Node {
    server: Server,
}

impl Node {
    /// Calls this node as `person`.
    pub fn as_person(&self, person: &Person) -> Person {
        let http = person.http.at(&self.http_url());
        Person { http, submission: self.server.addresses.submission, ..person.clone() }
    }

    /// Where the API of this node is.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.server.addresses.http)
    }

    /// Sends the reports about TLS that are due now.
    pub async fn send_tls_reports(&self) {
        self.server.send_tls_reports().await;
    }

    /// Does the hourly clean-up of this node now.
    pub async fn clean_up(&self) {
        self.server.clean_up().await;
    }

    /// Stops as at SIGTERM.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// A running server and what is around it.
pub struct App {
    /// The clock of the server; it can be set forward.
    pub clock: Arc<TestClock>,
    plan: Plan,
    server: Option<Server>,
    admin_key: String,
    dns: DnsServer,
    network: Network,
    hosts: Mutex<BTreeMap<String, IpAddr>>,
    sinks: Mutex<BTreeMap<String, Arc<Sink>>>,
    forwards: Mutex<JoinSet<()>>,
    db: PgPool,
    database: Database,
    proxy: Option<PostgresProxy>,
    files: TempDir,
}

impl App {
    /// Begins a test.
    pub fn test() -> Builder {
        Builder::default()
    }

    /// The base of the API.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.addresses().http)
    }

    /// Where mail from other servers comes in.
    pub fn smtp_addr(&self) -> SocketAddr {
        self.addresses().smtp
    }

    /// Where mail programs submit, over STARTTLS.
    pub fn submission_addr(&self) -> SocketAddr {
        self.addresses().submission
    }

    /// Where mail programs submit, over TLS from the first octet.
    pub fn submissions_addr(&self) -> SocketAddr {
        self.addresses().submissions
    }

    /// A connection to the incoming port that has said EHLO.
    pub async fn smtp(&self) -> SmtpClient {
        SmtpClient::open(self.smtp_addr()).await
    }

    /// Calls the API without a credential.
    pub fn anonymous(&self) -> Client {
        Client::anonymous(&self.http_url())
    }

    /// Calls the API as administrator.
    pub fn admin(&self) -> Client {
        self.anonymous().with_key(&self.admin_key)
    }

    /// The DNS that the server asks.
    pub const fn dns(&self) -> &DnsServer {
        &self.dns
    }

    /// The database of the server, for assertions.
    pub const fn db(&self) -> &PgPool {
        &self.db
    }

    /// The socket in front of Postgres; the test must have asked for it.
    pub fn postgres(&self) -> &PostgresProxy {
        self.proxy.as_ref().expect("App::test().breakable_postgres()")
    }

    /// The directory of the blob store.
    pub fn blob_dir(&self) -> PathBuf {
        self.files.path().join("blobs")
    }

    /// The directory `tls` with the certificates of the server, as `localserve` makes them.
    pub fn tls_dir(&self) -> PathBuf {
        self.files.path().join("tls")
    }

    /// The port that the server delivers to.
    pub const fn delivery_port(&self) -> u16 {
        self.plan.core.delivery.port
    }

    /// A mail server of this test.
    pub fn sink(&self, host: &str) -> Arc<Sink> {
        self.sinks().get(host).unwrap_or_else(|| panic!("there is no sink {host}")).clone()
    }

    /// Starts another mail server, now; in place of the one of that name, if there is one.
    pub async fn start_sink(&self, host: &str, script: Script) -> Arc<Sink> {
        self.stop_sink(host);
        let address = SocketAddr::new(self.add_host(host), self.network.port);
        // The socket of the one before is closed by and by.
        let bind = async || std::net::TcpListener::bind(address).ok();
        let listener = eventually("the address of a sink is free", bind).await;
        let sink = Arc::new(Sink::start_on(script, listener));
        self.sinks().insert(host.to_owned(), sink.clone());
        sink
    }

    /// Stops a mail server; its name keeps its address, at which nobody listens then.
    pub fn stop_sink(&self, host: &str) {
        drop(self.sinks().remove(host));
    }

    /// Makes this server the mail exchanger `host`: what is delivered there comes in on its own
    /// port for incoming mail.
    pub async fn receive_at(&self, host: &str) {
        let address = SocketAddr::new(self.add_host(host), self.network.port);
        let (listener, own) = (TcpListener::bind(address).await.unwrap(), self.smtp_addr());
        let forward = async move {
            loop {
                let Ok((mut from, _)) = listener.accept().await else { continue };
                tokio::spawn(async move {
                    if let Ok(mut to) = TcpStream::connect(own).await {
                        // The end of a connection is not our concern.
                        drop(copy_bidirectional(&mut from, &mut to).await);
                    }
                });
            }
        };
        self.forwards().spawn(forward);
    }

    /// Gives a name an address at which nobody listens until a sink of that name is started.
    pub fn add_host(&self, host: &str) -> IpAddr {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        *hosts.entry(host.to_owned()).or_insert_with(|| {
            let address = self.network.next_address();
            self.dns.add_host(host, address);
            address
        })
    }

    /// Makes a domain, unless it exists, and publishes its records.
    pub async fn domain(&self, name: &str) {
        let domain = json!({"name": name, "dkim": {"algorithms": ["ed25519"]}});
        let answer = self.admin().post("/v1/domains", domain).await;
        assert!(matches!(answer.status, 201 | 409), "{answer:?}");
    }

    /// Makes an account with an address, an API key and a password.
    pub async fn account(&self, address: &str) -> Person {
        let (_, domain) = address.rsplit_once('@').unwrap();
        self.domain(domain).await;
        self.account_with(&[address]).await
    }

    /// Makes an account with these addresses; `@domain` is a catch-all. The domains must exist.
    pub async fn account_with(&self, addresses: &[&str]) -> Person {
        let account = json!({"name": addresses[0], "addresses": addresses, "password": PASSWORD});
        let account = self.admin().post("/v1/accounts", account).await.expect(201);
        let scopes = posthouse_core::Scopes::user().names();
        let key = json!({"name": "test", "account_id": account["id"], "scopes": scopes});
        let key = self.admin().post("/v1/api-keys", key).await.expect(201);
        Person {
            address: addresses[0].to_owned(),
            password: PASSWORD.to_owned(),
            account_id: account.id(),
            http: self.anonymous().with_key(key["key"].as_str().unwrap()),
            submission: self.submission_addr(),
        }
    }

    /// The time of the server.
    pub fn now(&self) -> time::OffsetDateTime {
        posthouse_core::ports::Clock::now(&*self.clock)
    }

    /// Sets the clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by.try_into().unwrap());
    }

    /// Takes all memory for large contents until dropped.
    pub async fn hold_memory(&self) -> Share {
        self.server.as_ref().expect("a running server").hold_memory().await
    }

    /// Does the hourly clean-up now.
    pub async fn clean_up(&self) {
        self.server.as_ref().expect("a running server").clean_up().await;
    }

    /// Fetches the MTA-STS policies again that are due now.
    pub async fn refresh_policies(&self) {
        self.server.as_ref().expect("a running server").refresh_policies().await;
    }

    /// Checks the domains that are due now.
    pub async fn check_domains(&self) {
        self.server.as_ref().expect("a running server").check_domains().await;
    }

    /// Sends the reports about TLS that are due now.
    pub async fn send_tls_reports(&self) {
        self.server.as_ref().expect("a running server").send_tls_reports().await;
    }

    /// Stops the server and starts it again on the same data. It listens on the same ports.
    pub async fn restart(&mut self) {
        let server = self.server.take().expect("a running server");
        let addresses = server.addresses;
        server.stop().await;
        self.server = Some(Server::start_at(&self.plan, addresses).await);
    }

    /// Starts another node on the same database, not through the socket that can be cut.
    pub async fn node(&self, name: &str) -> Node {
        let url = self.database.url();
        let plan = Plan { node_name: name.to_owned(), url, ..self.plan.clone() };
        Node { server: Server::start(&plan).await }
    }

    /// Stops the server and removes its database.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        self.db.close().await;
        self.database.remove().await;
    }

    fn addresses(&self) -> Addresses {
        self.server.as_ref().expect("a running server").addresses
    }

    fn forwards(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.forwards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sinks(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Sink>>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loopback addresses for the mail servers of one test. They share one port, as mail servers do.
struct Network {
    first: u32,
    next: AtomicU32,
    port: u16,
}

static NETWORKS: AtomicU32 = AtomicU32::new(0);

impl Network {
    /// Chooses 63 addresses that no other test uses, and a port that is free there.
    fn new() -> Self {
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let slot = (std::process::id().wrapping_mul(37) + number) % 0x3_fb00;
        let first = u32::from(Ipv4Addr::new(127, 1, 0, 0)) + slot * 64;
        let any_port = SocketAddr::from((Ipv4Addr::from(first), 0));
        let probe = std::net::TcpListener::bind(any_port).unwrap();
        let port = probe.local_addr().unwrap().port();
        Self { first, next: AtomicU32::new(1), port }
    }

    fn next_address(&self) -> IpAddr {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        assert!(number < 64, "too many mail servers for one test");
        Ipv4Addr::from(self.first + number).into()
    }
}
