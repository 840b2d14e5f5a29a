//! The schedule in memory: what waits for its time, and lanes of what is due.
//!
//! Due deliveries stand in lanes by destination: domains that share their mail exchangers share a
//! lane. Within a lane accounts take turns, so that one with a million messages does not delay
//! another's single one. A lane has a limited number of workers, and a pace of its own.

mod lane;
pub(crate) mod pace;
mod turns;
mod workers;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use moka::sync::Cache;
use tokio::sync::Notify;
use uuid::Uuid;

use self::{
    lane::Lane,
    pace::{Limits, Pace},
    turns::Turns,
};
pub(crate) use self::{
    lane::{Exchangers, LaneKey},
    workers::{Work, Worker},
};
use super::{
    entry::{Entry, Held, millis},
    lane_rules::LaneRule,
    pauses::Paused,
    store::Message,
};
use crate::id::{Account, Delivery, Id};

/// Octets of content that are kept in memory until the first attempt has ended; beyond, it is read
/// again.
const HELD_BYTES: u64 = 64 * 1024 * 1024;
/// What is known of a destination is forgotten when nothing was sent there for this long.
const PACE_KEPT: Duration = Duration::from_hours(1);
/// Destinations that something is known of, and domains whose lane is known.
const MOST_KNOWN: usize = 200_000;

struct Inner {
    timers: BTreeMap<(i64, Uuid), Entry>,
    /// What is due, but paused.
    parked: HashMap<Uuid, Entry>,
    paused: Paused,
    lanes: HashMap<LaneKey, Lane>,
    /// The lanes of domains, as long as they may have something in them.
    known: HashMap<Arc<str>, LaneKey>,
    paces: Cache<LaneKey, Arc<Pace>>,
    /// Lanes that nothing is taken from until then, in milliseconds since the epoch.
    pauses: BTreeMap<i64, Vec<LaneKey>>,
    turns: Turns,
    /// Deliveries due, by account.
    due: HashMap<Id<Account>, usize>,
    /// Deliveries being worked on, by shard.
    in_flight: HashMap<u8, usize>,
    /// Of a lane without a rule, and of those with one.
    limits: Limits,
    rules: Arc<[LaneRule]>,
    /// That share them.
    nodes: usize,
    smart_host: bool,
}

impl Default for Inner {
    fn default() -> Self {
        let most = u64::try_from(MOST_KNOWN).unwrap_or(u64::MAX);
        Self {
            timers: BTreeMap::new(),
            parked: HashMap::new(),
            paused: Paused::default(),
            lanes: HashMap::new(),
            known: HashMap::new(),
            paces: Cache::builder().max_capacity(most).time_to_idle(PACE_KEPT).build(),
            pauses: BTreeMap::new(),
            turns: Turns::default(),
            due: HashMap::new(),
            in_flight: HashMap::new(),
            limits: Limits { connections: 1, per_second: None, per_connection: None },
            rules: Arc::default(),
            nodes: 1,
            smart_host: false,
        }
    }
}

/// The schedule of this node.
#[derive(Default)]
pub(crate) struct Scheduler {
    inner: Mutex<Inner>,
    kick: Notify,
    held: Arc<AtomicU64>,
}

impl Scheduler {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how many workers there are, steady and probing, how many a lane has, and whether
    /// everything goes to a smart host.
    pub(crate) fn configure(&self, workers: (usize, usize), of_a_lane: usize, smart_host: bool) {
        let mut inner = self.lock();
        inner.turns.limit(workers);
        inner.limits.connections = of_a_lane.max(1);
        inner.smart_host = smart_host;
        inner.set_limits();
    }

    /// Says how fast some lanes are.
    pub(crate) fn set_rules(&self, rules: Arc<[LaneRule]>) {
        let mut inner = self.lock();
        inner.rules = rules;
        inner.set_limits();
    }

    /// So many nodes share what a destination may be given.
    pub(crate) fn set_nodes(&self, nodes: usize) {
        let mut inner = self.lock();
        if inner.nodes != nodes.max(1) {
            inner.nodes = nodes.max(1);
            inner.set_limits();
        }
    }

    /// Makes the dispatcher look.
    pub(crate) fn kick(&self) {
        self.kick.notify_one();
    }

    /// Waits for a kick.
    pub(crate) async fn kicked(&self) {
        self.kick.notified().await;
    }

    /// The mail exchangers of `domain` are those of `lane`: what is due for it goes there.
    pub(crate) fn learn(&self, domain: &str, lane: &LaneKey) {
        let mut inner = self.lock();
        if inner.known.get(domain) == Some(lane) {
            return;
        }
        inner.forget_idle();
        let domain: Arc<str> = domain.into();
        let before = inner.known.insert(Arc::clone(&domain), lane.clone());
        let before = before.unwrap_or_else(|| LaneKey::Domain(Arc::clone(&domain)));
        let moved = inner.lanes.get_mut(&before).map(|lane| lane.leave(&domain));
        for entry in moved.unwrap_or_default() {
            inner.count_out(entry.account, 1);
            inner.push(lane.clone(), entry);
        }
    }

