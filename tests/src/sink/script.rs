//! How a sink behaves.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::ServerConfig;

/// A moment of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Right after the connection.
    Greeting,
    /// EHLO.
    Ehlo,
    /// HELO.
    Helo,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before 354.
    Data,
    /// After 354, before the message is read.
    Message,
    /// After a chunk of BDAT.
    Chunk,
    /// After the message.
    EndOfData,
    /// RSET.
    Rset,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
}

/// What happens instead of the usual.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// This reply; several lines are separated by CRLF.
    Reply(String),
    /// Silence.
    Hang,
    /// The connection is closed.
    Close,
    /// A reply that never ends.
    Endless,
}

#[derive(Debug, Clone, Copy)]
enum Times {
    Always,
    Once,
    OncePerArgument,
}

#[derive(Debug, Clone)]
struct Rule {
    stage: Stage,
    pattern: String,
    action: Action,
    times: Times,
}

/// What follows the reply to STARTTLS.
#[derive(Debug, Clone)]
pub(super) enum StartTls {
    /// A handshake.
    Tls(Arc<ServerConfig>),
    /// Octets that are not TLS.
    Broken,
    /// Plain text in the same segment, then a handshake.
    Injected(Arc<ServerConfig>, String),
}

/// A script; the default is a server in good order with the usual extensions.
#[derive(Debug, Clone)]
pub struct Script {
    rules: Vec<Rule>,
    pub(super) capabilities: Vec<String>,
    pub(super) starttls: Option<StartTls>,
    pub(super) implicit_tls: Option<Arc<ServerConfig>>,
    pub(super) login: Option<(String, String)>,
    pub(super) max_recipients: usize,
    pub(super) messages_per_connection: usize,
    pub(super) pause: Duration,
    pub(super) keeps: bool,
    pub(super) forges: bool,
}

impl Default for Script {
    fn default() -> Self {
        let capabilities = ["PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8"];
        Self {
            rules: Vec::new(),
            capabilities: capabilities.map(str::to_owned).into(),
            starttls: None,
            implicit_tls: None,
            login: None,
            max_recipients: usize::MAX,
            messages_per_connection: usize::MAX,
            pause: Duration::ZERO,
            keeps: true,
            forges: false,
        }
    }
}

impl Script {
    /// A server in good order.
    pub fn new() -> Self {
        Self::default()
    }

    fn rule(mut self, stage: Stage, pattern: &str, action: Action, times: Times) -> Self {
        self.rules.push(Rule { stage, pattern: pattern.to_owned(), action, times });
        self
    }

    /// Always this reply at `stage`.
    #[must_use]
    pub fn reply(self, stage: Stage, reply: &str) -> Self {
        self.rule(stage, "*", Action::Reply(reply.to_owned()), Times::Always)
    }

    /// This reply at `stage`, the first time only.
    #[must_use]
    pub fn reply_once(self, stage: Stage, reply: &str) -> Self {
        self.rule(stage, "*", Action::Reply(reply.to_owned()), Times::Once)
    }

    /// This reply at `stage`, the first time that its argument matches.
    #[must_use]
    pub fn reply_once_to(self, stage: Stage, pattern: &str, reply: &str) -> Self {
        self.rule(stage, pattern, Action::Reply(reply.to_owned()), Times::Once)
    }

    /// This reply to RCPT for addresses that match; `*` stands for anything.
    #[must_use]
    pub fn refuse_rcpt(self, pattern: &str, reply: &str) -> Self {
        self.rule(Stage::Rcpt, pattern, Action::Reply(reply.to_owned()), Times::Always)
    }

    /// This reply to RCPT when an address is seen for the first time (greylisting).
    #[must_use]
    pub fn defer_once(self, reply: &str) -> Self {
        self.rule(Stage::Rcpt, "*", Action::Reply(reply.to_owned()), Times::OncePerArgument)
    }

    /// Says nothing more from `stage` on.
    #[must_use]
    pub fn hang_at(self, stage: Stage) -> Self {
        self.rule(stage, "*", Action::Hang, Times::Always)
    }

    /// Closes the connection at `stage`.
    #[must_use]
    pub fn close_at(self, stage: Stage) -> Self {
        self.rule(stage, "*", Action::Close, Times::Always)
    }

    /// Closes the connection at `stage`, the first time that its argument matches.
    #[must_use]
    pub fn close_once_to(self, stage: Stage, pattern: &str) -> Self {
        self.rule(stage, pattern, Action::Close, Times::Once)
    }

