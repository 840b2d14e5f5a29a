//! The state of one connection and what each line does to it.
//!
//! The commands themselves are in `hello`, `transaction`, `information` and `extensions`.

use std::{mem, sync::Arc};

use super::{
    Answer, Ask, Hello, LineFault, Reply, Step,
    command::{self, Arguments},
    extensions::auth,
    transaction::Transaction,
};
use crate::sasl::Exchange;

/// After so many commands with mistakes the connection is closed.
const MAX_ERRORS: u32 = 50;
/// After so many commands without a message the connection is closed.
const MAX_COMMANDS: u32 = 10_000;
/// Most octets of a command line, CRLF included (A4).
const COMMAND_LINE: usize = 2048;
/// Most octets of a line while authenticating (RFC 4954 §4).
const RESPONSE_LINE: usize = 12_288;

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes mail from other servers for people here.
    Mx,
    /// Takes mail from people here for anybody.
    Submission,
}

/// What a session is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our name.
    pub hostname: String,
    /// What the listener is for.
    pub role: Role,
    /// Largest message in octets.
    pub size_limit: u64,
    /// STARTTLS works.
    pub tls_available: bool,
    /// Passwords may come without TLS; for loopback only.
    pub plain_login: bool,
    /// Most recipients of one message.
    pub max_recipients: usize,
    /// After more than so many failed transactions and no good one the connection is closed (A4).
    pub max_failed: u32,
}

/// What an extension may look at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Settings.
    pub settings: &'a Settings,
    /// The connection is encrypted.
    pub tls: bool,
    /// The client has logged in.
    pub authenticated: bool,
}

impl View<'_> {
    /// The client may log in as things are.
    pub fn login_possible(&self) -> bool {
        self.settings.role == Role::Submission && (self.tls || self.settings.plain_login)
    }
}

/// Where in the conversation we are.
#[derive(Debug)]
pub(super) enum State {
    /// The client has not introduced itself.
    Start,
    /// Between transactions.
    Ready,
    /// The next line is a response of a SASL exchange.
    Authenticating(Exchange),
    /// MAIL was accepted.
    Transaction(Transaction),
    /// 354 was sent; octets of a message come.
    Receiving(Transaction),
    /// An [`Ask`] is open.
    Asking(Question),
    /// STARTTLS was answered; the handshake comes.
    Handshake,
    /// It is over.
    Closed,
}

/// Which [`Ask`] is open, with all that is needed to go on after it.
#[derive(Debug)]
pub(super) enum Question {
    Helo(Hello),
    Login,
    Secret(Exchange),
    Sender(Transaction),
    Recipient(Transaction),
    Message,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    state: State,
    hello: Hello,
    tls: bool,
    authenticated: bool,
    /// Nothing was understood yet.
    first: bool,
    commands: u32,
    errors: u32,
    pub(super) good: u32,
    pub(super) failed: u32,
    pub(super) login_failures: u32,
    pub(super) refused_recipients: u32,
}

impl Session {
    /// A new connection; `tls`: encrypted from the start.
    pub const fn new(settings: Arc<Settings>, tls: bool) -> Self {
        Self {
            settings,
            state: State::Start,
            hello: Hello { name: String::new(), esmtp: false },
            tls,
            authenticated: false,
            first: true,
            commands: 0,
            errors: 0,
            good: 0,
            failed: 0,
            login_failures: 0,
            refused_recipients: 0,
        }
    }

    /// What the client hears first, RFC 5321 §4.2.
    pub fn greeting(&self) -> Reply {
        Reply::bare(220, format!("{} ESMTP", self.settings.hostname))
    }

    /// Most octets of the next line, CRLF included.
    pub const fn line_limit(&self) -> usize {
        if matches!(self.state, State::Authenticating(_)) { RESPONSE_LINE } else { COMMAND_LINE }
    }

    /// A line without its CRLF came. `followed`: the client has sent more already.
    pub fn line(&mut self, line: &[u8], followed: bool) -> Step {
        self.commands = self.commands.saturating_add(1);
        if self.commands > MAX_COMMANDS {
            return self.close(Reply::new(421, "4.7.0", "Too many commands without a message"));
        }
        if let State::Authenticating(exchange) = &mut self.state {
            let exchange = mem::take(exchange);
            let step = auth::response(self, exchange, line);
            return self.checked(step);
        }
        let (State::Start | State::Ready | State::Transaction(_)) = self.state else {
            return self.confused();
        };
        let found = command::split(line)
            .ok_or_else(|| Reply::new(500, "5.5.2", "Not a command"))
            .and_then(|(name, text)| {
                let unknown = || Reply::new(500, "5.5.1", "Unknown command");
                command::find(name).map(|verb| (verb, text)).ok_or_else(unknown)
            });
        let first = mem::take(&mut self.first);
        let step = match found {
            Ok((verb, text)) => (verb.run)(self, Arguments { text, followed }),
            // A3: what does not speak SMTP is not listened to.
            Err(reply) if first => self.close(reply),
            Err(reply) => Step::Reply(reply),
        };
        self.checked(step)
    }

