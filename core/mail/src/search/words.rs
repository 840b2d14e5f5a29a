//! From text to words: Unicode compatibility forms, case and accents folded, pairs of characters for
//! scripts that put no spaces between words.

use mail_parser::decoders::html::html_to_text;
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

use super::query::Field;
use crate::{
    address::EmailAddress,
    parse::{AttachmentInfo, ParsedMail},
};

/// Characters of a word that count.
const MAX_WORD: usize = 40;
/// Words of a mail that it is found by. A position in Postgres ends at 16,383.
const MAX_WORDS: usize = 8000;
/// Of these, words in addresses and file names.
const MAX_HEADER_WORDS: usize = 3000;
/// Most HTML that is read for words.
const MAX_HTML: usize = 256 * 1024;

/// What a mail is found by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// `field word position`, a line each.
    lines: String,
    count: usize,
    position: usize,
}

impl Words {
    /// Field, word and position of each.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &str, usize)> {
        self.lines.lines().filter_map(|line| {
            let mut columns = line.split(' ');
            let field = Field::of_letter(columns.next()?.chars().next()?)?;
            Some((field, columns.next()?, columns.next()?.parse().ok()?))
        })
    }

    /// How many octets [`Self::iter`] gives.
    pub const fn size(&self) -> usize {
        self.lines.len()
    }

    /// No words yet; what is added comes after these.
    #[must_use]
    pub fn after(&self) -> Self {
        Self { position: self.position, ..Self::default() }
    }

    /// Adds an address that stands in no header field, such as the recipient of the envelope.
    pub fn add_address(&mut self, field: Field, address: &str) {
        self.email(&[field], address);
    }

    fn push(&mut self, fields: &[Field], word: &str) {
        for field in fields.iter().chain([&Field::Any]) {
            self.lines.push(field.letter());
            self.lines.push(' ');
            self.lines.push_str(word);
            self.lines.push(' ');
            self.lines.push_str(&self.position.to_string());
            self.lines.push('\n');
        }
        self.count += 1;
        self.position += 1;
    }

    fn text(&mut self, fields: &[Field], text: &str, most: usize) {
        let mut tokens = Tokens::new(text);
        let before = self.count;
        while self.count < most
            && let Some(word) = tokens.next()
        {
            self.push(fields, &word);
        }
        // No phrase goes from one field into the next.
        self.position += usize::from(self.count > before);
    }

    fn addresses(&mut self, fields: &[Field], addresses: &[EmailAddress]) {
        for address in addresses {
            if self.count >= MAX_HEADER_WORDS {
                return;
            }
            self.text(fields, address.name.as_deref().unwrap_or(""), MAX_HEADER_WORDS);
            self.email(fields, &address.email);
        }
    }

    /// An address is found as a whole, by its domain, and by its words.
    fn email(&mut self, fields: &[Field], email: &str) {
        if let Some(whole) = whole_address(email) {
            self.push(fields, &whole);
            let at = whole.rfind('@').unwrap_or(0);
            self.push(fields, whole.get(at..).unwrap_or(""));
        }
        self.text(fields, email, MAX_HEADER_WORDS);
    }

    /// Something that is true of a mail.
    fn fact(&mut self, fact: &str) {
        self.lines.push(Field::Has.letter());
        self.lines.push(' ');
        self.lines.push_str(fact);
        self.lines.push_str(" 1\n");
    }
}

/// The words that a mail is found by: subject, addresses, names of files, text; at most 8,000.
pub fn index(mail: &ParsedMail) -> Words {
    let mut words = Words { position: 1, ..Words::default() };
    let envelope = &mail.envelope;
    words.text(&[Field::Subject], envelope.subject.as_deref().unwrap_or(""), MAX_HEADER_WORDS);
    words.addresses(&[Field::From], &envelope.from);
    words.addresses(&[Field::From], &envelope.sender);
    words.addresses(&[Field::To], &envelope.to);
    words.addresses(&[Field::To, Field::Cc], &envelope.cc);
    words.addresses(&[Field::To], &envelope.bcc);
    for file in &mail.attachments {
        words.text(&[Field::Filename], file.filename.as_deref().unwrap_or(""), MAX_HEADER_WORDS);
    }
    facts(&mut words, mail);
    match (&mail.text, &mail.html) {
        (Some(text), _) if !text.trim().is_empty() => words.text(&[], text, MAX_WORDS),
        (_, Some(html)) => words.text(&[], &html_text(html), MAX_WORDS),
        _ => {}
    }
    words
}

fn html_text(html: &str) -> String {
    html_to_text(html.get(..html.floor_char_boundary(MAX_HTML)).unwrap_or(""))
}

