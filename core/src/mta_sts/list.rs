//! Looking at the policies that are known (Q9).

use time::OffsetDateTime;

use super::{Fault, Mode, store};
use crate::{
    cx::Cx,
    error::Result,
    id::{Id, MtaStsPolicy},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

/// The policy of a domain as it is stored; without a mode none could be fetched yet.
#[derive(Debug, Clone)]
pub struct StoredPolicy {
    /// Identifier.
    pub id: Id<MtaStsPolicy>,
    /// Domain of recipients, in A-label form.
    pub domain: String,
    /// The id in the TXT record that it was fetched for.
    pub record_id: Option<String>,
    /// What it asks for.
    pub mode: Option<Mode>,
    /// Names of mail exchangers.
    pub mx: Vec<String>,
    /// How long it holds.
    pub max_age_seconds: Option<i32>,
    /// When it was fetched.
    pub fetched_at: Option<OffsetDateTime>,
    /// From then on it does not hold any more.
    pub expires_at: Option<OffsetDateTime>,
    /// A delivery used it, within a day.
    pub last_used_at: OffsetDateTime,
    /// When it is fetched again.
    pub refresh_at: OffsetDateTime,
    /// When the last fetch failed, if it did.
    pub failed_at: Option<OffsetDateTime>,
    /// Why.
    pub error: Option<String>,
    /// In what way.
    pub fault: Option<Fault>,
}

/// Which policies are wanted.
#[derive(Debug, Clone, Default)]
pub struct PolicyFilter {
    /// Of this domain, in A-label form.
    pub domain: Option<String>,
    /// Of this mode.
    pub mode: Option<Mode>,
}

/// Policies, those of domains that were written to last first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(
    cx: &Cx,
    filter: &PolicyFilter,
    request: &PageRequest,
) -> Result<Page<StoredPolicy>> {
    cx.require(Scope::AdminRead)?;
    let keyset = Keyset::new(cx, "mta_sts_policies", request)?;
    let mut conn = cx.platform().acquire().await?;
    let policies = store::list(&mut conn, filter, &keyset).await?;
    Ok(keyset.page(cx, policies, |policy| policy.id.uuid()))
}
