//! Calls endpoints: one task each, so that one that hangs delays nobody else.
//!
//! Several nodes share the endpoints by leases. A lease is a row whose times are the database's; what
//! an endpoint's task writes names the owner, so a node that was away too long changes nothing.

mod call;
mod endpoint;
mod filter;
mod jobs;
mod outcome;
mod position;
mod replaying;
mod settings;
mod store;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use rand::RngCore as _;
use time::OffsetDateTime;
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::Result,
    http::{Client, Lookup},
    id::{Account, Id, Webhook},
    platform::Platform,
};
use endpoint::Endpoint;
use settings::Settings;

/// How often leases and changes by other nodes are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often leases are renewed; they last three times as long.
const RENEW: Duration = Duration::from_secs(5);

/// Most connections to the database that all endpoints use at a time: doors need them too.
const QUERIES: usize = 4;

/// Calls endpoints until shutdown; then waits a little for requests in progress.
pub(crate) async fn run(platform: Platform, shutdown: CancellationToken) {
    let asking = platform.clone();
    let lookup: Lookup = Arc::new(move |host| {
        let platform = asking.clone();
        Box::pin(async move { platform.resolver().addresses(&host).await })
    });
    let client = match Client::new(&platform.webhooks().policy, &lookup) {
        Ok(client) => Arc::new(client),
        Err(error) => {
            tracing::error!(?error, "the HTTP client for webhooks could not be made");
            return;
        }
    };
    let mut bytes = [0_u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    let node = uuid::Builder::from_random_bytes(bytes).into_uuid();
    let dispatcher = Dispatcher {
        platform,
        client,
        node,
        gate: Arc::new(Semaphore::new(QUERIES)),
        served: HashMap::new(),
        by_account: HashMap::new(),
        unusable: HashSet::new(),
        tasks: JoinSet::new(),
    };
    dispatcher.run(shutdown).await;
}

/// An endpoint that this node serves.
struct Served {
    account: Id<Account>,
    updated_at: OffsetDateTime,
    newest_seq: i64,
    nudges: i64,
    settings: watch::Sender<Arc<Settings>>,
    wake: Arc<Notify>,
    nudge: Arc<Notify>,
    stop: CancellationToken,
    task: AbortHandle,
}

struct Dispatcher {
    platform: Platform,
    client: Arc<Client>,
    node: Uuid,
    gate: Arc<Semaphore>,
    served: HashMap<Id<Webhook>, Served>,
    by_account: HashMap<Id<Account>, Vec<Arc<Notify>>>,
    /// Endpoints whose row cannot be used, by the time of their last change: told once.
    unusable: HashSet<(Id<Webhook>, OffsetDateTime)>,
    tasks: JoinSet<()>,
}

impl Dispatcher {
    async fn run(mut self, shutdown: CancellationToken) {
        let platform = self.platform.clone();
        let mut changes = platform.wake().subscribe();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut renew = tokio::time::interval(RENEW);
        renew.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let step = tokio::select! {
                () = shutdown.cancelled() => break,
                _ = renew.tick() => self.renew().await,
                _ = look.tick() => self.look().await,
                () = platform.webhooks().changed.notified() => self.look().await,
                news = changes.recv() => {
                    self.wake(news.ok());
                    Ok(())
                }
                Some(_) = self.tasks.join_next() => {
                    self.forget_ended();
                    Ok(())
                }
            };
            if let Err(error) = step {
                tracing::warn!(?error, "webhook endpoints could not be looked at; trying again");
            }
        }
        for served in self.served.values() {
            served.stop.cancel();
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// Wakes the endpoints of an account, or all when something was missed.
    fn wake(&self, account: Option<Id<Account>>) {
        match account {
            Some(account) => {
                self.by_account
                    .get(&account)
                    .into_iter()
                    .flatten()
                    .for_each(|one| one.notify_one());
            }
            None => self.served.values().for_each(|served| served.wake.notify_one()),
        }
    }

    fn forget_ended(&mut self) {
        self.served.retain(|_, served| !served.task.is_finished());
        self.index();
    }

    fn index(&mut self) {
        self.by_account.clear();
        for served in self.served.values() {
            self.by_account.entry(served.account).or_default().push(Arc::clone(&served.wake));
        }
    }

    async fn renew(&self) -> Result<()> {
        let mut conn = self.platform.acquire().await?;
        store::renew(&mut conn, self.node).await
    }

    /// Takes endpoints that nobody serves and follows changes of those that this node serves.
    async fn look(&mut self) -> Result<()> {
        let mut conn = self.platform.acquire().await?;
        store::acquire(&mut conn, self.node).await?;
        let rows = store::owned(&mut conn, self.node).await?;
        drop(conn);
        let owned: HashSet<Id<Webhook>> = rows.iter().map(|row| row.id).collect();
        for (id, served) in &self.served {
            if !owned.contains(id) {
                // Deleted, or another node has it: what is in progress is not ours any more.
                served.task.abort();
            }
        }
        for row in rows {
            self.follow(row).await?;
        }
        self.index();
        Ok(())
    }

    async fn follow(&mut self, row: store::Owned) -> Result<()> {
        if let Some(served) = self.served.get_mut(&row.id) {
            if !row.enabled {
                served.stop.cancel();
            } else if served.updated_at != row.updated_at
                && let Some(settings) = Settings::load(&self.platform, row.id).await?
            {
                served.updated_at = row.updated_at;
                served.settings.send_replace(Arc::new(settings));
            }
            if served.newest_seq != row.newest_seq {
                served.newest_seq = row.newest_seq;
                served.wake.notify_one();
            }
            if served.nudges != row.nudges {
                served.nudges = row.nudges;
                served.nudge.notify_one();
            }
            return Ok(());
        }
        if !row.enabled {
            let mut conn = self.platform.acquire().await?;
            return store::release(&mut conn, row.id, self.node).await;
        }
        if self.unusable.contains(&(row.id, row.updated_at)) {
            return Ok(());
        }
        match Settings::load(&self.platform, row.id).await {
            Ok(Some(settings)) => self.serve(&row, settings),
            Ok(None) => {}
            Err(error @ crate::Error::Unavailable(_)) => return Err(error),
            Err(error) => {
                tracing::error!(webhook = %row.id, ?error, "a webhook endpoint cannot be used");
                self.unusable.insert((row.id, row.updated_at));
            }
        }
        Ok(())
    }

    fn serve(&mut self, row: &store::Owned, settings: Settings) {
        let (sender, receiver) = watch::channel(Arc::new(settings));
        let (wake, nudge) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let stop = CancellationToken::new();
        let endpoint = Endpoint {
            platform: self.platform.clone(),
            client: Arc::clone(&self.client),
            node: self.node,
            gate: Arc::clone(&self.gate),
            id: row.id,
            account: row.account,
            settings: receiver,
            wake: Arc::clone(&wake),
            nudge: Arc::clone(&nudge),
            stop: stop.clone(),
        };
        let served = Served {
            account: row.account,
            updated_at: row.updated_at,
            newest_seq: row.newest_seq,
            nudges: row.nudges,
            settings: sender,
            wake,
            nudge,
            stop,
            task: self.tasks.spawn(endpoint::run(endpoint)),
        };
        self.served.insert(row.id, served);
    }
}
