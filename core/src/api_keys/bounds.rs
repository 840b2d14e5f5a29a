//! What a credential may do, compared with another (THREATS 22): no credential can make a stronger
//! one, nor turn one into a stronger one.

use posthouse_mail::{address::Address, domain};
use time::OffsetDateTime;

use super::NewApiKey;
use crate::{
    cx::Actor,
    error::FieldError,
    net::Network,
    scope::{Scope, Scopes},
};

/// Everything that bounds a credential.
pub(crate) struct Bounds<'a> {
    scopes: Scopes,
    cidrs: &'a [String],
    senders: &'a [String],
    sandbox: bool,
    requests_per_minute: Option<i32>,
    recipients_per_day: Option<i64>,
    expires_at: Option<OffsetDateTime>,
}

impl<'a> Bounds<'a> {
    /// Those of whoever asks.
    pub(crate) fn of_actor(actor: &'a Actor) -> Self {
        Self {
            scopes: actor.scopes,
            cidrs: &actor.allowed_cidrs,
            senders: &actor.allowed_senders,
            sandbox: actor.sandbox,
            requests_per_minute: actor.key_requests_per_minute,
            recipients_per_day: actor.key_recipients_per_day,
            expires_at: actor.expires_at,
        }
    }

    /// Those of a key.
    pub(crate) fn of_key(key: &'a NewApiKey) -> Self {
        Self {
            scopes: Scopes::from_names(&key.scopes),
            cidrs: &key.allowed_cidrs,
            senders: &key.allowed_senders,
            sandbox: key.sandbox,
            requests_per_minute: key.requests_per_minute,
            recipients_per_day: key.recipients_per_day,
            expires_at: key.expires_at,
        }
    }

    /// Whether these are no bounds at all but the scopes, and the scopes are these at least.
    pub(crate) fn are_at_least(&self, scopes: Scopes) -> bool {
        let free = self.cidrs.is_empty() && self.senders.is_empty();
        let free = free && self.requests_per_minute.is_none() && self.recipients_per_day.is_none();
        free && !self.sandbox && self.expires_at.is_none() && self.scopes.covers(scopes)
    }

    /// Where `key` could do more than these bounds allow. What cannot be read is no more.
    pub(crate) fn excess(&self, key: &NewApiKey) -> Vec<FieldError> {
        let mut faults = Vec::new();
        for (index, name) in key.scopes.iter().enumerate() {
            if name.parse::<Scope>().is_ok_and(|scope| !self.scopes.has(scope)) {
                let detail = "a key cannot give a scope that the caller lacks";
                let pointer = format!("/scopes/{index}");
                faults.push(FieldError::new(pointer, "scope_not_allowed", detail));
            }
        }
        let mut list = |pointer, detail, all, own, covers| {
            faults.extend(uncovered(pointer, detail, &List { all, own, covers }));
        };
        let detail = "a key that is bound to networks makes only keys for networks within those";
        list("/allowed_cidrs", detail, self.cidrs, &key.allowed_cidrs, network_covers);
        let detail = "a key with allowed senders makes only keys with senders among them";
        list("/allowed_senders", detail, self.senders, &key.allowed_senders, sender_covers);
        if self.sandbox && !key.sandbox {
            let detail = "a sandbox key makes only sandbox keys";
            faults.push(FieldError::new("/sandbox", STRONGER, detail));
        }
        if let Some(limit) = self.requests_per_minute
            && key.requests_per_minute.is_none_or(|more| more > limit)
        {
            let detail = "a key with a limit of requests makes only keys with no higher one";
            faults.push(FieldError::new("/requests_per_minute", STRONGER, detail));
        }
        if let Some(limit) = self.recipients_per_day
            && key.recipients_per_day.is_none_or(|more| more > limit)
        {
            let detail = "a key with a limit of recipients makes only keys with no higher one";
            faults.push(FieldError::new("/recipients_per_day", STRONGER, detail));
        }
        if let Some(end) = self.expires_at
            && key.expires_at.is_none_or(|at| at > end)
        {
            let detail = "a key that expires makes only keys that do so no later";
            faults.push(FieldError::new("/expires_at", STRONGER, detail));
        }
        faults
    }
}

const STRONGER: &str = "stronger_than_caller";

/// Two lists that stand for everything when they are empty.
struct List<'a> {
    all: &'a [String],
    own: &'a [String],
    covers: fn(&str, &str) -> bool,
}

fn uncovered(pointer: &str, detail: &str, list: &List<'_>) -> Vec<FieldError> {
    if list.all.is_empty() {
        return Vec::new();
    }
    if list.own.is_empty() {
        return vec![FieldError::new(pointer, STRONGER, detail)];
    }
    let outside = |(index, one): (usize, &String)| {
        let inside = list.all.iter().any(|known| (list.covers)(known, one));
        (!inside).then(|| FieldError::new(format!("{pointer}/{index}"), STRONGER, detail))
    };
    list.own.iter().enumerate().filter_map(outside).collect()
}

/// Whether all of network `one` is in `known`; what is no network is nowhere.
fn network_covers(known: &str, one: &str) -> bool {
    match (known.parse::<Network>(), one.parse::<Network>()) {
        (Ok(known), Ok(one)) => known.covers(&one),
        (_, one) => one.is_err(),
    }
}

/// Whether sending as `one` is within sending as `known`: an address, or `@` and a domain.
fn sender_covers(known: &str, one: &str) -> bool {
    let Some((local, domain)) = read_sender(one) else { return true };
    let Some((known_local, known_domain)) = read_sender(known) else { return false };
    known_domain == domain && (known_local.is_none() || known_local == local)
}

/// Local part, none for the whole domain, and domain.
pub(super) fn read_sender(text: &str) -> Option<(Option<String>, String)> {
    if let Some(name) = text.strip_prefix('@') {
        return domain::normalise(name).ok().map(|domain| (None, domain));
    }
    let address = Address::parse(text).ok()?;
    Some((Some(address.local().to_owned()), address.domain().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_senders_cover_what_is_within_them() {
        assert!(network_covers("192.0.2.0/24", "192.0.2.128/25"));
        assert!(network_covers("192.0.2.0/24", "192.0.2.7"));
        assert!(!network_covers("192.0.2.0/24", "192.0.2.0/23"));
        assert!(!network_covers("0.0.0.0/0", "::/0"));
        assert!(!network_covers("::/0", "192.0.2.7"));
        assert!(sender_covers("@Example.test", "alice@example.test"));
        assert!(sender_covers("@example.test", "@EXAMPLE.test"));
        assert!(sender_covers("alice@example.test", "alice@Example.test"));
        assert!(!sender_covers("alice@example.test", "@example.test"));
        assert!(!sender_covers("alice@example.test", "bob@example.test"));
        assert!(!sender_covers("@example.test", "alice@sub.example.test"));
    }
}
