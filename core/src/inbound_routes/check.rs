//! What a route may look like.

use posthouse_mail::address::Address;
use sqlx::PgConnection;

use super::{
    Action, HeaderMatch, MAX_FORWARDS, Match,
    store::{self, KnownWebhook},
};
use crate::{
    cx::Cx,
    error::{Error, FieldError, Result},
    events::{EventKind, matches_any},
    id::{self, Id},
    scope::Scope,
};

const MAX_NAME: usize = 100;
const MAX_PRIORITY: i32 = 10_000;
const MAX_PATTERN: usize = 320;
const MAX_HEADERS: usize = 10;
const MAX_ACTIONS: usize = 10;
/// Characters of what a sending server is told; one line of SMTP has room for it.
const MAX_REJECT: usize = 200;

/// Collects the faults of a request.
#[derive(Default)]
pub(super) struct Check {
    pub faults: Vec<FieldError>,
}

impl Check {
    fn fault(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        self.faults.push(FieldError::new(pointer, code, detail));
    }

    pub(super) fn name(&mut self, name: &str) {
        let length = name.chars().count();
        if length == 0 || length > MAX_NAME || name.chars().any(char::is_control) {
            let detail = format!("a name has 1 to {MAX_NAME} characters, none of control");
            self.fault("/name", "invalid_name", detail);
        }
    }

    pub(super) fn priority(&mut self, priority: i32) {
        if !(0..=MAX_PRIORITY).contains(&priority) {
            self.fault("/priority", "out_of_range", format!("expected 0 to {MAX_PRIORITY}"));
        }
    }

    pub(super) fn matches(&mut self, matches: &Match) {
        self.pattern("/match/recipient", matches.recipient.as_deref());
        self.pattern("/match/sender", matches.sender.as_deref());
        self.pattern("/match/from", matches.from.as_deref());
        if matches.headers.len() > MAX_HEADERS {
            self.fault("/match/headers", "too_many", format!("at most {MAX_HEADERS}"));
        }
        for (index, header) in matches.headers.iter().enumerate().take(MAX_HEADERS) {
            self.header(&format!("/match/headers/{index}"), header);
        }
    }

    fn header(&mut self, pointer: &str, header: &HeaderMatch) {
        let name = header.name.as_bytes();
        let is_name = |byte: &u8| (0x21..0x7f).contains(byte) && *byte != b':';
        if name.is_empty() || name.len() > 100 || !name.iter().all(is_name) {
            let detail = "the name of a header field: printable ASCII, no colon (RFC 5322 §2.2)";
            self.fault(format!("{pointer}/name"), "invalid_header_name", detail);
        }
        self.pattern(&format!("{pointer}/contains"), header.contains.as_deref());
        self.pattern(&format!("{pointer}/pattern"), header.pattern.as_deref());
    }

    fn pattern(&mut self, pointer: &str, pattern: Option<&str>) {
        let Some(pattern) = pattern else { return };
        let length = pattern.chars().count();
        if length == 0 || length > MAX_PATTERN || pattern.chars().any(char::is_control) {
            let detail = format!("1 to {MAX_PATTERN} characters, none of control");
            self.fault(pointer, "invalid_pattern", detail);
        }
    }

    pub(super) fn actions(&mut self, actions: &[Action]) {
        if actions.is_empty() || actions.len() > MAX_ACTIONS {
            self.fault("/actions", "out_of_range", format!("give 1 to {MAX_ACTIONS} actions"));
        }
        for (index, action) in actions.iter().enumerate().take(MAX_ACTIONS) {
            let pointer = format!("/actions/{index}");
            if let Action::Reject { text } = action {
                self.reject(&pointer, text, actions.len());
            }
            if let Action::Forward { addresses } = action {
                self.addresses(&format!("{pointer}/addresses"), addresses);
            }
            let before = actions.iter().take(index);
            if is_place(action) && before.clone().any(is_place) {
                let detail = "a mail goes into one mailbox, or into none";
                self.fault(format!("{pointer}/type"), "conflicting_action", detail);
            } else if before.clone().any(|other| other == action) {
                self.fault(pointer, "duplicate_action", "this action is there already");
            }
        }
    }

