//! Changing many deliveries that wait: some thousand in each of many short transactions.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    QueueScope,
    wishes::{self, Action, Selection, Wish},
};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{Id, Transport},
    idempotency::{self, Begin, Created},
    routing,
    scope::Scope,
};

/// Which deliveries are meant: those that match everything that is given.
#[derive(Debug, Clone, Default)]
pub struct BulkFilter {
    /// Reverse-path, in lower case.
    pub sender: Option<String>,
    /// Address of the envelope, in lower case.
    pub recipient: Option<String>,
    /// Domain of the reverse-path.
    pub sender_domain: Option<String>,
    /// Domain of the recipient.
    pub recipient_domain: Option<String>,
    /// Of this status.
    pub status: Option<String>,
    /// Of messages with this tag.
    pub tag: Option<String>,
    /// Taken at or after this time.
    pub since: Option<OffsetDateTime>,
    /// Taken before this time.
    pub until: Option<OffsetDateTime>,
}

/// What to do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkAction {
    /// What can also be done to one.
    Change(Action),
    /// The next attempt is due then, whether there were attempts or not. Those that would have
    /// expired by then are left alone.
    Schedule(OffsetDateTime),
    /// They take this transport whatever the routes say, or none: what the routes say. For
    /// administrators.
    SetTransport(Option<Id<Transport>>),
    /// They need TLS, or not (RFC 8689), or as the domain of the recipient wants.
    SetRequireTls(Option<bool>),
}

impl BulkAction {
    fn wish(self) -> Wish<'static> {
        let (action, reason) = match self {
            Self::Change(action) => (action.as_str(), action.reason()),
            Self::Schedule(_) => ("postpone", "scheduled by request"),
            Self::SetTransport(_) => ("set_transport", "another transport by request"),
            Self::SetRequireTls(_) => ("set_require_tls", "another wish for TLS by request"),
        };
        let mut wish = Wish::new(action, reason);
        match self {
            Self::Change(_) => {}
            Self::Schedule(at) => wish.at = Some(at),
            Self::SetTransport(transport) => wish.transport = Some(transport),
            Self::SetRequireTls(require_tls) => wish.require_tls = Some(require_tls),
        }
        wish
    }
}

/// A change of many deliveries.
#[derive(Debug, Clone)]
pub struct Bulk {
    /// Those of the caller's account, or of all.
    pub scope: QueueScope,
    /// Which of them.
    pub filter: BulkFilter,
    /// What to do.
    pub action: BulkAction,
    /// Only count.
    pub dry_run: bool,
}

/// What [`change_many`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkDone {
    /// Deliveries that the action makes sense for, and which are changed now or soon.
    pub matched: i64,
    /// Nothing was changed.
    pub dry_run: bool,
}

/// Changes all deliveries that wait and match. What was done stays done when it ends half-way; to
/// ask again does the rest.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `Unavailable`.
pub async fn change_many(cx: &Cx, bulk: Bulk) -> Result<Created<BulkDone>> {
    cx.require(Scope::QueueWrite)?;
    let account = match bulk.scope {
        QueueScope::Account => Some(cx.account()),
        QueueScope::All => cx.require(Scope::AdminWrite).map(|()| None)?,
    };
    if matches!(bulk.action, BulkAction::SetTransport(_)) {
        cx.require(Scope::AdminWrite)?;
    }
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(bulk_faults(cx, &bulk))?;
    if let BulkAction::SetTransport(Some(transport)) = bulk.action {
        routing::require_transport(cx, transport).await?;
    }
    let filter = bulk.filter;
    let selection = Selection {
        account,
        sender: filter.sender,
        recipient: filter.recipient,
        sender_domain: filter.sender_domain,
        recipient_domain: filter.recipient_domain,
        status: filter.status,
        tag: filter.tag,
        since: filter.since,
        until: filter.until,
    };
    let wish = bulk.action.wish();
    let mut done = BulkDone { matched: 0, dry_run: bulk.dry_run };
    let mut after = wishes::START;
    loop {
        let mut tx = cx.begin("queue.change_many").await?;
        let step = wishes::step(tx.conn(), &selection, &wish, after, bulk.dry_run).await?;
        let Some(step) = step else {
            let action = format!("{}_deliveries", wish.action);
            if done.matched > 0 && !bulk.dry_run {
                let target = format!("{} deliveries", done.matched);
                audit::record(&mut tx, cx, &action, account, &target).await?;
            }
            slot.keep(&mut tx, cx, &done).await?;
            tx.commit().await?;
            return Ok(Created::fresh(done));
        };
        wishes::tell(tx.conn()).await?;
        tx.commit().await?;
        cx.platform().queue().wishes.kick();
        done.matched += step.count;
        after = step.last;
    }
}

/// Every fault that [`change_many`] will find without the database.
pub fn bulk_faults(cx: &Cx, bulk: &Bulk) -> Vec<FieldError> {
    match bulk.action {
        BulkAction::Schedule(at) => wishes::schedule_faults(cx, Some(at)),
        BulkAction::Change(_) | BulkAction::SetTransport(_) | BulkAction::SetRequireTls(_) => {
            Vec::new()
        }
    }
}
