//! What a domain asks of others: DMARC, MTA-STS, reports of TLS.

use futures_util::future::join_all;

use super::{Check, probe::Probe};
use crate::{
    mta_sts::{self, Served},
    ports::DnsError,
};

/// Most report addresses that are looked at.
const MAX_ADDRESSES: usize = 10;

/// The value of a tag in a list such as `v=DKIM1; p=…` (RFC 6376 §3.2).
pub(super) fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let tags = text.split(';').filter_map(|tag| tag.split_once('='));
    tags.map(|(known, value)| (known.trim(), value.trim()))
        .find_map(|(known, value)| (known == name).then_some(value))
}

/// The only record that begins with `version`; what is wrong is said.
async fn only(probe: &Probe<'_>, check: &mut Check, name: &str, version: &str) -> Option<String> {
    let found = probe.resolver().proven_txt(name).await;
    check.secure = Some(found.secure);
    let missing = format!("there is no record {version} at {name}");
    let mut records = match found.answer {
        Err(error @ DnsError::Temporary(_)) => {
            check.unknown(error.to_string());
            return None;
        }
        answer => answer.unwrap_or_default(),
    };
    let is_ours =
        |text: &String| tag(text, "v") == Some(version) && text.trim_start().starts_with('v');
    records.retain(is_ours);
    for record in &records {
        check.show(record);
    }
    match records.len() {
        0 if check.required => check.error(missing),
        0 => check.warn(missing),
        1 => return records.pop(),
        _ => check.error(format!("there are several records {version}: others use none of them")),
    }
    None
}

/// DMARC (RFC 7489): one record that asks for something, and reports that are sent.
pub(super) async fn dmarc(probe: &Probe<'_>) -> Check {
    let mut check = Check::new("dmarc", true);
    let name = format!("_dmarc.{}", probe.domain.name);
    let Some(record) = only(probe, &mut check, &name, "DMARC1").await else {
        if !check.errors.is_empty() {
            let reports = format!("rua=mailto:postmaster@{}", probe.domain.name);
            check.advise(format!("publish one TXT at {name}: v=DMARC1; p=reject; {reports}"));
        }
        return check;
    };
    match tag(&record, "p") {
        Some("reject" | "quarantine") => {}
        Some("none") => check.warn("p=none: forged mail is not refused"),
        _ => check.error("the record has no p=none, p=quarantine or p=reject"),
    }
    if tag(&record, "pct").is_some_and(|part| part != "100") {
        check.warn("pct: the policy holds for a part of the mail only");
    }
    let Some(uris) = tag(&record, "rua") else {
        check.warn("without rua nobody reports what is sent in the name of the domain");
        return check;
    };
    let targets = report_domains(&mut check, uris, &probe.domain.name);
    let accepted = targets.iter().map(|target| accepts_reports(probe, target));
    let accepted: Vec<_> = join_all(accepted).await;
    for (target, is_accepted) in targets.iter().zip(accepted) {
        let record = format!("{}._report._dmarc.{target}", probe.domain.name);
        match is_accepted {
            Ok(true) => {}
            Ok(false) => {
                check.warn(format!(
                    "reports to {target} are not sent unless it belongs to the same organisation: \
                     it does not agree to take them (RFC 7489 §7.1)"
                ));
                check.advise(format!("have TXT published at {record}: v=DMARC1"));
            }
            Err(error) => check.warn(format!("{record}: {error}")),
        }
    }
    check
}

/// Domains that reports go to and that are to agree to that.
fn report_domains(check: &mut Check, uris: &str, own: &str) -> Vec<String> {
    let mut domains = Vec::new();
    for uri in uris.split(',').map(str::trim).take(MAX_ADDRESSES) {
        // RFC 7489 §6.2: a size may follow.
        let address = uri.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
        let address = address.and_then(|_| uri.get(7..)).and_then(|rest| rest.split('!').next());
        let domain = address.and_then(|address| address.rsplit_once('@')).map(|(_, domain)| domain);
        let Some(Ok(domain)) = domain.map(posthouse_mail::domain::normalise) else {
            check.warn("rua has something else than mailto: addresses");
            continue;
        };
        if !is_related(&domain, own) && !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains
}

/// Whether one of the domains is the other, or below it: then no consent is needed.
fn is_related(one: &str, other: &str) -> bool {
    let is_below = |name: &str, parent: &str| {
        name.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    is_below(one, other) || is_below(other, one)
}

async fn accepts_reports(probe: &Probe<'_>, target: &str) -> Result<bool, DnsError> {
    let name = format!("{}._report._dmarc.{target}", probe.domain.name);
    match probe.resolver().txt(&name).await {
        Ok(records) => Ok(records.iter().any(|text| tag(text, "v") == Some("DMARC1"))),
        Err(DnsError::NoName | DnsError::NoRecord) => Ok(false),
        Err(error) => Err(error),
    }
}

/// MTA-STS (RFC 8461): if there is a policy, it can be fetched and names this server.
pub(super) async fn mta_sts(probe: &Probe<'_>) -> Check {
    let mut check = Check::new("mta_sts", false);
    match mta_sts::served(probe.platform, &probe.domain.name).await {
        Served::Nothing => check.warn("the domain has no MTA-STS policy"),
        Served::Unknown => check.unknown("the record could not be looked up"),
        Served::Failed(error) => {
            check.error(format!("others cannot fetch the policy that DNS tells of: {error}"));
        }
        Served::Policy { mode, mx, covers_us } => {
            check.show(&format!("mode: {}; mx: {}", mode.as_str(), mx.join(", ")));
            if !covers_us && mode == mta_sts::Mode::Enforce {
                check.error("the policy does not name this server: others do not deliver to it");
            } else if !covers_us {
                check.warn("the policy does not name this server");
            } else if mode != mta_sts::Mode::Enforce {
                check.warn("the policy is not enforced");
            }
        }
    }
    check
}

/// TLSRPT (RFC 8460 §3): one record with somewhere to report to.
pub(super) async fn tls_rpt(probe: &Probe<'_>) -> Check {
    let mut check = Check::new("tls_rpt", false);
    let name = format!("_smtp._tls.{}", probe.domain.name);
    let Some(record) = only(probe, &mut check, &name, "TLSRPTv1").await else {
        return check;
    };
    let is_good = |uri: &str| {
        let uri = uri.trim().to_ascii_lowercase();
        uri.starts_with("mailto:") || uri.starts_with("https://")
    };
    if !tag(&record, "rua").is_some_and(|uris| uris.split(',').all(is_good)) {
        check.error("rua has to name mailto: or https: addresses");
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_to_another_organisation_need_its_consent() {
        let domains = |uris: &str| {
            let mut check = Check::new("dmarc", true);
            let domains = report_domains(&mut check, uris, "mail.a.test");
            (domains.join(" "), check.warnings.len())
        };
        assert_eq!(domains("mailto:x@mail.a.test, MAILTO:x@a.test!10m"), (String::new(), 0));
        assert_eq!(domains("mailto:x@b.test!1,mailto:y@B.test"), ("b.test".to_owned(), 0));
        assert_eq!(domains("mailto:x@ba.test"), ("ba.test".to_owned(), 0));
        assert_eq!(domains("https://a.test/,x@a.test,mailto:x"), (String::new(), 3));
    }

    #[test]
    fn tags_are_found_by_their_name() {
        assert_eq!(tag("v=DMARC1;p = none ; sp=reject", "p"), Some("none"));
        assert_eq!(tag("v=DMARC1; pp=none", "p"), None);
        assert_eq!(tag("", "p"), None);
    }
}
