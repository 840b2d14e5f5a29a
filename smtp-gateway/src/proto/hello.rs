//! HELO and EHLO, RFC 5321 §4.1.1.1.

use super::{
    AddressLiteral, Ask, Reply, Role, Session, Step,
    command::Arguments,
    extensions,
    session::{Question, State},
};

/// How the client introduced itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// Domain or address literal; empty when it was wrong and did not matter.
    pub name: String,
    /// By EHLO.
    pub esmtp: bool,
}

/// RFC 5321 §4.1.1.1. `"EHLO" SP ( Domain / address-literal ) CRLF`
pub(super) fn ehlo(session: &mut Session, arguments: Arguments<'_>) -> Step {
    let name = match argument(session, arguments.text) {
        Ok(name) => name.unwrap_or_default(),
        Err(reply) => return Step::Reply(reply),
    };
    session.greet(Hello { name, esmtp: true });
    let view = session.view();
    let lines = extensions::ALL.iter().filter_map(|extension| extension.ehlo(&view));
    let first = Reply::bare(250, session.settings().hostname.clone());
    Step::Reply(lines.fold(first, Reply::and))
}

/// RFC 5321 §4.1.1.1. `"HELO" SP Domain CRLF`. On port 25 the name must be in the DNS (A2).
pub(super) fn helo(session: &mut Session, arguments: Arguments<'_>) -> Step {
    let name = match argument(session, arguments.text) {
        Ok(name) => name.unwrap_or_default(),
        Err(reply) => return Step::Reply(reply),
    };
    let hello = Hello { name: name.clone(), esmtp: false };
    if session.settings().role == Role::Mx && !name.starts_with('[') {
        session.reset();
        return session.ask(Question::Helo(hello), Ask::Helo { name });
    }
    session.greet(hello);
    Step::Reply(Reply::bare(250, session.settings().hostname.clone()))
}

/// The name; none when it is wrong and that does not matter (B2).
fn argument(session: &Session, text: &str) -> Result<Option<String>, Reply> {
    let name = name(text);
    if name.is_none() && session.settings().role == Role::Mx {
        return Err(Reply::bad_argument("A domain or an address literal must follow"));
    }
    Ok(name)
}

/// Domains in use here have underscores at times; that is let pass.
fn name(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[') {
        let literal = AddressLiteral::parse(inner.strip_suffix(']')?)?;
        return Some(literal.to_string());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii())
    };
    (name.len() <= 255 && name.split('.').all(label)).then(|| name.to_owned())
}

impl Session {
    /// The client has a name from now on; a transaction that was open is over.
    pub(super) fn greet(&mut self, hello: Hello) {
        self.reset();
        self.set_hello(hello);
        self.set_state(State::Ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals() {
        for good in
            ["localhost", "mx.example.com", "a_b.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"]
        {
            assert_eq!(name(good).as_deref(), Some(good));
        }
        assert_eq!(name("mx.example.").as_deref(), Some("mx.example"));
        assert_eq!(name("[ipv6:2001:DB8::1]").as_deref(), Some("[IPv6:2001:db8::1]"));
        for bad in [
            "",
            ".",
            "a..b",
            "-a",
            "a b",
            "[1.2.3]",
            "[1.2.3.4",
            "1.2.3.4]",
            "[IPv6:1.2.3.4]",
            "[::1]",
            "[01.2.3.4]",
            "[IPv6:fe80::1%eth0]",
            "a@b",
            "(x)",
        ] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }
}
