//! Looking at deliveries, whatever message they belong to.

use time::OffsetDateTime;

use super::store;
use crate::{
    cx::Cx,
    error::{Error, Result},
    id::{Delivery, Id},
    messages::DeliveryView,
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

/// Which deliveries are wanted.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Of this status.
    pub status: Option<String>,
    /// To this address, in any case.
    pub recipient: Option<String>,
    /// To this domain, in A-label form.
    pub domain: Option<String>,
    /// Taken at or after this time.
    pub since: Option<OffsetDateTime>,
    /// Taken before this time.
    pub until: Option<OffsetDateTime>,
}

/// Deliveries of the account, waiting and ended, newest first, with their attempts.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list_deliveries(
    cx: &Cx,
    filter: &DeliveryFilter,
    request: &PageRequest,
) -> Result<Page<DeliveryView>> {
    cx.require(Scope::MessagesRead)?;
    let keyset = Keyset::new(cx, "deliveries", request)?;
    let mut tx = cx.platform().begin_list("deliveries.list").await?;
    let rows = store::list_deliveries(tx.conn(), cx.account(), filter, &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.id.uuid()))
}

/// One delivery with its attempts.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find_delivery(cx: &Cx, delivery: Id<Delivery>) -> Result<DeliveryView> {
    cx.require(Scope::MessagesRead)?;
    let mut conn = cx.platform().acquire().await?;
    let found = store::find_delivery(&mut conn, cx.account(), delivery).await?;
    found.ok_or(Error::NotFound("delivery"))
}
