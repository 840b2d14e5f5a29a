//! A lane: what is due for one destination, account by account.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use super::{
    pace::Pace,
    turns::{Class, Weight},
};
use crate::{
    id::{Account, Delivery, Id, Transport},
    queue::{entry::Entry, pauses::Paused},
};

/// Key of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum LaneKey {
    /// A domain whose mail exchangers are not known yet, or that is served here.
    Domain(Arc<str>),
    /// Mail exchangers: domains that share them share a lane. With a direct transport they have one
    /// of their own: it may have another address, or a proxy that is dead.
    Exchangers(Exchangers, Option<Id<Transport>>),
    /// The smart host of the configuration.
    SmartHost,
    /// The host of a transport.
    Transport(Id<Transport>),
    /// The sandbox, by account.
    Sandbox(Id<Account>),
}

/// Mail exchangers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Exchangers {
    /// By their names.
    Named(Arc<str>),
    /// Those of a rule, by its name.
    Ruled(Arc<str>),
}

pub(super) struct Lane {
    queues: HashMap<Id<Account>, VecDeque<Entry>>,
    turns: VecDeque<Id<Account>>,
    /// Deliveries in it.
    pub ready: usize,
    pub workers: usize,
    /// The lists of lanes that want a worker on which it stands.
    pub queued: Vec<(Class, Weight)>,
    /// Nothing is taken from it until its time has come.
    pub paused: bool,
    pub pace: Arc<Pace>,
}

impl Lane {
    pub(super) fn new(pace: Arc<Pace>) -> Self {
        Self {
            queues: HashMap::new(),
            turns: VecDeque::new(),
            ready: 0,
            workers: 0,
            queued: Vec::new(),
            paused: false,
            pace,
        }
    }

    /// One worker finds out whether the destination answers; then there may be more.
    pub(super) fn class(&self) -> Class {
        if self.pace.is_proven() { Class::Steady } else { Class::Probing }
    }

    /// How many workers it could use.
    pub(super) fn wanted(&self) -> usize {
        if self.paused {
            return 0;
        }
        match self.class() {
            Class::Steady => self.ready.div_ceil(8).min(self.pace.most()),
            Class::Probing => self.ready.min(1),
        }
    }

    /// The account whose turn it is.
    pub(super) fn turn(&self) -> Option<Id<Account>> {
        self.turns.front().copied()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        let queue = self.queues.entry(entry.account).or_default();
        if queue.is_empty() {
            self.turns.push_back(entry.account);
        }
        queue.push_back(entry);
        self.ready += 1;
    }

    /// Takes out what `goes` says of those accounts that `of` says.
    fn extract(
        &mut self,
        of: impl Fn(Id<Account>) -> bool,
        mut goes: impl FnMut(&Entry) -> bool,
    ) -> Vec<Entry> {
        let mut gone = Vec::new();
        for (account, queue) in &mut self.queues {
            if of(*account) {
                let (out, stay) = queue.drain(..).partition(&mut goes);
                *queue = stay;
                gone.extend::<VecDeque<Entry>>(out);
            }
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        let queues = &self.queues;
        self.turns.retain(|account| queues.contains_key(account));
        self.ready = self.ready.saturating_sub(gone.len());
        gone
    }

    /// Takes out everything of those who are paused.
    pub(super) fn stop(&mut self, paused: &Paused) -> Vec<Entry> {
        self.extract(|account| paused.covers(account), |_| true)
    }

    /// Takes out what is for `domain`.
    pub(super) fn leave(&mut self, domain: &str) -> Vec<Entry> {
        self.extract(|_| true, |entry| entry.domain() == domain)
    }

    /// Drops what is in `shards`.
    pub(super) fn drop_shards(&mut self, shards: &[u8]) {
        drop(self.extract(|_| true, |entry| shards.contains(&entry.id.shard())));
    }

    /// Takes `ids` out of the queue of `account`; gives back those that were there.
    pub(super) fn remove(
        &mut self,
        account: Id<Account>,
        ids: &HashSet<Id<Delivery>>,
    ) -> Vec<Entry> {
        if !self.queues.contains_key(&account) {
            return Vec::new();
        }
        self.extract(|of| of == account, |entry| ids.contains(&entry.id))
    }

    /// The next recipient of the account whose turn it is, with those of the same message and the
    /// same number of attempts (C4).
    pub(super) fn next_group(&mut self) -> Option<Vec<Entry>> {
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

    /// How much each account has in it.
    pub(super) fn sizes(&self) -> impl Iterator<Item = (Id<Account>, usize)> {
        self.queues.iter().map(|(account, queue)| (*account, queue.len()))
    }
}
