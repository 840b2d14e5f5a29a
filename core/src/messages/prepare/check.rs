//! Checks before anything is made: all faults at once, then whether the sender may.

use posthouse_mail::{address::Address, message::Inspection};

use super::{Sender, TLS_REQUIRED, content, reverse_path, unsubscribe};
use crate::{
    cx::Cx,
    error::{Error, FieldError, Result},
    messages::{Content, MAX_RECIPIENTS, MAX_SCHEDULE, NewMessage, Options, ReversePath},
    suppressions::is_topic,
    templates::use_faults,
};

const MAX_TAGS: usize = 20;
const MAX_METADATA: usize = 50;
/// A fault beside others; alone it is an error of its own.
const TOO_MANY_RECIPIENTS: &str = "too_many_recipients";

/// Refuses a request with faults; else gives what the header of a raw message says.
pub(super) fn require_no_faults(cx: &Cx, new: &NewMessage) -> Result<Option<Inspection>> {
    let mut faults = Vec::new();
    let inspected = inspect(cx, new, &mut faults);
    match faults.as_slice() {
        [] => Ok(inspected),
        [fault] if fault.code == TOO_MANY_RECIPIENTS => {
            Err(Error::TooManyRecipients { limit: MAX_RECIPIENTS })
        }
        _ => Err(Error::InvalidInput(faults)),
    }
}

/// Every fault of the request itself, so that a door can tell them together with its own. Whether
/// the caller may send as these addresses is asked later.
pub fn faults(cx: &Cx, new: &NewMessage) -> Vec<FieldError> {
    let mut faults = Vec::new();
    inspect(cx, new, &mut faults);
    faults
}

fn inspect(cx: &Cx, new: &NewMessage, faults: &mut Vec<FieldError>) -> Option<Inspection> {
    let inspected = content::inspect(&new.content, faults);
    if let Content::Composed(draft) = &new.content {
        let found = draft.faults().into_iter();
        // A template gives the body later.
        let found = found.filter(|fault| new.template.is_none() || fault.code != "missing_body");
        faults.extend(found.map(|fault| FieldError {
            pointer: fault.pointer,
            code: fault.code,
            detail: fault.detail,
        }));
    }
    if let Some(template) = &new.template {
        use_faults(template, faults);
    }
    if new.recipients.is_empty() {
        let detail = "a message needs at least one recipient in to, cc or bcc";
        faults.push(FieldError::new("/to", "no_recipients", detail));
    }
    if new.recipients.len() > MAX_RECIPIENTS {
        let detail = format!("a message has at most {MAX_RECIPIENTS} recipients in to, cc and bcc");
        faults.push(FieldError::new("", TOO_MANY_RECIPIENTS, detail));
    }
    times(cx, &new.options, faults);
    labels(&new.options, faults);
    wishes(new, faults);
    unsubscribe::faults(new, faults);
    inspected
}

fn times(cx: &Cx, options: &Options, faults: &mut Vec<FieldError>) {
    let now = cx.now();
    if let Some(at) = options.scheduled_at {
        if at <= now {
            let detail = "the time has passed: leave it out to send now";
            faults.push(FieldError::new("/scheduled_at", "in_the_past", detail));
        }
        if at > now + MAX_SCHEDULE {
            let detail = "a message can wait 60 days at most";
            faults.push(FieldError::new("/scheduled_at", "too_far", detail));
        }
    }
    if options.expires_at.is_some_and(|at| at <= options.scheduled_at.unwrap_or(now)) {
        let detail = "the message would expire before it is sent";
        faults.push(FieldError::new("/expires_at", "in_the_past", detail));
    }
}

