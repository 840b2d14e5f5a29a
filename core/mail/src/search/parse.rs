//! The query language.
//!
//! ```text
//! query    = any-of
//! any-of   = all-of *( ("OR" / "|") all-of )
//! all-of   = 1*( ["AND"] unary )
//! unary    = ( "-" / "NOT" ) unary / "(" any-of ")" / [ operator ":" ] value
//! value    = DQUOTE *any DQUOTE ["*"] / "(" any-of ")" / *nonspace
//! ```
//!
//! Never fails on words: what is no known operator is a word, what is not closed ends with the text.
//! Only values that an operator cannot mean are faults.

use time::{Date, Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    query::{Expr, Field, Filter, Leaf, Query},
    words::{KINDS, Tokens, is_dense, whole_address},
};

/// Most octets of a query.
pub const MAX_QUERY: usize = 1000;
/// Most words of a query.
const MAX_TERMS: usize = 100;
/// Deepest nesting of parentheses; deeper ones are ignored.
const MAX_DEPTH: usize = 10;

const FLAGS: [(&str, &str, bool); 17] = [
    ("seen", "\\Seen", true),
    ("read", "\\Seen", true),
    ("unseen", "\\Seen", false),
    ("unread", "\\Seen", false),
    ("answered", "\\Answered", true),
    ("replied", "\\Answered", true),
    ("flagged", "\\Flagged", true),
    ("starred", "\\Flagged", true),
    ("unflagged", "\\Flagged", false),
    ("deleted", "\\Deleted", true),
    ("draft", "\\Draft", true),
    ("forwarded", "$Forwarded", true),
    ("junk", "$Junk", true),
    ("spam", "$Junk", true),
    ("notjunk", "$NotJunk", true),
    ("phishing", "$Phishing", true),
    ("mdnsent", "$MDNSent", true),
];

/// Reads a query at the time `now`, or tells everything that is wrong with it.
///
/// # Errors
/// Sentences for people.
pub fn parse(text: &str, now: OffsetDateTime) -> Result<Query, Vec<String>> {
    if text.len() > MAX_QUERY {
        return Err(vec![format!("a search has at most {MAX_QUERY} octets")]);
    }
    let mut parser = Parser { rest: text, now, faults: Vec::new(), terms: 0, depth: 0 };
    let mut trees = Vec::new();
    while !parser.rest.is_empty() {
        trees.extend(parser.any_of(Field::Any));
        // A parenthesis that was never opened.
        parser.take(')');
    }
    let mut query = Query::default();
    let mut words = Vec::new();
    let tree = Tree::all(trees);
    let top = if let Some(Tree::And(items)) = tree { items } else { Vec::from_iter(tree) };
    for item in top {
        match item {
            Tree::Filter(filter) => query.filters.push(filter),
            other => words.extend(parser.words_only(other)),
        }
    }
    if parser.terms > MAX_TERMS {
        parser.faults.push(format!("a search has at most {MAX_TERMS} words"));
    }
    query.words = joined(words, Expr::And);
    if parser.faults.is_empty() { Ok(query) } else { Err(parser.faults) }
}

/// All words of a text, in one field; what is in quotes stands together. No operators. None: there
/// is no letter or digit in the text.
pub fn words_in(field: Field, text: &str) -> Option<Expr> {
    let pieces = text.split('"').enumerate();
    let items = pieces.flat_map(|(index, piece)| {
        let quoted = index % 2 == 1;
        let words = piece.split(move |c: char| !quoted && c.is_whitespace());
        words.filter_map(move |word| match bare_leaf(field, word)? {
            Tree::Leaf(leaf) => Some(Expr::Leaf(leaf)),
            _ => None,
        })
    });
    joined(items.take(MAX_TERMS).collect(), Expr::And)
}

/// Words and filters as they were typed.
enum Tree {
    Leaf(Leaf),
    Filter(Filter),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
}

