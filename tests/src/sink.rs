//! An SMTP server for tests: it takes mail on a loopback port and misbehaves as its script says.
//!
//! Deliberately separate from our own server, so that a misunderstanding in that one cannot hide
//! itself. Only CRLF "." CRLF ends a message, and nothing is normalised.

mod scram;
mod script;
mod session;
mod wire;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::script::{Script, Stage};

/// A message that the sink took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Reverse-path without angle brackets.
    pub mail_from: String,
    /// Parameters of MAIL, as sent.
    pub mail_parameters: String,
    /// Forward-paths that were accepted.
    pub rcpt_to: Vec<String>,
    /// The octets with dot-stuffing removed.
    pub data: Vec<u8>,
    /// The session was protected by TLS.
    pub tls: bool,
    /// The name given in EHLO or HELO.
    pub helo: String,
    /// User name of AUTH.
    pub login: Option<String>,
    /// Number of the connection it came over, from 1.
    pub connection: usize,
}

impl Message {
    /// The octets as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

/// A running sink; dropping it closes its port and connections.
pub struct Sink {
    addr: SocketAddr,
    shared: Arc<Shared>,
    received: watch::Receiver<usize>,
    _stop: DropGuard,
}

/// What the sessions of a sink share.
struct Shared {
    script: Script,
    fired: script::Fired,
    messages: Mutex<Vec<Message>>,
    transcript: Mutex<Vec<String>>,
    connections: AtomicUsize,
    clients: Mutex<Vec<IpAddr>>,
    octets: AtomicUsize,
    received: watch::Sender<usize>,
}

impl Sink {
    /// Starts a sink on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When there is no free port: a test cannot go on without its sink.
    pub fn start(script: Script) -> Self {
        Self::start_at(script, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts a sink on a given address, such as 127.0.0.2 with the port of another sink.
    ///
    /// # Panics
    /// When the address cannot be used.
    #[expect(clippy::expect_used, reason = "a test cannot go on without its sink")]
    pub fn start_at(script: Script, addr: SocketAddr) -> Self {
        Self::start_on(script, std::net::TcpListener::bind(addr).expect("a sink needs its address"))
    }

    /// Starts a sink on a socket that listens already.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[expect(clippy::expect_used, reason = "a test cannot go on without its sink")]
    pub fn start_on(script: Script, listener: std::net::TcpListener) -> Self {
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let addr = listener.local_addr().expect("a listener has an address");
        let listener = TcpListener::from_std(listener).expect("a sink runs in a runtime");
        let (sender, received) = watch::channel(0);
        let shared = Arc::new(Shared {
            script,
            fired: script::Fired::default(),
            messages: Mutex::default(),
            transcript: Mutex::default(),
            connections: AtomicUsize::new(0),
            clients: Mutex::default(),
            octets: AtomicUsize::new(0),
            received: sender,
        });
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(listen(
            listener,
            shared.clone(),
            stop.clone(),
        )));
        Self { addr, shared, received, _stop: stop.drop_guard() }
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The messages taken so far; empty in counting mode.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.shared.messages).clone()
    }

    /// How many messages were taken so far.
    pub fn count(&self) -> usize {
        *self.received.borrow()
    }

    /// How many octets of messages were taken so far, as they came over the wire.
    pub fn octets(&self) -> usize {
        self.shared.octets.load(Ordering::Relaxed)
    }

    /// Everything said, as `C: ` and `S: ` lines; empty in counting mode.
    pub fn transcript(&self) -> Vec<String> {
        lock(&self.shared.transcript).clone()
    }

    /// The commands received that start with `verb`.
    pub fn commands(&self, verb: &str) -> Vec<String> {
        let said = self.transcript();
        let commands = said.iter().filter_map(|line| line.strip_prefix("C: "));
        commands.filter(|line| line.starts_with(verb)).map(str::to_owned).collect()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// The address that each connection came from; empty in counting mode.
    pub fn clients(&self) -> Vec<IpAddr> {
        lock(&self.shared.clients).clone()
    }

    /// Waits until `n` messages were taken; `messages()` then, or an error when that takes too long.
    pub async fn wait_for(&self, n: usize, timeout: Duration) -> anyhow::Result<Vec<Message>> {
        let mut received = self.received.clone();
        let enough = received.wait_for(|count| *count >= n);
        if !matches!(tokio::time::timeout(timeout, enough).await, Ok(Ok(_))) {
            anyhow::bail!("{} of {n} messages arrived within {timeout:?}", self.count());
        }
        Ok(self.messages())
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let Ok((tcp, from)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
        if shared.script.keeps {
            lock(&shared.clients).push(from.ip());
        }
        let session = session::run(shared.clone(), tcp, number);
        let stop = stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled_owned(session).await });
    }
}

impl Shared {
    fn note(&self, who: &str, what: &str) {
        if self.script.keeps {
            lock(&self.transcript).push(format!("{who}: {what}"));
        }
    }

    fn take(&self, message: Message, octets: usize) {
        self.octets.fetch_add(octets, Ordering::Relaxed);
        if self.script.keeps {
            lock(&self.messages).push(message);
        }
        self.received.send_modify(|count| *count += 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
