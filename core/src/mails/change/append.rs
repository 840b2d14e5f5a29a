//! Putting a message of the caller's into a mailbox: an upload, an import, a draft.

use bytes::Bytes;
use posthouse_mail::message;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    super::{NewMail, Origin, deliver, quota, store as mail_store},
    Counts, Deltas,
    marks::{read_flags, read_keywords},
    operations::unknown_mailbox,
    store,
};
use crate::{
    blobs,
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::{self, Id, Mailbox, Thread},
    idempotency::{self, Begin, Created},
    mailboxes,
    scope::Scope,
};

/// A message to be put into a mailbox.
#[derive(Debug, Clone)]
pub struct NewAppend {
    /// Where to.
    pub mailbox: Id<Mailbox>,
    /// Names of flags.
    pub flags: Vec<String>,
    /// Keywords.
    pub keywords: Vec<String>,
    /// When it came in; none: now.
    pub received_at: Option<OffsetDateTime>,
    /// The message (RFC 5322), with line ends CR LF.
    pub content: Bytes,
}

/// Where a message was put.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Appended {
    /// The mail.
    pub id: Id<id::Mail>,
    /// Where it is.
    pub mailbox_id: Id<Mailbox>,
    /// What the uid belongs to.
    pub uidvalidity: i64,
    /// Number within the mailbox.
    pub uid: i64,
    /// Of this change.
    pub modseq: i64,
    /// Its conversation.
    pub thread_id: Id<Thread>,
    /// Octets.
    pub size_bytes: i64,
}

/// Puts a message into a mailbox, with `mail.created`.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `MessageTooLarge`, `QuotaExceeded`, `StorageFull`.
pub async fn append(cx: &Cx, new: NewAppend) -> Result<Created<Appended>> {
    cx.require(Scope::MailWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let limit = cx.platform().config().message_size_limit;
    if u64::try_from(new.content.len()).unwrap_or(u64::MAX) > limit {
        return Err(Error::MessageTooLarge { limit });
    }
    let (flags, keywords, faults) = check(&new);
    Error::unless_empty(faults)?;
    let now = cx.now();
    let parsed = super::super::parse(&new.content).await?;
    let blob = cx.platform().blobs().prepare(cx.account(), new.content).await?;
    let mail = NewMail::new(Origin::Appended, Bytes::new(), parsed, blob, now);
    let received_at = new.received_at.unwrap_or(now);
    let place = Place { mailbox: new.mailbox, flags, keywords: &keywords, received_at };
    let mut tx = cx.begin("mails.append").await?;
    let appended = put(&mut tx, &mail, &place).await.map_err(unknown_mailbox)?;
    slot.keep(&mut tx, cx, &appended).await?;
    tx.commit().await?;
    Ok(Created::fresh(appended))
}

/// Every fault that [`append`] will find without the database.
pub fn append_faults(new: &NewAppend) -> Vec<FieldError> {
    check(new).2
}

fn check(new: &NewAppend) -> (i32, Vec<String>, Vec<FieldError>) {
    let mut faults = Vec::new();
    let flags = read_flags("/flags", &new.flags, &mut faults);
    let keywords = read_keywords("/keywords", &new.keywords, &mut faults);
    let header = message::split_header(&new.content).map_or(&*new.content, |(header, _)| header);
    if message::header_fields(header).next().is_none() {
        let detail = "a message begins with header fields";
        faults.push(FieldError::new("", "no_header", detail));
    }
    if new.received_at.is_some_and(|at| !(1970..=9999).contains(&at.year())) {
        let detail = "a time from 1970 to 9999";
        faults.push(FieldError::new("/received_at", "out_of_range", detail));
    }
    (flags, keywords.into_iter().collect(), faults)
}

/// Where and how a mail is put.
struct Place<'a> {
    mailbox: Id<Mailbox>,
    flags: i32,
    keywords: &'a [String],
    received_at: OffsetDateTime,
}

async fn put(tx: &mut Tx, mail: &NewMail, place: &Place<'_>) -> Result<Appended> {
    let account = mail.account;
    let modseq = tx.modseq(account).await?;
    let room = store::take_uids(tx.conn(), account, place.mailbox, 1).await?;
    let room = room.ok_or(Error::NotFound("mailbox"))?;
    if !quota::charge(tx, account, mail.size).await? {
        return Err(Error::QuotaExceeded);
    }
    let mailboxes = [room.mailbox.uuid()];
    store::learn_keywords(tx.conn(), account, &mailboxes, place.keywords).await?;
    blobs::store::insert(tx.conn(), &[&mail.blob], mail.received_at).await?;
    let thread = deliver::find_thread(tx, mail).await?;
    mail_store::insert_content(tx.conn(), mail).await?;
    let row = store::NewRow {
        room,
        thread,
        flags: place.flags,
        keywords: place.keywords,
        received_at: place.received_at,
        modseq,
    };
    store::insert(tx.conn(), mail, &row).await?;
    let mut deltas = Deltas::default();
    deltas.add(room.mailbox, Counts::of(place.flags, mail.size));
    store::count(tx.conn(), account, &deltas, modseq).await?;
    let name = mailboxes::store::find_name(tx.conn(), account, room.mailbox).await?;
    let slot = mailboxes::store::Slot {
        mailbox: room.mailbox,
        name: name.unwrap_or_default(),
        uid: room.first_uid,
    };
    tx.emit(deliver::event(mail, &slot, thread)?);
    Ok(Appended {
        id: mail.id,
        mailbox_id: room.mailbox,
        uidvalidity: room.uidvalidity,
        uid: room.first_uid,
        modseq,
        thread_id: thread,
        size_bytes: mail.size,
    })
}
