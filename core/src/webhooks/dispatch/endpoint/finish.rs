//! What follows when a job of an endpoint's task is done.

use tokio::{task::JoinError, time::Instant};

use super::{
    super::{
        call::{Cause, Due},
        jobs::{Batch, Done, Found, Looked, Recorded, Stop},
        replaying::Replaying,
        store::Read,
    },
    GATHER, LAZY, Task, new_seqs,
};
use crate::error::{Error, Result};

impl Task {
    pub(super) fn finish(&mut self, done: Result<Done, JoinError>) -> Result<(), Stop> {
        let failed = match done {
            Ok(Done::Read(read)) => self.finish_reading(read).err(),
            Ok(Done::Looked(looked)) => self.finish_looking(looked).err(),
            Ok(Done::Recorded(batch, recorded)) => match self.finish_recording(*batch, recorded) {
                Ok(()) => None,
                Err(Stop::Failed(error)) => Some(error),
                Err(Stop::Lost) => return Err(Stop::Lost),
            },
            Err(error) => {
                self.give_up(&Error::internal(error));
                None
            }
        };
        if let Some(error) = failed {
            tracing::warn!(webhook = %self.endpoint.id, ?error, "webhook calls wait");
        }
        Ok(())
    }

    fn finish_reading(&mut self, read: Result<Read>) -> Result<()> {
        self.busy.reading = false;
        let read = read.inspect_err(|_| self.read_at = Some(Instant::now() + LAZY))?;
        if read.more {
            self.read_at = Some(self.last_read);
        }
        self.position.advance(read.until, read.events.iter().map(|event| event.seq));
        let cause = Cause::New;
        self.queue.extend(read.events.into_iter().map(|event| Due { event, attempts: 0, cause }));
        if self.position.is_ahead() {
            self.record_within(LAZY);
        }
        Ok(())
    }

    fn finish_looking(&mut self, looked: Result<Box<Looked>>) -> Result<()> {
        self.busy.looking = false;
        let looked = looked.inspect_err(|_| {
            self.look_at = Some(Instant::now() + LAZY);
            self.look_now();
        })?;
        self.next_retry_at = self.next_retry_at.into_iter().chain(looked.next_retry_at).min();
        self.retrying.extend(looked.retries.iter().map(|due| due.event.seq));
        self.retries.extend(looked.retries);
        let (replay, read) = match looked.replay {
            Found::NotAsked => return Ok(()),
            Found::None => {
                self.replay = None;
                return Ok(());
            }
            Found::Some(replay, read) => (replay, read),
        };
        if self.replay.as_ref().is_none_or(|known| known.id != replay.id) {
            self.replay = Some(Replaying::begin(&replay));
        }
        if let Some(known) = &mut self.replay {
            known.add(read);
            if known.is_ahead() {
                self.record_within(GATHER);
            }
        }
        Ok(())
    }

    fn finish_recording(
        &mut self,
        batch: Batch,
        recorded: Result<Recorded, Stop>,
    ) -> Result<(), Stop> {
        self.busy.recording = false;
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(stop) => {
                // Once more, with what has come since.
                let since = std::mem::replace(&mut self.ended, batch.ended);
                self.ended.extend(since);
                self.record_at = Some(Instant::now() + LAZY);
                return Err(stop);
            }
        };
        self.position.record(&new_seqs(&batch.ended), batch.cursor);
        self.failing_since = batch.outcome.failing_since;
        for one in batch.ended.iter().filter(|one| one.cause == Cause::Retry) {
            self.retrying.remove(&one.seq);
        }
        let earliest = batch.outcome.next.iter().flatten().copied().min();
        self.next_retry_at = self.next_retry_at.into_iter().chain(earliest).min();
        let known = self.replay.as_mut().zip(batch.replay);
        if let Some((replay, progress)) = known.filter(|(replay, of)| replay.id == of.replay) {
            replay.record(&batch.ended, progress.seq);
            if !recorded.replay_goes_on {
                self.replay = None;
            }
        }
        if recorded.disabled {
            self.endpoint.stop.cancel();
        }
        Ok(())
    }
}
