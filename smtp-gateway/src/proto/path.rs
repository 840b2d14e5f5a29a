//! Reverse-paths and forward-paths, RFC 5321 §4.1.2 with the characters of RFC 6531 §3.3.
//!
//! Source routes are parsed and dropped (RFC 5321 appendix C). Whether a domain name is one that
//! mail can be sent to is for whoever looks at the address next.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Longest local part in octets, RFC 5321 §4.5.3.1.1.
const MAX_LOCAL: usize = 64;
/// Longest domain in octets, RFC 5321 §4.5.3.1.2.
const MAX_DOMAIN: usize = 255;

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No `<`, or no `>` at the end.
    #[error("the address must stand between < and >")]
    Brackets,
    /// `<>` where a mailbox is needed.
    #[error("the address is empty")]
    Empty,
    /// The part before the `@`.
    #[error("the part before the @ is not valid")]
    LocalPart,
    /// The part after the `@`.
    #[error("the part after the @ is not valid")]
    Domain,
    /// `[…]` that is not an IP address.
    #[error("the address literal is not valid")]
    Literal,
    /// Over 64 octets before the `@` or 255 after it.
    #[error("the address is too long")]
    TooLong,
    /// `@a,@b:` with a mistake.
    #[error("the source route is not valid")]
    Route,
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]`, RFC 5321 §4.1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressLiteral(pub IpAddr);

impl AddressLiteral {
    /// Reads what stands between the brackets. No other tag than `IPv6:` is known.
    pub fn parse(inner: &str) -> Option<Self> {
        if let Some((tag, address)) = inner.split_once(':')
            && tag.eq_ignore_ascii_case("ipv6")
        {
            return address.parse::<Ipv6Addr>().ok().map(|ip| Self(ip.into()));
        }
        inner.parse::<Ipv4Addr>().ok().map(|ip| Self(ip.into()))
    }
}

impl fmt::Display for AddressLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "[{ip}]"),
            IpAddr::V6(ip) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

/// Where a mailbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    /// A name.
    Name(String),
    /// An IP address.
    Literal(AddressLiteral),
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Local part, unquoted.
    pub local: String,
    /// Domain.
    pub domain: Domain,
}

impl Mailbox {
    /// Needs no SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii()
            && match &self.domain {
                Domain::Name(name) => name.is_ascii(),
                Domain::Literal(_) => true,
            }
    }
}

/// Argument of MAIL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReversePath {
    /// `<>`
    Null,
    /// `<local@domain>`
    Mailbox(Mailbox),
}

/// Argument of RCPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardPath {
    /// `<postmaster>`, RFC 5321 §4.5.1.
    Postmaster,
    /// `<local@domain>`
    Mailbox(Mailbox),
}

/// RFC 5321 §4.1.1.2. `Reverse-path = Path / "<>"`; also gives what follows.
pub(super) fn reverse_path(text: &str) -> Result<(ReversePath, &str), PathError> {
    match text.strip_prefix("<>") {
        Some(rest) => Ok((ReversePath::Null, rest)),
        None => path(text).map(|(mailbox, rest)| (ReversePath::Mailbox(mailbox), rest)),
    }
}

/// RFC 5321 §4.1.1.3. `"<Postmaster>" / Path`; also gives what follows.
pub(super) fn forward_path(text: &str) -> Result<(ForwardPath, &str), PathError> {
    const POSTMASTER: &str = "<postmaster>";
    match text.split_at_checked(POSTMASTER.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(POSTMASTER) => {
            Ok((ForwardPath::Postmaster, rest))
        }
        _ => path(text).map(|(mailbox, rest)| (ForwardPath::Mailbox(mailbox), rest)),
    }
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`
fn path(text: &str) -> Result<(Mailbox, &str), PathError> {
    let text = text.strip_prefix('<').ok_or(PathError::Brackets)?;
    if text.starts_with('>') {
        return Err(PathError::Empty);
    }
    let text = if text.starts_with('@') { route(text)? } else { text };
    let (local, text) = match text.strip_prefix('"') {
        Some(quoted) => quoted_string(quoted)?,
        None => dot_string(text)?,
    };
    if local.len() > MAX_LOCAL {
        return Err(PathError::TooLong);
    }
    let text = text.strip_prefix('@').ok_or(PathError::LocalPart)?;
    let (domain, text) = domain(text)?;
    let text = text.strip_prefix('>').ok_or(PathError::Brackets)?;
    if !text.is_empty() && !text.starts_with(' ') {
        return Err(PathError::Brackets);
    }
    Ok((Mailbox { local, domain }, text))
}

/// `A-d-l = At-domain *( "," At-domain )`; gives what follows the colon.
fn route(text: &str) -> Result<&str, PathError> {
    let (route, rest) = text.split_once(':').ok_or(PathError::Route)?;
    let fine = route.split(',').all(|hop| {
        hop.strip_prefix('@')
            .and_then(|hop| domain(hop).ok())
            .is_some_and(|(_, rest)| rest.is_empty())
    });
    if fine { Ok(rest) } else { Err(PathError::Route) }
}

/// `Dot-string = Atom *("." Atom)`
fn dot_string(text: &str) -> Result<(String, &str), PathError> {
    let (local, rest) = take(text, |c| c == '.' || is_atext(c));
    if local.split('.').any(str::is_empty) {
        return Err(PathError::LocalPart);
    }
    Ok((local.to_owned(), rest))
}

