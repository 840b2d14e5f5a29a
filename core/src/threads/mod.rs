//! Conversations: mails that answer each other (L10), put together when they come in.

mod list;
pub(crate) mod store;

use serde_json::Value;
use time::OffsetDateTime;

pub use list::{find, list};

use crate::{
    id::{self, Id, Mailbox},
    mails::Mail,
};

/// Mails of a conversation whose authors are named.
pub const PARTICIPANTS_OF: i64 = 20;
/// Mails that come with a conversation.
pub const MAILS: u16 = 100;

/// A conversation.
#[derive(Debug, Clone)]
pub struct Thread {
    /// Identifier.
    pub id: Id<id::Thread>,
    /// Mails in it.
    pub mails: i64,
    /// Of these without `\Seen`.
    pub unseen: i64,
    /// One of them is `\Flagged`.
    pub flagged: bool,
    /// Octets of all.
    pub size_bytes: i64,
    /// Where they are.
    pub mailbox_ids: Vec<Id<Mailbox>>,
    /// Who wrote the newest of them: name and email, the newest first, each once.
    pub participants: Vec<Value>,
    /// When the first came in.
    pub first_received_at: OffsetDateTime,
    /// When the last came in.
    pub last_received_at: OffsetDateTime,
    /// The newest; of those that were asked for.
    pub latest: Mail,
}

/// Which conversations are wanted.
#[derive(Debug, Clone, Default)]
pub struct ThreadFilter {
    /// With a mail in this mailbox.
    pub mailbox: Option<Id<Mailbox>>,
    /// With a mail without `\Seen`, in the mailbox if one is named.
    pub unseen: bool,
}

/// A conversation and its newest mails.
#[derive(Debug, Clone)]
pub struct ThreadDetail {
    /// The conversation.
    pub thread: Thread,
    /// Its newest mails, newest first, at most 100.
    pub mail: Vec<Mail>,
    /// There are older ones.
    pub has_more: bool,
}
