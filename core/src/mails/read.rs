//! Reading mail.

use bytes::Bytes;
use posthouse_mail::parse;

use super::{Mail, MailDetail, MailFilter, search::Conditions, store};
use crate::{
    blobs::{self, Body},
    cx::Cx,
    error::{Error, Result},
    id::{self, Id},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
    spool::{Arrived, IN_MEMORY},
};

/// A part is in memory as it was transferred and decoded.
const PART_COPIES: u64 = 2;
/// A text is also there in Unicode, and twice while that is tidied up.
const TEXT_COPIES: u64 = 5;

/// A decoded MIME part.
#[derive(Debug, Clone)]
pub struct Part {
    /// `type/subtype`.
    pub content_type: String,
    /// File name, if it has one.
    pub filename: Option<String>,
    /// Decoded octets.
    pub content: Body,
}

/// Mails of the account, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, filter: &MailFilter, request: &PageRequest) -> Result<Page<Mail>> {
    cx.require(Scope::MailRead)?;
    let wanted = Conditions::new(cx, filter)?;
    let keyset = Keyset::new(cx, "mail", request)?;
    let mut tx = cx.begin("mails.list").await?;
    let rows = store::search::list(tx.conn(), cx.account(), (filter, &wanted), &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.mail_id).map(Mail::from))
}

/// One mail with its text.
///
/// # Errors
/// `Forbidden`, `NotFound`, `StorageFull`, `Internal` when its content is damaged.
pub async fn find(cx: &Cx, mail: Id<id::Mail>) -> Result<MailDetail> {
    cx.require(Scope::MailRead)?;
    let mut conn = cx.platform().acquire().await?;
    let found = store::find(&mut conn, cx.account(), mail).await?;
    drop(conn);
    let found = found.ok_or(Error::NotFound("mail"))?;
    let (octets, content) = octets(cx, mail).await?;
    let structure = &content.structure.0;
    let (text, html) = parse::text_parts(structure);
    let text = show(cx, &octets, text).await?;
    let html = show(cx, &octets, html).await?;
    let structure = serde_json::to_value(structure).map_err(Error::internal)?;
    Ok(MailDetail { mail: found, structure, text, html })
}

/// The text of a part; of a large one only the beginning is read.
pub(super) async fn show(
    cx: &Cx,
    octets: &Body,
    part: Option<&parse::Part>,
) -> Result<Option<String>> {
    let Some(part) = part else { return Ok(None) };
    let raw = raw_part(octets, part, parse::MAX_RAW_TEXT);
    let Arrived { bytes, memory } = raw.load(cx.platform().memory(), TEXT_COPIES).await?;
    let part = part.clone();
    let text = off_reactor(bytes, move |bytes| parse::decode_text(&part, bytes)).await?;
    drop(memory);
    Ok(Some(text))
}

/// The octets of a mail.
///
/// # Errors
/// `Forbidden`, `NotFound`, `StorageFull`, `Internal` when they are damaged.
pub async fn raw(cx: &Cx, mail: Id<id::Mail>) -> Result<Body> {
    cx.require(Scope::MailRead)?;
    Ok(octets(cx, mail).await?.0)
}

/// A part of a mail, decoded. `path` is as in the structure, such as `1.2`.
///
/// # Errors
/// `Forbidden`, `NotFound`, `StorageFull`, `Internal` when the content is damaged.
pub async fn part(cx: &Cx, mail: Id<id::Mail>, path: &str) -> Result<Part> {
    cx.require(Scope::MailRead)?;
    let (octets, content) = octets(cx, mail).await?;
    let part = parse::find_part(&content.structure.0, path).cloned();
    let part = part.ok_or(Error::NotFound("part of this mail"))?;
    decoded(cx, &octets, part).await
}

/// A part of a message, as it was before it was transferred.
pub(crate) async fn decoded(cx: &Cx, octets: &Body, part: parse::Part) -> Result<Part> {
    let (content_type, filename) = (part.content_type.clone(), part.filename.clone());
    let raw = raw_part(octets, &part, usize::MAX);
    if parse::is_as_transferred(&part) {
        return Ok(Part { content_type, filename, content: raw });
    }
    // The share lasts until the decoded octets are in the spool, where slow readers hold no memory.
    let Arrived { bytes, memory } = raw.load(cx.platform().memory(), PART_COPIES).await?;
    let decoded = off_reactor(bytes, move |bytes| parse::decode_body(&part, bytes)).await?;
    let content = cx.platform().blobs().spooled(decoded.into()).await?;
    drop(memory);
    Ok(Part { content_type, filename, content })
}

/// At most the first `limit` octets of a part as they were transferred.
fn raw_part(octets: &Body, part: &parse::Part, limit: usize) -> Body {
    let offset = |at: usize| u64::try_from(at).unwrap_or(u64::MAX);
    let end = part.body_offset.saturating_add(part.body_length.min(limit));
    octets.slice(offset(part.body_offset)..offset(end))
}

/// Works on a large content where that does not hold up others.
async fn off_reactor<T: Send + 'static>(
    bytes: Bytes,
    work: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Result<T> {
    if bytes.len() <= IN_MEMORY {
        return Ok(work(&bytes));
    }
    tokio::task::spawn_blocking(move || work(&bytes)).await.map_err(Error::internal)
}

pub(super) async fn octets(cx: &Cx, mail: Id<id::Mail>) -> Result<(Body, store::Content)> {
    let mut conn = cx.platform().acquire().await?;
    let content = store::find_content(&mut conn, cx.account(), mail).await?;
    drop(conn);
    let content = content.ok_or(Error::NotFound("mail"))?;
    let body = blobs::store::open(cx.platform(), cx.account(), &content.blob_hash).await?;
    Ok((body.behind(&content.prefix), content))
}
