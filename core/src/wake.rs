//! Wake-ups for readers of the event log. They carry no data and may be lost: every reader also
//! looks by itself from time to time.

use tokio::sync::broadcast;

use crate::id::{Account, Id};

/// Tells readers in this process that accounts have changed.
#[derive(Debug)]
pub struct Wake {
    all: broadcast::Sender<Id<Account>>,
    /// Only what this node itself has changed: to be told to others.
    local: broadcast::Sender<Id<Account>>,
}

impl Default for Wake {
    fn default() -> Self {
        Self { all: broadcast::Sender::new(1024), local: broadcast::Sender::new(4096) }
    }
}

impl Wake {
    /// Says that this node has written something new for these accounts.
    pub(crate) fn accounts_changed(&self, accounts: impl IntoIterator<Item = Id<Account>>) {
        for account in accounts {
            // An error only says that nobody listens.
            drop(self.all.send(account));
            drop(self.local.send(account));
        }
    }

    /// Says that another node has.
    pub(crate) fn heard(&self, accounts: impl IntoIterator<Item = Id<Account>>) {
        for account in accounts {
            drop(self.all.send(account));
        }
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Id<Account>> {
        self.all.subscribe()
    }

    pub(crate) fn subscribe_local(&self) -> broadcast::Receiver<Id<Account>> {
        self.local.subscribe()
    }

    /// Waits until `account` may have changed, or something was missed.
    pub async fn changed(receiver: &mut broadcast::Receiver<Id<Account>>, account: Id<Account>) {
        loop {
            match receiver.recv().await {
                Ok(changed) if changed != account => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The sender lives as long as the platform; never spin if it does not.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
