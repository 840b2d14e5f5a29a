//! An example for each type of events, written by the same code as the events themselves.

use posthouse_core::{
    Id,
    events::{
        DeliveryEvent, DeliveryRef, DkimRotatedEvent, DomainEvent, EventKind, LimitEvent,
        LoginEvent, MailContentEvent, MailDeletedEvent, MailEnvelope, MailEvent, MailUpdatedEvent,
        MessageEvent, QuotaEvent, RejectedEvent, ReportRef, RouteRef, Routing, SkippedAction,
        SuppressionEvent, UnsubscribeEvent, WebhookEvent,
    },
    id::Kind,
};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use time::macros::datetime;

const NUMBER: &str = "01k6h3v9x8e7ktq2w5m4n1r0sa";
const MESSAGE_ID: &str = "<01k6h3v9x8e7ktq2w5m4n1r000@example.test>";
const AT: &str = "2026-11-21T10:00:00.000Z";

/// An event of this type, as it is sent.
pub(super) fn example(kind: EventKind) -> Value {
    json!({
        "id": id::<posthouse_core::id::Event>(),
        "type": kind.as_str(),
        "timestamp": AT,
        "api_version": posthouse_core::events::API_VERSION,
        "seq": 17,
        "account_id": id::<posthouse_core::id::Account>(),
        "data": data(kind),
    })
}

fn data(kind: EventKind) -> Value {
    match kind {
        EventKind::MessageAccepted | EventKind::MessageScheduled => message(),
        EventKind::DeliveryDelivered => delivery(Some(250), Some("2.0.0"), "OK id=1v2x"),
        EventKind::DeliveryRelayed => delivery(Some(250), Some("2.0.0"), "queued as 4Zk1"),
        EventKind::DeliveryDeferred => delivery(Some(451), Some("4.7.1"), "Greylisted"),
        EventKind::DeliveryFailed => delivery(Some(550), Some("5.1.1"), "No such user"),
        EventKind::DeliverySuppressed => {
            delivery(None, None, "the recipient is on the suppression list")
        }
        EventKind::DeliveryExpired => delivery(Some(451), Some("4.4.1"), "Try again later"),
        EventKind::DeliveryCanceled => delivery(None, None, "canceled by request"),
        EventKind::DeliveryHeld => delivery(None, None, "held by request"),
        EventKind::DeliveryReleased => delivery(None, None, "released by request"),
        EventKind::DeliveryBounced => {
            reported(delivery(Some(550), Some("5.1.1"), "550 5.1.1 No such user"), None)
        }
        EventKind::DeliveryComplained => {
            let text = "complaint (abuse), reported by Feedback/1.0";
            reported(delivery(None, None, text), Some("abuse"))
        }
        EventKind::DeliveryExpanded => reported(delivery(None, Some("2.0.0"), ""), None),
        EventKind::DeliveryUnrecognized => {
            let text = "a mail that is no usable report came to the address for reports";
            reported(delivery(None, None, text), None)
        }
        EventKind::RecipientUnsubscribed => unsubscribed(),
        EventKind::SuppressionCreated | EventKind::SuppressionDeleted => suppression(),
        EventKind::MailReceived => mail(true),
        EventKind::MailCreated => mail(false),
        EventKind::MailUpdated => mail_updated(),
        EventKind::MailDeleted => mail_deleted(),
        EventKind::MailDropped => dropped(),
        EventKind::MessageRejected => rejected(),
        EventKind::WebhookDisabled => webhook("the endpoint answered 410 Gone"),
        EventKind::WebhookTest => webhook("somebody asked for this test"),
        EventKind::AccountLimitExceeded => limit_exceeded(),
        EventKind::AccountQuotaWarning => quota_warning(),
        EventKind::LoginNewAddress => new_address(),
        EventKind::DomainVerified => domain(&[]),
        EventKind::DomainDegraded => domain(&["mx"]),
        EventKind::DkimRotated => rotated(),
    }
}

