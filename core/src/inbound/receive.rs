//! Taking a message that came in: into the mailboxes of its recipients, with its events, in one
//! transaction. All recipients or none: what was refused is tried again by the sender.

use std::sync::Arc;

use bytes::Bytes;
use posthouse_mail::{
    message,
    parse::ParsedMail,
    received::{Client, Protocol, ReceivedInput, received_line},
    report::Report,
};
use serde_json::json;

use super::{
    ConnectionFacts, Incoming, MAX_RECEIVED, Recipient,
    deliver::{Arrival, deliver},
    refusals::{self, Refused},
    reverse::reverse_name,
};
use crate::{
    blobs::Packed,
    bounces::{self, About},
    error::{Error, Result},
    mails::{self, NewMail, Origin, Reception},
    platform::Platform,
    trace::Traced,
};

/// Stores a message for all its recipients, as their routes say. When this returns, it is committed.
///
/// # Errors
/// `PolicyRejected` (mail loop, a route), `MessageTooLarge`, `QuotaExceeded`, `StorageFull`,
/// `Unavailable`.
pub async fn receive(platform: &Platform, incoming: Incoming) -> Result<()> {
    let all = || incoming.recipients.iter().map(|one| (one.account, one.address.to_string(), None));
    let mut parsed = None;
    let taken = match check(platform, &incoming.data) {
        Ok(()) => take(platform, &incoming, &mut parsed).await,
        Err(error) => Err(Refused { error, whose: all().collect() }),
    };
    let Err(refused) = taken else { return Ok(()) };
    let mail_from = incoming.mail_from.as_text();
    let origin = refusals::Origin {
        mail_from: &mail_from,
        remote_address: Some(incoming.facts.remote_address),
        helo: &incoming.facts.helo,
        parsed: parsed.as_deref(),
    };
    refusals::tell(platform, &refused, origin).await;
    Err(refused.error)
}

async fn take(
    platform: &Platform,
    incoming: &Incoming,
    kept: &mut Option<Arc<ParsedMail>>,
) -> Result<(), Refused> {
    let now = platform.now();
    let parsed = kept.insert(mails::parse(&incoming.data).await?);
    let report = Report::read(&incoming.data, parsed);
    let packed = Packed::new(incoming.data.clone()).await?;
    let rdns = reverse_name(platform, incoming.facts.remote_address).await;
    let mut recipients: Vec<&Recipient> = incoming.recipients.iter().collect();
    // The order in which accounts are locked.
    recipients.sort_by_key(|recipient| recipient.account);
    let mut arrivals = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let blob = platform.blobs().place(recipient.account, &packed).await?;
        let (prefix, own) = prefix(platform, incoming, recipient, rdns.as_deref())?;
        let origin = Origin::Received(reception(incoming, recipient));
        let mut mail = NewMail::new(origin, prefix, Arc::clone(parsed), blob, now);
        let about = about(platform, recipient, parsed, report.as_ref()).await?;
        mail.refers_to = about.message;
        let data = (incoming.data.clone(), own);
        arrivals.push(Arrival::new(platform, mail, about, data).await?);
    }
    let mut tx = platform.begin("inbound.receive").await?;
    let done = deliver(&mut tx, platform, &mut arrivals).await?;
    done.commit(tx, platform).await?;
    metrics::counter!("posthouse_inbound_messages_total").increment(1);
    tracing::info!(
        connection.id = %incoming.facts.id,
        recipients = arrivals.len(),
        size_bytes = incoming.data.len(),
        "message received"
    );
    Ok(())
}

/// What the mail is about, as one of `recipient`.
async fn about(
    platform: &Platform,
    recipient: &Recipient,
    parsed: &ParsedMail,
    report: Option<&Report>,
) -> Result<About> {
    let (account, to) = (recipient.account, &recipient.address);
    bounces::find(platform, bounces::Mail { account, to, parsed, report }).await
}

fn check(platform: &Platform, data: &[u8]) -> Result<()> {
    let limit = platform.config().message_size_limit;
    if u64::try_from(data.len()).unwrap_or(u64::MAX) > limit {
        return Err(Error::MessageTooLarge { limit });
    }
    let header = message::split_header(data).map_or(data, |(header, _)| header);
    let trace = message::header_fields(header)
        .filter(|(name, _)| name.eq_ignore_ascii_case("Received"))
        .count();
    if trace > MAX_RECEIVED {
        let detail = "the message has too many Received fields: it is in a loop";
        return Err(Error::PolicyRejected(detail.to_owned()));
    }
    Ok(())
}

/// Delivered-To (RFC 9228), Return-Path, Received, in this order (A16); and how many octets come before
/// Received.
fn prefix(
    platform: &Platform,
    incoming: &Incoming,
    recipient: &Recipient,
    rdns: Option<&str>,
) -> Result<(Bytes, usize)> {
    let facts = &incoming.facts;
    let single = incoming.recipients.len() == 1;
    let tls = facts.tls.as_ref().map(|tls| format!("{} {}", tls.version, tls.cipher));
    let received = received_line(&ReceivedInput {
        client: Some(Client { ehlo: &facts.helo, rdns, ip: facts.remote_address }),
        by: &platform.config().hostname,
        local_ip: Some(facts.local_address),
        protocol: protocol(facts),
        tls: tls.as_deref(),
        requiretls: facts.requiretls,
        id: &platform.trace_key().seal(Traced::Connection(facts.id))?,
        recipient: single.then_some(&recipient.address),
        now: platform.now(),
    });
    let sender = incoming.mail_from.as_text();
    let delivered_to = &recipient.address;
    let own = format!("Delivered-To: {delivered_to}\r\nReturn-Path: <{sender}>\r\n");
    let length = own.len();
    Ok((Bytes::from(own + &received), length))
}

const fn protocol(facts: &ConnectionFacts) -> Protocol {
    if !facts.esmtp {
        return Protocol::Smtp;
    }
    Protocol::Esmtp { tls: facts.tls.is_some(), auth: false, utf8: facts.smtputf8 }
}

fn reception(incoming: &Incoming, recipient: &Recipient) -> Reception {
    let facts = &incoming.facts;
    Reception {
        mail_from: incoming.mail_from.as_text(),
        rcpt_to: recipient.address.to_string(),
        remote_address: Some(facts.remote_address.to_string()),
        helo: facts.helo.clone(),
        tls: facts.tls.as_ref().map(|tls| json!({"version": tls.version, "cipher": tls.cipher})),
        requiretls: facts.requiretls,
    }
}
