//! What the header of a part says of it: type, disposition, encoding, names. RFC 2045, 2183 and 2392.

use super::{Part, envelope::Envelope};
use crate::text::printable;
use crate::{encoded_word, message::header_fields, params};

/// Where an entity stands, which decides its default type (RFC 2046 §5.1.5) and path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    Top,
    Multipart,
    Digest,
    Message,
}

/// Fills in what the header of a part says.
pub(super) fn describe(part: &mut Part, message: &[u8], context: Context) {
    let end = part.header_offset + part.header_length;
    let header = message.get(part.header_offset..end).unwrap_or(&[]);
    let default = if context == Context::Digest { "message/rfc822" } else { "text/plain" };
    default.clone_into(&mut part.content_type);
    "7bit".clone_into(&mut part.encoding);
    let mut seen = [false; 4];
    for (name, value) in header_fields(header) {
        let at = match name.to_ascii_lowercase().as_str() {
            "content-type" => 0,
            "content-disposition" => 1,
            "content-transfer-encoding" => 2,
            "content-id" => 3,
            _ => continue,
        };
        // The first of several counts: what a filter before us most likely looked at.
        if seen.get_mut(at).is_some_and(|seen| !std::mem::replace(seen, true)) {
            note(part, at, value);
        }
    }
    if part.content_type.starts_with("text/") {
        let charset = part.params.get("charset").map_or("us-ascii", String::as_str);
        part.charset = Some(charset.to_ascii_lowercase());
    }
    if part.filename.is_none() {
        part.filename = part.params.get("name").cloned();
    }
    if context == Context::Message {
        part.envelope = Some(Box::new(Envelope::read(header)));
    }
}

fn note(part: &mut Part, field: usize, value: &[u8]) {
    match field {
        0 => {
            let parsed = params::parse(value);
            let known = parsed
                .value
                .split_once('/')
                .is_some_and(|(kind, subtype)| params::is_token(kind) && params::is_token(subtype));
            let unknown = || "application/octet-stream".to_owned();
            part.content_type = if known { parsed.value } else { unknown() };
            let params = parsed.params.into_iter().filter(|(name, _)| params::is_token(name));
            part.params = params.map(|(name, value)| (name, printable(&value))).collect();
        }
        1 => {
            let mut parsed = params::parse(value);
            part.filename = parsed.params.remove("filename").map(|name| printable(&name));
            part.disposition = Some(printable(&parsed.value)).filter(|value| !value.is_empty());
        }
        2 => {
            let text = encoded_word::unfold(value);
            let token = text.split([';', '(']).next().unwrap_or("").trim().to_ascii_lowercase();
            if params::is_token(&token) {
                part.encoding = token;
            }
        }
        _ => {
            let text = encoded_word::unfold(value);
            let id = text.trim().trim_start_matches('<').trim_end_matches('>');
            part.content_id = Some(printable(id)).filter(|id| !id.is_empty());
        }
    }
}
