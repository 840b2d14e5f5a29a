//! What a reader is shown of a mail: text, harmless HTML, header.

use std::{collections::HashMap, sync::LazyLock};

use posthouse_mail::{
    header,
    html::{self, Remote},
    message::{MAX_HEADER, MAX_HEADER_LINES},
    parse,
};
use tokio::sync::Semaphore;

use super::read;
use crate::{
    cx::Cx,
    error::{Error, Result},
    id::{self, Id},
    scope::Scope,
};

/// As many HTML texts are made harmless at a time as there are cores.
static CORES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));

/// HTML that a browser can show.
#[derive(Debug, Clone)]
pub struct ShownHtml {
    /// What belongs into `<body>`.
    pub body: String,
    /// Images elsewhere that are left out.
    pub blocked: usize,
}

/// The header of a mail.
#[derive(Debug, Clone)]
pub struct ShownHeader {
    /// Fields in order.
    pub fields: Vec<header::Field>,
    /// As it came; octets that are no UTF-8 are replaced.
    pub raw: String,
    /// There is more than is shown.
    pub truncated: bool,
}

/// The text of a mail: the plain one, else that of the HTML; at most 1 MiB.
///
/// # Errors
/// `Forbidden`, `NotFound`, `StorageFull`, `Internal` when its content is damaged.
pub async fn text(cx: &Cx, mail: Id<id::Mail>) -> Result<String> {
    cx.require(Scope::MailRead)?;
    let found = texts(cx, mail).await?;
    match (found.text, found.html) {
        (Some(text), _) => Ok(text),
        (None, Some(html)) => {
            let work = move || parse::html_to_text(&html);
            tokio::task::spawn_blocking(work).await.map_err(Error::internal)
        }
        (None, None) => Ok(String::new()),
    }
}

/// The HTML of a mail without anything that could do harm; of a mail without HTML its text. Images
/// that are parts of the mail are at `parts/{path}`.
///
/// # Errors
/// `Forbidden`, `NotFound`, `StorageFull`, `Internal` when its content is damaged.
pub async fn html(cx: &Cx, mail: Id<id::Mail>, remote: Remote) -> Result<ShownHtml> {
    cx.require(Scope::MailRead)?;
    let found = texts(cx, mail).await?;
    let Some(text) = found.html else {
        let body = html::from_text(&found.text.unwrap_or_default());
        return Ok(ShownHtml { body, blocked: 0 });
    };
    let parts = inline_parts(&found.structure, |_, path| format!("parts/{path}"));
    let clean = sanitise(text, remote, parts).await?;
    Ok(ShownHtml { body: clean.html, blocked: clean.blocked })
}

/// The header of a mail, at most 1 MiB and 2,000 fields of it.
///
/// # Errors
/// `Forbidden`, `NotFound`, `StorageFull`, `Internal` when its content is damaged.
pub async fn headers(cx: &Cx, mail: Id<id::Mail>) -> Result<ShownHeader> {
    cx.require(Scope::MailRead)?;
    let (octets, content) = read::octets(cx, mail).await?;
    let length = content.structure.0.header_length;
    let end = u64::try_from(length.min(MAX_HEADER)).unwrap_or(u64::MAX);
    let header = octets.slice(0..end).bytes().await?;
    let mut fields = header::fields(&header, MAX_HEADER_LINES + 1);
    let truncated = length > MAX_HEADER || fields.len() > MAX_HEADER_LINES;
    fields.truncate(MAX_HEADER_LINES);
    Ok(ShownHeader { fields, raw: String::from_utf8_lossy(&header).into_owned(), truncated })
}

/// Both texts of a mail, and its parts.
pub(super) struct Texts {
    pub structure: parse::Part,
    pub text: Option<String>,
    pub html: Option<String>,
}

pub(super) async fn texts(cx: &Cx, mail: Id<id::Mail>) -> Result<Texts> {
    let (octets, content) = read::octets(cx, mail).await?;
    let structure = content.structure.0;
    let (text, html) = parse::text_parts(&structure);
    let text = read::show(cx, &octets, text).await?;
    let html = read::show(cx, &octets, html).await?;
    Ok(Texts { structure, text, html })
}

/// Makes HTML harmless where that does not hold up others.
pub(super) async fn sanitise(
    text: String,
    remote: Remote,
    parts: HashMap<String, String>,
) -> Result<html::Clean> {
    let _permit = CORES.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(move || html::sanitise(&text, remote, parts))
        .await
        .map_err(Error::internal)
}

/// Where the parts with a Content-ID are, from their id and path; the first of several with one id.
pub(super) fn inline_parts(
    root: &parse::Part,
    place: impl Fn(&str, &str) -> String,
) -> HashMap<String, String> {
    let mut parts = HashMap::new();
    let mut stack = vec![root];
    while let Some(part) = stack.pop() {
        if let Some(id) = &part.content_id {
            parts.entry(id.clone()).or_insert_with(|| place(id, &part.path));
        }
        stack.extend(part.children.iter().rev());
    }
    parts
}
