//! From a session to what reports say of it, policy by policy (RFC 8460 §4.3, §4.4).

use posthouse_mail::tls_report::{FailureDetails, Policy};

use crate::{
    mta_sts::{self, Fault, Mode, Sts},
    ports::transport::{Checks, Host, Session, TlsFailure, Tlsa},
};

/// What came of a session under a policy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub policy: Policy,
    /// None: it was successful.
    pub failure: Option<FailureDetails>,
}

/// A type of result and, where that says too little, a reason code.
type Failure = (&'static str, Option<&'static str>);

/// What came of a session with `host` for a recipient in `domain`: under each of its policies, or
/// under `no-policy-found`.
pub(super) fn outcomes(domain: &str, sts: &Sts, host: &Host, session: &Session) -> Vec<Outcome> {
    let under_sts = sts_policy(domain, sts, &host.name, session.checks);
    let under_dane = dane_policy(host, session.checks);
    let is_without = under_sts.is_none() && under_dane.is_none();
    let without = session.checks.filter(|_| is_without).map(|checks| {
        let policy = policy("no-policy-found", domain);
        (policy, checks.tls.map_err(of_negotiation))
    });
    let (under_sts, under_dane) = (under_sts.flatten(), under_dane.flatten());
    let all = [under_sts, under_dane, without].into_iter().flatten();
    let outcome = |(policy, result): (Policy, Result<(), Failure>)| Outcome {
        policy,
        failure: result.err().map(|failure| details(failure, session)),
    };
    all.map(outcome).collect()
}

fn policy(kind: &str, domain: &str) -> Policy {
    Policy { policy_type: kind.to_owned(), policy_domain: domain.to_owned(), ..Policy::default() }
}

/// None: there is no policy; none within: it was not looked at.
#[expect(clippy::option_option, reason = "no policy, no result and a result are three things")]
fn sts_policy(
    domain: &str,
    sts: &Sts,
    host: &str,
    checks: Option<Checks>,
) -> Option<Option<(Policy, Result<(), Failure>)>> {
    let mut policy = policy("sts", domain);
    let found = match sts {
        Sts::Absent => return None,
        Sts::Found(found) if found.mode == Mode::None => return None,
        Sts::Unavailable(fault, _) => return Some(Some((policy, Err(of_fetch(*fault))))),
        Sts::Found(found) => found,
    };
    policy.policy_string = lines(found);
    policy.mx_host.clone_from(&found.mx);
    if !found.covers(host) {
        return Some(Some((policy, Err(("validation-failure", Some("mx-mismatch"))))));
    }
    Some(checks.map(|checks| (policy, checks.tls.and(checks.pkix).map_err(of_negotiation))))
}

/// The lines of a policy, as RFC 8461 §3.2 writes them.
fn lines(policy: &mta_sts::Policy) -> Vec<String> {
    let mut lines = vec!["version: STSv1".to_owned(), format!("mode: {}", policy.mode)];
    lines.extend(policy.mx.iter().map(|mx| format!("mx: {mx}")));
    lines.push(format!("max_age: {}", policy.max_age_seconds));
    lines
}

/// The same of TLSA records, which are those of the mail exchanger.
#[expect(clippy::option_option, reason = "no policy, no result and a result are three things")]
fn dane_policy(
    host: &Host,
    checks: Option<Checks>,
) -> Option<Option<(Policy, Result<(), Failure>)>> {
    let mut policy = policy("tlsa", &host.name);
    if host.security.dane_unknown {
        return Some(Some((policy, Err(("dnssec-invalid", None)))));
    }
    let dane = host.security.dane.as_ref()?;
    if dane.records.is_empty() {
        return Some(Some((policy, Err(("tlsa-invalid", None)))));
    }
    policy.policy_string = dane.records.iter().map(presentation).collect();
    let checked = checks.and_then(|checks| checks.dane);
    Some(checked.map(|result| (policy, result.map_err(of_negotiation))))
}

/// A record as zone files write it (RFC 6698 §2.2).
fn presentation(record: &Tlsa) -> String {
    let Tlsa { usage, selector, matching, data } = record;
    format!("{usage} {selector} {matching} {}", hex::encode(data))
}

const fn of_fetch(fault: Fault) -> Failure {
    match fault {
        Fault::Fetch => ("sts-policy-fetch-error", None),
        Fault::Invalid => ("sts-policy-invalid", None),
        Fault::Certificate => ("sts-webpki-invalid", None),
    }
}

const fn of_negotiation(failure: TlsFailure) -> Failure {
    match failure {
        TlsFailure::StartTlsNotSupported => ("starttls-not-supported", None),
        TlsFailure::CertificateHostMismatch => ("certificate-host-mismatch", None),
        TlsFailure::CertificateExpired => ("certificate-expired", None),
        TlsFailure::CertificateNotTrusted => ("certificate-not-trusted", None),
        TlsFailure::Validation(code) => ("validation-failure", Some(code)),
    }
}

fn details((result_type, code): Failure, session: &Session) -> FailureDetails {
    FailureDetails {
        result_type: result_type.to_owned(),
        sending_mta_ip: session.local_address.map(|address| address.to_string()),
        receiving_mx_hostname: Some(session.host.to_string()),
        receiving_mx_helo: session.helo.clone(),
        receiving_ip: Some(session.remote_address.to_string()),
        failed_session_count: 0,
        additional_information: None,
        failure_reason_code: code.map(str::to_owned),
    }
}
