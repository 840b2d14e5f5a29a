//! How fast a destination is used: attempts at a time, messages per second, and pauses.
//!
//! The number of attempts at a time is halved when the other side is busy or does not answer, and
//! goes up again by one for each round of good ones (0.17). A destination that does not answer at
//! all rests, longer and longer. What is due waits for the end of the first rests; when they have
//! not helped it is put off without a try, but for the last attempt of each delivery.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::ports::transport::{Outcome, Reply, Report};

/// The first rest, and the longest.
const REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_mins(5);
/// So many rests are waited for: half a minute may be a server that starts anew.
const PAUSES: u32 = 2;
/// Failures one after the other, after which a destination rests that has answered before.
const PATIENCE: u32 = 3;
/// Busy replies one after the other, after which it rests.
const BUSY: u32 = 10;
/// Refusals for now one after the other that count as busy: a burst.
const BURST: u32 = 5;
/// The number is halved at most this often.
const HALVING: Duration = Duration::from_secs(1);

/// What a destination may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Attempts at a time.
    pub connections: usize,
    /// Attempts begun in a second.
    pub per_second: Option<NonZeroU32>,
    /// Messages, after which a connection is not used again.
    pub per_connection: Option<usize>,
}

/// What an attempt says about the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Contact {
    /// It answers.
    Good,
    /// It refuses what it is given, for now.
    Refused,
    /// It has too much to do (421, 451).
    Busy(Reply),
    /// It does not answer.
    Lost(Reply),
    /// Nothing: nobody was asked.
    None,
}

impl Contact {
    /// Of an attempt; the best outcome counts.
    pub(crate) fn of(report: &Report) -> Self {
        let mut contact = Self::None;
        for outcome in &report.outcomes {
            contact = match outcome {
                Outcome::Delivered { .. } => return Self::Good,
                Outcome::Failed(reply) if reply.code.is_some() => return Self::Good,
                Outcome::Deferred(reply) => Self::of_deferral(reply),
                Outcome::Failed(_) => contact,
            };
        }
        contact
    }

    fn of_deferral(reply: &Reply) -> Self {
        let network = matches!(reply.enhanced.as_deref(), Some("4.4.1" | "4.4.2"));
        match reply.code {
            Some(421 | 451) => Self::Busy(reply.clone()),
            Some(_) => Self::Refused,
            None if network => Self::Lost(reply.clone()),
            None => Self::None,
        }
    }
}

struct State {
    limits: Limits,
    rate: Option<Arc<DefaultDirectRateLimiter>>,
    /// Permits that there are, and that there should be.
    permits: usize,
    target: usize,
    /// Good attempts since `target` changed.
    good: usize,
    /// Attempts one after the other that were lost, found it busy, or were refused.
    lost: u32,
    busy: u32,
    refused: u32,
    /// It has answered.
    proven: bool,
    halved_at: Option<OffsetDateTime>,
    /// Rests since it last answered, the end of the last one and its reason.
    rests: u32,
    rest: Option<(OffsetDateTime, Reply)>,
}

/// How fast a destination is used.
pub(crate) struct Pace {
    slots: Semaphore,
    state: Mutex<State>,
}

/// An attempt may be made.
pub(crate) struct Permit<'a> {
    pace: &'a Pace,
    permit: Option<SemaphorePermit<'a>>,
}

