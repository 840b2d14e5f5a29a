//! Writing the checked draft: header fields in a fixed order, then the MIME body.

use aws_lc_rs::digest;
use mail_builder::encoders::{Base64Encoder, QuotedPrintableEncoder};
use time::OffsetDateTime;

use super::{Disposition, Draft, File, check::strip_brackets};
use crate::{
    address::NamedAddress,
    date,
    fold::{self, Field, hex},
    message::normalise_line_ends,
    params,
};

/// Writes a draft without [`Draft::faults`] as a message with CRLF line ends.
///
/// `default_message_id`, with angle brackets, and `now` stand in for what the draft leaves out.
pub fn compose(
    draft: &Draft,
    now: OffsetDateTime,
    default_message_id: &str,
    user_agent: &str,
) -> Vec<u8> {
    let files = draft.alternatives.iter().chain(&draft.attachments);
    let content: usize =
        files.map(|file| file.content.len() / 3 * 4 + file.content.len() / 16 + 512).sum();
    let texts: usize =
        [&draft.text, &draft.html].into_iter().flatten().map(|text| text.len() * 5 / 4).sum();
    let mut out = Vec::with_capacity(2048 + content + texts);
    let message_id = draft.message_id.as_deref().unwrap_or(default_message_id);
    write_header(draft, now, message_id, &mut out);
    for (name, value) in &draft.headers {
        fold::custom(&mut out, name, value);
    }
    let names_agent =
        |name: &str| ["user-agent", "x-mailer"].iter().any(|n| name.eq_ignore_ascii_case(n));
    if !draft.headers.iter().any(|(name, _)| names_agent(name)) {
        fold::unstructured(&mut out, "User-Agent", user_agent);
    }
    let mut boundaries = Boundaries::new(draft, now, message_id);
    Entity::of(draft).write(&mut out, &mut boundaries);
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn write_header(draft: &Draft, now: OffsetDateTime, message_id: &str, out: &mut Vec<u8>) {
    mailboxes(out, "From", std::slice::from_ref(&draft.from));
    mailboxes(out, "Sender", draft.sender.as_slice());
    mailboxes(out, "Reply-To", &draft.reply_to);
    mailboxes(out, "To", &draft.to);
    mailboxes(out, "Cc", &draft.cc);
    fold::unstructured(out, "Subject", &draft.subject);
    words(out, "Date", &[&date::format(draft.date.unwrap_or(now))]);
    words(out, "Message-ID", &[message_id]);
    let mut references: Vec<&str> = draft.references.iter().map(String::as_str).collect();
    let answered = draft.in_reply_to.as_deref().or_else(|| references.last().copied());
    // RFC 5322 §3.6.4: References ends with the id of the message that is answered.
    references.extend(answered.filter(|id| !references.contains(id)));
    words(out, "References", &references);
    words(out, "In-Reply-To", answered.as_slice());
    words(out, "MIME-Version", &["1.0"]);
}

fn mailboxes(out: &mut Vec<u8>, name: &str, list: &[NamedAddress]) {
    if list.is_empty() {
        return;
    }
    let mut field = Field::new(out, name);
    field.mailboxes(list);
    field.end();
}

fn words(out: &mut Vec<u8>, name: &str, words: &[&str]) {
    if words.is_empty() {
        return;
    }
    let mut field = Field::new(out, name);
    for word in words {
        field.word(word);
    }
    field.end();
}

/// Boundaries that no part can contain: `=_` appears in neither base64 nor quoted-printable, texts with a line
/// that starts with `--` are encoded, and embedded messages are searched.
struct Boundaries {
    seed: String,
    count: usize,
}

impl Boundaries {
    fn new(draft: &Draft, now: OffsetDateTime, message_id: &str) -> Self {
        let mut salt = 0_u32;
        loop {
            let input = format!("{message_id}\n{}\n{salt}", now.unix_timestamp_nanos());
            let hash = digest::digest(&digest::SHA256, input.as_bytes());
            let seed = hex(hash.as_ref().get(..12).unwrap_or(&[]));
            let files = draft.alternatives.iter().chain(&draft.attachments);
            let mut raw = files.filter(|file| is_message(file)).map(|file| file.content.as_slice());
            if !raw.any(|content| contains(content, seed.as_bytes())) {
                return Self { seed, count: 0 };
            }
            salt += 1;
        }
    }

    fn next(&mut self) -> String {
        self.count += 1;
        format!("=_{}_{}", self.seed, self.count)
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The tree of the body; at most three multiparts deep.
enum Entity<'a> {
    Text { subtype: &'static str, text: &'a str },
    File { file: &'a File, role: Role },
    Multi { subtype: &'static str, children: Vec<Self> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Alternative,
    Inline,
    Attachment,
}

impl<'a> Entity<'a> {
    /// mixed > related > alternative, each only when it has something to hold.
    fn of(draft: &'a Draft) -> Self {
        let text = draft.text.as_deref().map(|text| Self::Text { subtype: "plain", text });
        let html = draft.html.as_deref().map(|text| Self::Text { subtype: "html", text });
        let file = |role| move |file| Self::File { file, role };
        let mut body: Vec<Self> = text.into_iter().chain(html).collect();
        body.extend(draft.alternatives.iter().map(file(Role::Alternative)));
        let mut parts: Vec<Self> = Self::wrap("alternative", body).into_iter().collect();
        let (inline, attached): (Vec<_>, Vec<_>) =
            draft.attachments.iter().partition(|file| file.is_inline());
        parts.extend(inline.into_iter().map(file(Role::Inline)));
        let related = if draft.html.is_some() { "related" } else { "mixed" };
        if related == "related" && !attached.is_empty() {
            parts = Self::wrap(related, parts).into_iter().collect();
        }
        let outer = if attached.is_empty() { related } else { "mixed" };
        let lone_file = draft.text.is_none() && draft.html.is_none();
        parts.extend(attached.into_iter().map(file(Role::Attachment)));
        if lone_file || parts.is_empty() {
            return Self::Multi { subtype: outer, children: parts };
        }
        Self::wrap(outer, parts).unwrap_or(Self::Text { subtype: "plain", text: "" })
    }

    fn wrap(subtype: &'static str, mut children: Vec<Self>) -> Option<Self> {
        match children.len() {
            0 | 1 => children.pop(),
            _ => Some(Self::Multi { subtype, children }),
        }
    }

    /// `type=` of RFC 2387 §3.1: the content type of the root.
    fn content_type(&self) -> String {
        match self {
            Self::Text { subtype, .. } => format!("text/{subtype}"),
            Self::Multi { subtype, .. } => format!("multipart/{subtype}"),
            Self::File { file, .. } => content_type(file).value,
        }
    }

    fn write(&self, out: &mut Vec<u8>, boundaries: &mut Boundaries) {
        match self {
            Self::Text { subtype, text } => write_text(out, subtype, text),
            Self::File { file, role } => write_file(out, file, *role),
            Self::Multi { subtype, children } => {
                let boundary = boundaries.next();
                let mut field = Field::new(out, "Content-Type");
                field.word(&format!("multipart/{subtype}"));
                if let (&"related", Some(root)) = (subtype, children.first()) {
                    params::write(&mut field, "type", &root.content_type());
                }
                params::write(&mut field, "boundary", &boundary);
                field.end();
                out.extend_from_slice(b"\r\n");
                for child in children {
                    out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
                    child.write(out, boundaries);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
            }
        }
    }
}

fn write_text(out: &mut Vec<u8>, subtype: &str, text: &str) {
    out.extend_from_slice(format!("Content-Type: text/{subtype}; charset=utf-8\r\n").as_bytes());
    let seven_bit = text.is_ascii()
        && text.lines().all(|line| line.len() <= 990 && !line.starts_with("--"))
        && !text.bytes().any(|b| b.is_ascii_control() && !matches!(b, b'\t' | b'\n' | b'\r'));
    let text = crlf(text);
    if seven_bit {
        out.extend_from_slice(b"Content-Transfer-Encoding: 7bit\r\n\r\n");
        out.extend_from_slice(text.as_bytes());
    } else {
        out.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
        QuotedPrintableEncoder::new().preserve_line_breaks().encode_into(text.as_bytes(), out);
    }
}

/// Every line end as CRLF: LF, CRLF and the bare CR of old systems.
fn crlf(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16 + 2);
    let mut rest = text;
    while let Some(at) = rest.find(['\r', '\n']) {
        let (line, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(line);
        out.push_str("\r\n");
        let end = tail.strip_prefix("\r\n").or_else(|| tail.get(1..));
        rest = end.unwrap_or("");
    }
    out.push_str(rest);
    out
}

/// The type of a file with its parameters.
fn content_type(file: &File) -> params::Structured {
    let sniffed = || file.sniffed_type();
    params::parse(file.content_type.as_deref().unwrap_or_else(sniffed).as_bytes())
}

/// RFC 2046 §5.2.1: a message/rfc822 may not be encoded, so it is written as it is.
fn is_message(file: &File) -> bool {
    let kind = content_type(file).value;
    kind.starts_with("message/") && !kind.starts_with("message/global")
}

/// The content of an embedded message ready to be written as it is, if lines and octets allow that.
fn as_lines(content: &[u8]) -> Option<Vec<u8>> {
    let content = normalise_line_ends(content.to_vec()).ok()?;
    let fits = content.split(|&b| b == b'\n').all(|line| line.len() <= 999);
    (fits && !content.contains(&0)).then_some(content)
}

fn write_file(out: &mut Vec<u8>, file: &File, role: Role) {
    let raw = if is_message(file) { as_lines(&file.content) } else { None };
    let mut kind = content_type(file);
    if raw.is_none() && is_message(file) {
        kind =
            params::Structured { value: "application/octet-stream".into(), ..Default::default() };
    }
    let mut field = Field::new(out, "Content-Type");
    field.word(&kind.value);
    for (name, value) in &kind.params {
        params::write(&mut field, name, value);
    }
    if let Some(filename) = file.filename.as_deref().filter(|_| !kind.params.contains_key("name")) {
        params::write(&mut field, "name", filename);
    }
    field.end();
    write_disposition(out, file, role);
    let Some(raw) = raw else {
        out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
        Base64Encoder::new().wrap_lines().encode_into(&file.content, out);
        return;
    };
    let encoding = if raw.is_ascii() { "7bit" } else { "8bit" };
    out.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n\r\n").as_bytes());
    out.extend_from_slice(&raw);
}

fn write_disposition(out: &mut Vec<u8>, file: &File, role: Role) {
    let inline = role != Role::Attachment
        && (role == Role::Inline || file.disposition == Disposition::Inline);
    if role != Role::Alternative || file.filename.is_some() {
        let mut field = Field::new(out, "Content-Disposition");
        field.word(if inline { "inline" } else { "attachment" });
        if let Some(filename) = &file.filename {
            params::write(&mut field, "filename", filename);
        }
        field.end();
    }
    if let Some(id) = &file.content_id {
        words(out, "Content-ID", &[&format!("<{}>", strip_brackets(id))]);
    }
}