/// An id that always is the same.
fn id<K: Kind>() -> Id<K> {
    // The text is well-formed for every kind.
    format!("{}_{NUMBER}", K::PREFIX).parse().unwrap_or_else(|_| Id::from(uuid::Uuid::nil()))
}

fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn value(payload: &impl Serialize) -> Value {
    serde_json::to_value(payload).unwrap_or_default()
}

fn message() -> Value {
    value(&MessageEvent {
        message_id: id(),
        internet_message_id: MESSAGE_ID,
        mail_from: "alice@example.test",
        from: "Alice <alice@example.test>",
        subject: "Welcome",
        deliveries: vec![DeliveryRef { id: id(), recipient: "bob@example.net" }],
        tags: &raw(&json!(["welcome"])),
        metadata: &raw(&json!({"user": "42"})),
        sandbox: false,
    })
}

fn delivery(smtp_code: Option<u16>, enhanced_code: Option<&str>, reply: &str) -> Value {
    let next_attempt_at =
        (enhanced_code == Some("4.7.1")).then_some(datetime!(2026-11-21 10:07:30 UTC));
    value(&DeliveryEvent {
        message_id: id(),
        delivery_id: id(),
        internet_message_id: MESSAGE_ID,
        sender: "alice@example.test",
        recipient: "bob@example.net",
        subject: "Welcome",
        tags: &raw(&json!(["welcome"])),
        metadata: &raw(&json!({"user": "42"})),
        attempt: 1,
        smtp_code,
        enhanced_code,
        reply,
        remote_mta: smtp_code.map(|_| "mx.example.net"),
        remote_address: smtp_code.map(|_| "192.0.2.25".to_owned()),
        next_attempt_at,
        suppressing: false,
        sandbox: false,
        report: None,
    })
}

/// The same event, told by a report.
fn reported(mut event: Value, feedback_type: Option<&str>) -> Value {
    let report = ReportRef { mail_id: id(), authenticated: true, feedback_type };
    if let Some(fields) = event.as_object_mut() {
        fields.insert("report".to_owned(), value(&report));
        fields.insert("remote_address".to_owned(), Value::Null);
    }
    event
}

fn mail(received: bool) -> Value {
    let alice = json!([{"name": "Alice", "email": "alice@example.test"}]);
    let bob = json!([{"name": null, "email": "bob@example.net"}]);
    let envelope = MailEnvelope {
        mail_from: "bob@example.net",
        rcpt_to: "alice@example.test",
        remote_address: Some("192.0.2.25".to_owned()),
        helo: "mx.example.net",
    };
    let headers = json!({
        "date": "2026-11-21T09:59:58Z", "subject": "Re: Welcome", "from": bob, "sender": [],
        "reply_to": [], "to": alice, "cc": [], "bcc": [], "in_reply_to": [MESSAGE_ID],
        "references": [MESSAGE_ID], "message_id": "<a1@example.net>",
    });
    let attachments = json!([{
        "path": "2", "filename": "invoice.pdf", "content_type": "application/pdf",
        "content_id": null, "size_bytes": 20480, "inline": false,
    }]);
    let tls = json!({"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"});
    let routing = Routing {
        routes: vec![route("Invoices")],
        webhook_ids: vec![id()],
        http_post_webhook_ids: vec![id()],
        forwarded_message_id: Some(id()),
        skipped: vec![SkippedAction { action: "mailbox", reason: "mailbox_gone" }],
    };
    let content = MailContentEvent {
        envelope: received.then_some(envelope),
        internet_message_id: Some("<a1@example.net>"),
        headers: &headers,
        subject: "Re: Welcome",
        from: &bob,
        to: &alice,
        cc: &json!([]),
        text: Some("Thank you!\n"),
        html: None,
        attachments: &attachments,
        size_bytes: 29_012,
        tls: received.then_some(&tls),
        list: false,
        automated: false,
        dsn: false,
        refers_to: Some(id()),
        routing: received.then_some(&routing),
        redelivered: false,
    };
    value(&MailEvent {
        mail_id: id(),
        mailbox_id: id(),
        mailbox: if received { "Inbox" } else { "Sent" },
        thread_id: id(),
        content,
    })
}

