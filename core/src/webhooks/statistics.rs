//! How an endpoint does: what came of calls, how long they took, what waits.
//!
//! Calls are counted by the hour when their results are recorded, so that asking costs the same
//! however many there were.

use std::time::Duration;

use reqwest::StatusCode;
use time::OffsetDateTime;

use super::{NOT_FOUND, store};
use crate::{
    cx::Cx,
    error::Result,
    id::{self, Id},
    scope::Scope,
};

/// Classes of durations: each is a quarter of a doubling, from 1 ms; the last has the rest.
const CLASSES: usize = 64;
const CLASSES_PER_DOUBLING: f64 = 4.0;
/// More events than this are not counted.
const MOST: i64 = 10_000;

/// How an endpoint does.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// The last 24 hours, by the hour.
    pub last_24_hours: Totals,
    /// The last seven days, by the hour.
    pub last_7_days: Totals,
    /// New events that the endpoint was not told yet; at most 10,000 are counted.
    pub waiting_events: i64,
    /// When the oldest of these happened.
    pub oldest_waiting_at: Option<OffsetDateTime>,
    /// Events that are to be tried again; at most 10,000 are counted.
    pub waiting_retries: i64,
    /// When the next of these is due.
    pub next_retry_at: Option<OffsetDateTime>,
    /// Since when there was nothing but failure.
    pub failing_since: Option<OffsetDateTime>,
}

/// What came of the calls of some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// All calls.
    pub calls: i64,
    /// Those answered 2xx.
    pub succeeded: i64,
    /// Those answered otherwise.
    pub answered_3xx: i64,
    /// Those answered 4xx.
    pub answered_4xx: i64,
    /// Those answered 5xx.
    pub answered_5xx: i64,
    /// Those that were not answered in time, or not with such a status.
    pub unanswered: i64,
    /// Half of the calls took at most so long, within a fifth.
    pub p50_ms: Option<i64>,
    /// 95 % of the calls took at most so long, within a fifth.
    pub p95_ms: Option<i64>,
    /// 99 % of the calls took at most so long, within a fifth.
    pub p99_ms: Option<i64>,
}

/// What waits for an endpoint.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pub failing_since: Option<OffsetDateTime>,
    pub new_events: i64,
    pub oldest_at: Option<OffsetDateTime>,
    pub retries: i64,
    pub next_retry_at: Option<OffsetDateTime>,
}

/// What came of some calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counts {
    pub answered_2xx: i64,
    pub answered_3xx: i64,
    pub answered_4xx: i64,
    pub answered_5xx: i64,
    pub other: i64,
    pub durations: Vec<i64>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            answered_2xx: 0,
            answered_3xx: 0,
            answered_4xx: 0,
            answered_5xx: 0,
            other: 0,
            durations: vec![0; CLASSES],
        }
    }
}

impl Counts {
    /// Counts a call.
    pub(super) fn count(&mut self, status: Option<StatusCode>, duration: Duration) {
        let counter = match status.map(|status| status.as_u16() / 100) {
            Some(2) => &mut self.answered_2xx,
            Some(3) => &mut self.answered_3xx,
            Some(4) => &mut self.answered_4xx,
            Some(5) => &mut self.answered_5xx,
            _ => &mut self.other,
        };
        *counter += 1;
        if let Some(class) = self.durations.get_mut(class(duration)) {
            *class += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        self.answered_2xx += other.answered_2xx;
        self.answered_3xx += other.answered_3xx;
        self.answered_4xx += other.answered_4xx;
        self.answered_5xx += other.answered_5xx;
        self.other += other.other;
        for (sum, more) in self.durations.iter_mut().zip(&other.durations) {
            *sum += more;
        }
    }

    fn totals(&self) -> Totals {
        Totals {
            calls: self.answered_2xx
                + self.answered_3xx
                + self.answered_4xx
                + self.answered_5xx
                + self.other,
            succeeded: self.answered_2xx,
            answered_3xx: self.answered_3xx,
            answered_4xx: self.answered_4xx,
            answered_5xx: self.answered_5xx,
            unanswered: self.other,
            p50_ms: self.percentile(50),
            p95_ms: self.percentile(95),
            p99_ms: self.percentile(99),
        }
    }

    /// Upper bound of the class in which the call of this rank is.
    fn percentile(&self, percent: i64) -> Option<i64> {
        let all: i64 = self.durations.iter().sum();
        let rank = (all * percent + 99) / 100;
        let mut passed = 0;
        for (class, count) in self.durations.iter().enumerate() {
            passed += count;
            if *count > 0 && passed >= rank {
                return Some(upper_bound_ms(class));
            }
        }
        None
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 63, made sure just before"
)]
fn class(duration: Duration) -> usize {
    let millis = (duration.as_secs_f64() * 1000.0).max(1.0);
    let class = (millis.log2() * CLASSES_PER_DOUBLING).ceil();
    class.clamp(0.0, 63.0) as usize
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "classes are from 0 to 63: the result is far below 2^53"
)]
fn upper_bound_ms(class: usize) -> i64 {
    (class as f64 / CLASSES_PER_DOUBLING).exp2().round() as i64
}

/// How the endpoint does.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn statistics(cx: &Cx, webhook: Id<id::Webhook>) -> Result<Statistics> {
    cx.require(Scope::WebhooksRead)?;
    let mut conn = cx.platform().acquire().await?;
    let vault = cx.platform().vault();
    let found = store::find(&mut conn, vault, cx.account(), webhook).await?.ok_or(NOT_FOUND)?;
    let now = cx.now();
    let (day, week) = (now - time::Duration::DAY, now - time::Duration::WEEK);
    let (mut last_day, mut last_week) = (Counts::default(), Counts::default());
    for (hour, counts) in store::statistics::hours(&mut conn, webhook, week).await? {
        if hour > day - time::Duration::HOUR {
            last_day.add(&counts);
        }
        last_week.add(&counts);
    }
    let place = (webhook, cx.account());
    let waiting = store::statistics::backlog(&mut conn, place, &found.event_types, MOST).await?;
    Ok(Statistics {
        last_24_hours: last_day.totals(),
        last_7_days: last_week.totals(),
        waiting_events: waiting.new_events,
        oldest_waiting_at: waiting.oldest_at,
        waiting_retries: waiting.retries,
        next_retry_at: waiting.next_retry_at,
        failing_since: waiting.failing_since,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_fifth() {
        let mut counts = Counts::default();
        for millis in 1..=1000 {
            counts.count(Some(StatusCode::OK), Duration::from_millis(millis));
        }
        let totals = counts.totals();
        for (found, right) in [(totals.p50_ms, 500), (totals.p95_ms, 950), (totals.p99_ms, 990)] {
            let found = found.unwrap();
            assert!((right..=right * 6 / 5).contains(&found), "{found} for {right}");
        }
        assert_eq!(Counts::default().totals(), Totals::default());
    }

    #[test]
    fn calls_are_counted_by_their_answers() {
        let mut counts = Counts::default();
        for status in [200, 204, 302, 410, 500, 503, 101] {
            counts.count(StatusCode::from_u16(status).ok(), Duration::ZERO);
        }
        counts.count(None, Duration::from_hours(9));
        let mut twice = counts.clone();
        twice.add(&counts);
        let totals = twice.totals();
        let by_class =
            [totals.succeeded, totals.answered_3xx, totals.answered_4xx, totals.answered_5xx];
        assert_eq!((totals.calls, by_class, totals.unanswered), (16, [4, 2, 2, 4], 4));
    }
}
