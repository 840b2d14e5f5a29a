//! Inbound routes: what becomes of mail that comes in for an account, instead of going to its Inbox
//! ([0021](../../../docs/decisions/0021-inbound-routes.md)).
//!
//! The first route that matches decides, and those after it if it says so. What a route does is
//! written in the transaction that takes the mail. Whatever cannot be done, the mail is not lost:
//! then it is in the Inbox.

mod check;
mod create;
mod decide;
mod manage;
mod store;
mod trial;

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use posthouse_mail::address::Address;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub(crate) use check::require_webhook;
pub use create::{create, create_faults};
pub(crate) use decide::{Asked, Facts, Keep, Plan, ask_envelope, decide};
pub use manage::{delete, find, list, update, update_faults};
pub use trial::{Trial, TrialResult, trial, trial_faults};

use crate::{
    error::{Error, Result},
    id::{self, Account, Id, InboundRoute, Mailbox},
    platform::Platform,
};

const NOT_FOUND: Error = Error::NotFound("inbound route");

/// Most routes of one account.
pub const MAX_PER_ACCOUNT: usize = 100;
/// Most addresses that a route sends mail on to.
pub const MAX_FORWARDS: usize = 20;
/// Priority when the caller does not say.
pub const DEFAULT_PRIORITY: i32 = 100;

/// A route.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Route {
    /// Identifier.
    pub id: Id<InboundRoute>,
    /// Whose mail it is for.
    pub account_id: Id<Account>,
    /// For people.
    pub name: String,
    /// It is asked.
    pub enabled: bool,
    /// Lower ones are asked first; of equal ones the older.
    pub priority: i32,
    /// Those after it are asked too when it matches.
    pub go_on: bool,
    /// Which mail it is for.
    pub matches: Match,
    /// What becomes of that.
    pub actions: Vec<Action>,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "crate::time::millis")]
    pub updated_at: OffsetDateTime,
}

/// A route to be made.
#[derive(Debug, Clone)]
pub struct NewRoute {
    /// For people.
    pub name: String,
    /// It is asked.
    pub enabled: bool,
    /// Lower ones are asked first.
    pub priority: i32,
    /// Those after it are asked too when it matches.
    pub go_on: bool,
    /// Which mail it is for.
    pub matches: Match,
    /// What becomes of that.
    pub actions: Vec<Action>,
}

/// Changes to a route; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct RoutePatch {
    /// For people.
    pub name: Option<String>,
    /// It is asked.
    pub enabled: Option<bool>,
    /// Lower ones are asked first.
    pub priority: Option<i32>,
    /// Those after it are asked too when it matches.
    pub go_on: Option<bool>,
    /// Which mail it is for.
    pub matches: Option<Match>,
    /// What becomes of that.
    pub actions: Option<Vec<Action>>,
}

/// Which mail a route is for: what fits everything that is given. `*` in a pattern stands for any
/// characters; case does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Match {
    /// Pattern of the recipient in the envelope.
    pub recipient: Option<String>,
    /// Pattern of the reverse-path; `<>` is the empty one.
    pub sender: Option<String>,
    /// Pattern of an address in From.
    pub from: Option<String>,
    /// Header fields.
    pub headers: Vec<HeaderMatch>,
    /// Came through a mailing list.
    pub list: Option<bool>,
    /// Made by a program.
    pub automated: Option<bool>,
    /// A delivery report.
    pub dsn: Option<bool>,
}

/// A header field that a mail must have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderMatch {
    /// Its name.
    pub name: String,
    /// Stands in its value.
    pub contains: Option<String>,
    /// Pattern of its whole value.
    pub pattern: Option<String>,
}

/// What becomes of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Action {
    /// It goes into this mailbox.
    Mailbox {
        /// The mailbox.
        mailbox_id: Id<Mailbox>,
    },
    /// Of all webhook endpoints, only those that are named are told of it.
    Webhook {
        /// The endpoint.
        webhook_id: Id<id::Webhook>,
    },
    /// Itself is posted to this endpoint.
    HttpPost {
        /// The endpoint; one for messages.
        webhook_id: Id<id::Webhook>,
    },
    /// It is sent on.
    Forward {
        /// To whom.
        addresses: Vec<Address>,
    },
    /// The sending server is told that it is refused.
    Reject {
        /// Why.
        text: String,
    },
    /// It is in no mailbox; an event tells of it.
    Drop,
}

impl Match {
    /// Whether it asks for more than the envelope.
    const fn asks_content(&self) -> bool {
        self.from.is_some()
            || !self.headers.is_empty()
            || self.list.is_some()
            || self.automated.is_some()
            || self.dsn.is_some()
    }
}

/// The routes of accounts, kept for a second at most (decision 0.2).
pub(crate) struct Routes(Cache<Id<Account>, Arc<[Route]>>);

impl Default for Routes {
    fn default() -> Self {
        let kept = Duration::from_secs(1);
        Self(Cache::builder().max_capacity(10_000).time_to_live(kept).build())
    }
}

impl Routes {
    /// What is asked about mail for `account`, in order.
    pub(crate) async fn of(
        &self,
        platform: &Platform,
        account: Id<Account>,
    ) -> Result<Arc<[Route]>> {
        let load = async {
            let mut conn = platform.acquire().await?;
            let mut routes = store::list(&mut conn, account).await?;
            routes.retain(|route| route.enabled);
            Ok::<_, Error>(routes.into())
        };
        self.0.try_get_with(account, load).await.map_err(|error| match &*error {
            Error::Unavailable(source) => Error::unavailable(source.to_string()),
            other => Error::internal(other.to_string()),
        })
    }

    /// Forgets those of an account, after a change made by this node.
    async fn forget(&self, account: Id<Account>) {
        self.0.invalidate(&account).await;
    }
}

impl Action {
    /// The mailbox that it leads to.
    const fn mailbox(&self) -> Option<Id<Mailbox>> {
        match self {
            Self::Mailbox { mailbox_id } => Some(*mailbox_id),
            _ => None,
        }
    }

    /// The endpoint that it leads to.
    const fn webhook(&self) -> Option<Id<id::Webhook>> {
        match self {
            Self::Webhook { webhook_id } | Self::HttpPost { webhook_id } => Some(*webhook_id),
            _ => None,
        }
    }
}
