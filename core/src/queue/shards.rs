//! Which shards of the queue this node owns.
//!
//! Ownership is a row with an epoch that goes up with each change. A node lives as long as it renews
//! its lease; all times are the database's, so nodes need no common clock. Statements that write the
//! queue name owner and epoch: a node that was away too long changes nothing.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rand::RngCore as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Entry,
    store::{self, leases},
};
use crate::{
    error::{Error, Result},
    platform::Platform,
};

/// Number of shards, for ever.
pub(crate) const SHARDS: usize = 256;

const HEARTBEAT: Duration = Duration::from_secs(5);

/// A node that could not renew its lease for this long stops using it, well before others may.
const TRUSTED: Duration = Duration::from_secs(20);

/// A shard that this node owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub shard: u8,
    pub epoch: i64,
}

#[derive(Default)]
struct Owned {
    epochs: HashMap<u8, i64>,
    /// Shards that new messages go to.
    open: Vec<Lease>,
    /// Shards that are off the schedule and will be given back, as soon as nothing is in flight. Who
    /// gets them, maybe this node again, loads them.
    leaving: BTreeSet<u8>,
    renewed: Option<Instant>,
}

/// The shards of this node.
pub(crate) struct Shards {
    node: Uuid,
    owned: RwLock<Owned>,
    next: AtomicUsize,
    look: tokio::sync::Notify,
}

impl Default for Shards {
    fn default() -> Self {
        let mut bytes = [0_u8; 16];
        rand::rng().fill_bytes(&mut bytes);
        Self {
            node: uuid::Builder::from_random_bytes(bytes).into_uuid(),
            owned: RwLock::default(),
            next: AtomicUsize::new(0),
            look: tokio::sync::Notify::new(),
        }
    }
}

