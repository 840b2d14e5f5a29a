//! Connections that wait for their next message, by next hop.
//!
//! The newest one is taken first, so that surplus ones grow old. The pool only keeps and hands out;
//! the sweeper in `mod.rs` says QUIT to what has expired.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use posthouse_core::ports::transport::{
    Host, IpVersion, Job, Login, Origin, RequireTls, Security, Tls,
};
use tokio::time::Instant;

use super::connection::Connection;

/// What must be equal for a connection to serve another job: the set of hosts with what they have to
/// prove, whatever their order, the port, the TLS policy, the credentials and the version of IP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    hosts: Vec<(Arc<str>, Security)>,
    port: u16,
    tls: Tls,
    require_tls: RequireTls,
    login: Login,
    origin: Origin,
    ip: Option<IpVersion>,
}

impl Key {
    /// The key of a job.
    pub(super) fn new(job: &Job) -> Self {
        let hop = &*job.hop;
        let of = |host: &Host| (host.name.clone(), host.security.clone());
        let mut hosts: Vec<_> = hop.hosts.iter().map(of).collect();
        hosts.sort_unstable_by(|(name, _), (other, _)| name.cmp(other));
        Self {
            hosts,
            port: hop.port,
            tls: hop.tls,
            require_tls: job.require_tls,
            login: hop.login.clone(),
            origin: hop.origin.clone(),
            ip: hop.ip,
        }
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// Idle connections.
pub(super) struct Pool {
    idle: Mutex<HashMap<Key, Vec<Idle>>>,
    keep: Duration,
    per_hop: usize,
}

impl Pool {
    /// Keeps each connection for `keep`, at most `per_hop` to the same hop.
    pub(super) fn new(keep: Duration, per_hop: usize) -> Self {
        Self { idle: Mutex::default(), keep, per_hop }
    }

    /// A connection that seems alive and whose peer address `suits`.
    pub(super) fn take(&self, key: &Key, suits: impl Fn(IpAddr) -> bool) -> Option<Connection> {
        let mut idle = self.lock();
        let waiting = idle.get_mut(key)?;
        let mut found = None;
        while let Some(at) =
            waiting.iter().rposition(|idle| idle.connection.peer.remote_address.is_some_and(&suits))
        {
            let Idle { connection, since } = waiting.remove(at);
            if since.elapsed() < self.keep && !connection.is_stale() {
                found = Some(connection);
                break;
            }
        }
        if waiting.is_empty() {
            idle.remove(key);
        }
        found
    }

    /// Keeps a connection, or gives it back when enough are waiting.
    pub(super) fn put(&self, key: Key, mut connection: Connection) -> Option<Connection> {
        connection.rest();
        let mut idle = self.lock();
        let waiting = idle.entry(key).or_default();
        if waiting.len() >= self.per_hop {
            return Some(connection);
        }
        waiting.push(Idle { connection, since: Instant::now() });
        None
    }

    /// Takes out what has waited for longer than it may.
    pub(super) fn expired(&self) -> Vec<Connection> {
        self.remove_if(|idle| idle.since.elapsed() >= self.keep)
    }

    /// Takes out everything.
    pub(super) fn drain(&self) -> Vec<Connection> {
        self.remove_if(|_| true)
    }

    fn remove_if(&self, matches: impl Fn(&Idle) -> bool) -> Vec<Connection> {
        let mut removed = Vec::new();
        let mut idle = self.lock();
        idle.retain(|_, waiting| {
            removed
                .extend(waiting.extract_if(.., |idle| matches(idle)).map(|idle| idle.connection));
            !waiting.is_empty()
        });
        removed
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