impl Tree {
    fn all(items: Vec<Self>) -> Option<Self> {
        let mut flat = Vec::new();
        for item in items {
            match item {
                Self::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() > 1 { Some(Self::And(flat)) } else { flat.pop() }
    }

    fn one_of(mut items: Vec<Self>) -> Option<Self> {
        if items.len() > 1 { Some(Self::Or(items)) } else { items.pop() }
    }

    fn negated(self) -> Self {
        match self {
            Self::Filter(Filter::Flag(name, set)) => Self::Filter(Filter::Flag(name, !set)),
            Self::Filter(Filter::Keyword(name, set)) => Self::Filter(Filter::Keyword(name, !set)),
            Self::Filter(Filter::Mailbox(name, set)) => Self::Filter(Filter::Mailbox(name, !set)),
            Self::Filter(Filter::Since(at)) => Self::Filter(Filter::Before(at)),
            Self::Filter(Filter::Before(at)) => Self::Filter(Filter::Since(at)),
            Self::Filter(Filter::Larger(size)) => {
                Self::Filter(Filter::Smaller(size.saturating_add(1)))
            }
            Self::Filter(Filter::Smaller(size)) => {
                Self::Filter(Filter::Larger(size.saturating_sub(1)))
            }
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}

fn joined(mut items: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Option<Expr> {
    if items.len() > 1 { Some(join(items)) } else { items.pop() }
}

struct Parser<'a> {
    rest: &'a str,
    now: OffsetDateTime,
    faults: Vec<String>,
    terms: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn take(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes a word of the language itself, such as OR.
    fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        let is_end = |c: char| c.is_whitespace() || matches!(c, '(' | ')');
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with(is_end));
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn at_end(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with(')')
    }

    fn any_of(&mut self, field: Field) -> Option<Tree> {
        let mut branches = Vec::new();
        loop {
            branches.extend(self.all_of(field));
            if !(self.take_word("OR") || self.take('|')) {
                return Tree::one_of(branches);
            }
        }
    }

    fn all_of(&mut self, field: Field) -> Option<Tree> {
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if self.at_end() || self.rest.starts_with('|') {
                break;
            }
            if self.take_word("AND") {
                continue;
            }
            let before_or = self.rest;
            if self.take_word("OR") {
                self.rest = before_or;
                break;
            }
            items.extend(self.unary(field));
        }
        Tree::all(items)
    }

    fn unary(&mut self, field: Field) -> Option<Tree> {
        let mut negated = false;
        loop {
            if self.take_word("NOT") {
                self.skip_space();
            } else if !self.take('-') {
                break;
            }
            negated = !negated;
        }
        if self.at_end() || self.rest.starts_with(char::is_whitespace) {
            return None;
        }
        let tree = self.primary(field)?;
        Some(if negated { tree.negated() } else { tree })
    }

    fn primary(&mut self, field: Field) -> Option<Tree> {
        if self.rest.starts_with('(') {
            return self.group(field);
        }
        self.terms += 1;
        if let Some(text) = self.quoted() {
            let prefix = self.take('*');
            return leaf(field, text, prefix).map(Tree::Leaf);
        }
        let text = self.bare();
        let Some((name, value)) = text.split_once(':') else {
            return bare_leaf(field, text);
        };
        match word_field(name) {
            Some(field) if value.is_empty() => self.value_of(field),
            Some(field) => bare_leaf(field, value),
            None if is_operator(name) => self.operator(&name.to_ascii_lowercase(), value),
            None => bare_leaf(field, text),
        }
    }

    /// What follows `from:` when that is not a plain word.
    fn value_of(&mut self, field: Field) -> Option<Tree> {
        if self.rest.starts_with('(') {
            return self.group(field);
        }
        let text = self.quoted()?;
        let prefix = self.take('*');
        leaf(field, text, prefix).map(Tree::Leaf)
    }

    fn group(&mut self, field: Field) -> Option<Tree> {
        self.take('(');
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let tree = self.any_of(field);
        self.depth -= 1;
        self.take(')');
        tree
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let inside = self.rest.strip_prefix('"')?;
        let (text, rest) = inside.split_once('"').unwrap_or((inside, ""));
        self.rest = rest;
        Some(text)
    }

    fn bare(&mut self) -> &'a str {
        let stop = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"');
        let end = self.rest.find(stop).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        text
    }

    /// An operator that is not about words.
    fn operator(&mut self, name: &str, value: &'a str) -> Option<Tree> {
        let value = if value.is_empty() { self.quoted().unwrap_or("") } else { value };
        if value.is_empty() {
            return None;
        }
        let tree = self.meaning(name, value);
        if tree.is_none() {
            self.faults.push(format!("{name}: cannot be {value:?}"));
        }
        tree
    }

    fn meaning(&self, name: &str, value: &str) -> Option<Tree> {
        let filter = match name {
            "has" => return fact(value, &KINDS),
            "is" => return is(value),
            "in" | "mailbox" => Filter::Mailbox(value.to_owned(), true),
            "keyword" | "label" | "tag" => Filter::Keyword(value.to_lowercase(), true),
            "before" | "until" => Filter::Before(time(value)?),
            "after" | "since" => Filter::Since(time(value)?),
            "older_than" => Filter::Before(self.ago(value)?),
            "newer_than" => Filter::Since(self.ago(value)?),
            "larger" => Filter::Larger(size(value)?),
            _ => Filter::Smaller(size(value)?),
        };
        Some(Tree::Filter(filter))
    }

    /// `7d`, `2w`, `3m`, `1y` before now.
    fn ago(&self, value: &str) -> Option<OffsetDateTime> {
        let unit = value.chars().next_back()?;
        let days = match unit.to_ascii_lowercase() {
            'd' => 1,
            'w' => 7,
            'm' => 30,
            'y' => 365,
            _ => return None,
        };
        let number: u16 = value.strip_suffix(unit)?.parse().ok()?;
        self.now.checked_sub(Duration::days(i64::from(number).checked_mul(days)?))
    }

    /// What can be looked for among words: filters can only be asked for beside everything else.
    fn words_only(&mut self, tree: Tree) -> Option<Expr> {
        match tree {
            Tree::Leaf(leaf) => Some(Expr::Leaf(leaf)),
            Tree::Filter(_) => {
                let detail = "is:, in:, keyword:, before:, after:, larger: and smaller: cannot \
                              stand in OR or behind a minus sign with others";
                self.faults.push(detail.to_owned());
                None
            }
            Tree::Not(inner) => Some(Expr::Not(Box::new(self.words_only(*inner)?))),
            Tree::And(items) => {
                let items: Vec<Expr> =
                    items.into_iter().filter_map(|item| self.words_only(item)).collect();
                joined(items, Expr::And)
            }
            Tree::Or(items) => {
                let items: Vec<Expr> =
                    items.into_iter().filter_map(|item| self.words_only(item)).collect();
                joined(items, Expr::Or)
            }
        }
    }
}

/// Whether this is the name of an operator that is not about words.
fn is_operator(name: &str) -> bool {
    let known = ["has", "is", "in", "mailbox", "keyword", "label", "tag", "before", "until"]
        .into_iter()
        .chain(["after", "since", "older_than", "newer_than", "larger", "smaller"]);
    let mut known = known;
    known.any(|known| known.eq_ignore_ascii_case(name))
}

fn word_field(name: &str) -> Option<Field> {
    Some(match name.to_ascii_lowercase().as_str() {
        "subject" => Field::Subject,
        "from" => Field::From,
        "to" => Field::To,
        "cc" => Field::Cc,
        "filename" => Field::Filename,
        _ => return None,
    })
}

fn bare_leaf(field: Field, text: &str) -> Option<Tree> {
    let typed = text.strip_suffix('*').unwrap_or(text);
    leaf(field, typed, typed != text).map(Tree::Leaf)
}

/// Words as they are in the index; none: there is no letter or digit in the text.
pub(super) fn leaf(field: Field, text: &str, prefix: bool) -> Option<Leaf> {
    let addresses = !matches!(field, Field::Subject | Field::Filename);
    let typed = text.to_owned();
    if addresses && let Some(whole) = whole_address(text) {
        return Some(Leaf { field, words: vec![whole], prefix, typed });
    }
    let mut words: Vec<String> = Tokens::new(text).collect();
    let mut prefix = prefix;
    if let Some(last) =
        words.pop_if(|word| word.chars().all(is_dense) && word.chars().nth(1).is_none())
    {
        // The last character of a run stands alone in the index only where the run ends there, too.
        let in_pair = |pair: &String| pair.chars().nth(1).is_some() && pair.ends_with(&last);
        if !words.last().is_some_and(|pair| pair.chars().all(is_dense) && in_pair(pair)) {
            words.push(last);
            prefix = true;
        }
    }
    (!words.is_empty()).then_some(Leaf { field, words, prefix, typed })
}

fn fact(value: &str, known: &[&'static str]) -> Option<Tree> {
    let value = value.to_ascii_lowercase();
    let singular = value.strip_suffix('s').unwrap_or(&value);
    let fact = known.iter().find(|fact| **fact == value || **fact == singular)?;
    let Expr::Leaf(leaf) = Expr::fact(fact) else { return None };
    Some(Tree::Leaf(leaf))
}

fn is(value: &str) -> Option<Tree> {
    let value = value.to_ascii_lowercase();
    let flag = FLAGS.iter().find(|(name, ..)| *name == value);
    if let Some((_, flag, set)) = flag {
        return Some(Tree::Filter(Filter::Flag(flag, *set)));
    }
    let value = if value == "bounce" { "dsn" } else { &value };
    fact(value, &["list", "automated", "dsn"])
}

/// A day, which begins at midnight UTC, or a time of RFC 3339.
fn time(value: &str) -> Option<OffsetDateTime> {
    if let Ok(at) = OffsetDateTime::parse(value, &Rfc3339) {
        return Some(at);
    }
    let mut numbers = value.split(['-', '/']);
    let year: i32 = numbers.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let month: u8 = numbers.next()?.parse().ok()?;
    let day: u8 = numbers.next()?.parse().ok()?;
    let date = Date::from_calendar_date(year, month.try_into().ok()?, day).ok()?;
    numbers.next().is_none().then(|| date.midnight().assume_utc())
}

/// Octets; `k`, `M` and `G` are powers of 1,024.
fn size(value: &str) -> Option<u64> {
    let unit = value.trim_end_matches(['b', 'B']);
    let (digits, factor) = match unit.chars().next_back()?.to_ascii_lowercase() {
        'k' => (1, 1 << 10),
        'm' => (1, 1 << 20),
        'g' => (1, 1 << 30),
        _ => (0, 1),
    };
    let number: u64 = unit.get(..unit.len() - digits)?.parse().ok()?;
    number.checked_mul(factor)
}
