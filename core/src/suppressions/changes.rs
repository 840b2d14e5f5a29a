//! What a node knows of changes of suppression lists: whether an answer that the schedule keeps for
//! a recipient is still right.
//!
//! Whoever changes a list says so with NOTIFY in the same transaction; such changes are rare beside
//! messages. A node that may have missed one trusts no answer from before.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use crate::id::{Account, Id};

/// Where changes are told; the payload is an account.
pub(crate) const CHANNEL: &str = "posthouse_suppressions";

/// Counts changes. An answer carries the count from before it was read.
#[derive(Debug, Default)]
pub(crate) struct Changes(RwLock<Counts>);

#[derive(Debug, Default)]
struct Counts {
    now: u64,
    /// Answers from before this are wrong for everybody.
    all: u64,
    accounts: HashMap<Id<Account>, u64>,
}

impl Changes {
    /// The count now: to be read before the lists are.
    pub(crate) fn count(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).now
    }

    /// Whether an answer about `account` with this count is still right.
    pub(crate) fn is_current(&self, account: Id<Account>, count: u64) -> bool {
        let counts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let changed = counts.accounts.get(&account).copied().unwrap_or(0);
        count >= changed.max(counts.all)
    }

    /// The list of `account` has changed.
    pub(crate) fn changed(&self, account: Id<Account>) {
        let mut counts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        counts.now += 1;
        let now = counts.now;
        counts.accounts.insert(account, now);
    }

    /// Any list may have changed.
    pub(crate) fn may_have_missed_some(&self) {
        let mut counts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        counts.now += 1;
        counts.all = counts.now;
        counts.accounts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_right_until_its_list_changes() {
        let changes = Changes::default();
        let now = time::OffsetDateTime::UNIX_EPOCH;
        let (one, two) = (Id::new(now), Id::new(now));
        let before = changes.count();
        assert!(changes.is_current(one, before));
        changes.changed(one);
        assert!(!changes.is_current(one, before));
        assert!(changes.is_current(two, before));
        let after = changes.count();
        assert!(changes.is_current(one, after));
        changes.may_have_missed_some();
        assert!(!changes.is_current(one, after));
        assert!(!changes.is_current(two, after));
        assert!(changes.is_current(one, changes.count()));
    }
}
