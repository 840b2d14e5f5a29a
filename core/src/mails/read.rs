//! Reading mail.

use bytes::Bytes;
use posthouse_mail::parse::{self, ParsedMail};

use super::{Mail, MailDetail, MailFilter, search::Conditions, store};
use crate::{
    blobs,
    cx::Cx,
    error::{Error, Result},
    id::{self, Id},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

/// A decoded MIME part.
#[derive(Debug, Clone)]
pub struct Part {
    /// `type/subtype`.
    pub content_type: String,
    /// File name, if it has one.
    pub filename: Option<String>,
    /// Decoded octets.
    pub content: Bytes,
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
/// `Forbidden`, `NotFound`, `Internal` when its content is damaged.
pub async fn find(cx: &Cx, mail: Id<id::Mail>) -> Result<MailDetail> {
    cx.require(Scope::MailRead)?;
    let mut conn = cx.platform().acquire().await?;
    let found = store::find(&mut conn, cx.account(), mail).await?;
    drop(conn);
    let found = found.ok_or(Error::NotFound("mail"))?;
    let (octets, content) = octets(cx, mail).await?;
    let parsed = tokio::task::spawn_blocking(move || ParsedMail::parse(&octets))
        .await
        .map_err(Error::internal)?;
    let structure = serde_json::to_value(&content.structure.0).map_err(Error::internal)?;
    Ok(MailDetail { mail: found, structure, text: parsed.text, html: parsed.html })
}

/// The octets of a mail.
///
/// # Errors
/// `Forbidden`, `NotFound`, `Internal` when they are damaged.
pub async fn raw(cx: &Cx, mail: Id<id::Mail>) -> Result<Bytes> {
    cx.require(Scope::MailRead)?;
    Ok(octets(cx, mail).await?.0)
}

/// A part of a mail, decoded. `path` is as in the structure, such as `1.2`.
///
/// # Errors
/// `Forbidden`, `NotFound`, `Internal` when the content is damaged.
pub async fn part(cx: &Cx, mail: Id<id::Mail>, path: &str) -> Result<Part> {
    cx.require(Scope::MailRead)?;
    let (octets, content) = octets(cx, mail).await?;
    let part = parse::find_part(&content.structure.0, path).cloned();
    let part = part.ok_or(Error::NotFound("part of this mail"))?;
    let (content_type, filename) = (part.content_type.clone(), part.filename.clone());
    let content = tokio::task::spawn_blocking(move || parse::decode_part(&octets, &part))
        .await
        .map_err(Error::internal)?;
    Ok(Part { content_type, filename, content: content.into() })
}

async fn octets(cx: &Cx, mail: Id<id::Mail>) -> Result<(Bytes, store::Content)> {
    let mut conn = cx.platform().acquire().await?;
    let content = store::find_content(&mut conn, cx.account(), mail).await?;
    drop(conn);
    let content = content.ok_or(Error::NotFound("mail"))?;
    let body = blobs::store::read(cx.platform(), cx.account(), &content.blob_hash).await?;
    Ok(([content.prefix.as_slice(), &body].concat().into(), content))
}