impl Shards {
    /// This process.
    pub(crate) const fn node(&self) -> Uuid {
        self.node
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Owned> {
        self.owned.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Owned> {
        self.owned.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A shard for the next message, one after the other.
    ///
    /// # Errors
    /// `Unavailable` before this node owns any, or when it has lost touch with the database.
    pub(crate) fn pick(&self) -> Result<Lease> {
        let owned = self.read();
        if owned.renewed.is_none_or(|at| at.elapsed() >= TRUSTED) {
            return Err(Error::unavailable("this node has no valid lease on the queue"));
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let lease = owned.open.get(turn % owned.open.len().max(1)).copied();
        lease.ok_or_else(|| Error::unavailable("this node owns no part of the queue yet"))
    }

    /// Waits until new messages can be taken, but not longer than `patience`.
    pub(crate) async fn wait_until_open(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.pick().is_err() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The epoch under which this node owns `shard`.
    pub(crate) fn epoch(&self, shard: u8) -> Option<i64> {
        self.read().epochs.get(&shard).copied()
    }

    /// The shards whose deliveries are all in the schedule, with their epochs.
    pub(crate) fn open_epochs(&self) -> HashMap<u8, i64> {
        self.read().open.iter().map(|lease| (lease.shard, lease.epoch)).collect()
    }

    /// Whether this node may still start attempts.
    pub(crate) fn is_trusted(&self) -> bool {
        self.read().renewed.is_some_and(|at| at.elapsed() < TRUSTED)
    }

    /// Something was fenced off, or another node wants or leaves shards: look at once.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    fn set_epochs(&self, leases: &[Lease]) {
        let mut owned = self.write();
        owned.epochs = leases.iter().map(|lease| (lease.shard, lease.epoch)).collect();
        owned.renewed = Some(Instant::now());
    }

    fn open(&self, leases: &[Lease]) {
        let mut owned = self.write();
        let open = leases.iter().filter(|lease| !owned.leaving.contains(&lease.shard));
        owned.open = open.copied().collect();
        owned.renewed = Some(Instant::now());
    }

    /// Closes what is more than `share`; gives back what was closed.
    fn close_surplus(&self, share: usize) -> Vec<u8> {
        let mut owned = self.write();
        let surplus: Vec<u8> = owned.open.iter().skip(share).map(|lease| lease.shard).collect();
        owned.open.truncate(share);
        owned.leaving.extend(&surplus);
        surplus
    }

    /// These shards are not this node's any more.
    fn gone(&self, shards: &[u8]) {
        let mut owned = self.write();
        owned.epochs.retain(|shard, _| !shards.contains(shard));
        owned.leaving.retain(|shard| !shards.contains(shard));
    }
}

/// Joins the nodes, then renews, adopts and gives back shards until shutdown.
pub(crate) async fn run(platform: Platform, name: String, shutdown: CancellationToken) {
    let shards = &platform.queue().shards;
    let mut joined = false;
    while !shutdown.is_cancelled() {
        let step = if joined { beat(&platform, &name).await } else { join(&platform, &name).await };
        let pause = match step {
            Ok(()) => {
                joined = true;
                HEARTBEAT
            }
            Err(error) => {
                tracing::warn!(%error, cause = ?std::error::Error::source(&error),
                    "the lease on the queue could not be renewed");
                Duration::from_secs(1)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shards.look.notified() => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// Gives all shards back, when everything is done.
pub(crate) async fn leave(platform: &Platform) -> Result<()> {
    let shards = &platform.queue().shards;
    let mut conn = platform.acquire().await?;
    leases::leave(&mut conn, shards.node()).await?;
    shards.set_epochs(&[]);
    shards.open(&[]);
    shards.write().leaving.clear();
    Ok(())
}

async fn join(platform: &Platform, name: &str) -> Result<()> {
    let node = platform.queue().shards.node();
    let mut tx = platform.begin("queue.join").await?;
    leases::join(tx.conn(), node, name, platform.now()).await?;
    tx.commit().await?;
    beat(platform, name).await
}

async fn beat(platform: &Platform, name: &str) -> Result<()> {
    let shards = &platform.queue().shards;
    let mut conn = platform.acquire().await?;
    let started = Instant::now();
    if !leases::renew(&mut conn, shards.node()).await? {
        tracing::warn!("this node was taken for dead; joining anew");
        forget(platform, &[]);
        leases::join(&mut conn, shards.node(), name, platform.now()).await?;
    }
    drop(conn);
    adopt(platform).await?;
    give_back(platform).await?;
    if started.elapsed() > TRUSTED {
        return Err(Error::unavailable("the database answers too slowly to trust the lease"));
    }
    Ok(())
}

/// Takes shards without a living owner and loads what waits in them.
async fn adopt(platform: &Platform) -> Result<()> {
    let shards = &platform.queue().shards;
    let mut conn = platform.acquire().await?;
    let bump = leases::adopt(&mut conn, shards.node()).await?;
    if !bump.adopted.is_empty() {
        wait_for_older(&mut conn, bump.transaction).await?;
    }
    let leases = leases::owned(&mut conn, shards.node()).await?;
    forget(platform, &leases);
    // Results can be written from now on; new messages come in only when all that waits is loaded,
    // so that nothing is in the schedule twice.
    shards.set_epochs(&leases);
    if !bump.adopted.is_empty() {
        let numbers: Vec<i16> = bump.adopted.iter().map(|shard| i16::from(*shard)).collect();
        let loaded = load(platform, &numbers).await?;
        tracing::info!(shards = numbers.len(), waiting = loaded, "took over shards of the queue");
    }
    shards.open(&leases);
    platform.queue().scheduler.kick();
    Ok(())
}

/// Drops from memory what belongs to shards that are not in `leases` any more.
fn forget(platform: &Platform, leases: &[Lease]) {
    let lost: Vec<u8> = {
        let owned = platform.queue().shards.read();
        let lost = owned
            .epochs
            .iter()
            .filter(|(shard, epoch)| !leases.contains(&Lease { shard: **shard, epoch: **epoch }));
        lost.map(|(shard, _)| *shard).collect()
    };
    if !lost.is_empty() {
        platform.queue().scheduler.remove_shards(&lost);
        platform.queue().shards.gone(&lost);
    }
}

/// A statement that began before the change of owner could still write: waits until none is left.
async fn wait_for_older(conn: &mut sqlx::PgConnection, transaction: i64) -> Result<()> {
    for _ in 0..200 {
        if leases::oldest_transaction(conn).await? > transaction {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tracing::warn!("a transaction stays open in the database; going on without waiting for it");
    Ok(())
}

/// Reads the rows of shards into the schedule, some thousand at a time.
async fn load(platform: &Platform, shards: &[i16]) -> Result<usize> {
    let mut loaded = 0;
    let mut conn = platform.acquire().await?;
    for shard in shards {
        let mut after = Uuid::nil();
        loop {
            let entries: Vec<Entry> = store::load_shard(&mut conn, *shard, after).await?;
            let Some(last) = entries.last() else { break };
            after = last.id.uuid();
            loaded += entries.len();
            platform.queue().scheduler.add_loaded(entries);
        }
    }
    Ok(loaded)
}

/// With other nodes alive, keeps only a fair share of the shards. What is given back is first taken
/// off the schedule, and attempts in progress are waited for.
async fn give_back(platform: &Platform) -> Result<()> {
    let shards = &platform.queue().shards;
    let mut conn = platform.acquire().await?;
    let nodes = usize::try_from(leases::living(&mut conn).await?).unwrap_or(1).max(1);
    platform.queue().scheduler.set_nodes(nodes);
    let share = SHARDS.div_ceil(nodes);
    if !shards.close_surplus(share).is_empty() {
        // Orders picked before may still be written; a second is far more than they take.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let leaving: Vec<u8> = shards.read().leaving.iter().copied().collect();
    if leaving.is_empty() {
        return Ok(());
    }
    let scheduler = &platform.queue().scheduler;
    scheduler.remove_shards(&leaving);
    let idle: Vec<u8> = leaving.into_iter().filter(|shard| !scheduler.in_flight(*shard)).collect();
    let numbers: Vec<i16> = idle.iter().map(|shard| i16::from(*shard)).collect();
    leases::release(&mut conn, shards.node(), &numbers).await?;
    shards.gone(&idle);
    tracing::info!(shards = idle.len(), nodes, "gave shards of the queue to other nodes");
    Ok(())
}
