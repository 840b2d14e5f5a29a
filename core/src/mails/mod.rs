//! Mail in mailboxes: storing, listing, reading.

pub(crate) mod change;
pub(crate) mod changes;
mod deliver;
mod read;
pub(crate) mod store;

use serde_json::Value;
use time::OffsetDateTime;

pub use change::{
    Action, Appended, BulkRequest, BulkResult, BulkTarget, Done, MailPatch, MailState, NewAppend,
    Outcome, Placed, append, append_faults, bulk, change, delete, update,
};
pub use changes::{Changed, Changes, changes, newest_modseq, wait};
pub(crate) use deliver::{NewMail, Origin, Reception, deliver_in, parse};
pub use read::{Part, find, list, part, raw};

use crate::id::{self, Id, Mailbox, Message, Thread};

/// `\Seen`.
pub const SEEN: i32 = 1;
/// `\Deleted`.
pub const DELETED: i32 = 8;

/// Names of the flags, by bit.
pub const FLAGS: [&str; 10] = [
    "\\Seen",
    "\\Answered",
    "\\Flagged",
    "\\Deleted",
    "\\Draft",
    "$Forwarded",
    "$Junk",
    "$NotJunk",
    "$Phishing",
    "$MDNSent",
];

/// A mail, without its text.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Identifier.
    pub id: Id<id::Mail>,
    /// Where it is.
    pub mailbox_id: Id<Mailbox>,
    /// Number within the mailbox.
    pub uid: i64,
    /// Of the last change.
    pub modseq: i64,
    /// Its conversation.
    pub thread_id: Id<Thread>,
    /// Parsed header: date, subject, from, sender, `reply_to`, to, cc, bcc, `in_reply_to`,
    /// references, `message_id`.
    pub envelope: Value,
    /// System flags by name.
    pub flags: Vec<&'static str>,
    /// Keywords of the user.
    pub keywords: Vec<String>,
    /// Octets.
    pub size_bytes: i64,
    /// First words of the text.
    pub preview: String,
    /// Attachments: path, file name, content type, size.
    pub attachments: Value,
    /// How it came in; null for mail that was not received by SMTP.
    pub reception: Option<Value>,
    /// From a mailing list.
    pub list: bool,
    /// Made by a program.
    pub automated: bool,
    /// A delivery report.
    pub dsn: bool,
    /// The message of ours that it answers or reports about.
    pub refers_to: Option<Id<Message>>,
    /// When it came in.
    pub received_at: OffsetDateTime,
}

/// A mail with its text.
#[derive(Debug, Clone)]
pub struct MailDetail {
    /// The mail.
    pub mail: Mail,
    /// MIME structure.
    pub structure: Value,
    /// Plain text.
    pub text: Option<String>,
    /// HTML as it came, not sanitised.
    pub html: Option<String>,
}

/// Which mails are wanted.
#[derive(Debug, Clone, Default)]
pub struct MailFilter {
    /// In this mailbox.
    pub mailbox: Option<Id<Mailbox>>,
    /// In this conversation.
    pub thread: Option<Id<Thread>>,
    /// With this Message-ID.
    pub internet_message_id: Option<String>,
    /// Subject contains this, ignoring case.
    pub subject: Option<String>,
    /// An address in From contains this, ignoring case.
    pub from: Option<String>,
    /// The recipient of the envelope, or an address in To or Cc, contains this, ignoring case.
    pub to: Option<String>,
    /// Only without `\Seen`.
    pub unseen: bool,
    /// Came in at or after this time.
    pub since: Option<OffsetDateTime>,
}
