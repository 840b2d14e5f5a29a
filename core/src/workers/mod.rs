//! What runs beside requests: writing, delivering, webhooks, housekeeping.

mod housekeeping;
mod partitions;
mod relay;
mod sorter;

use std::time::Duration;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use housekeeping::run_due as clean_up;

use crate::{
    domains, error::Result, mta_sts, platform::Platform, queue, routing, tls_reports, webhooks,
};

/// How long deliveries in progress may take to end at shutdown.
const GRACE: Duration = Duration::from_secs(20);

/// How long a start waits for a part of the queue; then the doors open without.
const JOIN_PATIENCE: Duration = Duration::from_secs(10);

/// What this node does.
#[derive(Debug, Clone)]
pub struct Roles {
    /// Takes messages and delivers them. A node whose doors take messages needs it: it writes into
    /// shards that it owns.
    pub delivery: bool,
    /// Calls webhooks.
    pub webhooks: bool,
    /// Partitions, retention, clean-up.
    pub jobs: bool,
}

impl Default for Roles {
    fn default() -> Self {
        Self { delivery: true, webhooks: true, jobs: true }
    }
}

/// Workers that run.
pub struct Workers {
    platform: Platform,
    /// Stops what makes new work: attempts, webhooks, jobs.
    making: CancellationToken,
    makers: TaskTracker,
    /// Stops what writes results.
    writing: CancellationToken,
    writers: TaskTracker,
    /// Stops renewing the lease.
    leasing: CancellationToken,
    leases: TaskTracker,
}

/// Starts the workers. `node` is the name of this node, unique among the nodes of the installation:
/// a node that starts under the name of another takes that one for dead.
///
/// # Errors
/// `Unavailable` when the database is away.
pub async fn start(platform: &Platform, node: &str, roles: &Roles) -> Result<Workers> {
    partitions::create(platform).await?;
    let workers = Workers {
        platform: platform.clone(),
        making: CancellationToken::new(),
        makers: TaskTracker::new(),
        writing: CancellationToken::new(),
        writers: TaskTracker::new(),
        leasing: CancellationToken::new(),
        leases: TaskTracker::new(),
    };
    let making = || workers.making.clone();
    workers.makers.spawn(relay::run(platform.clone(), making()));
    if roles.delivery {
        Box::pin(queue::pauses::load(platform)).await?;
        Box::pin(routing::load(platform)).await?;
        platform.writer().start(platform, &workers.writing, &workers.writers);
        platform.queue().completions.start(platform, &workers.writing, &workers.writers);
        workers.writers.spawn(tls_reports::write_on(platform.clone(), workers.writing.clone()));
        let lease = queue::shards::run(platform.clone(), node.to_owned(), workers.leasing.clone());
        workers.leases.spawn(lease);
        let deliver = queue::deliver::run(platform.clone(), making(), workers.makers.clone());
        workers.makers.spawn(deliver);
        workers.makers.spawn(queue::grant::run(platform.clone(), making()));
        workers.makers.spawn(queue::holds::apply::run(platform.clone(), making()));
    }
    if roles.webhooks {
        workers.makers.spawn(webhooks::run(platform.clone(), making()));
    }
    if roles.jobs {
        workers.makers.spawn(housekeeping::run(platform.clone(), making()));
        workers.makers.spawn(sorter::run(platform.clone(), making()));
        workers.makers.spawn(mta_sts::run(platform.clone(), making()));
        workers.makers.spawn(domains::checks::run(platform.clone(), making()));
        workers.makers.spawn(tls_reports::run(platform.clone(), making()));
    }
    if roles.delivery {
        // Else the first callers would be told to come back.
        platform.queue().shards.wait_until_open(JOIN_PATIENCE).await;
    }
    Ok(workers)
}

impl Workers {
    /// Stops in order: no new attempts, those in progress end, their results are written, the shards
    /// are given back. The doors must have stopped before.
    pub async fn stop(self) {
        self.making.cancel();
        self.makers.close();
        // An attempt that hangs is given up; its row is still there and it will be made again.
        if tokio::time::timeout(GRACE, self.makers.wait()).await.is_err() {
            tracing::warn!("some deliveries did not end in time; they will be repeated");
        }
        self.platform.transport().close().await;
        self.writing.cancel();
        self.writers.close();
        self.writers.wait().await;
        self.leasing.cancel();
        self.leases.close();
        self.leases.wait().await;
        if let Err(error) = queue::shards::leave(&self.platform).await {
            tracing::warn!(%error, "the shards could not be given back; they are taken over later");
        }
    }
}
