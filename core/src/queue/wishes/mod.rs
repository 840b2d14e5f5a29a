//! Changing what waits: cancel, fail, hold, release, retry, schedule.
//!
//! Any node takes the wish and writes it down; only the node that owns the delivery grants it, when
//! it has the delivery in its schedule and no attempt is in progress. So there is never a second
//! end, nor an event for what did not happen, and a wish outlives the owner. An attempt in progress
//! comes first: when it ends the delivery, the wish is forgotten. (docs/decisions/0015)

mod ask;
pub(crate) mod grant;
mod store;

use std::{fmt, time::Duration};

pub use ask::{change_delivery, change_message, schedule_faults, schedule_message};
pub(super) use store::{START, Selection, Wish, step, tell};
use tokio::sync::Notify;

/// Where wishes are told; without payload.
pub(crate) const CHANNEL: &str = "posthouse_queue";

/// What callers want of a delivery that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It ends without a report.
    Cancel,
    /// It ends as after a permanent failure, with a report.
    Fail,
    /// It waits for a release.
    Hold,
    /// It goes on when its time has come.
    Release,
    /// Its next attempt is due now.
    Retry,
}

impl Action {
    /// Name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Fail => "fail",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Retry => "retry",
        }
    }

    /// What the event says.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Cancel => "canceled by request",
            Self::Fail => "the delivery was given up by request",
            Self::Hold => "held by request",
            Self::Release => "released by request",
            Self::Retry => "due now by request",
        }
    }

    /// Whether a delivery of this status is as the action would leave it.
    fn is_done(self, status: &str) -> bool {
        match self {
            Self::Cancel => status == "canceled",
            Self::Fail => status == "failed",
            Self::Hold => status == "on_hold",
            Self::Release => matches!(status, "scheduled" | "queued" | "deferred"),
            Self::Retry => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says that there is something to look at.
#[derive(Debug, Default)]
pub(crate) struct Kick(Notify);

impl Kick {
    /// Makes the one who waits look.
    pub(crate) fn kick(&self) {
        self.0.notify_one();
    }

    /// Waits for a kick, but not longer than `patience`.
    pub(super) async fn kicked(&self, patience: Duration) {
        drop(tokio::time::timeout(patience, self.0.notified()).await);
    }
}
