//! Schemas of what events say, as the core writes it. More fields may be added.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::mail_shapes::MailAddress;

/// What `message.*` events say.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct MessageEventData {
    /// The message.
    message_id: String,
    /// Header field Message-ID, with angle brackets.
    internet_message_id: String,
    /// Reverse-path.
    mail_from: String,
    /// Header field From.
    from: String,
    /// Subject.
    subject: String,
    /// Recipients of the envelope, with their deliveries.
    deliveries: Vec<MessageEventDelivery>,
    /// The caller's tags.
    tags: Vec<String>,
    /// The caller's metadata.
    metadata: BTreeMap<String, String>,
    /// It went to the sandbox.
    sandbox: bool,
}

/// A delivery and its recipient.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct MessageEventDelivery {
    /// The delivery.
    id: String,
    /// Address of the envelope.
    recipient: String,
}

/// What `delivery.*` events say.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct DeliveryEventData {
    /// The message.
    message_id: String,
    /// The delivery.
    delivery_id: String,
    /// Header field Message-ID, with angle brackets.
    internet_message_id: String,
    /// Reverse-path.
    sender: String,
    /// Address of the envelope.
    recipient: String,
    /// Subject.
    subject: String,
    /// The caller's tags.
    tags: Vec<String>,
    /// The caller's metadata.
    metadata: BTreeMap<String, String>,
    /// Number of the attempt, from 1.
    attempt: u16,
    /// Code of the other server's reply; null when there was none.
    smtp_code: Option<u16>,
    /// Enhanced status code (RFC 3463).
    enhanced_code: Option<String>,
    /// Full text of the reply, or what went wrong.
    reply: String,
    /// Host that replied.
    remote_mta: Option<String>,
    /// Its address.
    remote_address: Option<String>,
    /// When the next attempt is due.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
    /// This failure has just put the recipient on the suppression list.
    suppressing: bool,
    /// It went to the sandbox.
    sandbox: bool,
    /// The report that tells this afterwards; null for what we have seen ourselves.
    report: Option<DeliveryEventReport>,
}

/// A report that came back.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct DeliveryEventReport {
    /// The mail that it is: `GET /v1/mail/{id}`.
    mail_id: String,
    /// It came with the token of the message, so nobody has made it up.
    authenticated: bool,
    /// What a complaint is about: `abuse`, `fraud` …
    feedback_type: Option<String>,
}

/// What `mail.*` events say.
#[derive(ToSchema)]
#[expect(dead_code, clippy::struct_excessive_bools, reason = "describes what the core writes")]
pub(super) struct MailEventData {
    /// The mail: `GET /v1/mail/{id}`.
    mail_id: String,
    /// Where it is.
    mailbox_id: String,
    /// Name of the mailbox.
    mailbox: String,
    /// Its conversation.
    thread_id: String,
    /// Reverse-path and recipient, when it came by SMTP.
    envelope: Option<MailEventEnvelope>,
    /// Header field Message-ID, with angle brackets.
    internet_message_id: Option<String>,
    /// Parsed header.
    headers: MailEventHeaders,
    /// Subject.
    subject: String,
    /// Addresses of From.
    from: Vec<MailAddress>,
    /// Addresses of To.
    to: Vec<MailAddress>,
    /// Addresses of Cc.
    cc: Vec<MailAddress>,
    /// Plain text, at most 1 MiB.
    text: Option<String>,
    /// HTML as it came, not sanitised, at most 1 MiB.
    html: Option<String>,
    /// Files.
    attachments: Vec<MailEventAttachment>,
    /// Octets of the whole mail.
    size_bytes: u64,
    /// Protection of the connection it came over; null without TLS.
    tls: Option<EventTls>,
    /// Came through a mailing list.
    list: bool,
    /// Made by a program: bounce, list, auto-reply.
    automated: bool,
    /// A delivery report.
    dsn: bool,
    /// The message of ours that it answers or reports about.
    refers_to: Option<String>,
    /// What inbound routes did; null when none matched.
    routing: Option<MailEventRouting>,
    /// It was told before; somebody wanted it to be told again.
    redelivered: bool,
}

