//! The DNS records of a domain: what to publish and why, as data and as the text of a zone (T5).
//!
//! Only what this server has: who publishes a record for a service that is not there harms the
//! domain. What is left out is told with its reason.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{DkimKey, Domain, dkim::State, find};
use crate::{
    cx::Cx,
    error::Result,
    id::{self, Id},
};

/// Seconds that resolvers may keep a record.
const TTL: u32 = 3600;
/// RFC 1035 §3.3: octets of one character-string.
const MAX_STRING: usize = 255;

/// A DNS record to publish.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DnsRecord {
    /// Owner name, absolute, without trailing dot.
    pub name: String,
    /// `MX`, `TXT` …
    #[serde(rename = "type")]
    pub kind: String,
    /// Data in zone-file form; TXT without quotes.
    pub value: String,
    /// What it is for: `mx`, `spf`, `dkim` …
    pub purpose: String,
    /// Without it the domain does not count as verified.
    pub required: bool,
    /// What to do, for people.
    pub instructions: String,
}

/// What is not published, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Omitted {
    /// What it would be for.
    pub purpose: &'static str,
    /// Why not, or what to do oneself.
    pub reason: String,
}

/// The records of a domain.
#[derive(Debug, Clone)]
pub struct Records {
    /// The domain.
    pub domain: String,
    /// What to publish.
    pub records: Vec<DnsRecord>,
    /// What not.
    pub omitted: Vec<Omitted>,
}

/// What to publish for a domain.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn list(cx: &Cx, domain: Id<id::Domain>) -> Result<Records> {
    let Domain { name, records, .. } = find(cx, domain).await?;
    Ok(Records { omitted: omitted(&name, &cx.platform().config().hostname), domain: name, records })
}

/// The same as the text of a zone (RFC 1035 §5.1), to be added to that of the domain.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn zone(cx: &Cx, domain: Id<id::Domain>) -> Result<String> {
    let Domain { name, records, .. } = find(cx, domain).await?;
    Ok(zone_text(&name, &records))
}

/// Begins a record; the rest is said by the caller.
fn record(
    name: &str,
    (purpose, kind): (&str, &str),
    value: String,
    instructions: &str,
) -> DnsRecord {
    DnsRecord {
        name: name.to_owned(),
        kind: kind.to_owned(),
        value,
        purpose: purpose.to_owned(),
        required: false,
        instructions: instructions.to_owned(),
    }
}

fn required(record: DnsRecord) -> DnsRecord {
    DnsRecord { required: true, ..record }
}

/// Records of the domain `name` with these keys.
pub(super) fn of(
    name: &str,
    keys: &[DkimKey],
    hostname: &str,
    now: OffsetDateTime,
) -> Vec<DnsRecord> {
    let mut records = vec![
        required(record(
            name,
            ("mx", "MX"),
            format!("10 {hostname}."),
            "Mail for the domain comes to this server. Remove MX records of other servers.",
        )),
        required(record(
            name,
            ("spf", "TXT"),
            "v=spf1 mx ~all".to_owned(),
            "Says that this server may send for the domain. There may be only one SPF record: when \
             others send for it too, add their parts to this one.",
        )),
    ];
    records.extend(keys.iter().filter(|key| key.is_needed(now)).map(dkim));
    records.push(required(record(
        &format!("_dmarc.{name}"),
        ("dmarc", "TXT"),
        format!("v=DMARC1; p=reject; rua=mailto:postmaster@{name}!10m"),
        "Mail that claims to be from the domain and is not is to be refused. Begin with p=none when \
         others send for the domain, and read the reports first.",
    )));
    records.push(record(
        &format!("_smtp._tls.{name}"),
        ("tls_rpt", "TXT"),
        format!("v=TLSRPTv1; rua=mailto:postmaster@{name}"),
        "Asks other servers to report when they cannot use TLS to deliver mail here (RFC 8460).",
    ));
    records.push(record(
        hostname,
        ("spf_host", "TXT"),
        "v=spf1 a -all".to_owned(),
        "For delivery reports, which have no sender: SPF then looks at the name of the host. Once \
         for the server, in the zone of its name.",
    ));
    records.extend(services(name, hostname));
    records
}

