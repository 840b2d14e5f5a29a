//! Mail transactions on an open connection (RFC 5321 §3.3), pipelined when possible (RFC 2920).
//!
//! With PIPELINING a transaction is two writes: MAIL, every RCPT and DATA; then the message. With
//! CHUNKING the message needs no DATA before it, and comes as `chunking.rs` has it. A server that
//! takes fewer recipients than offered gets the others in a further transaction.

mod chunking;

use posthouse_core::ports::transport::{Content, Host, Job, Outcome, Recipient, Reply, RequireTls};
use posthouse_mail::dsn::OriginalRecipient;

use super::{
    capabilities::Extension,
    connection::{CHUNK, Connection},
    data::Stuffer,
    fault::{Error, Fault, Stage},
    ledger::Ledger,
    reply::Response,
};

/// Recipients of one transaction unless the server asks for fewer: what every server must take
/// (RFC 5321 §4.5.3.1.8), and few enough that a batch of commands cannot fill both TCP windows.
const MAX_RECIPIENTS: usize = 100;

/// How far a connection came with a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Every recipient has a result.
    Complete,
    /// The server takes no further transaction on this connection (RFC 9422 §4.1).
    ConnectionUsedUp,
}

/// A transaction that ended early.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// The connection was gone before it gave any reply: nothing has happened.
    BeforeAnyReply(Error),
    /// The server offers CHUNKING and does not know BDAT; nobody has got the message.
    WithoutChunking,
    /// Anything else.
    Fault(Fault),
}

/// Carries out transactions until every recipient in `ledger` has a result.
pub(super) async fn deliver(
    connection: &mut Connection,
    job: &Job,
    host: &Host,
    ledger: &mut Ledger,
) -> Result<Progress, Interrupted> {
    ledger.refuse_locally(job, &connection.capabilities);
    let limit = connection.capabilities.recipients_max.unwrap_or(MAX_RECIPIENTS);
    let mut transaction = Transaction { connection, job, host, ledger };
    loop {
        let batch = transaction.ledger.pending(limit.min(MAX_RECIPIENTS));
        if batch.is_empty() {
            return Ok(Progress::Complete);
        }
        if transaction.is_used_up() {
            return Ok(Progress::ConnectionUsedUp);
        }
        transaction.run(&batch).await?;
    }
}

struct Transaction<'a> {
    connection: &'a mut Connection,
    job: &'a Job,
    host: &'a Host,
    ledger: &'a mut Ledger,
}

