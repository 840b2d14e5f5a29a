//! Who asks, and the transaction in which things change.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;

use crate::{
    error::{Error, Result},
    events::{self, NewEvent},
    id::{Account, ApiKey, AppPassword, Id, Request, Session},
    idempotency::IdempotencyKey,
    platform::Platform,
    scope::{Scope, Scopes},
    version::Versioned,
};

/// Through which door a caller came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The JSON API.
    Http,
    /// SMTP submission.
    Submission,
    /// The server itself.
    System,
}

impl Door {
    /// Name in the database and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Submission => "smtp",
            Self::System => "system",
        }
    }
}

/// What a caller showed to get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// An API key.
    ApiKey(Id<ApiKey>),
    /// Address and password of the account.
    Password,
    /// Address and a password for one device.
    AppPassword(Id<AppPassword>),
    /// An access token of a session.
    Session(Id<Session>),
    /// A token of the OpenID provider of the configuration.
    Oidc,
    /// Nothing: the server itself acts.
    System,
}

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Has mail.
    User,
    /// Also runs the server.
    Admin,
}

impl Role {
    /// Name in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "user" => Some(Self::User),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// Somebody who has been let in.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The account whose things are seen.
    pub account: Id<Account>,
    /// The account whose credential it is: another one when an administrator acts for somebody.
    pub owner: Id<Account>,
    /// How the caller got in.
    pub credential: Credential,
    /// What the caller may do.
    pub scopes: Scopes,
    /// Where the caller came in.
    pub door: Door,
    /// Where the caller is.
    pub remote_address: Option<IpAddr>,
    /// Networks that the key may be used from; empty: all.
    pub allowed_cidrs: Vec<String>,
    /// Addresses and `@domains` that the key may send as; empty: all of the account's.
    pub allowed_senders: Vec<String>,
    /// End of the credential's life.
    pub expires_at: Option<OffsetDateTime>,
    /// Most requests of the account in a minute.
    pub requests_per_minute: Option<i32>,
    /// Most requests with the key in a minute.
    pub key_requests_per_minute: Option<i32>,
    /// Most recipients of messages with the key in 24 hours.
    pub key_recipients_per_day: Option<i64>,
    /// Messages of this caller go to the sandbox, never out.
    pub sandbox: bool,
}

impl Actor {
    /// The server itself, acting for `account`.
    pub fn system(account: Id<Account>) -> Self {
        Self {
            account,
            owner: account,
            credential: Credential::System,
            scopes: Scopes::all(),
            door: Door::System,
            remote_address: None,
            allowed_cidrs: Vec::new(),
            allowed_senders: Vec::new(),
            expires_at: None,
            requests_per_minute: None,
            key_requests_per_minute: None,
            key_recipients_per_day: None,
            sandbox: false,
        }
    }

    /// The API key, if what is sent with it is counted.
    pub(crate) const fn counted_key(&self) -> Option<Id<ApiKey>> {
        match (self.credential, self.key_recipients_per_day) {
            (Credential::ApiKey(key), Some(_)) => Some(key),
            _ => None,
        }
    }
}

/// The context of an operation. It cannot be made without an actor, so no operation can forget to
/// ask who the caller is.
#[derive(Clone)]
pub struct Cx {
    platform: Platform,
    actor: Actor,
    request_id: Id<Request>,
    idempotency: Option<IdempotencyKey>,
    /// Versions of which one is to be changed; none: whatever is there.
    if_match: Option<Vec<String>>,
}

impl Cx {
    /// A context for one request of `actor`.
    pub fn new(platform: Platform, actor: Actor, request_id: Id<Request>) -> Self {
        Self { platform, actor, request_id, idempotency: None, if_match: None }
    }

    /// The same, with the caller's idempotency key.
    #[must_use]
    pub fn with_idempotency(mut self, key: Option<IdempotencyKey>) -> Self {
        self.idempotency = key;
        self
    }

    /// The same, changing only what has one of these versions; `*` is any.
    #[must_use]
    pub fn with_if_match(mut self, versions: Option<Vec<String>>) -> Self {
        self.if_match = versions;
        self
    }

    /// Whether changes depend on the version of what is there.
    pub(crate) const fn is_conditional(&self) -> bool {
        self.if_match.is_some()
    }

    /// Refuses to change what has another version than the caller knows.
    pub(crate) fn require_version(&self, found: &impl Versioned) -> Result<()> {
        let Some(versions) = &self.if_match else { return Ok(()) };
        let version = found.version();
        let known = versions.iter().any(|known| *known == version || known == "*");
        if known { Ok(()) } else { Err(Error::PreconditionFailed) }
    }

