//! Events of deliveries that somebody has changed.

use time::OffsetDateTime;

use super::{Entry, store::Message};
use crate::{
    events::{DeliveryEvent, EventKind, NewEvent},
    id::{Delivery, Id},
};

/// A change without an attempt: what and when, whose, why, and when it is due next.
pub(super) fn changed(
    (kind, now): (EventKind, OffsetDateTime),
    message: &Message,
    (delivery, recipient, attempt): (Id<Delivery>, &str, u16),
    (reason, next_attempt_at): (&str, Option<OffsetDateTime>),
) -> NewEvent {
    let payload = DeliveryEvent {
        message_id: message.id,
        delivery_id: delivery,
        internet_message_id: &message.internet_message_id,
        sender: &message.mail_from,
        recipient,
        subject: &message.subject,
        tags: &message.tags,
        metadata: &message.metadata,
        attempt,
        smtp_code: None,
        enhanced_code: None,
        reply: reason,
        remote_mta: None,
        remote_address: None,
        next_attempt_at,
        suppressing: false,
        sandbox: message.sandbox,
        report: None,
    };
    NewEvent::new(message.account, kind, now, &payload).about(message.id)
}

/// `delivery.held`, when a rule holds it from the beginning.
pub(crate) fn held(message: &Message, entry: &Entry, now: OffsetDateTime) -> Option<NewEvent> {
    let reason = entry.held.as_deref()?;
    let of = (entry.id, &*entry.recipient, entry.attempts);
    Some(changed((EventKind::DeliveryHeld, now), message, of, (reason, None)))
}