    /// Makes an attempt possible at once where `entry` goes: somebody asked for it.
    pub(crate) fn wake(&self, entry: &Entry) {
        let mut inner = self.lock();
        for lane in inner.lanes_of(entry) {
            if let Some(pace) = inner.paces.get(&lane) {
                pace.wake();
                inner.end_pause(lane);
            }
        }
    }

    /// Adds the deliveries of a message that has just been committed.
    pub(crate) fn add_new(&self, message: &Arc<Message>, entries: &[Entry]) {
        let held = self.hold(message);
        let now = millis(message.created_at);
        let mut inner = self.lock();
        for entry in entries.iter().filter(|entry| entry.held.is_none()) {
            let mut entry = entry.clone();
            entry.sandbox = message.sandbox;
            if entry.due <= now {
                entry.hold(held.clone());
                let key = inner.key(&entry);
                inner.push(key, entry);
            } else {
                inner.timers.insert((entry.due, entry.id.uuid()), entry);
            }
        }
        drop(inner);
        self.kick();
    }

    /// The message, if there is room to keep it in memory.
    fn hold(&self, message: &Arc<Message>) -> Option<Arc<Message>> {
        let prefix = u64::try_from(message.prefix.len()).unwrap_or(u64::MAX);
        let size = message.body.len().saturating_add(prefix);
        let held = Held::new(size, &self.held, HELD_BYTES)?;
        message.held.set(held).ok()?;
        Some(Arc::clone(message))
    }

    /// Adds deliveries read from the database, or that wait for another attempt.
    pub(crate) fn add_loaded(&self, entries: Vec<Entry>) {
        let mut inner = self.lock();
        for entry in entries {
            inner.timers.insert((entry.due, entry.id.uuid()), entry);
        }
    }

    /// From now on nothing of those who are paused is attempted; what others have goes on.
    pub(crate) fn set_paused(&self, paused: Paused) {
        let mut inner = self.lock();
        if inner.paused == paused {
            return;
        }
        let resumed = inner.parked.extract_if(|_, entry| !paused.covers(entry.account));
        let resumed: Vec<Entry> = resumed.map(|(_, entry)| entry).collect();
        for entry in resumed {
            inner.timers.insert((entry.due, entry.id.uuid()), entry);
        }
        let lanes = inner.lanes.values_mut();
        let stopped: Vec<Entry> = lanes.flat_map(|lane| lane.stop(&paused)).collect();
        for entry in stopped {
            inner.count_out(entry.account, 1);
            inner.park(entry);
        }
        inner.paused = paused;
        drop(inner);
        self.kick();
    }

    /// Moves what is due at `now` into its lane; says when the next is due.
    pub(crate) fn advance(&self, now: i64) -> Option<i64> {
        let mut inner = self.lock();
        inner.end_pauses(now);
        while let Some(first) = inner.timers.first_entry() {
            if first.key().0 > now {
                return Some(first.key().0);
            }
            let entry = first.remove();
            let key = inner.key(&entry);
            inner.push(key, entry);
        }
        None
    }

    /// Puts what was taken into other lanes, to be attempted there.
    pub(crate) fn hand_over(&self, moved: Vec<(LaneKey, Entry)>) {
        if moved.is_empty() {
            return;
        }
        let mut inner = self.lock();
        for (key, entry) in moved {
            inner.end_work(entry.id);
            inner.push(key, entry);
        }
        drop(inner);
        self.kick();
    }

    /// A delivery is not worked on any more.
    pub(crate) fn finished(&self, delivery: Id<Delivery>) {
        self.lock().end_work(delivery);
    }

    /// Takes what waits for its time or its turn off the schedule, to change it; gives back what was
    /// there. It counts as being worked on until [`Self::settle`].
    pub(crate) fn seize(&self, wanted: &[&Entry]) -> Vec<Id<Delivery>> {
        let mut seized = Vec::new();
        let mut due = HashMap::<(LaneKey, Id<Account>), HashSet<Id<Delivery>>>::new();
        let mut inner = self.lock();
        for entry in wanted {
            if inner.timers.remove(&(entry.due, entry.id.uuid())).is_some()
                || inner.parked.remove(&entry.id.uuid()).is_some()
            {
                seized.push(entry.id);
            } else {
                for lane in inner.lanes_of(entry) {
                    due.entry((lane, entry.account)).or_default().insert(entry.id);
                }
            }
        }
        for ((key, account), ids) in due {
            let removed = inner.lanes.get_mut(&key).map(|lane| lane.remove(account, &ids));
            let removed = removed.unwrap_or_default();
            inner.count_out(account, removed.len());
            seized.extend(removed.iter().map(|entry| entry.id));
        }
        for id in &seized {
            *inner.in_flight.entry(id.shard()).or_default() += 1;
        }
        seized
    }

    /// What was seized is not worked on any more; `entries` go on waiting.
    pub(crate) fn settle(&self, seized: &[Id<Delivery>], entries: Vec<Entry>) {
        self.add_loaded(entries);
        for id in seized {
            self.finished(*id);
        }
        self.kick();
    }

