//! Changing mail that is there: flags, keywords, mailbox, copies, expunging.
//!
//! Whatever the door, sets of mails are changed in one transaction of at most [`STEP`] mails under
//! the lock on the account, with one modseq, one event per mail, and counts that are always right.
//! A transaction that changes nothing takes no modseq (L3).

mod append;
mod bulk;
mod counts;
mod marks;
mod operations;
pub(crate) mod store;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use append::{Appended, NewAppend, append, append_faults};
pub use bulk::{BulkRequest, BulkResult, BulkTarget, bulk};
pub(crate) use counts::{Counts, Deltas};
pub use marks::MailPatch;
pub(crate) use marks::Marks;
pub use operations::Action;
pub use operations::{change, delete, update};
pub(crate) use operations::{expunge_some, move_some};
use store::{Found, Journey, Way};

use super::FLAGS;
use crate::{
    cx::Tx,
    error::{Error, Result},
    events::{
        EventKind, MailContentEvent, MailDeletedEvent, MailEvent, MailUpdatedEvent, NewEvent,
    },
    id::{self, Account, Id, Mailbox, Thread},
};

/// Most mails that one transaction changes.
pub(crate) const STEP: usize = 500;

/// Copies whose events are made at a time.
const COPIES_AT_A_TIME: usize = 50;

/// A mail as it is now, without what it says.
#[derive(Debug, Clone)]
pub struct MailState {
    /// Identifier.
    pub id: Id<id::Mail>,
    /// Where it is.
    pub mailbox_id: Id<Mailbox>,
    /// Name of that mailbox.
    pub mailbox_name: String,
    /// Number within the mailbox.
    pub uid: i64,
    /// Of the last change.
    pub modseq: i64,
    /// Its conversation.
    pub thread_id: Id<Thread>,
    /// System flags by name.
    pub flags: Vec<&'static str>,
    /// Keywords of the user.
    pub keywords: Vec<String>,
}

/// Names of the flags in a mask.
fn flag_names(mask: i32) -> Vec<&'static str> {
    let set = |(bit, name): (usize, &&'static str)| (mask & (1 << bit) != 0).then_some(*name);
    FLAGS.iter().enumerate().filter_map(set).collect()
}

/// An [`Action`] that was checked.
pub(crate) enum Edit {
    /// Other flags and keywords, and perhaps another mailbox.
    Change { marks: Marks, to: Option<Id<Mailbox>> },
    /// Copies in a mailbox.
    Copy { to: Id<Mailbox> },
    /// To the Trash; for good what is there already, or all of it.
    Delete { permanent: bool },
}

/// What became of one mail: both places, as COPYUID of RFC 4315 names them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Done {
    /// The mail.
    pub mail: Id<id::Mail>,
    /// Where it was.
    pub from: Placed,
    /// The mail itself or its copy, and where that is; none: expunged.
    pub now: Option<Placed>,
}

/// A mail in its place.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Placed {
    /// The mail.
    pub mail: Id<id::Mail>,
    /// Its mailbox.
    pub mailbox: Id<Mailbox>,
    /// Its number there.
    pub uid: i64,
}

/// What became of a set of mails.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Mails of the set that were there.
    pub found: usize,
    /// What was done; not what was as wanted already.
    pub done: Vec<Done>,
    /// Mails that are in another state than the caller expects: nothing was done to them.
    pub conflicts: Vec<Id<id::Mail>>,
    /// Of the mailbox that mails were moved or copied to.
    pub uidvalidity: Option<i64>,
}

/// Whether a mail with a modseq is in the state that the caller means.
pub(crate) type Fits<'a> = &'a (dyn Fn(Id<id::Mail>, i64) -> bool + Sync);

/// Whatever state they are in.
pub(crate) const ANY_STATE: Fits<'_> = &|_, _| true;

/// Changes at most [`STEP`] mails; to be committed only if something was done.
///
/// # Errors
/// `NotFound` (the other mailbox), `QuotaExceeded`, `PolicyRejected`.
pub(crate) async fn edit(
    tx: &mut Tx,
    account: Id<Account>,
    mails: &[Uuid],
    fits: Fits<'_>,
    edit: &Edit,
) -> Result<Outcome> {
    debug_assert!(mails.len() <= STEP, "a step is small");
    // The lock first: what is found is what is changed.
    let modseq = tx.modseq(account).await?;
    let found = store::find(tx.conn(), account, mails).await?;
    let mut outcome = Outcome { found: found.len(), ..Outcome::default() };
    let (fitting, others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|mail| fits(mail.mail, mail.modseq));
    outcome.conflicts = others.into_iter().map(|mail| mail.mail).collect();
    let mut step = Step { tx, account, modseq, deltas: Deltas::default(), outcome };
    match edit {
        Edit::Change { marks, to } => step.change(fitting, marks, *to).await?,
        Edit::Copy { to } => step.copy(fitting, *to).await?,
        Edit::Delete { permanent } => step.delete(fitting, *permanent).await?,
    }
    step.finish().await
}

