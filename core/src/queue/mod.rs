//! The outgoing queue: Postgres is the ledger, the memory of the owner node is the schedule.

mod bulk;
pub(crate) mod complete;
pub(crate) mod deliver;
mod destination;
mod destinations;
mod dsn;
mod entry;
pub(crate) mod holds;
pub(crate) mod lane_rules;
mod list;
pub(crate) mod local;
mod news;
pub(crate) mod pauses;
mod preview;
pub(crate) mod scheduler;
pub(crate) mod shards;
pub(crate) mod store;
mod summary;
mod ways;
pub(crate) mod wishes;

pub use bulk::{Bulk, BulkAction, BulkDone, BulkFilter, bulk_faults, change_many};
pub use destinations::{DestinationView, list_destinations};
pub use holds::{
    Hold, HoldMatch, HoldPatch, NewHold, change_hold, create_hold, delete_hold, find_hold,
    hold_change_faults, hold_faults, list_holds,
};
pub use lane_rules::{LaneRule, LaneRuleList, lane_rule_faults, lane_rules, set_lane_rules};
pub use list::{DeliveryFilter, find_delivery, list_deliveries};
pub use pauses::{QueueState, set_paused};
pub use preview::{Preview, PreviewOf, Problem, Via, preview};
pub(crate) use summary::Counts;
pub use summary::{QueueScope, QueueSummary, summary};

pub(crate) use complete::Completions;
pub(crate) use destination::Destinations;
pub(crate) use entry::{Entry, millis};
pub(crate) use news::held;
pub(crate) use scheduler::Scheduler;
pub(crate) use shards::Shards;
pub(crate) use store::leases::CHANNEL as NODES;
pub use wishes::{Action, change_delivery, change_message, schedule_faults, schedule_message};
pub(crate) use wishes::{CHANNEL, Kick, grant};

use crate::{routing::Routing, suppressions::Changes};

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
    pub(crate) wishes: Kick,
    /// New rules.
    pub(crate) holds: Kick,
    /// Totals of a moment ago.
    pub(crate) counts: Counts,
    /// Transports and routes.
    pub(crate) routing: Routing,
    /// How fast mail exchangers are used.
    pub(crate) lane_rules: lane_rules::Rules,
    /// Held while pauses are read.
    pub(crate) pausing: tokio::sync::Mutex<()>,
}
