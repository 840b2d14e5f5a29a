//! Changing many mails: in steps of one short transaction each, so that nothing else waits long.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    super::{MailFilter, read},
    ANY_STATE, Action, Done, Edit, Fits, Outcome, STEP, edit,
    operations::unknown_mailbox,
    store,
};
use crate::{
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::{self, Id},
    idempotency::{self, Begin, Created, Slot},
    page::{MAX_LIMIT, PageRequest},
    scope::Scope,
};

/// Most mails that a request names by their ids.
const MAX_IDS: usize = STEP;
/// A request stops after this time and says how to go on.
const BUDGET: Duration = Duration::from_secs(20);
/// How often a page is read again because mails in it have changed meanwhile.
const RETRIES: u32 = 5;

/// Which mails are changed.
#[derive(Debug, Clone)]
pub enum BulkTarget {
    /// These.
    Ids(Vec<Id<id::Mail>>),
    /// All that are there now and fit; from `cursor` on, which an earlier request gave.
    Filter {
        /// Which ones.
        filter: Box<MailFilter>,
        /// Where to go on.
        cursor: Option<String>,
    },
}

/// A change of many mails.
#[derive(Debug, Clone)]
pub struct BulkRequest {
    /// Which ones.
    pub target: BulkTarget,
    /// What is done.
    pub action: Action,
    /// Only say how many there are.
    pub dry_run: bool,
}

/// What became of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BulkResult {
    /// Mails that were there and fit.
    pub matched: u64,
    /// Mails that are others now; those that were as wanted already do not count.
    pub changed: u64,
    /// Ids that do not exist.
    pub not_found: u64,
    /// Mails that others kept changing meanwhile: nothing was done to them.
    pub conflicts: u64,
    /// What became of each mail that was named by its id.
    pub done: Vec<Done>,
    /// Of the mailbox that these were moved or copied to.
    pub uidvalidity: Option<i64>,
    /// Time was up: the rest begins at this cursor.
    pub next_cursor: Option<String>,
}

impl BulkRequest {
    /// Every fault that is known without the database.
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = self.action.faults();
        if let BulkTarget::Ids(ids) = &self.target
            && (ids.is_empty() || ids.len() > MAX_IDS)
        {
            let detail = format!("from 1 to {MAX_IDS} ids");
            faults.push(FieldError::new("/ids", "out_of_range", detail));
        }
        faults
    }
}

/// Changes many mails. Each step is a transaction of its own: when the server stops in the middle,
/// some mails are changed and others not. The same request with the same idempotency key is
/// answered from memory once it has been answered; before that it begins anew.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `QuotaExceeded`, `PolicyRejected`; steps that were done stay done.
pub async fn bulk(cx: &Cx, request: &BulkRequest) -> Result<Created<BulkResult>> {
    cx.require(Scope::MailWrite)?;
    if matches!(request.target, BulkTarget::Filter { .. }) {
        // What fits tells what mails say.
        cx.require(Scope::MailRead)?;
    }
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(request.faults())?;
    let action = request.action.check().0;
    let result = BulkResult::default();
    let mut work = Work { cx, action, dry_run: request.dry_run, result, kept: false };
    match &request.target {
        BulkTarget::Ids(ids) => work.by_ids(ids, &slot).await?,
        BulkTarget::Filter { filter, cursor } => work.by_filter(filter, cursor.clone()).await?,
    }
    if !work.kept && cx.idempotency().is_some() {
        let mut tx = cx.begin("mails.bulk.keep").await?;
        slot.keep(&mut tx, cx, &work.result).await?;
        tx.commit().await?;
    }
    Ok(Created::fresh(work.result))
}

struct Work<'a> {
    cx: &'a Cx,
    action: Edit,
    dry_run: bool,
    result: BulkResult,
    /// The result is kept for replay already.
    kept: bool,
}

impl Work<'_> {
    /// All in one transaction, together with the idempotency record.
    async fn by_ids(&mut self, ids: &[Id<id::Mail>], slot: &Slot) -> Result<()> {
        let ids: BTreeSet<Uuid> = ids.iter().map(|mail| mail.uuid()).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        if self.dry_run {
            let mut conn = self.cx.platform().acquire().await?;
            let found = store::find(&mut conn, self.cx.account(), &ids).await?;
            self.result.matched = size(found.len());
            self.result.not_found = size(ids.len() - found.len());
            return Ok(());
        }
        let mut tx = self.cx.begin("mails.bulk").await?;
        let outcome = self.edit(&mut tx, &ids, ANY_STATE).await?;
        self.result.not_found = size(ids.len() - outcome.found);
        self.result.uidvalidity = outcome.uidvalidity;
        self.result.done.clone_from(&outcome.done);
        if !outcome.done.is_empty() {
            slot.keep(&mut tx, self.cx, &self.result).await?;
            tx.commit().await?;
            self.kept = true;
        }
        Ok(())
    }

    async fn edit(&mut self, tx: &mut Tx, ids: &[Uuid], fits: Fits<'_>) -> Result<Outcome> {
        let outcome = edit(tx, self.cx.account(), ids, fits, &self.action).await;
        let outcome = outcome.map_err(unknown_mailbox)?;
        self.result.matched += size(outcome.found - outcome.conflicts.len());
        self.result.changed += size(outcome.done.len());
        Ok(outcome)
    }

    /// From the newest to the oldest: what comes meanwhile, copies too, is newer.
    async fn by_filter(&mut self, filter: &MailFilter, mut cursor: Option<String>) -> Result<()> {
        let started = Instant::now();
        loop {
            cursor = self.page(filter, cursor).await?;
            if cursor.is_none() {
                return Ok(());
            }
            if started.elapsed() > BUDGET {
                self.result.next_cursor = cursor;
                return Ok(());
            }
        }
    }

    /// One page in one transaction, without a lock while the filter is evaluated: a mail that has
    /// changed since is looked at again. Gives the next page.
    async fn page(
        &mut self,
        filter: &MailFilter,
        cursor: Option<String>,
    ) -> Result<Option<String>> {
        let request = PageRequest { limit: Some(MAX_LIMIT), cursor };
        let mut settled = HashSet::new();
        let mut tries = 1;
        loop {
            let page = read::list(self.cx, filter, &request).await?;
            let fresh = page.data.iter().filter(|mail| !settled.contains(&mail.id));
            let known: HashMap<_, _> = fresh.map(|mail| (mail.id, mail.modseq)).collect();
            if self.dry_run {
                self.result.matched += size(known.len());
                return Ok(page.next_cursor);
            }
            let failed = self.step(&known).await?;
            if failed.is_empty() || tries == RETRIES {
                self.result.conflicts += size(failed.len());
                return Ok(page.next_cursor);
            }
            settled.extend(known.into_keys().filter(|mail| !failed.contains(mail)));
            tries += 1;
        }
    }

    /// Changes mails that are still as they were read; gives back the others.
    async fn step(&mut self, known: &HashMap<Id<id::Mail>, i64>) -> Result<Vec<Id<id::Mail>>> {
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = known.keys().map(|mail| mail.uuid()).collect();
        let fits = |mail, modseq| known.get(&mail) == Some(&modseq);
        let mut tx = self.cx.begin("mails.bulk").await?;
        let outcome = self.edit(&mut tx, &ids, &fits).await?;
        if !outcome.done.is_empty() {
            tx.commit().await?;
        }
        Ok(outcome.conflicts)
    }
}

fn size(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
