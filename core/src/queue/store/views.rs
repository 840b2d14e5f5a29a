//! SQL for looking at deliveries.

use std::collections::HashMap;

use posthouse_mail::address::Address;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::Result,
    id::{self, Account, Delivery, Id},
    messages::{AttemptView, DeliveryView, Dsn},
    page::{Keyset, fetch_page},
    queue::{DeliveryFilter, entry::rcpt_dsn},
};

/// A delivery, waiting or ended.
struct Row {
    delivery_id: Uuid,
    recipient: String,
    status: String,
    next_attempt_at: Option<OffsetDateTime>,
    completed_at: Option<OffsetDateTime>,
    bounced_at: Option<OffsetDateTime>,
    complained_at: Option<OffsetDateTime>,
    pending_action: Option<String>,
    transport_id: Option<Uuid>,
    require_tls: Option<bool>,
}

impl From<Row> for DeliveryView {
    fn from(row: Row) -> Self {
        Self {
            id: row.delivery_id.into(),
            recipient: row.recipient,
            status: row.status,
            next_attempt_at: row.next_attempt_at,
            completed_at: row.completed_at,
            bounced_at: row.bounced_at,
            complained_at: row.complained_at,
            pending_action: row.pending_action,
            transport_id: row.transport_id.map(Id::from),
            require_tls: row.require_tls,
            attempts: Vec::new(),
        }
    }
}

/// Deliveries of a message, waiting and ended, with their attempts.
pub(crate) async fn deliveries_of(
    conn: &mut PgConnection,
    account: Id<Account>,
    message: Id<id::Message>,
) -> Result<Vec<DeliveryView>> {
    let (first, last) = message.deliveries().into_inner();
    in_range(conn, account, (i16::from(message.shard()), first, last)).await
}

/// What the sender of a message has said about reports.
pub(crate) async fn dsn_of(
    conn: &mut PgConnection,
    account: Id<Account>,
    message: Id<id::Message>,
) -> Result<Dsn> {
    let (first, last) = message.deliveries().into_inner();
    let head = sqlx::query!(
        "SELECT dsn_ret, dsn_envid FROM messages WHERE account_id = $1 AND message_id = $2",
        account.uuid(),
        message.uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let rows = sqlx::query!(
        r#"SELECT recipient AS "recipient!", dsn_notify, dsn_orcpt
         FROM queue WHERE shard = $2 AND delivery_id BETWEEN $3 AND $4 AND account_id = $1
         UNION ALL
         SELECT recipient, dsn_notify, dsn_orcpt
         FROM deliveries WHERE account_id = $1 AND delivery_id BETWEEN $3 AND $4"#,
        account.uuid(),
        i16::from(message.shard()),
        first,
        last
    )
    .fetch_all(conn)
    .await?;
    let mut dsn = Dsn::default();
    if let Some(head) = head {
        dsn.message = super::mail_dsn(head.dsn_ret.as_deref(), head.dsn_envid);
    }
    for row in rows {
        let params = rcpt_dsn(row.dsn_notify.as_deref(), row.dsn_orcpt);
        let address = Address::parse(&row.recipient).ok();
        dsn.recipients.extend(address.zip(params).map(|(to, params)| (to, (*params).clone())));
    }
    Ok(dsn)
}

/// One delivery, waiting or ended, with its attempts.
pub(crate) async fn find_delivery(
    conn: &mut PgConnection,
    account: Id<Account>,
    delivery: Id<Delivery>,
) -> Result<Option<DeliveryView>> {
    let id = delivery.uuid();
    let mut found = in_range(conn, account, (i16::from(delivery.shard()), id, id)).await?;
    Ok(found.pop())
}

async fn in_range(
    conn: &mut PgConnection,
    account: Id<Account>,
    (shard, first, last): (i16, Uuid, Uuid),
) -> Result<Vec<DeliveryView>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT delivery_id AS "delivery_id!", recipient AS "recipient!", status AS "status!",
             next_attempt_at, completed_at, bounced_at, complained_at, transport_id, require_tls,
             (SELECT w.action FROM queue_wishes AS w
              WHERE w.shard = all_of.shard AND w.delivery_id = all_of.delivery_id)
                 AS pending_action
         FROM (SELECT shard, delivery_id, recipient, status, next_attempt_at,
                   NULL::timestamptz AS completed_at, bounced_at, complained_at, transport_id,
                   require_tls
               FROM queue WHERE shard = $2 AND delivery_id BETWEEN $3 AND $4 AND account_id = $1
               UNION ALL
               SELECT NULL, delivery_id, recipient, status, NULL, completed_at, bounced_at,
                   complained_at, NULL, require_tls
               FROM deliveries WHERE account_id = $1 AND delivery_id BETWEEN $3 AND $4) AS all_of
         ORDER BY delivery_id"#,
        account.uuid(),
        shard,
        first,
        last
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut views: Vec<DeliveryView> = rows.into_iter().map(DeliveryView::from).collect();
    add_attempts(conn, account, &mut views).await?;
    Ok(views)
}

