//! Messages and deliveries as they go out.

use posthouse_core::{Id, id, messages};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A message that was taken for delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Submission {
    /// Identifier.
    #[schema(value_type = String, example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")]
    id: Id<id::Message>,
    /// Header field Message-ID, with angle brackets.
    #[schema(example = "<01k6h3v9x8e7ktq2w5m4n1r000@example.test>")]
    message_id: String,
    /// One per recipient, in order.
    deliveries: Vec<SubmittedDelivery>,
    /// Recipients that stood more than once and get the message once.
    duplicates: Vec<String>,
    /// Octets of the message as it goes out.
    #[schema(example = 1536)]
    size_bytes: u64,
    /// It goes to the sandbox, never out.
    sandbox: bool,
    /// Nothing was stored, and nothing goes out.
    dry_run: bool,
    /// Not before this time.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    scheduled_at: Option<OffsetDateTime>,
    /// When it was taken.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
}

/// A new delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubmittedDelivery {
    /// Identifier.
    #[schema(value_type = String, example = "dlv_01k6h3v9x8e7ktq2w5m4n1r001")]
    id: Id<id::Delivery>,
    /// Address of the envelope.
    #[schema(example = "bob@example.net")]
    recipient: String,
    /// `queued` or `scheduled`.
    #[schema(example = "queued")]
    status: String,
}

impl From<messages::Submission> for Submission {
    fn from(submission: messages::Submission) -> Self {
        let delivery = |delivery: messages::SubmittedDelivery| SubmittedDelivery {
            id: delivery.id,
            recipient: delivery.recipient,
            status: delivery.status,
        };
        Self {
            id: submission.id,
            message_id: submission.internet_message_id,
            deliveries: submission.deliveries.into_iter().map(delivery).collect(),
            duplicates: submission.duplicates,
            size_bytes: submission.size_bytes,
            sandbox: submission.sandbox,
            dry_run: submission.dry_run,
            scheduled_at: submission.scheduled_at,
            created_at: submission.created_at,
        }
    }
}

/// A message as its owner sees it.
#[expect(clippy::struct_field_names, reason = "names on the wire")]
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Message {
    /// Identifier.
    #[schema(value_type = String, example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")]
    id: Id<id::Message>,
    /// Header field Message-ID, with angle brackets.
    #[schema(example = "<01k6h3v9x8e7ktq2w5m4n1r000@example.test>")]
    message_id: String,
    /// How it came: `http` or `smtp`.
    #[schema(example = "http")]
    door: String,
    /// Reverse-path; empty: nobody wants reports.
    #[schema(example = "alice@example.test")]
    mail_from: String,
    /// Header field From.
    #[schema(example = "Alice <alice@example.test>")]
    from: String,
    /// Subject.
    #[schema(example = "Welcome")]
    subject: String,
    /// Octets.
    #[schema(example = 1536)]
    size_bytes: i64,
    /// Number of recipients; see `/deliveries`.
    #[schema(example = 1)]
    recipient_count: i32,
    /// The caller's tags.
    #[schema(value_type = Vec<String>, example = json!(["welcome"]))]
    tags: Value,
    /// The caller's metadata.
    #[schema(value_type = Object, example = json!({"user": "42"}))]
    metadata: Value,
    /// The caller's kind of mail.
    #[schema(example = "transactional")]
    stream: Option<String>,
    /// Whether it needs TLS; null: as the recipient's domain wants.
    require_tls: Option<bool>,
    /// It went to the sandbox.
    sandbox: bool,
    /// The content is still there: see `/raw`.
    has_content: bool,
    /// When it was taken.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
}

impl From<messages::Message> for Message {
    fn from(message: messages::Message) -> Self {
        Self {
            id: message.id,
            message_id: message.internet_message_id,
            door: message.door,
            mail_from: message.mail_from,
            from: message.from,
            subject: message.subject,
            size_bytes: message.size_bytes,
            recipient_count: message.recipients,
            tags: message.tags,
            metadata: message.metadata,
            stream: message.stream,
            require_tls: message.require_tls,
            sandbox: message.sandbox,
            has_content: message.has_content,
            created_at: message.created_at,
        }
    }
}

