//! Room for large contents: one budget that all doors share, so that many of them together never
//! take more memory or disk than there is for them.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::{Error, Result};

/// What a budget is counted in. Contents up to [`crate::spool::IN_MEMORY`] do not count.
const UNIT: u64 = 1024;

/// How long a large content waits for others to be finished with.
const PATIENCE: Duration = Duration::from_secs(30);

/// A budget of octets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Room {
    free: Arc<Semaphore>,
    units: u32,
}

/// A part of a budget; goes back when dropped.
#[derive(Debug)]
pub struct Share(Option<OwnedSemaphorePermit>);

impl Room {
    /// A budget of `octets`.
    pub(crate) fn new(octets: u64) -> Self {
        let units = u32::try_from(octets / UNIT).unwrap_or(u32::MAX).max(1);
        let permits = usize::try_from(units).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(permits)), units }
    }

    /// Waits for a share of `octets`. What needs more than there is at all gets everything: it is
    /// alone then.
    ///
    /// # Errors
    /// `StorageFull` when others hold on to theirs for half a minute.
    pub async fn wait(&self, octets: u64) -> Result<Share> {
        let permit = self.free.clone().acquire_many_owned(self.units(octets));
        match timeout(PATIENCE, permit).await {
            Ok(Ok(permit)) => Ok(Share(Some(permit))),
            _ => Err(Error::StorageFull("too many large contents at a time".into())),
        }
    }

    /// Makes `share` one of `octets`, if there is room for that now.
    ///
    /// # Errors
    /// `StorageFull`.
    pub(crate) fn grow(&self, share: &mut Share, octets: u64) -> Result<()> {
        let held = share.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let held = u32::try_from(held).unwrap_or(u32::MAX);
        let missing = self.units(octets).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let more = self.free.clone().try_acquire_many_owned(missing);
        let more = more.map_err(|_| Error::StorageFull("the spool is full".into()))?;
        match &mut share.0 {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    fn units(&self, octets: u64) -> u32 {
        u32::try_from(octets.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units)
    }
}

impl Share {
    /// Nothing.
    pub const fn none() -> Self {
        Self(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn shares_never_add_up_to_more_than_there_is() {
        let room = Room::new(10 * UNIT);
        let first = room.wait(6 * UNIT).await.unwrap();
        let second = room.wait(5 * UNIT).await;
        assert!(matches!(second, Err(Error::StorageFull(_))));
        drop(first);
        drop(room.wait(5 * UNIT).await.unwrap());
        // More than everything: alone.
        let all = room.wait(100 * UNIT).await.unwrap();
        assert!(room.wait(1).await.is_err());
        drop(all);
        assert!(room.wait(1).await.is_ok());
    }

    #[test]
    fn a_share_grows_as_far_as_there_is_room() {
        let room = Room::new(10 * UNIT);
        let (mut one, mut other) = (Share::none(), Share::none());
        room.grow(&mut one, 4 * UNIT).unwrap();
        room.grow(&mut other, 6 * UNIT).unwrap();
        room.grow(&mut one, 3 * UNIT).unwrap();
        assert!(room.grow(&mut one, 5 * UNIT).is_err());
        drop(other);
        room.grow(&mut one, 10 * UNIT).unwrap();
    }
}
