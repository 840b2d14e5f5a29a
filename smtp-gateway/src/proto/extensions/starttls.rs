//! STARTTLS, RFC 3207.

use super::{Extension, Reply, Verb, View};
use crate::proto::{Session, Step, command::Arguments, session::State};

pub(super) struct StartTls;

impl Extension for StartTls {
    fn keyword(&self) -> &'static str {
        "STARTTLS"
    }

    fn ehlo(&self, view: &View<'_>) -> Option<String> {
        (view.settings.tls_available && !view.tls).then(|| self.keyword().to_owned())
    }

    fn verb(&self) -> Option<&'static Verb> {
        static VERB: Verb = Verb { name: "STARTTLS", run: starttls };
        Some(&VERB)
    }
}

/// RFC 3207 §4. `"STARTTLS" CRLF`
///
/// Whatever was sent in plain text behind it was put there by somebody else: it is never looked
/// at, and the connection ends (THREATS 2).
fn starttls(session: &mut Session, arguments: Arguments<'_>) -> Step {
    let view = session.view();
    if !view.settings.tls_available {
        return Step::Reply(Reply::new(502, "5.5.1", "STARTTLS is not available"));
    }
    if view.tls {
        return Step::Reply(Reply::out_of_sequence("TLS is active already"));
    }
    if arguments.followed {
        return session.close(Reply::new(
            554,
            "5.5.0",
            "Nothing may follow STARTTLS before its reply",
        ));
    }
    if matches!(session.state(), State::Start) {
        return Step::Reply(Reply::out_of_sequence("EHLO must come first"));
    }
    if !arguments.text.is_empty() {
        return Step::Reply(Reply::bad_argument("STARTTLS has no argument"));
    }
    session.reset();
    session.set_state(State::Handshake);
    Step::StartTls(Reply::new(220, "2.0.0", "Go ahead"))
}
