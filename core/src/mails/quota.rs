//! Room for the mail of an account, and telling in time that there is little left.

use super::store;
use crate::{
    cx::Tx,
    error::Result,
    events::{EventKind, NewEvent, QuotaEvent},
    id::{Account, Id},
};

/// Parts of the quota that are told when mail passes them, in percent; the largest first.
const LEVELS: [i64; 2] = [95, 80];

/// What the mail of an account takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub mail_bytes: i64,
    /// None: as much as one likes.
    pub quota_bytes: Option<i64>,
}

impl Used {
    /// The largest level that is reached.
    fn level(self) -> Option<i64> {
        let quota = i128::from(self.quota_bytes?);
        let used = i128::from(self.mail_bytes) * 100;
        LEVELS.into_iter().find(|percent| used >= quota * i128::from(*percent))
    }
}

/// Counts octets of mail that comes, or goes; false: the account is over its quota with them. Tells
/// of a level that they pass.
pub(super) async fn charge(tx: &mut Tx, account: Id<Account>, size: i64) -> Result<bool> {
    let Some(now) = store::charge(tx.conn(), account, size).await? else { return Ok(false) };
    tell(tx, account, Used { mail_bytes: now.mail_bytes - size, ..now }, now);
    Ok(now.quota_bytes.is_none_or(|quota| now.mail_bytes <= quota))
}

/// Tells the account of the level that it is at `now`, if it was below that `before`.
pub(crate) fn tell(tx: &mut Tx, account: Id<Account>, before: Used, now: Used) {
    let (Some(percent), Some(quota_bytes)) = (now.level(), now.quota_bytes) else { return };
    if before.level().is_some_and(|known| known >= percent) {
        return;
    }
    let event = QuotaEvent { percent, used_bytes: now.mail_bytes, quota_bytes };
    let at = tx.now();
    tx.emit(NewEvent::new(account, EventKind::AccountQuotaWarning, at, &event));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_reached_exactly() {
        let level = |mail_bytes, quota_bytes| Used { mail_bytes, quota_bytes }.level();
        assert_eq!(level(i64::MAX, None), None);
        assert_eq!(level(79, Some(100)), None);
        assert_eq!(level(80, Some(100)), Some(80));
        assert_eq!(level(94, Some(100)), Some(80));
        assert_eq!(level(95, Some(100)), Some(95));
        assert_eq!(level(0, Some(1)), None);
        assert_eq!(level(1, Some(1)), Some(95));
        assert_eq!(level(i64::MAX - 1, Some(i64::MAX)), Some(95));
    }
}
