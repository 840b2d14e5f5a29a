//! SQL of results.

use std::collections::HashMap;

use posthouse_mail::dsn::OriginalRecipient;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::decide::Decided;
use crate::{error::Result, platform::Platform};

/// Takes ended deliveries off the queue and sets the next attempt of the others. What this node does
/// not own any more, or what is gone, is marked as lost.
pub(super) async fn remove_and_defer(
    conn: &mut PgConnection,
    platform: &Platform,
    decided: &mut [Decided],
) -> Result<()> {
    let shards = &platform.queue().shards;
    let epoch = |one: &Decided| shards.epoch(one.entry.id.shard()).unwrap_or(-1);
    let (again, ended): (Vec<&Decided>, Vec<&Decided>) = decided.iter().partition(|one| one.retry);
    let mut done = HashMap::new();
    if !ended.is_empty() {
        let rows = sqlx::query!(
            "DELETE FROM queue AS q
             USING unnest($1::smallint[], $2::uuid[], $3::bigint[]) AS new (shard, id, epoch)
             JOIN queue_shards AS s
                 ON s.shard = new.shard AND s.epoch = new.epoch AND s.owner = $4
             WHERE q.shard = new.shard AND q.delivery_id = new.id
             RETURNING q.delivery_id, q.bounced_at, q.complained_at",
            &shard_numbers(&ended),
            &ids(&ended),
            &ended.iter().copied().map(epoch).collect::<Vec<_>>(),
            shards.node()
        )
        .fetch_all(&mut *conn)
        .await?;
        for row in rows {
            done.insert(row.delivery_id, (row.bounced_at, row.complained_at));
        }
    }
    if !again.is_empty() {
        let attempts: Vec<i16> =
            again.iter().map(|one| i16::try_from(one.entry.attempts).unwrap_or(i16::MAX)).collect();
        let due: Vec<i64> = again.iter().map(|one| one.entry.due).collect();
        let addresses: Vec<Option<String>> = again
            .iter()
            .map(|one| one.entry.last_address.map(|address| address.to_string()))
            .collect();
        let rows = sqlx::query_scalar!(
            "UPDATE queue AS q SET status = 'deferred', attempts = new.attempts,
                 next_attempt_at = to_timestamp(new.due / 1000.0), last_address = new.address
             FROM unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::smallint[], $5::bigint[],
                 $6::text[]) AS new (shard, id, epoch, attempts, due, address)
             JOIN queue_shards AS s
                 ON s.shard = new.shard AND s.epoch = new.epoch AND s.owner = $7
             WHERE q.shard = new.shard AND q.delivery_id = new.id
             RETURNING q.delivery_id",
            &shard_numbers(&again),
            &ids(&again),
            &again.iter().copied().map(epoch).collect::<Vec<_>>(),
            &attempts,
            &due,
            &addresses as &[Option<String>],
            shards.node()
        )
        .fetch_all(conn)
        .await?;
        done.extend(rows.into_iter().map(|id| (id, (None, None))));
    }
    for one in decided {
        let reports = done.get(&one.entry.id.uuid()).copied();
        one.lost = reports.is_none();
        (one.bounced_at, one.complained_at) = reports.unwrap_or_default();
    }
    Ok(())
}

fn shard_numbers(decided: &[&Decided]) -> Vec<i16> {
    decided.iter().map(|one| i16::from(one.entry.id.shard())).collect()
}

fn ids(decided: &[&Decided]) -> Vec<Uuid> {
    decided.iter().map(|one| one.entry.id.uuid()).collect()
}

fn accounts(decided: &[&Decided]) -> Vec<Uuid> {
    decided.iter().map(|one| one.entry.account.uuid()).collect()
}

