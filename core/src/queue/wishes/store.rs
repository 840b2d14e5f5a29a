//! SQL of wishes. Those who ask and those who grant lock rows in the order of delivery ids.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::CHANNEL;
use crate::{
    error::Result,
    id::{self, Account, Id},
    queue::Entry,
};

/// What is wanted.
pub(in crate::queue) struct Wish<'a> {
    pub action: &'a str,
    /// For `schedule`.
    pub at: Option<OffsetDateTime>,
    /// For the event.
    pub reason: &'a str,
    /// Another transport besides, or none.
    #[expect(clippy::option_option, reason = "nothing, none and one are three things")]
    pub transport: Option<Option<Id<id::Transport>>>,
    /// Another wish for TLS besides, or none.
    #[expect(clippy::option_option, reason = "nothing, none and one are three things")]
    pub require_tls: Option<Option<bool>>,
}

impl<'a> Wish<'a> {
    /// The action, and why.
    pub(in crate::queue) const fn new(action: &'a str, reason: &'a str) -> Self {
        Self { action, at: None, reason, transport: None, require_tls: None }
    }

    /// It changes how a delivery goes; what else was wished for it stays.
    const fn is_aside(&self) -> bool {
        self.transport.is_some() || self.require_tls.is_some()
    }
}

/// Writes a wish for the deliveries of `account` in a range of ids, as far as it makes sense for
/// them; says for how many. Nothing takes the place of a wish to end a delivery.
pub(super) async fn ask(
    conn: &mut PgConnection,
    account: Id<Account>,
    (shard, (first, last)): (u8, (Uuid, Uuid)),
    wish: &Wish<'_>,
) -> Result<u64> {
    let done = sqlx::query!(
        "INSERT INTO queue_wishes (shard, delivery_id, action, at, reason)
         SELECT q.shard, q.delivery_id, $5, $6, $7
         FROM queue AS q LEFT JOIN queue_wishes AS w USING (shard, delivery_id)
         WHERE q.shard = $1 AND q.delivery_id BETWEEN $2 AND $3 AND q.account_id = $4
           AND queue_wish_fits($5, q.status, q.attempts, w.action)
         ORDER BY q.delivery_id
         ON CONFLICT (shard, delivery_id) DO UPDATE
             SET action = excluded.action, at = excluded.at, reason = excluded.reason
             WHERE queue_wishes.action NOT IN ('cancel', 'fail')",
        i16::from(shard),
        first,
        last,
        account.uuid(),
        wish.action,
        wish.at,
        wish.reason
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Which deliveries are meant: those that match everything that is given.
#[derive(Debug, Clone, Default)]
pub(in crate::queue) struct Selection {
    pub account: Option<Id<Account>>,
    /// In lower case, as the three that follow.
    pub sender: Option<String>,
    pub recipient: Option<String>,
    pub sender_domain: Option<String>,
    pub recipient_domain: Option<String>,
    pub status: Option<String>,
    pub tag: Option<String>,
    pub since: Option<OffsetDateTime>,
    pub until: Option<OffsetDateTime>,
}

/// A position before all deliveries.
pub(in crate::queue) const START: (i16, Uuid) = (-1, Uuid::nil());

/// Deliveries that a step is for.
const STEP: i64 = 2000;

/// What a step did.
pub(in crate::queue) struct Step {
    /// The last delivery that it was for.
    pub last: (i16, Uuid),
    /// How many it was for.
    pub count: i64,
}

/// Writes a wish for the next deliveries of a selection, some thousand, as far as it makes sense
/// for them; none: there are no more. Nothing takes the place of a wish to end a delivery. A dry
/// run only counts.
#[expect(clippy::too_many_lines, reason = "one query with its parameters")]
pub(in crate::queue) async fn step(
    conn: &mut PgConnection,
    of: &Selection,
    wish: &Wish<'_>,
    after: (i16, Uuid),
    dry_run: bool,
) -> Result<Option<Step>> {
    let bound = |at| Id::<id::Delivery>::lower_bound(at).uuid();
    let row = sqlx::query!(
        r#"WITH page AS MATERIALIZED (
             SELECT q.shard, q.delivery_id FROM queue AS q
             JOIN messages AS m ON m.account_id = q.account_id
               AND m.message_id = (left(q.delivery_id::text, 33) || '000')::uuid
             LEFT JOIN queue_wishes AS w ON w.shard = q.shard AND w.delivery_id = q.delivery_id
             WHERE (q.shard, q.delivery_id) > ($1, $2)
               AND ($3::uuid IS NULL OR q.account_id = $3)
               AND ($4::text IS NULL OR lower(m.mail_from) = $4)
               AND ($5::text IS NULL OR lower(q.recipient) = $5)
               AND ($6::text IS NULL OR lower(split_part(m.mail_from, '@', -1)) = $6)
               AND ($7::text IS NULL OR lower(split_part(q.recipient, '@', -1)) = $7)
               AND ($8::text IS NULL OR q.status = $8) AND ($9::text IS NULL OR m.tags::jsonb ? $9)
               AND ($10::uuid IS NULL OR q.delivery_id >= $10)
               AND ($11::uuid IS NULL OR q.delivery_id < $11)
               AND queue_wish_fits($12, q.status, q.attempts, w.action)
               AND ($14::timestamptz IS NULL OR q.expires_at IS NULL OR q.expires_at > $14)
             ORDER BY q.shard, q.delivery_id LIMIT $13
         ), asked AS (
             INSERT INTO queue_wishes AS w (shard, delivery_id, action, at, reason, sets_transport,
                 transport_id, sets_require_tls, require_tls)
             SELECT shard, delivery_id, $12, $14, $15, $17, $18, $20, $21 FROM page WHERE NOT $16
             ORDER BY delivery_id ON CONFLICT (shard, delivery_id) DO UPDATE SET
                 action = CASE WHEN $19 THEN w.action ELSE excluded.action END,
                 at = CASE WHEN $19 THEN w.at ELSE excluded.at END,
                 reason = CASE WHEN $19 THEN w.reason ELSE excluded.reason END,
                 sets_transport = w.sets_transport OR $17,
                 transport_id = CASE WHEN $17 THEN excluded.transport_id ELSE w.transport_id END,
                 sets_require_tls = w.sets_require_tls OR $20,
                 require_tls = CASE WHEN $20 THEN excluded.require_tls ELSE w.require_tls END
                 WHERE w.action NOT IN ('cancel', 'fail')
         )
         SELECT shard, delivery_id, count(*) OVER () AS "count!" FROM page
         ORDER BY shard DESC, delivery_id DESC LIMIT 1"#,
        after.0,
        after.1,
        of.account.map(Id::uuid) as Option<Uuid>,
        of.sender,
        of.recipient,
        of.sender_domain,
        of.recipient_domain,
        of.status,
        of.tag,
        of.since.map(bound) as Option<Uuid>,
        of.until.map(bound) as Option<Uuid>,
        wish.action,
        STEP,
        wish.at,
        wish.reason,
        dry_run,
        wish.transport.is_some(),
        wish.transport.flatten().map(Id::uuid) as Option<Uuid>,
        wish.is_aside(),
        wish.require_tls.is_some(),
        wish.require_tls.flatten() as Option<bool>
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Step { last: (row.shard, row.delivery_id), count: row.count }))
}

