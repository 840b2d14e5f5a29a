//! What others see of the policy of a domain that is served here.

use super::{
    Mode, Policy,
    find::{self, Published},
};
use crate::platform::Platform;

/// What DNS and the web server of a domain say now.
pub(crate) enum Served {
    /// There is no policy.
    Nothing,
    /// DNS does not answer.
    Unknown,
    /// It cannot be fetched; says why.
    Failed(String),
    /// This.
    Policy {
        mode: Mode,
        mx: Vec<String>,
        /// It names this server.
        covers_us: bool,
    },
}

/// Fetches the policy of `domain` as other servers do, and keeps nothing of it.
pub(crate) async fn served(platform: &Platform, domain: &str) -> Served {
    let record_id = match find::published(platform, domain).await {
        Published::Id(id) => id,
        Published::Nothing => return Served::Nothing,
        Published::Unknown => return Served::Unknown,
    };
    let rules = match platform.mta_sts().fetch(domain).await {
        Ok(rules) => rules,
        Err(failure) => return Served::Failed(failure.text),
    };
    let now = platform.now();
    let policy = Policy {
        record_id,
        mode: rules.mode,
        mx: rules.mx,
        max_age_seconds: i32::try_from(rules.max_age).unwrap_or(i32::MAX),
        fetched_at: now,
        expires_at: now,
    };
    let covers_us = policy.covers(&platform.config().hostname);
    Served::Policy { mode: policy.mode, mx: policy.mx, covers_us }
}
