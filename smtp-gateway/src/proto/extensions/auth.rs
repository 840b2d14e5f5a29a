//! AUTH, RFC 4954: only for submission (A6), only under TLS unless the listener says otherwise.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Extension, MailParams, Param, Reply, Verb, View};
use crate::{
    proto::{
        Answer, Ask, Role, Session, Step,
        command::Arguments,
        session::{Question, State},
    },
    sasl::{Exchange, Mechanism, Turn},
};

/// After so many failures the connection is closed.
const MAX_FAILURES: u32 = 10;

pub(super) struct Auth;

impl Extension for Auth {
    fn keyword(&self) -> &'static str {
        "AUTH"
    }

    fn ehlo(&self, view: &View<'_>) -> Option<String> {
        if !view.login_possible() {
            return None;
        }
        let names: Vec<&str> = Mechanism::ALL.iter().map(|mechanism| mechanism.as_str()).collect();
        Some(format!("AUTH {}", names.join(" ")))
    }

    /// RFC 4954 §5: `AUTH=` tells who sent the message elsewhere; we know it from the login.
    fn mail_param(
        &self,
        param: Param<'_>,
        view: &View<'_>,
        _: &mut MailParams,
    ) -> Option<Result<(), Reply>> {
        let ours = param.key.eq_ignore_ascii_case("AUTH") && view.login_possible();
        ours.then(|| match param.value {
            Some(_) => Ok(()),
            None => Err(Reply::bad_argument("AUTH needs a value")),
        })
    }

    fn verb(&self) -> Option<&'static Verb> {
        static VERB: Verb = Verb { name: "AUTH", run: auth };
        Some(&VERB)
    }
}

/// RFC 4954 §4. `"AUTH" SP sasl-mech [SP initial-response] CRLF`
fn auth(session: &mut Session, arguments: Arguments<'_>) -> Step {
    if let Some(reply) = refused(session) {
        return Step::Reply(reply);
    }
    let (name, initial) = match arguments.text.split_once(' ') {
        Some((name, initial)) => (name, Some(initial.trim_start_matches(' '))),
        None => (arguments.text, None),
    };
    if name.is_empty() {
        return Step::Reply(Reply::bad_argument("A mechanism must follow"));
    }
    let Some(mechanism) = Mechanism::parse(name) else {
        return Step::Reply(Reply::new(504, "5.5.4", "Unknown mechanism"));
    };
    let mut exchange = Exchange::new(mechanism);
    let turn = match initial {
        None => exchange.start(),
        // RFC 4954 §4: "=" is an initial response of no octets.
        Some("=") => exchange.response(b""),
        Some(text) => match STANDARD.decode(text) {
            Ok(octets) => exchange.response(&octets),
            Err(_) => return Step::Reply(not_base64()),
        },
    };
    go_on(session, exchange, turn)
}

fn refused(session: &Session) -> Option<Reply> {
    let view = session.view();
    if view.settings.role != Role::Submission {
        return Some(Reply::new(502, "5.5.1", "Authentication is only for submission"));
    }
    if !view.login_possible() {
        return Some(Reply::new(538, "5.7.11", "Encryption is required to authenticate"));
    }
    if view.authenticated {
        return Some(Reply::out_of_sequence("Already authenticated"));
    }
    match session.state() {
        State::Start => Some(Reply::out_of_sequence("EHLO must come first")),
        State::Transaction(_) => Some(Reply::out_of_sequence("Not within a transaction")),
        _ => None,
    }
}

fn not_base64() -> Reply {
    Reply::new(501, "5.5.2", "Not base64")
}

/// A line in the midst of an exchange.
pub(in crate::proto) fn response(
    session: &mut Session,
    mut exchange: Exchange,
    line: &[u8],
) -> Step {
    session.set_state(State::Ready);
    if line == b"*" {
        return Step::Reply(Reply::new(501, "5.7.0", "Authentication cancelled"));
    }
    let Ok(octets) = STANDARD.decode(line) else {
        return Step::Reply(not_base64());
    };
    let turn = exchange.response(&octets);
    go_on(session, exchange, turn)
}

/// The secret of a SCRAM user was looked up.
pub(in crate::proto) fn secret(
    session: &mut Session,
    mut exchange: Exchange,
    answer: Answer,
) -> Step {
    match answer {
        Answer::Secret { secret, nonce } => {
            let turn = exchange.secret(secret, &nonce);
            go_on(session, exchange, turn)
        }
        answer => outcome(session, answer),
    }
}

fn go_on(session: &mut Session, exchange: Exchange, turn: Turn) -> Step {
    match turn {
        Turn::Challenge(octets) => {
            session.set_state(State::Authenticating(exchange));
            Step::Reply(Reply::bare(334, STANDARD.encode(octets)))
        }
        Turn::Password { username, password } => {
            let mechanism = exchange.mechanism();
            session.ask(Question::Login, Ask::Password { mechanism, username, password })
        }
        Turn::FindSecret { username } => {
            session.ask(Question::Secret(exchange), Ask::ScramSecret { username })
        }
        Turn::Outcome { proved } => session.ask(Question::Login, Ask::ScramOutcome { proved }),
        Turn::Malformed => {
            Step::Reply(Reply::new(501, "5.5.2", "Malformed authentication response"))
        }
    }
}

/// Whether the client may come in was decided.
pub(in crate::proto) fn outcome(session: &mut Session, answer: Answer) -> Step {
    match answer {
        Answer::Accepted => {
            session.set_authenticated();
            Step::Reply(Reply::new(235, "2.7.0", "Authentication succeeded"))
        }
        Answer::Refused(reply) => {
            session.login_failures = session.login_failures.saturating_add(1);
            if session.login_failures >= MAX_FAILURES {
                return session.close(Reply::new(421, "4.7.0", "Too many failed logins"));
            }
            Step::Reply(reply)
        }
        Answer::Done(_) | Answer::Secret { .. } => {
            Step::Reply(Reply::new(454, "4.7.0", "Temporary authentication failure"))
        }
    }
}
