//! The outgoing queue: Postgres is the ledger, the memory of the owner node is the schedule.

pub(crate) mod complete;
pub(crate) mod deliver;
mod destination;
mod dsn;
mod entry;
mod list;
pub(crate) mod local;
pub(crate) mod scheduler;
pub(crate) mod shards;
pub(crate) mod store;
mod summary;
mod wishes;

pub use list::{DeliveryFilter, find_delivery, list_deliveries};
pub use summary::{QueueScope, QueueSummary, summary};

pub(crate) use complete::Completions;
pub(crate) use destination::Destinations;
pub(crate) use entry::{Entry, millis};
pub(crate) use scheduler::Scheduler;
pub(crate) use shards::Shards;
pub use wishes::{Action, change_delivery, change_message, schedule_faults, schedule_message};
pub(crate) use wishes::{CHANNEL, Wishes, grant};

use crate::suppressions::Changes;

/// The part of the queue that this node owns.
/// Nothing runs before [`crate::workers::start`].
#[derive(Default)]
pub struct Queue {
    pub(crate) shards: Shards,
    pub(crate) scheduler: Scheduler,
    pub(crate) destinations: Destinations,
    pub(crate) completions: Completions,
    /// Changes of suppression lists.
    pub(crate) suppressions: Changes,
    /// What callers want changed.
    pub(crate) wishes: Wishes,
}
