//! Mail in mailboxes: storing, listing, reading.

mod answer;
pub(crate) mod change;
pub(crate) mod changes;
mod deliver;
pub(crate) mod quota;
mod read;
mod redeliver;
mod search;
mod show;
pub(crate) mod store;

use serde_json::Value;
use time::OffsetDateTime;

pub use answer::{AnswerKind, NewAnswer, answer};
pub(crate) use answer::{Mark, mark_in};
pub use change::{
    Action, Appended, BulkRequest, BulkResult, BulkTarget, Done, MailPatch, MailState, NewAppend,
    Outcome, Placed, append, append_faults, bulk, change, delete, update,
};
pub use changes::{Changed, Changes, changes, newest_modseq, wait};
pub(crate) use deliver::{Fields, NewMail, Origin, Reception, deliver_in, dropped, parse};
pub(crate) use read::decoded;
pub use read::{Part, find, list, part, raw};
pub use redeliver::{Redelivered, Redelivery, redeliver};
pub use show::{ShownHeader, ShownHtml, headers, html, text};

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
    /// The message of ours that it answers or reports about; of a copy in Sent, the message itself.
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
    /// The subject has these words; here and below without regard to case and accents, and what is
    /// in quotes stands together.
    pub subject: Option<String>,
    /// A name or address in From or Sender has these words.
    pub from: Option<String>,
    /// A name or address in To, Cc or Bcc, or the recipient of the envelope, has these words.
    pub to: Option<String>,
    /// Subject, addresses, names of files or text have these words.
    pub text: Option<String>,
    /// A search in the query language ([`posthouse_mail::search`]).
    pub query: Option<String>,
    /// With or without attachments.
    pub has_attachment: Option<bool>,
    /// With all of these flags.
    pub flags: Vec<String>,
    /// With none of these flags.
    pub not_flags: Vec<String>,
    /// With all of these keywords.
    pub keywords: Vec<String>,
    /// With none of these keywords.
    pub not_keywords: Vec<String>,
    /// At least so many octets.
    pub min_size_bytes: Option<u64>,
    /// At most so many octets.
    pub max_size_bytes: Option<u64>,
    /// Only without `\Seen`.
    pub unseen: bool,
    /// Came in at or after this time.
    pub since: Option<OffsetDateTime>,
    /// Came in before this time.
    pub until: Option<OffsetDateTime>,
}
