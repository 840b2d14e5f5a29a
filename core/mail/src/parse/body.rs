//! From the tree of parts to what a reader wants: texts, preview, files, and what kind of message it is.

use mail_parser::decoders::html::html_to_text as mail_html_to_text;

use super::{
    AttachmentInfo, MAX_PREVIEW, MAX_RAW_TEXT, MAX_TEXT, ParsedMail, Part, envelope::Envelope,
    structure, subject::base_subject, transfer,
};
use crate::{
    encoded_word,
    message::{header_fields, is_auto_submitted},
};

/// Most HTML that is read for a preview.
const MAX_PREVIEW_HTML: usize = 64 * 1024;

pub(super) fn parse(message: &[u8]) -> ParsedMail {
    let root = structure::read(message);
    let header = message.get(..root.header_length).unwrap_or(message);
    let envelope = Envelope::read(header);
    let (base_subject, is_reply_or_forward) =
        base_subject(envelope.subject.as_deref().unwrap_or(""));
    let mut mail =
        ParsedMail { envelope, base_subject, is_reply_or_forward, ..ParsedMail::default() };
    let chosen = Chosen::of(&root);
    let text_of = |part| decode_text(part, raw_body(message, part));
    mail.text = chosen.text.map(text_of);
    mail.html = chosen.html.map(text_of);
    mail.attachments = chosen.files.into_iter().map(attachment).collect();
    mail.preview = preview(mail.text.as_deref(), mail.html.as_deref());
    note_kind(&mut mail, header, &root);
    mail.structure = root;
    mail
}

/// Which leaves are the body and which are files.
#[derive(Default)]
struct Chosen<'a> {
    text: Option<&'a Part>,
    html: Option<&'a Part>,
    files: Vec<&'a Part>,
}

impl<'a> Chosen<'a> {
    fn of(root: &'a Part) -> Self {
        let mut chosen = Self::default();
        let mut stack = vec![root];
        while let Some(part) = stack.pop() {
            if part.content_type.starts_with("multipart/") {
                stack.extend(part.children.iter().rev());
                continue;
            }
            let is_body = part.disposition.as_deref() != Some("attachment");
            match part.content_type.as_str() {
                "text/plain" if is_body && chosen.text.is_none() && part.filename.is_none() => {
                    chosen.text = Some(part);
                }
                "text/html" if is_body && chosen.html.is_none() && part.filename.is_none() => {
                    chosen.html = Some(part);
                }
                _ => chosen.files.push(part),
            }
        }
        chosen
    }
}

fn attachment(part: &Part) -> AttachmentInfo {
    let inline = match part.disposition.as_deref() {
        Some("inline") => true,
        Some(_) => false,
        None => part.content_id.is_some(),
    };
    AttachmentInfo {
        path: part.path.clone(),
        filename: part.filename.clone(),
        content_type: part.content_type.clone(),
        content_id: part.content_id.clone(),
        size: part.decoded_size,
        inline,
    }
}

/// The parts that are shown as text: plain, HTML.
pub fn text_parts(root: &Part) -> (Option<&Part>, Option<&Part>) {
    let chosen = Chosen::of(root);
    (chosen.text, chosen.html)
}

/// The files of a message.
pub fn attachments(root: &Part) -> Vec<AttachmentInfo> {
    Chosen::of(root).files.into_iter().map(attachment).collect()
}

/// A text part in Unicode, with LF line ends and without NUL, which databases refuse. `raw` is its
/// body as transferred, of which not more than [`MAX_RAW_TEXT`] is looked at.
pub fn decode_text(part: &Part, raw: &[u8]) -> String {
    let octets = transfer::decode(&part.encoding, raw.get(..MAX_RAW_TEXT).unwrap_or(raw));
    let text = encoded_word::decode_charset(part.charset.as_deref().unwrap_or(""), &octets);
    let mut text = text.replace("\r\n", "\n").replace('\0', "\u{fffd}");
    let end = text.floor_char_boundary(MAX_TEXT);
    text.truncate(end);
    text
}

fn raw_body<'a>(message: &'a [u8], part: &Part) -> &'a [u8] {
    let end = part.body_offset.saturating_add(part.body_length).min(message.len());
    message.get(part.body_offset..end).unwrap_or(&[])
}

/// What an HTML text says, of at most its first MiB.
pub fn html_to_text(html: &str) -> String {
    mail_html_to_text(html.get(..html.floor_char_boundary(MAX_TEXT)).unwrap_or(""))
}

fn preview(text: Option<&str>, html: Option<&str>) -> String {
    let readable = text.filter(|text| !text.trim().is_empty());
    let stripped = || {
        let html = html.unwrap_or("");
        mail_html_to_text(html.get(..html.floor_char_boundary(MAX_PREVIEW_HTML)).unwrap_or(""))
    };
    let source = readable.map_or_else(stripped, str::to_owned);
    let mut preview = String::new();
    let mut count = 0;
    for word in source.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if count > 0 {
            preview.push(' ');
            count += 1;
        }
        for c in word.chars() {
            if count == MAX_PREVIEW {
                return preview;
            }
            preview.push(c);
            count += 1;
        }
        if count >= MAX_PREVIEW {
            break;
        }
    }
    preview
}

fn note_kind(mail: &mut ParsedMail, header: &[u8], root: &Part) {
    let report = root.content_type == "multipart/report";
    mail.automated = report;
    for (name, value) in header_fields(header) {
        match name.to_ascii_lowercase().as_str() {
            "list-id" | "list-post" => {
                mail.list = true;
                mail.automated |= name.eq_ignore_ascii_case("list-id");
            }
            "list-unsubscribe" | "list-unsubscribe-post" => mail.automated = true,
            "precedence" => {
                mail.automated = true;
                mail.list |= encoded_word::unfold(value).trim().eq_ignore_ascii_case("list");
            }
            "auto-submitted" => mail.automated |= is_auto_submitted(value),
            _ => {}
        }
    }
    let kind = root.params.get("report-type").map(String::as_str);
    let has_status = root.children.iter().any(|part| {
        matches!(
            part.content_type.as_str(),
            "message/delivery-status" | "message/global-delivery-status"
        )
    });
    mail.is_dsn = report
        && (has_status || kind.is_some_and(|kind| kind.eq_ignore_ascii_case("delivery-status")));
}

/// Whether the decoded octets of a part are the transferred ones.
pub fn is_as_transferred(part: &Part) -> bool {
    part.content_type.starts_with("multipart/") || transfer::is_identity(&part.encoding)
}

/// The decoded octets of a part, cut out of the whole message.
pub fn decode_part(message: &[u8], part: &Part) -> Vec<u8> {
    decode_body(part, raw_body(message, part))
}

/// The decoded octets of a part, from its body as transferred.
pub fn decode_body(part: &Part, raw: &[u8]) -> Vec<u8> {
    if is_as_transferred(part) { raw.to_vec() } else { transfer::decode(&part.encoding, raw) }
}

/// The part with this path, as [`Part::path`] gives it.
pub fn find_part<'a>(root: &'a Part, path: &str) -> Option<&'a Part> {
    let mut stack = vec![root];
    while let Some(part) = stack.pop() {
        if part.path == path {
            return Some(part);
        }
        stack.extend(part.children.iter().rev());
    }
    None
}
