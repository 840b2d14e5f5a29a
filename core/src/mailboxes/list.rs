//! Looking at mailboxes.

use super::{Mailbox, store};
use crate::{
    cx::Cx,
    error::{Error, Result},
    id::{self, Id},
    scope::Scope,
};

/// Mailboxes of the account, Inbox first, then by name.
///
/// # Errors
/// `Forbidden`.
pub async fn list(cx: &Cx) -> Result<Vec<Mailbox>> {
    cx.require(Scope::MailRead)?;
    let mut conn = cx.platform().acquire().await?;
    store::list(&mut conn, cx.account()).await
}

/// One mailbox.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, mailbox: Id<id::Mailbox>) -> Result<Mailbox> {
    cx.require(Scope::MailRead)?;
    let mut conn = cx.platform().acquire().await?;
    store::find(&mut conn, cx.account(), mailbox).await?.ok_or(Error::NotFound("mailbox"))
}
