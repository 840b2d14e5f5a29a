//! Questions of a session, answered by operations of the core.

use aws_lc_rs::hmac;
use bytes::Bytes;
use posthouse_core::{
    Actor, Cx, Door, Error, Platform, Result, credentials, inbound,
    messages::{self, Content, Dsn, NewMessage, Options, Protocol, ReversePath},
    ports::DnsError,
};
use posthouse_mail::{
    address::Address,
    domain,
    dsn::{MailDsn, RcptDsn},
};
use rand::{Rng as _, distr::Alphanumeric};

use crate::{
    config::ListenerKind,
    proto::{self, Answer, Ask, Domain, ForwardPath, Hello, MailParams, Mailbox, Reply},
    replies::{Stage, from_error},
    sasl::{Mechanism, ScramKeys, ScramSecret},
};

/// Characters of our part of a SCRAM nonce: 190 bits.
const NONCE: usize = 32;

/// Answers the questions of one connection.
pub(crate) struct Asks {
    platform: Platform,
    kind: ListenerKind,
    /// Of the connection; what changes with EHLO, MAIL and TLS is brought up to date.
    pub(crate) facts: inbound::ConnectionFacts,
    /// Makes up secrets for users that do not exist.
    fake: hmac::Key,
    actor: Option<Actor>,
    /// How the actor has logged in.
    mechanism: Option<Mechanism>,
    /// The user whose secret was last looked up; a secret of none was made up.
    scram: (String, Option<credentials::ScramSecret>),
    mail_from: ReversePath,
    recipients: Recipients,
}

/// Recipients that were accepted.
enum Recipients {
    /// At home here.
    Local(Vec<inbound::Recipient>),
    /// Anywhere, and what the sender wants to be told about each.
    Any(Vec<(Address, RcptDsn)>),
}

impl Asks {
    pub(crate) fn new(
        platform: Platform,
        kind: ListenerKind,
        facts: inbound::ConnectionFacts,
        fake: hmac::Key,
    ) -> Self {
        Self {
            platform,
            kind,
            facts,
            fake,
            actor: None,
            mechanism: None,
            scram: (String::new(), None),
            mail_from: ReversePath::Null,
            recipients: Recipients::Any(Vec::new()),
        }
    }

    /// Finds the answer.
    pub(crate) async fn resolve(&mut self, ask: Ask, hello: &Hello) -> Answer {
        match ask {
            Ask::Helo { name } => self.helo(&name).await,
            Ask::Password { mechanism, username, password } => {
                self.facts.helo.clone_from(&hello.name);
                let client = self.client(mechanism);
                let (platform, password) = (&self.platform, password.reveal());
                let result =
                    credentials::authenticate_password(platform, &client, &username, password)
                        .await;
                self.logged_in(mechanism, result)
            }
            Ask::ScramSecret { username } => {
                self.facts.helo.clone_from(&hello.name);
                self.scram_secret(username).await
            }
            Ask::ScramOutcome { proved } => {
                let result = self.scram_outcome(proved).await;
                self.logged_in(Mechanism::ScramSha256, result)
            }
            Ask::Sender { path, params } => self.sender(path, &params).await,
            Ask::Recipient { path, params } => self.recipient(path, params.dsn).await,
            Ask::Message { params, data } => {
                self.facts.helo.clone_from(&hello.name);
                self.facts.esmtp = hello.esmtp;
                self.facts.smtputf8 = params.smtputf8;
                self.facts.requiretls = params.requiretls;
                self.message(data, params.dsn).await
            }
        }
    }

    /// Forgets who has logged in, after STARTTLS.
    pub(crate) fn forget(&mut self) {
        self.actor = None;
    }

    /// A2. The sandbox has no Internet to ask.
    async fn helo(&self, name: &str) -> Answer {
        if self.platform.config().sandbox {
            return Answer::Accepted;
        }
        let name = domain::normalise(name).unwrap_or_else(|_| name.to_ascii_lowercase());
        match self.platform.resolver().addresses(&name).await {
            Ok(_) | Err(DnsError::Temporary(_)) => Answer::Accepted,
            Err(DnsError::NoName | DnsError::NoRecord) => Answer::Refused(Reply::new(
                550,
                "5.7.1",
                "The name in HELO has no address in the DNS",
            )),
        }
    }