fn dkim(key: &DkimKey) -> DnsRecord {
    let removable = key.removable_at.map(crate::time::rfc3339).unwrap_or_default();
    let instructions = match key.state {
        State::Active => {
            "Its key signs the mail of the domain. A CNAME to such a record will do.".to_owned()
        }
        State::Pending if key.rotates => {
            "The key signs in place of the old one as soon as this record is seen.".to_owned()
        }
        State::Pending | State::Published => {
            "The key can be activated when this is published.".to_owned()
        }
        State::Retired => {
            format!("Keep it until {removable}: mail that its key has signed is still on its way.")
        }
    };
    let made = record(&key.record_name, ("dkim", "TXT"), key.record.clone(), &instructions);
    DnsRecord { required: key.is_active(), ..made }
}

/// Where mail programs find their server (RFC 6186, RFC 8314 §5.1): TLS from the first octet, and no
/// other way.
fn services(name: &str, hostname: &str) -> impl Iterator<Item = DnsRecord> {
    let here = record(
        &format!("_submissions._tcp.{name}"),
        ("client", "SRV"),
        format!("0 1 465 {hostname}."),
        "Mail programs find where to submit, if the server listens on port 465.",
    );
    let text = "Tells mail programs not to look for this service (RFC 6186 §3.4).";
    let absent = ["_submission", "_imap", "_pop3", "_pop3s"].map(|service| {
        let name = format!("{service}._tcp.{name}");
        record(&name, ("client_absent", "SRV"), "0 0 0 .".to_owned(), text)
    });
    std::iter::once(here).chain(absent)
}

fn omitted(name: &str, hostname: &str) -> Vec<Omitted> {
    let omit = |purpose, reason: String| Omitted { purpose, reason };
    vec![
        omit("mta_sts", format!("this server does not serve https://mta-sts.{name}/")),
        omit(
            "tlsa",
            format!(
                "the certificate files of {hostname} are yours: publish TLSA 3 1 1 records for \
                 _25._tcp.{hostname} only when their key stays the same at renewal, and the zone is \
                 signed"
            ),
        ),
        omit("imap", "this server does not serve IMAP".to_owned()),
        omit("autoconfig", "this server does not serve autoconfig or autodiscover".to_owned()),
        omit(
            "caa",
            format!(
                "say in a CAA record of {hostname} which authority may issue its certificate, such \
                 as: 0 issue \"letsencrypt.org\""
            ),
        ),
    ]
}

/// Records in the form of a zone file; those of other zones are comments.
fn zone_text(domain: &str, records: &[DnsRecord]) -> String {
    let mut text = format!("; Records for the zone of {domain}\n");
    for record in records {
        let is_ours = record.name == domain
            || record.name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        let mark = if is_ours { "" } else { "; in its own zone: " };
        let value = if record.kind == "TXT" { quoted(&record.value) } else { record.value.clone() };
        // Writing into a string cannot fail.
        let _ = writeln!(text, "; {}", record.instructions);
        let _ = writeln!(text, "{mark}{}. {TTL} IN {} {value}", record.name, record.kind);
    }
    text
}

/// A text as character-strings of at most 255 octets (RFC 1035 §3.3.14, §5.1).
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for part in text.as_bytes().chunks(MAX_STRING) {
        out.push_str(if out.is_empty() { "\"" } else { " \"" });
        for &octet in part {
            // Writing into a string cannot fail.
            let _ = match octet {
                b'"' | b'\\' => write!(out, "\\{}", char::from(octet)),
                b' '..=b'~' => write!(out, "{}", char::from(octet)),
                _ => write!(out, "\\{octet:03}"),
            };
        }
        out.push('"');
    }
    if out.is_empty() { "\"\"".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_in_parts_of_255_octets() {
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("v=spf1; a"), "\"v=spf1; a\"");
        assert_eq!(quoted("a\"b\\c\u{e4}\n"), "\"a\\\"b\\\\c\\195\\164\\010\"");
        let long = quoted(&"x".repeat(600));
        let parts: Vec<usize> = long.split(' ').map(|part| part.len() - 2).collect();
        assert_eq!(parts, [255, 255, 90]);
    }

    #[test]
    fn records_of_other_zones_are_comments() {
        let text = |name: &str| {
            zone_text("a.test", &[record(name, ("x", "MX"), "10 mx.a.test.".to_owned(), "Why.")])
        };
        assert!(text("a.test").ends_with("; Why.\na.test. 3600 IN MX 10 mx.a.test.\n"));
        assert!(text("b.a.test").contains("\nb.a.test. 3600"));
        for other in ["ba.test", "test", "mail.b.test"] {
            assert!(text(other).contains(&format!("\n; in its own zone: {other}. ")), "{other}");
        }
    }
}
