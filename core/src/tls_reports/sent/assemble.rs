//! From counts to the report (RFC 8460 §4.4).

use std::{collections::BTreeMap, io::Write as _};

use posthouse_mail::tls_report::{
    DateRange, FailureDetails, Policy, PolicyResult, Summary, TlsReport,
};
use time::Duration;

use super::Sent;
use crate::error::{Error, Result};

/// A policy, why sessions under it failed if they did, and how many.
pub(super) type Counted = (Policy, Option<FailureDetails>, i64);

/// Who reports.
#[derive(Debug, Clone)]
pub(super) struct Reporter {
    pub organization: String,
    pub contact: String,
}

/// The report of a day about a domain.
pub(super) fn assemble(sent: &Sent, reporter: Reporter, counts: Vec<Counted>) -> TlsReport {
    let start = sent.day.midnight().assume_utc();
    let range = DateRange {
        start_datetime: start,
        end_datetime: start + Duration::days(1) - Duration::seconds(1),
    };
    let mut policies = BTreeMap::<String, PolicyResult>::new();
    for (policy, failure, sessions) in counts {
        let sessions = u64::try_from(sessions).unwrap_or(0);
        let key = serde_json::to_string(&policy).unwrap_or_default();
        let result = policies.entry(key).or_insert_with(|| PolicyResult {
            policy,
            summary: Summary::default(),
            failure_details: Vec::new(),
        });
        match failure {
            None => result.summary.total_successful_session_count += sessions,
            Some(failure) => {
                result.summary.total_failure_session_count += sessions;
                let failure = FailureDetails { failed_session_count: sessions, ..failure };
                merge(&mut result.failure_details, failure);
            }
        }
    }
    TlsReport {
        organization_name: reporter.organization,
        date_range: range,
        contact_info: reporter.contact,
        report_id: sent.id.to_string(),
        policies: policies.into_values().collect(),
    }
}

/// A mail exchanger may have failed in one way for several domains.
fn merge(details: &mut Vec<FailureDetails>, failure: FailureDetails) {
    let is_same = |known: &&mut FailureDetails| {
        FailureDetails { failed_session_count: failure.failed_session_count, ..(**known).clone() }
            == failure
    };
    match details.iter_mut().find(is_same) {
        Some(known) => known.failed_session_count += failure.failed_session_count,
        None => details.push(failure),
    }
}

/// The report as it travels.
pub(super) async fn gzip(report: &TlsReport) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(report).map_err(Error::internal)?;
    let compress = move || {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&json)?;
        encoder.finish()
    };
    tokio::task::spawn_blocking(compress).await.map_err(Error::internal)?.map_err(Error::internal)
}
