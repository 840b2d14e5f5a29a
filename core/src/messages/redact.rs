//! Erasing what a message says; what became of it stays known.

use super::store;
use crate::{
    audit,
    cx::Cx,
    error::{Error, Result},
    id::{self, Id},
    scope::Scope,
};

/// Erases the content of a message that does not wait any more. Copies in mailboxes stay.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InUse` while deliveries wait.
pub async fn redact(cx: &Cx, message: Id<id::Message>) -> Result<()> {
    cx.require(Scope::MessagesWrite)?;
    let mut tx = cx.begin("messages.redact").await?;
    if !store::exists(tx.conn(), cx.account(), message).await? {
        return Err(Error::NotFound("message"));
    }
    if !store::redact(tx.conn(), cx.account(), message).await? {
        let detail = "deliveries of this message still wait: cancel them or wait";
        return Err(Error::InUse(detail.to_owned()));
    }
    let target = message.to_string();
    audit::record(&mut tx, cx, "redact_message", Some(cx.account()), &target).await?;
    tx.commit().await
}