/// The same that is in no mailbox.
fn dropped() -> Value {
    let mut event = mail(true);
    if let Some(fields) = event.as_object_mut() {
        fields.retain(|name, _| {
            !["mail_id", "mailbox_id", "mailbox", "thread_id"].contains(&name.as_str())
        });
        fields.insert(
            "routing".to_owned(),
            value(&Routing { routes: vec![route("Newsletters")], ..Routing::default() }),
        );
    }
    event
}

fn route(name: &str) -> RouteRef {
    RouteRef { id: id(), name: name.to_owned() }
}

fn rejected() -> Value {
    value(&RejectedEvent {
        recipient: "orders@example.test",
        mail_from: "bob@example.net",
        remote_address: Some("192.0.2.25".to_owned()),
        helo: "mx.example.net",
        reason: "route",
        reply: "This address takes no newsletters".to_owned(),
        route: Some(&route("No newsletters")),
        internet_message_id: Some("<a1@example.net>"),
        subject: Some("Our news"),
        not_told: 0,
    })
}

fn mail_updated() -> Value {
    value(&MailUpdatedEvent {
        mail_id: id(),
        mailbox_id: id(),
        mailbox: "Archive",
        moved_from: Some(id()),
        uid: 4,
        modseq: 93,
        thread_id: id(),
        flags: &["\\Seen"],
        keywords: &["todo".to_owned()],
    })
}

fn mail_deleted() -> Value {
    value(&MailDeletedEvent {
        mail_id: id(),
        mailbox_id: id(),
        mailbox: "Trash",
        uid: 4,
        modseq: 97,
        thread_id: id(),
    })
}

fn suppression() -> Value {
    value(&SuppressionEvent {
        suppression_id: id(),
        address: "bob+news@example.net",
        base_address: "bob@example.net",
        topic: None,
        reason: "bounce",
        delivery_id: Some(id()),
        expires_at: None,
    })
}

fn unsubscribed() -> Value {
    value(&UnsubscribeEvent {
        message_id: id(),
        delivery_id: id(),
        recipient: "bob@example.net",
        topic: Some("newsletter"),
        suppression_id: id(),
    })
}

fn webhook(reason: &str) -> Value {
    value(&WebhookEvent {
        webhook_id: id(),
        account_id: id(),
        url: "https://example.test/hooks/mail",
        reason,
    })
}

fn limit_exceeded() -> Value {
    let (limit, maximum, window_seconds) = ("recipients_per_day", 1000, 86_400);
    value(&LimitEvent { limit, maximum, window_seconds, api_key_id: None })
}

fn quota_warning() -> Value {
    value(&QuotaEvent { percent: 80, used_bytes: 8_100_000, quota_bytes: 10_000_000 })
}

fn domain(failed: &[&str]) -> Value {
    let failed_checks = failed.to_vec();
    value(&DomainEvent { domain_id: id(), domain: "example.test", failed_checks })
}

fn rotated() -> Value {
    value(&DkimRotatedEvent {
        domain_id: id(),
        domain: "example.test",
        activated_selectors: &["r20261121".to_owned()],
        retired_selectors: &["r2026".to_owned()],
        removable_at: Some(datetime!(2026-11-28 10:00 UTC)),
    })
}

fn new_address() -> Value {
    value(&LoginEvent {
        remote_address: "192.0.2.7".to_owned(),
        network: "192.0.2.7/32",
        door: "smtp",
        mechanism: "SCRAM-SHA-256",
        login: "alice@example.test",
        user_agent: "laptop.example.test",
    })
}
