//! What a report changes: in the transaction that stores the mail, once.

use std::collections::HashMap;

use super::{About, Effects, Kind, News, store};
use crate::{
    cx::Tx,
    error::Result,
    events::{DeliveryEvent, NewEvent, ReportRef},
    id::{Delivery, Id},
    mails::NewMail,
    ports::transport::Reply,
    suppressions::{
        Reason,
        reported::{self, Reported},
        rule::is_clear,
    },
};

/// Changes what the report in `mail` tells of; gives the events, to be emitted after that of the
/// mail. What has been told before changes nothing.
///
/// To be called before the mail is stored: deliveries and suppressions are locked before accounts.
pub(crate) async fn apply(tx: &mut Tx, mail: &NewMail, about: &About) -> Result<Vec<NewEvent>> {
    let Some(effects) = &about.effects else { return Ok(Vec::new()) };
    let now = mail.received_at;
    let fingerprint = (mail.blob.hash.as_slice(), now);
    let fresh = store::note(tx.conn(), mail.account, &effects.news, fingerprint).await?;
    let is_fresh = |one: &&News| fresh.contains(&(one.delivery, one.kind.as_str().to_owned()));
    let news: Vec<&News> = effects.news.iter().filter(is_fresh).collect();
    let final_ones = |one: &&&News| matches!(one.kind, Kind::Failed | Kind::Complained);
    let stamped: Vec<&News> = news.iter().filter(final_ones).copied().collect();
    if !stamped.is_empty() {
        store::stamp(tx.conn(), mail.account, &stamped, now).await?;
    }
    let mut suppressed = suppress(tx, mail, effects, &stamped).await?;
    let mut events = Vec::new();
    for one in news {
        let suppression = suppressed.remove(&one.delivery);
        events.push(event(mail, effects, one, suppression.is_some()));
        events.extend(suppression);
        metrics::counter!("posthouse_reports_total", "kind" => one.kind.as_str()).increment(1);
        tracing::info!(
            delivery.id = %one.delivery,
            account.id = %mail.account,
            kind = one.kind.as_str(),
            proven = effects.proven,
            "report of a delivery"
        );
    }
    Ok(events)
}

/// Applies the rule of 2.6 to bounces, and stops all mail to who complained. What is said of
/// messages in the sandbox does not count.
async fn suppress(
    tx: &mut Tx,
    mail: &NewMail,
    effects: &Effects,
    news: &[&News],
) -> Result<HashMap<Id<Delivery>, NewEvent>> {
    if news.is_empty() || effects.message.sandbox {
        return Ok(HashMap::new());
    }
    let (account, now) = (mail.account, mail.received_at);
    // As for failures that we see: some say clearly that the address is no good, others only when
    // they come again and again. Without any code it is not known what failed.
    let unclear = news.iter().filter(|one| one.kind == Kind::Failed);
    let unclear = unclear.map(|one| (one, reply(one)));
    let unclear = unclear.filter(|(_, reply)| reply.code.is_some() && !is_clear(reply));
    let unclear: Vec<&str> = unclear.map(|(one, _)| one.recipient.as_str()).collect();
    let third = store::count_bounces(tx.conn(), account, &unclear, now).await?;
    let counts = |one: &&&News| {
        one.kind == Kind::Complained || is_clear(&reply(one)) || third.contains(&one.recipient)
    };
    let entries: Vec<Reported<'_>> = news
        .iter()
        .filter(counts)
        .map(|one| Reported {
            account,
            delivery: one.delivery,
            recipient: &one.recipient,
            reason: if one.kind == Kind::Complained { Reason::Complaint } else { Reason::Bounce },
            detail: &one.text,
        })
        .collect();
    reported::add(tx, &entries, now).await
}

/// The reply that the report tells of; without a code, the class of the status stands for it (2.5).
fn reply(news: &News) -> Reply {
    let class = news.status.as_deref().and_then(|status| status.chars().next());
    let by_class = match class {
        Some('4') => Some(400),
        Some('5') => Some(500),
        _ => None,
    };
    Reply { code: news.code.or(by_class), enhanced: news.status.clone(), text: news.text.clone() }
}

fn event(mail: &NewMail, effects: &Effects, news: &News, suppressing: bool) -> NewEvent {
    let message = &effects.message;
    let payload = DeliveryEvent {
        message_id: message.id,
        delivery_id: news.delivery,
        internet_message_id: &message.internet_message_id,
        sender: &message.mail_from,
        recipient: &news.recipient,
        subject: &message.subject,
        tags: &message.tags,
        metadata: &message.metadata,
        attempt: u16::try_from(news.attempts).unwrap_or(0),
        smtp_code: news.code,
        enhanced_code: news.status.as_deref(),
        reply: &news.text,
        remote_mta: news.remote_mta.as_deref(),
        remote_address: None,
        next_attempt_at: None,
        suppressing,
        sandbox: message.sandbox,
        report: Some(ReportRef {
            mail_id: mail.id,
            authenticated: effects.proven,
            feedback_type: effects.feedback_type.as_deref(),
        }),
    };
    NewEvent::new(mail.account, news.kind.event(), mail.received_at, &payload).about(message.id)
}