/// A page of deliveries, newest first, with their attempts; in the order that the keyset says.
pub(crate) async fn list_deliveries(
    conn: &mut PgConnection,
    account: Id<Account>,
    filter: &DeliveryFilter,
    keyset: &Keyset,
) -> Result<Vec<DeliveryView>> {
    let bound = |at| Id::<Delivery>::lower_bound(at).uuid();
    let (since, until) = (filter.since.map(bound), filter.until.map(bound));
    let rows = fetch_page!(
        &mut *conn,
        keyset,
        Row,
        r#"SELECT delivery_id AS "delivery_id!", recipient AS "recipient!", status AS "status!",
             next_attempt_at, completed_at, bounced_at, complained_at, transport_id, require_tls,
             (SELECT w.action FROM queue_wishes AS w
              WHERE w.shard = d.shard AND w.delivery_id = d.delivery_id) AS pending_action
         FROM (SELECT shard, account_id, delivery_id, recipient, status, next_attempt_at,
                   NULL::timestamptz AS completed_at, bounced_at, complained_at, transport_id,
                   require_tls
               FROM queue
               UNION ALL
               SELECT NULL::smallint, account_id, delivery_id, recipient, status,
                   NULL::timestamptz, completed_at, bounced_at, complained_at, NULL::uuid,
                   require_tls
               FROM deliveries) AS d
         WHERE account_id = $3
           AND ($4::text IS NULL OR status = $4)
           AND ($5::text IS NULL OR lower(recipient) = lower($5))
           AND ($6::text IS NULL OR split_part(recipient, '@', -1) = $6)
           AND ($7::uuid IS NULL OR delivery_id >= $7)
           AND ($8::uuid IS NULL OR delivery_id < $8)"#,
        "delivery_id",
        account.uuid(),
        filter.status,
        filter.recipient,
        filter.domain,
        since as Option<Uuid>,
        until as Option<Uuid>,
    );
    let mut views: Vec<DeliveryView> = rows.into_iter().map(DeliveryView::from).collect();
    add_attempts(conn, account, &mut views).await?;
    Ok(views)
}

/// Puts the attempts to the deliveries that they belong to.
async fn add_attempts(
    conn: &mut PgConnection,
    account: Id<Account>,
    views: &mut [DeliveryView],
) -> Result<()> {
    let ids: Vec<Uuid> = views.iter().map(|view| view.id.uuid()).collect();
    let mut places: HashMap<Uuid, &mut DeliveryView> =
        views.iter_mut().map(|view| (view.id.uuid(), view)).collect();
    let attempts = sqlx::query!(
        "SELECT delivery_id, attempt, started_at, duration_ms, outcome, mx_host, remote_address,
             local_address, tls_version, tls_cipher, tls_verification, smtp_code, enhanced_code,
             reply
         FROM attempts WHERE account_id = $1 AND delivery_id = ANY($2)
         ORDER BY delivery_id, attempt",
        account.uuid(),
        &ids
    )
    .fetch_all(conn)
    .await?;
    for row in attempts {
        let Some(view) = places.get_mut(&row.delivery_id) else {
            continue;
        };
        view.attempts.push(AttemptView {
            attempt: row.attempt,
            started_at: row.started_at,
            duration_ms: row.duration_ms,
            outcome: row.outcome,
            mx_host: row.mx_host,
            remote_address: row.remote_address,
            local_address: row.local_address,
            tls_version: row.tls_version,
            tls_cipher: row.tls_cipher,
            tls_verification: row.tls_verification,
            smtp_code: row.smtp_code,
            enhanced_code: row.enhanced_code,
            reply: row.reply,
        });
    }
    Ok(())
}
