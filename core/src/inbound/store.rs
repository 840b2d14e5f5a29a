//! SQL of mail that routes post to endpoints: its octets are kept until nobody asks any more.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

use crate::{
    blobs,
    error::Result,
    id::{self, Account, Id},
    mails::NewMail,
    platform::Platform,
    spool::Arrived,
};

/// Longer than attempts go on, also of an endpoint that was disabled and is enabled again.
const KEPT: Duration = Duration::days(7);

/// Keeps the octets of a mail for the calls that its event makes.
pub(super) async fn keep(
    conn: &mut PgConnection,
    mail: &NewMail,
    event: Id<id::Event>,
) -> Result<()> {
    blobs::store::insert(&mut *conn, &[&mail.blob], mail.received_at).await?;
    sqlx::query!(
        "INSERT INTO inbound_posts (account_id, event_id, blob_hash, prefix, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        mail.account.uuid(),
        event.uuid(),
        mail.blob.hash.as_slice(),
        &*mail.prefix,
        mail.received_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The octets of the mail that an event tells of, as soon as there is memory for them; none: they are
/// not kept any more.
pub(crate) async fn posted(
    platform: &Platform,
    account: Id<Account>,
    event: Id<id::Event>,
) -> Result<Option<Arrived>> {
    let mut conn = platform.acquire().await?;
    let row = sqlx::query!(
        "SELECT blob_hash, prefix FROM inbound_posts WHERE account_id = $1 AND event_id = $2",
        account.uuid(),
        event.uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    drop(conn);
    let Some(row) = row else { return Ok(None) };
    let body = blobs::store::open(platform, account, &row.blob_hash).await?;
    Ok(Some(body.behind(&row.prefix).load(platform.memory(), 1).await?))
}

/// Forgets what nobody asks for any more; the blobs go with the next clean-ups.
pub(crate) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query!("DELETE FROM inbound_posts WHERE created_at < $1", now - KEPT)
        .execute(conn)
        .await?;
    Ok(())
}
