//! SQL of replays.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::{Replay, ReplayStatus};
use crate::{
    error::{Error, OnConstraint as _, Result},
    id::{self, Account, Id},
    page::{Keyset, fetch_page},
};

/// How long replays are kept after their end.
const KEPT: time::Duration = time::Duration::days(30);

pub(in crate::webhooks) struct Row {
    pub webhook_replay_id: Uuid,
    pub webhook_id: Uuid,
    pub since: OffsetDateTime,
    pub until: OffsetDateTime,
    pub event_types: Vec<String>,
    pub first_seq: i64,
    pub last_seq: i64,
    pub seq: i64,
    pub succeeded: i64,
    pub failed: i64,
    pub status: String,
    pub created_at: OffsetDateTime,
    pub finished_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Replay {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.webhook_replay_id.into(),
            webhook_id: row.webhook_id.into(),
            since: row.since,
            until: row.until,
            event_types: row.event_types,
            first_seq: row.first_seq,
            last_seq: row.last_seq,
            seq: row.seq,
            succeeded: row.succeeded,
            failed: row.failed,
            status: ReplayStatus::parse(&row.status)
                .ok_or_else(|| Error::internal("unknown status of a replay"))?,
            created_at: row.created_at,
            finished_at: row.finished_at,
        })
    }
}

/// First and last position of the events of a time that the endpoint was told of already.
pub(in crate::webhooks) async fn range(
    conn: &mut PgConnection,
    (webhook, account): (Id<id::Webhook>, Id<Account>),
    since: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Option<(i64, i64)>> {
    let row = sqlx::query!(
        "SELECT min(e.seq) AS first, max(e.seq) AS last
         FROM webhook_cursors AS c JOIN events AS e ON e.seq <= c.seq
         WHERE c.webhook_id = $1 AND e.account_id = $2 AND e.event_id >= $3 AND e.event_id < $4",
        webhook.uuid(),
        account.uuid(),
        Id::<id::Event>::lower_bound(since).uuid(),
        Id::<id::Event>::lower_bound(until).uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(row.first.zip(row.last))
}

pub(in crate::webhooks) async fn insert(
    conn: &mut PgConnection,
    account: Id<Account>,
    replay: &Replay,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO webhook_replays (webhook_replay_id, webhook_id, account_id, since, until,
             event_types, first_seq, last_seq, seq, status, created_at, finished_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        replay.id.uuid(),
        replay.webhook_id.uuid(),
        account.uuid(),
        replay.since,
        replay.until,
        &replay.event_types,
        replay.first_seq,
        replay.last_seq,
        replay.seq,
        replay.status.as_str(),
        replay.created_at,
        replay.finished_at
    )
    .execute(conn)
    .await
    .on_constraint(
        "webhook_replays_running",
        Error::InUse("a replay of this endpoint is running: wait for its end or cancel it".into()),
    )?;
    Ok(())
}

pub(in crate::webhooks) async fn list(
    conn: &mut PgConnection,
    webhook: Id<id::Webhook>,
    keyset: &Keyset,
) -> Result<Vec<Replay>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT webhook_replay_id, webhook_id, since, until, event_types, first_seq, last_seq, seq,
             succeeded, failed, status, created_at, finished_at
         FROM webhook_replays WHERE webhook_id = $3",
        "webhook_replay_id",
        webhook.uuid(),
    );
    rows.into_iter().map(Replay::try_from).collect()
}

pub(in crate::webhooks) async fn find(
    conn: &mut PgConnection,
    account: Id<Account>,
    replay: Id<id::WebhookReplay>,
) -> Result<Option<Replay>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT webhook_replay_id, webhook_id, since, until, event_types, first_seq, last_seq, seq,
             succeeded, failed, status, created_at, finished_at
         FROM webhook_replays WHERE webhook_replay_id = $1 AND account_id = $2",
        replay.uuid(),
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Replay::try_from).transpose()
}

/// The replay of an endpoint that is not at its end.
pub(in crate::webhooks) async fn running(
    conn: &mut PgConnection,
    webhook: Id<id::Webhook>,
) -> Result<Option<Replay>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT webhook_replay_id, webhook_id, since, until, event_types, first_seq, last_seq, seq,
             succeeded, failed, status, created_at, finished_at
         FROM webhook_replays WHERE webhook_id = $1 AND status = 'running'",
        webhook.uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Replay::try_from).transpose()
}

/// Ends a running replay; false when it is not running.
pub(in crate::webhooks) async fn cancel(
    conn: &mut PgConnection,
    replay: Id<id::WebhookReplay>,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE webhook_replays SET status = 'canceled', finished_at = $2
         WHERE webhook_replay_id = $1 AND status = 'running'",
        replay.uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a group of calls adds to a replay.
pub(in crate::webhooks) struct Progress {
    pub replay: Id<id::WebhookReplay>,
    pub seq: i64,
    pub succeeded: i64,
    pub failed: i64,
    /// When the last event was told, if it was.
    pub finished_at: Option<OffsetDateTime>,
}

/// Writes it; false when the replay is not running any more.
pub(in crate::webhooks) async fn advance(
    conn: &mut PgConnection,
    progress: &Progress,
) -> Result<bool> {
    let status = sqlx::query_scalar!(
        "UPDATE webhook_replays SET seq = greatest(seq, $2), succeeded = succeeded + $3,
             failed = failed + $4,
             finished_at = CASE WHEN status = 'running' THEN $5 ELSE finished_at END,
             status = CASE WHEN status = 'running' AND $5::timestamptz IS NOT NULL
                 THEN 'completed' ELSE status END
         WHERE webhook_replay_id = $1 RETURNING status",
        progress.replay.uuid(),
        progress.seq,
        progress.succeeded,
        progress.failed,
        progress.finished_at
    )
    .fetch_optional(conn)
    .await?;
    Ok(status.as_deref() == Some("running"))
}

pub(super) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query!("DELETE FROM webhook_replays WHERE finished_at < $1", now - KEPT)
        .execute(conn)
        .await?;
    Ok(())
}
