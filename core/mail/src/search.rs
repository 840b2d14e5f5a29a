//! Searching mail: the words that a mail is found by, and what people type to find it.
//!
//! No language is assumed: words are compared without case and accents ([`words`]), scripts without
//! spaces by pairs of characters. The query language is that of web mail programs ([`Query`]):
//! `"a phrase" -not from:bob has:attachment before:2026-01-31`. Stemming and ranking are absent.

mod parse;
mod query;
mod words;

pub use parse::{MAX_QUERY, parse, words_in};
pub use query::{Expr, Field, Filter, Leaf, Query};
pub use words::{Words, index};

#[cfg(test)]
mod tests;
