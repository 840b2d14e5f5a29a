//! Telling other nodes that accounts have changed, and hearing it from them: one coalesced NOTIFY
//! every 100 ms, outside of any transaction. Readers that miss one look by themselves a little later.
//! Changes of suppression lists, of the queue and of who owns it are heard here too; those are told
//! in their transactions.

use std::{collections::BTreeSet, time::Duration};

use sqlx::postgres::{PgListener, PgNotification};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Result,
    id::{Account, Id},
    platform::Platform,
    queue, suppressions,
};

const CHANNEL: &str = "posthouse_accounts";
const GATHER: Duration = Duration::from_millis(100);
/// Postgres takes 8,000 octets; an id has 30.
const MOST: usize = 200;

/// Runs until shutdown, connecting anew when the database was away.
pub(super) async fn run(platform: Platform, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let ended = tokio::select! {
            ended = relay(&platform) => ended,
            () = shutdown.cancelled() => return,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "lost touch with other nodes for now");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn relay(platform: &Platform) -> Result<()> {
    let mut listener = PgListener::connect_with(platform.pool()).await?;
    listener.listen_all([CHANNEL, suppressions::CHANNEL, queue::CHANNEL, queue::NODES]).await?;
    platform.queue().suppressions.may_have_missed_some();
    let mut changes = platform.wake().subscribe_local();
    let mut minutes = tokio::time::interval(Duration::from_mins(1));
    let own = platform.queue().shards.node().to_string();
    loop {
        tokio::select! {
            heard = listener.try_recv() => match heard? {
                Some(heard) => hear(platform, &heard, &own),
                // The connection was lost, and is there again.
                None => platform.queue().suppressions.may_have_missed_some(),
            },
            // Should the connection be dead and nobody notice, no list is wrong for long.
            _ = minutes.tick() => platform.queue().suppressions.may_have_missed_some(),
            news = changes.recv() => {
                let mut accounts = BTreeSet::new();
                match news {
                    Ok(account) => drop(accounts.insert(account)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                }
                tokio::time::sleep(GATHER).await;
                while accounts.len() < MOST {
                    match changes.try_recv() {
                        Ok(account) => drop(accounts.insert(account)),
                        Err(TryRecvError::Lagged(_)) => {}
                        Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                    }
                }
                tell(platform, &own, &accounts).await?;
            }
        }
    }
}

async fn tell(platform: &Platform, own: &str, accounts: &BTreeSet<Id<Account>>) -> Result<()> {
    let mut payload = own.to_owned();
    for account in accounts {
        payload.push(' ');
        payload.push_str(&account.to_string());
    }
    let mut conn = platform.acquire().await?;
    sqlx::query!("SELECT pg_notify($1, $2)", CHANNEL, payload).fetch_one(&mut *conn).await?;
    Ok(())
}

fn hear(platform: &Platform, heard: &PgNotification, own: &str) {
    if heard.channel() == queue::CHANNEL {
        platform.queue().holds.kick();
        return platform.queue().wishes.kick();
    }
    if heard.channel() == queue::NODES {
        if heard.payload() != own {
            platform.queue().shards.look();
        }
        return;
    }
    if heard.channel() == suppressions::CHANNEL {
        return match heard.payload().parse() {
            Ok(account) => platform.queue().suppressions.changed(account),
            Err(_) => platform.queue().suppressions.may_have_missed_some(),
        };
    }
    let mut words = heard.payload().split(' ');
    if words.next() == Some(own) {
        return;
    }
    platform.wake().heard(words.filter_map(|word| word.parse().ok()));
}
