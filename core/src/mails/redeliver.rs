//! Telling once more of mail that came in, and asking the routes once more.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Mail,
    deliver::{Fields, NewMail, Origin, Reception},
    store,
};
use crate::{
    blobs,
    bounces::About,
    cx::Cx,
    error::{Error, Result},
    events::{EventKind, MailContentEvent, MailEvent, NewEvent},
    id::{self, Event, Id, Message},
    idempotency::{self, Begin, Created},
    inbound::deliver::{self, Arrival},
    inbound_routes::{self, Action},
    mailboxes,
    scope::Scope,
    spool::Arrived,
};

/// A message is in memory as it is, as what it says, and compressed.
const COPIES: u64 = 3;

/// What is to be done once more.
#[derive(Debug, Clone, Default)]
pub struct Redelivery {
    /// Only this endpoint is told; none: all that want it.
    pub webhook: Option<Id<id::Webhook>>,
    /// The routes are asked: mail is sent on and posted again. It stays where it is.
    pub routes: bool,
}

/// What was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Redelivered {
    /// The event `mail.received`.
    pub event_id: Id<Event>,
    /// The message as which it is sent on.
    pub forwarded_message_id: Option<Id<Message>>,
}

/// Tells of a mail again, with `mail.received` and `redelivered`.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput` when it did not come in or there is no such endpoint,
/// `StorageFull`, `Unavailable`.
pub async fn redeliver(
    cx: &Cx,
    mail: Id<id::Mail>,
    wish: Redelivery,
) -> Result<Created<Redelivered>> {
    cx.require(Scope::MailWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let platform = cx.platform();
    let mut conn = platform.acquire().await?;
    let found = store::find(&mut conn, cx.account(), mail).await?.ok_or(Error::NotFound("mail"))?;
    let content = store::find_content(&mut conn, cx.account(), mail).await?;
    let content = content.ok_or(Error::NotFound("mail"))?;
    inbound_routes::require_webhook(&mut conn, cx, wish.webhook).await?;
    drop(conn);
    let reception = reception(&found)?;
    let body = blobs::store::open(platform, cx.account(), &content.blob_hash).await?;
    let Arrived { bytes, memory } = body.load(platform.memory(), COPIES).await?;
    let parsed = super::parse(&bytes).await?;
    let blob = platform.blobs().prepare(cx.account(), bytes.clone()).await?;
    let own = own_fields(&content.prefix);
    let prefix = Bytes::from(content.prefix);
    let origin = Origin::Received(reception);
    let mut arriving = NewMail::new(origin, prefix, parsed, blob, found.received_at);
    arriving.id = found.id;
    arriving.refers_to = found.refers_to;
    let mut arrival = Arrival::new(platform, arriving, About::default(), (bytes, own)).await?;
    if wish.routes {
        may_route(cx, &arrival)?;
    } else {
        arrival.routes = Arc::default();
    }
    let mut tx = cx.begin("mails.redeliver").await?;
    let again = deliver::again(&mut tx, platform, &mut arrival).await?;
    if let Some(webhook) = wish.webhook {
        arrival.mail.routing.get_or_insert_default().webhook_ids = vec![webhook];
    }
    let name = mailboxes::store::find_name(tx.conn(), cx.account(), found.mailbox_id).await?;
    let event = event(cx, &arrival.mail, &found, &name.ok_or(Error::NotFound("mail"))?)?;
    let routing = arrival.mail.routing.as_ref();
    let done = Redelivered {
        event_id: event.id,
        forwarded_message_id: routing.and_then(|routing| routing.forwarded_message_id),
    };
    deliver::keep_posted(&mut tx, &arrival.mail, event.id).await?;
    tx.emit(event);
    slot.keep(&mut tx, cx, &done).await?;
    again.commit(tx, platform).await?;
    drop(memory);
    Ok(Created::fresh(done))
}

/// Whether the caller may have mail sent on, if there are routes that do that.
fn may_route(cx: &Cx, arrival: &Arrival) -> Result<()> {
    let forwards = |action: &Action| matches!(action, Action::Forward { .. });
    if !arrival.routes.iter().any(|route| route.actions.iter().any(forwards)) {
        return Ok(());
    }
    cx.require(Scope::Send)?;
    if cx.actor().sandbox {
        let detail = "a key of the sandbox sends nothing on";
        return Err(Error::field("/routes", "sandbox_key", detail));
    }
    Ok(())
}

fn reception(mail: &Mail) -> Result<Reception> {
    let Some(reception) = mail.reception.clone() else {
        let detail = "this mail did not come in: there is nothing to repeat";
        return Err(Error::field("", "not_received", detail));
    };
    serde_json::from_value(reception).map_err(Error::internal)
}

fn event(cx: &Cx, mail: &NewMail, found: &Mail, mailbox: &str) -> Result<NewEvent> {
    let fields = Fields::of(&mail.parsed)?;
    let payload = MailEvent {
        mail_id: found.id,
        mailbox_id: found.mailbox_id,
        mailbox,
        thread_id: found.thread_id,
        content: MailContentEvent { redelivered: true, ..mail.said(&fields) },
    };
    Ok(NewEvent::new(cx.account(), EventKind::MailReceived, cx.now(), &payload))
}

/// Octets of the fields that were for this recipient alone: Delivered-To and Return-Path.
fn own_fields(prefix: &[u8]) -> usize {
    let mut lines = prefix.split_inclusive(|octet| *octet == b'\n');
    let is_own =
        |line: &&[u8]| line.starts_with(b"Delivered-To:") || line.starts_with(b"Return-Path:");
    lines.by_ref().take(2).take_while(is_own).map(<[u8]>::len).sum()
}

#[cfg(test)]
mod tests {
    use super::own_fields;

    #[test]
    fn the_first_two_fields_are_for_the_recipient() {
        let own = b"Delivered-To: a@b\r\nReturn-Path: <c@d>\r\n";
        let all = [own.as_slice(), b"Received: x\r\n\ty\r\nReturn-Path: z\r\n"].concat();
        assert_eq!(own_fields(&all), own.len());
        assert_eq!(own_fields(b"Return-Path: <>\r\n"), 17);
        assert_eq!(own_fields(b"Received: x\r\n"), 0);
        assert_eq!(own_fields(b""), 0);
    }
}