impl Transaction<'_> {
    fn is_used_up(&self) -> bool {
        let connection = &self.connection;
        connection.capabilities.mails_max.is_some_and(|max| connection.transactions >= max)
    }

    fn chunking(&self) -> bool {
        self.connection.capabilities.offers(Extension::Chunking)
    }

    fn fault(&self, error: Error) -> Interrupted {
        Interrupted::Fault(Fault::Connection(error.into_reply(self.host)))
    }

    async fn run(&mut self, batch: &[usize]) -> Result<(), Interrupted> {
        let pipelining = self.connection.capabilities.offers(Extension::Pipelining);
        let mail = self.begin(batch, pipelining).await?;
        if !mail.is_positive() {
            return Err(self.sender_refused(mail, batch.len(), pipelining).await);
        }
        let accepted = self.recipients(batch, pipelining).await?;
        if self.chunking() {
            return if accepted.is_empty() { Ok(()) } else { self.chunks(&accepted).await };
        }
        if !pipelining {
            if accepted.is_empty() {
                return Ok(());
            }
            self.send(Stage::Data, &["DATA"]).await?;
        }
        let data = self.reply(Stage::Data).await?;
        if accepted.is_empty() {
            return self.end_without_recipients(&data).await;
        }
        if data.code != 354 {
            return self.settle(Stage::Data, &accepted, data);
        }
        let end = self.message().await?;
        self.connection.dirty = false;
        self.settle(Stage::EndOfData, &accepted, end)
    }

    /// RSET when the last transaction was left open, then MAIL; all commands when pipelining.
    async fn begin(&mut self, batch: &[usize], pipelining: bool) -> Result<Response, Interrupted> {
        if self.connection.dirty {
            self.connection.queue(&["RSET"]);
            if !pipelining {
                self.reset().await?;
            }
        }
        let reset_pending = self.connection.dirty;
        self.connection.dirty = true;
        self.queue_mail();
        if pipelining {
            for index in batch {
                self.queue_recipient(*index);
            }
            if !self.chunking() {
                self.connection.queue(&["DATA"]);
            }
        }
        self.connection.flush(Stage::Mail).await.map_err(Interrupted::BeforeAnyReply)?;
        if reset_pending {
            let reset = self.connection.reply(Stage::Reset).await;
            self.check_reset(&reset.map_err(Interrupted::BeforeAnyReply)?)?;
        }
        let mail = self.connection.reply(Stage::Mail).await;
        let mail = mail.map_err(Interrupted::BeforeAnyReply)?;
        self.connection.transactions += 1;
        Ok(mail)
    }

    async fn reset(&mut self) -> Result<(), Interrupted> {
        self.connection.flush(Stage::Reset).await.map_err(Interrupted::BeforeAnyReply)?;
        let response = self.connection.reply(Stage::Reset).await;
        self.check_reset(&response.map_err(Interrupted::BeforeAnyReply)?)?;
        self.connection.dirty = false;
        Ok(())
    }

    fn check_reset(&mut self, response: &Response) -> Result<(), Interrupted> {
        if response.is_positive() {
            return Ok(());
        }
        Err(Interrupted::BeforeAnyReply(self.connection.unexpected(Stage::Reset, response)))
    }

    /// `"MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF`
    fn queue_mail(&mut self) {
        let message @ Content { smtputf8, eight_bit, .. } = &self.job.message;
        let offered = &self.connection.capabilities;
        let size = if offered.offers(Extension::Size) {
            format!(" SIZE={}", message.len())
        } else {
            String::new()
        };
        let recipients = self.job.recipients.iter().map(|recipient| &recipient.address);
        let addresses = std::iter::once(&self.job.mail_from).chain(recipients);
        let non_ascii = *smtputf8 || addresses.into_iter().any(|address| !address.is_ascii());
        let utf8 = offered.offers(Extension::SmtpUtf8) && non_ascii;
        let wide = offered.offers(Extension::EightBitMime) && (*eight_bit || utf8);
        let body = if wide { " BODY=8BITMIME" } else { "" };
        let utf8 = if utf8 { " SMTPUTF8" } else { "" };
        let report = match &self.job.envelope_id {
            Some(id) if offered.offers(Extension::Dsn) => {
                format!(" RET={} ENVID={id}", self.job.ret.as_str())
            }
            _ => String::new(),
        };
        // Only hosts that offer it have got here.
        let tls = if self.job.require_tls == RequireTls::Yes { " REQUIRETLS" } else { "" };
        let parameters: [&str; 5] = [&size, body, utf8, tls, &report];
        let parameters = parameters.concat();
        self.connection.queue(&["MAIL FROM:<", &self.job.mail_from, ">", &parameters]);
    }

    fn queue_recipient(&mut self, index: usize) {
        if let Some(recipient) = self.job.recipients.get(index) {
            let parameters = if self.connection.capabilities.offers(Extension::Dsn) {
                dsn_parameters(recipient)
            } else {
                String::new()
            };
            self.connection.queue(&["RCPT TO:<", &recipient.address, ">", &parameters]);
        }
    }

    async fn send(&mut self, stage: Stage, parts: &[&str]) -> Result<(), Interrupted> {
        self.connection.queue(parts);
        self.connection.flush(stage).await.map_err(|error| self.fault(error))
    }

    async fn reply(&mut self, stage: Stage) -> Result<Response, Interrupted> {
        self.connection.reply(stage).await.map_err(|error| self.fault(error))
    }

    /// MAIL was refused: the replies to what was pipelined behind it mean nothing.
    async fn sender_refused(
        &mut self,
        mail: Response,
        recipients: usize,
        pipelining: bool,
    ) -> Interrupted {
        if pipelining && !self.connection.broken {
            if let Err(error) = self.drain(recipients).await {
                tracing::debug!(%error, "connection was lost after MAIL was refused");
            }
        } else {
            self.connection.dirty = false;
        }
        Interrupted::Fault(Fault::from_response(Stage::Mail, mail, self.host))
    }

    async fn drain(&mut self, recipients: usize) -> Result<(), Error> {
        for _ in 0..recipients {
            self.connection.reply(Stage::Recipient).await?;
        }
        if self.chunking() {
            return Ok(());
        }
        let data = self.connection.reply(Stage::Data).await?;
        if data.code == 354 {
            self.connection.command(Stage::EndOfData, &["."]).await?;
        }
        Ok(())
    }

    /// The replies to RCPT; the recipients that were accepted.
    async fn recipients(
        &mut self,
        batch: &[usize],
        pipelining: bool,
    ) -> Result<Vec<usize>, Interrupted> {
        let mut accepted = Vec::with_capacity(batch.len());
        for index in batch {
            if !pipelining {
                self.queue_recipient(*index);
                let flushed = self.connection.flush(Stage::Recipient).await;
                flushed.map_err(|error| self.fault(error))?;
            }
            let response = self.reply(Stage::Recipient).await?;
            if response.code == 421 {
                return Err(Interrupted::Fault(Fault::Temporary(response.into_reply())));
            }
            self.ledger.is_answered = true;
            if response.is_positive() {
                accepted.push(*index);
                continue;
            }
            let too_many = is_too_many(&response);
            if too_many && !accepted.is_empty() {
                // Stays open for a further transaction.
                if pipelining {
                    continue;
                }
                break;
            }
            let reply = response.clone().into_reply();
            let outcome = match response.code {
                500..=599 if !too_many => Outcome::Failed(reply),
                400..=599 => Outcome::Deferred(reply),
                _ => return Err(self.nonsense(Stage::Recipient, &response)),
            };
            self.ledger.set(*index, outcome);
        }
        Ok(accepted)
    }

    /// RFC 2920 §3.1: DATA accepted without a recipient is ended by sending nothing but the end.
    async fn end_without_recipients(&mut self, data: &Response) -> Result<(), Interrupted> {
        if data.code == 354 {
            self.send(Stage::EndOfData, &["."]).await?;
            self.reply(Stage::EndOfData).await?;
            self.connection.dirty = false;
        }
        Ok(())
    }

    /// Sends the message and waits for the verdict.
    async fn message(&mut self) -> Result<Response, Interrupted> {
        let Err(error) = self.write_message().await else {
            return self.reply(Stage::EndOfData).await;
        };
        if let Error::Content(_) = error {
            // Nothing may end what was sent so far.
            self.connection.broken = true;
            return Err(self.fault(error));
        }
        // A server may refuse before the end and close: its reply says more than our error.
        match self.connection.reply(Stage::Quit).await {
            Ok(response) if !response.is_positive() => Ok(response),
            _ => Err(self.fault(error)),
        }
    }

    async fn write_message(&mut self) -> Result<(), Error> {
        let Content { prefix, body, .. } = &self.job.message;
        let mut stuffer = Stuffer::new();
        self.write_piece(&mut stuffer, prefix).await?;
        let mut pieces = body.pieces();
        while let Some(piece) = pieces.next().await {
            self.write_piece(&mut stuffer, &piece.map_err(Error::Content)?).await?;
        }
        stuffer.finish(&mut self.connection.out);
        self.connection.flush(Stage::Message).await
    }

    async fn write_piece(&mut self, stuffer: &mut Stuffer, mut rest: &[u8]) -> Result<(), Error> {
        while !rest.is_empty() {
            rest = stuffer.push(rest, &mut self.connection.out, CHUNK);
            if self.connection.out.len() >= CHUNK {
                self.connection.flush(Stage::Message).await?;
            }
        }
        Ok(())
    }

    /// One reply that holds for all recipients that were accepted.
    fn settle(
        &mut self,
        stage: Stage,
        accepted: &[usize],
        response: Response,
    ) -> Result<(), Interrupted> {
        let dsn = self.connection.capabilities.offers(Extension::Dsn);
        let outcome: &dyn Fn(Reply) -> Outcome = match response.code {
            200..=299 if stage == Stage::EndOfData => &|reply| Outcome::Delivered { reply, dsn },
            400..=499 => &Outcome::Deferred,
            500..=599 => &Outcome::Failed,
            _ => return Err(self.nonsense(stage, &response)),
        };
        let reply = response.into_reply();
        for index in accepted {
            self.ledger.set(*index, outcome(reply.clone()));
        }
        Ok(())
    }

    fn nonsense(&mut self, stage: Stage, response: &Response) -> Interrupted {
        let error = self.connection.unexpected(stage, response);
        self.fault(error)
    }
}

