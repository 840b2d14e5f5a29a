//! SQL of finding mail.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Row;
use crate::{
    error::Result,
    id::{Account, Id},
    mails::{Mail, MailFilter, search::Conditions},
    page::{Keyset, fetch_page},
};

/// As many mails as a search may find to be looked up one by one; of more, the newest are found
/// sooner by walking through the mail.
const FEW: i64 = 500;

/// Makes the planner look at the values of each statement of this transaction: conditions that are
/// not asked for must not keep it from using an index. Nor must words that are not sorted in yet,
/// which make an index look dear: reading all rows is dearer still, which it does not know.
pub(crate) async fn plan_for_values(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!(
        "SELECT set_config('plan_cache_mode', 'force_custom_plan', true) AS plans,
             set_config('enable_seqscan', 'off', true) AS scans,
             set_config('jit', 'off', true) AS jit"
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// How mails with certain words are found.
#[derive(Default)]
struct Route<'a> {
    /// They are these contents.
    contents: Option<Vec<Uuid>>,
    /// They are many: the words are looked up once for all.
    hashed: Option<&'a str>,
    /// They are many, and the words must be looked at in each.
    probed: Option<&'a str>,
}

async fn route<'a>(
    conn: &mut PgConnection,
    account: Id<Account>,
    wanted: &'a Conditions,
) -> Result<Route<'a>> {
    let Some(words) = wanted.words.as_deref() else {
        return Ok(Route::default());
    };
    let contents = sqlx::query_scalar!(
        "SELECT content_id FROM mail_search
         WHERE account_id = $1 AND words @@ $2::text::tsquery LIMIT $3",
        account.uuid(),
        words,
        FEW + 1
    )
    .fetch_all(conn)
    .await?;
    let are_few = i64::try_from(contents.len()).is_ok_and(|found| found <= FEW);
    Ok(match are_few {
        true => Route { contents: Some(contents), ..Route::default() },
        false if wanted.has_phrase => Route { probed: Some(words), ..Route::default() },
        false => Route { hashed: Some(words), ..Route::default() },
    })
}

/// A page of mails. For a transaction of its own.
#[expect(clippy::too_many_lines, reason = "one query with its parameters")]
pub(in crate::mails) async fn list(
    conn: &mut PgConnection,
    account: Id<Account>,
    (filter, wanted): (&MailFilter, &Conditions),
    keyset: &Keyset,
) -> Result<Vec<Row>> {
    plan_for_values(conn).await?;
    let route = route(conn, account, wanted).await?;
    Ok(fetch_page!(
        conn,
        keyset,
        Row,
        r#"SELECT m.mail_id, m.mailbox_id, m.uid, m.modseq, m.thread_id, c.envelope, m.flags,
             ARRAY(SELECT b.keywords[k] FROM mailboxes AS b, unnest(m.keywords) AS k
                   WHERE b.account_id = m.account_id AND b.mailbox_id = m.mailbox_id)
                 AS "keywords!",
             m.size_bytes, c.preview, c.attachments, c.reception, c.list, c.automated, c.dsn,
             c.refers_to, m.received_at
         FROM mails AS m
         JOIN mail_contents AS c ON c.account_id = m.account_id AND c.content_id = m.content_id
         WHERE m.account_id = $3 AND NOT m.expunged
           AND ($4::uuid IS NULL OR m.mailbox_id = $4)
           AND ($5::uuid IS NULL OR m.thread_id = $5)
           AND ($6::text IS NULL OR left(c.internet_message_id, 200) = left($6, 200)
             AND c.internet_message_id = $6)
           AND m.flags & $7 = $8
           AND ($9::timestamptz IS NULL OR m.received_at >= $9)
           AND ($10::timestamptz IS NULL OR m.received_at < $10)
           AND m.size_bytes BETWEEN $11 AND $12
           AND ($13::text[] = '{}' OR $13 <@ ARRAY(
               SELECT b.keywords[k] FROM mailboxes AS b, unnest(m.keywords) AS k
               WHERE b.account_id = m.account_id AND b.mailbox_id = m.mailbox_id))
           AND ($14::text[] = '{}' OR NOT $14 && ARRAY(
               SELECT b.keywords[k] FROM mailboxes AS b, unnest(m.keywords) AS k
               WHERE b.account_id = m.account_id AND b.mailbox_id = m.mailbox_id))
           AND ($15::text[] = '{}' OR m.mailbox_id IN (
               SELECT b.mailbox_id FROM mailboxes AS b WHERE b.account_id = $3 AND NOT b.expunged
                 AND (lower(b.name) = ANY($15) OR b.role = ANY($15))))
           AND ($16::text[] = '{}' OR m.mailbox_id NOT IN (
               SELECT b.mailbox_id FROM mailboxes AS b WHERE b.account_id = $3 AND NOT b.expunged
                 AND (lower(b.name) = ANY($16) OR b.role = ANY($16))))
           AND ($17::uuid[] IS NULL OR m.content_id = ANY($17))
           AND ($18::text IS NULL OR m.content_id IN (
               SELECT s.content_id FROM mail_search AS s
               WHERE s.account_id = $3 AND s.words @@ $18::text::tsquery))
           AND ($19::text IS NULL OR (
               SELECT s.words @@ $19::text::tsquery FROM mail_search AS s
               WHERE s.account_id = $3 AND s.content_id = m.content_id))"#,
        "m.mail_id",
        account.uuid(),
        filter.mailbox.map(Id::uuid) as Option<Uuid>,
        filter.thread.map(Id::uuid) as Option<Uuid>,
        wanted.internet_message_id,
        wanted.flags | wanted.not_flags,
        wanted.flags,
        wanted.since,
        wanted.until,
        wanted.min_size,
        wanted.max_size,
        &wanted.keywords,
        &wanted.not_keywords,
        &wanted.mailboxes,
        &wanted.not_mailboxes,
        route.contents.as_deref() as Option<&[Uuid]>,
        route.hashed,
        route.probed,
    ))
}

/// These mails, as far as they are there, in no order.
pub(crate) async fn by_ids(
    conn: &mut PgConnection,
    account: Id<Account>,
    mails: &[Uuid],
) -> Result<Vec<Mail>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT m.mail_id, m.mailbox_id, m.uid, m.modseq, m.thread_id, c.envelope, m.flags,
             ARRAY(SELECT b.keywords[k] FROM mailboxes AS b, unnest(m.keywords) AS k
                   WHERE b.account_id = m.account_id AND b.mailbox_id = m.mailbox_id)
                 AS "keywords!",
             m.size_bytes, c.preview, c.attachments, c.reception, c.list, c.automated, c.dsn,
             c.refers_to, m.received_at
         FROM mails AS m
         JOIN mail_contents AS c ON c.account_id = m.account_id AND c.content_id = m.content_id
         WHERE m.account_id = $1 AND m.mail_id = ANY($2) AND NOT m.expunged"#,
        account.uuid(),
        mails
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Mail::from).collect())
}

/// Sorts the words of new mail into the index. Words that are not sorted in yet are found, too, only
/// more slowly the more they are.
///
/// # Errors
/// `Internal` when the role may not maintain the index.
pub(crate) async fn sort_in(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT gin_clean_pending_list('mail_search_words')").fetch_one(conn).await?;
    Ok(())
}
