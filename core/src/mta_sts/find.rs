//! The policy for a delivery: from memory, the database or the web server of the domain.

use std::sync::Arc;

use rand::Rng as _;
use time::{Duration, OffsetDateTime};

use super::{Fault, Known, NOTED, Policy, Sts, record, store};
use crate::{
    error::Result,
    platform::Platform,
    ports::{
        DnsError,
        transport::{Host, Reply},
    },
};

/// A policy is fetched again after a day (E5), and those of one day not all at once.
const REFRESH: Duration = Duration::days(1);
const SPREAD_SECONDS: i64 = 3 * 3600;

/// What DNS says of the policy of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Published {
    /// There is one with this id.
    Id(String),
    /// There is none.
    Nothing,
    /// It could not be asked.
    Unknown,
}

/// Asks DNS.
pub(super) async fn published(platform: &Platform, domain: &str) -> Published {
    match platform.resolver().txt(&format!("_mta-sts.{domain}")).await {
        Ok(records) => {
            record::id_of(&records).map_or(Published::Nothing, |id| Published::Id(id.to_owned()))
        }
        Err(DnsError::NoName | DnsError::NoRecord) => Published::Nothing,
        Err(DnsError::Temporary(_)) => Published::Unknown,
    }
}

/// Holds the hosts of `domain`, that of the recipient (RFC 8461 §3.4), against its policy: in mode
/// `enforce` others are barred, and those that it names need a certificate that verifies (§4, §5).
///
/// # Errors
/// `Unavailable`: without the database nobody knows what a domain has asked for before.
pub(crate) async fn apply(platform: &Platform, domain: &str, hosts: &mut [Host]) -> Result<Sts> {
    let found = find(platform, domain).await?;
    if let Sts::Found(policy) = &found
        && policy.is_enforced()
    {
        for host in hosts {
            if policy.covers(&host.name) {
                host.security.pkix = true;
            } else {
                host.security.barred.get_or_insert_with(|| barred(domain, &host.name));
            }
        }
    }
    Ok(found)
}

fn barred(domain: &str, host: &str) -> Arc<Reply> {
    let text = format!(
        "{host} is not one of the mail exchangers that the MTA-STS policy of {domain} names"
    );
    Arc::new(Reply::local("4.7.1", text))
}

/// What `domain` asks for now.
async fn find(platform: &Platform, domain: &str) -> Result<Sts> {
    let (published, known) = tokio::join!(published(platform, domain), known(platform, domain));
    let (mut known, now) = (known?, platform.now());
    if let Published::Id(id) = &published
        && known.lacks(id, now)
    {
        known = fetch_in_turn(platform, domain, id).await?;
    }
    if let Some(policy) = known.valid(now) {
        note_use(platform, domain, &known, now).await?;
        return Ok(Sts::Found(Arc::clone(policy)));
    }
    Ok(match (published, &known.error) {
        (Published::Id(_), Some(error)) => {
            Sts::Unavailable(known.fault.unwrap_or(Fault::Fetch), Arc::clone(error))
        }
        _ => Sts::Absent,
    })
}

/// What memory or database have.
async fn known(platform: &Platform, domain: &str) -> Result<Arc<Known>> {
    let sts = platform.mta_sts();
    if let Some(known) = sts.known.get(domain).await {
        // Another node may have fetched it again.
        let has_ended = known.policy.is_some() && known.valid(platform.now()).is_none();
        if !has_ended {
            return Ok(known);
        }
    }
    let mut conn = platform.acquire().await?;
    let known = Arc::new(store::find(&mut conn, domain).await?.unwrap_or_default());
    sts.known.insert(domain.into(), Arc::clone(&known)).await;
    Ok(known)
}

/// Fetches a policy, unless somebody else has done so meanwhile, here or on another node.
async fn fetch_in_turn(platform: &Platform, domain: &str, id: &str) -> Result<Arc<Known>> {
    let sts = platform.mta_sts();
    let turn = sts.turns.get_with(domain.into(), async { Arc::default() }).await;
    let _turn = turn.lock().await;
    let mut conn = platform.acquire().await?;
    let known = store::find(&mut conn, domain).await?.unwrap_or_default();
    drop(conn);
    if known.lacks(id, platform.now()) {
        return fetch(platform, domain, id, known).await;
    }
    let known = Arc::new(known);
    sts.known.insert(domain.into(), Arc::clone(&known)).await;
    Ok(known)
}

/// Fetches the policy with this id. When that fails, what was known before holds as long as it would
/// have.
pub(super) async fn fetch(
    platform: &Platform,
    domain: &str,
    id: &str,
    mut known: Known,
) -> Result<Arc<Known>> {
    let sts = platform.mta_sts();
    let result = sts.fetch(domain).await;
    let label = if result.is_ok() { "ok" } else { "failed" };
    metrics::counter!("posthouse_mta_sts_fetches_total", "result" => label).increment(1);
    let now = platform.now();
    let mut conn = platform.acquire().await?;
    match result {
        Ok(rules) => {
            let max_age = i32::try_from(rules.max_age).unwrap_or(i32::MAX);
            let policy = Policy {
                record_id: id.to_owned(),
                mode: rules.mode,
                mx: rules.mx,
                max_age_seconds: max_age,
                fetched_at: now,
                expires_at: now + Duration::seconds(max_age.into()),
            };
            store::save(&mut conn, domain, &policy, refresh_at(now)).await?;
            let last_used_at = known.last_used_at.or(Some(now));
            known = Known { policy: Some(Arc::new(policy)), last_used_at, ..Known::default() };
        }
        Err(failure) => {
            tracing::info!(domain, error = failure.text, "an MTA-STS policy could not be fetched");
            store::save_failure(&mut conn, domain, &failure, (now, refresh_at(now))).await?;
            known.failed_at = Some(now);
            known.fault = Some(failure.fault);
            known.error = Some(failure.text.into());
        }
    }
    drop(conn);
    let known = Arc::new(known);
    sts.known.insert(domain.into(), Arc::clone(&known)).await;
    Ok(known)
}

fn refresh_at(now: OffsetDateTime) -> OffsetDateTime {
    now + REFRESH + Duration::seconds(rand::rng().random_range(0..SPREAD_SECONDS))
}

/// Notes once a day that a policy is used.
async fn note_use(
    platform: &Platform,
    domain: &str,
    known: &Known,
    now: OffsetDateTime,
) -> Result<()> {
    if known.last_used_at.is_some_and(|at| now - at < NOTED) {
        return Ok(());
    }
    let mut conn = platform.acquire().await?;
    store::note_use(&mut conn, domain, now).await?;
    drop(conn);
    let known = Known { last_used_at: Some(now), ..known.clone() };
    platform.mta_sts().known.insert(domain.into(), Arc::new(known)).await;
    Ok(())
}