/// When the first delivery of a message expires that waits.
pub(super) async fn first_expiry(
    conn: &mut PgConnection,
    account: Id<Account>,
    message: Id<id::Message>,
) -> Result<Option<OffsetDateTime>> {
    let (first, last) = message.deliveries().into_inner();
    let expires = sqlx::query_scalar!(
        "SELECT min(expires_at) FROM queue
         WHERE shard = $1 AND delivery_id BETWEEN $2 AND $3 AND account_id = $4",
        i16::from(message.shard()),
        first,
        last,
        account.uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(expires)
}

/// Tells all nodes, when the transaction commits.
pub(in crate::queue) async fn tell(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT pg_notify($1, '')", CHANNEL).fetch_one(conn).await?;
    Ok(())
}

/// Whether a wish for a delivery in the range is not granted yet.
pub(super) async fn is_pending(
    conn: &mut PgConnection,
    shard: u8,
    (first, last): (Uuid, Uuid),
) -> Result<bool> {
    let pending = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM queue_wishes
             WHERE shard = $1 AND delivery_id BETWEEN $2 AND $3) AS "pending!""#,
        i16::from(shard),
        first,
        last
    )
    .fetch_one(conn)
    .await?;
    Ok(pending)
}

/// A wish, and where its delivery is.
pub(super) struct Found {
    pub shard: i16,
    pub delivery_id: Uuid,
    pub action: String,
    /// The delivery has not ended.
    pub waits: Option<Waits>,
}

/// A delivery that somebody wants changed.
pub(super) struct Waits {
    pub entry: Entry,
    pub on_hold: bool,
}

/// Wishes for deliveries in `shards` after a position, in order.
pub(super) async fn page(
    conn: &mut PgConnection,
    shards: &[i16],
    after: (i16, Uuid),
    limit: i64,
) -> Result<Vec<Found>> {
    let rows = sqlx::query!(
        r#"SELECT w.shard, w.delivery_id, w.action, q.account_id AS "account_id?",
             q.recipient AS "recipient?", q.status AS "status?", q.sandbox AS "sandbox?",
             q.next_attempt_at AS "next_attempt_at?"
         FROM queue_wishes AS w LEFT JOIN queue AS q USING (shard, delivery_id)
         WHERE w.shard = ANY($1) AND (w.shard, w.delivery_id) > ($2, $3)
         ORDER BY w.shard, w.delivery_id LIMIT $4"#,
        shards,
        after.0,
        after.1,
        limit
    )
    .fetch_all(conn)
    .await?;
    let found = rows.into_iter().map(|row| {
        let id = Id::from(row.delivery_id);
        let waits = row.account_id.zip(row.recipient).zip(row.next_attempt_at);
        let waits = waits.map(|((account, recipient), due)| {
            let mut entry = Entry::new(id, account.into(), &recipient, due);
            entry.sandbox = row.sandbox.unwrap_or_default();
            Waits { entry, on_hold: row.status.as_deref() == Some("on_hold") }
        });
        Found { shard: row.shard, delivery_id: row.delivery_id, action: row.action, waits }
    });
    Ok(found.collect())
}

