//! What mails add to the counts of their mailboxes (L6).

use std::{collections::BTreeMap, ops::AddAssign};

use super::super::{DELETED, SEEN};
use crate::id::{Id, Mailbox};

/// Counts of a mailbox, or what is added to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub total: i64,
    pub deleted: i64,
    pub unseen: i64,
    pub unread: i64,
    pub size_bytes: i64,
}

impl Counts {
    /// What one mail counts.
    pub(crate) fn of(flags: i32, size_bytes: i64) -> Self {
        let (seen, deleted) = (flags & SEEN != 0, flags & DELETED != 0);
        Self {
            total: i64::from(!deleted),
            deleted: i64::from(deleted),
            unseen: i64::from(!seen),
            unread: i64::from(!seen && !deleted),
            size_bytes,
        }
    }

    const fn negated(self) -> Self {
        Self {
            total: -self.total,
            deleted: -self.deleted,
            unseen: -self.unseen,
            unread: -self.unread,
            size_bytes: -self.size_bytes,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.deleted += other.deleted;
        self.unseen += other.unseen;
        self.unread += other.unread;
        self.size_bytes += other.size_bytes;
    }
}

/// What a set of changes adds to each mailbox, in the order in which mailboxes are locked.
#[derive(Debug, Default)]
pub(crate) struct Deltas(pub BTreeMap<Id<Mailbox>, Counts>);

impl Deltas {
    /// A mail comes.
    pub(crate) fn add(&mut self, mailbox: Id<Mailbox>, counts: Counts) {
        *self.0.entry(mailbox).or_default() += counts;
    }

    /// A mail goes.
    pub(crate) fn remove(&mut self, mailbox: Id<Mailbox>, counts: Counts) {
        self.add(mailbox, counts.negated());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_decide_where_a_mail_counts() {
        let counts = |flags| {
            let counts = Counts::of(flags, 7);
            (counts.total, counts.deleted, counts.unseen, counts.unread, counts.size_bytes)
        };
        assert_eq!(counts(0), (1, 0, 1, 1, 7));
        assert_eq!(counts(SEEN), (1, 0, 0, 0, 7));
        assert_eq!(counts(DELETED), (0, 1, 1, 0, 7));
        assert_eq!(counts(SEEN | DELETED), (0, 1, 0, 0, 7));
    }
}
