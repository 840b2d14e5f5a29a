//! The schedule in memory: what waits for its time, and lanes of what is due.
//!
//! Due deliveries stand in lanes by destination; within a lane, accounts take turns, so that one
//! with a million messages does not delay another's single one. A lane has a limited number of
//! workers, each with one connection at a time.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use super::{
    entry::{Entry, Held, millis},
    pauses::Paused,
    store::Message,
};
use crate::id::{Account, Delivery, Id, Transport};

/// Octets of content that are kept in memory until the first attempt has ended; beyond, it is read
/// again.
const HELD_BYTES: u64 = 64 * 1024 * 1024;

/// Key of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum LaneKey {
    /// The mail exchangers of a domain.
    Domain(Arc<str>),
    /// The smart host of the configuration.
    SmartHost,
    /// The host of a transport.
    Transport(Id<Transport>),
    /// The sandbox, by account.
    Sandbox(Id<Account>),
}

struct Lane {
    queues: HashMap<Id<Account>, VecDeque<Entry>>,
    turns: VecDeque<Id<Account>>,
    ready: usize,
    workers: usize,
    /// One permit for each attempt that may be made at a time.
    slots: Arc<Semaphore>,
}

/// What a worker does next.
pub(crate) struct Work {
    /// Recipients of one message each.
    pub groups: Vec<Vec<Entry>>,
    /// Each attempt needs a permit.
    pub slots: Arc<Semaphore>,
}

/// Groups whose content must be read first are taken together, to read it at once.
const READ_TOGETHER: usize = 8;

struct Inner {
    timers: BTreeMap<(i64, Uuid), Entry>,
    /// What is due, but paused.
    parked: HashMap<Uuid, Entry>,
    paused: Paused,
    lanes: HashMap<LaneKey, Lane>,
    /// Lanes that got something since the dispatcher looked.
    fresh: Vec<LaneKey>,
    /// Deliveries being worked on, by shard.
    in_flight: HashMap<u8, usize>,
    workers: usize,
    /// Attempts that a lane may make at a time.
    lane_slots: usize,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            timers: BTreeMap::new(),
            parked: HashMap::new(),
            paused: Paused::default(),
            lanes: HashMap::new(),
            fresh: Vec::new(),
            in_flight: HashMap::new(),
            workers: 0,
            lane_slots: 1,
        }
    }
}

/// How many workers there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub total: usize,
    pub lane: usize,
}

/// The schedule of this node.
#[derive(Default)]
pub(crate) struct Scheduler {
    inner: Mutex<Inner>,
    kick: Notify,
    held: Arc<AtomicU64>,
    smart_host: std::sync::atomic::AtomicBool,
}

impl Scheduler {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how many attempts a lane makes at a time, and whether everything goes to a smart host.
    pub(crate) fn configure(&self, lane_slots: usize, smart_host: bool) {
        self.lock().lane_slots = lane_slots.max(1);
        self.smart_host.store(smart_host, Ordering::Relaxed);
    }

    /// Makes the dispatcher look.
    pub(crate) fn kick(&self) {
        self.kick.notify_one();
    }

    /// Waits for a kick.
    pub(crate) async fn kicked(&self) {
        self.kick.notified().await;
    }

    /// The lane of a delivery that no route sends elsewhere: routes are asked when it is its turn.
    pub(crate) fn lane_key(&self, entry: &Entry) -> LaneKey {
        if entry.sandbox {
            LaneKey::Sandbox(entry.account)
        } else if self.smart_host.load(Ordering::Relaxed) {
            LaneKey::SmartHost
        } else {
            LaneKey::Domain(entry.domain().into())
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
                let key = self.lane_key(&entry);
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
            inner.park(entry);
        }
        inner.paused = paused;
        drop(inner);
        self.kick();
    }

    /// Moves what is due at `now` into its lane; says when the next is due.
    pub(crate) fn advance(&self, now: i64) -> Option<i64> {
        let mut inner = self.lock();
        while let Some(first) = inner.timers.first_entry() {
            if first.key().0 > now {
                return Some(first.key().0);
            }
            let entry = first.remove();
            let key = self.lane_key(&entry);
            inner.push(key, entry);
        }
        None
    }

    /// Lanes that want another worker now; each is counted as started.
    pub(crate) fn start_workers(&self, limits: Limits) -> Vec<LaneKey> {
        let mut inner = self.lock();
        let mut started = Vec::new();
        let fresh = std::mem::take(&mut inner.fresh);
        let mut waiting = Vec::new();
        for key in fresh {
            let Inner { lanes, workers, .. } = &mut *inner;
            let Some(lane) = lanes.get_mut(&key) else {
                continue;
            };
            if lane.ready == 0 && lane.workers == 0 {
                lanes.remove(&key);
                continue;
            }
            let wanted = lane.ready.div_ceil(8).min(limits.lane);
            while lane.workers < wanted && *workers < limits.total {
                lane.workers += 1;
                *workers += 1;
                started.push(key.clone());
            }
            if lane.workers == 0 {
                // No room now: the lane stays on the list.
                waiting.push(key);
            }
        }
        inner.fresh = waiting;
        started
    }