/// One transaction's changes of one account.
struct Step<'a> {
    tx: &'a mut Tx,
    account: Id<Account>,
    modseq: i64,
    deltas: Deltas,
    outcome: Outcome,
}

impl Step<'_> {
    async fn finish(self) -> Result<Outcome> {
        if !self.deltas.0.is_empty() {
            store::count(self.tx.conn(), self.account, &self.deltas, self.modseq).await?;
        }
        Ok(self.outcome)
    }

    async fn change(
        &mut self,
        mut found: Vec<Found>,
        marks: &Marks,
        to: Option<Id<Mailbox>>,
    ) -> Result<()> {
        let mut changed = self.mark(&mut found, marks).await?;
        if let Some(to) = to {
            let origins = self.relocate(&found, to).await?;
            changed.extend(origins);
        }
        changed.sort_unstable();
        changed.dedup();
        let was = |mail| found.iter().find(|found| found.mail == mail);
        let ids: Vec<Uuid> = changed.iter().map(|mail| mail.uuid()).collect();
        for state in self.states(&ids).await? {
            let Some(old) = was(state.id) else { continue };
            self.updated(old, &state);
        }
        Ok(())
    }

    async fn states(&mut self, mails: &[Uuid]) -> Result<Vec<MailState>> {
        if mails.is_empty() {
            return Ok(Vec::new());
        }
        store::states(self.tx.conn(), self.account, mails).await
    }

    /// Changes flags and keywords, also in `found`; says of which mails.
    async fn mark(&mut self, found: &mut [Found], marks: &Marks) -> Result<Vec<Id<id::Mail>>> {
        if *marks == Marks::NONE || found.is_empty() {
            return Ok(Vec::new());
        }
        let mut mailboxes: Vec<Uuid> = found.iter().map(|mail| mail.mailbox.uuid()).collect();
        mailboxes.dedup();
        let conn = self.tx.conn();
        store::learn_keywords(conn, self.account, &mailboxes, &marks.add_keywords).await?;
        let ids: Vec<Uuid> = found.iter().map(|mail| mail.mail.uuid()).collect();
        let marked = store::mark(conn, self.account, &ids, marks, self.modseq).await?;
        let mut changed = Vec::with_capacity(marked.len());
        for marked in marked {
            let Some(mail) = found.iter_mut().find(|mail| mail.mail.uuid() == marked.mail) else {
                continue;
            };
            self.deltas.remove(mail.mailbox, Counts::of(mail.flags, mail.size_bytes));
            mail.flags = marked.flags;
            self.deltas.add(mail.mailbox, Counts::of(mail.flags, mail.size_bytes));
            changed.push(mail.mail);
        }
        Ok(changed)
    }

    /// Moves what is not there yet; says which mails that were.
    async fn relocate(&mut self, found: &[Found], to: Id<Mailbox>) -> Result<Vec<Id<id::Mail>>> {
        let sources: Vec<&Found> = found.iter().filter(|mail| mail.mailbox != to).collect();
        let ways = self.ways(&sources, to).await?;
        let Some((room, ways)) = ways else {
            return Ok(Vec::new());
        };
        let journey = self.journey(room, &ways);
        store::relocate(self.tx.conn(), &journey).await?;
        for Way { source, .. } in &ways {
            let counts = Counts::of(source.flags, source.size_bytes);
            self.deltas.remove(source.mailbox, counts);
            self.deltas.add(to, counts);
        }
        Ok(ways.iter().map(|way| way.source.mail).collect())
    }

    async fn copy(&mut self, found: Vec<Found>, to: Id<Mailbox>) -> Result<()> {
        let octets = found.iter().map(|mail| mail.size_bytes).sum();
        let sources: Vec<&Found> = found.iter().collect();
        let Some((room, ways)) = self.ways(&sources, to).await? else {
            return Ok(());
        };
        if !super::quota::charge(self.tx, self.account, octets).await? {
            return Err(Error::QuotaExceeded);
        }
        let journey = self.journey(room, &ways);
        store::duplicate(self.tx.conn(), &journey).await?;
        for Way { source, id, uid } in &ways {
            self.deltas.add(to, Counts::of(source.flags, source.size_bytes));
            let now = Some(Placed { mail: *id, mailbox: to, uid: *uid });
            let from = source.placed();
            self.outcome.done.push(Done { mail: source.mail, from, now });
        }
        let copies: Vec<Uuid> = ways.iter().map(|way| way.id.uuid()).collect();
        for some in copies.chunks(COPIES_AT_A_TIME) {
            for row in store::copies(self.tx.conn(), self.account, some).await? {
                self.created(&row);
            }
            self.tx.write_many_events().await?;
        }
        Ok(())
    }

    async fn delete(&mut self, found: Vec<Found>, permanent: bool) -> Result<()> {
        let (gone, rest): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|mail| permanent || mail.is_trash);
        self.expunge(&gone).await?;
        if rest.is_empty() {
            return Ok(());
        }
        let trash = store::find_role(self.tx.conn(), self.account, "trash").await?;
        let trash = trash.ok_or_else(|| {
            let detail = "no mailbox has the role trash: delete permanently, or make one";
            Error::PolicyRejected(detail.to_owned())
        })?;
        self.change(rest, &Marks::NONE, Some(trash)).await
    }

    async fn expunge(&mut self, gone: &[Found]) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = gone.iter().map(|mail| mail.mail.uuid()).collect();
        let now = self.tx.now();
        store::expunge(self.tx.conn(), self.account, &ids, self.modseq, now).await?;
        let octets: i64 = gone.iter().map(|mail| mail.size_bytes).sum();
        super::quota::charge(self.tx, self.account, -octets).await?;
        for mail in gone {
            self.deltas.remove(mail.mailbox, Counts::of(mail.flags, mail.size_bytes));
            self.deleted(mail);
        }
        Ok(())
    }

    /// Gives each mail a uid in the other mailbox. None: there are no mails.
    async fn ways(
        &mut self,
        sources: &[&Found],
        to: Id<Mailbox>,
    ) -> Result<Option<(store::Room, Vec<Way>)>> {
        let room = store::take_uids(self.tx.conn(), self.account, to, sources.len()).await?;
        let room = room.ok_or(Error::NotFound("mailbox"))?;
        self.outcome.uidvalidity = Some(room.uidvalidity);
        let now = self.tx.now();
        let way = |(uid, source): (i64, &&Found)| Way {
            source: (*source).clone(),
            id: Id::new(now),
            uid,
        };
        let ways: Vec<Way> = (room.first_uid..).zip(sources).map(way).collect();
        Ok((!ways.is_empty()).then_some((room, ways)))
    }

    fn journey<'w>(&self, room: store::Room, ways: &'w [Way]) -> Journey<'w> {
        let now = self.tx.now();
        Journey { account: self.account, room, ways, modseq: self.modseq, now }
    }

    fn updated(&mut self, old: &Found, state: &MailState) {
        let payload = MailUpdatedEvent {
            mail_id: state.id,
            mailbox_id: state.mailbox_id,
            mailbox: &state.mailbox_name,
            moved_from: (old.mailbox != state.mailbox_id).then_some(old.mailbox),
            uid: state.uid,
            modseq: state.modseq,
            thread_id: state.thread_id,
            flags: &state.flags,
            keywords: &state.keywords,
        };
        self.emit(EventKind::MailUpdated, &payload);
        let now = Placed { mail: state.id, mailbox: state.mailbox_id, uid: state.uid };
        self.outcome.done.push(Done { mail: state.id, from: old.placed(), now: Some(now) });
    }

    fn deleted(&mut self, mail: &Found) {
        let payload = MailDeletedEvent {
            mail_id: mail.mail,
            mailbox_id: mail.mailbox,
            mailbox: &mail.mailbox_name,
            uid: mail.uid,
            modseq: self.modseq,
            thread_id: mail.thread,
        };
        self.emit(EventKind::MailDeleted, &payload);
        self.outcome.done.push(Done { mail: mail.mail, from: mail.placed(), now: None });
    }

    /// The event of a copy tells everything but the text, which the source's event told.
    fn created(&mut self, row: &store::CopyRow) {
        let addresses = |field: &str| row.envelope.get(field).cloned().unwrap_or_default();
        let (from, to, cc) = (addresses("from"), addresses("to"), addresses("cc"));
        let payload = MailEvent {
            mail_id: row.mail_id.into(),
            mailbox_id: row.mailbox_id.into(),
            mailbox: &row.mailbox_name,
            thread_id: row.thread_id.into(),
            content: MailContentEvent {
                envelope: None,
                internet_message_id: row.internet_message_id.as_deref(),
                headers: &row.envelope,
                subject: row.envelope.get("subject").and_then(|value| value.as_str()).unwrap_or(""),
                from: &from,
                to: &to,
                cc: &cc,
                text: None,
                html: None,
                attachments: &row.attachments,
                size_bytes: u64::try_from(row.size_bytes).unwrap_or(0),
                tls: None,
                list: row.list,
                automated: row.automated,
                dsn: row.dsn,
                refers_to: row.refers_to.map(Id::from),
                routing: None,
                redelivered: false,
            },
        };
        self.emit(EventKind::MailCreated, &payload);
    }

    fn emit(&mut self, kind: EventKind, payload: &impl Serialize) {
        let event = NewEvent::new(self.account, kind, self.tx.now(), payload);
        self.tx.emit(event);
    }
}
