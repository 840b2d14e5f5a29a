//! What a message says: read anew from what was stored, as its recipients get it.

use std::sync::Arc;

use posthouse_mail::parse::{self, ParsedMail};

use super::read::raw;
use crate::{
    blobs::Body,
    cx::Cx,
    error::{Error, Result},
    id::{self, Id},
    mails::{self, Part},
    room::Share,
    spool::Arrived,
};

/// A message is in memory as it is, and as what it says.
const COPIES: u64 = 2;

/// The fields, the text and the list of files of a message.
///
/// # Errors
/// As [`raw`].
pub async fn content(cx: &Cx, message: Id<id::Message>) -> Result<Arc<ParsedMail>> {
    let (_, parsed, _memory) = read(cx, message).await?;
    Ok(parsed)
}

/// A file of a message, decoded. `path` is as in [`content`].
///
/// # Errors
/// As [`raw`]; `NotFound` also when there is no file of that path.
pub async fn attachment(cx: &Cx, message: Id<id::Message>, path: &str) -> Result<Part> {
    let (octets, parsed, memory) = read(cx, message).await?;
    let is_file = parsed.attachments.iter().any(|file| file.path == path);
    let part = parse::find_part(&parsed.structure, path).filter(|_| is_file).cloned();
    drop((parsed, memory));
    let part = part.ok_or(Error::NotFound("attachment of this message"))?;
    mails::decoded(cx, &octets, part).await
}

async fn read(cx: &Cx, message: Id<id::Message>) -> Result<(Body, Arc<ParsedMail>, Share)> {
    let octets = raw(cx, message).await?;
    let Arrived { bytes, memory } = octets.load(cx.platform().memory(), COPIES).await?;
    let parsed = mails::parse(&bytes).await?;
    Ok((octets, parsed, memory))
}
