//! Many messages in one request: each is taken or refused for itself, and all that are taken are
//! committed together with the answer for replay.

use std::{iter, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio_util::task::AbortOnDropHandle;

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

/// Messages of one request that are worked on by one task.
const GROUP: usize = 25;
/// Such tasks at a time: a request does not take all cores of a larger machine.
const GROUPS_AT_ONCE: usize = 4;

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
    let mut known = Known::load(cx, messages.iter().flatten()).await?;
    let _memory = known.take_memory();
    let items = work_on_all(cx, messages, known).await?;
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

/// Works on the messages in groups, a few at a time.
async fn work_on_all(
    cx: &Cx,
    messages: Vec<Result<NewMessage, Refusal>>,
    known: Known,
) -> Result<Vec<Item>> {
    let known = Arc::new(known);
    let mut messages = messages.into_iter();
    let groups = iter::from_fn(|| {
        let group: Vec<_> = messages.by_ref().take(GROUP).collect();
        (!group.is_empty()).then_some(group)
    });
    let tasks = stream::iter(groups).map(|group| {
        let (cx, known) = (cx.clone(), Arc::clone(&known));
        AbortOnDropHandle::new(tokio::spawn(async move {
            let items = stream::iter(group).then(|message| work_on(&cx, message, &known));
            items.try_collect::<Vec<Item>>().await
        }))
    });
    let groups: Vec<Vec<Item>> = tasks
        .buffered(GROUPS_AT_ONCE)
        .map(|done| done.map_err(Error::internal).and_then(|items| items))
        .try_collect()
        .await?;
    Ok(groups.into_iter().flatten().collect())
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
