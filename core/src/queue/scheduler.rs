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
    store::Message,
};
use crate::id::{Account, Delivery, Id};

/// Octets of content that are kept in memory until the first attempt has ended; beyond, it is read
/// again.
const HELD_BYTES: u64 = 64 * 1024 * 1024;

/// Key of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum LaneKey {
    /// The mail exchangers of a domain.
    Domain(Arc<str>),
    /// The smart host that takes everything.
    SmartHost,
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

    fn lane_key(&self, entry: &Entry) -> LaneKey {
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
        for entry in entries {
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

    /// A delivery is not worked on any more.
    pub(crate) fn finished(&self, delivery: Id<Delivery>) {
        let mut inner = self.lock();
        if let Some(count) = inner.in_flight.get_mut(&delivery.shard()) {
            *count = count.saturating_sub(1);
        }
    }

    /// Takes what waits for its time or its turn off the schedule, to change it; gives back what was
    /// there. It counts as being worked on until [`Self::settle`].
    pub(crate) fn seize(&self, wanted: &[&Entry]) -> Vec<Id<Delivery>> {
        let mut seized = Vec::new();
        let mut due = HashMap::<(LaneKey, Id<Account>), HashSet<Id<Delivery>>>::new();
        let mut inner = self.lock();
        for entry in wanted {
            if inner.timers.remove(&(entry.due, entry.id.uuid())).is_some() {
                seized.push(entry.id);
            } else {
                let place = (self.lane_key(entry), entry.account);
                due.entry(place).or_default().insert(entry.id);
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
        (inner.timers.len(), ready, inner.in_flight.values().sum())
    }
}

impl Inner {
    fn push(&mut self, key: LaneKey, entry: Entry) {
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
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::id::Message as MessageKind;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap()
    }

    fn entry(account: Id<Account>, message: Id<MessageKind>, number: u16) -> Entry {
        Entry::new(message.delivery(number), account, "bob@example.net", now())
    }

    const LIMITS: Limits = Limits { total: 10, lane: 2 };

    #[test]
    fn accounts_take_turns_and_siblings_go_together() {
        let scheduler = Scheduler::default();
        let (one, two) = (Id::new(now()), Id::new(now()));
        let busy: Vec<Id<MessageKind>> = (0..3).map(|_| Id::in_shard(now(), 1)).collect();
        let mut entries: Vec<Entry> =
            busy.iter().flat_map(|m| [entry(one, *m, 1), entry(one, *m, 2)]).collect();
        let late = Id::in_shard(now() + time::Duration::seconds(1), 1);
        entries.push(entry(two, late, 1));
        scheduler.add_loaded(entries);
        assert_eq!(scheduler.advance(millis(now())), None);
        let lanes = scheduler.start_workers(LIMITS);
        assert_eq!(lanes.len(), 1);
        let groups = scheduler.take(&lanes[0]).unwrap().groups;
        assert_eq!(groups.len(), 4);
        assert_eq!(groups[0].len(), 2);
        assert_eq!(groups[1][0].account, two);
        assert!(scheduler.in_flight(1));
        for entry in groups.iter().flatten() {
            scheduler.finished(entry.id);
        }
        assert!(!scheduler.in_flight(1));
        assert!(scheduler.take(&lanes[0]).is_none());
        assert_eq!(scheduler.counts(), (0, 0, 0));
    }

    #[test]
    fn what_is_not_due_waits_and_lost_shards_are_forgotten() {
        let scheduler = Scheduler::default();
        let account = Id::new(now());
        let mut later = entry(account, Id::in_shard(now(), 7), 1);
        later.due += 5000;
        scheduler.add_loaded(vec![later]);
        assert_eq!(scheduler.advance(millis(now())), Some(millis(now()) + 5000));
        assert!(scheduler.start_workers(LIMITS).is_empty());
        scheduler.remove_shards(&[7]);
        assert_eq!(scheduler.advance(millis(now()) + 5000), None);
        assert!(scheduler.start_workers(LIMITS).is_empty());
    }

    fn message(octets: usize) -> Arc<Message> {
        let raw = || serde_json::value::to_raw_value("").unwrap();
        Arc::new(Message {
            id: Id::in_shard(now(), 1),
            account: Id::new(now()),
            mail_from: "".into(),
            subject: String::new(),
            internet_message_id: String::new(),
            created_at: now(),
            sandbox: false,
            tags: raw(),
            metadata: raw(),
            prefix: bytes::Bytes::new(),
            body: bytes::Bytes::from(vec![0; octets]).into(),
            smtputf8: false,
            eight_bit: false,
            held: std::sync::OnceLock::new(),
        })
    }

    #[test]
    fn content_counts_as_held_until_its_attempt_has_ended() {
        let scheduler = Scheduler::default();
        let take = |message: Arc<Message>| {
            scheduler.add_new(&message, &[entry(message.account, message.id, 1)]);
            drop(message);
            let lanes = scheduler.start_workers(LIMITS);
            let mut work = scheduler.take(&lanes[0]).unwrap();
            assert!(scheduler.take(&lanes[0]).is_none());
            work.groups[0][0].take_content()
        };
        let large = 40 * 1024 * 1024;
        let attempted = take(message(large));
        assert!(attempted.is_some());
        assert!(take(message(large)).is_none(), "there is room for one");
        assert!(take(message(1000)).is_some());
        drop(attempted);
        assert!(take(message(large)).is_some());
    }

    #[test]
    fn what_is_seized_is_not_attempted_until_it_is_settled() {
        let scheduler = Scheduler::default();
        let account = Id::new(now());
        let entries: Vec<Entry> =
            (0..4).map(|_| entry(account, Id::in_shard(now(), 1), 1)).collect();
        let mut later = entries[3].clone();
        later.due += 1000;
        scheduler.add_loaded([&entries[..3], &[later.clone()]].concat());
        scheduler.advance(millis(now()));
        let lanes = scheduler.start_workers(LIMITS);
        // One stands in its lane, one waits for its time, and one is somewhere else.
        let elsewhere = entry(account, Id::in_shard(now(), 1), 1);
        let seized = scheduler.seize(&[&entries[1], &later, &elsewhere]);
        assert_eq!(HashSet::from_iter(seized.clone()), HashSet::from([entries[1].id, later.id]));
        assert!(scheduler.seize(&[&entries[1], &later]).is_empty(), "only once");
        let work = scheduler.take(&lanes[0]).unwrap();
        let taken: Vec<_> = work.groups.iter().flatten().map(|entry| entry.id).collect();
        assert_eq!(taken, [entries[0].id, entries[2].id]);
        assert!(scheduler.seize(&[&entries[0]]).is_empty(), "it is being attempted");
        taken.iter().for_each(|id| scheduler.finished(*id));
        assert!(scheduler.in_flight(1), "the shard is not given away meanwhile");
        scheduler.settle(&seized, vec![later.clone()]);
        assert!(!scheduler.in_flight(1));
        assert_eq!(scheduler.advance(millis(now())), Some(later.due));
        assert_eq!(scheduler.counts(), (1, 0, 0));
    }

    #[test]
    fn a_lane_has_a_limited_number_of_workers() {
        let scheduler = Scheduler::default();
        let account = Id::new(now());
        let entries =
            (0..100).map(|_| entry(account, Id::in_shard(now(), 1), 1)).collect::<Vec<_>>();
        scheduler.add_loaded(entries);
        scheduler.advance(millis(now()));
        assert_eq!(scheduler.start_workers(LIMITS).len(), 2);
        assert!(scheduler.start_workers(LIMITS).is_empty());
    }
}
