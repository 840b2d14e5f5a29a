//! Taking a message for delivery: one operation for every door.

use posthouse_mail::address::Address;

use super::{NewMessage, ReversePath, Submission, prepare};
use crate::{
    cx::Cx,
    error::{Error, Result},
    idempotency::{self, Begin, Created},
    mails::Mark,
    scope::Scope,
};

/// Takes a message: when this returns, it is committed and will be delivered or reported.
///
/// # Errors
/// `Forbidden`, `SenderNotAllowed`, `DomainDisabled`, `InvalidInput`, `TooManyRecipients`,
/// `MessageTooLarge`, `IdempotencyKeyReused`, `IdempotencyInFlight`, `Unavailable`, `StorageFull`.
pub async fn submit(cx: &Cx, new: NewMessage) -> Result<Created<Submission>> {
    submit_with(cx, new, None).await
}

/// The same, and marks the mail that the message answers, in the same transaction.
pub(crate) async fn submit_marking(
    cx: &Cx,
    new: NewMessage,
    mark: Mark,
) -> Result<Created<Submission>> {
    submit_with(cx, new, Some(mark)).await
}

async fn submit_with(cx: &Cx, new: NewMessage, mark: Option<Mark>) -> Result<Created<Submission>> {
    cx.require(Scope::Send)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let mut prepared = prepare::prepare(cx, new).await?;
    prepared.mark = mark;
    prepared.idempotency = slot.record(cx, &prepared.submission)?;
    let submission = prepared.submission.clone();
    cx.platform().writer().write(prepared).await?;
    let door = cx.actor().door.as_str();
    metrics::counter!("posthouse_messages_accepted_total", "door" => door).increment(1);
    tracing::info!(
        message.id = %submission.id,
        account.id = %cx.account(),
        recipients = submission.deliveries.len(),
        size_bytes = submission.size_bytes,
        "message accepted"
    );
    Ok(Created::fresh(submission))
}

/// Whether the caller may send with this reverse-path; [`submit`] asks again, and about From (B3).
///
/// # Errors
/// `Forbidden`, `SenderNotAllowed`, `DomainDisabled`, `Unavailable`.
pub async fn check_sender(cx: &Cx, mail_from: &ReversePath) -> Result<()> {
    cx.require(Scope::Send)?;
    match mail_from {
        ReversePath::Null => Ok(()),
        ReversePath::Address(address) => prepare::check::allowed(cx, address).await.map(drop),
    }
}

/// Whether a message of the caller may go to `recipient`: an unknown address in a domain of ours is
/// refused at once, since the caller is known (B12).
///
/// # Errors
/// `Forbidden`, `UnknownRecipient`, `DomainDisabled`, `Unavailable`.
pub async fn check_recipient(cx: &Cx, recipient: &Address) -> Result<()> {
    cx.require(Scope::Send)?;
    let platform = cx.platform();
    let domain = platform.directory().domain(platform, recipient.domain()).await?;
    if domain.is_none() || platform.config().delivery.sandbox || cx.actor().sandbox {
        return Ok(());
    }
    match platform.directory().resolve(platform, recipient).await? {
        Some(_) => Ok(()),
        None => Err(Error::UnknownRecipient),
    }
}
