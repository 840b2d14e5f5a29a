//! Many messages in one request: each is taken or refused for itself, and all that are taken are
//! committed together with the answer for replay.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{
    NewMessage, Submission,
    prepare::{self, Known},
    submit::note_accepted,
    writer::Prepared,
};
use crate::{
    cx::Cx,
    error::{Error, FieldError, Result},
    idempotency::{self, Begin, Created},
    scope::Scope,
};

/// Most messages of one request.
pub const MAX_BATCH: usize = 500;

/// Messages of one request that are worked on at a time: a few for each core.
const AT_ONCE: usize = 16;

/// Why one message of several is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable code of the error.
    pub code: String,
    /// What is wrong, for people.
    pub detail: String,
    /// Faults of the message.
    pub faults: Vec<RefusedField>,
}

/// A fault in one field, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedField {
    /// JSON pointer within the message.
    pub pointer: String,
    /// Stable code.
    pub code: String,
    /// What is wrong, for people.
    pub detail: String,
}

impl From<FieldError> for RefusedField {
    fn from(fault: FieldError) -> Self {
        Self { pointer: fault.pointer, code: fault.code.to_owned(), detail: fault.detail }
    }
}

impl Refusal {
    /// What is wrong with one message; an error that would be every message's is given back.
    fn of(error: Error) -> Result<Self> {
        if matches!(error, Error::Unavailable(_) | Error::StorageFull(_) | Error::Internal(_)) {
            return Err(error);
        }
        let (code, detail) = (error.code().as_str().to_owned(), error.to_string());
        let faults = match error {
            Error::InvalidInput(faults) => faults.into_iter().map(Into::into).collect(),
            _ => Vec::new(),
        };
        Ok(Self { code, detail, faults })
    }
}

/// What became of one message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Outcome {
    /// It was taken.
    Accepted(Box<Submission>),
    /// It was not.
    Refused(Refusal),
}

/// A message on its way.
enum Item {
    Prepared(Box<Prepared>),
    Done(Outcome),
}

/// Takes those of the messages that can be taken; the others came with a refusal, or get one. When
/// this returns, all that were taken are committed, in one transaction; when it fails, none is.
///
/// # Errors
/// `Forbidden`, `InvalidInput` for none or too many messages, `IdempotencyKeyReused`,
/// `IdempotencyInFlight`, `Unavailable`, `StorageFull`.
pub async fn submit_batch(
    cx: &Cx,
    messages: Vec<Result<NewMessage, Refusal>>,
) -> Result<Created<Vec<Outcome>>> {
    cx.require(Scope::Send)?;
    Error::unless_empty(batch_faults(messages.len()))?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let known = Known::load(cx, messages.iter().flatten()).await?;
    let items = stream::iter(messages).map(|message| work_on(cx, message, &known));
    let items: Vec<Item> = items.buffered(AT_ONCE).try_collect().await?;
    let mut outcomes = Vec::with_capacity(items.len());
    let mut group = Vec::new();
    for item in items {
        outcomes.push(match item {
            Item::Done(outcome) => outcome,
            Item::Prepared(prepared) => {
                let submission = prepared.submission.clone();
                group.push(*prepared);
                Outcome::Accepted(Box::new(submission))
            }
        });
    }
    if !group.is_empty() {
        let record = slot.record(cx, &outcomes)?;
        cx.platform().writer().write(group, record).await?;
    }
    for outcome in &outcomes {
        if let Outcome::Accepted(submission) = outcome
            && !submission.dry_run
        {
            note_accepted(cx, submission);
        }
    }
    Ok(Created::fresh(outcomes))
}

/// What is wrong with the number of messages.
pub fn batch_faults(messages: usize) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if messages == 0 || messages > MAX_BATCH {
        let detail = format!("a batch has 1 to {MAX_BATCH} messages");
        faults.push(FieldError::new("/messages", "out_of_range", detail));
    }
    faults
}

async fn work_on(cx: &Cx, message: Result<NewMessage, Refusal>, known: &Known) -> Result<Item> {
    let made = match message {
        Ok(new) => match prepare::make(cx, new, known).await {
            Ok(made) => made,
            Err(error) => return Ok(Item::Done(Outcome::Refused(Refusal::of(error)?))),
        },
        Err(refusal) => return Ok(Item::Done(Outcome::Refused(refusal))),
    };
    if made.submission.dry_run {
        return Ok(Item::Done(Outcome::Accepted(Box::new(made.submission))));
    }
    Ok(Item::Prepared(Box::new(prepare::prepare(cx, made).await?)))
}
