//! From words and conditions to what the database can look up.
//!
//! A lexeme in `mail_search` is a mark of the account, the letter of a field, and the word: so the
//! postings of an account are its own, and a search costs what its own mail costs. The mark alone
//! stands in every row, for searches that only exclude.

use std::fmt::Write as _;

use posthouse_mail::search::{self, Expr, Field, Filter, Query, Words};
use time::OffsetDateTime;

use super::{FLAGS, MailFilter};
use crate::{
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{Account, Id},
};

/// Most octets of a parameter that words are looked for by.
const MAX_TEXT: usize = search::MAX_QUERY;

/// A filter as the database takes it.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// `tsquery` over `mail_search.words`.
    pub words: Option<String>,
    /// Words that follow each other: the index alone cannot tell.
    pub has_phrase: bool,
    /// Header field Message-ID, with angle brackets.
    pub internet_message_id: Option<String>,
    /// Flags that are set.
    pub flags: i32,
    /// Flags that are not set.
    pub not_flags: i32,
    /// All of these.
    pub keywords: Vec<String>,
    /// None of these.
    pub not_keywords: Vec<String>,
    /// In one of these, by lower-case name or role.
    pub mailboxes: Vec<String>,
    /// In none of these.
    pub not_mailboxes: Vec<String>,
    pub since: Option<OffsetDateTime>,
    pub until: Option<OffsetDateTime>,
    pub min_size: i64,
    pub max_size: i64,
}

impl Conditions {
    /// Reads a filter.
    ///
    /// # Errors
    /// `InvalidInput` with everything that is wrong.
    pub(super) fn new(cx: &Cx, filter: &MailFilter) -> Result<Self> {
        let mut conditions = Self {
            since: filter.since,
            until: filter.until,
            min_size: size(filter.min_size_bytes.unwrap_or(0)),
            max_size: filter.max_size_bytes.map_or(i64::MAX, size),
            keywords: filter.keywords.iter().map(|word| word.to_lowercase()).collect(),
            not_keywords: filter.not_keywords.iter().map(|word| word.to_lowercase()).collect(),
            ..Self::default()
        };
        let mut faults = Vec::new();
        no_nul(filter, &mut faults);
        let id = filter.internet_message_id.as_deref();
        conditions.internet_message_id =
            id.map(|id| format!("<{}>", id.trim_start_matches('<').trim_end_matches('>')));
        conditions.flags = mask(&filter.flags, "/flag", &mut faults);
        conditions.not_flags = mask(&filter.not_flags, "/not_flag", &mut faults);
        conditions.not_flags |= if filter.unseen { super::SEEN } else { 0 };
        let mut exprs = words(filter, &mut faults);
        if let Some(text) = &filter.query {
            match search::parse(text, cx.now()) {
                Ok(query) => conditions.add(query, &mut exprs),
                Err(found) => {
                    faults.push(FieldError::new("/q", "invalid_query", found.join("; ")));
                }
            }
        }
        Error::unless_empty(faults)?;
        conditions.has_phrase = exprs.iter().any(has_phrase);
        conditions.words = tsquery(cx.account(), exprs);
        Ok(conditions)
    }

    fn add(&mut self, query: Query, exprs: &mut Vec<Expr>) {
        exprs.extend(query.words);
        for filter in query.filters {
            match filter {
                Filter::Flag(name, true) => self.flags |= bit(name).unwrap_or(0),
                Filter::Flag(name, false) => self.not_flags |= bit(name).unwrap_or(0),
                Filter::Keyword(name, true) => self.keywords.push(name),
                Filter::Keyword(name, false) => self.not_keywords.push(name),
                Filter::Mailbox(name, true) => self.mailboxes.push(name.to_lowercase()),
                Filter::Mailbox(name, false) => self.not_mailboxes.push(name.to_lowercase()),
                Filter::Since(at) => self.since = self.since.max(Some(at)),
                Filter::Before(at) => {
                    self.until = Some(self.until.map_or(at, |until| until.min(at)));
                }
                Filter::Larger(octets) => {
                    self.min_size = self.min_size.max(size(octets.saturating_add(1)));
                }
                Filter::Smaller(octets) => {
                    self.max_size = self.max_size.min(size(octets).saturating_sub(1));
                }
            }
        }
    }
}

/// Postgres cannot look for NUL.
fn no_nul(filter: &MailFilter, faults: &mut Vec<FieldError>) {
    let texts = [("/q", &filter.query), ("/message_id", &filter.internet_message_id)];
    let texts = texts.into_iter().filter_map(|(at, text)| Some((at, text.as_ref()?)));
    let keywords = filter.keywords.iter().map(|text| ("/keyword", text));
    let not_keywords = filter.not_keywords.iter().map(|text| ("/not_keyword", text));
    for (pointer, text) in texts.chain(keywords).chain(not_keywords) {
        if text.contains('\0') {
            faults.push(FieldError::new(pointer, "control_character", "NUL is not allowed"));
        }
    }
}

fn size(octets: u64) -> i64 {
    i64::try_from(octets).unwrap_or(i64::MAX)
}

/// The bit of a flag; its name in any case.
fn bit(name: &str) -> Option<i32> {
    let place = FLAGS.iter().position(|flag| flag.eq_ignore_ascii_case(name))?;
    1_i32.checked_shl(u32::try_from(place).ok()?)
}

