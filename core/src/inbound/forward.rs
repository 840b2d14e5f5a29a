//! Sending on what came in, for routes that want it: as a message of the account, in the transaction
//! that takes the mail.
//!
//! The octets stay as they are, so that signatures of the author hold; what is added stands before
//! them. The reverse-path is the address that the mail came to, with the token of the new message as
//! for all that goes out: SPF passes, and what bounces comes back to us and is known. Mail with the
//! null sender goes on with it. There is no ARC seal yet.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use posthouse_mail::{
    dsn::MailDsn,
    message::{header_fields, split_header, waives_tls},
};
use serde_json::value::to_raw_value;
use time::OffsetDateTime;

use super::deliver::Arrival;
use crate::{
    cx::{Door, Tx},
    error::{Error, Result},
    events::{DeliveryRef, EventKind, MessageEvent, NewEvent},
    id::{self, Id, InboundRoute},
    inbound_routes::Plan,
    limits,
    mails::Origin,
    messages::{
        Purpose, Submission, SubmittedDelivery, labels,
        writer::{self, Prepared},
    },
    platform::Platform,
    queue::{self, Entry},
    trace::Traced,
};

/// Names the routes that have sent a message on.
const FIELD: &str = "Posthouse-Forwarded";
/// So many times a message is sent on by routes here.
const MAX_FORWARDED: usize = 10;
/// A message that has come a longer way is not sent on.
const MAX_RECEIVED: usize = 50;

/// Whether this mail has come round to these routes, or has gone a long way already.
pub(super) fn is_loop(
    platform: &Platform,
    arrival: &Arrival,
    routes: &[Id<InboundRoute>],
) -> Result<bool> {
    let own: Vec<String> = routes
        .iter()
        .map(|route| platform.trace_key().seal(Traced::Route(*route)))
        .collect::<Result<_>>()?;
    let header = arrival.header();
    let (mut received, mut forwarded) = (0, 0);
    for (name, value) in header_fields(&header) {
        received += usize::from(name.eq_ignore_ascii_case("Received"));
        let value = std::str::from_utf8(value).unwrap_or_default().trim();
        if name.eq_ignore_ascii_case(FIELD) {
            forwarded += 1;
            if own.iter().any(|own| own == value) {
                return Ok(true);
            }
        }
    }
    Ok(received > MAX_RECEIVED || forwarded >= MAX_FORWARDED)
}

/// Writes what is to be sent on; what the account may not send now is skipped, and kept then.
/// [`writer::schedule`] is to be called after the commit.
pub(super) async fn send(
    tx: &mut Tx,
    platform: &Platform,
    arrivals: &[Arrival],
    plans: &mut [Plan],
) -> Result<Vec<Prepared>> {
    if plans.iter().all(|plan| plan.forward_to.is_empty()) {
        return Ok(Vec::new());
    }
    let now = platform.now();
    let wanted = |(arrival, plan): (&Arrival, &Plan)| limits::Wanted {
        account: arrival.mail.account,
        key: None,
        recipients: plan.forward_to.iter().map(|to| to.to_string().to_lowercase()).collect(),
    };
    let wanted: Vec<limits::Wanted> = arrivals.iter().zip(&*plans).map(wanted).collect();
    let verdicts = limits::admit(tx.conn(), &wanted, now).await?;
    let mut messages = Vec::new();
    for ((arrival, plan), verdict) in arrivals.iter().zip(plans).zip(verdicts) {
        if plan.forward_to.is_empty() {
            continue;
        }
        if let Some(over) = verdict {
            limits::tell_refusal(tx, arrival.mail.account, None, &over).await?;
            plan.skip_forward("sending_limit");
            continue;
        }
        let message = prepare(platform, arrival, plan, now)?;
        plan.routing.forwarded_message_id = Some(message.message.id);
        messages.push(message);
    }
    writer::insert(tx, platform, messages.iter_mut().collect(), now).await?;
    writer::tell(tx, &messages.iter().collect::<Vec<_>>(), now);
    Ok(messages)
}

