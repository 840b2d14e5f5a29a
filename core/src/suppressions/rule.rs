//! The automatic rule (2.6): which failures stop further mail to a recipient.

use std::collections::{HashMap, HashSet};

use super::{
    Reason,
    create::created_event,
    store::{self, Existing, NewEntry, Written},
};
use crate::{
    cx::Tx,
    error::Result,
    events::NewEvent,
    id::{Delivery, Id},
    platform::Platform,
    ports::transport::Reply,
    queue::complete::Decided,
};

/// Applies the rule to results in the transaction that writes them; gives the events of the
/// deliveries that have put their recipient on the list.
pub(crate) async fn apply(
    tx: &mut Tx,
    platform: &Platform,
    decided: &[&Decided],
) -> Result<HashMap<Id<Delivery>, NewEvent>> {
    let reached: Vec<_> = decided
        .iter()
        .filter(|one| matches!(one.status, "delivered" | "relayed"))
        .map(|one| (one.entry.account, &*one.entry.recipient))
        .collect();
    if !reached.is_empty() {
        store::forget_failures(tx.conn(), &reached).await?;
    }
    let failed: Vec<&&Decided> = decided.iter().filter(|one| is_refusal(one)).collect();
    if failed.is_empty() {
        return Ok(HashMap::new());
    }
    let now = platform.now();
    let unclear: Vec<_> = failed
        .iter()
        .filter(|one| !is_clear(&one.reply))
        .map(|one| (one.entry.account, &*one.entry.recipient, one.entry.id))
        .collect();
    let third = if unclear.is_empty() {
        HashSet::new()
    } else {
        store::count_failures(tx.conn(), &unclear, now).await?
    };
    let hits: Vec<&&Decided> = failed
        .into_iter()
        .filter(|one| is_clear(&one.reply) || third.contains(&one.entry.id))
        .collect();
    suppress(tx, platform, &hits).await
}

async fn suppress(
    tx: &mut Tx,
    platform: &Platform,
    hits: &[&&Decided],
) -> Result<HashMap<Id<Delivery>, NewEvent>> {
    if hits.is_empty() {
        return Ok(HashMap::new());
    }
    let now = platform.now();
    let recipients: Vec<&str> = hits.iter().map(|one| &*one.entry.recipient).collect();
    let bases = store::bases(tx.conn(), &recipients).await?;
    let new: Vec<NewEntry<'_>> = hits
        .iter()
        .zip(&bases)
        .map(|(one, base)| NewEntry {
            id: Id::new(now),
            account: one.entry.account,
            address: &one.entry.recipient,
            base: &base.address,
            topic: "",
            reason: Reason::Bounce,
            detail: &one.reply.text,
            delivery: Some(one.entry.id),
            expires_at: None,
        })
        .collect();
    let written = store::write(tx.conn(), &new, Existing::Keep, now).await?;
    let mut suppressed = HashMap::new();
    for ((one, hit), written) in new.iter().zip(hits).zip(written) {
        if written == Written::Created {
            suppressed.insert(hit.entry.id, created_event(one, now));
        }
    }
    Ok(suppressed)
}

/// A final answer of a server. What a transport of ours lets fail says nothing of the recipient, and
/// what the sandbox refuses does not count: a test that bounces once bounces every time.
fn is_refusal(one: &Decided) -> bool {
    let answered = one.peer.is_some() && one.reply.code.is_some();
    one.status == "failed" && answered && !one.entry.sandbox
}

/// Whether the reply says clearly that the address is no good.
pub(crate) fn is_clear(reply: &Reply) -> bool {
    let Some(code) = reply.code else { return false };
    if matches!(code, 521 | 550 | 551 | 553 | 556) {
        return true;
    }
    let detail = reply.enhanced.as_deref().and_then(|code| code.split_once('.'));
    (500..600).contains(&code)
        && detail
            .is_some_and(|(_, rest)| matches!(rest, "1.1" | "1.2" | "1.3" | "1.6" | "2.1" | "7.1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clear_replies_suppress_at_once() {
        let reply = |code, enhanced: Option<&str>| Reply {
            code: Some(code),
            enhanced: enhanced.map(str::to_owned),
            text: String::new(),
        };
        assert!(is_clear(&reply(550, None)));
        assert!(is_clear(&reply(554, Some("5.1.1"))));
        assert!(!is_clear(&reply(554, Some("5.6.0"))));
        assert!(!is_clear(&reply(552, None)));
        assert!(!is_clear(&reply(451, Some("4.1.1"))));
        assert!(!is_clear(&Reply::local("5.1.1", "no route")));
    }
}
