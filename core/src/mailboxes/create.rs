//! Making a mailbox, and those above it.

use posthouse_mail::mailbox::{parent, parents, parse_name};

use super::{MAX_PER_ACCOUNT, Mailbox, NewMailbox, ROLES, store};
use crate::{
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::{self, Account, Id},
    idempotency::{self, Begin, Created},
    scope::Scope,
};

/// Makes a mailbox; mailboxes above it are made where they lack.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `AlreadyExists`, `PolicyRejected` when the account has too many.
pub async fn create(cx: &Cx, new: &NewMailbox) -> Result<Created<Mailbox>> {
    cx.require(Scope::MailWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let (name, faults) = check(new);
    Error::unless_empty(faults)?;
    let mut tx = cx.begin("mailboxes.create").await?;
    let modseq = tx.modseq(cx.account()).await?;
    let id = create_in(&mut tx, cx.account(), &name, new.subscribed).await?;
    let mut made = found(&mut tx, cx, id).await?;
    if let Some(role) = &new.role {
        store::clear_role(tx.conn(), cx.account(), role, modseq).await?;
        made.role = Some(role.clone());
        store::update(tx.conn(), cx.account(), &made, modseq).await?;
    }
    slot.keep(&mut tx, cx, &made).await?;
    tx.commit().await?;
    Ok(Created::fresh(made))
}

/// Every fault that [`create`] will find without the database.
pub fn create_faults(new: &NewMailbox) -> Vec<FieldError> {
    check(new).1
}

fn check(new: &NewMailbox) -> (String, Vec<FieldError>) {
    let mut faults = Vec::new();
    let name = check_name(&new.name, &mut faults);
    faults.extend(new.role.as_deref().and_then(role_fault));
    (name, faults)
}

/// The name as it is stored.
pub(super) fn check_name(name: &str, faults: &mut Vec<FieldError>) -> String {
    parse_name(name).unwrap_or_else(|error| {
        faults.push(FieldError::new("/name", "invalid_name", error.to_string()));
        String::new()
    })
}

/// What is wrong with a role.
pub(super) fn role_fault(role: &str) -> Option<FieldError> {
    let detail = || format!("expected one of {}", ROLES.join(", "));
    (!ROLES.contains(&role)).then(|| FieldError::new("/role", "invalid_value", detail()))
}

/// A mailbox that is there.
pub(super) async fn found(tx: &mut Tx, cx: &Cx, mailbox: Id<id::Mailbox>) -> Result<Mailbox> {
    let found = store::find(tx.conn(), cx.account(), mailbox).await?;
    found.ok_or(Error::NotFound("mailbox"))
}

/// Makes the mailbox `name` and those above it.
pub(super) async fn create_in(
    tx: &mut Tx,
    account: Id<Account>,
    name: &str,
    subscribed: bool,
) -> Result<Id<id::Mailbox>> {
    let above = make_parents(tx, account, name).await?;
    let now = tx.now();
    let modseq = tx.modseq(account).await?;
    let id = Id::new(now);
    let row = store::NewRow { id, name: name.to_owned(), parent: above, subscribed };
    store::insert(tx.conn(), account, &[row], modseq, now).await?;
    if store::number(tx.conn(), account).await? > MAX_PER_ACCOUNT {
        let detail = format!("an account has at most {MAX_PER_ACCOUNT} mailboxes");
        return Err(Error::PolicyRejected(detail));
    }
    Ok(id)
}

/// Makes what lacks above `name`, which must be free; gives the mailbox right above it.
pub(super) async fn make_parents(
    tx: &mut Tx,
    account: Id<Account>,
    name: &str,
) -> Result<Option<Id<id::Mailbox>>> {
    let modseq = tx.modseq(account).await?;
    let names: Vec<&str> = parents(name).chain([name]).collect();
    let known = store::find_names(tx.conn(), account, &names).await?;
    if known.iter().any(|(known, _)| known == name) {
        return Err(Error::AlreadyExists("mailbox"));
    }
    let now = tx.now();
    let mut new = Vec::new();
    let mut above = None;
    for place in parents(name) {
        let there = known.iter().find(|(known, _)| known == place).map(|(_, id)| *id);
        let id = there.unwrap_or_else(|| Id::new(now));
        if there.is_none() {
            let name = place.to_owned();
            new.push(store::NewRow { id, name, parent: above, subscribed: true });
        }
        above = Some(id);
    }
    debug_assert_eq!(above.is_some(), parent(name).is_some(), "what is above is known");
    if !new.is_empty() {
        store::insert(tx.conn(), account, &new, modseq, now).await?;
    }
    Ok(above)
}
