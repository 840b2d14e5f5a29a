//! Putting a mail into a mailbox: parsed once, stored with its event.

use std::sync::Arc;

use bytes::Bytes;
use posthouse_mail::{
    parse::{ParsedMail, Part},
    search,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::{SEEN, quota, store};
use crate::{
    blobs::{self, NewBlob},
    cx::Tx,
    error::{Error, Result},
    events::{EventKind, MailContentEvent, MailEnvelope, MailEvent, NewEvent, Routing},
    id::{self, Account, Id, MailContent, Mailbox, Message, Thread},
    mailboxes,
};

/// Above this size parsing gets a thread of its own.
const PARSE_INLINE: usize = 64 * 1024;

/// Where a mail comes from; decides mailbox, flags and event.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// By SMTP or from the sandbox: Inbox, `mail.received`.
    Received(Reception),
    /// A copy of what was sent: Sent, read, `mail.created`.
    SentCopy,
    /// A delivery report of ours: Inbox, `mail.created`.
    Dsn,
    /// An upload: where and how the caller says, `mail.created`.
    Appended,
}

/// How a mail came in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reception {
    /// Reverse-path; empty for the null sender.
    pub mail_from: String,
    /// Forward-path.
    pub rcpt_to: String,
    /// Client; null in the sandbox.
    pub remote_address: Option<String>,
    /// What the client called itself.
    pub helo: String,
    /// `{version, cipher}`; null without TLS.
    pub tls: Option<Value>,
    /// With REQUIRETLS (RFC 8689): whoever sends it on asks for that as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requiretls: bool,
}

/// A mail to be stored.
pub(crate) struct NewMail {
    pub account: Id<Account>,
    pub id: Id<id::Mail>,
    pub content_id: Id<MailContent>,
    pub origin: Origin,
    pub blob: NewBlob,
    /// Header fields of ours that come before what the blob holds.
    pub prefix: Bytes,
    /// What the blob holds, without the prefix; recipients of one message share it.
    pub parsed: Arc<ParsedMail>,
    /// Octets of prefix and blob.
    pub size: i64,
    pub received_at: OffsetDateTime,
    /// The message of ours that it is a copy of, or reports about.
    pub refers_to: Option<Id<Message>>,
    /// Goes there, if that is there.
    pub mailbox: Option<Id<Mailbox>>,
    /// What inbound routes did.
    pub routing: Option<Routing>,
}

/// Where a mail is now.
pub(crate) struct Delivered {
    pub mail: Id<id::Mail>,
    /// The event that tells of it.
    pub event: Id<id::Event>,
}

/// Parses what a blob will hold; large ones where that does not hold up others.
pub(crate) async fn parse(body: &Bytes) -> Result<Arc<ParsedMail>> {
    if body.len() <= PARSE_INLINE {
        return Ok(Arc::new(parse_now(body)));
    }
    let body = body.clone();
    let job = tokio::task::spawn_blocking(move || parse_now(&body));
    job.await.map(Arc::new).map_err(Error::internal)
}

fn parse_now(body: &[u8]) -> ParsedMail {
    let mut parsed = ParsedMail::parse(body);
    parsed.words = search::index(&parsed);
    parsed
}

impl NewMail {
    /// A mail whose octets are `prefix` and then what `blob` holds.
    pub(crate) fn new(
        origin: Origin,
        prefix: Bytes,
        parsed: Arc<ParsedMail>,
        blob: NewBlob,
        now: OffsetDateTime,
    ) -> Self {
        let length = u64::try_from(prefix.len()).unwrap_or(u64::MAX).saturating_add(blob.size);
        Self {
            account: blob.account,
            id: Id::new(now),
            content_id: Id::new(now),
            origin,
            blob,
            prefix,
            parsed,
            size: i64::try_from(length).unwrap_or(i64::MAX),
            received_at: now,
            refers_to: None,
            mailbox: None,
            routing: None,
        }
    }

    /// The parts, with offsets into prefix and blob together.
    pub(super) fn structure(&self) -> Part {
        self.parsed.structure.clone().behind(self.prefix.len())
    }

    const fn role(&self) -> &'static str {
        match self.origin {
            Origin::Received(_) | Origin::Dsn | Origin::Appended => "inbox",
            Origin::SentCopy => "sent",
        }
    }

    const fn flags(&self) -> i32 {
        match self.origin {
            Origin::SentCopy => SEEN,
            Origin::Received(_) | Origin::Dsn | Origin::Appended => 0,
        }
    }
}

/// Stores a mail and emits its event, in a transaction that locks accounts in the order of their
/// ids. None: the account has no mailbox for it (no Sent mailbox, or the account is gone).
///
/// # Errors
/// `QuotaExceeded` and `UnknownRecipient` for mail that comes in.
pub(crate) async fn deliver_in(tx: &mut Tx, mail: &NewMail) -> Result<Option<Delivered>> {
    let modseq = tx.modseq(mail.account).await?;
    let within = quota::charge(tx, mail.account, mail.size).await?;
    if !within && matches!(mail.origin, Origin::Received(_)) {
        return Err(Error::QuotaExceeded);
    }
    let seen = mail.flags() & SEEN != 0;
    let place = mailboxes::store::NewMailCounts { seen, size_bytes: mail.size, modseq };
    let mut slot = match mail.mailbox {
        Some(wanted) => mailboxes::store::add_to(tx.conn(), mail.account, wanted, &place).await?,
        None => None,
    };
    if slot.is_none() {
        slot = mailboxes::store::add(tx.conn(), mail.account, mail.role(), &place).await?;
    }
    let Some(slot) = slot else {
        // What comes in is never dropped: it is refused when there is no place for it.
        return match mail.origin {
            Origin::Received(_) => Err(Error::UnknownRecipient),
            Origin::SentCopy | Origin::Dsn | Origin::Appended => Ok(None),
        };
    };
    blobs::store::insert(tx.conn(), &[&mail.blob], mail.received_at).await?;
    let thread = find_thread(tx, mail).await?;
    store::insert_content(tx.conn(), mail).await?;
    let row = store::NewRow { slot: &slot, thread, flags: mail.flags(), modseq };
    store::insert_mail(tx.conn(), mail, &row).await?;
    let told = event(mail, &slot, thread)?;
    let event = told.id;
    tx.emit(told);
    Ok(Some(Delivered { mail: mail.id, event }))
}

