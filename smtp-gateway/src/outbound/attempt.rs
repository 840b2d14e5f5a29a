//! One try to deliver a job: a waiting connection first, then host by host (RFC 5321 §5.1).

use std::{net::IpAddr, sync::Arc};

use posthouse_core::ports::transport::{Host, Job, Origin, Outcome, Peer, Reply, Session};
use tokio::time::Instant;

use super::{
    Outbound,
    capabilities::Extension,
    connection::Connection,
    fault::Fault,
    ledger::Ledger,
    pool::Key,
    route,
    session::{self, Target},
    transaction::{self, Interrupted, Progress},
};

/// A try under way.
pub(super) struct Attempt<'a> {
    outbound: &'a Outbound,
    job: &'a Job,
    deadline: Instant,
    ledger: Ledger,
    peer: Option<Peer>,
    /// What the hosts tried so far said, for recipients that none of them decided about.
    said: Option<Reply>,
    /// What the first host lacks that cannot do what the sender wants of TLS.
    lacking: Option<Reply>,
    /// Hosts that offer CHUNKING and do not know BDAT.
    without_chunking: Vec<Arc<str>>,
    sessions: Vec<Session>,
}

/// Where to go on after a host or address has been tried.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// All is decided.
    Stop,
    /// Another address of the same host.
    Address,
    /// Another host.
    Host,
}

/// What came of a connection that was waiting in the pool.
enum Reused<'a> {
    /// Go on with the hosts.
    Nothing,
    /// This host has said what it has to say; go on with the others.
    Tried(&'a Host),
    /// All is decided.
    Stop,
}

