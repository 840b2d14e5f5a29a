//! What follows from attempts: when the next one is, and whether the endpoint is given up.

use std::time::Duration;

use rand::Rng as _;
use reqwest::StatusCode;
use time::OffsetDateTime;

use super::call::Ended;

/// Nothing but failures for so long disables an endpoint.
const PATIENCE: time::Duration = time::Duration::days(5);

pub(super) const GONE: &str = "the endpoint answered 410 Gone";
pub(super) const FAILING: &str = "nothing but failures for five days";

/// What follows from a group of attempts.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Next attempts, in the order of the attempts that ended; none: no other.
    pub next: Vec<Option<OffsetDateTime>>,
    /// Since when there was nothing but failure.
    pub failing_since: Option<OffsetDateTime>,
    /// Why the endpoint is to be disabled.
    pub disable: Option<&'static str>,
}

impl Outcome {
    /// Looks at attempts in the order in which they ended.
    pub(super) fn of(
        ended: &[Ended],
        failing_since: Option<OffsetDateTime>,
        schedule: &[Duration],
    ) -> Self {
        let mut outcome = Self { failing_since, ..Self::default() };
        for one in ended {
            outcome.next.push(next_attempt(one, schedule));
            if one.answer.is_success() {
                outcome.failing_since = None;
                continue;
            }
            let since = *outcome.failing_since.get_or_insert(one.started_at);
            if one.answer.status == Some(StatusCode::GONE) {
                outcome.disable = Some(GONE);
            } else if outcome.disable.is_none() && one.finished_at - since >= PATIENCE {
                outcome.disable = Some(FAILING);
            }
        }
        outcome
    }
}

/// The wait of the schedule, 20 % more or less; longer when the endpoint wants it.
fn next_attempt(ended: &Ended, schedule: &[Duration]) -> Option<OffsetDateTime> {
    if ended.answer.is_success() {
        return None;
    }
    let made = usize::try_from(ended.attempt).ok()?;
    let wait = schedule.get(made.checked_sub(1)?)?;
    let wait = wait.mul_f64(rand::rng().random_range(0.8..=1.2));
    let wanted = ended.answer.retry_after.map(|after| after.wait(ended.finished_at));
    let wait = wait.max(wanted.unwrap_or_default());
    ended.finished_at.checked_add(time::Duration::try_from(wait).ok()?)
}

#[cfg(test)]
mod tests {
    use super::{super::call::Cause, *};
    use crate::{
        config::default_webhook_retry_schedule,
        http::{Answer, RetryAfter},
        id::Id,
    };

    fn ended(attempt: i16, status: u16, at: OffsetDateTime) -> Ended {
        let status = StatusCode::from_u16(status).ok();
        Ended {
            id: Id::new(at),
            event_id: Id::new(at),
            seq: 1,
            cause: Cause::New,
            event_type: "mail.received".to_owned(),
            attempt,
            started_at: at,
            finished_at: at,
            request_body: String::new(),
            answer: Answer { status, ..Answer::default() },
        }
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap()
    }

    #[test]
    fn waits_follow_the_schedule() {
        let schedule = default_webhook_retry_schedule();
        let wait = |attempt| Some(next_attempt(&ended(attempt, 500, now()), &schedule)? - now());
        for (attempt, seconds) in (1_i16..).zip([5_i64, 300, 1800, 7200, 18_000, 36_000]) {
            let wait = wait(attempt).unwrap().whole_milliseconds();
            assert!((i128::from(seconds * 800)..=i128::from(seconds * 1200)).contains(&wait));
        }
        assert!(wait(9).is_some());
        assert_eq!(wait(10), None);
        assert_eq!(next_attempt(&ended(1, 204, now()), &schedule), None);
        assert!(next_attempt(&ended(1, 302, now()), &schedule).is_some());
        let mut busy = ended(1, 503, now());
        busy.answer.retry_after = Some(RetryAfter::Delay(Duration::from_hours(1)));
        assert_eq!(next_attempt(&busy, &schedule), Some(now() + time::Duration::HOUR));
    }

    #[test]
    fn an_endpoint_is_given_up_when_gone_or_after_five_days() {
        let of =
            |attempts: &[Ended], since| Outcome::of(attempts, since, &[Duration::from_secs(1)]);
        assert_eq!(of(&[ended(1, 410, now())], None).disable, Some(GONE));
        let failed = of(&[ended(1, 500, now())], None);
        assert_eq!((failed.disable, failed.failing_since), (None, Some(now())));
        let long_ago = Some(now() - PATIENCE);
        assert_eq!(of(&[ended(1, 500, now())], long_ago).disable, Some(FAILING));
        let mixed = of(&[ended(1, 200, now()), ended(1, 500, now())], long_ago);
        assert_eq!((mixed.disable, mixed.failing_since), (None, Some(now())));
        assert_eq!(of(&[ended(1, 500, now()), ended(1, 200, now())], None).failing_since, None);
    }
}
