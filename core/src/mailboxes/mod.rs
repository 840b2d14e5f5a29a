//! Mailboxes: folders of mail, never addresses.

mod list;
pub(crate) mod store;

use time::OffsetDateTime;

pub use list::list;
pub(crate) use store::create_initial;

use crate::id::{self, Id};

/// A mailbox with its counts (L6).
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// Identifier.
    pub id: Id<id::Mailbox>,
    /// Full name, `/` between levels.
    pub name: String,
    /// Parent, if any.
    pub parent_id: Option<Id<id::Mailbox>>,
    /// `inbox`, `sent`, `drafts`, `archive`, `junk`, `trash`, or none.
    pub role: Option<String>,
    /// Shown by mail programs.
    pub subscribed: bool,
    /// Changes when uids are given anew.
    pub uidvalidity: i64,
    /// The next mail's uid is at least this.
    pub uidnext: i64,
    /// Of the last change in it.
    pub modseq: i64,
    /// Mails that are not marked for deletion.
    pub total: i64,
    /// Mails without `\Seen`.
    pub unseen: i64,
    /// Mails neither `\Seen` nor marked for deletion.
    pub unread: i64,
    /// Octets of all mails.
    pub size_bytes: i64,
    /// When it was made.
    pub created_at: OffsetDateTime,
}
