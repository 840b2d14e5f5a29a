//! Recipients that an account does not write to (2.6, decision 0.13).
//!
//! An entry is for one address, in all spellings that its domain is known to treat alike, and for
//! all mail of the account or for one topic. Whole domains cannot be suppressed.

mod bulk;
mod changes;
mod check;
mod create;
mod manage;
pub(crate) mod reported;
pub(crate) mod rule;
pub(crate) mod store;
mod token;
mod transfer;
pub mod unsubscribe;

use std::str::FromStr;

use posthouse_mail::address::Address;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use bulk::{bulk, bulk_faults};
pub(crate) use changes::{CHANNEL, Changes};
pub use check::{check, check_faults, is_topic};
pub(crate) use check::{look_up, suppressed, topic_fault};
pub use create::{create, create_faults};
pub use manage::{delete, find, list};
pub use transfer::{export, import, import_faults};

use crate::id::{self, Account, Delivery, Id};

/// Most entries that one request names, and that one step of an import or export handles.
pub const MAX_ENTRIES: usize = 1000;

/// Why a recipient is not written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Its server said that the address is no good.
    Bounce,
    /// The recipient called a message spam.
    Complaint,
    /// The recipient does not want such messages.
    Unsubscribe,
    /// Somebody decided so.
    Manual,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Bounce, Self::Complaint, Self::Unsubscribe, Self::Manual];

    /// Name in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Complaint => "complaint",
            Self::Unsubscribe => "unsubscribe",
            Self::Manual => "manual",
        }
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|reason| reason.as_str() == text);
        known.ok_or_else(|| format!("there is no reason {text:?}"))
    }
}

/// An entry of the suppression list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Suppression {
    /// Identifier.
    pub id: Id<id::Suppression>,
    /// Whose list it is on.
    pub account_id: Id<Account>,
    /// The address that gave the reason.
    pub address: String,
    /// What recipients are compared with.
    pub base_address: String,
    /// Only messages of this topic; none: all messages of the account.
    pub topic: Option<String>,
    /// Why.
    pub reason: Reason,
    /// For people: what the other server said, or a note.
    pub detail: String,
    /// The delivery that gave the reason.
    pub delivery_id: Option<Id<Delivery>>,
    /// It suppresses until then; none: for good.
    #[serde(with = "crate::time::millis::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
}

/// An entry to be made.
#[derive(Debug, Clone)]
pub struct NewSuppression {
    /// The recipient.
    pub address: Address,
    /// Only messages of this topic; none: all messages of the account.
    pub topic: Option<String>,
    /// Why.
    pub reason: Reason,
    /// A note for people.
    pub detail: String,
    /// It suppresses until then; none: for good.
    pub expires_at: Option<OffsetDateTime>,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those that suppress this recipient, whatever its spelling.
    pub address: Option<Address>,
    /// Those of recipients at this domain, in A-label form.
    pub domain: Option<String>,
    /// Those for this reason.
    pub reason: Option<Reason>,
    /// Those of this topic.
    pub topic: Option<String>,
    /// Made at or after this time.
    pub since: Option<OffsetDateTime>,
    /// Made before this time.
    pub until: Option<OffsetDateTime>,
}

/// A recipient, and the topic that it is about.
#[derive(Debug, Clone)]
pub struct Target {
    /// The recipient.
    pub address: Address,
    /// The topic; none: all messages of the account.
    pub topic: Option<String>,
}

/// Whether a recipient is suppressed, and why.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The recipient as it was asked for.
    pub address: Address,
    /// The entries that suppress it.
    pub suppressions: Vec<Suppression>,
}

/// Changes of a list.
#[derive(Debug, Clone, Default)]
pub struct Bulk {
    /// Entries to be made, after all that is deleted.
    pub create: Vec<NewSuppression>,
    /// Entries to be deleted.
    pub delete: Vec<Target>,
}

/// What came of one part of a [`Bulk`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BulkResult {
    /// The recipient as it was given.
    pub address: String,
    /// The topic as it was given.
    pub topic: Option<String>,
    /// What was done.
    pub outcome: BulkOutcome,
    /// The entry; none when there was nothing to delete.
    pub id: Option<Id<id::Suppression>>,
}

/// What was done for one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkOutcome {
    /// It is on the list now.
    Created,
    /// It was on the list before, and nothing was changed.
    Existing,
    /// It is off the list now.
    Deleted,
    /// It was not on the list.
    NotFound,
}

impl BulkOutcome {
    /// Name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Existing => "existing",
            Self::Deleted => "deleted",
            Self::NotFound => "not_found",
        }
    }
}

/// How many entries an import has written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// New on the list.
    pub created: u64,
    /// On the list before, with another reason, note or end.
    pub updated: u64,
    /// On the list before, all the same.
    pub unchanged: u64,
}
