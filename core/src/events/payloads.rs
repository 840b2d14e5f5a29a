//! What events say: the public contract of webhooks.

use serde::Serialize;
use serde_json::{Value, value::RawValue};
use time::OffsetDateTime;

use crate::id::{
    Account, ApiKey, Delivery, Domain, Id, InboundRoute, Mail, Mailbox, Message, Suppression,
    Thread, Webhook,
};

/// `message.accepted`, `message.scheduled`.
#[derive(Debug, Clone, Serialize)]
pub struct MessageEvent<'a> {
    /// The message.
    pub message_id: Id<Message>,
    /// Header field Message-ID.
    pub internet_message_id: &'a str,
    /// Reverse-path.
    pub mail_from: &'a str,
    /// Header field From.
    pub from: &'a str,
    /// Subject.
    pub subject: &'a str,
    /// Recipients of the envelope, with their deliveries.
    pub deliveries: Vec<DeliveryRef<'a>>,
    /// The caller's tags.
    pub tags: &'a RawValue,
    /// The caller's metadata.
    pub metadata: &'a RawValue,
    /// It went to the sandbox.
    pub sandbox: bool,
}

/// A delivery and its recipient.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryRef<'a> {
    /// The delivery.
    pub id: Id<Delivery>,
    /// Address of the envelope.
    pub recipient: &'a str,
}

/// All `delivery.*` events.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryEvent<'a> {
    /// The message.
    pub message_id: Id<Message>,
    /// The delivery.
    pub delivery_id: Id<Delivery>,
    /// Header field Message-ID.
    pub internet_message_id: &'a str,
    /// Reverse-path.
    pub sender: &'a str,
    /// Address of the envelope.
    pub recipient: &'a str,
    /// Subject.
    pub subject: &'a str,
    /// The caller's tags.
    pub tags: &'a RawValue,
    /// The caller's metadata.
    pub metadata: &'a RawValue,
    /// Number of the attempt, from 1.
    pub attempt: u16,
    /// Code of the other server's reply; null when there was none.
    pub smtp_code: Option<u16>,
    /// Enhanced status code (RFC 3463).
    pub enhanced_code: Option<&'a str>,
    /// Full text of the reply, or what went wrong.
    pub reply: &'a str,
    /// Host that replied.
    pub remote_mta: Option<&'a str>,
    /// Its address.
    pub remote_address: Option<String>,
    /// When the next attempt is due.
    #[serde(with = "crate::time::millis::option")]
    pub next_attempt_at: Option<OffsetDateTime>,
    /// This failure has just put the recipient on the suppression list.
    pub suppressing: bool,
    /// It went to the sandbox.
    pub sandbox: bool,
    /// The report that tells this afterwards; null for what we have seen ourselves.
    pub report: Option<ReportRef<'a>>,
}

/// A report that came back.
#[derive(Debug, Clone, Serialize)]
pub struct ReportRef<'a> {
    /// The mail that it is.
    pub mail_id: Id<Mail>,
    /// It came with the token of the message, so nobody has made it up.
    pub authenticated: bool,
    /// What a complaint is about: `abuse`, `fraud` …
    pub feedback_type: Option<&'a str>,
}

/// `mail.received`, `mail.created`.
#[derive(Debug, Clone, Serialize)]
pub struct MailEvent<'a> {
    /// The mail.
    pub mail_id: Id<Mail>,
    /// Where it is.
    pub mailbox_id: Id<Mailbox>,
    /// Name of the mailbox.
    pub mailbox: &'a str,
    /// Its conversation.
    pub thread_id: Id<Thread>,
    /// What it says.
    #[serde(flatten)]
    pub content: MailContentEvent<'a>,
}

