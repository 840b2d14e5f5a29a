//! Telling the sender what he wants to be told (RFC 3461): a report in the sender's Inbox, in the
//! transaction of the result (C11). It never leaves the server, so nobody signs it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use posthouse_mail::{
    address::Address,
    dsn::{Diagnostic, DsnInput, DsnKind, DsnRecipient, Ret, Returned, compose},
    message::{MAX_HEADER, split_header},
};
use time::OffsetDateTime;

use super::{complete::Decided, local, store::Message};
use crate::{
    cx::Tx,
    error::{Error, Result},
    id::{self, Id},
    mails::{self, NewMail, Origin},
    platform::Platform,
};

/// Most octets of a message that goes back as a whole.
const MAX_RETURNED: u64 = 256 * 1024;

/// Reports of one message.
struct Group<'a> {
    message: &'a Arc<Message>,
    kind: DsnKind,
    decided: Vec<&'a Decided>,
}

/// Writes one report per message and kind for the results that ask for one. Nobody gets a report
/// about a message with the null sender; sandbox messages are reported like others.
pub(super) async fn deliver(tx: &mut Tx, platform: &Platform, decided: &[&Decided]) -> Result<()> {
    let mut groups = BTreeMap::<_, Group<'_>>::new();
    for one in decided {
        let (Some(kind), Some(message)) = (one.report, &one.message) else {
            continue;
        };
        if message.mail_from.is_empty() || !one.entry.wants(kind) {
            continue;
        }
        let key = (message.account, message.id, kind);
        let group =
            groups.entry(key).or_insert_with(|| Group { message, kind, decided: Vec::new() });
        group.decided.push(one);
    }
    // In the order of accounts, as every transaction that writes mail.
    for group in groups.into_values() {
        let mail = report(platform, &group).await?;
        mails::deliver_in(tx, &mail).await?;
    }
    Ok(())
}

async fn report(platform: &Platform, group: &Group<'_>) -> Result<NewMail> {
    let now = platform.now();
    let message = group.message;
    let hostname = &platform.config().hostname;
    let from = Address::parse(&format!("postmaster@{hostname}")).map_err(Error::internal)?;
    let to = Address::parse(&message.mail_from).map_err(Error::internal)?;
    let whole = whole(group).await;
    let beginning = if whole.is_none() { beginning(message).await } else { Bytes::new() };
    let returned = match &whole {
        Some(octets) => Returned::Message { octets, utf8: message.smtputf8 },
        None => Returned::Header(split_header(&beginning).map_or(&[], |(header, _)| header)),
    };
    let recipients: Vec<DsnRecipient> =
        group.decided.iter().filter_map(|one| recipient(platform, one)).collect();
    let id = Id::<id::Message>::new(now).to_string();
    let bytes = compose(&DsnInput {
        kind: group.kind,
        reporting_mta: hostname,
        from: &from,
        to: &to,
        message_id: &format!("<{id}@{hostname}>"),
        original_message_id: Some(&message.internet_message_id),
        envelope_id: message.dsn.envid.as_deref(),
        returned,
        recipients: &recipients,
        arrival: message.created_at,
        now,
    });
    let body = Bytes::from(bytes);
    let parsed = mails::parse(&body).await?;
    let blob = platform.blobs().prepare(message.account, body).await?;
    let prefix = Bytes::from_static(b"Return-Path: <>\r\n");
    let mut mail = NewMail::new(Origin::Dsn, prefix, parsed, blob, now);
    mail.refers_to = Some(message.id);
    Ok(mail)
}

/// The original as it went out, when the sender wants it back and may have it: only after a failure
/// (RFC 3461 §4.3), if it is not too large and does not require TLS (RFC 8689 §5).
async fn whole(group: &Group<'_>) -> Option<Bytes> {
    let message = group.message;
    let full = |one: &&Decided| message.ret(one.entry.require_tls) == Ret::Full;
    if group.kind != DsnKind::Failed || !group.decided.iter().all(full) {
        return None;
    }
    let body = message.body.opened().filter(|body| body.len() <= MAX_RETURNED)?;
    let read = body.behind(&message.prefix).bytes().await;
    read.inspect_err(|error| {
        tracing::warn!(message.id = %message.id, error = ?error, "a report goes without the message");
    })
    .ok()
}

/// As much of the original as a header is looked for in. Empty when it cannot be read: a report
/// without it is better than none.
async fn beginning(message: &Message) -> Bytes {
    // The empty line may come after that.
    let most = u64::try_from(MAX_HEADER).unwrap_or(u64::MAX).saturating_add(2);
    let body = message.body.opened().unwrap_or_default().slice(0..most);
    body.behind(&message.prefix).bytes().await.unwrap_or_else(|error| {
        tracing::warn!(message.id = %message.id, error = ?error, "a report goes without a header");
        Bytes::new()
    })
}

fn recipient(platform: &Platform, one: &Decided) -> Option<DsnRecipient> {
    let reply = &one.reply;
    let class = match one.status {
        "delivered" | "relayed" => '2',
        "deferred" => '4',
        _ => '5',
    };
    let status = match &reply.enhanced {
        Some(code) if code.starts_with(class) => code.clone(),
        // There will be no further attempt.
        _ if class == '5' && one.outcome == "deferred" => "5.4.7".to_owned(),
        _ => format!("{class}.0.0"),
    };
    let diagnostic = match reply.code {
        Some(code) => {
            let enhanced = reply.enhanced.as_deref().unwrap_or("");
            let text = reply.text.replace('\n', " ");
            Diagnostic::Smtp(format!("{code} {enhanced} {text}").replace("  ", " "))
        }
        None => Diagnostic::Own(reply.text.clone()),
    };
    // RFC 3464 §2.3.5: who has said so, and not whom we have asked in vain.
    let spoke = one.peer.as_ref().filter(|_| reply.code.is_some());
    let spoke = spoke.filter(|peer| peer.host != local::HOST);
    Some(DsnRecipient {
        address: Address::parse(&one.entry.recipient).ok()?,
        original_recipient: one.entry.orcpt().cloned(),
        status,
        remote_mta: spoke.map(|peer| peer.host.clone()),
        // What we say of our own mailboxes says nothing.
        diagnostic: (one.report != Some(DsnKind::Delivered)).then_some(diagnostic),
        last_attempt: Some(one.started_at),
        will_retry_until: one.next_attempt_at.map(|next| give_up(platform, one, next)),
    })
}

/// When the last attempt will be, or the message expires (0.7): the truth, not a guess.
fn give_up(platform: &Platform, one: &Decided, next: OffsetDateTime) -> OffsetDateTime {
    let schedule = &platform.config().delivery.retry_schedule;
    let last = schedule.iter().skip(usize::from(one.entry.attempts));
    let last = last.fold(next, |at, wait| at + *wait);
    let expires = i128::from(one.entry.expires).saturating_mul(1_000_000);
    // What expires never is what no date can be made of.
    OffsetDateTime::from_unix_timestamp_nanos(expires).map_or(last, |expires| last.min(expires))
}