    /// The same administrator, seeing the things of another account. The use is audited.
    ///
    /// # Errors
    /// `Forbidden` without `admin:write`, `NotFound`.
    pub async fn acting_for(&self, account: Id<Account>) -> Result<Self> {
        self.require(Scope::AdminWrite)?;
        let mut tx = self.begin("cx.acting_for").await?;
        crate::accounts::store::find(tx.conn(), account)
            .await?
            .ok_or(Error::NotFound("account"))?;
        crate::audit::record(&mut tx, self, "act_for_account", Some(account), "").await?;
        tx.commit().await?;
        let mut other = self.clone();
        other.actor.account = account;
        Ok(other)
    }

    /// Everything the operation works with.
    pub const fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Who asks.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The account whose things are seen.
    pub const fn account(&self) -> Id<Account> {
        self.actor.account
    }

    /// Whether an administrator works with the things of another account.
    pub fn acts_for_another(&self) -> bool {
        self.actor.owner != self.actor.account
    }

    /// The request that is worked on.
    pub const fn request_id(&self) -> Id<Request> {
        self.request_id
    }

    /// The caller's idempotency key.
    pub const fn idempotency(&self) -> Option<&IdempotencyKey> {
        self.idempotency.as_ref()
    }

    /// The time.
    pub fn now(&self) -> OffsetDateTime {
        self.platform.now()
    }

    /// Refuses callers without `scope`.
    pub const fn require(&self, scope: Scope) -> Result<()> {
        if self.actor.scopes.has(scope) { Ok(()) } else { Err(Error::Forbidden(scope.as_str())) }
    }

    /// Begins the transaction of an operation; `name` is for traces.
    pub async fn begin(&self, name: &'static str) -> Result<Tx> {
        self.platform.begin(name).await
    }
}

/// A transaction and the events that become true with it.
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    platform: Platform,
    events: Vec<NewEvent>,
    modseqs: HashMap<Id<Account>, i64>,
    /// Accounts whose events are written.
    changed: Vec<Id<Account>>,
}

/// Octets of events that a transaction keeps until its end.
const MANY_EVENTS: usize = 4 * 1024 * 1024;

impl Tx {
    pub(crate) fn new(inner: Transaction<'static, Postgres>, platform: Platform) -> Self {
        Self { inner, platform, events: Vec::new(), modseqs: HashMap::new(), changed: Vec::new() }
    }

    /// The modseq of this transaction's changes to mail of `account`: taken once, under a lock that
    /// makes the order of modseqs the order of commits. Accounts are to be locked in the order of
    /// their ids, and before any mailbox.
    pub(crate) async fn modseq(&mut self, account: Id<Account>) -> Result<i64> {
        if let Some(modseq) = self.modseqs.get(&account) {
            return Ok(*modseq);
        }
        let modseq = crate::mails::store::next_modseq(&mut self.inner, account).await?;
        self.modseqs.insert(account, modseq);
        Ok(modseq)
    }

    /// The connection, for functions in `store`.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// The time.
    pub(crate) fn now(&self) -> OffsetDateTime {
        self.platform.now()
    }

    /// Writes `event` into the log when this transaction commits.
    pub fn emit(&mut self, event: NewEvent) {
        self.events.push(event);
    }

    /// Writes the events so far if they are many: they carry the texts of mail, and are not to pile
    /// up in memory. Locks the accounts that they belong to, so only for a transaction that goes
    /// through accounts in the order of their ids.
    pub(crate) async fn write_many_events(&mut self) -> Result<()> {
        let held: usize = self.events.iter().map(NewEvent::size).sum();
        if held < MANY_EVENTS { Ok(()) } else { self.write_events().await }
    }

    async fn write_events(&mut self) -> Result<()> {
        let events = std::mem::take(&mut self.events);
        self.changed.extend(events::store::append(&mut self.inner, &events).await?);
        Ok(())
    }

    /// Commits, and wakes the readers of the log and of changes to mail.
    pub async fn commit(mut self) -> Result<()> {
        self.write_events().await?;
        self.inner.commit().await?;
        let mut changed: HashSet<Id<Account>> = self.changed.into_iter().collect();
        changed.extend(self.modseqs.into_keys());
        self.platform.wake().accounts_changed(changed);
        Ok(())
    }
}
