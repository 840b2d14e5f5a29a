//! How far the replay of an endpoint is.

use std::collections::VecDeque;

use time::OffsetDateTime;

use super::{
    super::{Replay, store::replays::Progress},
    call::{Cause, Due, Ended},
    position::Position,
    store::Read,
};
use crate::id::{Id, WebhookReplay};

/// A replay that goes on.
pub(super) struct Replaying {
    pub id: Id<WebhookReplay>,
    position: Position,
    last: i64,
    pub queue: VecDeque<Due>,
}

impl Replaying {
    pub(super) fn begin(replay: &Replay) -> Self {
        Self {
            id: replay.id,
            position: Position::at(replay.seq),
            last: replay.last_seq,
            queue: VecDeque::new(),
        }
    }

    /// Where reading goes on; none when all is read.
    pub(super) fn read(&self) -> Option<i64> {
        Some(self.position.read()).filter(|read| *read < self.last)
    }

    /// A further part was read.
    pub(super) fn add(&mut self, read: Read) {
        self.position.advance(read.until, read.events.iter().map(|event| event.seq));
        let cause = Cause::Replay(self.id);
        self.queue.extend(read.events.into_iter().map(|event| Due { event, attempts: 0, cause }));
    }

    /// What these calls add, if that is anything.
    pub(super) fn progress(&self, ended: &[Ended], now: OffsetDateTime) -> Option<Progress> {
        let own: Vec<&Ended> = self.own(ended).collect();
        let seqs: Vec<i64> = own.iter().map(|one| one.seq).collect();
        let seq = self.position.cursor(&seqs);
        let is_over = seq >= self.last;
        let succeeded = own.iter().filter(|one| one.answer.is_success()).count();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        (!own.is_empty() || is_over || self.position.is_ahead()).then(|| Progress {
            replay: self.id,
            seq,
            succeeded: count(succeeded),
            failed: count(own.len() - succeeded),
            finished_at: is_over.then_some(now),
        })
    }

    /// That is recorded.
    pub(super) fn record(&mut self, ended: &[Ended], seq: i64) {
        let seqs: Vec<i64> = self.own(ended).map(|one| one.seq).collect();
        self.position.record(&seqs, seq);
    }

    /// Whether there is something to record without any call.
    pub(super) fn is_ahead(&self) -> bool {
        self.position.is_ahead()
    }

    fn own<'a>(&self, ended: &'a [Ended]) -> impl Iterator<Item = &'a Ended> {
        let cause = Cause::Replay(self.id);
        ended.iter().filter(move |one| one.cause == cause)
    }
}