impl<'a> Attempt<'a> {
    /// Prepares a try that ends at `deadline`.
    pub(super) fn new(outbound: &'a Outbound, job: &'a Job, deadline: Instant) -> Self {
        Self {
            outbound,
            job,
            deadline,
            ledger: Ledger::new(job),
            peer: None,
            said: None,
            lacking: None,
            without_chunking: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// Delivers; results in the order of the recipients, the peer that they came from, and the
    /// sessions that were begun.
    pub(super) async fn run(mut self) -> (Vec<Outcome>, Option<Peer>, Vec<Session>) {
        if !self.ledger.is_complete() {
            match self.reuse().await {
                Reused::Stop => {}
                Reused::Nothing => self.hosts(None).await,
                Reused::Tried(host) => self.hosts(Some(host)).await,
            }
        }
        if self.said.is_none()
            && let Some(reply) = self.lacking
        {
            // RFC 8689 §4.2.1: no host will do, now or later.
            self.ledger.settle_fault(Fault::Permanent(reply));
        }
        let said = self.said.unwrap_or_else(|| Reply::local("4.4.4", "There is no host to try"));
        (self.ledger.into_outcomes(|| said.clone()), self.peer, self.sessions)
    }

    /// Tries the newest waiting connection. When that proves dead, it never happened.
    async fn reuse(&mut self) -> Reused<'a> {
        let (job, key) = (self.job, Key::new(self.job));
        let taken = self.outbound.shared.pool.take(&key, |address| route::suits(job, address));
        let Some(mut connection) = taken else {
            return Reused::Nothing;
        };
        let host = job.hop.hosts.iter().find(|host| *host.name == *connection.peer.host);
        let Some(host) = host else {
            return Reused::Nothing;
        };
        count_connection("reused");
        connection.begin(self.deadline);
        let peer = connection.peer.clone();
        let result = transaction::deliver(&mut connection, job, host, &mut self.ledger).await;
        let closing = matches!(
            &result,
            Err(Interrupted::Fault(Fault::Temporary(reply))) if reply.code == Some(421)
        );
        self.outbound.give_back(job, connection);
        match result {
            // A server that closes an idle connection may say so just as we send MAIL.
            Err(Interrupted::Fault(_)) if closing && !self.ledger.is_answered => Reused::Nothing,
            Err(Interrupted::BeforeAnyReply(error)) => {
                tracing::debug!(%error, "a waiting connection was dead");
                count_connection("dead");
                Reused::Nothing
            }
            Err(Interrupted::WithoutChunking) => {
                self.without_chunking.push(host.name.clone());
                Reused::Nothing
            }
            Err(Interrupted::Fault(fault)) => match self.record(fault, peer) {
                Next::Stop => Reused::Stop,
                Next::Host => Reused::Tried(host),
                Next::Address => Reused::Nothing,
            },
            Ok(progress) => {
                self.peer = Some(peer);
                if progress == Progress::Complete { Reused::Stop } else { Reused::Nothing }
            }
        }
    }

    async fn hosts(&mut self, except: Option<&Host>) {
        let job = self.job;
        let mut later = Vec::new();
        for host in &job.hop.hosts {
            if except.is_some_and(|tried| tried.name == host.name) {
                continue;
            }
            let (lost, good): (Vec<_>, Vec<_>) =
                route::addresses(job, host).into_iter().partition(|address| self.is_lost(*address));
            match self.addresses(host, good).await {
                Next::Stop => return,
                Next::Host => {}
                Next::Address => later.push((host, lost)),
            }
        }
        for (host, lost) in later {
            if self.addresses(host, lost).await == Next::Stop {
                return;
            }
        }
    }

    /// Tries these addresses of a host; [`Next::Address`] when none of them could be used.
    async fn addresses(&mut self, host: &Host, addresses: Vec<IpAddr>) -> Next {
        for address in addresses {
            match self.address(Target::new(self.job, host, address)).await {
                Next::Address => {}
                next => return next,
            }
        }
        Next::Address
    }

    /// Of what can be reached through a proxy or from a certain address nothing is remembered.
    fn is_remembered(&self) -> bool {
        self.job.hop.origin == Origin::default()
    }

    fn is_lost(&self, address: IpAddr) -> bool {
        self.is_remembered() && self.outbound.shared.health.is_lost(address)
    }

    /// Remembers whether an address could be connected to.
    fn remember(&self, address: IpAddr, opened: &Result<Connection, Fault>) {
        if !self.is_remembered() {
            return;
        }
        match opened {
            Ok(_) => self.outbound.shared.health.find(address),
            Err(Fault::Connection(reply)) if reply.enhanced.as_deref() == Some("4.4.1") => {
                self.outbound.shared.health.lose(address);
            }
            Err(_) => {}
        }
    }

    /// Tries one address, with more than one connection when the server limits them, or cannot take
    /// chunks.
    async fn address(&mut self, target: Target<'_>) -> Next {
        loop {
            let (env, seen) = (&self.outbound.shared.env, &mut self.sessions);
            let opened = session::open(env, target, self.deadline, seen).await;
            self.remember(target.address, &opened);
            let mut connection = match opened {
                Ok(connection) => connection,
                Err(fault) => return self.record(fault, target.peer()),
            };
            if self.without_chunking.contains(&target.host.name) {
                connection.capabilities.forget(Extension::Chunking);
            }
            let (job, ledger) = (self.job, &mut self.ledger);
            let result = transaction::deliver(&mut connection, job, target.host, ledger).await;
            let peer = connection.peer.clone();
            self.finish(connection);
            match result {
                Ok(progress) => {
                    self.peer = Some(peer);
                    if progress == Progress::Complete {
                        return Next::Stop;
                    }
                }
                Err(Interrupted::WithoutChunking) => {
                    self.without_chunking.push(target.host.name.clone());
                }
                Err(Interrupted::Fault(fault)) => return self.record(fault, peer),
                Err(Interrupted::BeforeAnyReply(error)) => {
                    return self.record(Fault::Connection(error.into_reply(target.host)), peer);
                }
            }
        }
    }

    fn finish(&self, connection: Connection) {
        self.outbound.give_back(self.job, connection);
    }

    /// Notes what a host said and tells where to go on.
    fn record(&mut self, fault: Fault, peer: Peer) -> Next {
        if let Fault::Lacking(reply) = fault {
            self.lacking.get_or_insert(reply);
            self.peer.get_or_insert(peer);
            return Next::Host;
        }
        if self.ledger.is_answered || matches!(fault, Fault::Permanent(_)) {
            self.ledger.settle_fault(fault);
            self.peer = Some(peer);
            return Next::Stop;
        }
        let next = if matches!(fault, Fault::Temporary(_)) { Next::Host } else { Next::Address };
        let reply = fault.into_reply();
        tracing::debug!(code = reply.code, "host did not take the message");
        // The words of a server tell more than a failure to reach the next one.
        let spoken_before = self.said.as_ref().is_some_and(|said| said.code.is_some());
        if reply.code.is_some() || !spoken_before {
            self.said = Some(reply);
            self.peer = Some(peer);
        }
        next
    }
}

fn count_connection(kind: &'static str) {
    metrics::counter!("posthouse_smtp_out_connections_total", "kind" => kind).increment(1);
}