/// Writes the history.
pub(super) async fn insert_attempts(conn: &mut PgConnection, rows: &[&Decided]) -> Result<()> {
    let numbers: Vec<i16> =
        rows.iter().map(|one| i16::try_from(one.entry.attempts).unwrap_or(i16::MAX)).collect();
    let started: Vec<OffsetDateTime> = rows.iter().map(|one| one.started_at).collect();
    let durations: Vec<i32> = rows.iter().map(|one| one.duration_ms).collect();
    let outcomes: Vec<&str> = rows.iter().map(|one| one.outcome).collect();
    let peer = |one: &&Decided| one.peer.clone();
    let peers: Vec<_> = rows.iter().map(peer).collect();
    let hosts: Vec<Option<&str>> =
        peers.iter().map(|peer| peer.as_ref().map(|peer| peer.host.as_str())).collect();
    let remotes: Vec<Option<String>> = peers
        .iter()
        .map(|peer| peer.as_ref().and_then(|peer| Some(peer.remote_address?.to_string())))
        .collect();
    let locals: Vec<Option<String>> = peers
        .iter()
        .map(|peer| peer.as_ref().and_then(|peer| Some(peer.local_address?.to_string())))
        .collect();
    let tls: Vec<_> =
        peers.iter().map(|peer| peer.as_ref().and_then(|peer| peer.tls.as_ref())).collect();
    let versions: Vec<Option<&str>> =
        tls.iter().map(|tls| tls.map(|tls| tls.version.as_str())).collect();
    let ciphers: Vec<Option<&str>> =
        tls.iter().map(|tls| tls.map(|tls| tls.cipher.as_str())).collect();
    let verifications: Vec<&str> =
        tls.iter().map(|tls| tls.map_or("none", |tls| tls.verification)).collect();
    let codes: Vec<Option<i16>> =
        rows.iter().map(|one| one.reply.code.and_then(|code| i16::try_from(code).ok())).collect();
    let enhanced: Vec<Option<&str>> =
        rows.iter().map(|one| one.reply.enhanced.as_deref()).collect();
    let replies: Vec<&str> = rows.iter().map(|one| one.reply.text.as_str()).collect();
    sqlx::query!(
        "INSERT INTO attempts (account_id, delivery_id, attempt, started_at, duration_ms, outcome,
             mx_host, remote_address, local_address, tls_version, tls_cipher, tls_verification,
             smtp_code, enhanced_code, reply)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::timestamptz[],
             $5::integer[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
             $11::text[], $12::text[], $13::smallint[], $14::text[], $15::text[])
         ON CONFLICT DO NOTHING",
        &accounts(rows),
        &ids(rows),
        &numbers,
        &started,
        &durations,
        &outcomes as &[&str],
        &hosts as &[Option<&str>],
        &remotes as &[Option<String>],
        &locals as &[Option<String>],
        &versions as &[Option<&str>],
        &ciphers as &[Option<&str>],
        &verifications as &[&str],
        &codes as &[Option<i16>],
        &enhanced as &[Option<&str>],
        &replies as &[&str]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes deliveries that have ended.
pub(super) async fn insert_deliveries(conn: &mut PgConnection, rows: &[&Decided]) -> Result<()> {
    let rows: Vec<&Decided> = rows.iter().copied().filter(|one| !one.retry).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let recipients: Vec<&str> = rows.iter().map(|one| &*one.entry.recipient).collect();
    let statuses: Vec<&str> = rows.iter().map(|one| one.status).collect();
    let attempts: Vec<i16> =
        rows.iter().map(|one| i16::try_from(one.entry.attempts).unwrap_or(i16::MAX)).collect();
    let times: Vec<OffsetDateTime> = rows.iter().map(|one| one.completed_at).collect();
    let bounced: Vec<Option<OffsetDateTime>> = rows.iter().map(|one| one.bounced_at).collect();
    let complained: Vec<Option<OffsetDateTime>> =
        rows.iter().map(|one| one.complained_at).collect();
    let require_tls: Vec<Option<bool>> =
        rows.iter().map(|one| one.entry.require_tls.into()).collect();
    let notify: Vec<Option<String>> = rows.iter().map(|one| one.entry.notify_text()).collect();
    let orcpt = rows.iter().map(|one| one.entry.orcpt().map(OriginalRecipient::as_str));
    let orcpt: Vec<Option<&str>> = orcpt.collect();
    sqlx::query!(
        "INSERT INTO deliveries (account_id, delivery_id, recipient, status, attempts, completed_at,
             bounced_at, complained_at, require_tls, dsn_notify, dsn_orcpt)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::smallint[],
             $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::boolean[], $10::text[],
             $11::text[])
         ON CONFLICT DO NOTHING",
        &accounts(&rows),
        &ids(&rows),
        &recipients as &[&str],
        &statuses as &[&str],
        &attempts,
        &times,
        &bounced as &[Option<OffsetDateTime>],
        &complained as &[Option<OffsetDateTime>],
        &require_tls as &[Option<bool>],
        &notify as &[Option<String>],
        &orcpt as &[Option<&str>]
    )
    .execute(conn)
    .await?;
    Ok(())
}
