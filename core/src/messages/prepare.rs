//! From a request to rows: all checks, then composing, signing and hashing.

pub(super) mod check;
mod content;
mod known;
mod unsubscribe;

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock, OnceLock},
};

use bytes::Bytes;
use posthouse_mail::{
    address::Address,
    compose::Draft,
    dkim::{self, Algorithm},
    dsn::{MailDsn, RcptDsn},
    message::{self as raw_message, Inspection},
    received::{Protocol as With, ReceivedInput, received_line},
};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use tokio::sync::Semaphore;

pub(super) use self::known::Known;
use super::{
    Content, NewMessage, OnSuppressed, Options, Protocol, Purpose, ReversePath, Submission,
    SubmittedDelivery, labels, writer::Prepared,
};
use crate::{
    accounts::DomainInfo,
    cx::Cx,
    error::{Error, FieldError, Result},
    events::{DeliveryRef, EventKind, MessageEvent, NewEvent},
    id::{self, Id},
    mails::{self, NewMail, Origin},
    queue::{self, Entry, millis, shards::Lease},
    trace::Traced,
};

/// Header field of a message that goes out without TLS rather than not at all (RFC 8689 §3).
const TLS_REQUIRED: &str = "TLS-Required";

/// As many messages are composed and signed at a time as there are cores.
pub(crate) static CORES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));

/// What is known of the sender after the checks.
pub(super) struct Sender {
    /// Address in header field From.
    from: Address,
    /// The domain of From.
    domain: Arc<DomainInfo>,
    /// Reverse-path as text; empty for `<>`.
    mail_from: String,
}

/// A message in its final form.
pub(super) struct Finished {
    pub header_from: String,
    pub subject: String,
    pub internet_message_id: String,
    pub prefix: Vec<u8>,
    pub body: Bytes,
    pub smtputf8: bool,
    pub eight_bit: bool,
}

/// A message that may go out, as it would.
pub(super) struct Made {
    pub submission: Submission,
    pub finished: Finished,
    /// Recipients that are on the suppression list, if that was asked.
    pub suppressed: Vec<String>,
    /// The domain has keys that signed it.
    pub is_signed: bool,
    sender: Sender,
    lease: Lease,
    entries: Vec<Entry>,
    options: Options,
}

/// Checks `new` and composes it. Stores nothing.
pub(super) async fn make(cx: &Cx, mut new: NewMessage, known: &Known) -> Result<Made> {
    let mut inspected = check::require_no_faults(cx, &new)?;
    if new.template.is_some() {
        known.fill_in(&mut new).await?;
        inspected = check::require_no_faults(cx, &new).map_err(of_template)?;
    }
    let sender = check::sender(cx, &new, inspected.as_ref()).await?;
    let suppressed = known.suppressed(&new);
    if new.options.on_suppressed == OnSuppressed::Refuse {
        Error::unless_empty(known::faults(&new, &suppressed))?;
    }
    known.attach(&mut new)?;
    let duplicates = remove_duplicates(&mut new.recipients);
    new.options.require_tls = require_tls(&new, inspected.as_ref());
    let lease = cx.platform().queue().shards.pick()?;
    let NewMessage { recipients, mut content, options, .. } = new;
    let id = Id::in_shard(cx.now(), lease.shard);
    add_fields(cx, id, &recipients, &options, &mut content)?;
    let job = content::Job {
        trace: cx.platform().trace_key().seal(Traced::Message(id))?,
        now: cx.now(),
        hostname: cx.platform().config().hostname.clone(),
        recipient: recipients.first().filter(|_| recipients.len() == 1).cloned(),
        require_tls: options.require_tls,
        signers: sender.domain.clone(),
        from: sender.from.clone(),
        inspected,
    };
    let finished = finish(cx, job, content, options.protocol.clone()).await?;
    let (mut submission, entries) = rows(cx, id, &recipients, &options);
    submission.duplicates = duplicates;
    submission.size_bytes = size(&finished);
    submission.internet_message_id.clone_from(&finished.internet_message_id);
    submission.sandbox =
        options.sandbox || cx.actor().sandbox || cx.platform().config().delivery.sandbox;
    submission.dry_run = options.dry_run;
    let suppressed = suppressed.into_iter().map(|(_, recipient)| recipient).collect();
    let is_signed = !sender.domain.signers.is_empty();
    Ok(Made { submission, finished, suppressed, is_signed, sender, lease, entries, options })
}

