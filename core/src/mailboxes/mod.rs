//! Mailboxes: folders of mail, never addresses.

mod change;
mod create;
mod list;
pub(crate) mod store;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use change::{delete, update, update_faults};
pub use create::{create, create_faults};
pub use list::{find, list};
pub(crate) use store::create_initial;

use crate::id::{self, Id};

/// Roles that a mailbox can be given (RFC 6154); a mailbox of each at most.
pub const ROLES: [&str; 5] = ["archive", "drafts", "junk", "sent", "trash"];
/// Most mailboxes of one account.
pub const MAX_PER_ACCOUNT: i64 = 2000;

/// A mailbox with its counts (L6).
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// Mails that are marked for deletion.
    pub deleted: i64,
    /// Mails without `\Seen`.
    pub unseen: i64,
    /// Mails neither `\Seen` nor marked for deletion.
    pub unread: i64,
    /// Octets of all mails.
    pub size_bytes: i64,
    /// Keywords that mails in it have or had.
    pub keywords: Vec<String>,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
}

/// A mailbox to be made.
#[derive(Debug, Clone)]
pub struct NewMailbox {
    /// Full name; mailboxes above it are made too.
    pub name: String,
    /// One of [`ROLES`]; the mailbox that has it loses it.
    pub role: Option<String>,
    /// Shown by mail programs.
    pub subscribed: bool,
}

/// Changes of a mailbox; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct MailboxPatch {
    /// Full name; mailboxes above it are made, and those below go with it.
    pub name: Option<String>,
    /// One of [`ROLES`] or none; the mailbox that has it loses it.
    pub role: Option<Option<String>>,
    /// Shown by mail programs.
    pub subscribed: Option<bool>,
}
