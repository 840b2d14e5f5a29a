//! Looking at conversations.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use uuid::Uuid;

use super::{MAILS, Thread, ThreadDetail, ThreadFilter, store};
use crate::{
    cx::{Cx, Tx},
    error::{Error, Result},
    id::{self, Id},
    mails::{self, Mail, MailFilter},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

/// Conversations of the account, the one with the newest mail first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, filter: &ThreadFilter, request: &PageRequest) -> Result<Page<Thread>> {
    cx.require(Scope::MailRead)?;
    let keyset = Keyset::new(cx, "threads", request)?;
    let mut tx = cx.begin("threads.list").await?;
    let rows = store::list(tx.conn(), cx.account(), filter, &keyset).await?;
    let page = keyset.page(cx, rows, |row| row.mail_id);
    let latest: Vec<Uuid> = page.data.iter().map(|row| row.mail_id).collect();
    let mut threads = describe(cx, &mut tx, &latest).await?;
    let page = page.map(|row| threads.remove(&row.thread_id));
    Ok(Page {
        data: page.data.into_iter().flatten().collect(),
        has_more: page.has_more,
        next_cursor: page.next_cursor,
        prev_cursor: page.prev_cursor,
    })
}

/// One conversation with its newest mails.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, thread: Id<id::Thread>) -> Result<ThreadDetail> {
    cx.require(Scope::MailRead)?;
    let filter = MailFilter { thread: Some(thread), ..MailFilter::default() };
    let request = PageRequest { limit: Some(MAILS), cursor: None };
    let page = mails::list(cx, &filter, &request).await?;
    let latest = page.data.first().ok_or(Error::NotFound("thread"))?.id.uuid();
    let mut tx = cx.begin("threads.find").await?;
    let mut threads = describe(cx, &mut tx, &[latest]).await?;
    let thread = threads.remove(&thread.uuid()).ok_or(Error::NotFound("thread"))?;
    Ok(ThreadDetail { thread, mail: page.data, has_more: page.has_more })
}

/// The conversations that these mails are the newest of, by their ids.
async fn describe(cx: &Cx, tx: &mut Tx, latest: &[Uuid]) -> Result<HashMap<Uuid, Thread>> {
    let account = cx.account();
    let latest = mails::store::search::by_ids(tx.conn(), account, latest).await?;
    let ids: Vec<Uuid> = latest.iter().map(|mail| mail.thread_id.uuid()).collect();
    let mut latest: HashMap<Uuid, Mail> =
        latest.into_iter().map(|mail| (mail.thread_id.uuid(), mail)).collect();
    let mut authors: HashMap<Uuid, Vec<Value>> = HashMap::new();
    for (thread, from) in store::authors(tx.conn(), account, &ids).await? {
        authors.entry(thread).or_default().push(from);
    }
    let mut threads = HashMap::new();
    for row in store::counts(tx.conn(), account, &ids).await? {
        let Some(latest) = latest.remove(&row.thread_id) else { continue };
        let participants = participants(authors.remove(&row.thread_id).unwrap_or_default());
        threads.insert(row.thread_id, row.into_thread(participants, latest));
    }
    Ok(threads)
}

/// Each author once, from the From fields of mails.
fn participants(fields: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let authors = fields.into_iter().flat_map(|field| match field {
        Value::Array(authors) => authors,
        _ => Vec::new(),
    });
    let email = |author: &Value| author["email"].as_str().unwrap_or("").to_lowercase();
    authors.filter(|author| seen.insert(email(author))).take(100).collect()
}