/// `mail.dropped`, and what all events about new mail say.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not states")]
#[derive(Debug, Clone, Serialize)]
pub struct MailContentEvent<'a> {
    /// Reverse-path and recipient, when it came by SMTP.
    pub envelope: Option<MailEnvelope<'a>>,
    /// Header field Message-ID.
    pub internet_message_id: Option<&'a str>,
    /// Parsed header: date, subject, from, sender, `reply_to`, to, cc, `in_reply_to`, references.
    pub headers: &'a Value,
    /// Subject.
    pub subject: &'a str,
    /// Addresses of From.
    pub from: &'a Value,
    /// Addresses of To.
    pub to: &'a Value,
    /// Addresses of Cc.
    pub cc: &'a Value,
    /// Plain text, at most 1 MB; null for a copy within the account.
    pub text: Option<&'a str>,
    /// HTML as it came, not sanitised, at most 1 MB; null for a copy within the account.
    pub html: Option<&'a str>,
    /// Attachments: path, file name, content type, size.
    pub attachments: &'a Value,
    /// Octets of the whole mail.
    pub size_bytes: u64,
    /// Protection of the connection it came over; null without TLS.
    pub tls: Option<&'a Value>,
    /// From a mailing list.
    pub list: bool,
    /// Made by a program: bounce, list, auto-reply.
    pub automated: bool,
    /// A delivery report.
    pub dsn: bool,
    /// The message of ours that it answers or reports about.
    pub refers_to: Option<Id<Message>>,
    /// What inbound routes did; null when none matched.
    pub routing: Option<&'a Routing>,
    /// It was told before; somebody wanted it to be told again.
    pub redelivered: bool,
}

/// What inbound routes did to a mail.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Routing {
    /// The routes that matched, in order.
    pub routes: Vec<RouteRef>,
    /// Webhook endpoints that were chosen: then no others are told. Empty: none was.
    pub webhook_ids: Vec<Id<Webhook>>,
    /// Endpoints that the mail itself is posted to.
    pub http_post_webhook_ids: Vec<Id<Webhook>>,
    /// The message as which it is sent on.
    pub forwarded_message_id: Option<Id<Message>>,
    /// Actions that could not be done; the mail was kept for that.
    pub skipped: Vec<SkippedAction>,
}

/// An inbound route.
#[derive(Debug, Clone, Serialize)]
pub struct RouteRef {
    /// The route.
    pub id: Id<InboundRoute>,
    /// Its name.
    pub name: String,
}

/// An action that could not be done.
#[derive(Debug, Clone, Serialize)]
pub struct SkippedAction {
    /// `mailbox`, `webhook` …
    pub action: &'static str,
    /// Why: `mailbox_gone`, `webhook_gone` …
    pub reason: &'static str,
}

/// `message.rejected`.
#[derive(Debug, Clone, Serialize)]
pub struct RejectedEvent<'a> {
    /// Recipient of the envelope.
    pub recipient: &'a str,
    /// Reverse-path; empty for the null sender.
    pub mail_from: &'a str,
    /// The client's address; null when the message came from here.
    pub remote_address: Option<String>,
    /// What the client called itself.
    pub helo: &'a str,
    /// `route`, or the code of a problem: `quota_exceeded`, `message_too_large`, `policy_rejected`.
    pub reason: &'a str,
    /// What the sending server was told.
    pub reply: String,
    /// The inbound route that refused it.
    pub route: Option<&'a RouteRef>,
    /// Header field Message-ID; null when the content was not asked for.
    pub internet_message_id: Option<&'a str>,
    /// Subject; null when the content was not asked for.
    pub subject: Option<&'a str>,
    /// Refusals since the last of these events that were too many to be told.
    pub not_told: u64,
}

/// `mail.updated`.
#[derive(Debug, Clone, Serialize)]
pub struct MailUpdatedEvent<'a> {
    /// The mail.
    pub mail_id: Id<Mail>,
    /// Where it is now.
    pub mailbox_id: Id<Mailbox>,
    /// Name of that mailbox.
    pub mailbox: &'a str,
    /// Where it was, if it was moved.
    pub moved_from: Option<Id<Mailbox>>,
    /// Number within the mailbox.
    pub uid: i64,
    /// Of this change.
    pub modseq: i64,
    /// Its conversation.
    pub thread_id: Id<Thread>,
    /// Its flags now.
    pub flags: &'a [&'static str],
    /// Its keywords now.
    pub keywords: &'a [String],
}

/// `mail.deleted`.
#[derive(Debug, Clone, Serialize)]
pub struct MailDeletedEvent<'a> {
    /// The mail.
    pub mail_id: Id<Mail>,
    /// Where it was.
    pub mailbox_id: Id<Mailbox>,
    /// Name of that mailbox.
    pub mailbox: &'a str,
    /// Number that it had within the mailbox.
    pub uid: i64,
    /// Of this change.
    pub modseq: i64,
    /// Its conversation.
    pub thread_id: Id<Thread>,
}