fn labels(options: &Options, faults: &mut Vec<FieldError>) {
    let bad = |text: &str, most: usize| {
        text.is_empty() || text.len() > most || text.chars().any(char::is_control)
    };
    if options.tags.len() > MAX_TAGS {
        let detail = format!("a message has at most {MAX_TAGS} tags");
        faults.push(FieldError::new("/tags", "too_many", detail));
    }
    for (index, tag) in options.tags.iter().enumerate().take(MAX_TAGS) {
        if bad(tag, 100) {
            let detail = "a tag has 1 to 100 octets and no control characters";
            faults.push(FieldError::new(format!("/tags/{index}"), "invalid_tag", detail));
        }
    }
    if options.metadata.len() > MAX_METADATA {
        let detail = format!("metadata has at most {MAX_METADATA} entries");
        faults.push(FieldError::new("/metadata", "too_many", detail));
    }
    for (key, value) in options.metadata.iter().take(MAX_METADATA) {
        if bad(key, 100) || value.len() > 1000 || value.contains('\0') {
            let pointer = format!("/metadata/{}", key.replace('~', "~0").replace('/', "~1"));
            let detail = "a key has 1 to 100 octets without control characters, a value at most \
                          1,000 octets without NUL";
            faults.push(FieldError::new(pointer, "invalid_metadata", detail));
        }
    }
}

fn wishes(new: &NewMessage, faults: &mut Vec<FieldError>) {
    if new.options.stream.as_deref().is_some_and(|stream| !is_topic(stream)) {
        let detail = "a stream has 1 to 64 ASCII letters, digits, dots, underscores and hyphens";
        faults.push(FieldError::new("/stream", "invalid_stream", detail));
    }
    if new.options.require_tls.is_none() {
        return;
    }
    let Content::Composed(draft) = &new.content else { return };
    for (name, _) in &draft.headers {
        if name.eq_ignore_ascii_case(TLS_REQUIRED) {
            let detail = "this header field comes from require_tls: leave out one of the two";
            let pointer = format!("/headers/{name}");
            faults.push(FieldError::new(pointer, "conflicting_header", detail));
        }
    }
}

/// Whether the caller may send as From and as the reverse-path (B3).
pub(super) async fn sender(
    cx: &Cx,
    new: &NewMessage,
    inspected: Option<&Inspection>,
) -> Result<Sender> {
    let from = match (&new.content, inspected) {
        (Content::Composed(draft), _) => draft.from.address.clone(),
        (Content::Raw(_), Some(inspected)) => inspected.from.address.clone(),
        (Content::Raw(_), None) => return Err(Error::internal("raw message was not inspected")),
    };
    let domain = allowed(cx, &from).await?;
    if let Some(ReversePath::Address(address)) = &new.mail_from
        && *address != from
    {
        allowed(cx, address).await?;
    }
    if let Content::Composed(draft) = &new.content
        && let Some(sender) = &draft.sender
    {
        allowed(cx, &sender.address).await?;
    }
    let mail_from = reverse_path(new.mail_from.as_ref(), &from);
    Ok(Sender { from, domain, mail_from })
}

/// Whether the caller may send as `address`.
pub(in crate::messages) async fn allowed(
    cx: &Cx,
    address: &Address,
) -> Result<std::sync::Arc<crate::accounts::DomainInfo>> {
    let platform = cx.platform();
    let refused = || Error::SenderNotAllowed(address.to_string());
    let domain = platform.directory().domain(platform, address.domain()).await?;
    let domain = domain.ok_or_else(refused)?;
    let owner = platform.directory().resolve(platform, address).await?;
    if owner.map(|local| local.account) != Some(cx.account()) || !key_allows(cx, address) {
        return Err(refused());
    }
    if domain.disabled {
        return Err(Error::DomainDisabled(address.domain().to_owned()));
    }
    Ok(domain)
}

fn key_allows(cx: &Cx, address: &Address) -> bool {
    let senders = &cx.actor().allowed_senders;
    senders.is_empty()
        || senders.iter().any(|sender| match sender.strip_prefix('@') {
            Some(domain) => posthouse_mail::domain::normalise(domain)
                .is_ok_and(|domain| domain == address.domain()),
            None => Address::parse(sender).is_ok_and(|sender| sender == *address),
        })
}