/// Faults in what a template became: the request has no such fields.
fn of_template(error: Error) -> Error {
    let Error::InvalidInput(faults) = error else { return error };
    let moved = |fault: FieldError| match fault.pointer.as_str() {
        "/subject" | "/text" | "/html" => {
            let detail = format!("{} of the template: {}", fault.pointer, fault.detail);
            FieldError { pointer: "/template/variables".to_owned(), detail, ..fault }
        }
        _ => fault,
    };
    Error::InvalidInput(faults.into_iter().map(moved).collect())
}

/// Makes everything that the writer needs.
pub(super) async fn prepare(cx: &Cx, made: Made) -> Result<Prepared> {
    let Made { submission, finished, sender, lease, entries, options, .. } = made;
    let blob = cx.platform().blobs().prepare(cx.account(), finished.body.clone()).await?;
    let sent_copy = if options.save_to_sent {
        Some(sent_copy(cx, submission.id, &finished, blob.clone()).await?)
    } else {
        None
    };
    let tags = json(&options.tags)?;
    let metadata = json(&options.metadata)?;
    let event = accepted_event(cx, &submission, &finished, (&tags, &metadata), &sender.mail_from);
    Ok(Prepared {
        header_from: finished.header_from.clone(),
        door: cx.actor().door,
        size: submission.size_bytes,
        epoch: lease.epoch,
        entries,
        status: if submission.scheduled_at.is_some() { "scheduled" } else { "queued" },
        expires_at: options.expires_at,
        blob,
        event,
        sent_copy,
        mark: None,
        labels: labels::of(&options.tags, &options.metadata),
        stream: options.stream,
        require_tls: options.require_tls,
        counted_key: cx.actor().counted_key(),
        message: Arc::new(queue::store::Message {
            dsn: options.dsn.message,
            purpose: options.purpose,
            ..message(cx, &submission, finished, sender.mail_from, (tags, metadata))
        }),
        submission,
    })
}

/// What the caller wants of TLS, or else the header field (B7).
fn require_tls(new: &NewMessage, inspected: Option<&Inspection>) -> Option<bool> {
    let waives = || match &new.content {
        Content::Composed(draft) => tls_fields(draft)
            .map(str::trim)
            .fold(None, |all, one| Some(all.unwrap_or(true) && one.eq_ignore_ascii_case("no"))),
        Content::Raw(_) => inspected.and_then(|inspected| inspected.waives_tls),
    };
    new.options.require_tls.or_else(|| waives().filter(|waives| *waives).map(|_| false))
}

/// The fields TLS-Required that the caller gives.
fn tls_fields(draft: &Draft) -> impl Iterator<Item = &str> {
    let fields = draft.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(TLS_REQUIRED));
    fields.map(|(_, value)| value.as_str())
}

/// Header fields that follow from how it is sent, under the signatures.
fn add_fields(
    cx: &Cx,
    id: Id<id::Message>,
    recipients: &[Address],
    options: &Options,
    content: &mut Content,
) -> Result<()> {
    unsubscribe::add_fields(cx, id, recipients, options, content)?;
    if let Content::Composed(draft) = content
        && options.require_tls == Some(false)
        && tls_fields(draft).next().is_none()
    {
        draft.headers.push((TLS_REQUIRED.to_owned(), "No".to_owned()));
    }
    Ok(())
}

/// Octets of a body that is composed where it is.
const FINISH_INLINE: usize = 32 * 1024;

