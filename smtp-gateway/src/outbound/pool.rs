//! Connections that wait for their next message, by next hop.
//!
//! The newest one is taken first, so that surplus ones grow old. When there are very many, the oldest
//! of all makes room. The pool only keeps and hands out; the sweeper in `mod.rs` says QUIT to what has
//! expired.

use std::{
    collections::{HashMap, VecDeque},
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
    state: Mutex<State>,
    keep: Duration,
    /// Most to the same hop, and most of all.
    most: (usize, usize),
}

#[derive(Default)]
struct State {
    idle: HashMap<Key, Vec<Idle>>,
    /// How many there are.
    count: usize,
    /// When connections began to wait, the oldest first, also those that do not wait any more.
    order: VecDeque<(Instant, Key)>,
}

impl State {
    /// Takes out the one that has waited longest.
    fn oldest(&mut self) -> Option<Connection> {
        while let Some((since, key)) = self.order.pop_front() {
            let Some(waiting) = self.idle.get_mut(&key) else { continue };
            let Some(at) = waiting.iter().position(|idle| idle.since == since) else { continue };
            let oldest = waiting.remove(at);
            if waiting.is_empty() {
                self.idle.remove(&key);
            }
            self.count = self.count.saturating_sub(1);
            return Some(oldest.connection);
        }
        None
    }
}

impl Pool {
    /// Keeps each connection for `keep`, at most so many to the same hop, and of all.
    pub(super) fn new(keep: Duration, most: (usize, usize)) -> Self {
        Self { state: Mutex::default(), keep, most }
    }

    /// A connection that seems alive and whose peer address `suits`.
    pub(super) fn take(&self, key: &Key, suits: impl Fn(IpAddr) -> bool) -> Option<Connection> {
        let mut state = self.lock();
        let State { idle, count, .. } = &mut *state;
        let waiting = idle.get_mut(key)?;
        let mut found = None;
        while let Some(at) =
            waiting.iter().rposition(|idle| idle.connection.peer.remote_address.is_some_and(&suits))
        {
            let Idle { connection, since } = waiting.remove(at);
            *count = count.saturating_sub(1);
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

    /// Keeps a connection; gives back what there is no room for.
    pub(super) fn put(&self, key: Key, mut connection: Connection) -> Option<Connection> {
        connection.rest();
        let (per_hop, of_all) = self.most;
        let mut state = self.lock();
        if state.idle.get(&key).is_some_and(|waiting| waiting.len() >= per_hop) {
            return Some(connection);
        }
        let since = Instant::now();
        state.order.push_back((since, key.clone()));
        state.idle.entry(key).or_default().push(Idle { connection, since });
        state.count += 1;
        if state.count > of_all { state.oldest() } else { None }
    }

    /// Takes out what has waited for longer than it may.
    pub(super) fn expired(&self) -> Vec<Connection> {
        let mut state = self.lock();
        while state.order.front().is_some_and(|(since, _)| since.elapsed() >= self.keep) {
            state.order.pop_front();
        }
        drop(state);
        self.remove_if(|idle| idle.since.elapsed() >= self.keep)
    }

    /// Takes out everything.
    pub(super) fn drain(&self) -> Vec<Connection> {
        self.remove_if(|_| true)
    }

    fn remove_if(&self, matches: impl Fn(&Idle) -> bool) -> Vec<Connection> {
        let mut removed = Vec::new();
        let mut state = self.lock();
        state.idle.retain(|_, waiting| {
            removed
                .extend(waiting.extract_if(.., |idle| matches(idle)).map(|idle| idle.connection));
            !waiting.is_empty()
        });
        state.count = state.count.saturating_sub(removed.len());
        removed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
