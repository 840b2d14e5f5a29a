//! Everything an operation works with: the database, the ports, and what is shared in memory.

use std::sync::Arc;

use sqlx::{PgPool, Postgres, SqlSafeStr, pool::PoolConnection};
use time::OffsetDateTime;

use crate::{
    accounts::Directory,
    blobs::Blobs,
    bounces::TokenKey,
    config::Config,
    cx::Tx,
    error::{Error, Result},
    idempotency::InFlight,
    inbound::Refusals,
    inbound_routes::Routes,
    messages::writer::Writer,
    mta_sts::MtaSts,
    oidc::Provider,
    page::CursorKey,
    ports::{Clock, Resolver, Transport},
    queue::Queue,
    room::Room,
    spool::Budgets,
    tls_reports::TlsReports,
    tokens::SigningKeys,
    trace::TraceKey,
    vault::Vault,
    wake::Wake,
    webhooks::Webhooks,
};

/// What a platform is made from.
pub struct Parts {
    /// Settings.
    pub config: Config,
    /// Connections to Postgres.
    pub pool: PgPool,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// DNS.
    pub resolver: Arc<dyn Resolver>,
    /// The SMTP client.
    pub transport: Arc<dyn Transport>,
    /// Seals secrets.
    pub vault: Vault,
}

/// The core, as the doors see it. Cheap to clone.
#[derive(Clone)]
pub struct Platform(Arc<Inner>);

struct Inner {
    config: Config,
    pool: PgPool,
    clock: Arc<dyn Clock>,
    resolver: Arc<dyn Resolver>,
    transport: Arc<dyn Transport>,
    vault: Vault,
    cursor_key: CursorKey,
    trace_key: TraceKey,
    token_key: TokenKey,
    blobs: Blobs,
    wake: Wake,
    in_flight: Arc<InFlight>,
    directory: Directory,
    queue: Queue,
    writer: Writer,
    webhooks: Webhooks,
    budgets: Budgets,
    signing_keys: SigningKeys,
    inbound_routes: Routes,
    refusals: Refusals,
    provider: Option<Provider>,
    mta_sts: MtaSts,
    tls_reports: TlsReports,
}

impl Platform {
    /// Puts the parts together. Nothing runs yet: see [`crate::workers::start`].
    pub fn new(parts: Parts) -> Result<Self> {
        let cursor_key = CursorKey::new(&parts.vault)?;
        let trace_key = TraceKey::new(&parts.vault)?;
        let token_key = TokenKey::new(&parts.vault)?;
        let webhooks = Webhooks::new(&parts.config)?;
        let budgets = Budgets::new(&parts.config)?;
        let provider = Provider::new(&parts.config, &parts.resolver)?;
        let mta_sts = MtaSts::new(&parts.config, &parts.resolver)?;
        let tls_reports = TlsReports::new(&parts.config, &parts.resolver)?;
        let blobs = Blobs::new(&parts.config, budgets.disk.clone())?;
        Ok(Self(Arc::new(Inner {
            config: parts.config,
            pool: parts.pool,
            clock: parts.clock,
            resolver: parts.resolver,
            transport: parts.transport,
            vault: parts.vault,
            cursor_key,
            trace_key,
            token_key,
            blobs,
            wake: Wake::default(),
            in_flight: Arc::default(),
            directory: Directory::new(),
            queue: Queue::default(),
            writer: Writer::default(),
            webhooks,
            budgets,
            signing_keys: SigningKeys::new(),
            inbound_routes: Routes::default(),
            refusals: Refusals::default(),
            provider,
            mta_sts,
            tls_reports,
        })))
    }

    /// Settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The database.
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// The time.
    pub fn now(&self) -> OffsetDateTime {
        self.0.clock.now()
    }

    /// DNS.
    pub fn resolver(&self) -> &dyn Resolver {
        &*self.0.resolver
    }

    /// The SMTP client.
    pub fn transport(&self) -> &dyn Transport {
        &*self.0.transport
    }

    /// Secrets.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// Message bytes.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// Tells readers of the event log that there is more.
    pub fn wake(&self) -> &Wake {
        &self.0.wake
    }

    /// The outgoing queue of this node.
    pub fn queue(&self) -> &Queue {
        &self.0.queue
    }

    /// Deliveries of webhooks.
    pub fn webhooks(&self) -> &Webhooks {
        &self.0.webhooks
    }

    /// Memory for work on large contents.
    pub fn memory(&self) -> &Room {
        &self.0.budgets.memory
    }

    /// Room in the spool.
    pub(crate) fn disk(&self) -> &Room {
        &self.0.budgets.disk
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.0.writer
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.0.directory
    }

    pub(crate) fn signing_keys(&self) -> &SigningKeys {
        &self.0.signing_keys
    }

    /// The OpenID provider, if there is one.
    pub(crate) fn provider(&self) -> Option<&Provider> {
        self.0.provider.as_ref()
    }

    pub(crate) fn mta_sts(&self) -> &MtaSts {
        &self.0.mta_sts
    }

    pub(crate) fn tls_reports(&self) -> &TlsReports {
        &self.0.tls_reports
    }

    pub(crate) fn cursor_key(&self) -> &CursorKey {
        &self.0.cursor_key
    }

    pub(crate) fn trace_key(&self) -> &TraceKey {
        &self.0.trace_key
    }

    pub(crate) fn token_key(&self) -> &TokenKey {
        &self.0.token_key
    }

    pub(crate) fn inbound_routes(&self) -> &Routes {
        &self.0.inbound_routes
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    pub(crate) fn in_flight(&self) -> &Arc<InFlight> {
        &self.0.in_flight
    }

    /// A connection for reading.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        Ok(self.0.pool.acquire().await?)
    }

    /// Begins a transaction; `name` is for traces.
    pub(crate) async fn begin(&self, name: &'static str) -> Result<Tx> {
        tracing::trace!(name, "begin");
        Ok(Tx::new(self.0.pool.begin().await?, self.clone()))
    }

    /// The same with a statement that begins it: what comes after BEGIN costs no round trip.
    pub(crate) async fn begin_with(
        &self,
        name: &'static str,
        statement: impl SqlSafeStr,
    ) -> Result<Tx> {
        tracing::trace!(name, "begin");
        Ok(Tx::new(self.0.pool.begin_with(statement).await?, self.clone()))
    }

    /// For lists with filters: statements are planned for their values, so that what is not asked for
    /// keeps none from using an index.
    pub(crate) async fn begin_list(&self, name: &'static str) -> Result<Tx> {
        self.begin_with(name, "BEGIN READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan")
            .await
    }

    /// Whether the database answers and messages can be taken; for readiness.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn check_ready(&self) -> Result<()> {
        sqlx::query_scalar!("SELECT 1")
            .fetch_one(&self.0.pool)
            .await
            .map_err(Error::unavailable)?;
        self.0.queue.shards.pick()?;
        Ok(())
    }
}