/// Composes and signs; what takes a while on a thread of its own, as many at a time as there are
/// cores.
async fn finish(
    cx: &Cx,
    job: content::Job,
    content: Content,
    protocol: Protocol,
) -> Result<Finished> {
    let finished = if is_quick(&job, &content) {
        content::finish(&job, content, &protocol)?
    } else {
        let _permit = CORES.acquire().await.map_err(Error::internal)?;
        let work = move || content::finish(&job, content, &protocol);
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)??
    };
    let limit = cx.platform().config().message_size_limit;
    if size(&finished) > limit {
        return Err(Error::MessageTooLarge { limit });
    }
    Ok(finished)
}

/// Whether to compose and sign takes less than to hand it to another thread.
fn is_quick(job: &content::Job, content: &Content) -> bool {
    let is_short = match content {
        Content::Raw(raw) => raw.len() <= FINISH_INLINE,
        Content::Composed(draft) => {
            let body = [&draft.text, &draft.html].into_iter().flatten().map(String::len);
            let has_files = !draft.alternatives.is_empty() || !draft.attachments.is_empty();
            let people = draft.to.len() + draft.cc.len();
            !has_files && people <= 50 && body.sum::<usize>() <= FINISH_INLINE
        }
    };
    let ed25519 = |signer: &dkim::Signer| signer.key.algorithm() == Algorithm::Ed25519Sha256;
    is_short && job.signers.signers.iter().all(ed25519)
}

fn size(finished: &Finished) -> u64 {
    u64::try_from(finished.prefix.len() + finished.body.len()).unwrap_or(u64::MAX)
}

/// The message as the delivery needs it.
fn message(
    cx: &Cx,
    submission: &Submission,
    finished: Finished,
    mail_from: String,
    (tags, metadata): (Box<RawValue>, Box<RawValue>),
) -> queue::store::Message {
    queue::store::Message {
        id: submission.id,
        account: cx.account(),
        mail_from: mail_from.into(),
        subject: finished.subject,
        internet_message_id: finished.internet_message_id,
        created_at: submission.created_at,
        sandbox: submission.sandbox,
        purpose: Purpose::Mail,
        tags,
        metadata,
        prefix: finished.prefix.into(),
        body: finished.body.into(),
        smtputf8: finished.smtputf8,
        eight_bit: finished.eight_bit,
        dsn: MailDsn::default(),
        held: OnceLock::new(),
    }
}

/// Recipients that stand more than once get the message once (0.11); tells which.
fn remove_duplicates(recipients: &mut Vec<Address>) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut duplicates = Vec::new();
    recipients.retain(|recipient| {
        let fresh = seen.insert(recipient.clone());
        if !fresh {
            duplicates.push(recipient.to_string());
        }
        fresh
    });
    duplicates
}

fn rows(
    cx: &Cx,
    id: Id<id::Message>,
    recipients: &[Address],
    options: &Options,
) -> (Submission, Vec<Entry>) {
    let now = cx.now();
    let status = if options.scheduled_at.is_some() { "scheduled" } else { "queued" };
    let topic: Option<Arc<str>> = options.topic().map(Arc::from);
    let mut deliveries = Vec::with_capacity(recipients.len());
    let mut entries = Vec::with_capacity(recipients.len());
    for (number, recipient) in (1_u16..).zip(recipients) {
        let delivery = id.delivery(number);
        let text = recipient.to_string();
        let due = options.scheduled_at.unwrap_or(now);
        let mut entry = Entry::new(delivery, cx.account(), &text, due);
        entry.expires = options.expires_at.map_or(i64::MAX, millis);
        entry.topic.clone_from(&topic);
        entry.require_tls = options.require_tls.into();
        let dsn = options.dsn.recipients.get(recipient);
        entry.dsn = dsn.filter(|dsn| **dsn != RcptDsn::default()).cloned().map(Arc::new);
        entries.push(entry);
        deliveries.push(SubmittedDelivery {
            id: delivery,
            recipient: text,
            status: status.to_owned(),
        });
    }
    let submission = Submission {
        id,
        internet_message_id: String::new(),
        deliveries,
        duplicates: Vec::new(),
        size_bytes: 0,
        sandbox: false,
        dry_run: false,
        scheduled_at: options.scheduled_at,
        created_at: now,
    };
    (submission, entries)
}

