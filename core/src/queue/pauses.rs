//! Stopping deliveries for a while: those of an account, or all. Nothing changes in the queue; what
//! is due just is not attempted until somebody resumes.

use std::collections::HashSet;

use uuid::Uuid;

use super::{QueueScope, wishes};
use crate::{
    audit,
    cx::Cx,
    error::Result,
    id::{Account, Id},
    platform::Platform,
    scope::Scope,
};

/// Who is paused.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Paused {
    /// Everybody.
    pub all: bool,
    pub accounts: HashSet<Id<Account>>,
}

impl Paused {
    /// Whether deliveries of `account` are not attempted.
    pub(crate) fn covers(&self, account: Id<Account>) -> bool {
        self.all || self.accounts.contains(&account)
    }
}

/// What is paused for an account.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct QueueState {
    /// The account itself.
    pub paused: bool,
    /// All accounts.
    pub all_paused: bool,
}

/// Pauses or resumes the deliveries of the account, or those of all accounts. Attempts in progress
/// go on to their end.
///
/// # Errors
/// `Forbidden`.
pub async fn set_paused(cx: &Cx, scope: QueueScope, paused: bool) -> Result<QueueState> {
    cx.require(Scope::QueueWrite)?;
    let (whom, account) = match scope {
        QueueScope::Account => (cx.account().uuid(), Some(cx.account())),
        QueueScope::All => {
            cx.require(Scope::AdminWrite)?;
            (Uuid::nil(), None)
        }
    };
    let mut tx = cx.begin("queue.set_paused").await?;
    if paused {
        let insert = sqlx::query!(
            "INSERT INTO queue_pauses (account_id, paused_at) VALUES ($1, $2)
             ON CONFLICT DO NOTHING",
            whom,
            cx.now()
        );
        insert.execute(tx.conn()).await?;
    } else {
        sqlx::query!("DELETE FROM queue_pauses WHERE account_id = $1", whom)
            .execute(tx.conn())
            .await?;
    }
    let action = if paused { "pause_queue" } else { "resume_queue" };
    audit::record(&mut tx, cx, action, account, "").await?;
    wishes::tell(tx.conn()).await?;
    tx.commit().await?;
    load(cx.platform()).await?;
    state(cx).await
}

/// What is paused for the caller.
pub(super) async fn state(cx: &Cx) -> Result<QueueState> {
    let mut conn = cx.platform().acquire().await?;
    let account = cx.account().uuid();
    let rows = sqlx::query_scalar!(
        "SELECT account_id FROM queue_pauses WHERE account_id IN ($1, $2)",
        account,
        Uuid::nil()
    )
    .fetch_all(&mut *conn)
    .await?;
    Ok(QueueState { paused: rows.contains(&account), all_paused: rows.contains(&Uuid::nil()) })
}

/// Makes the schedule of this node follow what the database says.
pub(crate) async fn load(platform: &Platform) -> Result<()> {
    // One after the other, so that the schedule never goes back to what was read before.
    let _turn = platform.queue().pausing.lock().await;
    let mut conn = platform.acquire().await?;
    let rows =
        sqlx::query_scalar!("SELECT account_id FROM queue_pauses").fetch_all(&mut *conn).await?;
    let all = rows.contains(&Uuid::nil());
    let accounts = rows.into_iter().map(Id::from).collect();
    platform.queue().scheduler.set_paused(Paused { all, accounts });
    Ok(())
}
