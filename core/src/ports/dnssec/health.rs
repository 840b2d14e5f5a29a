//! Whether the name servers pass signatures on.
//!
//! Behind a resolver that strips them every answer under the root would be bogus, and no mail would
//! go anywhere. So until the signature of the root zone has been seen once, its absence means that
//! there is no DNSSEC here; after that it means an attack or a fault, and is bogus as elsewhere.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use hickory_resolver::{
    net::{
        DnsError as NetDnsError, DnsHandle as _, NetError, dnssec::DnssecDnsHandle,
        xfer::FirstAnswer as _,
    },
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
};
use tokio::{sync::Mutex, time::Instant};

use super::{is_signature, options, upstream::Upstream};

/// What the name servers have to say about the root zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is signed, and the signature verifies.
    Works,
    /// It has no signature.
    Stripped,
    /// It has a signature that does not verify.
    Bogus,
    /// Nothing: nobody answers.
    Silent,
}

impl Verdict {
    /// How long it holds, unless it is final.
    const fn holds(self) -> Duration {
        match self {
            Self::Silent => Duration::from_secs(5),
            _ => Duration::from_mins(1),
        }
    }
}

/// What is known so far.
#[derive(Default)]
pub(super) struct Health {
    works: AtomicBool,
    last: Mutex<Option<(Instant, Verdict)>>,
}

impl Health {
    /// Whether answers can be validated here. False: they are to be taken as they come.
    pub(super) async fn is_usable(&self, handle: &DnssecDnsHandle<Upstream>) -> bool {
        if self.works.load(Ordering::Relaxed) {
            return true;
        }
        let mut last = self.last.lock().await;
        if let Some((at, verdict)) = *last
            && at.elapsed() < verdict.holds()
        {
            return verdict != Verdict::Stripped;
        }
        let verdict = probe(handle).await;
        if last.is_none_or(|(_, before)| before != verdict) {
            tell(verdict);
        }
        *last = Some((Instant::now(), verdict));
        self.works.store(verdict == Verdict::Works, Ordering::Relaxed);
        verdict != Verdict::Stripped
    }
}

/// Asks for the SOA record of the root zone: every signed answer is proven by the same keys.
async fn probe(handle: &DnssecDnsHandle<Upstream>) -> Verdict {
    let query = Query::query(Name::root(), RecordType::SOA);
    let response = match Box::pin(handle.lookup(query, options()).first_answer()).await {
        Ok(response) => response,
        Err(NetError::Dns(NetDnsError::Nsec { response, .. })) => *response,
        Err(NetError::Dns(_)) => return Verdict::Stripped,
        Err(_) => return Verdict::Silent,
    };
    let is_soa = |kind: RecordType| kind == RecordType::SOA;
    let mut soa = response.answers.iter().filter(|record| is_soa(record.record_type()));
    if soa.any(|record| record.proof.is_secure()) {
        Verdict::Works
    } else if response.answers.iter().any(is_signature) {
        Verdict::Bogus
    } else {
        Verdict::Stripped
    }
}

fn tell(verdict: Verdict) {
    metrics::gauge!("posthouse_dns_dnssec_works").set(if verdict == Verdict::Works {
        1.0
    } else {
        0.0
    });
    match verdict {
        Verdict::Works => tracing::info!("DNSSEC works: answers of DNS are validated"),
        Verdict::Stripped => tracing::warn!(
            "the DNS servers pass no DNSSEC signatures on: no answer is validated, and there is no \
             DANE. Use servers that do, or set delivery.dnssec = \"off\""
        ),
        Verdict::Bogus => tracing::error!(
            "the signatures of the DNS root zone do not verify: no mail is sent to other domains. \
             Look at the clock of this machine, at delivery.trust_anchors_file and at the DNS servers"
        ),
        Verdict::Silent => tracing::warn!("the DNS servers do not answer"),
    }
}