fn json(value: &impl serde::Serialize) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value).map_err(Error::internal)
}

fn accepted_event(
    cx: &Cx,
    submission: &Submission,
    finished: &Finished,
    (tags, metadata): (&RawValue, &RawValue),
    mail_from: &str,
) -> NewEvent {
    let kind = match submission.scheduled_at {
        Some(_) => EventKind::MessageScheduled,
        None => EventKind::MessageAccepted,
    };
    let deliveries = submission.deliveries.iter();
    let payload = MessageEvent {
        message_id: submission.id,
        internet_message_id: &finished.internet_message_id,
        mail_from,
        from: &finished.header_from,
        subject: &finished.subject,
        deliveries: deliveries
            .map(|delivery| DeliveryRef { id: delivery.id, recipient: &delivery.recipient })
            .collect(),
        tags,
        metadata,
        sandbox: submission.sandbox,
    };
    NewEvent::new(cx.account(), kind, submission.created_at, &payload).about(submission.id)
}

/// The copy for the Sent mailbox: the message as it goes out, read.
async fn sent_copy(
    cx: &Cx,
    id: Id<id::Message>,
    finished: &Finished,
    blob: crate::blobs::NewBlob,
) -> Result<NewMail> {
    let prefix = Bytes::from(finished.prefix.clone());
    let parsed = mails::parse(&finished.body).await?;
    let mut mail = NewMail::new(Origin::SentCopy, prefix, parsed, blob, cx.now());
    mail.refers_to = Some(id);
    Ok(mail)
}

/// The trace header of a message from one of our own: never tells where the client is.
fn received(job: &content::Job, protocol: &Protocol) -> String {
    let (with, tls) = match protocol {
        Protocol::Http => (With::Http, None),
        Protocol::Submission { tls, .. } => {
            (With::Esmtp { tls: tls.is_some(), auth: true, utf8: false }, tls.as_deref())
        }
    };
    received_line(&ReceivedInput {
        client: None,
        by: &job.hostname,
        local_ip: None,
        protocol: with,
        tls,
        requiretls: job.require_tls == Some(true),
        id: &job.trace,
        recipient: job.recipient.as_ref(),
        now: job.now,
    })
}

/// Says that a mail program has logged in, and how (RFC 8601 §2.7.4, B5); not who.
fn authentication_results(job: &content::Job, protocol: &Protocol) -> String {
    match protocol {
        Protocol::Http => String::new(),
        Protocol::Submission { mechanism, .. } => {
            format!("Authentication-Results: {};\r\n\tauth=pass ({mechanism})\r\n", job.hostname)
        }
    }
}

/// The signatures of the domain's keys over `header` and `body`.
fn sign(job: &content::Job, header: &[u8], body: &[u8]) -> Result<Vec<u8>> {
    let signers = &job.signers.signers;
    if signers.is_empty() {
        return Ok(Vec::new());
    }
    dkim::sign(signers, header, body, job.now, &job.signers.signing).map_err(Error::internal)
}

/// Reverse-path as it stands in MAIL FROM.
fn reverse_path(path: Option<&ReversePath>, from: &Address) -> String {
    match path {
        None => from.to_string(),
        Some(ReversePath::Null) => String::new(),
        Some(ReversePath::Address(address)) => address.to_string(),
    }
}

/// Date for a message that lacks one.
fn date_field(now: OffsetDateTime) -> String {
    let date = now.format(&time::format_description::well_known::Rfc2822).unwrap_or_default();
    format!("Date: {date}\r\n")
}

/// Header and body of a raw message; the checks have seen that it has both.
fn split(raw: &[u8]) -> Result<(&[u8], &[u8])> {
    raw_message::split_header(raw).ok_or_else(|| Error::internal("message without header"))
}
