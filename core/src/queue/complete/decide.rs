//! From the result of an attempt to what happens next.

use std::sync::Arc;

use posthouse_mail::dsn::DsnKind;
use time::OffsetDateTime;

use super::{Completed, Result};
use crate::{
    events::{DeliveryEvent, EventKind, NewEvent},
    platform::Platform,
    ports::transport::{Peer, Reply},
    queue::{Entry, millis, store::Message},
};

/// A result and its consequence.
pub(crate) struct Decided {
    /// As it will wait for the next attempt, if there is one.
    pub entry: Entry,
    pub message: Option<Arc<Message>>,
    pub started_at: OffsetDateTime,
    pub duration_ms: i32,
    pub peer: Option<Peer>,
    pub reply: Reply,
    /// Outcome of the attempt in the history.
    pub outcome: &'static str,
    /// Status of the delivery from now on.
    pub status: &'static str,
    /// There will be another attempt.
    pub retry: bool,
    pub next_attempt_at: Option<OffsetDateTime>,
    /// What the sender is told, if he wants that.
    pub report: Option<DsnKind>,
    pub completed_at: OffsetDateTime,
    /// The row belongs to another node by now, or was taken away: nothing is written.
    pub lost: bool,
    /// Reports that came before the delivery ended.
    pub bounced_at: Option<OffsetDateTime>,
    pub complained_at: Option<OffsetDateTime>,
}

/// Decides about each result.
pub(super) fn decide(platform: &Platform, batch: Vec<Completed>) -> Vec<Decided> {
    batch.into_iter().map(|completed| decide_one(platform, completed)).collect()
}

fn decide_one(platform: &Platform, completed: Completed) -> Decided {
    let Completed { mut entry, message, started_at, duration, peer, result, success } = completed;
    let now = platform.now();
    entry.attempts = entry.attempts.saturating_add(1);
    entry.suppressed = None;
    entry.last_address = peer.as_ref().and_then(|peer| peer.remote_address).or(entry.last_address);
    let delivery = &platform.config().delivery;
    let wait = delivery.retry_schedule.get(usize::from(entry.attempts) - 1);
    let next = wait.map(|wait| now + spread(*wait));
    let reply = result.reply().clone();
    let (outcome, status, report) = match (&result, next) {
        (Result::Delivered(_), _) => ("delivered", "delivered", success),
        (Result::Relayed(_), _) => ("delivered", "relayed", success),
        (Result::Failed(_), _) => ("failed", "failed", Some(DsnKind::Failed)),
        (Result::Suppressed(_), _) => ("suppressed", "suppressed", Some(DsnKind::Failed)),
        (Result::Expired(_), _) => ("expired", "expired", Some(DsnKind::Failed)),
        (Result::Deferred(_), None) => ("deferred", "failed", Some(DsnKind::Failed)),
        (Result::Deferred(_), Some(_)) => {
            let delayed = entry.attempts == delivery.delay_notice_after;
            ("deferred", "deferred", delayed.then_some(DsnKind::Delayed))
        }
    };
    let retry = status == "deferred";
    if let Some(next) = next.filter(|_| retry) {
        entry.due = millis(next);
    }
    Decided {
        entry,
        message,
        started_at,
        duration_ms: i32::try_from(duration.as_millis()).unwrap_or(i32::MAX),
        peer,
        reply,
        outcome,
        status,
        retry,
        next_attempt_at: next.filter(|_| retry),
        report,
        completed_at: now,
        lost: false,
        bounced_at: None,
        complained_at: None,
    }
}

/// ±1 %, so that what failed together is not tried together again (Part 3.2).
fn spread(wait: std::time::Duration) -> std::time::Duration {
    wait.mul_f64(rand::random_range(0.99..=1.01))
}

impl Decided {
    /// An end without an attempt.
    pub(in crate::queue) fn ended(
        (entry, message): (Entry, Option<Arc<Message>>),
        status: &'static str,
        (reply, report): (Reply, Option<DsnKind>),
        now: OffsetDateTime,
    ) -> Self {
        Self {
            entry,
            message,
            started_at: now,
            duration_ms: 0,
            peer: None,
            reply,
            outcome: status,
            status,
            retry: false,
            next_attempt_at: None,
            report,
            completed_at: now,
            lost: false,
            bounced_at: None,
            complained_at: None,
        }
    }

    /// The event of this result. `suppressing`: it has put the recipient on the suppression list.
    pub(super) fn event(&self, suppressing: bool) -> Option<NewEvent> {
        let message = self.message.as_ref()?;
        let kind = match self.status {
            "delivered" => EventKind::DeliveryDelivered,
            "relayed" => EventKind::DeliveryRelayed,
            "deferred" => EventKind::DeliveryDeferred,
            "suppressed" => EventKind::DeliverySuppressed,
            "expired" => EventKind::DeliveryExpired,
            "canceled" => EventKind::DeliveryCanceled,
            _ => EventKind::DeliveryFailed,
        };
        let payload = DeliveryEvent {
            message_id: message.id,
            delivery_id: self.entry.id,
            internet_message_id: &message.internet_message_id,
            sender: &message.mail_from,
            recipient: &self.entry.recipient,
            subject: &message.subject,
            tags: &message.tags,
            metadata: &message.metadata,
            attempt: self.entry.attempts,
            smtp_code: self.reply.code,
            enhanced_code: self.reply.enhanced.as_deref(),
            reply: &self.reply.text,
            remote_mta: self.peer.as_ref().map(|peer| peer.host.as_str()),
            remote_address: self
                .peer
                .as_ref()
                .and_then(|peer| peer.remote_address)
                .map(|address| address.to_string()),
            next_attempt_at: self.next_attempt_at,
            suppressing,
            sandbox: message.sandbox,
            report: None,
        };
        let event = NewEvent::new(message.account, kind, self.completed_at, &payload);
        Some(event.about(message.id))
    }
}

/// Counts results that were written.
pub(super) fn count(decided: &[&Decided]) {
    for one in decided {
        metrics::counter!("posthouse_delivery_attempts_total", "outcome" => one.outcome)
            .increment(1);
        metrics::histogram!("posthouse_delivery_attempt_seconds")
            .record(f64::from(one.duration_ms) / 1000.0);
        tracing::info!(
            delivery.id = %one.entry.id,
            account.id = %one.entry.account,
            attempt = one.entry.attempts,
            status = one.status,
            smtp.code = one.reply.code,
            duration_ms = one.duration_ms,
            "attempt ended"
        );
    }
}
