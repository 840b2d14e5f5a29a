//! MAIL, RCPT, DATA and RSET, RFC 5321 §4.1.1.2 to §4.1.1.5.

use super::{
    Answer, Ask, Data, Fault, ForwardPath, MailParams, Mailbox, PathError, RcptParams, Reply,
    ReversePath, Role, Session, Step,
    command::Arguments,
    extensions,
    params::{self, Param},
    path,
    session::{Question, State},
};

/// A message on its way in.
#[derive(Debug)]
pub(super) struct Transaction {
    params: MailParams,
    null_sender: bool,
    recipients: usize,
}

/// RFC 5321 §4.1.1.2. `"MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF`
pub(super) fn mail(session: &mut Session, arguments: Arguments<'_>) -> Step {
    if let Some(reply) = session.not_now() {
        return Step::Reply(reply);
    }
    if matches!(session.state(), State::Transaction(_)) {
        return Step::Reply(Reply::out_of_sequence("A transaction is open already"));
    }
    if session.failed > session.settings().max_failed && session.good == 0 {
        return session.close(Reply::new(550, "5.7.0", "Too many failures"));
    }
    match parse_mail(session, arguments.text) {
        Ok((path, params)) => {
            let null_sender = path == ReversePath::Null;
            let transaction = Transaction { params: params.clone(), null_sender, recipients: 0 };
            session.ask(Question::Sender(transaction), Ask::Sender { path, params })
        }
        Err(reply) => Step::Reply(reply),
    }
}

fn parse_mail(session: &Session, text: &str) -> Result<(ReversePath, MailParams), Reply> {
    let text = argument(text, "FROM:")?;
    let (path, rest) = path::reverse_path(text).map_err(|error| bad_path(error, "5.1.7"))?;
    let mut params = MailParams::default();
    for param in params::parse(rest)? {
        mail_param(session, param, &mut params)?;
    }
    if let ReversePath::Mailbox(mailbox) = &path {
        needs_utf8(mailbox, &params)?;
    }
    Ok((path, params))
}

fn mail_param(session: &Session, param: Param<'_>, out: &mut MailParams) -> Result<(), Reply> {
    if !session.hello().esmtp {
        return Err(params::unknown());
    }
    let view = session.view();
    let taken =
        extensions::ALL.iter().find_map(|extension| extension.mail_param(param, &view, out));
    taken.unwrap_or_else(|| Err(params::unknown()))
}

/// RFC 5321 §4.1.1.3. `"RCPT TO:" ( "<Postmaster>" / Forward-path ) [SP Rcpt-parameters] CRLF`
pub(super) fn rcpt(session: &mut Session, arguments: Arguments<'_>) -> Step {
    if let Some(reply) = session.not_now() {
        return Step::Reply(reply);
    }
    let State::Transaction(transaction) = session.state() else {
        return Step::Reply(Reply::out_of_sequence("MAIL must come first"));
    };
    let (path, params) = match parse_rcpt(session, transaction, arguments.text) {
        Ok(parsed) => parsed,
        Err(reply) => return Step::Reply(reply),
    };
    let one_only = transaction.null_sender && session.settings().role == Role::Mx;
    let limit = if one_only { 1 } else { session.settings().max_recipients };
    if transaction.recipients >= limit {
        return Step::Reply(Reply::new(452, "4.5.3", "Too many recipients"));
    }
    match session.take_state() {
        State::Transaction(transaction) => {
            session.ask(Question::Recipient(transaction), Ask::Recipient { path, params })
        }
        other => {
            session.set_state(other);
            Step::Reply(Reply::out_of_sequence("MAIL must come first"))
        }
    }
}

fn parse_rcpt(
    session: &Session,
    transaction: &Transaction,
    text: &str,
) -> Result<(ForwardPath, RcptParams), Reply> {
    let text = argument(text, "TO:")?;
    let (path, rest) = path::forward_path(text).map_err(|error| bad_path(error, "5.1.3"))?;
    let mut params = RcptParams::default();
    for param in params::parse(rest)? {
        rcpt_param(session, param, &mut params)?;
    }
    if let ForwardPath::Mailbox(mailbox) = &path {
        needs_utf8(mailbox, &transaction.params)?;
    }
    Ok((path, params))
}

fn rcpt_param(session: &Session, param: Param<'_>, out: &mut RcptParams) -> Result<(), Reply> {
    if !session.hello().esmtp {
        return Err(params::unknown());
    }
    let view = session.view();
    let taken =
        extensions::ALL.iter().find_map(|extension| extension.rcpt_param(param, &view, out));
    taken.unwrap_or_else(|| Err(params::unknown()))
}

/// What follows `FROM:` or `TO:`; a space after the colon is let pass (A7).
fn argument<'a>(text: &'a str, keyword: &str) -> Result<&'a str, Reply> {
    text.split_at_checked(keyword.len())
        .filter(|(start, _)| start.eq_ignore_ascii_case(keyword))
        .map(|(_, rest)| rest.trim_start_matches(' '))
        .ok_or_else(|| Reply::bad_argument(format!("{keyword}<address> must follow")))
}

