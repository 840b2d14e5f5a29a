//! Taking a message that came in: into the mailboxes of its recipients, with its events, in one
//! transaction. All recipients or none: what was refused is tried again by the sender.

use bytes::Bytes;
use posthouse_mail::{
    message,
    parse::ParsedMail,
    received::{Client, Protocol, ReceivedInput, received_line},
    report::Report,
};
use serde_json::json;

use super::{ConnectionFacts, Incoming, MAX_RECEIVED, Recipient, reverse::reverse_name};
use crate::{
    blobs::Packed,
    bounces::{self, About},
    error::{Error, Result},
    mails::{self, NewMail, Origin, Reception},
    messages::ReversePath,
    platform::Platform,
    trace::Traced,
};

/// Stores a message for all its recipients. When this returns, it is committed.
///
/// # Errors
/// `PolicyRejected` (mail loop), `MessageTooLarge`, `QuotaExceeded`, `StorageFull`, `Unavailable`.
pub async fn receive(platform: &Platform, incoming: Incoming) -> Result<()> {
    check(platform, &incoming.data)?;
    let now = platform.now();
    let parsed = mails::parse(&incoming.data).await?;
    let report = Report::read(&incoming.data, &parsed);
    let packed = Packed::new(incoming.data.clone()).await?;
    let rdns = reverse_name(platform, incoming.facts.remote_address).await;
    let mut recipients: Vec<&Recipient> = incoming.recipients.iter().collect();
    // The order in which accounts are locked.
    recipients.sort_by_key(|recipient| recipient.account);
    let mut new = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let blob = platform.blobs().place(recipient.account, &packed).await?;
        let prefix = prefix(platform, &incoming, recipient, rdns.as_deref())?;
        let origin = Origin::Received(reception(&incoming, recipient));
        let mut mail = NewMail::new(origin, prefix, parsed.clone(), blob, now);
        let about = about(platform, recipient, &parsed, report.as_ref()).await?;
        mail.refers_to = about.message;
        new.push((mail, about));
    }
    let mut tx = platform.begin("inbound.receive").await?;
    let mut events = Vec::with_capacity(new.len());
    for (mail, about) in &new {
        events.push(bounces::apply(&mut tx, mail, about).await?);
    }
    for ((mail, _), told) in new.iter().zip(events) {
        mails::deliver_in(&mut tx, mail).await?;
        for event in told {
            tx.emit(event);
        }
        tx.write_many_events().await?;
    }
    tx.commit().await?;
    metrics::counter!("posthouse_inbound_messages_total").increment(1);
    tracing::info!(
        connection.id = %incoming.facts.id,
        recipients = new.len(),
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

/// Delivered-To (RFC 9228), Return-Path, Received, in this order (A16).
fn prefix(
    platform: &Platform,
    incoming: &Incoming,
    recipient: &Recipient,
    rdns: Option<&str>,
) -> Result<Bytes> {
    let facts = &incoming.facts;
    let single = incoming.recipients.len() == 1;
    let tls = facts.tls.as_ref().map(|tls| format!("{} {}", tls.version, tls.cipher));
    let received = received_line(&ReceivedInput {
        client: Some(Client { ehlo: &facts.helo, rdns, ip: facts.remote_address }),
        by: &platform.config().hostname,
        local_ip: Some(facts.local_address),
        protocol: protocol(facts),
        tls: tls.as_deref(),
        requiretls: false,
        id: &platform.trace_key().seal(Traced::Connection(facts.id))?,
        recipient: single.then_some(&recipient.address),
        now: platform.now(),
    });
    let sender = sender(&incoming.mail_from);
    let delivered_to = &recipient.address;
    let prefix = format!("Delivered-To: {delivered_to}\r\nReturn-Path: <{sender}>\r\n{received}");
    Ok(Bytes::from(prefix))
}

const fn protocol(facts: &ConnectionFacts) -> Protocol {
    if !facts.esmtp {
        return Protocol::Smtp;
    }
    Protocol::Esmtp { tls: facts.tls.is_some(), auth: false, utf8: facts.smtputf8 }
}

fn sender(mail_from: &ReversePath) -> String {
    match mail_from {
        ReversePath::Null => String::new(),
        ReversePath::Address(address) => address.to_string(),
    }
}

fn reception(incoming: &Incoming, recipient: &Recipient) -> Reception {
    let facts = &incoming.facts;
    Reception {
        mail_from: sender(&incoming.mail_from),
        rcpt_to: recipient.address.to_string(),
        remote_address: Some(facts.remote_address.to_string()),
        helo: facts.helo.clone(),
        tls: facts.tls.as_ref().map(|tls| json!({"version": tls.version, "cipher": tls.cipher})),
    }
}