/// The conversation (L10): that of a mail with the same Message-ID, else of the last reference that
/// is here and has the same base subject, else of In-Reply-To, else a new one.
pub(super) async fn find_thread(tx: &mut Tx, mail: &NewMail) -> Result<Id<Thread>> {
    let envelope = &mail.parsed.envelope;
    let own = envelope.message_id.iter();
    let references = envelope.references.iter().rev().chain(&envelope.in_reply_to);
    let candidates: Vec<&str> = own.chain(references).take(100).map(String::as_str).collect();
    if candidates.is_empty() {
        return Ok(Id::new(mail.received_at));
    }
    let known = store::find_threads(tx.conn(), mail.account, &candidates).await?;
    let fits = |(index, id): (usize, &&str)| {
        let is_own = index == 0 && envelope.message_id.is_some();
        known.iter().find(|thread| {
            thread.internet_message_id == **id
                && (is_own || mail.parsed.is_dsn || thread.base_subject == mail.parsed.base_subject)
        })
    };
    let found = candidates.iter().enumerate().find_map(fits);
    Ok(found.map_or_else(|| Id::new(mail.received_at), |thread| thread.thread))
}

pub(super) fn event(
    mail: &NewMail,
    slot: &mailboxes::store::Slot,
    thread: Id<Thread>,
) -> Result<NewEvent> {
    let kind = match mail.origin {
        Origin::Received(_) => EventKind::MailReceived,
        Origin::SentCopy | Origin::Dsn | Origin::Appended => EventKind::MailCreated,
    };
    let fields = Fields::of(&mail.parsed)?;
    let payload = MailEvent {
        mail_id: mail.id,
        mailbox_id: slot.mailbox,
        mailbox: &slot.name,
        thread_id: thread,
        content: mail.said(&fields),
    };
    Ok(NewEvent::new(mail.account, kind, mail.received_at, &payload))
}

/// The event of a mail that is kept in no mailbox.
pub(crate) fn dropped(mail: &NewMail) -> Result<NewEvent> {
    let fields = Fields::of(&mail.parsed)?;
    let payload = mail.said(&fields);
    Ok(NewEvent::new(mail.account, EventKind::MailDropped, mail.received_at, &payload))
}

/// Parts of a mail as events write them.
pub(crate) struct Fields {
    headers: Value,
    attachments: Value,
}

impl Fields {
    pub(crate) fn of(parsed: &ParsedMail) -> Result<Self> {
        let headers = serde_json::to_value(&parsed.envelope).map_err(Error::internal)?;
        let attachments = serde_json::to_value(&parsed.attachments).map_err(Error::internal)?;
        Ok(Self { headers, attachments })
    }

    /// What events say of a mail that is `parsed`, as long as nothing but its octets is known.
    pub(crate) fn say<'a>(&'a self, parsed: &'a ParsedMail, size: u64) -> MailContentEvent<'a> {
        static NOTHING: Value = Value::Null;
        let addresses = |field: &str| self.headers.get(field).unwrap_or(&NOTHING);
        MailContentEvent {
            envelope: None,
            internet_message_id: parsed.envelope.message_id.as_deref(),
            headers: &self.headers,
            subject: parsed.envelope.subject.as_deref().unwrap_or(""),
            from: addresses("from"),
            to: addresses("to"),
            cc: addresses("cc"),
            text: parsed.text.as_deref(),
            html: parsed.html.as_deref(),
            attachments: &self.attachments,
            size_bytes: size,
            tls: None,
            list: parsed.list,
            automated: parsed.automated,
            dsn: parsed.is_dsn,
            refers_to: None,
            routing: None,
            redelivered: false,
        }
    }
}

impl NewMail {
    pub(super) fn said<'a>(&'a self, fields: &'a Fields) -> MailContentEvent<'a> {
        let reception = match &self.origin {
            Origin::Received(reception) => Some(reception),
            Origin::SentCopy | Origin::Dsn | Origin::Appended => None,
        };
        MailContentEvent {
            envelope: reception.map(|reception| MailEnvelope {
                mail_from: &reception.mail_from,
                rcpt_to: &reception.rcpt_to,
                remote_address: reception.remote_address.clone(),
                helo: &reception.helo,
            }),
            tls: reception.and_then(|reception| reception.tls.as_ref()),
            automated: is_automated(self),
            refers_to: self.refers_to,
            routing: self.routing.as_ref(),
            ..fields.say(&self.parsed, u64::try_from(self.size).unwrap_or(0))
        }
    }
}

/// Made by a program: by its header, or because nobody wants an answer (2.4).
pub(super) fn is_automated(mail: &NewMail) -> bool {
    let null_sender =
        matches!(&mail.origin, Origin::Received(reception) if reception.mail_from.is_empty());
    mail.parsed.automated || null_sender
}