/// `NOTIFY` as the sender has said it, and `ORCPT`, so that a report names the recipient whom we know,
/// wherever the message was forwarded to: what the sender has given, or the recipient (RFC 3461
/// §5.2.1). In ASCII, whatever the address (RFC 6533 §3).
fn dsn_parameters(recipient: &Recipient) -> String {
    let asked = recipient.dsn.as_deref();
    let notify = asked.and_then(|asked| asked.notify);
    let mut text = notify.map_or_else(String::new, |notify| format!(" NOTIFY={notify}"));
    let given = asked.and_then(|asked| asked.orcpt.as_ref());
    let own = || OriginalRecipient::of(&recipient.address).to_param();
    if let Some(original) = given.map_or_else(own, OriginalRecipient::to_param) {
        text.extend([" ORCPT=", &original]);
    }
    text
}

/// Too many recipients (RFC 5321 §4.5.3.1.10): 452, or 552 from older servers, unless the enhanced
/// code names another reason such as a full mailbox.
fn is_too_many(response: &Response) -> bool {
    matches!(response.code, 452 | 552)
        && response.enhanced.as_ref().is_none_or(|code| code.ends_with(".5.3"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posthouse_mail::dsn::RcptDsn;

    use super::*;

    #[test]
    fn what_the_sender_has_said_goes_on() {
        let to = |address: &str, notify: &str, orcpt: &str| {
            let notify = notify.parse().ok();
            let orcpt = OriginalRecipient::from_param(orcpt).ok();
            let dsn =
                (notify.is_some() || orcpt.is_some()).then(|| Arc::new(RcptDsn { notify, orcpt }));
            dsn_parameters(&Recipient { address: address.into(), dsn })
        };
        assert_eq!(to("b+c=d@b.example", "", ""), " ORCPT=rfc822;b+2Bc+3Dd@b.example");
        assert_eq!(to("\"a b\"@b.example", "", ""), " ORCPT=rfc822;\"a+20b\"@b.example");
        assert_eq!(to("é@b.example", "", ""), r" ORCPT=utf-8;\x{E9}@b.example");
        assert_eq!(to("bob@b.example", "never", ""), " NOTIFY=NEVER ORCPT=rfc822;bob@b.example");
        let both = to("bob@b.example", "DELAY,SUCCESS", "x-y;a+2Bb");
        assert_eq!(both, " NOTIFY=SUCCESS,DELAY ORCPT=x-y;a+2Bb");
    }

    #[test]
    fn only_a_lack_of_room_for_recipients_splits() {
        let response = |code, enhanced: Option<&str>| Response {
            code,
            enhanced: enhanced.map(str::to_owned),
            text: String::new(),
        };
        assert!(is_too_many(&response(452, None)));
        assert!(is_too_many(&response(452, Some("4.5.3"))));
        assert!(is_too_many(&response(552, Some("5.5.3"))));
        assert!(!is_too_many(&response(452, Some("4.2.2"))));
        assert!(!is_too_many(&response(552, Some("5.3.4"))));
        assert!(!is_too_many(&response(450, None)));
    }
}
