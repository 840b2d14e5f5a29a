//! Addresses that get no reports though a domain asks for it: they do not work, or do not want them.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, OnConstraint as _, Result},
    id::{Id, TlsReportSuppression},
    idempotency::{self, Begin, Created},
    page::{Keyset, Page, PageRequest, fetch_page},
    scope::Scope,
    text,
};

/// An address that gets no reports.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Suppression {
    /// Identifier.
    pub id: Id<TlsReportSuppression>,
    /// `mailto:` or `https:`, in lower case.
    pub uri: String,
    /// For administrators.
    pub comment: String,
    /// Until then; none: for ever.
    #[serde(with = "crate::time::millis::option")]
    pub until_at: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
}

/// An address that is to get no reports.
#[derive(Debug, Clone)]
pub struct NewSuppression {
    /// As it stands in the record of the domain.
    pub uri: String,
    /// For administrators.
    pub comment: String,
    /// Until then; none: for ever.
    pub until_at: Option<OffsetDateTime>,
}

struct Row {
    suppression_id: Uuid,
    uri: String,
    comment: String,
    until_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl From<Row> for Suppression {
    fn from(row: Row) -> Self {
        let Row { suppression_id, uri, comment, until_at, created_at } = row;
        Self { id: suppression_id.into(), uri, comment, until_at, created_at }
    }
}

/// Every fault that [`create`] will find.
pub fn faults(new: &NewSuppression) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let uri = new.uri.to_ascii_lowercase();
    let is_address = uri.strip_prefix("mailto:").or_else(|| uri.strip_prefix("https://"));
    if uri.len() > 500
        || is_address.is_none_or(str::is_empty)
        || !uri.bytes().all(|b| b.is_ascii_graphic())
    {
        let detail = "an address of reports begins with mailto: or https://";
        faults.push(FieldError::new("/uri", "invalid_uri", detail));
    }
    faults.extend(text::fault("/comment", "invalid_comment", &new.comment));
    faults
}

/// Sends no more reports to an address.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `AlreadyExists`.
pub async fn create(cx: &Cx, new: NewSuppression) -> Result<Created<Suppression>> {
    cx.require(Scope::AdminWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(faults(&new))?;
    let suppression = Suppression {
        id: Id::new(cx.now()),
        uri: new.uri.to_ascii_lowercase(),
        comment: new.comment,
        until_at: new.until_at,
        created_at: cx.now(),
    };
    let mut tx = cx.begin("tls_reports.suppress").await?;
    sqlx::query!(
        "INSERT INTO tls_report_suppressions (suppression_id, uri, comment, until_at, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        suppression.id.uuid(),
        suppression.uri,
        suppression.comment,
        suppression.until_at,
        suppression.created_at
    )
    .execute(tx.conn())
    .await
    .on_constraint("tls_report_suppressions_uri_key", Error::AlreadyExists("suppression"))?;
    audit::record(&mut tx, cx, "suppress_tls_reports", None, &suppression.uri).await?;
    slot.keep(&mut tx, cx, &suppression).await?;
    tx.commit().await?;
    Ok(Created::fresh(suppression))
}

/// Addresses that get no reports, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, request: &PageRequest) -> Result<Page<Suppression>> {
    cx.require(Scope::AdminRead)?;
    let keyset = Keyset::new(cx, "tls_report_suppressions", request)?;
    let mut conn = cx.platform().acquire().await?;
    let rows = fetch_page!(
        &mut *conn,
        keyset,
        Row,
        "SELECT suppression_id, uri, comment, until_at, created_at
         FROM tls_report_suppressions WHERE true",
        "suppression_id",
    );
    let rows: Vec<Suppression> = rows.into_iter().map(Suppression::from).collect();
    Ok(keyset.page(cx, rows, |row| row.id.uuid()))
}

/// Sends reports to an address again.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn remove(cx: &Cx, suppression: Id<TlsReportSuppression>) -> Result<()> {
    cx.require(Scope::AdminWrite)?;
    let mut tx = cx.begin("tls_reports.unsuppress").await?;
    let uri = sqlx::query_scalar!(
        "DELETE FROM tls_report_suppressions WHERE suppression_id = $1 RETURNING uri",
        suppression.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    let uri = uri.ok_or(Error::NotFound("suppression"))?;
    audit::record(&mut tx, cx, "unsuppress_tls_reports", None, &uri).await?;
    tx.commit().await
}

/// Which of these get no reports.
pub(super) async fn which(
    conn: &mut PgConnection,
    uris: &[String],
    now: OffsetDateTime,
) -> Result<Vec<String>> {
    let lower: Vec<String> = uris.iter().map(|uri| uri.to_ascii_lowercase()).collect();
    let found = sqlx::query_scalar!(
        "SELECT uri FROM tls_report_suppressions
         WHERE uri = ANY($1) AND (until_at IS NULL OR until_at > $2)",
        &lower,
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(found)
}