/// RFC 5248 §2.4: X.1.7 for the sender's address, X.1.3 for the recipient's.
fn bad_path(error: PathError, enhanced: &'static str) -> Reply {
    Reply::new(501, enhanced, format!("Bad address: {error}"))
}

/// RFC 6531 §3.5.
fn needs_utf8(mailbox: &Mailbox, params: &MailParams) -> Result<(), Reply> {
    if mailbox.is_ascii() || params.smtputf8 {
        return Ok(());
    }
    Err(Reply::new(553, "5.6.7", "The address needs SMTPUTF8, which MAIL did not ask for"))
}

/// RFC 5321 §4.1.1.4. `"DATA" CRLF`
pub(super) fn data(session: &mut Session, arguments: Arguments<'_>) -> Step {
    match may_send(session, arguments.text) {
        Ok(transaction) => {
            session.set_state(State::Receiving(transaction));
            Step::Data(Reply::bare(354, "Go ahead, end with CRLF . CRLF"))
        }
        // What follows is a message, not commands.
        Err(reply) if arguments.followed => session.close(reply),
        Err(reply) => Step::Reply(reply),
    }
}

fn may_send(session: &mut Session, text: &str) -> Result<Transaction, Reply> {
    if let Some(reply) = session.not_now() {
        return Err(reply);
    }
    if !text.is_empty() {
        return Err(Reply::bad_argument("DATA has no argument"));
    }
    match session.take_state() {
        State::Transaction(transaction) if transaction.recipients > 0 => Ok(transaction),
        State::Transaction(transaction) => {
            session.set_state(State::Transaction(transaction));
            Err(Reply::new(554, "5.5.1", "No valid recipients"))
        }
        other => {
            session.set_state(other);
            Err(Reply::out_of_sequence("MAIL and RCPT must come first"))
        }
    }
}

/// RFC 5321 §4.1.1.5. `"RSET" CRLF`
pub(super) fn rset(session: &mut Session, arguments: Arguments<'_>) -> Step {
    if !arguments.text.is_empty() {
        return Step::Reply(Reply::bad_argument("RSET has no argument"));
    }
    session.reset();
    Step::Reply(Reply::new(250, "2.0.0", "OK"))
}

impl Session {
    /// Gives up an open transaction.
    pub(super) fn reset(&mut self) {
        if matches!(self.state(), State::Transaction(_)) {
            self.failed = self.failed.saturating_add(1);
            self.set_state(State::Ready);
        }
    }

    /// Why no transaction can be made at this time.
    fn not_now(&self) -> Option<Reply> {
        if matches!(self.state(), State::Start) {
            return Some(Reply::out_of_sequence("EHLO or HELO must come first"));
        }
        let view = self.view();
        let stranger = view.settings.role == Role::Submission && !view.authenticated;
        stranger.then(|| self.login_needed())
    }

    pub(super) fn sender_answered(&mut self, transaction: Transaction, answer: Answer) -> Step {
        if let Answer::Refused(reply) = answer {
            self.failed = self.failed.saturating_add(1);
            return Step::Reply(reply);
        }
        self.set_state(State::Transaction(transaction));
        Step::Reply(Reply::new(250, "2.1.0", "Sender OK"))
    }

    pub(super) fn recipient_answered(
        &mut self,
        mut transaction: Transaction,
        answer: Answer,
    ) -> Step {
        let reply = if let Answer::Refused(reply) = answer {
            let lost = u32::from(reply.code() >= 500);
            self.refused_recipients = self.refused_recipients.saturating_add(lost);
            reply
        } else {
            transaction.recipients = transaction.recipients.saturating_add(1);
            Reply::new(250, "2.1.5", "Recipient OK")
        };
        self.set_state(State::Transaction(transaction));
        Step::Reply(reply)
    }

    /// The octets after 354 have been read to their end.
    pub fn data(&mut self, data: Data) -> Step {
        let State::Receiving(transaction) = self.take_state() else {
            return self.close(Reply::new(421, "4.3.0", "Internal error"));
        };
        match data {
            Ok(data) => {
                self.ask(Question::Message, Ask::Message { params: transaction.params, data })
            }
            Err(fault) => {
                self.failed = self.failed.saturating_add(1);
                Step::Reply(self.refused_data(fault))
            }
        }
    }

    fn refused_data(&self, fault: Fault) -> Reply {
        match fault {
            Fault::BareCr => Reply::new(500, "5.5.2", "Bare CR in the message"),
            Fault::BareLf => Reply::new(500, "5.5.2", "Bare LF in the message"),
            Fault::TooLarge => extensions::size::too_large(self.settings().size_limit),
            Fault::NoRoom => Reply::new(452, "4.3.1", "No room for the message at the moment"),
        }
    }

    pub(super) fn message_answered(&mut self, answer: Answer) -> Step {
        match answer {
            Answer::Refused(reply) => {
                self.failed = self.failed.saturating_add(1);
                Step::Reply(reply)
            }
            Answer::Done(text) => {
                self.message_taken();
                Step::Reply(Reply::new(250, "2.0.0", text))
            }
            Answer::Accepted | Answer::Secret { .. } => {
                self.message_taken();
                Step::Reply(Reply::new(250, "2.0.0", "OK"))
            }
        }
    }
}
