//! Telling an account that it has reached a limit: once for each limit and window.

use std::time::Duration;

use time::OffsetDateTime;

use super::store;
use crate::{
    cx::Tx,
    error::Result,
    events::{EventKind, LimitEvent, NewEvent},
    id::{Account, ApiKey, Id},
};

/// A limit that was reached.
pub(super) struct Reached {
    pub account: Id<Account>,
    /// Whose limit it is; none: the account's.
    pub key: Option<Id<ApiKey>>,
    pub name: &'static str,
    pub limit: i64,
    pub window: Duration,
    /// Who was told since then is not told again.
    pub since: OffsetDateTime,
}

/// Writes the event with the transaction, unless there is one of this window.
pub(super) async fn tell(tx: &mut Tx, reached: &Reached) -> Result<()> {
    let now = tx.now();
    if !store::notice(tx.conn(), reached, now).await? {
        return Ok(());
    }
    let event = LimitEvent {
        limit: reached.name,
        maximum: reached.limit,
        window_seconds: reached.window.as_secs(),
        api_key_id: reached.key,
    };
    tx.emit(NewEvent::new(reached.account, EventKind::AccountLimitExceeded, now, &event));
    Ok(())
}
