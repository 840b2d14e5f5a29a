//! What a draft may not hold: anything that would break out of its header field, and what is too much.

use super::{Draft, Fault, File};
use crate::{
    address::{AddressError, NamedAddress, check_name, is_forbidden},
    encoded_word, fold, params,
};

const MAX_SUBJECT: usize = 4096;
const MAX_HEADER_VALUE: usize = 8192;
const MAX_HEADERS: usize = 100;
const MAX_HEADER_TOTAL: usize = 128 * 1024;
const MAX_RECIPIENTS: usize = 5000;
const MAX_FILES: usize = 500;
const MAX_FILENAME: usize = 512;
const MAX_CONTENT_TYPE: usize = 512;
const MAX_ID: usize = 512;
const MAX_REFERENCES: usize = 200;
const MAX_CONTENT: usize = 256 * 1024 * 1024;

/// Header fields that have a field of their own in the draft, or that only servers write.
const RESERVED: &[&str] = &[
    "from",
    "to",
    "cc",
    "bcc",
    "sender",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "received",
    "return-path",
    "dkim-signature",
    "authentication-results",
    "delivered-to",
];
const RESERVED_PREFIXES: &[&str] = &["content-", "arc-", "resent-"];

pub(super) fn faults(draft: &Draft) -> Vec<Fault> {
    let mut checker = Checker { faults: Vec::new() };
    checker.addresses(draft);
    checker.subject(&draft.subject);
    checker.ids(draft);
    checker.headers(&draft.headers);
    checker.files(draft);
    checker.body(draft);
    checker.faults
}

pub(super) fn file_faults(file: &File) -> Vec<Fault> {
    let mut checker = Checker { faults: Vec::new() };
    checker.file("", file);
    checker.faults
}

struct Checker {
    faults: Vec<Fault>,
}

impl Checker {
    fn add(&mut self, pointer: &str, code: &'static str, detail: &str) {
        let (pointer, detail) = (pointer.to_owned(), detail.to_owned());
        self.faults.push(Fault { pointer, code, detail });
    }

    fn addresses(&mut self, draft: &Draft) {
        self.mailbox("/from", &draft.from);
        if let Some(sender) = &draft.sender {
            self.mailbox("/sender", sender);
        }
        for (name, list) in [("to", &draft.to), ("cc", &draft.cc), ("reply_to", &draft.reply_to)] {
            if list.len() > MAX_RECIPIENTS {
                self.add(&format!("/{name}"), "too_many", "there are too many addresses");
                continue;
            }
            for (at, named) in list.iter().enumerate() {
                self.mailbox(&format!("/{name}/{at}"), named);
            }
        }
    }

    fn mailbox(&mut self, pointer: &str, named: &NamedAddress) {
        let Some(Err(error)) = named.name.as_deref().map(check_name) else {
            return;
        };
        let code = match error {
            AddressError::ControlCharacter => "control_character",
            _ => "too_long",
        };
        self.add(pointer, code, &error.to_string());
    }

    /// Length and control characters of a text that goes into the header; true when it is fine.
    fn text(&mut self, pointer: &str, text: &str, limit: usize) -> bool {
        if text.len() > limit {
            self.add(pointer, "too_long", &format!("more than {limit} octets"));
            return false;
        }
        let bad = |c: char| is_forbidden(c) && c != '\t';
        if text.chars().any(bad) {
            self.add(
                pointer,
                "control_character",
                "control characters and line breaks are not allowed",
            );
            return false;
        }
        if text.contains("=?") && encoded_word::decode_str(text).chars().any(bad) {
            self.add(pointer, "control_character", "an encoded-word hides control characters");
            return false;
        }
        true
    }

    fn subject(&mut self, subject: &str) {
        self.text("/subject", subject, MAX_SUBJECT);
    }

    fn ids(&mut self, draft: &Draft) {
        if let Some(id) = &draft.message_id {
            self.message_id("/message_id", id);
        }
        if let Some(id) = &draft.in_reply_to {
            self.message_id("/in_reply_to", id);
        }
        if draft.references.len() > MAX_REFERENCES {
            self.add("/references", "too_many", "there are too many references");
            return;
        }
        for (at, id) in draft.references.iter().enumerate() {
            self.message_id(&format!("/references/{at}"), id);
        }
    }

    fn message_id(&mut self, pointer: &str, id: &str) {
        if self.text(pointer, id, MAX_ID) && !is_message_id(id) {
            let detail = "a message id looks like <left@right>, in ASCII and without spaces";
            self.add(pointer, "malformed_message_id", detail);
        }
    }