fn facts(words: &mut Words, mail: &ParsedMail) {
    let mut kinds: Vec<&str> = Vec::new();
    for file in mail.attachments.iter().filter(|file| !file.inline) {
        kinds.push("attachment");
        kinds.extend(kind(file));
    }
    kinds.extend(mail.list.then_some("list"));
    kinds.extend(mail.automated.then_some("automated"));
    kinds.extend(mail.is_dsn.then_some("dsn"));
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        words.fact(kind);
    }
}

/// The kind of a file as people name it (FEATURES P3).
fn kind(file: &AttachmentInfo) -> Option<&'static str> {
    let name = file.filename.as_deref().unwrap_or("").to_lowercase();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let kind = file.content_type.as_str();
    match extension {
        _ if kind.starts_with("image/") => Some("image"),
        "pdf" => Some("pdf"),
        "zip" | "gz" | "tgz" | "tar" | "bz2" | "xz" | "7z" | "rar" => Some("archive"),
        "xls" | "xlsx" | "ods" | "csv" => Some("spreadsheet"),
        "doc" | "docx" | "odt" | "rtf" => Some("document"),
        "ppt" | "pptx" | "odp" | "key" => Some("presentation"),
        _ if kind == "application/pdf" => Some("pdf"),
        _ if kind.starts_with("video/") => Some("video"),
        _ if kind.starts_with("audio/") => Some("audio"),
        _ => None,
    }
}

/// Kinds of files that can be asked for.
pub(super) const KINDS: [&str; 9] = [
    "attachment",
    "image",
    "pdf",
    "archive",
    "spreadsheet",
    "document",
    "presentation",
    "video",
    "audio",
];

/// An address as one word, if it can be one.
pub(super) fn whole_address(email: &str) -> Option<String> {
    let whole: String = folded(email.trim()).collect();
    let fits = whole.len() <= 254
        && whole.contains('@')
        && !whole.chars().any(|c| c.is_whitespace() || c.is_control());
    fits.then_some(whole)
}

/// Text without differences that do not matter to people.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.nfkd().filter(|c| !is_dropped(*c)).nfc().flat_map(Fold::of)
}

/// Accents and vowel points, and what has no width.
fn is_dropped(c: char) -> bool {
    matches!(u32::from(c),
        0x300..=0x36f | 0x591..=0x5bd | 0x5bf | 0x5c1 | 0x5c2 | 0x5c4 | 0x5c5 | 0x5c7
        | 0x610..=0x61a | 0x64b..=0x65f | 0x670 | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff
        | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f
        | 0xad | 0x200b..=0x200f | 0x2060 | 0xfeff)
}

/// A character as it is compared; letters with a stroke have no decomposition in Unicode.
enum Fold {
    Lower(std::char::ToLowercase),
    Text(std::str::Chars<'static>),
}

impl Fold {
    fn of(c: char) -> Self {
        let text = match c {
            'ß' | 'ẞ' => "ss",
            'æ' | 'Æ' => "ae",
            'œ' | 'Œ' => "oe",
            'ø' | 'Ø' => "o",
            'ł' | 'Ł' => "l",
            'đ' | 'Đ' | 'ð' | 'Ð' => "d",
            'ı' | 'İ' => "i",
            'ς' => "σ",
            _ => return Self::Lower(c.to_lowercase()),
        };
        Self::Text(text.chars())
    }
}

impl Iterator for Fold {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self {
            Self::Lower(chars) => chars.next(),
            Self::Text(chars) => chars.next(),
        }
    }
}

/// Scripts written without spaces: Thai to Myanmar, Khmer, Kana, Han, Hangul.
pub(super) fn is_dense(c: char) -> bool {
    matches!(u32::from(c),
        0xe00..=0xeff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3005..=0x3007 | 0x3040..=0x30ff
        | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7af
        | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// The words of a text, in order. A run of a dense script gives each pair of neighbours, and its
/// last character alone.
pub(super) struct Tokens<'a> {
    rest: std::iter::Peekable<Box<dyn Iterator<Item = char> + 'a>>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let rest: Box<dyn Iterator<Item = char>> = Box::new(folded(text));
        Self { rest: rest.peekable() }
    }
}

impl Iterator for Tokens<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let first = self.rest.find(|c| is_word(*c))?;
        let mut word = String::from(first);
        if is_dense(first) {
            word.extend(self.rest.peek().filter(|c| is_dense(**c) && is_word(**c)));
            return Some(word);
        }
        let mut length = 1;
        while let Some(c) = self.rest.next_if(|c| is_word(*c) && !is_dense(*c)) {
            if length < MAX_WORD {
                word.push(c);
            }
            length += 1;
        }
        Some(word)
    }
}
