//! Who has which address, domain and key: look-ups of the hot path, kept for a second at most, so
//! that every node sees a change within a second (decision 0.2).

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use moka::future::Cache;
use posthouse_mail::{
    address::{Address, LocalPartRules},
    dkim::{Settings, Signer},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    domains,
    error::{Error, Result},
    id::{Account, ApiKey, Id, Session},
    platform::Platform,
    scope::Scopes,
    tokens::SessionInfo,
};

const KEPT: Duration = Duration::from_secs(1);
const ENTRIES: u64 = 10_000;

/// What the hot path knows of a domain.
pub(crate) struct DomainInfo {
    pub id: Uuid,
    pub disabled: bool,
    pub bounce_tokens: bool,
    pub rules: LocalPartRules,
    /// Active DKIM keys.
    pub signers: Vec<Signer>,
    /// How they sign.
    pub signing: Settings,
}

/// Where a local address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Local {
    pub account: Id<Account>,
}

/// What the hot path knows of an API key.
#[derive(Debug)]
pub(crate) struct KeyInfo {
    pub id: Id<ApiKey>,
    pub account: Id<Account>,
    pub scopes: Scopes,
    pub allowed_cidrs: Vec<String>,
    pub allowed_senders: Vec<String>,
    pub sandbox: bool,
    pub expires_at: Option<OffsetDateTime>,
    pub login_disabled: Option<String>,
    pub last_used_at: Option<OffsetDateTime>,
    pub requests_per_minute: Option<i32>,
    /// Of this key alone.
    pub key_requests_per_minute: Option<i32>,
    pub key_recipients_per_day: Option<i64>,
    /// Its use has been noted since it was looked up.
    pub noted: AtomicBool,
}

/// Caches in front of the tables.
pub(crate) struct Directory {
    domains: Cache<Arc<str>, Option<Arc<DomainInfo>>>,
    addresses: Cache<(Uuid, String), Option<Local>>,
    keys: Cache<[u8; 32], Option<Arc<KeyInfo>>>,
    sessions: Cache<Id<Session>, Option<Arc<SessionInfo>>>,
    postmaster: Cache<(), Option<Local>>,
}

fn cache<K: std::hash::Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static>()
-> Cache<K, V> {
    Cache::builder().max_capacity(ENTRIES).time_to_live(KEPT).build()
}

fn shared(error: &Arc<Error>) -> Error {
    match &**error {
        Error::Unavailable(source) => Error::unavailable(source.to_string()),
        other => Error::internal(other.to_string()),
    }
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self {
            domains: cache(),
            addresses: cache(),
            keys: cache(),
            sessions: cache(),
            postmaster: cache(),
        }
    }

    /// Forgets everything, after a change made by this node.
    pub(crate) fn forget(&self) {
        self.domains.invalidate_all();
        self.addresses.invalidate_all();
        self.keys.invalidate_all();
        self.sessions.invalidate_all();
        self.postmaster.invalidate_all();
    }

    /// A domain that is served here, by its name in A-label form.
    pub(crate) async fn domain(
        &self,
        platform: &Platform,
        name: &str,
    ) -> Result<Option<Arc<DomainInfo>>> {
        let load = async {
            let mut conn = platform.acquire().await?;
            domains::store::load_info(&mut conn, platform.vault(), name).await
        };
        self.domains.try_get_with(Arc::from(name), load).await.map_err(|error| shared(&error))
    }

    /// The account that an address leads to (I1 to I3): exact, then catch-all, then postmaster.
    pub(crate) async fn resolve(
        &self,
        platform: &Platform,
        address: &Address,
    ) -> Result<Option<Local>> {
        let is_postmaster = address.local().eq_ignore_ascii_case("postmaster");
        if is_postmaster && address.domain() == platform.config().hostname {
            return self.postmaster(platform).await;
        }
        let Some(domain) = self.domain(platform, address.domain()).await? else {
            return Ok(None);
        };
        let local = domain.rules.canonical(address.local());
        for candidate in [local, String::new()] {
            if let Some(found) = self.exact(platform, domain.id, candidate).await? {
                return Ok(Some(found));
            }
        }
        if is_postmaster { self.postmaster(platform).await } else { Ok(None) }
    }

    /// The account that has exactly this canonical local part; empty for the catch-all.
    pub(crate) async fn exact(
        &self,
        platform: &Platform,
        domain: Uuid,
        local: String,
    ) -> Result<Option<Local>> {
        let key = (domain, local.clone());
        let load = async {
            let mut conn = platform.acquire().await?;
            let account = sqlx::query_scalar!(
                "SELECT account_id FROM addresses WHERE domain_id = $1 AND local_part = $2",
                domain,
                local
            )
            .fetch_optional(&mut *conn)
            .await?;
            Ok::<_, Error>(account.map(|account| Local { account: account.into() }))
        };
        self.addresses.try_get_with(key, load).await.map_err(|error| shared(&error))
    }

    /// The account that gets mail for postmaster.
    pub(crate) async fn postmaster(&self, platform: &Platform) -> Result<Option<Local>> {
        let load = async {
            let mut conn = platform.acquire().await?;
            let account = sqlx::query_scalar!(
                r#"SELECT a.account_id FROM accounts AS a
                 LEFT JOIN settings AS s ON s.name = 'postmaster_account'
                 WHERE a.account_id::text = s.value #>> '{}' OR (s.name IS NULL AND a.role = 'admin')
                 ORDER BY a.account_id LIMIT 1"#
            )
            .fetch_optional(&mut *conn)
            .await?;
            Ok::<_, Error>(account.map(|account| Local { account: account.into() }))
        };
        self.postmaster.try_get_with((), load).await.map_err(|error| shared(&error))
    }

    /// The API key with this SHA-256.
    pub(crate) async fn key(
        &self,
        platform: &Platform,
        hash: [u8; 32],
    ) -> Result<Option<Arc<KeyInfo>>> {
        let load = async {
            let mut conn = platform.acquire().await?;
            crate::api_keys::store::load_info(&mut conn, &hash).await
        };
        self.keys.try_get_with(hash, load).await.map_err(|error| shared(&error))
    }

    /// The session with this id.
    pub(crate) async fn session(
        &self,
        platform: &Platform,
        id: Id<Session>,
    ) -> Result<Option<Arc<SessionInfo>>> {
        let load = async {
            let mut conn = platform.acquire().await?;
            crate::tokens::store::load_info(&mut conn, id).await
        };
        self.sessions.try_get_with(id, load).await.map_err(|error| shared(&error))
    }

    /// Forgets sessions, after this node has revoked one.
    pub(crate) fn forget_sessions(&self) {
        self.sessions.invalidate_all();
    }
}