/// A delivery that is locked, with the wish.
pub(super) struct Locked {
    pub delivery_id: Uuid,
    pub account_id: Uuid,
    pub recipient: String,
    pub status: String,
    pub attempts: i16,
    pub next_attempt_at: OffsetDateTime,
    pub sandbox: bool,
    pub action: String,
    pub at: Option<OffsetDateTime>,
    pub reason: String,
    pub sets_transport: bool,
    pub transport_id: Option<Uuid>,
    pub sets_require_tls: bool,
    pub require_tls: Option<bool>,
    /// As it is before.
    pub requires_tls: Option<bool>,
    pub dsn_notify: Option<String>,
    pub dsn_orcpt: Option<String>,
}

/// Deliveries by shard, id and the epoch under which this node owns them.
#[derive(Default)]
pub(super) struct Keys {
    pub shards: Vec<i16>,
    pub ids: Vec<Uuid>,
    pub epochs: Vec<i64>,
}

/// Locks deliveries and their wishes, and the shards against a change of owner until the end of
/// the transaction. Those of another owner are left out.
pub(super) async fn lock(conn: &mut PgConnection, node: Uuid, keys: &Keys) -> Result<Vec<Locked>> {
    let rows = sqlx::query_as!(
        Locked,
        "SELECT q.delivery_id, q.account_id, q.recipient, q.status, q.attempts, q.next_attempt_at,
             q.sandbox, w.action, w.at, w.reason, w.sets_transport, w.transport_id,
             w.sets_require_tls, w.require_tls, q.require_tls AS requires_tls,
             q.dsn_notify, q.dsn_orcpt
         FROM unnest($1::smallint[], $2::uuid[], $3::bigint[]) AS asked (shard, id, epoch)
         JOIN queue_shards AS s
             ON s.shard = asked.shard AND s.epoch = asked.epoch AND s.owner = $4
         JOIN queue AS q ON q.shard = asked.shard AND q.delivery_id = asked.id
         JOIN queue_wishes AS w ON w.shard = q.shard AND w.delivery_id = q.delivery_id
         ORDER BY q.delivery_id
         FOR UPDATE OF q, w FOR SHARE OF s",
        &keys.shards,
        &keys.ids,
        &keys.epochs,
        node
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// New state of deliveries that go on waiting.
#[derive(Default)]
pub(super) struct States {
    pub ids: Vec<Uuid>,
    pub shards: Vec<i16>,
    pub statuses: Vec<&'static str>,
    pub due: Vec<OffsetDateTime>,
    /// Which of them get another transport, or none.
    pub sets_transport: Vec<bool>,
    pub transports: Vec<Option<Uuid>>,
    /// Which of them get another wish for TLS, or none.
    pub sets_require_tls: Vec<bool>,
    pub require_tls: Vec<Option<bool>>,
}

/// Writes new states of deliveries that are locked.
pub(super) async fn update(conn: &mut PgConnection, states: &States) -> Result<()> {
    sqlx::query!(
        "UPDATE queue AS q SET status = new.status, next_attempt_at = new.due,
             transport_id = CASE WHEN new.sets THEN new.transport ELSE q.transport_id END,
             require_tls = CASE WHEN new.sets_tls THEN new.tls ELSE q.require_tls END
         FROM unnest($1::smallint[], $2::uuid[], $3::text[], $4::timestamptz[], $5::boolean[],
             $6::uuid[], $7::boolean[], $8::boolean[])
             AS new (shard, id, status, due, sets, transport, sets_tls, tls)
         WHERE q.shard = new.shard AND q.delivery_id = new.id",
        &states.shards,
        &states.ids,
        &states.statuses as &[&str],
        &states.due,
        &states.sets_transport,
        &states.transports as &[Option<Uuid>],
        &states.sets_require_tls,
        &states.require_tls as &[Option<bool>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets wishes that are granted or make no sense any more.
pub(super) async fn forget(conn: &mut PgConnection, shards: &[i16], ids: &[Uuid]) -> Result<()> {
    sqlx::query!(
        "DELETE FROM queue_wishes AS w USING unnest($1::smallint[], $2::uuid[]) AS old (shard, id)
         WHERE w.shard = old.shard AND w.delivery_id = old.id",
        shards,
        ids
    )
    .execute(conn)
    .await?;
    Ok(())
}
