//! Requests in a minute, at all nodes: of an API key, and of all keys and passwords of an account.

use std::time::Duration;

use time::OffsetDateTime;

use super::{
    notices::{self, Reached},
    store,
};
use crate::{
    cx::{Actor, Credential},
    error::Result,
    platform::Platform,
};

/// What is left of the requests of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in a minute.
    pub limit: u32,
    /// How many more may come.
    pub remaining: u32,
    /// When the next minute begins.
    pub reset: Duration,
    /// This one was too many.
    pub exceeded: bool,
}

/// What is left of each limit that there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowances {
    /// Of the account. Not known when the key has had too many.
    pub account: Option<Allowance>,
    /// Of the API key.
    pub key: Option<Allowance>,
}

impl Allowances {
    /// The limit that was exceeded.
    pub fn exceeded(&self) -> Option<Allowance> {
        [self.key, self.account].into_iter().flatten().find(|allowance| allowance.exceeded)
    }
}

/// Counts a request, for its key and its account as far as they have limits. What is too many for
/// the key does not count for the account.
///
/// # Errors
/// `Unavailable`.
pub async fn take_request(platform: &Platform, actor: &Actor) -> Result<Allowances> {
    let mut left = Allowances::default();
    if let (Some(limit), Credential::ApiKey(key)) =
        (actor.key_requests_per_minute, actor.credential)
    {
        let minute = Minute::of(platform.now());
        let mut conn = platform.acquire().await?;
        let made = store::count_key_request(&mut conn, key, minute.begin).await?;
        drop(conn);
        let allowance = minute.allowance(limit, made);
        left.key = Some(allowance);
        if allowance.exceeded {
            tell(platform, actor, minute, (limit, made)).await?;
            return Ok(left);
        }
    }
    if let Some(limit) = actor.requests_per_minute {
        let minute = Minute::of(platform.now());
        let mut conn = platform.acquire().await?;
        let made = store::count_request(&mut conn, actor.owner, minute.begin).await?;
        drop(conn);
        let allowance = minute.allowance(limit, made);
        left.account = Some(allowance);
        if allowance.exceeded {
            let account = &Actor { credential: Credential::System, ..actor.clone() };
            tell(platform, account, minute, (limit, made)).await?;
        }
    }
    Ok(left)
}

/// Tells of the first request that was too many.
async fn tell(
    platform: &Platform,
    actor: &Actor,
    minute: Minute,
    (limit, made): (i32, i32),
) -> Result<()> {
    if made > limit.saturating_add(1) {
        return Ok(());
    }
    let key = match actor.credential {
        Credential::ApiKey(key) => Some(key),
        _ => None,
    };
    let reached = Reached {
        account: actor.owner,
        key,
        name: "requests_per_minute",
        limit: limit.into(),
        window: Duration::from_mins(1),
        since: minute.begin,
    };
    let mut tx = platform.begin("limits.tell").await?;
    notices::tell(&mut tx, &reached).await?;
    tx.commit().await
}

/// The minute that a request is made in.
#[derive(Clone, Copy)]
struct Minute {
    begin: OffsetDateTime,
    /// Seconds of it that are over.
    over: i64,
}

impl Minute {
    fn of(now: OffsetDateTime) -> Self {
        let over = now.unix_timestamp().rem_euclid(60);
        let begin = now.replace_nanosecond(0).unwrap_or(now) - time::Duration::seconds(over);
        Self { begin, over }
    }

    fn allowance(self, limit: i32, made: i32) -> Allowance {
        Allowance {
            limit: u32::try_from(limit).unwrap_or(0),
            remaining: u32::try_from(limit.saturating_sub(made)).unwrap_or(0),
            reset: Duration::from_secs(u64::try_from(60 - self.over).unwrap_or(60)),
            exceeded: made > limit,
        }
    }
}
