//! Listing mailboxes.

use super::{Mailbox, store};
use crate::{cx::Cx, error::Result, scope::Scope};

/// Mailboxes of the account, Inbox first, then by name.
///
/// # Errors
/// `Forbidden`.
pub async fn list(cx: &Cx) -> Result<Vec<Mailbox>> {
    cx.require(Scope::MailRead)?;
    let mut conn = cx.platform().acquire().await?;
    store::list(&mut conn, cx.account()).await
}
