//! Reading the event log.

use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{API_VERSION, Event, EventKind, matches_any};
use crate::{
    cx::Cx,
    error::{Error, Result},
    id::{self, Account, Id, Message},
    page::{Keyset, Page, PageRequest, fetch_page},
    platform::Platform,
    scope::Scope,
};

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Names or patterns such as `delivery.*`; empty: all.
    pub types: Vec<String>,
}

/// Patterns of types as SQL LIKE patterns; none stands for all.
pub(crate) fn like_patterns(types: &[String]) -> Vec<String> {
    let patterns = types.iter().map(|pattern| {
        pattern.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_").replace('*', "%")
    });
    let patterns: Vec<String> = patterns.collect();
    if patterns.is_empty() { vec!["%".to_owned()] } else { patterns }
}

struct Row {
    account_id: Uuid,
    seq: i64,
    event_id: Uuid,
    r#type: String,
    occurred_at: OffsetDateTime,
    data: Json<Box<RawValue>>,
}

impl From<Row> for Event {
    fn from(row: Row) -> Self {
        Self {
            id: row.event_id.into(),
            kind: row.r#type,
            timestamp: row.occurred_at,
            api_version: API_VERSION,
            seq: row.seq,
            account_id: row.account_id.into(),
            data: row.data.0,
        }
    }
}

/// Events of the account, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, filter: &Filter, request: &PageRequest) -> Result<Page<Event>> {
    cx.require(Scope::EventsRead)?;
    page(cx, "events", filter, None, request).await
}

/// One event.
///
/// # Errors
/// `Forbidden`, `NotFound`, also when the log does not have it any more.
pub async fn find(cx: &Cx, event: Id<id::Event>) -> Result<Event> {
    cx.require(Scope::EventsRead)?;
    let mut conn = cx.platform().acquire().await?;
    let row = sqlx::query_as!(
        Row,
        r#"SELECT account_id, seq, event_id, type, occurred_at,
             data AS "data: Json<Box<RawValue>>"
         FROM events WHERE event_id = $2 AND account_id = $1"#,
        cx.account().uuid(),
        event.uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    row.map(Event::from).ok_or(Error::NotFound("event"))
}

/// Events of one message, newest first.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`.
pub async fn list_for_message(
    cx: &Cx,
    message: Id<Message>,
    request: &PageRequest,
) -> Result<Page<Event>> {
    cx.require(Scope::MessagesRead)?;
    let mut conn = cx.platform().acquire().await?;
    let known = crate::messages::store::exists(&mut conn, cx.account(), message).await?;
    drop(conn);
    if !known {
        return Err(Error::NotFound("message"));
    }
    page(cx, "message_events", &Filter::default(), Some(message), request).await
}

async fn page(
    cx: &Cx,
    list: &'static str,
    filter: &Filter,
    message: Option<Id<Message>>,
    request: &PageRequest,
) -> Result<Page<Event>> {
    let keyset = Keyset::new(cx, list, request)?;
    let bound = i64::try_from(keyset.bound.as_u128()).unwrap_or(i64::MAX);
    let mut conn = cx.platform().acquire().await?;
    let keyset_seq = SeqKeyset { forward: keyset.forward, bound, fetch: keyset.fetch() };
    let rows = match message {
        None if !filter.types.is_empty() => {
            of_types(&mut conn, cx.account(), &kinds(&filter.types), &keyset_seq).await?
        }
        None => fetch_page!(
            &mut *conn,
            keyset_seq,
            Row,
            r#"SELECT account_id, seq, event_id, type, occurred_at,
                 data AS "data: Json<Box<RawValue>>"
             FROM events WHERE account_id = $3"#,
            "seq",
            cx.account().uuid(),
        ),
        Some(message) => fetch_page!(
            &mut *conn,
            keyset_seq,
            Row,
            r#"SELECT account_id, seq, event_id, type, occurred_at,
                 data AS "data: Json<Box<RawValue>>"
             FROM events WHERE account_id = $3 AND message_id = $4"#,
            "seq",
            cx.account().uuid(),
            message.uuid(),
        ),
    };
    let key = |row: &Row| Uuid::from_u128(u128::try_from(row.seq).unwrap_or(0));
    Ok(keyset.page(cx, rows, key).map(Event::from))
}

/// Names of the types that match one of `patterns`.
fn kinds(patterns: &[String]) -> Vec<&'static str> {
    let names = EventKind::ALL.iter().map(|kind| kind.as_str());
    names.filter(|name| matches_any(patterns, name)).collect()
}

/// The next events of each type, of which the page takes the first: rare types are found as fast as
/// frequent ones. The order by type, of which there is one, leaves no other index to walk: walking
/// all events of a day for those of a rare type takes long.
async fn of_types(
    conn: &mut PgConnection,
    account: Id<Account>,
    kinds: &[&str],
    keyset: &SeqKeyset,
) -> Result<Vec<Row>> {
    let rows = if keyset.forward {
        sqlx::query_as!(
            Row,
            r#"SELECT e.account_id, e.seq, e.event_id, e.type, e.occurred_at,
                 e.data AS "data: Json<Box<RawValue>>"
             FROM unnest($1::text[]) AS wanted (type) CROSS JOIN LATERAL (
                 SELECT * FROM events
                 WHERE account_id = $2 AND type BETWEEN wanted.type AND wanted.type AND seq < $3
                 ORDER BY type DESC, seq DESC LIMIT $4) AS e
             ORDER BY e.seq DESC LIMIT $4"#,
            kinds as &[&str],
            account.uuid(),
            keyset.bound,
            keyset.fetch
        )
        .fetch_all(conn)
        .await?
    } else {
        sqlx::query_as!(
            Row,
            r#"SELECT e.account_id, e.seq, e.event_id, e.type, e.occurred_at,
                 e.data AS "data: Json<Box<RawValue>>"
             FROM unnest($1::text[]) AS wanted (type) CROSS JOIN LATERAL (
                 SELECT * FROM events
                 WHERE account_id = $2 AND type BETWEEN wanted.type AND wanted.type AND seq > $3
                 ORDER BY type, seq LIMIT $4) AS e
             ORDER BY e.seq LIMIT $4"#,
            kinds as &[&str],
            account.uuid(),
            keyset.bound,
            keyset.fetch
        )
        .fetch_all(conn)
        .await?
    };
    Ok(rows)
}

/// A keyset over sequence numbers instead of ids.
struct SeqKeyset {
    forward: bool,
    bound: i64,
    fetch: i64,
}

impl SeqKeyset {
    const fn fetch(&self) -> i64 {
        self.fetch
    }
}

/// Up to `limit` events of `account` after position `seq`, in order: what a reader with a cursor
/// needs. Complete up to the last event given: nothing can appear before it later.
pub async fn after(
    platform: &Platform,
    account: Id<Account>,
    seq: i64,
    limit: i64,
) -> Result<Vec<Event>> {
    let mut conn = platform.acquire().await?;
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT account_id, seq, event_id, type, occurred_at,
             data AS "data: Json<Box<RawValue>>"
         FROM events WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"#,
        account.uuid(),
        seq,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// Position of the newest event of `account`; 0 when there is none.
pub async fn newest_seq(platform: &Platform, account: Id<Account>) -> Result<i64> {
    let mut conn = platform.acquire().await?;
    let seq = sqlx::query_scalar!(
        "SELECT event_seq FROM account_counters WHERE account_id = $1",
        account.uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    Ok(seq.unwrap_or(0))
}