/// Envelope of a mail that came in.
#[derive(Debug, Clone, Serialize)]
pub struct MailEnvelope<'a> {
    /// Reverse-path; empty for the null sender.
    pub mail_from: &'a str,
    /// Forward-path that led here.
    pub rcpt_to: &'a str,
    /// Client's address.
    pub remote_address: Option<String>,
    /// What the client called itself.
    pub helo: &'a str,
}

/// `suppression.created`, `suppression.deleted`.
#[derive(Debug, Clone, Serialize)]
pub struct SuppressionEvent<'a> {
    /// The entry.
    pub suppression_id: Id<Suppression>,
    /// The address that gave the reason.
    pub address: &'a str,
    /// The base address that is suppressed.
    pub base_address: &'a str,
    /// Only messages of this topic; none: all messages of the account.
    pub topic: Option<&'a str>,
    /// `bounce`, `complaint`, `unsubscribe` or `manual`.
    pub reason: &'a str,
    /// The delivery that gave the reason.
    pub delivery_id: Option<Id<Delivery>>,
    /// It suppresses until then; none: for good.
    #[serde(with = "crate::time::millis::option")]
    pub expires_at: Option<OffsetDateTime>,
}

/// `recipient.unsubscribed`.
#[derive(Debug, Clone, Serialize)]
pub struct UnsubscribeEvent<'a> {
    /// The message whose link was used.
    pub message_id: Id<Message>,
    /// The delivery to the recipient.
    pub delivery_id: Id<Delivery>,
    /// Address of the envelope.
    pub recipient: &'a str,
    /// What the recipient does not want any more; none: any message of the account.
    pub topic: Option<&'a str>,
    /// The entry of the suppression list.
    pub suppression_id: Id<Suppression>,
}

/// `webhook.disabled`, `webhook.test`.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookEvent<'a> {
    /// The endpoint.
    pub webhook_id: Id<Webhook>,
    /// Its account.
    pub account_id: Id<Account>,
    /// Where it is.
    pub url: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// `account.limit_exceeded`.
#[derive(Debug, Clone, Serialize)]
pub struct LimitEvent<'a> {
    /// Its name, as at the account or key.
    pub limit: &'a str,
    /// Most that may be.
    pub maximum: i64,
    /// In this time.
    pub window_seconds: u64,
    /// The key whose limit it is; null: the account's.
    pub api_key_id: Option<Id<ApiKey>>,
}

/// `account.quota_warning`.
#[derive(Debug, Clone, Serialize)]
pub struct QuotaEvent {
    /// Part of the quota that was passed, in percent.
    pub percent: i64,
    /// Octets of all mail now.
    pub used_bytes: i64,
    /// The quota.
    pub quota_bytes: i64,
}

/// `login.new_address`.
#[derive(Debug, Clone, Serialize)]
pub struct LoginEvent<'a> {
    /// Where the client was.
    pub remote_address: String,
    /// The network that is known from now on: the address, or the /64 of IPv6.
    pub network: &'a str,
    /// `http` or `smtp`.
    pub door: &'a str,
    /// How the password was shown.
    pub mechanism: &'a str,
    /// Name that was given.
    pub login: &'a str,
    /// What the client said of itself.
    pub user_agent: &'a str,
}

/// `domain.verified`, `domain.degraded`.
#[derive(Debug, Clone, Serialize)]
pub struct DomainEvent<'a> {
    /// The domain.
    pub domain_id: Id<Domain>,
    /// Its name.
    pub domain: &'a str,
    /// Checks that have found errors.
    pub failed_checks: Vec<&'a str>,
}

/// `dkim.rotated`.
#[derive(Debug, Clone, Serialize)]
pub struct DkimRotatedEvent<'a> {
    /// The domain.
    pub domain_id: Id<Domain>,
    /// Its name.
    pub domain: &'a str,
    /// Keys that sign from now on.
    pub activated_selectors: &'a [String],
    /// Keys that sign no more.
    pub retired_selectors: &'a [String],
    /// Until then the records of retired keys are needed.
    #[serde(with = "crate::time::millis::option")]
    pub removable_at: Option<OffsetDateTime>,
}