/// What `mail.dropped` says.
#[derive(ToSchema)]
#[expect(dead_code, clippy::struct_excessive_bools, reason = "describes what the core writes")]
pub(crate) struct MailDroppedEventData {
    /// Reverse-path and recipient, when it came by SMTP.
    envelope: Option<MailEventEnvelope>,
    /// Header field Message-ID, with angle brackets.
    internet_message_id: Option<String>,
    /// Parsed header.
    headers: MailEventHeaders,
    /// Subject.
    subject: String,
    /// Addresses of From.
    from: Vec<MailAddress>,
    /// Addresses of To.
    to: Vec<MailAddress>,
    /// Addresses of Cc.
    cc: Vec<MailAddress>,
    /// Plain text, at most 1 MiB.
    text: Option<String>,
    /// HTML as it came, not sanitised, at most 1 MiB.
    html: Option<String>,
    /// Files.
    attachments: Vec<MailEventAttachment>,
    /// Octets of the whole mail.
    size_bytes: u64,
    /// Protection of the connection it came over; null without TLS.
    tls: Option<EventTls>,
    /// Came through a mailing list.
    list: bool,
    /// Made by a program: bounce, list, auto-reply.
    automated: bool,
    /// A delivery report.
    dsn: bool,
    /// The message of ours that it answers or reports about.
    refers_to: Option<String>,
    /// What inbound routes did; null when none matched.
    routing: Option<MailEventRouting>,
    /// It was told before; somebody wanted it to be told again.
    redelivered: bool,
}

/// What inbound routes did to a mail.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct MailEventRouting {
    /// The routes that matched, in order.
    routes: Vec<MailEventRoute>,
    /// Webhook endpoints that were chosen: then no others are told. Empty: none was.
    webhook_ids: Vec<String>,
    /// Endpoints that the mail itself is posted to.
    http_post_webhook_ids: Vec<String>,
    /// The message as which it is sent on: `GET /v1/messages/{id}`.
    forwarded_message_id: Option<String>,
    /// Actions that could not be done; the mail was kept for that.
    skipped: Vec<MailEventSkipped>,
}

/// An inbound route.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct MailEventRoute {
    /// The route.
    id: String,
    /// Its name.
    name: String,
}

/// An action that could not be done.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct MailEventSkipped {
    /// `mailbox`, `webhook` …
    action: String,
    /// Why: `mailbox_gone`, `webhook_gone`, `mail_loop`, `sending_limit`, `protected`,
    /// `other_recipients`, `redelivered`.
    reason: String,
}

/// What `message.rejected` says.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct MessageRejectedEventData {
    /// Recipient of the envelope.
    recipient: String,
    /// Reverse-path; empty for the null sender.
    mail_from: String,
    /// The client's address; null when the message came from here.
    remote_address: Option<String>,
    /// What the client called itself.
    helo: String,
    /// `route`, or the code of a problem: `quota_exceeded`, `message_too_large`, `policy_rejected`.
    reason: String,
    /// What the sending server was told.
    reply: String,
    /// The inbound route that refused it.
    route: Option<MailEventRoute>,
    /// Header field Message-ID; null when the content was not asked for.
    internet_message_id: Option<String>,
    /// Subject; null when the content was not asked for.
    subject: Option<String>,
    /// Refusals since the last of these events that were too many to be told: of an account, each
    /// node tells ten a minute.
    not_told: u64,
}

/// Envelope of a mail that came in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct MailEventEnvelope {
    /// Reverse-path; empty for the null sender.
    mail_from: String,
    /// Forward-path that led here.
    rcpt_to: String,
    /// Client's address.
    remote_address: Option<String>,
    /// What the client called itself.
    helo: String,
}

/// Header of a mail, parsed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct MailEventHeaders {
    /// Date, RFC 3339.
    #[schema(format = DateTime)]
    date: Option<String>,
    /// Subject, decoded.
    subject: Option<String>,
    /// From.
    from: Vec<MailAddress>,
    /// Sender.
    sender: Vec<MailAddress>,
    /// Reply-To.
    reply_to: Vec<MailAddress>,
    /// To.
    to: Vec<MailAddress>,
    /// Cc.
    cc: Vec<MailAddress>,
    /// Bcc.
    bcc: Vec<MailAddress>,
    /// Message-IDs of In-Reply-To.
    in_reply_to: Vec<String>,
    /// Message-IDs of References.
    references: Vec<String>,
    /// Message-ID.
    message_id: Option<String>,
}

/// A file of a mail.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct MailEventAttachment {
    /// Place in the structure: `GET /v1/mail/{id}/parts/{path}`.
    path: String,
    /// File name, if the message gives one.
    filename: Option<String>,
    /// Media type as the message says it.
    content_type: String,
    /// Content-ID without angle brackets.
    content_id: Option<String>,
    /// Octets when decoded.
    size_bytes: u64,
    /// Belongs beside the HTML.
    inline: bool,
}

