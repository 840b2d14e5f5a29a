//! Reports that go out: planned once a day, each sent by whichever node takes it.

mod assemble;
mod job;
mod send;

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::{Date, OffsetDateTime};

pub(crate) use job::run;
pub use job::send_due;

use super::store;
use crate::{
    cx::Cx,
    error::{Error, Result},
    id::{Id, Message, TlsReportSent},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

/// The report of a day about a domain.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Identifier, which is also the one in the report.
    pub id: Id<TlsReportSent>,
    /// The day that it is about, in UTC.
    pub day: Date,
    /// The domain that it is about: of recipients, or the name of a mail exchanger.
    pub domain: String,
    /// What became of it.
    pub status: Status,
    /// When it is tried, or tried again.
    pub due_at: OffsetDateTime,
    /// Tries so far.
    pub attempts: i16,
    /// Where it goes.
    pub destinations: Vec<Destination>,
    /// The report itself; lists have none.
    pub report: Option<Box<RawValue>>,
    /// Sessions with TLS as policies want it.
    pub successes: i64,
    /// Others.
    pub failures: i64,
    /// Why it failed or was skipped.
    pub error: Option<String>,
    /// When it was sent, failed or was skipped.
    pub completed_at: Option<OffsetDateTime>,
}

/// An address that a domain wants reports at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Destination {
    /// As it stands in DNS.
    pub uri: String,
    /// What became of it.
    pub status: Status,
    /// The message that took it there, by mail.
    #[serde(default)]
    pub message_id: Option<Id<Message>>,
    /// Why it did not go there.
    #[serde(default)]
    pub error: Option<String>,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is tried later.
    Waiting,
    /// It is in the queue, or was taken by an endpoint.
    Sent,
    /// It could not be sent.
    Failed,
    /// Nobody wants it, or there is nothing to tell.
    Skipped,
}

impl Status {
    const ALL: [Self; 4] = [Self::Waiting, Self::Sent, Self::Failed, Self::Skipped];

    /// Name in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(())
    }
}

/// Which reports are wanted.
#[derive(Debug, Clone, Default)]
pub struct SentFilter {
    /// About this domain, in A-label form.
    pub domain: Option<String>,
    /// With this status.
    pub status: Option<Status>,
}

/// Reports that went out or will, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, filter: &SentFilter, request: &PageRequest) -> Result<Page<Sent>> {
    cx.require(Scope::AdminRead)?;
    let keyset = Keyset::new(cx, "tls_reports_sent", request)?;
    let mut conn = cx.platform().acquire().await?;
    let reports = store::list(&mut conn, filter, &keyset).await?;
    Ok(keyset.page(cx, reports, |report| report.id.uuid()))
}

/// One of them, with the report.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, report: Id<TlsReportSent>) -> Result<Sent> {
    cx.require(Scope::AdminRead)?;
    let mut conn = cx.platform().acquire().await?;
    store::find(&mut conn, report).await?.ok_or(Error::NotFound("report"))
}
