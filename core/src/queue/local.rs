//! Delivering to those who are at home here: straight into the mailbox, without SMTP and DNS.

use bytes::Bytes;
use posthouse_mail::address::Address;

use super::{Entry, complete::Result as Verdict, store::Message};
use crate::{
    blobs::Body,
    bounces::{self, About},
    error::{Code, Error, Result},
    id::{Account, Id},
    inbound::{
        self,
        deliver::Arrival,
        refusals::{self, Refused},
    },
    mails::{self, NewMail, Origin, Reception},
    platform::Platform,
    ports::transport::{Reply, RequireTls},
    room::Share,
    spool::Arrived,
};

/// A message is in memory as it is, as what it says, and compressed.
const COPIES: u64 = 3;

/// What stands for the other server's name in the history.
pub(super) const HOST: &str = "local";

/// Delivers to one recipient in a domain that is served here.
pub(super) async fn deliver(
    platform: &Platform,
    entry: &Entry,
    message: (&Message, &Body),
) -> Verdict {
    match try_deliver(platform, entry, message).await {
        Ok(()) => Verdict::Delivered(reply(250, "2.0.0", "delivered here")),
        Err(error) => verdict(entry, &error),
    }
}

fn verdict(entry: &Entry, error: &Error) -> Verdict {
    let text = error.to_string();
    match error.code() {
        Code::UnknownRecipient | Code::NotFound => Verdict::Failed(reply(550, "5.1.1", &text)),
        Code::PolicyRejected => Verdict::Failed(reply(550, "5.7.1", &text)),
        Code::DomainDisabled => Verdict::Deferred(reply(450, "4.2.1", &text)),
        Code::StorageFull => Verdict::Deferred(reply(452, "4.3.1", &text)),
        Code::QuotaExceeded => Verdict::Deferred(reply(452, "4.2.2", &text)),
        _ => {
            tracing::warn!(delivery.id = %entry.id, error = ?error, "local delivery put off");
            Verdict::Deferred(reply(451, "4.3.0", &text))
        }
    }
}

fn reply(code: u16, enhanced: &str, text: &str) -> Reply {
    Reply { code: Some(code), enhanced: Some(enhanced.to_owned()), text: text.to_owned() }
}

async fn try_deliver(platform: &Platform, entry: &Entry, message: (&Message, &Body)) -> Result<()> {
    let address = Address::parse(&entry.recipient).map_err(Error::internal)?;
    let recipient = inbound::check_recipient(platform, &address).await?;
    let (arrival, _memory) = arrival(platform, entry, message, (recipient.account, HOST)).await?;
    let mut arrivals = [arrival];
    let mut tx = platform.begin("queue.deliver_here").await?;
    match inbound::deliver::deliver(&mut tx, platform, &mut arrivals).await {
        Ok(done) => done.commit(tx, platform).await,
        Err(refused) => Err(refuse(platform, message.0, &arrivals, refused).await),
    }
}

/// Tells the account of the recipient that it has refused a message.
pub(crate) async fn refuse(
    platform: &Platform,
    message: &Message,
    arrivals: &[Arrival],
    refused: Refused,
) -> Error {
    let origin = refusals::Origin {
        mail_from: &message.mail_from,
        remote_address: None,
        helo: HOST,
        parsed: arrivals.first().map(|arrival| &*arrival.mail.parsed),
    };
    refusals::tell(platform, &refused, origin).await;
    refused.error
}

/// A queued message as the mail of `account`, received from `host`, as soon as there is memory to
/// work on it; the share is to be kept until the mail is stored.
pub(crate) async fn arrival(
    platform: &Platform,
    entry: &Entry,
    (message, body): (&Message, &Body),
    (account, host): (Id<Account>, &str),
) -> Result<(Arrival, Share)> {
    let fields =
        format!("Delivered-To: {}\r\nReturn-Path: <{}>\r\n", entry.recipient, message.mail_from);
    let prefix = Bytes::from([fields.as_bytes(), &message.prefix].concat());
    let Arrived { bytes, memory } = body.load(platform.memory(), COPIES).await?;
    let parsed = mails::parse(&bytes).await?;
    // Nobody here sends reports: it can only be an answer.
    let to = Address::parse(&entry.recipient).map_err(Error::internal)?;
    let answer = bounces::Mail { account, to: &to, parsed: &parsed, report: None };
    let refers_to = bounces::find(platform, answer).await?.message;
    let blob = platform.blobs().prepare(account, bytes.clone()).await?;
    let reception = Reception {
        mail_from: message.mail_from.to_string(),
        rcpt_to: entry.recipient.to_string(),
        remote_address: None,
        helo: host.to_owned(),
        tls: None,
        requiretls: entry.require_tls == RequireTls::Yes,
    };
    let origin = Origin::Received(reception);
    let mut mail = NewMail::new(origin, prefix, parsed, blob, platform.now());
    mail.refers_to = refers_to;
    let arrival = Arrival::new(platform, mail, About::default(), (bytes, fields.len())).await?;
    Ok((arrival, memory))
}