/// RFC 5322 §3.2.3, RFC 6531 §3.3.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`, without the first quote.
fn quoted_string(text: &str) -> Result<(String, &str), PathError> {
    let mut local = String::new();
    let mut chars = text.chars();
    loop {
        let c = chars.next().ok_or(PathError::LocalPart)?;
        let c = match c {
            '"' if local.is_empty() => return Err(PathError::LocalPart),
            '"' => return Ok((local, chars.as_str())),
            '\\' => chars.next().filter(char::is_ascii).ok_or(PathError::LocalPart)?,
            other => other,
        };
        if c.is_control() {
            return Err(PathError::LocalPart);
        }
        local.push(c);
    }
}

/// `Domain / address-literal`
fn domain(text: &str) -> Result<(Domain, &str), PathError> {
    if let Some(literal) = text.strip_prefix('[') {
        let (inner, rest) = literal.split_once(']').ok_or(PathError::Literal)?;
        let literal = AddressLiteral::parse(inner).ok_or(PathError::Literal)?;
        return Ok((Domain::Literal(literal), rest));
    }
    let (name, rest) = take(text, |c| c == '.' || is_domain_char(c));
    if name.len() > MAX_DOMAIN {
        return Err(PathError::TooLong);
    }
    if name
        .split('.')
        .any(|label| label.is_empty() || label.starts_with('-') || label.ends_with('-'))
    {
        return Err(PathError::Domain);
    }
    Ok((Domain::Name(name.to_owned()), rest))
}

fn is_domain_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii()
}

/// The longest start of `text` that is made of such characters, and the rest.
fn take(text: &str, is: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !is(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(text: &str) -> Result<(String, String), PathError> {
        let (path, rest) = forward_path(text)?;
        assert_eq!(rest, "", "{text}");
        let ForwardPath::Mailbox(mailbox) = path else {
            return Ok(("postmaster".into(), String::new()));
        };
        let domain = match mailbox.domain {
            Domain::Name(name) => name,
            Domain::Literal(literal) => literal.to_string(),
        };
        Ok((mailbox.local, domain))
    }

    #[test]
    fn mailboxes_are_parsed() {
        for (text, local, domain) in [
            ("<a@example.com>", "a", "example.com"),
            ("<a.b+c@localhost>", "a.b+c", "localhost"),
            ("<!#$%&'*+-/=?^_`{|}~@x.y>", "!#$%&'*+-/=?^_`{|}~", "x.y"),
            (r#"<"a b"@x.y>"#, "a b", "x.y"),
            (r#"<"a\"\\>@b"@x.y>"#, r#"a"\>@b"#, "x.y"),
            ("<a@[192.0.2.1]>", "a", "[192.0.2.1]"),
            ("<a@[ipv6:2001:db8::1]>", "a", "[IPv6:2001:db8::1]"),
            (r#"<"a b"@[192.0.2.1]>"#, "a b", "[192.0.2.1]"),
            ("<@a.example,@[192.0.2.1]:user@b.example>", "user", "b.example"),
            ("<dömain@exämple.org>", "dömain", "exämple.org"),
            ("<PostMaster>", "postmaster", ""),
            ("<postmaster@x.y>", "postmaster", "x.y"),
        ] {
            assert_eq!(mailbox(text), Ok((local.into(), domain.into())), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        let long_local = format!("<{}@x.y>", "a".repeat(65));
        let long_domain = format!("<a@{}>", "a.".repeat(130) + "a");
        for (text, error) in [
            ("a@x.y", PathError::Brackets),
            ("<a@x.y", PathError::Brackets),
            ("<a@x.y>z", PathError::Brackets),
            ("<a@x.y@z>", PathError::Brackets),
            ("<a b@x.y>", PathError::LocalPart),
            ("<>", PathError::Empty),
            ("<a>", PathError::LocalPart),
            ("<@x.y>", PathError::Route),
            ("<.a@x.y>", PathError::LocalPart),
            ("<a.@x.y>", PathError::LocalPart),
            ("<a..b@x.y>", PathError::LocalPart),
            (r#"<""@x.y>"#, PathError::LocalPart),
            (r#"<"a@x.y>"#, PathError::LocalPart),
            (r#"<"a"b@x.y>"#, PathError::LocalPart),
            ("<a@>", PathError::Domain),
            ("<a@x.y.>", PathError::Domain),
            ("<a@.x>", PathError::Domain),
            ("<a@-x>", PathError::Domain),
            ("<a@[192.0.2.300]>", PathError::Literal),
            ("<a@[192.0.2.01]>", PathError::Literal),
            ("<a@[2001:db8::1]>", PathError::Literal),
            ("<a@[IPv6:192.0.2.1]>", PathError::Literal),
            ("<a@[x-tag:y]>", PathError::Literal),
            ("<a@[192.0.2.1>", PathError::Literal),
            ("<@a,b:u@x.y>", PathError::Route),
            (&long_local, PathError::TooLong),
            (&long_domain, PathError::TooLong),
        ] {
            assert_eq!(mailbox(text), Err(error), "{text}");
        }
    }

    #[test]
    fn null_is_a_reverse_path_only() {
        assert_eq!(reverse_path("<> SIZE=1"), Ok((ReversePath::Null, " SIZE=1")));
        assert_eq!(reverse_path("<postmaster>"), Err(PathError::LocalPart));
    }
}
