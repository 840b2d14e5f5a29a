//! How mail looks on the wire.

use posthouse_core::{Id, id, mails};
use posthouse_mail::parse::{AttachmentInfo, EmailAddress, Envelope};
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An address as a message shows it; the email may be no valid address at all.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailAddress {
    /// Display name.
    #[schema(example = "Alice")]
    name: Option<String>,
    /// Address as written.
    #[schema(example = "alice@example.test")]
    email: String,
}

impl From<EmailAddress> for MailAddress {
    fn from(address: EmailAddress) -> Self {
        Self { name: address.name, email: address.email }
    }
}

/// A file of a mail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailAttachment {
    /// Place in the structure: `GET /v1/mail/{id}/parts/{path}`, or
    /// `GET /v1/messages/{id}/attachments/{path}`.
    #[schema(example = "2")]
    path: String,
    /// File name, if the message gives one.
    #[schema(example = "invoice.pdf")]
    filename: Option<String>,
    /// Media type as the message says it.
    #[schema(example = "application/pdf")]
    content_type: String,
    /// Content-ID without angle brackets.
    content_id: Option<String>,
    /// Octets when decoded.
    size_bytes: usize,
    /// Belongs beside the HTML.
    inline: bool,
}

impl From<AttachmentInfo> for MailAttachment {
    fn from(info: AttachmentInfo) -> Self {
        Self {
            path: info.path,
            filename: info.filename,
            content_type: info.content_type,
            content_id: info.content_id,
            size_bytes: info.size,
            inline: info.inline,
        }
    }
}

/// A mail in a mailbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mail {
    /// Identifier.
    #[schema(value_type = String, example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Mail>,
    /// Where it is.
    #[schema(value_type = String, example = "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    mailbox_id: Id<id::Mailbox>,
    /// Number within the mailbox.
    uid: i64,
    /// Of the last change.
    modseq: i64,
    /// Its conversation.
    #[schema(value_type = String, example = "thr_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    thread_id: Id<id::Thread>,
    /// Header field Message-ID, with angle brackets.
    message_id: Option<String>,
    /// Subject, decoded.
    subject: Option<String>,
    /// Header field From.
    from: Vec<MailAddress>,
    /// Header field Sender.
    sender: Vec<MailAddress>,
    /// Header field Reply-To.
    reply_to: Vec<MailAddress>,
    /// Header field To.
    to: Vec<MailAddress>,
    /// Header field Cc.
    cc: Vec<MailAddress>,
    /// Header field Bcc.
    bcc: Vec<MailAddress>,
    /// Message-IDs of In-Reply-To.
    in_reply_to: Vec<String>,
    /// Message-IDs of References.
    references: Vec<String>,
    /// Header field Date.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    sent_at: Option<OffsetDateTime>,
    /// System flags: `\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`, `$Forwarded` …
    #[schema(value_type = Vec<String>, example = json!(["\\Seen"]))]
    flags: Vec<&'static str>,
    /// Keywords of the user.
    keywords: Vec<String>,
    /// Octets.
    size_bytes: i64,
    /// First words of the text.
    preview: String,
    /// Files.
    attachments: Vec<MailAttachment>,
    /// How it came in: envelope, client, TLS; null for mail that was not received by SMTP.
    #[schema(value_type = Option<Object>)]
    reception: Option<Value>,
    /// Came through a mailing list.
    list: bool,
    /// Made by a program.
    automated: bool,
    /// A delivery report.
    dsn: bool,
    /// The message of ours that it answers or reports about.
    #[schema(value_type = Option<String>)]
    refers_to: Option<Id<id::Message>>,
    /// When it came in.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    received_at: OffsetDateTime,
}

impl From<mails::Mail> for Mail {
    fn from(mail: mails::Mail) -> Self {
        // Both are written by this program; what an older one wrote may lack fields.
        let envelope = Envelope::deserialize(mail.envelope).unwrap_or_default();
        let attachments = Vec::<AttachmentInfo>::deserialize(mail.attachments).unwrap_or_default();
        Self {
            id: mail.id,
            mailbox_id: mail.mailbox_id,
            uid: mail.uid,
            modseq: mail.modseq,
            thread_id: mail.thread_id,
            message_id: envelope.message_id,
            subject: envelope.subject,
            from: addresses(envelope.from),
            sender: addresses(envelope.sender),
            reply_to: addresses(envelope.reply_to),
            to: addresses(envelope.to),
            cc: addresses(envelope.cc),
            bcc: addresses(envelope.bcc),
            in_reply_to: envelope.in_reply_to,
            references: envelope.references,
            sent_at: envelope.date,
            flags: mail.flags,
            keywords: mail.keywords,
            size_bytes: mail.size_bytes,
            preview: mail.preview,
            attachments: attachments.into_iter().map(Into::into).collect(),
            reception: mail.reception,
            list: mail.list,
            automated: mail.automated,
            dsn: mail.dsn,
            refers_to: mail.refers_to,
            received_at: mail.received_at,
        }
    }
}

pub(crate) fn addresses(addresses: Vec<EmailAddress>) -> Vec<MailAddress> {
    addresses.into_iter().map(Into::into).collect()
}

/// A mail with its text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailDetail {
    /// The mail.
    #[serde(flatten)]
    mail: Mail,
    /// Tree of MIME parts, with the `path` of each.
    #[schema(value_type = Object)]
    structure: Value,
    /// Plain text, at most 1 MiB.
    text: Option<String>,
    /// HTML as it came, not sanitised, at most 1 MiB.
    html: Option<String>,
}

impl From<mails::MailDetail> for MailDetail {
    fn from(detail: mails::MailDetail) -> Self {
        Self {
            mail: detail.mail.into(),
            structure: detail.structure,
            text: detail.text,
            html: detail.html,
        }
    }
}
