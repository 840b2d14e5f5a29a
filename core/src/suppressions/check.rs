//! What an entry may say, and asking which recipients are suppressed.

use std::collections::{HashMap, HashSet};

use posthouse_mail::address::Address;

use super::{
    Checked, MAX_ENTRIES, NewSuppression, Suppression,
    store::{self, entries},
};
use crate::{
    cx::Cx,
    error::{Error, FieldError, Result},
    scope::Scope,
};

/// More than a reply of another server has, so that every export can be imported.
const MAX_DETAIL: usize = 4096;
const MAX_TOPIC: usize = 64;

/// Whether `topic` can be the name of a topic: up to 64 ASCII letters, digits, `.`, `_` and `-`.
pub fn is_topic(topic: &str) -> bool {
    (1..=MAX_TOPIC).contains(&topic.len())
        && topic.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// A fault unless `topic` is a name of a topic.
pub(crate) fn topic_fault(topic: Option<&str>, pointer: String) -> Option<FieldError> {
    let detail = "a topic has 1 to 64 ASCII letters, digits, dots, underscores and hyphens";
    let bad = topic.is_some_and(|topic| !is_topic(topic));
    bad.then(|| FieldError::new(pointer, "invalid_topic", detail))
}

/// Faults of an entry to be made; `place` is the pointer to it.
pub(super) fn entry_faults(
    cx: &Cx,
    new: &NewSuppression,
    place: &str,
    faults: &mut Vec<FieldError>,
) {
    faults.extend(topic_fault(new.topic.as_deref(), format!("{place}/topic")));
    let detail = &new.detail;
    let is_bad = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n');
    if detail.len() > MAX_DETAIL || detail.chars().any(is_bad) {
        let text = format!("at most {MAX_DETAIL} octets of text in lines");
        faults.push(FieldError::new(format!("{place}/detail"), "invalid_detail", text));
    }
    if new.expires_at.is_some_and(|at| at <= cx.now()) {
        let text = "the time has passed: the entry would not suppress anything";
        faults.push(FieldError::new(format!("{place}/expires_at"), "in_the_past", text));
    }
}

/// Tells for each recipient by which entries it is suppressed: those for all mail of the account
/// and, if there is a topic, those of the topic.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn check(cx: &Cx, addresses: Vec<Address>, topic: Option<&str>) -> Result<Vec<Checked>> {
    cx.require(Scope::SuppressionsRead)?;
    Error::unless_empty(check_faults(&addresses, topic))?;
    look_up(cx, addresses, topic).await
}

/// The same for callers who have been asked for their scope.
pub(crate) async fn look_up(
    cx: &Cx,
    addresses: Vec<Address>,
    topic: Option<&str>,
) -> Result<Vec<Checked>> {
    let texts: Vec<String> = addresses.iter().map(Address::to_string).collect();
    let recipients: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut conn = cx.platform().acquire().await?;
    let bases = store::bases(&mut conn, &recipients).await?;
    let names: Vec<&str> = bases.iter().map(|base| base.address.as_str()).collect();
    let found = entries::of_recipients(&mut conn, cx.account(), &names, cx.now()).await?;
    let mut listed: HashMap<&str, Vec<&Suppression>> = HashMap::new();
    for one in &found {
        if one.topic.is_none() || one.topic.as_deref() == topic {
            listed.entry(&one.base_address).or_default().push(one);
        }
    }
    let checked = addresses.into_iter().zip(&names).map(|(address, base)| Checked {
        address,
        suppressions: listed.get(base).into_iter().flatten().map(|one| (*one).clone()).collect(),
    });
    Ok(checked.collect())
}

/// Those of the recipients that are suppressed, each with the topic of its message: one question for
/// all. Tells an account about its own list only.
pub(crate) async fn suppressed(
    cx: &Cx,
    mut asked: HashSet<(String, Option<String>)>,
) -> Result<HashSet<(String, Option<String>)>> {
    if asked.is_empty() {
        return Ok(asked);
    }
    let recipients: Vec<String> = asked.iter().map(|(recipient, _)| recipient.clone()).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let mut conn = cx.platform().acquire().await?;
    let bases = store::bases(&mut conn, &recipients).await?;
    let names: Vec<&str> = bases.iter().map(|base| base.address.as_str()).collect();
    let found = entries::of_recipients(&mut conn, cx.account(), &names, cx.now()).await?;
    let listed: HashSet<(&str, Option<&str>)> =
        found.iter().map(|one| (one.base_address.as_str(), one.topic.as_deref())).collect();
    let bases: HashMap<&str, &str> = recipients.iter().copied().zip(names).collect();
    asked.retain(|(recipient, topic)| {
        let base = bases.get(recipient.as_str()).copied().unwrap_or(recipient);
        listed.contains(&(base, None)) || listed.contains(&(base, topic.as_deref()))
    });
    Ok(asked)
}

/// Every fault that [`check`] will find.
pub fn check_faults(addresses: &[Address], topic: Option<&str>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if addresses.is_empty() || addresses.len() > MAX_ENTRIES {
        let detail = format!("a request names 1 to {MAX_ENTRIES} addresses");
        faults.push(FieldError::new("/addresses", "out_of_range", detail));
    }
    faults.extend(topic_fault(topic, "/topic".to_owned()));
    faults
}