    fn addresses(&mut self, pointer: &str, addresses: &[Address]) {
        if addresses.is_empty() || addresses.len() > MAX_FORWARDS {
            self.fault(pointer, "out_of_range", format!("give 1 to {MAX_FORWARDS} addresses"));
        }
    }

    fn reject(&mut self, pointer: &str, text: &str, actions: usize) {
        let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if text.trim().is_empty() || text.len() > MAX_REJECT || !printable {
            let detail = format!("1 to {MAX_REJECT} printable ASCII characters");
            self.fault(format!("{pointer}/text"), "invalid_text", detail);
        }
        if actions > 1 {
            let detail = "what is refused is not there for other actions";
            self.fault(format!("{pointer}/type"), "conflicting_action", detail);
        }
    }
}

const fn is_place(action: &Action) -> bool {
    matches!(action, Action::Mailbox { .. } | Action::Drop)
}

/// Whether the caller may have mail sent on: only who may send, and nothing leaves a sandbox.
pub(super) fn may(cx: &Cx, actions: &[Action]) -> Result<()> {
    let forward = actions.iter().position(|action| matches!(action, Action::Forward { .. }));
    let Some(index) = forward else { return Ok(()) };
    cx.require(Scope::Send)?;
    if cx.actor().sandbox {
        let detail = "a key of the sandbox sends nothing on";
        return Err(Error::field(&format!("/actions/{index}/type"), "sandbox_key", detail));
    }
    Ok(())
}

/// Whether what the actions lead to is there; others' things are not.
pub(super) async fn known(conn: &mut PgConnection, cx: &Cx, actions: &[Action]) -> Result<()> {
    let mailboxes: Vec<_> = actions.iter().filter_map(Action::mailbox).collect();
    let webhooks: Vec<_> = actions.iter().filter_map(Action::webhook).collect();
    let mailboxes = store::known_mailboxes(conn, cx.account(), &mailboxes).await?;
    let webhooks = store::known_webhooks(conn, cx.account(), &webhooks).await?;
    let mut faults = Vec::new();
    for (index, action) in actions.iter().enumerate() {
        let mut fault = |field: &str, code, detail: &str| {
            faults.push(FieldError::new(format!("/actions/{index}/{field}"), code, detail));
        };
        if action.mailbox().is_some_and(|id| !mailboxes.contains(&id)) {
            fault("mailbox_id", "unknown_mailbox", "there is no such mailbox");
        }
        let Some(id) = action.webhook() else { continue };
        match webhooks.iter().find(|webhook| webhook.id == id) {
            None => fault("webhook_id", "unknown_webhook", "there is no such webhook"),
            Some(webhook) => {
                if let Some(detail) = unfit(action, webhook) {
                    fault("webhook_id", "unfitting_webhook", detail);
                }
            }
        }
    }
    Error::unless_empty(faults)
}

/// Why an endpoint cannot do what the action wants.
fn unfit(action: &Action, webhook: &KnownWebhook) -> Option<&'static str> {
    match action {
        Action::HttpPost { .. } if !webhook.gets_messages => {
            Some("the endpoint gets events: make one with payload message")
        }
        Action::Webhook { .. } if webhook.gets_messages => {
            Some("the endpoint gets messages: post them with http_post")
        }
        Action::Webhook { .. } if !gets_mail(&webhook.event_types) => {
            Some("the endpoint does not want mail.received")
        }
        _ => None,
    }
}

fn gets_mail(types: &[String]) -> bool {
    matches_any(types, EventKind::MailReceived.as_str())
}

/// Whether there is this endpoint, and it wants `mail.received`.
pub(crate) async fn require_webhook(
    conn: &mut PgConnection,
    cx: &Cx,
    webhook: Option<Id<id::Webhook>>,
) -> Result<()> {
    let Some(wanted) = webhook else { return Ok(()) };
    let found = store::known_webhooks(conn, cx.account(), &[wanted]).await?;
    let (code, detail) = match found.first() {
        None => ("unknown_webhook", "there is no such webhook"),
        Some(webhook) if webhook.gets_messages => {
            ("unfitting_webhook", "the endpoint gets messages that routes post there")
        }
        Some(webhook) if !gets_mail(&webhook.event_types) => {
            ("unfitting_webhook", "the endpoint does not want mail.received")
        }
        Some(_) => return Ok(()),
    };
    Err(Error::field("/webhook_id", code, detail))
}
