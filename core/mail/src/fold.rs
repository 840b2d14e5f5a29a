//! Writing header fields: folded at 78 columns where the text allows it, never beyond 998 octets (RFC 5322 §2.1.1).

use crate::{
    address::{NamedAddress, quote_name},
    encoded_word,
};

const WIDTH: usize = 78;
/// Longest run without white space that is written as it is.
pub(crate) const MAX_RUN: usize = 900;

/// A header field being written.
pub(crate) struct Field<'a> {
    out: &'a mut Vec<u8>,
    column: usize,
}

impl<'a> Field<'a> {
    /// `Name:`
    pub(crate) fn new(out: &'a mut Vec<u8>, name: &str) -> Self {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        let column = name.len() + 1;
        Self { out, column }
    }

    /// White space and a piece that is not broken; a fold goes before the white space when the line gets too long.
    pub(crate) fn piece(&mut self, space: &str, piece: &str) {
        if self.column + space.len() + piece.len() > WIDTH && self.column > space.len() {
            self.out.extend_from_slice(b"\r\n");
            self.column = 0;
        }
        self.out.extend_from_slice(space.as_bytes());
        self.out.extend_from_slice(piece.as_bytes());
        self.column += space.len() + piece.len();
    }

    /// A word after one space.
    pub(crate) fn word(&mut self, word: &str) {
        self.piece(" ", word);
    }

    /// Text right after what is there, never folded.
    pub(crate) fn glue(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.column += text.len();
    }

    /// Text whose runs of white space are kept; they are where it may be folded.
    pub(crate) fn text(&mut self, text: &str) {
        let mut space = " ";
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find([' ', '\t']).unwrap_or(rest.len());
            let (word, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
            let next = tail.find(|c| c != ' ' && c != '\t').unwrap_or(tail.len());
            if self.is_at_start() {
                self.glue(space);
                self.glue(word);
            } else {
                self.piece(space, word);
            }
            (space, rest) = tail.split_at_checked(next).unwrap_or((tail, ""));
        }
    }

    /// Right after the colon a fold would leave a line with nothing but the name.
    fn is_at_start(&self) -> bool {
        self.out.last() == Some(&b':')
    }

    /// Text as encoded-words.
    pub(crate) fn encoded(&mut self, text: &str) {
        let room = (WIDTH - 1).saturating_sub(self.column);
        for word in encoded_word::encode(text, room) {
            self.word(&word);
        }
    }

    /// Mailboxes with commas between them.
    pub(crate) fn mailboxes(&mut self, list: &[NamedAddress]) {
        for (at, named) in list.iter().enumerate() {
            if at > 0 {
                self.glue(",");
            }
            let Some(name) = &named.name else {
                self.word(&named.address.to_string());
                continue;
            };
            if !name.is_ascii() || name.contains("=?") || has_long_run(name, WIDTH - 10) {
                self.encoded(name);
            } else {
                self.text(&quote_name(name));
            }
            self.word(&format!("<{}>", named.address));
        }
    }

    /// Line end of the field.
    pub(crate) fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

/// A field of free text: exact, encoded where ASCII or the fold would not carry it.
pub(crate) fn unstructured(out: &mut Vec<u8>, name: &str, value: &str) {
    let encode = value.contains("=?") || needs_encoding(value);
    write_text(out, name, value, encode);
}

/// A field whose value a caller wrote: encoded-words in it stay as they are.
pub(crate) fn custom(out: &mut Vec<u8>, name: &str, value: &str) {
    write_text(out, name, value.trim_matches([' ', '\t']), needs_encoding(value));
}

fn write_text(out: &mut Vec<u8>, name: &str, value: &str, encode: bool) {
    let mut field = Field::new(out, name);
    if encode {
        field.encoded(value);
    } else {
        field.text(value);
    }
    field.end();
}

fn needs_encoding(value: &str) -> bool {
    !value.is_ascii()
        || value.starts_with([' ', '\t'])
        || value.ends_with([' ', '\t'])
        || has_long_run(value, MAX_RUN)
}

/// Octets as hexadecimal digits.
pub(crate) fn hex(octets: &[u8]) -> String {
    let nibble = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    octets.iter().flat_map(|b| [nibble(b >> 4), nibble(b & 15)]).collect()
}

/// Whether there is a run of white space, or of other characters, that folding cannot break.
pub(crate) fn has_long_run(text: &str, limit: usize) -> bool {
    let mut run = 0;
    let mut was_space = false;
    for c in text.chars() {
        let is_space = matches!(c, ' ' | '\t');
        if is_space != was_space {
            run = 0;
            was_space = is_space;
        }
        run += c.len_utf8();
        if run > limit || (is_space && run > WIDTH / 2) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_and_unfolds() {
        for value in [
            "short".to_owned(),
            "word ".repeat(60).trim_end().to_owned(),
            "two  spaces\tand tabs ".repeat(20).trim_end().to_owned(),
            "x".repeat(2000),
            " lead".to_owned(),
            "a".to_owned() + &" ".repeat(3000) + "b",
            "日本語 text ".repeat(30),
            "=?utf-8?q?literal?=".to_owned(),
        ] {
            let mut out = Vec::new();
            unstructured(&mut out, "Subject", &value);
            let raw = String::from_utf8(out).unwrap();
            assert!(raw.is_ascii() && raw.lines().all(|line| line.len() <= 78), "{raw}");
            assert!(raw.lines().all(|line| !line.trim().is_empty()));
            let (_, written) = raw.split_once(':').unwrap();
            assert_eq!(encoded_word::decode_text(written.as_bytes()), value);
        }
    }
}