fn mask(names: &[String], pointer: &str, faults: &mut Vec<FieldError>) -> i32 {
    let mut mask = 0;
    for name in names {
        if let Some(bit) = bit(name) {
            mask |= bit;
        } else {
            let detail = format!("there is no flag {name:?}; there are {}", FLAGS.join(", "));
            faults.push(FieldError::new(pointer, "invalid_value", detail));
        }
    }
    mask
}

/// What the parameters of one field each ask for.
fn words(filter: &MailFilter, faults: &mut Vec<FieldError>) -> Vec<Expr> {
    let mut exprs = Vec::new();
    for (field, pointer, text) in [
        (Field::Subject, "/subject", &filter.subject),
        (Field::From, "/from", &filter.from),
        (Field::To, "/to", &filter.to),
        (Field::Any, "/text", &filter.text),
    ] {
        let Some(text) = text else { continue };
        if text.len() > MAX_TEXT {
            let detail = format!("at most {MAX_TEXT} octets can be looked for");
            faults.push(FieldError::new(pointer, "too_long", detail));
            continue;
        }
        exprs.extend(search::words_in(field, text));
    }
    if let Some(wanted) = filter.has_attachment {
        let fact = Expr::fact("attachment");
        exprs.push(if wanted { fact } else { Expr::Not(Box::new(fact)) });
    }
    exprs
}

/// What marks the words of an account: other accounts may have the same, which costs time only.
fn mark(account: Id<Account>) -> String {
    format!("{:08x}", account.uuid().as_u128() & 0xffff_ffff)
}

/// A lexeme in quotes, as `tsvector` and `tsquery` take it.
fn lexeme(out: &mut String, mark: &str, field: Field, word: &str) {
    out.push('\'');
    out.push_str(mark);
    out.push(field.letter());
    for c in word.chars() {
        if matches!(c, '\'' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
}

/// The words of a mail as a `tsvector`. `recipient` is that of the envelope, if there is one.
pub(super) fn tsvector(account: Id<Account>, words: &Words, recipient: Option<&str>) -> String {
    let mark = mark(account);
    let mut more = words.after();
    if let Some(recipient) = recipient {
        more.add_address(Field::To, recipient);
    }
    let mut out = String::with_capacity(words.size() * 2);
    // Writing into a string never fails.
    let _ = write!(out, "'{mark}':1");
    for (field, word, position) in words.iter().chain(more.iter()) {
        out.push(' ');
        lexeme(&mut out, &mark, field, word);
        let _ = write!(out, ":{position}");
    }
    out
}

fn tsquery(account: Id<Account>, mut exprs: Vec<Expr>) -> Option<String> {
    let mark = mark(account);
    let expr = if exprs.len() > 1 { Expr::And(exprs) } else { exprs.pop()? };
    let mut out = String::new();
    if excludes_only(&expr) {
        let _ = write!(out, "'{mark}' & ");
    }
    write_expr(&mut out, &mark, &expr);
    Some(out)
}

/// Whether a mail without any of the words could be found.
fn excludes_only(expr: &Expr) -> bool {
    match expr {
        Expr::Leaf(_) => false,
        Expr::Not(_) => true,
        Expr::And(items) => items.iter().all(excludes_only),
        Expr::Or(items) => items.iter().any(excludes_only),
    }
}

fn has_phrase(expr: &Expr) -> bool {
    match expr {
        Expr::Leaf(leaf) => leaf.words.len() > 1,
        Expr::Not(inner) => has_phrase(inner),
        Expr::And(items) | Expr::Or(items) => items.iter().any(has_phrase),
    }
}

/// The parser of queries bounds the depth.
fn write_expr(out: &mut String, mark: &str, expr: &Expr) {
    let (items, between) = match expr {
        Expr::Leaf(leaf) => {
            out.push('(');
            for (index, word) in leaf.words.iter().enumerate() {
                out.push_str(if index > 0 { " <-> " } else { "" });
                lexeme(out, mark, leaf.field, word);
            }
            out.push_str(if leaf.prefix { ":*)" } else { ")" });
            return;
        }
        Expr::Not(inner) => {
            out.push('!');
            return write_expr(out, mark, inner);
        }
        Expr::And(items) => (items, " & "),
        Expr::Or(items) => (items, " | "),
    };
    out.push('(');
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index > 0 { between } else { "" });
        write_expr(out, mark, item);
    }
    out.push(')');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Id<Account> {
        uuid::Uuid::from_u128(0x1234_5678).into()
    }

    fn query(text: &str) -> String {
        let query = search::parse(text, OffsetDateTime::UNIX_EPOCH).unwrap();
        tsquery(account(), Vec::from_iter(query.words)).unwrap()
    }

    #[test]
    fn queries_are_within_the_account() {
        for (text, expected) in [
            ("Foo", "('12345678wfoo')"),
            ("subject:foo*", "('12345678sfoo':*)"),
            ("\"a b\" -c", "(('12345678wa' <-> '12345678wb') & !('12345678wc'))"),
            ("-a", "'12345678' & !('12345678wa')"),
            ("a OR -b", "'12345678' & (('12345678wa') | !('12345678wb'))"),
            ("from:o'x\\y@z", "('12345678fo''x\\\\y@z')"),
        ] {
            assert_eq!(query(text), expected, "{text}");
        }
    }
}
