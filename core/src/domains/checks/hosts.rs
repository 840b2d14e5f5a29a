//! Where mail of a domain comes in, and from where it may go out.

use std::net::IpAddr;

use futures_util::future::join_all;

use super::{Check, Status, probe::Probe};
use crate::ports::{DnsError, Mx, SpfResult};

/// Most mail exchangers that are looked at.
const MAX_EXCHANGERS: usize = 10;
/// Most names of an address that are looked at.
const MAX_NAMES: usize = 5;

/// MX: leads here, to names with addresses.
pub(super) async fn mx(probe: &Probe<'_>) -> Check {
    let mut check = Check::new("mx", true);
    let name = &probe.domain.name;
    let found = probe.resolver().proven_mx(name).await;
    check.secure = Some(found.secure);
    let Some(mut records) = check.answer(found.answer, "there is no MX record") else {
        check.advise(format!("publish MX at {name}: 10 {}.", probe.hostname()));
        return check;
    };
    for record in &records {
        check.show(&format!("{} {}.", record.preference, record.exchange));
    }
    if records.iter().any(|record| record.exchange.is_empty()) {
        check.error("a null MX record says that the domain takes no mail (RFC 7505)");
        return check;
    }
    records.truncate(MAX_EXCHANGERS);
    let ours = join_all(records.iter().map(|record| exchanger(probe, record))).await;
    let mut leads_here = false;
    for (record, (is_ours, problems)) in records.iter().zip(ours) {
        leads_here |= is_ours;
        if !is_ours {
            check.warn(format!("{} is another server", record.exchange));
        }
        for problem in problems {
            match problem {
                Ok(error) => check.error(error),
                Err(doubt) => check.unknown(doubt),
            }
        }
    }
    // As long as addresses are not known, it may well lead here.
    if !leads_here && check.status != Status::Unknown {
        check.error("no MX record leads to this server");
        check.advise(format!("publish MX at {name}: 10 {}.", probe.hostname()));
    }
    check
}

/// Whether an exchanger is this server; errors, and what is not known.
async fn exchanger(probe: &Probe<'_>, record: &Mx) -> (bool, Vec<Result<String, String>>) {
    let name = &*record.exchange;
    let (addresses, alias) =
        tokio::join!(probe.resolver().addresses(name), probe.resolver().cname(name));
    let mut problems = Vec::new();
    if let Ok(Some(_)) = alias {
        problems.push(Ok(format!("{name} is an alias, which an MX may not name (RFC 5321 §5.1)")));
    }
    let is_here = |addresses: &[IpAddr]| addresses.iter().any(|one| probe.own().contains(one));
    let is_ours = name == probe.hostname();
    match addresses {
        Ok(addresses) => (is_ours || is_here(&addresses), problems),
        Err(error @ DnsError::Temporary(_)) => {
            problems.push(Err(format!("{name}: {error}")));
            (is_ours, problems)
        }
        Err(_) => {
            problems.push(Ok(format!("{name} has no addresses")));
            (is_ours, problems)
        }
    }
}

/// SPF (RFC 7208): one record, which lets the addresses of this server send.
pub(super) async fn spf(probe: &Probe<'_>) -> Check {
    let mut check = Check::new("spf", true);
    let name = &probe.domain.name;
    let advice = format!("publish TXT at {name}: v=spf1 mx ~all");
    let found = probe.resolver().proven_txt(name).await;
    check.secure = Some(found.secure);
    let Some(mut records) = check.answer(found.answer, "there is no SPF record") else {
        check.advise(advice);
        return check;
    };
    // RFC 7208 §4.5
    records.retain(|text| {
        text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("v=spf1"))
            && matches!(text.as_bytes().get(6), None | Some(b' '))
    });
    for record in &records {
        check.show(record);
    }
    match records.as_slice() {
        [] => {
            check.error("there is no SPF record");
            check.advise(advice);
            return check;
        }
        [record] if record.split(' ').any(|term| matches!(term, "all" | "+all")) => {
            check.warn("+all lets everybody send for the domain");
        }
        [_] => {}
        _ => {
            check.error("there are several SPF records where one may be (RFC 7208 §3.2)");
            return check;
        }
    }
    may_send(probe, &mut check).await;
    check
}

/// Whether the addresses of this server may send, in the eyes of another one.
async fn may_send(probe: &Probe<'_>, check: &mut Check) {
    if let Some(host) = &probe.platform.config().delivery.smart_host {
        let host = &host.host;
        return check.warn(format!("mail goes out through {host}: see that SPF lets it send"));
    }
    let Some(own) = check.answer(probe.addresses.clone(), "the host name has no addresses") else {
        return;
    };
    let (resolver, name) = (probe.resolver(), probe.domain.name.as_str());
    let results = own.iter().map(|address| resolver.spf(*address, name, probe.hostname()));
    for (address, result) in own.iter().zip(join_all(results).await) {
        match result {
            SpfResult::Pass => {}
            SpfResult::TempError => check.unknown(format!("SPF of {address} is not known for now")),
            SpfResult::PermError => check.error("the SPF record cannot be evaluated"),
            SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral | SpfResult::None => {
                check.error(format!("{address} of this server may not send for the domain"));
                check.advise(format!("add a:{} to the SPF record", probe.hostname()));
            }
        }
    }
}

/// The addresses of this server have names that lead back to them (RFC 8601 §3).
pub(super) async fn reverse(probe: &Probe<'_>) -> Check {
    let mut check = Check::new("reverse_dns", false);
    let Some(own) = check.answer(probe.addresses.clone(), "the host name has no addresses") else {
        return check;
    };
    let names = join_all(own.iter().map(|address| probe.resolver().reverse(*address))).await;
    for (address, names) in own.iter().zip(names) {
        let Some(names) = check.answer(names, &format!("{address} has no PTR record")) else {
            check.advise(format!("have {address} named {} by whoever gave it", probe.hostname()));
            continue;
        };
        for name in &names {
            check.show(&format!("{address} {name}"));
        }
        let leads_back = async |name: &str| {
            let found = probe.resolver().addresses(name).await;
            found.is_ok_and(|found| found.contains(address))
        };
        let names = names.iter().take(MAX_NAMES);
        let confirmed = join_all(names.clone().map(|name| leads_back(name))).await;
        if !confirmed.contains(&true) {
            check.error(format!("no name of {address} leads back to it"));
        } else if !names.clone().any(|name| **name == *probe.hostname()) {
            check.warn(format!("{address} has another name than {}", probe.hostname()));
        }
    }
    check
}

/// Whether DNSSEC protects what says where mail goes.
pub(super) fn dnssec(mx: &Check) -> Check {
    let mut check = Check::new("dnssec", false);
    check.secure = mx.secure;
    match mx.status {
        Status::Unknown => check.unknown("the MX records could not be looked up"),
        _ if mx.secure == Some(true) => {}
        _ => {
            check.warn("DNSSEC does not prove where mail of the domain goes");
            check.advise(
                "sign the zone, and have its DS record put into the zone above; if it is signed, \
                 see that the resolver of this server passes DNSSEC on",
            );
        }
    }
    check
}
