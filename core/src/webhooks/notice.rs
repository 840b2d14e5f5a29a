//! Telling people that their endpoint was disabled: a mail in the account's Inbox, in the
//! transaction that disables it.

use posthouse_mail::{
    address::{Address, NamedAddress},
    compose::{Draft, compose},
};

use super::{Webhook, store};
use crate::{
    cx::Tx,
    error::{Error, Result},
    id::{Id, Message},
    mails::{self, NewMail, Origin},
    platform::Platform,
};

/// Puts the notice into the Inbox. An account without an address that mail can be written to gets
/// none: that must not keep the endpoint enabled.
pub(super) async fn deliver(
    tx: &mut Tx,
    platform: &Platform,
    webhook: &Webhook,
    reason: &str,
) -> Result<()> {
    let address = store::address(tx.conn(), webhook.account_id).await?;
    let Some(Ok(to)) = address.as_deref().map(Address::parse) else {
        return Ok(());
    };
    let now = platform.now();
    let hostname = &platform.config().hostname;
    let from = Address::parse(&format!("postmaster@{hostname}")).map_err(Error::internal)?;
    let from = NamedAddress::new(Some("Mail server"), from).map_err(Error::internal)?;
    let mut draft = Draft::new(from);
    draft.to = vec![NamedAddress::new(None, to).map_err(Error::internal)?];
    draft.subject.push_str("A webhook endpoint was disabled");
    draft.text = Some(text(webhook, reason));
    draft.headers = vec![("Auto-Submitted".to_owned(), "auto-generated".to_owned())];
    let message_id = format!("<{}@{hostname}>", Id::<Message>::new(now));
    let body = bytes::Bytes::from(compose(&draft, now, &message_id, ""));
    let parsed = mails::parse(&body).await?;
    let blob = platform.blobs().prepare(webhook.account_id, body).await?;
    let prefix = bytes::Bytes::from_static(b"Return-Path: <>\r\n");
    let mail = NewMail::new(Origin::Dsn, prefix, parsed, blob, now);
    mails::deliver_in(tx, &mail).await?;
    Ok(())
}

/// Not the whole URL: its query may hold a secret, and mail is read by others than settings are.
fn text(webhook: &Webhook, reason: &str) -> String {
    let url = webhook.url.split('?').next().unwrap_or_default();
    let about = match webhook.description.as_str() {
        "" => String::new(),
        description => format!("Description: {description}\n"),
    };
    format!(
        "The webhook endpoint {id} is not called any more: {reason}.\n\n\
         URL: {url}\n{about}\n\
         Events are kept. When the endpoint works again, enable it with\n\
         POST /v1/webhooks/{id}/enable: it goes on where it stopped, as far as the\n\
         event log still has the events.\n",
        id = webhook.id,
    )
}
