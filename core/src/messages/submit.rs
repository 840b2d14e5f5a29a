//! Taking a message for delivery: one operation for every door.

use posthouse_mail::address::Address;

use super::{
    NewMessage, ReversePath, Submission,
    prepare::{self, Known},
};
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
    if new.options.dry_run {
        return Ok(Created::fresh(rehearse(cx, new).await?.submission));
    }
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let known = Known::load(cx, [&new]).await?;
    let made = Box::pin(prepare::make(cx, new, &known)).await?;
    let mut prepared = prepare::prepare(cx, made).await?;
    prepared.mark = mark;
    let submission = prepared.submission.clone();
    let record = slot.record(cx, &submission)?;
    cx.platform().writer().write(vec![prepared], record).await?;
    note_accepted(cx, &submission);
    Ok(Created::fresh(submission))
}

/// Counts and logs a message that is committed.
pub(super) fn note_accepted(cx: &Cx, submission: &Submission) {
    let door = cx.actor().door.as_str();
    metrics::counter!("posthouse_messages_accepted_total", "door" => door).increment(1);
    tracing::info!(
        message.id = %submission.id,
        account.id = %cx.account(),
        recipients = submission.deliveries.len(),
        size_bytes = submission.size_bytes,
        "message accepted"
    );
}

/// A message as it would go out.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// What [`submit`] would answer; nothing has the ids in it.
    pub submission: Submission,
    /// Recipients that are on the suppression list.
    pub suppressed: Vec<String>,
    /// It has DKIM signatures.
    pub is_signed: bool,
    /// All its octets.
    pub message: Vec<u8>,
}

/// Does what [`submit`] does, but stores nothing and sends nothing.
///
/// # Errors
/// Those of [`submit`].
pub async fn rehearse(cx: &Cx, mut new: NewMessage) -> Result<Rehearsal> {
    cx.require(Scope::Send)?;
    new.options.dry_run = true;
    let known = Known::load(cx, [&new]).await?;
    let made = Box::pin(prepare::make(cx, new, &known)).await?;
    Ok(Rehearsal {
        submission: made.submission,
        suppressed: made.suppressed,
        is_signed: made.is_signed,
        message: [made.finished.prefix.as_slice(), &made.finished.body].concat(),
    })
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