fn prepare(
    platform: &Platform,
    arrival: &Arrival,
    plan: &Plan,
    now: OffsetDateTime,
) -> Result<Prepared> {
    let lease = platform.queue().shards.pick()?;
    let id = Id::<id::Message>::in_shard(now, lease.shard);
    let account = arrival.mail.account;
    let require_tls = require_tls(arrival);
    let (mut entries, mut deliveries) = (Vec::new(), Vec::new());
    for (number, to) in (1_u16..).zip(&plan.forward_to) {
        let (delivery, recipient) = (id.delivery(number), to.to_string());
        let mut entry = Entry::new(delivery, account, &recipient, now);
        entry.require_tls = require_tls.into();
        entries.push(entry);
        deliveries.push(SubmittedDelivery { id: delivery, recipient, status: "queued".to_owned() });
    }
    let message = message(platform, arrival, plan, (id, now))?;
    let size = message.body.len() + u64::try_from(message.prefix.len()).unwrap_or(u64::MAX);
    let from = arrival.mail.parsed.envelope.from.first();
    let header_from = from.map(|from| from.email.clone()).unwrap_or_default();
    let submission = Submission {
        id,
        internet_message_id: message.internet_message_id.clone(),
        deliveries,
        duplicates: Vec::new(),
        size_bytes: size,
        sandbox: message.sandbox,
        dry_run: false,
        scheduled_at: None,
        created_at: now,
    };
    let event = accepted(&submission, &message, &header_from);
    Ok(Prepared {
        header_from,
        door: Door::System,
        size,
        epoch: lease.epoch,
        entries,
        status: "queued",
        expires_at: None,
        blob: arrival.mail.blob.clone(),
        event,
        sent_copy: None,
        mark: None,
        labels: labels::of(&[], &metadata(plan)),
        stream: None,
        require_tls,
        counted_key: None,
        message: Arc::new(message),
        submission,
    })
}

/// What the sender wants of TLS goes with the mail (RFC 8689 §4.2.1, §5).
fn require_tls(arrival: &Arrival) -> Option<bool> {
    if matches!(&arrival.mail.origin, Origin::Received(reception) if reception.requiretls) {
        return Some(true);
    }
    let (header, _) = split_header(&arrival.data)?;
    waives_tls(header).filter(|waives| *waives).map(|_| false)
}

/// Says which route it was.
fn metadata(plan: &Plan) -> BTreeMap<String, String> {
    let route =
        plan.forwarding.first().map(|route| ("inbound_route_id".to_owned(), route.to_string()));
    route.into_iter().collect()
}

/// The message as the delivery needs it.
fn message(
    platform: &Platform,
    arrival: &Arrival,
    plan: &Plan,
    (id, now): (Id<id::Message>, OffsetDateTime),
) -> Result<queue::store::Message> {
    let (sender, recipient) = arrival.envelope();
    let mail_from = if sender.is_empty() { "" } else { recipient };
    let mark = |route: &Id<InboundRoute>| {
        let route = platform.trace_key().seal(Traced::Route(*route))?;
        Ok(format!("{FIELD}: {route}\r\n"))
    };
    let marks = plan.forwarding.iter().map(mark).collect::<Result<String>>()?;
    let trace = arrival.mail.prefix.get(arrival.own..).unwrap_or_default();
    let (header, body) = split_header(&arrival.data).unwrap_or((&arrival.data, &[]));
    let envelope = &arrival.mail.parsed.envelope;
    let own_id = || format!("<{id}@{}>", platform.config().hostname);
    let metadata = to_raw_value(&metadata(plan)).map_err(Error::internal)?;
    Ok(queue::store::Message {
        id,
        account: arrival.mail.account,
        mail_from: mail_from.into(),
        subject: envelope.subject.clone().unwrap_or_default().replace('\0', "\u{fffd}"),
        internet_message_id: envelope.message_id.clone().unwrap_or_else(own_id),
        created_at: now,
        sandbox: platform.config().delivery.sandbox,
        purpose: Purpose::Mail,
        tags: to_raw_value::<[String]>(&[]).map_err(Error::internal)?,
        metadata,
        prefix: [marks.as_bytes(), trace].concat().into(),
        smtputf8: !header.is_ascii(),
        eight_bit: !body.is_ascii(),
        dsn: MailDsn::default(),
        body: arrival.data.clone().into(),
        held: OnceLock::new(),
    })
}

fn accepted(
    submission: &Submission,
    message: &queue::store::Message,
    header_from: &str,
) -> NewEvent {
    let deliveries = submission.deliveries.iter();
    let payload = MessageEvent {
        message_id: message.id,
        internet_message_id: &message.internet_message_id,
        mail_from: &message.mail_from,
        from: header_from,
        subject: &message.subject,
        deliveries: deliveries
            .map(|delivery| DeliveryRef { id: delivery.id, recipient: &delivery.recipient })
            .collect(),
        tags: &message.tags,
        metadata: &message.metadata,
        sandbox: message.sandbox,
    };
    let event =
        NewEvent::new(message.account, EventKind::MessageAccepted, message.created_at, &payload);
    event.about(message.id)
}