/// TLS protection of a connection.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct EventTls {
    /// Protocol.
    #[schema(example = "TLSv1.3")]
    version: String,
    /// Cipher suite by its IANA name.
    #[schema(example = "TLS_AES_256_GCM_SHA384")]
    cipher: String,
}

/// What `suppression.*` events say.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct SuppressionEventData {
    /// The entry.
    suppression_id: String,
    /// The address that gave the reason.
    address: String,
    /// The base address that is suppressed.
    base_address: String,
    /// Only messages of this topic; null: all messages of the account.
    topic: Option<String>,
    /// `bounce`, `complaint`, `unsubscribe` or `manual`.
    #[schema(example = "bounce")]
    reason: String,
    /// The delivery that gave the reason.
    delivery_id: Option<String>,
    /// It suppresses until then; null: for good.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// What `recipient.unsubscribed` says.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct UnsubscribeEventData {
    /// The message whose link was used.
    message_id: String,
    /// The delivery to the recipient.
    delivery_id: String,
    /// Address of the envelope.
    recipient: String,
    /// What the recipient does not want any more; null: any message of the account.
    topic: Option<String>,
    /// The entry of the suppression list.
    suppression_id: String,
}

/// What `webhook.*` events say.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct WebhookEventData {
    /// The endpoint.
    webhook_id: String,
    /// Its account.
    account_id: String,
    /// Where it is.
    url: String,
    /// Why.
    reason: String,
}

/// What `mail.updated` says.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct MailUpdatedEventData {
    /// The mail.
    mail_id: String,
    /// Where it is now.
    mailbox_id: String,
    /// Name of that mailbox.
    mailbox: String,
    /// The mailbox where it was; null if it was not moved.
    moved_from: Option<String>,
    /// Number within the mailbox.
    uid: i64,
    /// Of this change.
    modseq: i64,
    /// Its conversation.
    thread_id: String,
    /// Its flags now.
    flags: Vec<String>,
    /// Its keywords now.
    keywords: Vec<String>,
}

/// What `mail.deleted` says.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct MailDeletedEventData {
    /// The mail.
    mail_id: String,
    /// Where it was.
    mailbox_id: String,
    /// Name of that mailbox.
    mailbox: String,
    /// Number that it had within the mailbox.
    uid: i64,
    /// Of this change.
    modseq: i64,
    /// Its conversation.
    thread_id: String,
}

/// What `account.limit_exceeded` says.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct LimitEventData {
    /// Its name: `requests_per_minute`, `recipients_per_day` or `new_recipients_per_day`.
    limit: String,
    /// Most that may be.
    maximum: i64,
    /// In this time.
    window_seconds: u64,
    /// The key whose limit it is; null: the account's.
    api_key_id: Option<String>,
}

/// What `account.quota_warning` says.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct QuotaEventData {
    /// Part of the quota that was passed: 80 or 95.
    percent: i64,
    /// Octets of all mail now.
    used_bytes: i64,
    /// The quota.
    quota_bytes: i64,
}

/// What `login.new_address` says.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct LoginEventData {
    /// Where the client was.
    remote_address: String,
    /// The network that is known from now on: the address, or the /64 of IPv6.
    network: String,
    /// `http` or `smtp`.
    door: String,
    /// How the password was shown, such as `PLAIN` or `TOKEN`.
    mechanism: String,
    /// Name that was given.
    login: String,
    /// What the client said of itself: User-Agent, or the name in EHLO.
    user_agent: String,
}

/// What `domain.verified` and `domain.degraded` say.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct DomainEventData {
    /// The domain.
    domain_id: String,
    /// Its name.
    domain: String,
    /// Checks that have found errors, such as `mx`.
    failed_checks: Vec<String>,
}

/// What `dkim.rotated` says.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the core writes")]
pub(super) struct DkimRotatedEventData {
    /// The domain.
    domain_id: String,
    /// Its name.
    domain: String,
    /// Keys that sign from now on.
    activated_selectors: Vec<String>,
    /// Keys that sign no more.
    retired_selectors: Vec<String>,
    /// Until then the records of retired keys have to stay.
    #[schema(format = DateTime)]
    removable_at: Option<String>,
}
