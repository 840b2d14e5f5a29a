//! Telling the sender: a report in the sender's Inbox, in the transaction of the result (C11).

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use posthouse_mail::{
    address::Address,
    dsn::{DsnInput, DsnKind, DsnRecipient, compose_failure},
    message::{MAX_HEADER, split_header},
};
use time::OffsetDateTime;

use super::{
    complete::{Decided, Report},
    store::Message,
};
use crate::{
    cx::Tx,
    error::{Error, Result},
    id::{self, Id},
    mails::{self, NewMail, Origin},
    platform::Platform,
};

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
        let (Some(report), Some(message)) = (one.report, &one.message) else {
            continue;
        };
        if message.mail_from.is_empty() {
            continue;
        }
        let kind = match report {
            Report::Failed => DsnKind::Failed,
            Report::Delayed => DsnKind::Delayed,
        };
        let key = (message.account, message.id, report == Report::Failed);
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
    let beginning = beginning(message).await;
    let header = split_header(&beginning).map_or(&[][..], |(header, _)| header);
    let recipients: Vec<DsnRecipient> =
        group.decided.iter().filter_map(|one| recipient(platform, one)).collect();
    let id = Id::<id::Message>::new(now).to_string();
    let bytes = compose_failure(&DsnInput {
        kind: group.kind,
        reporting_mta: hostname,
        from: &from,
        to: &to,
        message_id: &format!("<{id}@{hostname}>"),
        original_message_id: Some(&message.internet_message_id),
        envelope_id: None,
        original_header: header,
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
    let status = match (&reply.enhanced, one.retry) {
        (Some(code), false) if code.starts_with('5') => code.clone(),
        (Some(code), true) if code.starts_with('4') => code.clone(),
        (_, true) => "4.0.0".to_owned(),
        (_, false) if one.outcome == "deferred" => "5.4.7".to_owned(),
        (_, false) => "5.0.0".to_owned(),
    };
    let diagnostic = reply.code.map(|code| {
        let enhanced = reply.enhanced.as_deref().unwrap_or("");
        format!("{code} {enhanced} {}", reply.text.replace('\n', " ")).replace("  ", " ")
    });
    Some(DsnRecipient {
        address: Address::parse(&one.entry.recipient).ok()?,
        original_recipient: None,
        status,
        remote_mta: one.peer.as_ref().map(|peer| peer.host.clone()),
        diagnostic: Some(diagnostic.unwrap_or_else(|| reply.text.clone())),
        last_attempt: Some(one.started_at),
        will_retry_until: one.next_attempt_at.map(|next| give_up(platform, one, next)),
    })
}

/// When the last attempt will be (0.7): the truth, not a guess.
fn give_up(platform: &Platform, one: &Decided, next: OffsetDateTime) -> OffsetDateTime {
    let schedule = &platform.config().delivery.retry_schedule;
    schedule.iter().skip(usize::from(one.entry.attempts)).fold(next, |at, wait| at + *wait)
}
