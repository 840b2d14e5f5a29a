//! How far an endpoint has come in the log.

use std::collections::BTreeSet;

/// How far an endpoint has come in the log.
#[derive(Debug)]
pub(super) struct Position {
    /// The log was read up to here.
    read: i64,
    /// Events read whose first attempt is not recorded yet.
    pending: BTreeSet<i64>,
    /// What the database has.
    saved: i64,
}

impl Position {
    pub(super) const fn at(seq: i64) -> Self {
        Self { read: seq, pending: BTreeSet::new(), saved: seq }
    }

    /// Where reading goes on.
    pub(super) const fn read(&self) -> i64 {
        self.read
    }

    /// The log was read up to `read`, and these events are to be told.
    pub(super) fn advance(&mut self, read: i64, events: impl IntoIterator<Item = i64>) {
        self.read = self.read.max(read);
        self.pending.extend(events);
    }

    /// The cursor when the attempts at `ended` are recorded: every event up to it was tried.
    pub(super) fn cursor(&self, ended: &[i64]) -> i64 {
        let first = self.pending.iter().find(|seq| !ended.contains(seq));
        first.map_or(self.read, |first| first - 1)
    }

    /// Whether the database is behind.
    pub(super) fn is_ahead(&self) -> bool {
        self.cursor(&[]) > self.saved
    }

    /// The attempts at `ended` and the cursor are recorded.
    pub(super) fn record(&mut self, ended: &[i64], cursor: i64) {
        for seq in ended {
            self.pending.remove(seq);
        }
        self.saved = cursor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_before_the_first_event_that_was_not_tried() {
        let mut position = Position::at(10);
        assert!(!position.is_ahead());
        position.advance(20, [12, 13, 17]);
        assert_eq!(position.cursor(&[]), 11);
        assert!(position.is_ahead());
        assert_eq!(position.cursor(&[13, 17]), 11);
        position.record(&[13, 17], 11);
        assert!(!position.is_ahead());
        assert_eq!(position.cursor(&[12]), 20);
        position.record(&[12], 20);
        assert_eq!(position.read(), 20);
        position.advance(25, []);
        assert_eq!(position.cursor(&[]), 25);
    }
}
