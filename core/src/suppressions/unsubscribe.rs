//! Unsubscribing by the link in a message (RFC 8058). Whoever has the link may use it.

use super::{
    Reason, Suppression,
    create::{self, base_of},
    store::{Existing, Written, entries},
    token::Link,
};
use crate::{
    accounts,
    error::{Error, Result},
    events::{EventKind, NewEvent, UnsubscribeEvent},
    id::{self, Account, Delivery, Id},
    platform::Platform,
    vault::Vault,
};

const NOT_FOUND: Error = Error::NotFound("unsubscribe link");

/// What somebody is about to unsubscribe from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Who got the message.
    pub recipient: String,
    /// What it was about; none: all messages of the account.
    pub topic: Option<String>,
}

impl From<Link> for Subscription {
    fn from(link: Link) -> Self {
        Self { recipient: link.recipient.to_string(), topic: link.topic }
    }
}

/// The token for the link in a message to one recipient.
pub(crate) fn token(
    vault: &Vault,
    account: Id<Account>,
    delivery: Id<Delivery>,
    recipient: &posthouse_mail::address::Address,
    topic: Option<&str>,
) -> Result<String> {
    let (recipient, topic) = (recipient.clone(), topic.map(str::to_owned));
    Link { account, delivery, recipient, topic }.seal(vault)
}

/// What a link is for; nothing is changed.
///
/// # Errors
/// `NotFound` for a text that is no link of ours.
pub fn subscription(platform: &Platform, token: &str) -> Result<Subscription> {
    Link::open(platform.vault(), token)?.map(Subscription::from).ok_or(NOT_FOUND)
}

/// Uses a link: the recipient gets no more such messages. A second time changes nothing.
///
/// # Errors
/// `NotFound` for a text that is no link of ours, or when the account is gone.
pub async fn unsubscribe(platform: &Platform, token: &str) -> Result<Subscription> {
    let link = Link::open(platform.vault(), token)?.ok_or(NOT_FOUND)?;
    let now = platform.now();
    let mut tx = platform.begin("suppressions.unsubscribe").await?;
    accounts::store::find(tx.conn(), link.account).await?.ok_or(NOT_FOUND)?;
    let entry = Suppression {
        id: Id::new(now),
        account_id: link.account,
        address: link.recipient.to_string(),
        base_address: base_of(tx.conn(), &link.recipient).await?,
        topic: link.topic.clone(),
        reason: Reason::Unsubscribe,
        detail: "the recipient used the link in a message".to_owned(),
        delivery_id: Some(link.delivery),
        expires_at: None,
        created_at: now,
    };
    let made = std::slice::from_ref(&entry);
    let written = create::write(&mut tx, made, Existing::Replace, now).await?;
    if written.iter().any(|one| *one != Written::Unchanged) {
        let base = [entry.base_address.as_str()];
        let there = entries::of_recipients(tx.conn(), link.account, &base, now).await?;
        let there = there.iter().find(|one| one.topic == entry.topic).unwrap_or(&entry);
        tx.emit(event(&link, there.id, now));
    }
    tx.commit().await?;
    platform.queue().suppressions.changed(link.account);
    Ok(link.into())
}

fn event(
    link: &Link,
    suppression_id: Id<id::Suppression>,
    now: ::time::OffsetDateTime,
) -> NewEvent {
    let recipient = link.recipient.to_string();
    let payload = UnsubscribeEvent {
        message_id: link.delivery.message(),
        delivery_id: link.delivery,
        recipient: &recipient,
        topic: link.topic.as_deref(),
        suppression_id,
    };
    let event = NewEvent::new(link.account, EventKind::RecipientUnsubscribed, now, &payload);
    event.about(link.delivery.message())
}
