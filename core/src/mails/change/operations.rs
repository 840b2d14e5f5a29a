//! Changing or deleting one mail, and emptying a mailbox step by step.

use uuid::Uuid;

use super::{ANY_STATE, Edit, MailPatch, MailState, Marks, Outcome, STEP, edit, store};
use crate::{
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::{self, Account, Id, Mailbox},
    scope::Scope,
};

const NOT_FOUND: Error = Error::NotFound("mail");

/// Changes flags, keywords and mailbox of a mail. `expected` are modseqs of states in which the
/// caller knows it; in another one nothing is changed.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `PreconditionFailed`, `PolicyRejected` (too many
/// keywords).
pub async fn update(
    cx: &Cx,
    mail: Id<id::Mail>,
    patch: &MailPatch,
    expected: Option<&[i64]>,
) -> Result<MailState> {
    cx.require(Scope::MailWrite)?;
    let (marks, faults) = Marks::read(patch);
    Error::unless_empty(faults)?;
    let mut tx = cx.begin("mails.update").await?;
    let fits = |_, modseq| expected.is_none_or(|known| known.contains(&modseq));
    let change = Edit::Change { marks, to: patch.mailbox };
    let ids = [mail.uuid()];
    let outcome = edit(&mut tx, cx.account(), &ids, &fits, &change).await;
    let outcome = outcome.map_err(unknown_mailbox)?;
    if outcome.found == 0 {
        return Err(NOT_FOUND);
    }
    if !outcome.conflicts.is_empty() {
        return Err(Error::PreconditionFailed);
    }
    let state = store::states(tx.conn(), cx.account(), &ids).await?.pop();
    let state = state.ok_or(NOT_FOUND)?;
    if !outcome.done.is_empty() {
        tx.commit().await?;
    }
    Ok(state)
}

/// What is done to each mail of a set.
#[derive(Debug, Clone)]
pub enum Action {
    /// Other flags, keywords, mailbox.
    Update(MailPatch),
    /// A copy in this mailbox.
    Copy(Id<Mailbox>),
    /// To the Trash; for good if it is there already or this is true.
    Delete(bool),
}

impl Action {
    /// Every fault that is known without the database.
    pub fn faults(&self) -> Vec<FieldError> {
        self.check().1
    }

    /// The form in which it is done, and all that is wrong with it.
    pub(super) fn check(&self) -> (Edit, Vec<FieldError>) {
        match self {
            Self::Update(patch) => {
                let (marks, mut faults) = Marks::read(patch);
                if patch.is_empty() {
                    let detail = "say what is to be changed";
                    faults.push(FieldError::new("", "nothing_to_change", detail));
                }
                (Edit::Change { marks, to: patch.mailbox }, faults)
            }
            Self::Copy(to) => (Edit::Copy { to: *to }, Vec::new()),
            Self::Delete(permanent) => (Edit::Delete { permanent: *permanent }, Vec::new()),
        }
    }
}

/// Does something to at most 500 mails, in one transaction; with `unchanged_since`, to those that
/// have not changed after that modseq (RFC 7162 §3.1.3). What does not exist is left out.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `NotFound` (the other mailbox), `QuotaExceeded`, `PolicyRejected`.
pub async fn change(
    cx: &Cx,
    mails: &[Id<id::Mail>],
    unchanged_since: Option<i64>,
    action: &Action,
) -> Result<Outcome> {
    cx.require(Scope::MailWrite)?;
    let (action, mut faults) = action.check();
    if mails.len() > STEP {
        let detail = format!("at most {STEP} mails");
        faults.push(FieldError::new("/ids", "too_many", detail));
    }
    Error::unless_empty(faults)?;
    let ids: Vec<Uuid> = mails.iter().map(|mail| mail.uuid()).collect();
    let fits = |_, modseq| unchanged_since.is_none_or(|since| modseq <= since);
    let mut tx = cx.begin("mails.change").await?;
    let outcome = edit(&mut tx, cx.account(), &ids, &fits, &action).await?;
    if !outcome.done.is_empty() {
        tx.commit().await?;
    }
    Ok(outcome)
}

/// A mailbox that the request names and that is not there.
pub(super) fn unknown_mailbox(error: Error) -> Error {
    match error {
        Error::NotFound("mailbox") => {
            Error::field("/mailbox_id", "unknown_mailbox", "there is no such mailbox")
        }
        error => error,
    }
}

/// Moves a mail to the Trash; one that is there, or any if `permanent`, is expunged.
///
/// # Errors
/// `Forbidden`, `NotFound`, `PreconditionFailed`, `PolicyRejected` when there is no Trash.
pub async fn delete(
    cx: &Cx,
    mail: Id<id::Mail>,
    permanent: bool,
    expected: Option<&[i64]>,
) -> Result<()> {
    cx.require(Scope::MailWrite)?;
    let mut tx = cx.begin("mails.delete").await?;
    let fits = |_, modseq| expected.is_none_or(|known| known.contains(&modseq));
    let action = Edit::Delete { permanent };
    let outcome = edit(&mut tx, cx.account(), &[mail.uuid()], &fits, &action).await?;
    if outcome.found == 0 {
        return Err(NOT_FOUND);
    }
    if !outcome.conflicts.is_empty() {
        return Err(Error::PreconditionFailed);
    }
    tx.commit().await
}

/// Expunges some mails of a mailbox; says whether there were as many as a step takes.
pub(crate) async fn expunge_some(
    tx: &mut Tx,
    account: Id<Account>,
    mailbox: Id<Mailbox>,
) -> Result<bool> {
    empty(tx, account, mailbox, &Edit::Delete { permanent: true }).await
}

/// Moves some mails of a mailbox to another; says whether there were as many as a step takes.
pub(crate) async fn move_some(
    tx: &mut Tx,
    account: Id<Account>,
    mailbox: Id<Mailbox>,
    to: Id<Mailbox>,
) -> Result<bool> {
    empty(tx, account, mailbox, &Edit::Change { marks: Marks::NONE, to: Some(to) }).await
}

async fn empty(
    tx: &mut Tx,
    account: Id<Account>,
    mailbox: Id<Mailbox>,
    action: &Edit,
) -> Result<bool> {
    // Under the lock, so that no mail comes meanwhile.
    tx.modseq(account).await?;
    let limit = i64::try_from(STEP).unwrap_or(i64::MAX);
    let ids = store::ids_in_mailbox(tx.conn(), account, mailbox, limit).await?;
    edit(tx, account, &ids, ANY_STATE, action).await?;
    Ok(ids.len() == STEP)
}