/// One recipient's journey.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    /// Identifier.
    #[schema(value_type = String, example = "dlv_01k6h3v9x8e7ktq2w5m4n1r001")]
    id: Id<id::Delivery>,
    /// The message.
    #[schema(value_type = String, example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")]
    message_id: Id<id::Message>,
    /// Address of the envelope.
    #[schema(example = "bob@example.net")]
    recipient: String,
    /// `scheduled`, `queued`, `on_hold`, `deferred`, `relayed`, `delivered`, `expanded`,
    /// `suppressed`, `failed`, `canceled` or `expired`.
    #[schema(example = "delivered")]
    status: String,
    /// When the next attempt is due.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<OffsetDateTime>,
    /// When a report said that it could not be delivered after all; the status stays.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    bounced_at: Option<OffsetDateTime>,
    /// When the recipient called it spam.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    complained_at: Option<OffsetDateTime>,
    /// `cancel`, `fail`, `hold`, `release`, `retry`, `schedule`, `postpone`, `set_transport` or
    /// `set_require_tls`: asked for while an attempt is in progress. It is done when that attempt has ended, unless the delivery has ended with it.
    pending_action: Option<String>,
    /// The transport that was chosen for it, whatever the routes say; null once it has ended.
    #[schema(value_type = Option<String>)]
    transport_id: Option<Id<id::Transport>>,
    /// Whether it needs TLS; null: as the recipient's domain wants.
    require_tls: Option<bool>,
    /// Tries so far, in order.
    attempts: Vec<Attempt>,
}

/// One try to deliver.
#[expect(clippy::struct_field_names, reason = "names on the wire")]
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Attempt {
    /// Number, from 1.
    attempt: i16,
    /// When it began.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    started_at: OffsetDateTime,
    /// How long it took, in milliseconds.
    #[schema(example = 230)]
    duration_ms: i32,
    /// `delivered`, `deferred`, `failed`, `suppressed` or `expired`.
    #[schema(example = "delivered")]
    outcome: String,
    /// Host that was asked.
    #[schema(example = "mx.example.net")]
    mx_host: Option<String>,
    /// Its address.
    #[schema(example = "192.0.2.1")]
    remote_address: Option<String>,
    /// Our address.
    local_address: Option<String>,
    /// Protection of the connection.
    tls: Tls,
    /// Code of the reply.
    #[schema(example = 250)]
    smtp_code: Option<i16>,
    /// Enhanced status code (RFC 3463).
    #[schema(example = "2.0.0")]
    enhanced_code: Option<String>,
    /// Text of the reply, or what went wrong.
    #[schema(example = "OK")]
    reply: String,
}

/// Protection of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tls {
    /// Version; null: no TLS.
    #[schema(example = "TLSv1.3")]
    version: Option<String>,
    /// Cipher suite.
    cipher: Option<String>,
    /// How the host was verified: `none`, `opportunistic`, `pkix` or `dane`.
    #[schema(example = "opportunistic")]
    verification: String,
}

impl From<messages::DeliveryView> for Delivery {
    fn from(delivery: messages::DeliveryView) -> Self {
        Self {
            id: delivery.id,
            message_id: delivery.id.message(),
            recipient: delivery.recipient,
            status: delivery.status,
            next_attempt_at: delivery.next_attempt_at,
            completed_at: delivery.completed_at,
            bounced_at: delivery.bounced_at,
            complained_at: delivery.complained_at,
            pending_action: delivery.pending_action,
            transport_id: delivery.transport_id,
            require_tls: delivery.require_tls,
            attempts: delivery.attempts.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<messages::AttemptView> for Attempt {
    fn from(attempt: messages::AttemptView) -> Self {
        Self {
            attempt: attempt.attempt,
            started_at: attempt.started_at,
            duration_ms: attempt.duration_ms,
            outcome: attempt.outcome,
            mx_host: attempt.mx_host,
            remote_address: attempt.remote_address,
            local_address: attempt.local_address,
            tls: Tls {
                version: attempt.tls_version,
                cipher: attempt.tls_cipher,
                verification: attempt.tls_verification,
            },
            smtp_code: attempt.smtp_code,
            enhanced_code: attempt.enhanced_code,
            reply: attempt.reply,
        }
    }
}