impl Pace {
    pub(super) fn new(limits: Limits) -> Self {
        let permits = limits.connections;
        let state = State {
            limits,
            rate: limits.limiter(),
            permits,
            target: permits,
            good: 0,
            lost: 0,
            busy: 0,
            refused: 0,
            proven: false,
            halved_at: None,
            rests: 0,
            rest: None,
        };
        Self { slots: Semaphore::new(permits), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other limits hold from now on.
    pub(super) fn set(&self, limits: Limits) {
        let mut state = self.lock();
        if state.limits == limits {
            return;
        }
        if state.limits.per_second != limits.per_second {
            state.rate = limits.limiter();
        }
        state.limits = limits;
        state.target = limits.connections;
        self.adjust(&mut state);
    }

    /// It has answered, as far as is known.
    pub(super) fn is_proven(&self) -> bool {
        self.lock().proven
    }

    /// Attempts at a time, at most.
    pub(super) fn most(&self) -> usize {
        self.lock().limits.connections
    }

    /// What it may be given.
    pub(crate) fn limits(&self) -> Limits {
        self.lock().limits
    }

    /// Waits until another attempt may be made.
    pub(crate) async fn permit(&self) -> Permit<'_> {
        // Never closed; without a permit there would only be one attempt too many.
        let permit = self.slots.acquire().await.ok();
        let rate = self.lock().rate.clone();
        if let Some(rate) = rate {
            rate.until_ready().await;
        }
        Permit { pace: self, permit }
    }

    /// Until when nothing is to be taken from the lane.
    pub(super) fn paused(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let state = self.lock();
        state.resting(now).filter(|_| state.rests <= PAUSES).map(|(until, _)| *until)
    }

    /// Why no attempt is to be made at `now`.
    pub(crate) fn suspended(&self, now: OffsetDateTime) -> Option<Reply> {
        let state = self.lock();
        let (until, reason) = state.resting(now).filter(|_| state.rests > PAUSES)?;
        let seconds = (*until - now).as_seconds_f32().ceil();
        let text = format!("not tried, and not for another {seconds} s: {}", reason.text);
        metrics::counter!("posthouse_queue_suspended_total").increment(1);
        Some(Reply { code: None, enhanced: Some(enhanced(reason)), text })
    }

    /// Somebody wants it tried again now.
    pub(super) fn wake(&self) {
        self.lock().rest = None;
    }

    /// Takes note of an attempt that ended at `now`.
    pub(crate) fn note(&self, contact: Contact, now: OffsetDateTime) {
        let mut state = self.lock();
        match contact {
            Contact::None => {}
            Contact::Good => state.good(),
            Contact::Refused => {
                state.answered();
                state.refused += 1;
                if state.refused >= BURST {
                    state.halve(now);
                }
            }
            Contact::Busy(reply) => {
                state.proven = true;
                (state.lost, state.busy) = (0, state.busy + 1);
                state.halve(now);
                if state.busy >= BUSY {
                    state.take_rest(reply, now);
                }
            }
            Contact::Lost(reply) => {
                state.lost += 1;
                state.halve(now);
                if !state.proven || state.lost >= PATIENCE {
                    state.proven = false;
                    state.take_rest(reply, now);
                }
            }
        }
        self.adjust(&mut state);
    }

    /// Brings the number of permits nearer to what it should be; those in use go when they end.
    fn adjust(&self, state: &mut State) {
        if state.permits < state.target {
            self.slots.add_permits(state.target - state.permits);
            state.permits = state.target;
        } else {
            state.permits -= self.slots.forget_permits(state.permits - state.target);
        }
    }
}

fn enhanced(reply: &Reply) -> String {
    reply.enhanced.clone().unwrap_or_else(|| "4.4.1".to_owned())
}

impl Limits {
    fn limiter(&self) -> Option<Arc<DefaultDirectRateLimiter>> {
        // One at a time, evenly: a second's worth at once is what others call a burst.
        let quota = Quota::per_second(self.per_second?).allow_burst(NonZeroU32::MIN);
        Some(Arc::new(RateLimiter::direct(quota)))
    }
}

impl State {
    fn answered(&mut self) {
        self.proven = true;
        (self.lost, self.busy, self.rests, self.rest) = (0, 0, 0, None);
    }

    fn good(&mut self) {
        self.answered();
        self.refused = 0;
        self.good += 1;
        if self.good >= self.target && self.target < self.limits.connections {
            self.target += 1;
            self.good = 0;
        }
    }

    fn halve(&mut self, now: OffsetDateTime) {
        self.good = 0;
        if self.halved_at.is_none_or(|at| now >= at + HALVING) {
            self.target = (self.target / 2).max(1);
            self.halved_at = Some(now);
        }
    }

    /// The end of the rest, and its reason.
    fn resting(&self, now: OffsetDateTime) -> Option<&(OffsetDateTime, Reply)> {
        self.rest.as_ref().filter(|(until, _)| *until > now)
    }

