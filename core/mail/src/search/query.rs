//! What is searched for, as a tree; its `Display` is the canonical spelling.

use std::fmt::{self, Write as _};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Anywhere: subject, addresses, names of files, text.
    Any,
    /// The subject.
    Subject,
    /// Name or address in From or Sender.
    From,
    /// Name or address in To, Cc or Bcc, or the recipient of the envelope.
    To,
    /// Name or address in Cc.
    Cc,
    /// Name of a file.
    Filename,
    /// No word but a fact: `attachment`, `pdf`, `list` …
    Has,
}

impl Field {
    const ALL: [(Self, char, &'static str); 7] = [
        (Self::Any, 'w', ""),
        (Self::Subject, 's', "subject:"),
        (Self::From, 'f', "from:"),
        (Self::To, 't', "to:"),
        (Self::Cc, 'c', "cc:"),
        (Self::Filename, 'n', "filename:"),
        (Self::Has, 'h', "has:"),
    ];

    /// The letter that stands before words of this field in the index.
    pub fn letter(self) -> char {
        Self::ALL.iter().find(|(field, ..)| *field == self).map_or('w', |(_, letter, _)| *letter)
    }

    /// The field of a letter.
    pub fn of_letter(letter: char) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == letter).map(|(field, ..)| *field)
    }

    fn operator(self) -> &'static str {
        Self::ALL.iter().find(|(field, ..)| *field == self).map_or("", |(.., name)| *name)
    }
}

/// Words that follow each other in one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Where.
    pub field: Field,
    /// The words in order, never none.
    pub words: Vec<String>,
    /// The last word may be the beginning of one.
    pub prefix: bool,
    /// As it was typed, without quotes.
    pub(super) typed: String,
}

/// Which mails are found by their words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// These words.
    Leaf(Leaf),
    /// All of these; never none.
    And(Vec<Self>),
    /// One of these; never none.
    Or(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
}

impl Expr {
    /// A fact about a mail: `attachment`, `pdf`, `list` …
    pub fn fact(name: &str) -> Self {
        let name = name.to_owned();
        let words = vec![name.clone()];
        Self::Leaf(Leaf { field: Field::Has, words, prefix: false, typed: name })
    }
}

/// A condition on what is not in the words of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// A system flag is set, or is not.
    Flag(&'static str, bool),
    /// A keyword is set, or is not.
    Keyword(String, bool),
    /// In the mailbox with this name or role, or not.
    Mailbox(String, bool),
    /// Came in at or after this time.
    Since(OffsetDateTime),
    /// Came in before this time.
    Before(OffsetDateTime),
    /// More octets than this.
    Larger(u64),
    /// Fewer octets than this.
    Smaller(u64),
}

/// A search: all filters must hold, and the words be found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Words.
    pub words: Option<Expr>,
    /// Other conditions.
    pub filters: Vec<Filter>,
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field.operator())?;
        if self.field == Field::Has {
            return f.write_str(&self.typed);
        }
        write!(f, "\"{}\"", self.typed)?;
        if self.prefix { f.write_char('*') } else { Ok(()) }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (items, between) = match self {
            Self::Leaf(leaf) => return leaf.fmt(f),
            Self::Not(inner) => return write!(f, "-{inner}"),
            Self::And(items) => (items, " "),
            Self::Or(items) => (items, " OR "),
        };
        f.write_char('(')?;
        for (index, item) in items.iter().enumerate() {
            f.write_str(if index > 0 { between } else { "" })?;
            item.fmt(f)?;
        }
        f.write_char(')')
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |set: bool| if set { "" } else { "-" };
        let time = |at: &OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
        match self {
            Self::Flag(name, set) => {
                let name = name.trim_start_matches(['\\', '$']).to_lowercase();
                write!(f, "{}is:{name}", sign(*set))
            }
            Self::Keyword(name, set) => write!(f, "{}keyword:\"{name}\"", sign(*set)),
            Self::Mailbox(name, set) => write!(f, "{}in:\"{name}\"", sign(*set)),
            Self::Since(at) => write!(f, "after:{}", time(at)),
            Self::Before(at) => write!(f, "before:{}", time(at)),
            Self::Larger(size) => write!(f, "larger:{size}"),
            Self::Smaller(size) => write!(f, "smaller:{size}"),
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.iter().map(ToString::to_string);
        let parts: Vec<String> =
            words.chain(self.filters.iter().map(ToString::to_string)).collect();
        f.write_str(&parts.join(" "))
    }
}
