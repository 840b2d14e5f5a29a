//! Renaming, changing and deleting mailboxes.

use posthouse_mail::mailbox::{MAX_LEVELS, MAX_NAME, SEPARATOR};

use super::{
    MAX_PER_ACCOUNT, Mailbox, MailboxPatch,
    create::{check_name, create_in, found, make_parents, role_fault},
    store,
};
use crate::{
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::{self, Id},
    mails::change::{expunge_some, move_some},
    scope::Scope,
};

const INBOX: &str = "inbox";

/// Changes a mailbox. A new name takes the mailboxes below along. The Inbox keeps its name: renaming
/// it makes a mailbox of the new name and moves its mail there, in steps (RFC 9051 §6.3.6); that
/// mailbox is given back then.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `AlreadyExists`, `PolicyRejected`.
pub async fn update(cx: &Cx, mailbox: Id<id::Mailbox>, patch: &MailboxPatch) -> Result<Mailbox> {
    cx.require(Scope::MailWrite)?;
    let (name, faults) = check(patch);
    Error::unless_empty(faults)?;
    let mut tx = cx.begin("mailboxes.update").await?;
    let modseq = tx.modseq(cx.account()).await?;
    let old = found(&mut tx, cx, mailbox).await?;
    let is_inbox = old.role.as_deref() == Some(INBOX);
    let mut new = old.clone();
    if let Some(role) = &patch.role
        && *role != old.role
    {
        if is_inbox {
            return Err(Error::PolicyRejected("the Inbox keeps its role".to_owned()));
        }
        if let Some(role) = role {
            store::clear_role(tx.conn(), cx.account(), role, modseq).await?;
        }
        new.role.clone_from(role);
    }
    new.subscribed = patch.subscribed.unwrap_or(old.subscribed);
    let mut changed = new.role != old.role || new.subscribed != old.subscribed;
    if changed {
        store::update(tx.conn(), cx.account(), &new, modseq).await?;
    }
    let mut result = mailbox;
    if let Some(name) = name.filter(|name| *name != old.name) {
        changed = true;
        if is_inbox {
            result = create_in(&mut tx, cx.account(), &name, true).await?;
        } else {
            rename(&mut tx, cx, &old, &name).await?;
        }
    }
    if !changed {
        return Ok(old);
    }
    let new = found(&mut tx, cx, result).await?;
    tx.commit().await?;
    if result == mailbox { Ok(new) } else { move_all(cx, mailbox, result).await }
}

/// Every fault that [`update`] will find without the database.
pub fn update_faults(patch: &MailboxPatch) -> Vec<FieldError> {
    check(patch).1
}

fn check(patch: &MailboxPatch) -> (Option<String>, Vec<FieldError>) {
    let mut faults = Vec::new();
    let name = patch.name.as_deref().map(|name| check_name(name, &mut faults));
    let role = patch.role.as_ref().and_then(|role| role.as_deref());
    faults.extend(role.and_then(role_fault));
    (name, faults)
}

async fn rename(tx: &mut Tx, cx: &Cx, old: &Mailbox, name: &str) -> Result<()> {
    let inside =
        name.strip_prefix(old.name.as_str()).is_some_and(|rest| rest.starts_with(SEPARATOR));
    if inside {
        let detail = "a mailbox cannot be inside of itself";
        return Err(Error::field("/name", "inside_itself", detail));
    }
    let account = cx.account();
    let below = store::below(tx.conn(), account, &old.name).await?;
    let mut renamed = vec![(old.id, name.to_owned())];
    for (mailbox, below) in below {
        let rest = below.strip_prefix(old.name.as_str()).unwrap_or_default();
        renamed.push((mailbox, format!("{name}{rest}")));
    }
    let is_too_long =
        |name: &str| name.len() > MAX_NAME || name.split(SEPARATOR).count() > MAX_LEVELS;
    if renamed.iter().any(|(_, name)| is_too_long(name)) {
        let detail = "names of mailboxes below would be too long or too deep";
        return Err(Error::field("/name", "invalid_name", detail));
    }
    let names: Vec<&str> = renamed.iter().map(|(_, name)| name.as_str()).collect();
    if !store::find_names(tx.conn(), account, &names).await?.is_empty() {
        return Err(Error::AlreadyExists("mailbox"));
    }
    let parent = make_parents(tx, account, name).await?;
    let modseq = tx.modseq(account).await?;
    store::rename(tx.conn(), account, &renamed, parent, modseq).await?;
    if store::number(tx.conn(), account).await? > MAX_PER_ACCOUNT {
        let detail = format!("an account has at most {MAX_PER_ACCOUNT} mailboxes");
        return Err(Error::PolicyRejected(detail));
    }
    Ok(())
}

/// Moves all mail from one mailbox to another, in steps.
async fn move_all(cx: &Cx, from: Id<id::Mailbox>, to: Id<id::Mailbox>) -> Result<Mailbox> {
    loop {
        let mut tx = cx.begin("mailboxes.move_all").await?;
        let more = move_some(&mut tx, cx.account(), from, to).await?;
        let target = found(&mut tx, cx, to).await?;
        tx.commit().await?;
        if !more {
            return Ok(target);
        }
    }
}

/// Deletes a mailbox with its mail, for good. Much mail goes in steps: the mailbox itself goes with
/// the last one.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InUse` while there are mailboxes below, `PolicyRejected` for the Inbox.
pub async fn delete(cx: &Cx, mailbox: Id<id::Mailbox>) -> Result<()> {
    cx.require(Scope::MailWrite)?;
    loop {
        let mut tx = cx.begin("mailboxes.delete").await?;
        let modseq = tx.modseq(cx.account()).await?;
        let old = found(&mut tx, cx, mailbox).await?;
        if old.role.as_deref() == Some(INBOX) {
            return Err(Error::PolicyRejected("the Inbox cannot be deleted".to_owned()));
        }
        if !store::below(tx.conn(), cx.account(), &old.name).await?.is_empty() {
            let detail = "there are mailboxes below this one: delete or move them first";
            return Err(Error::InUse(detail.to_owned()));
        }
        let more = expunge_some(&mut tx, cx.account(), mailbox).await?;
        if !more {
            let now = tx.now();
            store::expunge(tx.conn(), cx.account(), mailbox, modseq, now).await?;
        }
        tx.commit().await?;
        if !more {
            return Ok(());
        }
    }
}
