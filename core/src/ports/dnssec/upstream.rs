//! Answers as they came over the network, kept for their time to live, beneath the validator.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use futures_util::{Stream, stream};
use hickory_resolver::{
    NameServerPool, PoolContext, TlsConfig,
    config::{NameServerConfig, ResolverOpts},
    net::{
        DnsError, DnsHandle, NetError, RetryDnsHandle, runtime::TokioRuntimeProvider,
        xfer::FirstAnswer as _,
    },
    proto::op::{DnsRequest, DnsResponse, Query},
};
use moka::{Expiry, future::Cache};

/// Longest time that an answer is kept.
const LONGEST: Duration = Duration::from_hours(1);
/// Longest time that a denial is kept.
const LONGEST_DENIAL: Duration = Duration::from_mins(5);
const MOST_ANSWERS: u64 = 10_000;

/// The configured name servers, with a memory. A validator asks for the same keys again and again.
#[derive(Clone)]
pub(super) struct Upstream {
    pool: RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>,
    kept: Cache<Key, Kept>,
}

/// The question, and whether it asked for signatures.
type Key = (Query, bool);

#[derive(Clone)]
struct Kept {
    result: Result<DnsResponse, NetError>,
    time: Duration,
}

struct TimeToLive;

impl Expiry<Key, Kept> for TimeToLive {
    fn expire_after_create(&self, _: &Key, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.time)
    }
}

impl Upstream {
    pub(super) fn new(
        servers: Vec<NameServerConfig>,
        options: ResolverOpts,
    ) -> Result<Self, NetError> {
        let attempts = options.attempts;
        let context = std::sync::Arc::new(PoolContext::new(options, TlsConfig::new()?));
        let pool = NameServerPool::from_config(servers, context, TokioRuntimeProvider::default());
        let kept = Cache::builder().max_capacity(MOST_ANSWERS).expire_after(TimeToLive).build();
        Ok(Self { pool: RetryDnsHandle::new(pool, attempts), kept })
    }

    async fn ask(self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let Some(query) = request.queries.first().cloned() else {
            return Err(NetError::from("no query in request"));
        };
        let signed = request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        let key = (query, signed);
        if let Some(kept) = self.kept.get(&key).await {
            return kept.result;
        }
        let result = self.pool.send(request).first_answer().await;
        if let Some(time) = time_to_live(&result).filter(|time| !time.is_zero()) {
            self.kept.insert(key, Kept { result: result.clone(), time }).await;
        }
        result
    }
}

fn time_to_live(result: &Result<DnsResponse, NetError>) -> Option<Duration> {
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    match result {
        Ok(response) => {
            let records = response.answers.iter().chain(&response.authorities);
            let least = records.map(|record| record.ttl).min()?;
            Some(seconds(least).min(LONGEST))
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(denial))) => {
            Some(seconds(denial.negative_ttl?).min(LONGEST_DENIAL))
        }
        Err(_) => None,
    }
}

impl DnsHandle for Upstream {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        Box::pin(stream::once(self.clone().ask(request)))
    }
}
