//! What an account may send in a day (B10) and ask in a minute. Off unless an administrator sets it.
//!
//! Counted in the transaction that takes a message, whichever door and node it came to, so that the
//! counts are exact however many come at once. A message that goes to the sandbox does not count.

mod keys;
mod notices;
mod requests;
mod sending;
mod store;

use serde::Serialize;

pub use requests::{Allowance, Allowances, take_request};
pub(crate) use sending::{Wanted, admit, tell_refusal};
pub(crate) use store::purge;

use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{Account, Id},
    scope::Scope,
};

/// Limits of an account; none: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Recipients of messages in 24 hours.
    pub recipients_per_day: Option<i64>,
    /// Of these, recipients that the account has not written to before.
    pub new_recipients_per_day: Option<i64>,
    /// Requests to the API in a minute.
    pub requests_per_minute: Option<i32>,
}

/// What was used of them.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// The limits.
    pub limits: Limits,
    /// Recipients in the last 24 hours, counted while there was a limit.
    pub recipients: i64,
    /// New ones among them.
    pub new_recipients: i64,
}

/// Changes of limits; absent fields stay, `Some(None)` lifts one.
#[derive(Debug, Clone, Default)]
pub struct LimitsPatch {
    /// Recipients of messages in 24 hours.
    pub recipients_per_day: Option<Option<i64>>,
    /// Of these, new ones.
    pub new_recipients_per_day: Option<Option<i64>>,
    /// Requests to the API in a minute.
    pub requests_per_minute: Option<Option<i32>>,
}

/// Limits of an account and what was used of them: any account for an administrator, else the
/// caller's own.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, account: Id<Account>) -> Result<Usage> {
    if account != cx.account() || !cx.actor().scopes.has(Scope::AccountRead) {
        cx.require(Scope::AdminRead)?;
    }
    let mut conn = cx.platform().acquire().await?;
    store::usage(&mut conn, account, sending::day_before(cx.now()))
        .await?
        .ok_or(Error::NotFound("account"))
}

/// Limits of the caller's account and what was used of them, whatever the caller's scopes.
pub(crate) async fn usage(cx: &Cx) -> Result<Usage> {
    let mut conn = cx.platform().acquire().await?;
    let usage = store::usage(&mut conn, cx.account(), sending::day_before(cx.now())).await?;
    usage.ok_or(Error::NotFound("account"))
}

/// Changes the limits of an account. They hold at once for messages, within a second for requests.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`.
pub async fn update(cx: &Cx, account: Id<Account>, patch: LimitsPatch) -> Result<Usage> {
    cx.require(Scope::AdminWrite)?;
    Error::unless_empty(update_faults(&patch))?;
    let mut tx = cx.begin("limits.update").await?;
    let since = sending::day_before(cx.now());
    let before = store::usage(tx.conn(), account, since).await?;
    let before = before.ok_or(Error::NotFound("account"))?.limits;
    let limits = Limits {
        recipients_per_day: patch.recipients_per_day.unwrap_or(before.recipients_per_day),
        new_recipients_per_day: patch
            .new_recipients_per_day
            .unwrap_or(before.new_recipients_per_day),
        requests_per_minute: patch.requests_per_minute.unwrap_or(before.requests_per_minute),
    };
    store::set(tx.conn(), account, &limits).await?;
    if before.new_recipients_per_day.is_none() && limits.new_recipients_per_day.is_some() {
        store::learn_recipients(tx.conn(), account).await?;
    }
    audit::record(&mut tx, cx, "update_limits", Some(account), &account.to_string()).await?;
    let usage = store::usage(tx.conn(), account, since).await?.unwrap_or_default();
    tx.commit().await?;
    cx.platform().directory().forget();
    Ok(usage)
}

/// Every fault that [`update`] will find without the database.
pub fn update_faults(patch: &LimitsPatch) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut check = |pointer: &str, bad: bool, detail: &str| {
        if bad {
            faults.push(FieldError::new(pointer, "out_of_range", detail));
        }
    };
    let negative = |limit: Option<Option<i64>>| limit.flatten().is_some_and(|limit| limit < 0);
    let detail = "must not be negative; null lifts the limit";
    check("/recipients_per_day", negative(patch.recipients_per_day), detail);
    check("/new_recipients_per_day", negative(patch.new_recipients_per_day), detail);
    let none = patch.requests_per_minute.flatten().is_some_and(|limit| limit < 1);
    check("/requests_per_minute", none, "must be positive; null lifts the limit");
    faults
}
