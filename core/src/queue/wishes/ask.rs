//! Taking a wish: it is written down with its audit record, the owner is told, and the answer says
//! what has become of it.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Action,
    store::{self, Wish},
};
use crate::{
    audit,
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::{self, Delivery, Id},
    messages::{self, DeliveryView, MAX_SCHEDULE},
    queue::store as queue_store,
    scope::Scope,
};

/// How long an answer waits for the owner. An attempt in progress takes longer: then the answer
/// tells that the wish is pending.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Changes all deliveries of a message that still wait; gives all of them as they are then.
///
/// # Errors
/// `Forbidden`, `NotFound`, `NotWaiting` when none could be changed.
pub async fn change_message(
    cx: &Cx,
    message: Id<id::Message>,
    action: Action,
) -> Result<Vec<DeliveryView>> {
    let wish = Wish::new(action.as_str(), action.reason());
    let (asked, views) = change(cx, message, &wish).await?;
    let is_done = |view: &DeliveryView| action.is_done(&view.status) || is_pending(view, action);
    if asked == 0 && !views.iter().any(is_done) {
        return Err(refused(action.as_str()));
    }
    Ok(views)
}

fn is_pending(view: &DeliveryView, action: Action) -> bool {
    view.pending_action.as_deref() == Some(action.as_str())
}

/// Changes one delivery, if it still waits; gives it as it is then.
///
/// # Errors
/// `Forbidden`, `NotFound`, `NotWaiting`.
pub async fn change_delivery(
    cx: &Cx,
    delivery: Id<Delivery>,
    action: Action,
) -> Result<DeliveryView> {
    cx.require(Scope::MessagesWrite)?;
    let wish = Wish::new(action.as_str(), action.reason());
    let range = (delivery.uuid(), delivery.uuid());
    let mut tx = cx.begin("queue.change_delivery").await?;
    let known = queue_store::find_delivery(tx.conn(), cx.account(), delivery).await?;
    known.ok_or(Error::NotFound("delivery"))?;
    let asked = store::ask(tx.conn(), cx.account(), (delivery.shard(), range), &wish).await?;
    settle(cx, tx, (delivery.shard(), range), (asked, &wish, delivery.to_string())).await?;
    let mut conn = cx.platform().acquire().await?;
    let view = queue_store::find_delivery(&mut conn, cx.account(), delivery).await?;
    let view = view.ok_or(Error::NotFound("delivery"))?;
    if asked == 0 && !action.is_done(&view.status) && !is_pending(&view, action) {
        return Err(refused(action.as_str()));
    }
    Ok(view)
}

/// Sets the time of the first attempt for all deliveries of a message that had none; without a
/// time they are due now.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `NotWaiting`.
pub async fn schedule_message(
    cx: &Cx,
    message: Id<id::Message>,
    at: Option<OffsetDateTime>,
) -> Result<messages::Message> {
    cx.require(Scope::MessagesWrite)?;
    Error::unless_empty(schedule_faults(cx, at))?;
    let mut conn = cx.platform().acquire().await?;
    let expires = store::first_expiry(&mut conn, cx.account(), message).await?;
    drop(conn);
    if at.zip(expires).is_some_and(|(at, expires)| at >= expires) {
        let detail = "the message would expire before it is sent";
        return Err(Error::field("/scheduled_at", "too_far", detail));
    }
    let at = Some(at.unwrap_or_else(|| cx.now()));
    let wish = Wish { at, ..Wish::new("schedule", "scheduled by request") };
    let (asked, _) = change(cx, message, &wish).await?;
    if asked == 0 {
        return Err(refused("schedule"));
    }
    let mut conn = cx.platform().acquire().await?;
    let found = messages::store::find(&mut conn, cx.account(), message).await?;
    found.ok_or(Error::NotFound("message"))
}

/// Every fault of a time that [`schedule_message`] finds without the database.
pub fn schedule_faults(cx: &Cx, at: Option<OffsetDateTime>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if at.is_some_and(|at| at <= cx.now()) {
        let detail = "the time has passed: null sends now";
        faults.push(FieldError::new("/scheduled_at", "in_the_past", detail));
    }
    if at.is_some_and(|at| at > cx.now() + MAX_SCHEDULE) {
        let detail = "a message can wait 60 days at most";
        faults.push(FieldError::new("/scheduled_at", "too_far", detail));
    }
    faults
}

fn refused(action: &str) -> Error {
    let why = match action {
        "release" => "it is not on hold",
        "retry" => "it has ended or is on hold",
        "hold" => "it has ended, or is about to",
        "cancel" | "fail" => "it has ended",
        _ => "it was attempted already, or has ended",
    };
    Error::NotWaiting(format!("no delivery can be changed so ({action}): {why}"))
}

/// Writes `wish` for all deliveries of a message; how many, and all deliveries afterwards.
async fn change(
    cx: &Cx,
    message: Id<id::Message>,
    wish: &Wish<'_>,
) -> Result<(u64, Vec<DeliveryView>)> {
    cx.require(Scope::MessagesWrite)?;
    let range = (message.shard(), message.deliveries().into_inner());
    let mut tx = cx.begin("queue.change_message").await?;
    if !messages::store::exists(tx.conn(), cx.account(), message).await? {
        return Err(Error::NotFound("message"));
    }
    let asked = store::ask(tx.conn(), cx.account(), range, wish).await?;
    settle(cx, tx, range, (asked, wish, message.to_string())).await?;
    let mut conn = cx.platform().acquire().await?;
    let views = queue_store::deliveries_of(&mut conn, cx.account(), message).await?;
    Ok((asked, views))
}

/// Commits, tells the owner, and waits a little for it.
async fn settle(
    cx: &Cx,
    mut tx: Tx,
    (shard, range): (u8, (Uuid, Uuid)),
    (asked, wish, target): (u64, &Wish<'_>, String),
) -> Result<()> {
    if asked == 0 {
        return Ok(());
    }
    let action = format!("{}_delivery", wish.action);
    audit::record(&mut tx, cx, &action, Some(cx.account()), &target).await?;
    store::tell(tx.conn()).await?;
    tx.commit().await?;
    cx.platform().queue().wishes.kick();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(4);
    while tokio::time::Instant::now() < deadline {
        tokio::time::sleep(pause).await;
        let mut conn = cx.platform().acquire().await?;
        if !store::is_pending(&mut conn, shard, range).await? {
            break;
        }
        pause = (pause * 2).min(Duration::from_millis(100));
    }
    Ok(())
}
