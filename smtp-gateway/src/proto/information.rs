//! Commands that change nothing: NOOP, HELP, VRFY, EXPN; and QUIT. RFC 5321 §4.1.1.6 to §4.1.1.10.

use super::{Reply, Role, Session, Step, command::Arguments};

/// RFC 5321 §4.1.1.9. `"NOOP" [ SP String ] CRLF`
pub(super) fn noop(_: &mut Session, _: Arguments<'_>) -> Step {
    Step::Reply(Reply::new(250, "2.0.0", "OK"))
}

/// RFC 5321 §4.1.1.8. `"HELP" [ SP String ] CRLF`
pub(super) fn help(_: &mut Session, _: Arguments<'_>) -> Step {
    Step::Reply(Reply::new(214, "2.0.0", "See RFC 5321 and RFC 6409"))
}

/// RFC 5321 §4.1.1.6, §4.1.1.7 and §7.3: tells nothing about who is here.
pub(super) fn vrfy(session: &mut Session, arguments: Arguments<'_>) -> Step {
    if session.settings().role == Role::Submission && !session.view().authenticated {
        return Step::Reply(session.login_needed());
    }
    if arguments.text.is_empty() {
        return Step::Reply(Reply::bad_argument("Something to look for must follow"));
    }
    Step::Reply(Reply::new(252, "2.5.2", "Cannot tell; send a message and see"))
}

/// RFC 5321 §4.1.1.10. `"QUIT" CRLF`
pub(super) fn quit(_: &mut Session, arguments: Arguments<'_>) -> Step {
    if !arguments.text.is_empty() {
        return Step::Reply(Reply::bad_argument("QUIT has no argument"));
    }
    Step::Close(Reply::new(221, "2.0.0", "Bye"))
}
