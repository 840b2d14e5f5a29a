//! Which way each delivery goes, asked when it is its turn: lanes are by what mail goes through.

use std::{collections::HashMap, sync::Arc};

use super::{
    Entry,
    destination::{Destination, Unroutable},
    scheduler::LaneKey,
    store::Message,
};
use crate::{
    id::{self, Id},
    platform::Platform,
    routing::{Choice, Traveller, Way},
};

/// The way of a delivery, or the transport that should be and is not there.
pub(super) type Found = Result<Choice, Id<id::Transport>>;

/// Asks the routes.
fn choose(platform: &Platform, message: &Message, entry: &Entry) -> Found {
    platform.queue().routing.choose(&Traveller {
        account: entry.account,
        from: message.mail_from.rsplit_once('@').map_or("", |(_, domain)| domain),
        to: entry.domain(),
        attempts: entry.attempts,
        transport: entry.transport,
    })
}

/// Hands what goes through another lane than this one over to that; gives back the rest.
pub(super) async fn divert(
    platform: &Platform,
    lane: &LaneKey,
    groups: Vec<Vec<Entry>>,
    contents: &HashMap<Id<id::Message>, Arc<Message>>,
) -> Vec<Vec<Entry>> {
    let (mut moved, mut rest) = (Vec::new(), Vec::with_capacity(groups.len()));
    for group in groups {
        let message = group.first().and_then(|entry| contents.get(&entry.id.message()));
        let Some(message) = message else {
            rest.push(group);
            continue;
        };
        let mut stay = Vec::with_capacity(group.len());
        for mut entry in group {
            match lane_of(platform, message, &entry).await.filter(|own| own != lane) {
                None => stay.push(entry),
                Some(own) => {
                    // What does not count as held is read again there.
                    let held = message.held.get().map(|_| Arc::clone(message));
                    entry.hold(held);
                    moved.push((own, entry));
                }
            }
        }
        if !stay.is_empty() {
            rest.push(stay);
        }
    }
    platform.queue().scheduler.hand_over(moved);
    rest
}

/// The lane of a delivery that goes to another server.
async fn lane_of(platform: &Platform, message: &Message, entry: &Entry) -> Option<LaneKey> {
    if message.sandbox || entry.at_home || entry.suppressed == Some(true) {
        return None;
    }
    let way = choose(platform, message, entry);
    let transport = match way.as_ref().ok()?.transport.as_ref().map(|known| (known.id, &known.way))
    {
        Some((id, Way::Relay(_))) => return Some(LaneKey::Transport(id)),
        Some((_, Way::Fail { .. })) => return None,
        None if platform.config().delivery.smart_host.is_some() => {
            return Some(LaneKey::SmartHost);
        }
        Some((id, Way::Direct(_))) => Some(id),
        None => None,
    };
    // Where there is no way, the attempt will tell.
    let found = destination(platform, &way, entry.domain()).await.ok()?;
    let exchangers = platform.queue().lane_rules.exchangers(&found.hop.hosts);
    let lane = LaneKey::Exchangers(exchangers, transport);
    if transport.is_none() {
        platform.queue().scheduler.learn(entry.domain(), &lane);
    }
    Some(lane)
}

/// Recipients by the way they go, and what is wanted of TLS; those of one way can be told to one
/// server.
pub(super) fn split(
    platform: &Platform,
    message: &Message,
    group: Vec<Entry>,
) -> Vec<(Found, Vec<Entry>)> {
    let mut ways: Vec<(Found, Vec<Entry>)> = Vec::new();
    for entry in group {
        let way = choose(platform, message, &entry);
        let one_server = relays(platform, &way);
        let same = ways.iter_mut().find(|(other, entries)| {
            let first = entries.first();
            *other == way
                && first.is_some_and(|first| {
                    first.require_tls == entry.require_tls
                        && (one_server || first.domain() == entry.domain())
                })
        });
        match same {
            Some((_, entries)) => entries.push(entry),
            None => ways.push((way, vec![entry])),
        }
    }
    ways
}

fn relays(platform: &Platform, way: &Found) -> bool {
    match way {
        Ok(Choice { transport: Some(known), .. }) => matches!(known.way, Way::Relay(_)),
        Ok(Choice { transport: None, .. }) => platform.config().delivery.smart_host.is_some(),
        Err(_) => false,
    }
}

/// Where mail for `domain` goes that way.
pub(super) async fn destination(
    platform: &Platform,
    way: &Found,
    domain: &str,
) -> Result<Destination, Unroutable> {
    let choice = way.as_ref().map_err(|gone| Unroutable {
        permanent: false,
        code: None,
        enhanced: "4.3.5",
        text: format!("the transport {gone} that it is to take is not there, or cannot be used"),
    })?;
    let way = choice.transport.as_ref().map(|known| &known.way);
    platform.queue().destinations.find(platform, domain, way).await
}
