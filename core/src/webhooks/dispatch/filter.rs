//! Which events of a part of the log an endpoint gets: domains, tags, and not every repeated
//! `delivery.deferred` (0.8).
//!
//! Of the attempts at a delivery that fail for now, the first is told, and then the first in each
//! interval since then. That follows from the history of attempts: there is nothing to remember.

use serde::Deserialize;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

use super::{settings::Settings, store};
use crate::{
    error::Result,
    events::{Event, EventKind},
    id::{Account, Delivery, Id},
};

#[derive(Deserialize)]
struct Deferred {
    delivery_id: Id<Delivery>,
    attempt: i16,
}

/// Keeps those events of the wanted `types` that the endpoint gets.
pub(super) async fn keep_wanted(
    conn: &mut PgConnection,
    (account, settings): (Id<Account>, &Settings),
    types: &[String],
    events: &mut Vec<Event>,
) -> Result<()> {
    events.retain(|event| settings.wants(types, event));
    let interval = settings.deferred_interval;
    let repeated: Vec<(i64, Deferred)> = events.iter().filter_map(repeated).collect();
    if interval.is_zero() || repeated.is_empty() {
        return Ok(());
    }
    let numbers = |one: &Deferred| [1, one.attempt - 1, one.attempt];
    let wanted: Vec<(Id<Delivery>, i16)> = repeated
        .iter()
        .flat_map(|(_, one)| numbers(one).map(|number| (one.delivery_id, number)))
        .collect();
    let began = store::attempts(conn, account, &wanted).await?;
    let limited = repeated.iter().filter(|(_, one)| {
        let [first, before, this] =
            numbers(one).map(|number| began.get(&(one.delivery_id, number)).copied());
        // What cannot be told is told.
        let known = first.zip(before).zip(this);
        known.is_some_and(|((first, before), this)| same_interval(first, before, this, interval))
    });
    let limited: Vec<i64> = limited.map(|(seq, _)| *seq).collect();
    events.retain(|event| !limited.contains(&event.seq));
    Ok(())
}

fn repeated(event: &Event) -> Option<(i64, Deferred)> {
    if event.kind != EventKind::DeliveryDeferred.as_str() {
        return None;
    }
    let deferred: Deferred = serde_json::from_str(event.data.get()).ok()?;
    (deferred.attempt > 1).then_some((event.seq, deferred))
}

/// Whether the attempt before was in the same interval, counted from the first attempt.
fn same_interval(
    first: OffsetDateTime,
    before: OffsetDateTime,
    this: OffsetDateTime,
    interval: Duration,
) -> bool {
    let number = |at: OffsetDateTime| {
        (at - first).whole_milliseconds().div_euclid(interval.whole_milliseconds().max(1))
    };
    number(before) == number(this)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interval_has_its_first() {
        let first = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let told = |minutes: &[i64]| {
            let at = |minute: &i64| first + Duration::minutes(*minute);
            let pairs = minutes.iter().zip(minutes.iter().skip(1));
            let told = pairs.filter(|(before, this)| {
                !same_interval(first, at(before), at(this), Duration::hours(2))
            });
            told.map(|(_, this)| *this).collect::<Vec<_>>()
        };
        assert_eq!(told(&[0, 7, 22, 52, 112, 232, 472, 952]), [232, 472, 952]);
        assert_eq!(told(&[0, 119, 120, 121, 239, 241]), [120, 241]);
    }
}