    /// Whether deliveries of `shard` are being worked on.
    pub(crate) fn in_flight(&self, shard: u8) -> bool {
        self.lock().in_flight.get(&shard).is_some_and(|count| *count > 0)
    }

    /// Drops everything that waits in `shards`.
    pub(crate) fn remove_shards(&self, shards: &[u8]) {
        let mut inner = self.lock();
        inner.timers.retain(|_, entry| !shards.contains(&entry.id.shard()));
        inner.parked.retain(|_, entry| !shards.contains(&entry.id.shard()));
        for lane in inner.lanes.values_mut() {
            lane.drop_shards(shards);
        }
        inner.count_due();
    }

    /// Deliveries in memory, for metrics: waiting for their time, due, being worked on.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let inner = self.lock();
        let ready = inner.lanes.values().map(|lane| lane.ready).sum();
        (inner.timers.len() + inner.parked.len(), ready, inner.in_flight.values().sum())
    }
}

impl Inner {
    fn end_work(&mut self, delivery: Id<Delivery>) {
        if let Some(count) = self.in_flight.get_mut(&delivery.shard()) {
            *count = count.saturating_sub(1);
        }
    }

    /// The lane of a delivery that no route sends elsewhere: routes are asked when it is its turn.
    fn key(&self, entry: &Entry) -> LaneKey {
        if entry.sandbox {
            return LaneKey::Sandbox(entry.account);
        }
        if self.smart_host {
            return LaneKey::SmartHost;
        }
        let known = self.known.get(entry.domain()).cloned();
        known.unwrap_or_else(|| LaneKey::Domain(entry.domain().into()))
    }

    /// Every lane that a delivery may stand in.
    fn lanes_of(&self, entry: &Entry) -> Vec<LaneKey> {
        if entry.sandbox {
            return vec![LaneKey::Sandbox(entry.account)];
        }
        let mut lanes = vec![LaneKey::Domain(entry.domain().into()), LaneKey::SmartHost];
        lanes.extend(self.known.get(entry.domain()).cloned());
        let shared = self
            .lanes
            .keys()
            .filter(|key| matches!(key, LaneKey::Transport(_) | LaneKey::Exchangers(_, Some(_))));
        lanes.extend(shared.cloned());
        lanes
    }

    /// This node's share of what the destination of a lane may be given. The sandbox and mailboxes
    /// here have no other side to be spared.
    fn limits_of(&self, key: &LaneKey) -> Limits {
        let (rule, nodes) = match key {
            LaneKey::Exchangers(Exchangers::Ruled(name), _) => {
                (self.rules.iter().find(|rule| *rule.name == **name), self.nodes)
            }
            LaneKey::Domain(_) | LaneKey::Sandbox(_) => (None, 1),
            LaneKey::Exchangers(..) | LaneKey::SmartHost | LaneKey::Transport(_) => {
                (None, self.nodes)
            }
        };
        let share = |number: u32| usize::try_from(number).unwrap_or(usize::MAX).div_ceil(nodes);
        let connections = rule.and_then(|rule| rule.connections);
        let per_second = rule.and_then(|rule| rule.messages_per_second).map(share);
        let per_connection = rule.and_then(|rule| rule.messages_per_connection);
        Limits {
            connections: connections
                .map_or_else(|| self.limits.connections.div_ceil(nodes), share)
                .max(1),
            per_second: per_second.and_then(|number| NonZeroU32::new(u32::try_from(number).ok()?)),
            per_connection: per_connection.and_then(|number| usize::try_from(number).ok()),
        }
    }

    /// Brings all paces in line with the limits.
    fn set_limits(&self) {
        for (key, pace) in &self.paces {
            pace.set(self.limits_of(&key));
        }
    }

    /// Forgets domains that have nothing in their lane, when there are very many.
    fn forget_idle(&mut self) {
        if self.known.len() >= MOST_KNOWN {
            let lanes = &self.lanes;
            self.known.retain(|_, lane| lanes.contains_key(lane));
        }
    }

    /// Keeps what is due until it is not paused any more; its content is read again then.
    fn park(&mut self, mut entry: Entry) {
        entry.hold(None);
        self.parked.insert(entry.id.uuid(), entry);
    }

    fn push(&mut self, key: LaneKey, entry: Entry) {
        if self.paused.covers(entry.account) {
            return self.park(entry);
        }
        *self.due.entry(entry.account).or_default() += 1;
        if !self.lanes.contains_key(&key) {
            let limits = self.limits_of(&key);
            let pace = self.paces.get_with_by_ref(&key, || Arc::new(Pace::new(limits)));
            self.lanes.insert(key.clone(), Lane::new(pace));
        }
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.push(entry);
        }
        self.ask_for_worker(key);
    }

    /// So many of an account are not due any more.
    fn count_out(&mut self, account: Id<Account>, count: usize) {
        if let Some(due) = self.due.get_mut(&account) {
            *due = due.saturating_sub(count);
            if *due == 0 {
                self.due.remove(&account);
            }
        }
    }

    /// Counts anew what is due.
    fn count_due(&mut self) {
        self.due.clear();
        for (account, count) in self.lanes.values().flat_map(Lane::sizes) {
            *self.due.entry(account).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests;