    fn headers(&mut self, headers: &[(String, String)]) {
        if headers.len() > MAX_HEADERS {
            self.add("/headers", "too_many", "there are too many header fields");
            return;
        }
        let total: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if total > MAX_HEADER_TOTAL {
            self.add("/headers", "too_long", "the header fields are too long together");
        }
        for (name, value) in headers {
            self.header(name, value);
        }
    }

    fn header(&mut self, name: &str, value: &str) {
        let pointer = format!("/headers/{}", escape_pointer(name));
        let lower = name.to_ascii_lowercase();
        if !is_field_name(name) {
            self.add(&pointer, "invalid_header_name", "a header field name is 1 to 76 ASCII letters, digits and signs without colon and spaces");
        } else if RESERVED.contains(&lower.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
        {
            self.add(
                &pointer,
                "reserved_header",
                "this header field is written by the server or has a field of its own",
            );
        }
        if !self.text(&pointer, value, MAX_HEADER_VALUE) {
            return;
        }
        if value.trim_matches([' ', '\t']).is_empty() {
            self.add(&pointer, "empty_header", "a header field needs a value");
        } else if value.is_ascii() && fold::has_long_run(value, fold::MAX_RUN) {
            self.add(&pointer, "too_long", "the value cannot be folded into lines of 998 octets");
        }
    }

    fn files(&mut self, draft: &Draft) {
        for (name, files) in
            [("alternatives", &draft.alternatives), ("attachments", &draft.attachments)]
        {
            if files.len() > MAX_FILES {
                self.add(&format!("/{name}"), "too_many", "there are too many files");
                continue;
            }
            for (at, file) in files.iter().enumerate() {
                self.file(&format!("/{name}/{at}"), file);
            }
        }
    }

    fn file(&mut self, pointer: &str, file: &File) {
        if let Some(filename) = &file.filename {
            let pointer = format!("{pointer}/filename");
            if self.text(&pointer, filename, MAX_FILENAME) && filename.contains('\t') {
                self.add(&pointer, "control_character", "a file name cannot have tabs");
            }
        }
        if let Some(content_type) = &file.content_type {
            let pointer = format!("{pointer}/content_type");
            if self.text(&pointer, content_type, MAX_CONTENT_TYPE) && !is_content_type(content_type)
            {
                self.add(
                    &pointer,
                    "invalid_content_type",
                    "a content type looks like type/subtype; a multipart cannot be given as a file",
                );
            }
        }
        if let Some(id) = &file.content_id {
            let pointer = format!("{pointer}/content_id");
            if self.text(&pointer, id, MAX_ID) && !is_id_content(strip_brackets(id)) {
                self.add(
                    &pointer,
                    "invalid_content_id",
                    "a content id is ASCII without spaces and brackets",
                );
            }
        }
    }

    fn body(&mut self, draft: &Draft) {
        if draft.text.is_none() && draft.html.is_none() && draft.attachments.is_empty() {
            self.add("", "missing_body", "a message needs text, html or an attachment");
        }
        let files = draft.alternatives.iter().chain(&draft.attachments);
        let texts = [&draft.text, &draft.html].into_iter().flatten().map(String::len);
        let total: usize = files.map(|file| file.content.len()).chain(texts).sum();
        if total > MAX_CONTENT {
            self.add("", "too_large", "the message is too large");
        }
    }
}

/// RFC 6901 §3.
fn escape_pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// RFC 5322 §3.6.8: `field-name = 1*ftext`
fn is_field_name(name: &str) -> bool {
    (1..=76).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

/// RFC 5322 §3.6.4 `msg-id`, with the lenient insides that real ids have.
pub(crate) fn is_message_id(id: &str) -> bool {
    let inside = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    inside.is_some_and(|id| {
        is_id_content(id)
            && id.split_once('@').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty())
    })
}

fn is_id_content(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>')
}

pub(super) fn strip_brackets(id: &str) -> &str {
    id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id)
}

/// RFC 2045 §5.1, with parameters that are tokens with printable values.
fn is_content_type(text: &str) -> bool {
    let parsed = params::parse(text.as_bytes());
    let Some((kind, subtype)) = parsed.value.split_once('/') else {
        return false;
    };
    let params_fine = parsed.params.iter().all(|(name, value)| {
        params::is_token(name)
            && !name.contains(['*', '\'', '%'])
            && !value.chars().any(is_forbidden)
    });
    params::is_token(kind) && params::is_token(subtype) && kind != "multipart" && params_fine
}
