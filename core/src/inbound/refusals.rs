//! Telling accounts of messages that were refused for them: event `message.rejected`.
//!
//! Anybody can send what is refused, so that each account is told of ten a minute by each node; the
//! next event says how many were not told.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use posthouse_mail::parse::ParsedMail;
use time::{Duration, OffsetDateTime};

use crate::{
    error::{Code, Error, Result},
    events::{EventKind, NewEvent, RejectedEvent, RouteRef},
    id::{Account, Id},
    platform::Platform,
};

/// Told to an account in a minute.
const MOST: u32 = 10;
/// Accounts that are counted for.
const ACCOUNTS: usize = 10_000;

/// Why a message was not taken.
#[derive(Debug)]
pub(crate) struct Refused {
    pub error: Error,
    /// For whom, and because of which route.
    pub whose: Vec<(Id<Account>, String, Option<RouteRef>)>,
}

impl Refused {
    pub(crate) fn one(error: Error, (account, recipient): (Id<Account>, String)) -> Self {
        Self { error, whose: vec![(account, recipient, None)] }
    }

    /// Whether it is about this message; what passes is nobody's concern.
    fn is_lasting(&self) -> bool {
        let code = self.error.code();
        matches!(code, Code::PolicyRejected | Code::MessageTooLarge | Code::QuotaExceeded)
    }
}

impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self { error: error.into(), whose: Vec::new() }
    }
}

/// Where a refused message came from, and what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub mail_from: &'a str,
    pub remote_address: Option<IpAddr>,
    pub helo: &'a str,
    pub parsed: Option<&'a ParsedMail>,
}

/// Counts what accounts were told.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<Id<Account>, Minute>>);

struct Minute {
    since: OffsetDateTime,
    told: u32,
    not_told: u64,
}

impl Refusals {
    /// Whether the account is told of another refusal now: then how many it was not told of before.
    fn admit(&self, account: Id<Account>, now: OffsetDateTime) -> Option<u64> {
        let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minutes.len() >= ACCOUNTS {
            minutes.retain(|_, minute| now - minute.since < Duration::MINUTE);
        }
        let new = || Minute { since: now, told: 0, not_told: 0 };
        let minute = minutes.entry(account).or_insert_with(new);
        if now - minute.since >= Duration::MINUTE {
            (minute.since, minute.told) = (now, 0);
        }
        if minute.told == MOST {
            minute.not_told += 1;
            return None;
        }
        minute.told += 1;
        Some(std::mem::take(&mut minute.not_told))
    }
}

/// Tells the accounts, if they are to know; the refusal stands whatever comes of that.
pub(crate) async fn tell(platform: &Platform, refused: &Refused, origin: Origin<'_>) {
    if !refused.is_lasting() || refused.whose.is_empty() {
        return;
    }
    if let Err(error) = try_tell(platform, refused, origin).await {
        tracing::warn!(error = ?error, "nobody was told of a message that was refused");
    }
}

async fn try_tell(platform: &Platform, refused: &Refused, origin: Origin<'_>) -> Result<()> {
    let now = platform.now();
    let admit = |account| platform.refusals().admit(account, now);
    let told: Vec<_> =
        refused.whose.iter().filter_map(|whose| Some((whose, admit(whose.0)?))).collect();
    if told.is_empty() {
        return Ok(());
    }
    let mut tx = platform.begin("inbound.refused").await?;
    for ((account, recipient, route), not_told) in told {
        let code = refused.error.code().as_str();
        let envelope = origin.parsed.map(|parsed| &parsed.envelope);
        let payload = RejectedEvent {
            recipient,
            mail_from: origin.mail_from,
            remote_address: origin.remote_address.map(|address| address.to_string()),
            helo: origin.helo,
            reason: if route.is_some() { "route" } else { code },
            reply: refused.error.to_string(),
            route: route.as_ref(),
            internet_message_id: envelope.and_then(|envelope| envelope.message_id.as_deref()),
            subject: envelope.and_then(|envelope| envelope.subject.as_deref()),
            not_told,
        };
        tx.emit(NewEvent::new(*account, EventKind::MessageRejected, now, &payload));
    }
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn ten_a_minute_are_told_and_the_others_counted() {
        let refusals = Refusals::default();
        let now = datetime!(2026-11-21 10:00 UTC);
        let (alice, bob) = (Id::new(now), Id::new(now));
        let told = |account, at| refusals.admit(account, at);
        assert_eq!((0..25).filter_map(|_| told(alice, now)).collect::<Vec<_>>(), [0; 10]);
        assert_eq!(told(bob, now), Some(0), "each account for itself");
        assert_eq!(told(alice, now + Duration::seconds(59)), None);
        assert_eq!(told(alice, now + Duration::MINUTE), Some(16));
        assert_eq!(told(alice, now + Duration::MINUTE), Some(0));
    }
}