    fn take_rest(&mut self, reason: Reply, now: OffsetDateTime) {
        self.target = 1;
        if self.resting(now).is_some() {
            return;
        }
        let rest = REST.saturating_mul(1 << self.rests.min(16)).min(LONGEST_REST);
        self.rests += 1;
        self.rest = Some((now + rest, reason));
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut state = self.pace.lock();
        self.pace.adjust(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn pace(connections: usize) -> Pace {
        Pace::new(Limits { connections, per_second: None, per_connection: None })
    }

    fn lost() -> Contact {
        Contact::Lost(Reply::local("4.4.1", "mx.test: no route"))
    }

    fn busy() -> Contact {
        Contact::Busy(Reply { code: Some(421), enhanced: None, text: "too much".to_owned() })
    }

    fn at(seconds: i64) -> OffsetDateTime {
        NOW + time::Duration::seconds(seconds)
    }

    fn free(pace: &Pace) -> usize {
        pace.slots.available_permits()
    }

    #[test]
    fn busy_servers_get_half_and_good_rounds_bring_it_back() {
        let pace = pace(8);
        pace.note(busy(), at(0));
        assert_eq!(free(&pace), 4);
        pace.note(busy(), at(0));
        assert_eq!(free(&pace), 4, "what was under way does not count twice");
        pace.note(busy(), at(1));
        assert_eq!(free(&pace), 2);
        assert_eq!(pace.suspended(at(1)), None);
        for expected in [2, 3, 3, 3, 4] {
            pace.note(Contact::Good, at(2));
            assert_eq!(free(&pace), expected);
        }
        for _ in 0..100 {
            pace.note(Contact::Good, at(3));
        }
        assert_eq!(free(&pace), 8);
        for _ in 0..BURST {
            assert_eq!(free(&pace), 8);
            pace.note(Contact::Refused, at(4));
        }
        assert_eq!(free(&pace), 4, "a burst of refusals");
    }

    #[test]
    fn permits_in_use_go_when_they_end() {
        let pace = pace(2);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let taken = runtime.block_on(async { [pace.permit().await, pace.permit().await] });
        pace.note(busy(), at(0));
        let [first, second] = taken;
        drop(first);
        assert_eq!(free(&pace), 0);
        drop(second);
        assert_eq!(free(&pace), 1);
        pace.set(Limits { connections: 5, ..pace.limits() });
        assert_eq!((free(&pace), pace.most()), (5, 5));
    }

    #[test]
    fn the_dead_rest_longer_and_longer_until_they_answer() {
        let pace = pace(8);
        assert!(!pace.is_proven());
        let mut now = 0;
        for (number, rest) in [5, 10, 20, 40, 80, 160, 300, 300].into_iter().enumerate() {
            pace.note(lost(), at(now));
            pace.note(lost(), at(now + 1));
            let (paused, suspended) = (pace.paused(at(now)), pace.suspended(at(now + rest - 1)));
            now += rest;
            if number < 2 {
                assert_eq!((paused, suspended), (Some(at(now)), None));
            } else {
                let reply = suspended.unwrap();
                assert_eq!(reply.text, "not tried, and not for another 1 s: mx.test: no route");
                assert_eq!((reply.code, reply.enhanced.as_deref()), (None, Some("4.4.1")));
                assert_eq!(paused, None);
            }
            assert_eq!((pace.paused(at(now)), pace.suspended(at(now))), (None, None));
        }
        assert_eq!(free(&pace), 1);
        pace.note(lost(), at(now));
        pace.wake();
        assert_eq!(pace.suspended(at(now)), None);
        pace.note(Contact::Good, at(now));
        assert!(pace.is_proven());
        // From now on it has some credit.
        for _ in 1..PATIENCE {
            pace.note(lost(), at(now));
            assert_eq!(pace.paused(at(now)), None);
        }
        pace.note(lost(), at(now));
        assert_eq!(pace.paused(at(now)), Some(at(now + 5)));
        assert!(!pace.is_proven());
    }

    #[test]
    fn who_is_always_busy_rests_too() {
        let pace = pace(2);
        for _ in 0..BUSY {
            assert_eq!(pace.paused(NOW), None);
            pace.note(busy(), NOW);
        }
        assert!(pace.paused(NOW).is_some());
        assert!(pace.is_proven());
    }

    #[test]
    fn the_best_outcome_tells_about_the_server() {
        let reply = |code, enhanced: &str| Reply {
            code,
            enhanced: Some(enhanced.to_owned()),
            text: String::new(),
        };
        let of = |outcomes: Vec<Outcome>| {
            Contact::of(&Report {
                outcomes,
                peer: None,
                duration: Duration::ZERO,
                sessions: Vec::new(),
            })
        };
        let deferred = |code, enhanced| Outcome::Deferred(reply(code, enhanced));
        let delivered = Outcome::Delivered { reply: reply(Some(250), "2.0.0"), dsn: false };
        assert_eq!(of(vec![deferred(Some(451), "4.7.1"), delivered]), Contact::Good);
        let failed = Outcome::Failed(reply(Some(550), "5.1.1"));
        assert_eq!(of(vec![failed, deferred(Some(450), "4.2.1")]), Contact::Good);
        assert_eq!(of(vec![deferred(Some(450), "4.2.1")]), Contact::Refused);
        for code in [421, 451] {
            assert_eq!(
                of(vec![deferred(Some(code), "4.3.2")]),
                Contact::Busy(reply(Some(code), "4.3.2"))
            );
        }
        let unreachable = reply(None, "4.4.1");
        assert_eq!(of(vec![deferred(None, "4.4.1")]), Contact::Lost(unreachable));
        // A wrong certificate, or TLSA records that are not to be had, say nothing of that.
        for code in ["4.7.5", "4.4.3"] {
            assert_eq!(of(vec![deferred(None, code)]), Contact::None);
        }
        assert_eq!(of(vec![Outcome::Failed(reply(None, "5.7.30"))]), Contact::None);
        assert_eq!(of(vec![]), Contact::None);
    }
}
