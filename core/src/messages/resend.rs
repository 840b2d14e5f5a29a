//! Sending a message once more: the same octets, signed anew, as a message of its own.

use posthouse_mail::address::Address;

use super::{Content, NewMessage, Options, ReversePath, Submission, store, submit};
use crate::{
    blobs,
    cx::Cx,
    error::{Error, Result},
    id::{self, Id},
    idempotency::Created,
    queue,
    scope::Scope,
    spool::Arrived,
};

/// The message is in memory as it was, and as it goes out.
const COPIES: u64 = 2;

/// Sends the content of `message` again, to its recipients or to others; with its reverse-path, tags,
/// metadata, and what was wanted of TLS and reports.
///
/// # Errors
/// `NotFound` (also when the content was erased), and those of [`submit`].
pub async fn resend(
    cx: &Cx,
    message: Id<id::Message>,
    recipients: Option<Vec<Address>>,
) -> Result<Created<Submission>> {
    cx.require(Scope::Send)?;
    cx.require(Scope::MessagesRead)?;
    let mut conn = cx.platform().acquire().await?;
    let original = store::find(&mut conn, cx.account(), message).await?;
    let original = original.ok_or(Error::NotFound("message"))?;
    let dsn = queue::store::dsn_of(&mut conn, cx.account(), message).await?;
    let content = store::find_content(&mut conn, cx.account(), message).await?;
    let hash = content.and_then(|(_, hash)| hash);
    let hash = hash.ok_or(Error::NotFound("content of this message any more"))?;
    let recipients = if let Some(recipients) = recipients {
        recipients
    } else {
        let views = queue::store::deliveries_of(&mut conn, cx.account(), message).await?;
        views.iter().filter_map(|view| Address::parse(&view.recipient).ok()).collect()
    };
    drop(conn);
    let body = blobs::store::open(cx.platform(), cx.account(), &hash).await?;
    let Arrived { bytes, memory } = body.load(cx.platform().memory(), COPIES).await?;
    let mail_from = match original.mail_from.as_str() {
        "" => ReversePath::Null,
        address => ReversePath::Address(Address::parse(address).map_err(Error::internal)?),
    };
    let options = Options {
        tags: serde_json::from_value(original.tags).map_err(Error::internal)?,
        metadata: serde_json::from_value(original.metadata).map_err(Error::internal)?,
        sandbox: original.sandbox,
        require_tls: original.require_tls,
        dsn,
        ..Options::default()
    };
    let new = NewMessage {
        mail_from: Some(mail_from),
        recipients,
        content: Content::Raw(bytes),
        template: None,
        uploads: Vec::new(),
        options,
    };
    let sent = submit(cx, new).await;
    drop(memory);
    sent
}