    /// Takes what a worker of `key` does next: a group of recipients of one message, or several
    /// groups when their content must be read. None: the worker has ended.
    pub(crate) fn take(&self, key: &LaneKey) -> Option<Work> {
        let mut inner = self.lock();
        let Inner { lanes, in_flight, workers, .. } = &mut *inner;
        let lane = lanes.get_mut(key)?;
        let mut groups = Vec::new();
        while groups.len() < READ_TOGETHER {
            let Some(group) = lane.next_group() else {
                break;
            };
            for entry in &group {
                *in_flight.entry(entry.id.shard()).or_default() += 1;
            }
            let has_content = group.first().is_some_and(Entry::has_content);
            groups.push(group);
            if has_content {
                break;
            }
        }
        if groups.is_empty() {
            lane.workers = lane.workers.saturating_sub(1);
            *workers = workers.saturating_sub(1);
            if lane.workers == 0 {
                lanes.remove(key);
            }
            drop(inner);
            self.kick();
            return None;
        }
        Some(Work { groups, slots: Arc::clone(&lane.slots) })
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
            if let Some(lane) = inner.lanes.get_mut(&key) {
                lane.remove(account, &ids, &mut seized);
            }
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
            for queue in lane.queues.values_mut() {
                queue.retain(|entry| !shards.contains(&entry.id.shard()));
            }
            lane.ready = lane.queues.values().map(VecDeque::len).sum();
        }
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

    /// Every lane that a delivery may stand in.
    fn lanes_of(&self, entry: &Entry) -> Vec<LaneKey> {
        if entry.sandbox {
            return vec![LaneKey::Sandbox(entry.account)];
        }
        let mut lanes = vec![LaneKey::Domain(entry.domain().into()), LaneKey::SmartHost];
        let shared = self.lanes.keys().filter(|key| matches!(key, LaneKey::Transport(_)));
        lanes.extend(shared.cloned());
        lanes
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
        let slots = self.lane_slots;
        let lane = self.lanes.entry(key.clone()).or_insert_with(|| Lane::new(slots));
        lane.push(entry);
        // One worker for every eight that wait; the dispatcher looks at the lane again then.
        if (lane.workers == 0 || lane.ready > lane.workers * 8) && self.fresh.last() != Some(&key) {
            self.fresh.push(key);
        }
    }
}

impl Lane {
    fn new(slots: usize) -> Self {
        Self {
            queues: HashMap::new(),
            turns: VecDeque::new(),
            ready: 0,
            workers: 0,
            slots: Arc::new(Semaphore::new(slots)),
        }
    }

    fn push(&mut self, entry: Entry) {
        let queue = self.queues.entry(entry.account).or_default();
        if queue.is_empty() {
            self.turns.push_back(entry.account);
        }
        queue.push_back(entry);
        self.ready += 1;
    }

    /// Takes out everything of those who are paused.
    fn stop(&mut self, paused: &Paused) -> Vec<Entry> {
        let mut stopped = Vec::new();
        for (_, queue) in self.queues.extract_if(|account, _| paused.covers(*account)) {
            self.ready = self.ready.saturating_sub(queue.len());
            stopped.extend(queue);
        }
        self.turns.retain(|account| !paused.covers(*account));
        stopped
    }

    /// Takes `ids` out of the queue of `account`; those that were there are added to `removed`.
    fn remove(
        &mut self,
        account: Id<Account>,
        ids: &HashSet<Id<Delivery>>,
        removed: &mut Vec<Id<Delivery>>,
    ) {
        let Some(queue) = self.queues.get_mut(&account) else { return };
        let before = queue.len();
        queue.retain(|entry| {
            let goes = ids.contains(&entry.id);
            if goes {
                removed.push(entry.id);
            }
            !goes
        });
        self.ready = self.ready.saturating_sub(before - queue.len());
        if queue.is_empty() {
            self.queues.remove(&account);
            self.turns.retain(|turn| *turn != account);
        }
    }

    /// The next recipient of the account whose turn it is, with those of the same message and the
    /// same number of attempts (C4).
    fn next_group(&mut self) -> Option<Vec<Entry>> {
        while let Some(account) = self.turns.pop_front() {
            let Some(queue) = self.queues.get_mut(&account) else {
                continue;
            };
            let Some(first) = queue.pop_front() else {
                self.queues.remove(&account);
                continue;
            };
            let (message, attempts) = (first.id.message(), first.attempts);
            let mut group = vec![first];
            while queue
                .front()
                .is_some_and(|next| next.id.message() == message && next.attempts == attempts)
            {
                group.extend(queue.pop_front());
            }
            if queue.is_empty() {
                self.queues.remove(&account);
            } else {
                self.turns.push_back(account);
            }
            self.ready = self.ready.saturating_sub(group.len());
            return Some(group);
        }
        None
    }
}

#[cfg(test)]
mod tests;