    /// Which command a line is, for metrics.
    pub fn verb(&self, line: &[u8]) -> &'static str {
        if matches!(self.state, State::Authenticating(_)) {
            return "response";
        }
        let verb = command::split(line).and_then(|(name, _)| command::find(name));
        verb.map_or("unknown", |verb| verb.name)
    }

    /// Something came that is no line.
    pub fn bad_line(&mut self, fault: LineFault) -> Step {
        let authenticating = matches!(self.state, State::Authenticating(_));
        match fault {
            LineFault::TooLong if authenticating => {
                self.close(Reply::new(500, "5.5.6", "Authentication exchange line is too long"))
            }
            LineFault::TooLong => self.close(Reply::new(500, "5.5.2", "Line too long")),
            LineFault::BareLf if self.first || authenticating => {
                self.close(Reply::new(500, "5.5.2", "Lines must end in CRLF"))
            }
            LineFault::BareLf => {
                let step = Step::Reply(Reply::new(500, "5.5.2", "Lines must end in CRLF"));
                self.checked(step)
            }
        }
    }

    /// The answer to the last [`Ask`].
    pub fn answer(&mut self, answer: Answer) -> Step {
        if let Answer::Refused(reply) = &answer
            && reply.code() == 421
        {
            return self.close(reply.clone());
        }
        let State::Asking(question) = mem::replace(&mut self.state, State::Ready) else {
            return self.confused();
        };
        let step = match (question, answer) {
            (Question::Helo(_), Answer::Refused(reply)) => {
                self.state = State::Start;
                Step::Reply(reply)
            }
            (Question::Helo(hello), _) => {
                self.greet(hello);
                Step::Reply(Reply::bare(250, self.settings.hostname.clone()))
            }
            (Question::Login, answer) => auth::outcome(self, answer),
            (Question::Secret(exchange), answer) => auth::secret(self, exchange, answer),
            (Question::Sender(transaction), answer) => self.sender_answered(transaction, answer),
            (Question::Recipient(transaction), answer) => {
                self.recipient_answered(transaction, answer)
            }
            (Question::Message, answer) => self.message_answered(answer),
        };
        self.checked(step)
    }

    /// The TLS handshake succeeded: all that was said before is forgotten (RFC 3207 §4.2).
    pub fn tls_started(&mut self) {
        self.tls = true;
        self.authenticated = false;
        self.hello = Hello::default();
        self.state = State::Start;
    }

    /// Who the client says it is.
    pub const fn hello(&self) -> &Hello {
        &self.hello
    }

    /// What extensions see.
    pub fn view(&self) -> View<'_> {
        View { settings: &self.settings, tls: self.tls, authenticated: self.authenticated }
    }

    /// Settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Failed logins on this connection.
    pub const fn login_failures(&self) -> u32 {
        self.login_failures
    }

    /// Recipients that were refused for good on this connection.
    pub const fn refused_recipients(&self) -> u32 {
        self.refused_recipients
    }

    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn set_state(&mut self, state: State) {
        self.state = state;
    }

    pub(super) fn take_state(&mut self) -> State {
        mem::replace(&mut self.state, State::Ready)
    }

    pub(super) fn set_hello(&mut self, hello: Hello) {
        self.hello = hello;
    }

    pub(super) fn set_authenticated(&mut self) {
        self.authenticated = true;
    }

    /// A message was taken: the client is a good one.
    pub(super) fn message_taken(&mut self) {
        self.good = self.good.saturating_add(1);
        (self.commands, self.errors) = (0, 0);
    }

    pub(super) fn ask(&mut self, question: Question, ask: Ask) -> Step {
        self.state = State::Asking(question);
        Step::Ask(ask)
    }

    pub(super) fn close(&mut self, reply: Reply) -> Step {
        self.state = State::Closed;
        Step::Close(reply)
    }

    /// What a submission client hears before it has logged in (RFC 4954 §6, RFC 3207 §4).
    pub(super) fn login_needed(&self) -> Reply {
        if self.view().login_possible() {
            Reply::new(530, "5.7.0", "Authentication required")
        } else {
            Reply::new(530, "5.7.0", "Must issue a STARTTLS command first")
        }
    }

    /// The driver called out of order; never the client's fault.
    fn confused(&mut self) -> Step {
        self.close(Reply::new(421, "4.3.0", "Internal error"))
    }

    /// Counts mistakes, and remembers an end.
    fn checked(&mut self, step: Step) -> Step {
        match step {
            Step::Close(reply) => self.close(reply),
            Step::Reply(reply) if matches!(reply.code(), 500 | 501 | 502 | 504 | 555) => {
                self.errors = self.errors.saturating_add(1);
                if self.errors > MAX_ERRORS {
                    return self.close(Reply::new(421, "4.7.0", "Too many errors"));
                }
                Step::Reply(reply)
            }
            other => other,
        }
    }
}