    /// Who logs in.
    fn client(&self, mechanism: Mechanism) -> credentials::Client<'_> {
        let tls = self.facts.tls.as_ref();
        credentials::Client {
            door: Door::Submission,
            remote: Some(self.facts.remote_address),
            mechanism: mechanism.as_str(),
            tls: tls.map(|tls| format!("{} {}", tls.version, tls.cipher)),
            user_agent: &self.facts.helo,
        }
    }

    async fn scram_secret(&mut self, username: String) -> Answer {
        let client = self.client(Mechanism::ScramSha256);
        let known = match credentials::scram_secret(&self.platform, &client, &username).await {
            Ok(known) => known,
            Err(error) => return self.logged_in(Mechanism::ScramSha256, Err(error)),
        };
        let secret = match &known {
            Some(known) => ScramSecret {
                salt: known.salt.clone(),
                iterations: known.iterations,
                keys: known.keys.iter().map(keys).collect(),
            },
            None => ScramSecret::fake(&self.fake, &username),
        };
        self.scram = (username, known);
        let nonce = rand::rng().sample_iter(Alphanumeric).take(NONCE).map(char::from).collect();
        Answer::Secret { secret, nonce }
    }

    async fn scram_outcome(&mut self, proved: Option<usize>) -> Result<Actor> {
        let (username, secret) = std::mem::take(&mut self.scram);
        let (platform, client) = (&self.platform, self.client(Mechanism::ScramSha256));
        credentials::conclude_scram(platform, &client, &username, secret.as_ref(), proved).await
    }

    /// H11: one line for each failure, with the address that it came from.
    fn logged_in(&mut self, mechanism: Mechanism, result: Result<Actor>) -> Answer {
        let outcome = result.as_ref().err().map_or("ok", |error| error.code().as_str());
        metrics::counter!(
            "posthouse_smtp_in_logins_total",
            "mechanism" => mechanism.as_str(),
            "result" => outcome
        )
        .increment(1);
        match result {
            Ok(actor) => {
                tracing::info!(account.id = %actor.account, mechanism = mechanism.as_str(), "login");
                self.actor = Some(actor);
                self.mechanism = Some(mechanism);
                Answer::Accepted
            }
            Err(error) => {
                let remote = self.facts.remote_address;
                tracing::info!(
                    client.address = %remote,
                    mechanism = mechanism.as_str(),
                    code = outcome,
                    "login failed"
                );
                refused(&error, Stage::Login)
            }
        }
    }

    async fn sender(&mut self, path: proto::ReversePath, params: &MailParams) -> Answer {
        let mail_from = match path {
            proto::ReversePath::Null => ReversePath::Null,
            proto::ReversePath::Mailbox(mailbox) => match address(mailbox, "5.1.8", "5.1.7") {
                Ok(address) => ReversePath::Address(address),
                Err(reply) => return Answer::Refused(reply),
            },
        };
        self.facts.smtputf8 = params.smtputf8;
        if let Err(error) = self.check_sender(&mail_from).await {
            return refused(&error, Stage::Sender);
        }
        self.recipients = match self.kind {
            ListenerKind::Mx => Recipients::Local(Vec::new()),
            ListenerKind::Submission | ListenerKind::Submissions => Recipients::Any(Vec::new()),
        };
        self.mail_from = mail_from;
        Answer::Accepted
    }

    async fn check_sender(&self, mail_from: &ReversePath) -> Result<()> {
        match self.kind {
            ListenerKind::Mx => inbound::check_sender(&self.platform, mail_from).await,
            _ => messages::check_sender(&self.cx()?, mail_from).await,
        }
    }

    async fn recipient(&mut self, path: ForwardPath, dsn: RcptDsn) -> Answer {
        let result = match path {
            ForwardPath::Postmaster if self.kind == ListenerKind::Mx => {
                self.local_recipient(None).await
            }
            ForwardPath::Postmaster => {
                let text = format!("postmaster@{}", self.platform.config().hostname);
                match Address::parse(&text) {
                    Ok(address) => self.any_recipient(address, dsn).await,
                    Err(_) => Err(Error::UnknownRecipient),
                }
            }
            ForwardPath::Mailbox(mailbox) => match address(mailbox, "5.1.1", "5.1.3") {
                Ok(address) if self.kind == ListenerKind::Mx => {
                    self.local_recipient(Some(address)).await
                }
                Ok(address) => self.any_recipient(address, dsn).await,
                Err(reply) => return Answer::Refused(reply),
            },
        };
        match result {
            Ok(()) => Answer::Accepted,
            Err(error) => refused(&error, Stage::Recipient),
        }
    }

    /// A recipient of mail from outside; none: the postmaster.
    async fn local_recipient(&mut self, address: Option<Address>) -> Result<()> {
        let mut recipient = match &address {
            Some(address) => inbound::check_recipient(&self.platform, address).await?,
            None => inbound::check_postmaster(&self.platform).await?,
        };
        let Recipients::Local(all) = &mut self.recipients else { return Ok(()) };
        if all.iter().any(|other| other.address == recipient.address) {
            return Ok(());
        }
        let (from, facts) = (&self.mail_from, &self.facts);
        inbound::ask_routes(&self.platform, from, &mut recipient, all, facts).await?;
        all.push(recipient);
        Ok(())
    }

    /// A recipient of a submitted message (B12).
    async fn any_recipient(&mut self, address: Address, dsn: RcptDsn) -> Result<()> {
        messages::check_recipient(&self.cx()?, &address).await?;
        if let Recipients::Any(all) = &mut self.recipients {
            all.push((address, dsn));
        }
        Ok(())
    }

    async fn message(&mut self, data: Bytes, dsn: MailDsn) -> Answer {
        let mail_from = std::mem::replace(&mut self.mail_from, ReversePath::Null);
        let recipients = std::mem::replace(&mut self.recipients, Recipients::Any(Vec::new()));
        let result = match recipients {
            Recipients::Local(recipients) => self.receive(mail_from, recipients, data).await,
            Recipients::Any(recipients) => self.submit(mail_from, recipients, (data, dsn)).await,
        };
        let outcome = result.as_ref().err().map_or("ok", |error| error.code().as_str());
        let listener = self.kind.as_str();
        metrics::counter!(
            "posthouse_smtp_in_messages_total", "listener" => listener, "result" => outcome
        )
        .increment(1);
        match result {
            Ok(text) => Answer::Done(text),
            Err(error) => refused(&error, Stage::Message),
        }
    }

    async fn receive(
        &self,
        mail_from: ReversePath,
        recipients: Vec<inbound::Recipient>,
        data: Bytes,
    ) -> Result<String> {
        let facts = self.facts.clone();
        let incoming = inbound::Incoming { mail_from, recipients, data, facts };
        inbound::receive(&self.platform, incoming).await?;
        Ok(format!("Received as {}", self.facts.id))
    }

    async fn submit(
        &self,
        mail_from: ReversePath,
        recipients: Vec<(Address, RcptDsn)>,
        (data, message): (Bytes, MailDsn),
    ) -> Result<String> {
        let tls = self.facts.tls.as_ref().map(|tls| format!("{} {}", tls.version, tls.cipher));
        let mechanism = self.mechanism.map_or("", Mechanism::as_str);
        let protocol = Protocol::Submission { tls, mechanism };
        let require_tls = self.facts.requiretls.then_some(true);
        let mut dsn = Dsn { message, ..Dsn::default() };
        for (address, params) in &recipients {
            // As the first of several is the one that stays.
            dsn.recipients.entry(address.clone()).or_insert_with(|| params.clone());
        }
        let options = Options { protocol, require_tls, dsn, ..Options::default() };
        let new = NewMessage {
            mail_from: Some(mail_from),
            recipients: recipients.into_iter().map(|(address, _)| address).collect(),
            content: Content::Raw(data),
            template: None,
            uploads: Vec::new(),
            options,
        };
        let submitted = messages::submit(&self.cx()?, new).await?;
        Ok(format!("Queued as {}", submitted.value.id))
    }

    /// The context of whoever has logged in.
    fn cx(&self) -> Result<Cx> {
        let actor = self.actor.clone().ok_or(Error::Unauthenticated)?;
        Ok(Cx::new(self.platform.clone(), actor, self.facts.id))
    }
}

fn keys(known: &credentials::ScramKey) -> ScramKeys {
    ScramKeys { stored_key: known.stored_key.clone(), server_key: known.server_key.clone() }
}

/// The address of a mailbox; `literal` and `bad`: what is wrong with others.
fn address(mailbox: Mailbox, literal: &'static str, bad: &'static str) -> Result<Address, Reply> {
    match mailbox.domain {
        Domain::Literal(_) => {
            Err(Reply::new(550, literal, "Addresses at an IP address are not accepted"))
        }
        Domain::Name(domain) => Address::new(&mailbox.local, &domain)
            .map_err(|error| Reply::new(501, bad, format!("Bad address: {error}"))),
    }
}

/// The reply for an error; what is our fault is logged here, once.
fn refused(error: &Error, stage: Stage) -> Answer {
    match error {
        Error::Internal(cause) => tracing::error!(error = %cause, "internal error"),
        Error::Unavailable(cause) | Error::StorageFull(cause) => {
            tracing::warn!(error = %cause, code = error.code().as_str(), "not available");
        }
        _ => {}
    }
    Answer::Refused(from_error(error, stage))
}
