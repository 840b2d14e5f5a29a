//! What comes back after a delivery: bounces, complaints and later news, matched with what was sent
//! (0.5, 2.5, 2.6).
//!
//! A report is about a message of the account that it came to, or about none. The token in the
//! reverse-path proves it; without one, Message-ID and recipient must both be right. Whatever it is,
//! the mail itself is stored like any other.

mod apply;
mod matching;
mod store;
mod token;

pub(crate) use apply::apply;
pub(crate) use matching::{Mail, find};
pub(crate) use token::{TokenKey, envelope_id, sender};

use crate::{
    events::EventKind,
    id::{self, Delivery, Id},
};

/// What a mail that came in is about.
#[derive(Default)]
pub(crate) struct About {
    /// The message of the account that it answers or reports about.
    pub message: Option<Id<id::Message>>,
    effects: Option<Effects>,
}

impl About {
    /// Whether it tells of a delivery of the account.
    pub(crate) const fn is_report(&self) -> bool {
        self.effects.is_some()
    }
}

/// What a report changes.
struct Effects {
    message: store::MessageFacts,
    /// The report came with the token of the message.
    proven: bool,
    feedback_type: Option<String>,
    /// In the order of deliveries, as they are to be locked.
    news: Vec<News>,
}

/// News of one delivery.
#[derive(Debug)]
struct News {
    delivery: Id<Delivery>,
    recipient: String,
    attempts: i16,
    kind: Kind,
    code: Option<u16>,
    status: Option<String>,
    text: String,
    remote_mta: Option<String>,
}

/// What a report tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed,
    Delayed,
    Delivered,
    Relayed,
    Expanded,
    Complained,
    Unrecognized,
}

impl Kind {
    /// Name in the database.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
            Self::Complained => "complained",
            Self::Unrecognized => "unrecognized",
        }
    }

    const fn event(self) -> EventKind {
        match self {
            Self::Failed => EventKind::DeliveryBounced,
            Self::Delayed => EventKind::DeliveryDeferred,
            Self::Delivered => EventKind::DeliveryDelivered,
            Self::Relayed => EventKind::DeliveryRelayed,
            Self::Expanded => EventKind::DeliveryExpanded,
            Self::Complained => EventKind::DeliveryComplained,
            Self::Unrecognized => EventKind::DeliveryUnrecognized,
        }
    }

    /// Whether another such report of the same delivery is news again.
    const fn can_come_again(self) -> bool {
        matches!(self, Self::Delayed | Self::Unrecognized)
    }
}
