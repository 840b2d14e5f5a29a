//! What has changed in the mail of an account since a modseq, and waiting for mail.
//!
//! A modseq is taken under a lock that lasts until the commit, so whoever sees modseq n sees
//! everything up to n. A page is read in one snapshot; what changes later gets a later modseq and
//! is told later. So nothing is ever missed; something may be told twice.

mod store;
mod wait;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub use wait::wait;

use crate::{
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{self, Id, Kind, Mailbox},
    page::{PageRequest, check_limit, invalid_cursor, open_position, seal_position},
    scope::Scope,
};

const LIST: &str = "mail_changes";

/// Ids of what has changed, by how.
#[derive(Debug, Clone)]
pub struct Changed<K: Kind> {
    /// New since then.
    pub created: Vec<Id<K>>,
    /// There before, and other now.
    pub updated: Vec<Id<K>>,
    /// Gone.
    pub destroyed: Vec<Id<K>>,
}

impl<K: Kind> Default for Changed<K> {
    fn default() -> Self {
        Self { created: Vec::new(), updated: Vec::new(), destroyed: Vec::new() }
    }
}

impl<K: Kind> Changed<K> {
    /// Whether nothing has changed.
    pub const fn is_empty(&self) -> bool {
        self.created.is_empty() && self.updated.is_empty() && self.destroyed.is_empty()
    }

    fn add(&mut self, row: &store::Row, since: i64) {
        let list = match (row.expunged, row.createseq > since) {
            (true, _) => &mut self.destroyed,
            (false, true) => &mut self.created,
            (false, false) => &mut self.updated,
        };
        list.push(row.id.into());
    }
}

/// What has changed since a modseq.
#[derive(Debug, Clone)]
pub struct Changes {
    /// The modseq that the caller gave.
    pub since: i64,
    /// Without more pages: what to give next time.
    pub modseq: i64,
    /// Mails.
    pub mail: Changed<id::Mail>,
    /// Mailboxes, with those whose counts have changed; all of them on every page.
    pub mailboxes: Changed<Mailbox>,
    /// Leads to the rest, with the same `since`.
    pub next_cursor: Option<String>,
}

/// Where the next page of mails begins.
#[derive(Debug, Clone, Copy)]
struct Position {
    /// What the caller gave.
    since: i64,
    /// The account's modseq when the first page was read.
    start: i64,
    /// The last mail that was told.
    modseq: i64,
    mail: Uuid,
}

impl Position {
    fn seal(self, cx: &Cx) -> String {
        let mut bytes = Vec::with_capacity(40);
        for number in [self.since, self.start, self.modseq] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(self.mail.as_bytes());
        seal_position(cx, LIST, &bytes)
    }

    fn open(cx: &Cx, since: i64, text: &str) -> Option<Self> {
        let bytes = open_position(cx, LIST, text)?;
        let (numbers, mail) = bytes.split_at_checked(24)?;
        let number = |at: usize| {
            let octets = numbers.get(at..at.checked_add(8)?)?;
            Some(i64::from_be_bytes(octets.try_into().ok()?))
        };
        let mail = Uuid::from_slice(mail).ok()?;
        let position = Self { since: number(0)?, start: number(8)?, modseq: number(16)?, mail };
        (position.since == since).then_some(position)
    }
}

/// What has changed since `since`; 0: everything that is there is new.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `SinceTooOld`.
pub async fn changes(cx: &Cx, since: i64, request: &PageRequest) -> Result<Changes> {
    cx.require(Scope::MailRead)?;
    let (limit, mut faults) = check_limit(request);
    if since < 0 {
        faults.push(FieldError::new("/since", "out_of_range", "a modseq is not negative"));
    }
    let first = Position { since, start: i64::MAX, modseq: since, mail: Uuid::max() };
    let cursor = request.cursor.as_deref();
    let position = cursor.map_or(Some(first), |text| Position::open(cx, since, text));
    faults.extend(position.is_none().then(invalid_cursor));
    let Some(position) = position.filter(|_| faults.is_empty()) else {
        return Err(Error::InvalidInput(faults));
    };
    let fetch = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut conn = cx.platform().acquire().await?;
    let page = store::mails(&mut conn, cx.account(), &position, fetch).await?;
    let page = page.ok_or(Error::NotFound("account"))?;
    // Whoever knows nothing needs not be told of what is gone.
    if since > page.current || (since > 0 && since < page.oldest) {
        return Err(Error::SinceTooOld { since });
    }
    // After the mails, so that it is at least as new.
    let mailboxes = store::mailboxes(&mut conn, cx.account(), since).await?;
    drop(conn);
    let mut changes = Changes {
        since,
        modseq: page.current,
        mail: Changed::default(),
        mailboxes: Changed::default(),
        next_cursor: None,
    };
    for row in page.rows.iter().take(limit) {
        changes.mail.add(row, since);
    }
    for row in mailboxes.iter().filter(|row| !row.expunged || row.createseq <= since) {
        changes.mailboxes.add(row, since);
    }
    if page.rows.len() > limit
        && let Some(last) = page.rows.get(limit.saturating_sub(1))
    {
        let start = position.start.min(page.current);
        let next = Position { since, start, modseq: last.modseq, mail: last.id };
        changes.next_cursor = Some(next.seal(cx));
    }
    Ok(changes)
}

/// Erases what expunged mails said, and forgets old tombstones.
///
/// # Errors
/// `Unavailable`; what was done until then stays done.
pub(crate) async fn clean_up(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    store::erase(conn, now).await?;
    store::forget(conn, now).await
}

/// The modseq of the account's last change.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn newest_modseq(cx: &Cx) -> Result<i64> {
    cx.require(Scope::MailRead)?;
    let mut conn = cx.platform().acquire().await?;
    store::current(&mut conn, cx.account()).await?.ok_or(Error::NotFound("account"))
}
