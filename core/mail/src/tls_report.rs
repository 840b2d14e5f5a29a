//! Reports about TLS (RFC 8460): their JSON, and the mail that carries one.
//!
//! Not done: compressing, and reading the mail that one comes in.

use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;

use crate::{address::Address, date};

/// Octets that a text in a report of somebody else keeps.
const TEXT: usize = 1000;
/// Policies, and failures of one policy, that are kept of such a report.
const MOST: usize = 1000;

/// A report (RFC 8460 §4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TlsReport {
    /// Who reports.
    #[serde(default)]
    pub organization_name: String,
    /// What time it is about.
    pub date_range: DateRange,
    /// Whom to ask.
    #[serde(default)]
    pub contact_info: String,
    /// Unique for who reports.
    pub report_id: String,
    /// What came of sessions, by policy.
    #[serde(default)]
    pub policies: Vec<PolicyResult>,
}

/// Both ends are part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DateRange {
    /// The first second.
    #[serde(with = "time::serde::rfc3339")]
    pub start_datetime: OffsetDateTime,
    /// The last second.
    #[serde(with = "time::serde::rfc3339")]
    pub end_datetime: OffsetDateTime,
}

/// What came of sessions under a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyResult {
    /// The policy.
    pub policy: Policy,
    /// How many sessions.
    #[serde(default)]
    pub summary: Summary,
    /// Why sessions failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_details: Vec<FailureDetails>,
}

/// A policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// `tlsa`, `sts` or `no-policy-found`.
    pub policy_type: String,
    /// Its text, line by line, or its records.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub policy_string: Vec<String>,
    /// Whose it is.
    pub policy_domain: String,
    /// The mail exchangers that it names.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub mx_host: Vec<String>,
}

/// How many sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// With TLS as the policy wants it.
    #[serde(default)]
    pub total_successful_session_count: u64,
    /// Others.
    #[serde(default)]
    pub total_failure_session_count: u64,
}

/// Sessions that failed in one way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailureDetails {
    /// RFC 8460 §4.3.
    pub result_type: String,
    /// Address of whoever sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_mta_ip: Option<String>,
    /// Name of the mail exchanger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_hostname: Option<String>,
    /// What it called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_helo: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_ip: Option<String>,
    /// How many.
    #[serde(default)]
    pub failed_session_count: u64,
    /// Where there is more to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_information: Option<String>,
    /// More about the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason_code: Option<String>,
}

/// Some write a text where there is to be a list of one.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Nothing(()),
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::Nothing(()) => Vec::new(),
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    })
}

impl TlsReport {
    /// Sessions of all policies.
    pub fn totals(&self) -> Summary {
        let mut all = Summary::default();
        for Summary { total_successful_session_count, total_failure_session_count } in
            self.policies.iter().map(|result| result.summary)
        {
            let (ok, failed) = (total_successful_session_count, total_failure_session_count);
            all.total_successful_session_count =
                all.total_successful_session_count.saturating_add(ok);
            all.total_failure_session_count =
                all.total_failure_session_count.saturating_add(failed);
        }
        all
    }

    /// What is kept of a report of somebody else: as much as anybody has to say, without control
    /// characters.
    pub fn bound(&mut self) {
        for text in [&mut self.organization_name, &mut self.contact_info, &mut self.report_id] {
            shorten(text);
        }
        self.policies.truncate(MOST);
        for result in &mut self.policies {
            let policy = &mut result.policy;
            policy.policy_string.truncate(MOST);
            policy.mx_host.truncate(MOST);
            let texts = [&mut policy.policy_type, &mut policy.policy_domain];
            let lists = policy.policy_string.iter_mut().chain(&mut policy.mx_host);
            texts.into_iter().chain(lists).for_each(shorten);
            result.failure_details.truncate(MOST);
            for failure in &mut result.failure_details {
                shorten(&mut failure.result_type);
                let more = [
                    &mut failure.sending_mta_ip,
                    &mut failure.receiving_mx_hostname,
                    &mut failure.receiving_mx_helo,
                    &mut failure.receiving_ip,
                    &mut failure.additional_information,
                    &mut failure.failure_reason_code,
                ];
                more.into_iter().flatten().for_each(shorten);
            }
        }
    }
}

fn shorten(text: &mut String) {
    text.retain(|c| !c.is_control());
    text.truncate(text.floor_char_boundary(TEXT));
}

/// A mail with a report.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// Whom it is from; the domain is the submitter.
    pub from: &'a Address,
    /// Whom it goes to.
    pub to: &'a Address,
    /// The domain that it is about.
    pub domain: &'a str,
    /// As in the report.
    pub report_id: &'a str,
    /// As in the report.
    pub range: DateRange,
    /// Octets of the report as JSON, compressed with gzip.
    pub gzip: &'a [u8],
    /// Date of the mail.
    pub now: OffsetDateTime,
}

/// The mail (RFC 8460 §5.3), without a Message-ID.
///
/// ```text
/// tlsrpt-subject = %s"Report" FWS %s"Domain:" FWS domain-name FWS %s"Submitter:" FWS domain-name
///                  FWS %s"Report-ID:" FWS "<" id-left "@" id-right ">"
/// filename       = submitter "!" policy-domain "!" begin-timestamp "!" end-timestamp
///                  [ "!" unique-id ] "." extension
/// ```
pub fn compose(mail: &Envelope<'_>) -> Vec<u8> {
    let Envelope { from, to, domain, report_id, range, .. } = mail;
    let submitter = from.domain();
    let (begin, end) = (range.start_datetime.unix_timestamp(), range.end_datetime.unix_timestamp());
    let boundary = format!("=_{report_id}");
    let header = format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: Report Domain: {domain}\r\n \
         Submitter: {submitter}\r\n Report-ID: <{report_id}@{submitter}>\r\n\
         Date: {}\r\nTLS-Report-Domain: {domain}\r\n\
         TLS-Report-Submitter: {submitter}\r\nTLS-Required: No\r\nAuto-Submitted: auto-generated\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=\"tlsrpt\";\r\n\t\
         boundary=\"{boundary}\"\r\n\r\n",
        date::format(mail.now),
    );
    let text = format!(
        "--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
         This is a report about TLS between mail servers (RFC 8460).\r\n\r\n\
         Submitter: {submitter}\r\nDomain: {domain}\r\nReport-ID: {report_id}\r\n\r\n"
    );
    let name = format!("{submitter}!{domain}!{begin}!{end}!{report_id}.json.gz");
    let part = format!(
        "--{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\n\
         Content-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment;\r\n\tfilename=\"{name}\"\r\n\r\n"
    );
    let mut out = [header, text, part].concat().into_bytes();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, mail.gzip);
    for line in encoded.as_bytes().chunks(76) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

#[cfg(test)]
mod tests;