    /// Sends a reply without end at `stage`.
    #[must_use]
    pub fn endless_at(self, stage: Stage) -> Self {
        self.rule(stage, "*", Action::Endless, Times::Always)
    }

    /// Knows HELO only.
    #[must_use]
    pub fn no_ehlo(self) -> Self {
        self.reply(Stage::Ehlo, "502 5.5.1 What is EHLO?")
    }

    /// One more line in the reply to EHLO; replaces a line with the same keyword.
    #[must_use]
    pub fn capability(self, line: &str) -> Self {
        let keyword = line.split(' ').next().unwrap_or(line).to_owned();
        let mut script = self.without(&keyword);
        script.capabilities.push(line.to_owned());
        script
    }

    /// Without this keyword in the reply to EHLO.
    #[must_use]
    pub fn without(mut self, keyword: &str) -> Self {
        self.capabilities.retain(|line| line.split(' ').next() != Some(keyword));
        self
    }

    /// Without PIPELINING.
    #[must_use]
    pub fn no_pipelining(self) -> Self {
        self.without("PIPELINING")
    }

    /// Offers STARTTLS.
    #[must_use]
    pub fn starttls(mut self, config: Arc<ServerConfig>) -> Self {
        self.starttls = Some(StartTls::Tls(config));
        self
    }

    /// Offers STARTTLS and then sends nonsense.
    #[must_use]
    pub fn broken_starttls(mut self) -> Self {
        self.starttls = Some(StartTls::Broken);
        self
    }

    /// Offers STARTTLS and sends `text` right behind its reply, still in plain text.
    #[must_use]
    pub fn injecting_starttls(mut self, config: Arc<ServerConfig>, text: &str) -> Self {
        self.starttls = Some(StartTls::Injected(config, text.to_owned()));
        self
    }

    /// TLS from the first octet.
    #[must_use]
    pub fn implicit_tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.implicit_tls = Some(config);
        self
    }

    /// Takes mail only after AUTH with these credentials: PLAIN, LOGIN, or SCRAM and
    /// EXTERNAL when a `capability` line offers them.
    #[must_use]
    pub fn login(mut self, username: &str, password: &str) -> Self {
        self.login = Some((username.to_owned(), password.to_owned()));
        self
    }

    /// Pretends to know the password of a client that has proved itself by SCRAM.
    #[must_use]
    pub const fn forging_proofs(mut self) -> Self {
        self.forges = true;
        self
    }

    /// Whether BDAT is known.
    pub(super) fn chunking(&self) -> bool {
        self.capabilities.iter().any(|line| line == "CHUNKING")
    }

    /// 452 to further recipients of a transaction.
    #[must_use]
    pub const fn max_recipients(mut self, n: usize) -> Self {
        self.max_recipients = n;
        self
    }

    /// Closes without a word after this many messages.
    #[must_use]
    pub const fn messages_per_connection(mut self, n: usize) -> Self {
        self.messages_per_connection = n;
        self
    }

    /// Waits before every reply.
    #[must_use]
    pub const fn slow(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Counts messages and keeps nothing.
    #[must_use]
    pub const fn counting(mut self) -> Self {
        self.keeps = false;
        self
    }

    /// The first rule for this moment that still applies.
    pub(super) fn action(&self, stage: Stage, argument: &str, fired: &Fired) -> Option<&Action> {
        let candidates = self.rules.iter().enumerate().filter(|(_, rule)| rule.stage == stage);
        let mut matching = candidates.filter(|(_, rule)| matches(&rule.pattern, argument));
        let found = matching.find(|(number, rule)| match rule.times {
            Times::Always => true,
            Times::Once => fired.first_time(*number, ""),
            Times::OncePerArgument => fired.first_time(*number, argument),
        });
        found.map(|(_, rule)| &rule.action)
    }
}

/// Which rules have been used up.
#[derive(Debug, Default)]
pub(super) struct Fired(Mutex<HashSet<(usize, String)>>);

impl Fired {
    fn first_time(&self, rule: usize, argument: &str) -> bool {
        let mut fired = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fired.insert((rule, argument.to_owned()))
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(head) else {
        return false;
    };
    let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.any(|at| rest.get(at..).is_some_and(|rest| matches(tail, rest)))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_have_wildcards() {
        for pattern in ["*", "a@b.example", "a@*", "*@b.example", "*b.ex*", "a*@*.example"] {
            assert!(matches(pattern, "a@b.example"), "{pattern}");
        }
        for pattern in ["", "a@b", "*@c.example", "b*", "*z*"] {
            assert!(!matches(pattern, "a@b.example"), "{pattern}");
        }
    }
}
