//! Looking at messages and what became of them.

use super::{DeliveryView, Message, MessageFilter, store};
use crate::{
    blobs::{self, Body},
    cx::Cx,
    error::{Error, Result},
    id::{self, Id},
    page::{Keyset, Page, PageRequest},
    queue,
    scope::Scope,
};

/// One message.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, message: Id<id::Message>) -> Result<Message> {
    cx.require(Scope::MessagesRead)?;
    let mut conn = cx.platform().acquire().await?;
    let found = store::find(&mut conn, cx.account(), message).await?;
    found.ok_or(Error::NotFound("message"))
}

/// Messages of the account, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, filter: &MessageFilter, request: &PageRequest) -> Result<Page<Message>> {
    cx.require(Scope::MessagesRead)?;
    let keyset = Keyset::new(cx, "messages", request)?;
    let mut tx = cx.platform().begin_list("messages.list").await?;
    let rows = store::list::list(tx.conn(), cx.account(), filter, &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.message_id).map(Message::from))
}

/// Deliveries of a message with their attempts, in the order of the recipients.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn deliveries(cx: &Cx, message: Id<id::Message>) -> Result<Vec<DeliveryView>> {
    cx.require(Scope::MessagesRead)?;
    let mut tx = cx.begin("messages.deliveries").await?;
    store::as_of_now(tx.conn()).await?;
    if !store::exists(tx.conn(), cx.account(), message).await? {
        return Err(Error::NotFound("message"));
    }
    queue::store::deliveries_of(tx.conn(), cx.account(), message).await
}

/// The octets of a message as they go out.
///
/// # Errors
/// `Forbidden`, `NotFound` (also when the content was redacted), `StorageFull`, `Internal` when they
/// are damaged.
pub async fn raw(cx: &Cx, message: Id<id::Message>) -> Result<Body> {
    cx.require(Scope::MessagesRead)?;
    let mut conn = cx.platform().acquire().await?;
    let found = store::find_content(&mut conn, cx.account(), message).await?;
    drop(conn);
    let (prefix, hash) = found.ok_or(Error::NotFound("message"))?;
    let hash = hash.ok_or(Error::NotFound("content of this message any more"))?;
    let body = blobs::store::open(cx.platform(), cx.account(), &hash).await?;
    Ok(body.behind(&prefix))
}
