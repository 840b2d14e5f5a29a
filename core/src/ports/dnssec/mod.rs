//! Look-ups that tell whether DNSSEC proves their answer (E1), for DANE.
//!
//! Either hickory validates up from the trust anchors, or a resolver that is trusted does and says
//! so with the AD bit. Decision 0026 says what is done about resolvers that strip signatures.

mod health;
mod judge;
mod upstream;

use std::{sync::Arc, time::Duration};

use hickory_resolver::{
    config::{NameServerConfig, ResolverOpts},
    net::{
        DnsError as NetDnsError, DnsHandle as _, NetError, dnssec::DnssecDnsHandle,
        xfer::FirstAnswer as _,
    },
    proto::{
        dnssec::{Proof, TrustAnchors},
        op::{DnsRequest, DnsRequestOptions, Query, ResponseCode},
        rr::{Name, RData, Record, RecordType},
    },
};

use self::{
    health::Health,
    judge::{Reply, bogus, judge},
    upstream::Upstream,
};
use super::resolver::{DnsError, Proven};

/// Aliases followed before giving up (C5).
const MAX_ALIASES: usize = 16;
/// How long one look-up may take with everything that its proof needs.
const PATIENCE: Duration = Duration::from_secs(20);
const VERDICTS_KEPT: usize = 20_000;

/// Where proofs come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// Nowhere: no answer is proven, and there is no DANE.
    #[default]
    Off,
    /// From the name servers, which validate and are reached over a way that nobody else can
    /// write to: their AD bit counts (RFC 6840 §5.8).
    TrustAd,
    /// From signatures, up to the keys of the root zone.
    Validate {
        /// DNSKEY records to trust, one a line, in place of the keys of the root that we know;
        /// those stay when there is none for the root.
        anchors: Option<String>,
    },
}

/// A look-up with what proves it.
pub(super) struct Found {
    pub(super) data: Proven<Vec<RData>>,
    /// The name at the end of the aliases.
    pub(super) name: Name,
    /// The first alias, or the data if there is none, is proven.
    pub(super) first_is_secure: bool,
}

/// Asks for proven answers.
pub(super) struct Prover {
    upstream: Upstream,
    /// None: the AD bit counts.
    validator: Option<Validator>,
}

struct Validator {
    handle: DnssecDnsHandle<Upstream>,
    health: Health,
}

impl Prover {
    /// Nothing when no answer is to be proven.
    pub(super) fn new(
        dnssec: &Dnssec,
        servers: Vec<NameServerConfig>,
        options: ResolverOpts,
    ) -> Result<Option<Self>, DnsError> {
        let anchors = match dnssec {
            Dnssec::Off => return Ok(None),
            Dnssec::TrustAd => None,
            Dnssec::Validate { anchors } => Some(trust_anchors(anchors.as_deref())?),
        };
        let upstream = Upstream::new(servers, options)
            .map_err(|error| DnsError::Temporary(error.to_string()))?;
        let validator = anchors.map(|anchors| {
            let handle = DnssecDnsHandle::with_trust_anchor(upstream.clone(), Arc::new(anchors));
            let handle = handle.validation_cache_size(VERDICTS_KEPT);
            Validator { handle, health: Health::default() }
        });
        Ok(Some(Self { upstream, validator }))
    }

    /// Whether proofs can be had at all; asks the name servers when that is not known yet.
    pub(super) async fn is_usable(&self) -> bool {
        match &self.validator {
            Some(validator) => validator.health.is_usable(&validator.handle).await,
            None => true,
        }
    }

    /// Looks up, follows aliases, and tells whether all of it is proven.
    pub(super) async fn look_up(&self, name: Name, kind: RecordType) -> Found {
        let mut chain = Chain { name, aliases: 0, secure: true, first_is_secure: None };
        let found = tokio::time::timeout(PATIENCE, self.follow(&mut chain, kind)).await;
        let late = || Err(DnsError::Temporary("DNS does not answer in time".to_owned()));
        let answer = found.unwrap_or_else(|_| late());
        metrics::counter!("posthouse_dns_proofs_total", "result" => chain.result(&answer))
            .increment(1);
        let secure = chain.secure && !matches!(answer, Err(DnsError::Temporary(_)));
        Found {
            data: Proven { answer, secure },
            first_is_secure: chain.first_is_secure.unwrap_or(false),
            name: chain.name,
        }
    }

    async fn follow(&self, chain: &mut Chain, kind: RecordType) -> Result<Vec<RData>, DnsError> {
        loop {
            match self.ask(Query::query(chain.name.clone(), kind)).await? {
                Reply::Records(records) => {
                    if let Some(data) = chain.walk(&records, kind)? {
                        return Ok(data);
                    }
                }
                Reply::Denied { error, secure } => {
                    chain.step(secure);
                    return Err(error);
                }
            }
        }
    }

    async fn ask(&self, query: Query) -> Result<Reply, DnsError> {
        let Some(validator) = &self.validator else { return self.ask_trusted(query).await };
        let looked = Box::pin(validator.handle.lookup(query.clone(), options()).first_answer());
        match looked.await {
            Ok(response) => judge(&query, response, Proof::Secure),
            Err(NetError::Dns(NetDnsError::Nsec { response, proof, .. })) => {
                judge(&query, *response, proof)
            }
            Err(error) => Err(DnsError::Temporary(error.to_string())),
        }
    }

    /// Denials come without the AD bit: they count as not proven.
    async fn ask_trusted(&self, query: Query) -> Result<Reply, DnsError> {
        let mut request = DnsRequest::from_query(query.clone(), options());
        request.metadata.authentic_data = true;
        match self.upstream.send(request).first_answer().await {
            Ok(mut response) => {
                let authentic = response.metadata.authentic_data;
                let proof = if authentic { Proof::Secure } else { Proof::Insecure };
                for record in response.answers.iter_mut().filter(|record| !is_signature(record)) {
                    record.proof = proof;
                }
                judge(&query, response, proof)
            }
            Err(NetError::Dns(NetDnsError::NoRecordsFound(denial))) => {
                let is_nx = denial.response_code == ResponseCode::NXDomain;
                let error = if is_nx { DnsError::NoName } else { DnsError::NoRecord };
                Ok(Reply::Denied { error, secure: false })
            }
            Err(error) => Err(DnsError::Temporary(error.to_string())),
        }
    }
}

fn is_signature(record: &Record) -> bool {
    record.record_type() == RecordType::RRSIG
}

fn options() -> DnsRequestOptions {
    let mut options = DnsRequestOptions::default();
    options.edns_set_dnssec_ok = true;
    options
}

fn trust_anchors(text: Option<&str>) -> Result<TrustAnchors, DnsError> {
    let Some(text) = text else { return Ok(TrustAnchors::default()) };
    let wrong = |error| DnsError::Temporary(format!("the trust anchors cannot be read: {error}"));
    let mut anchors: TrustAnchors = text.parse().map_err(wrong)?;
    if anchors.is_empty() {
        let known = TrustAnchors::default();
        for key in (0..known.len()).filter_map(|at| known.get(at)) {
            anchors.insert(key);
        }
    }
    Ok(anchors)
}

/// The way from a name to its data.
struct Chain {
    name: Name,
    aliases: usize,
    secure: bool,
    first_is_secure: Option<bool>,
}

impl Chain {
    /// Goes as far as the records lead; gives the data when they are there.
    fn walk(
        &mut self,
        records: &[Record],
        kind: RecordType,
    ) -> Result<Option<Vec<RData>>, DnsError> {
        loop {
            let data = self.take(records, kind)?;
            if !data.is_empty() {
                return Ok(Some(data));
            }
            let alias = self.take(records, RecordType::CNAME)?;
            let Some(RData::CNAME(target)) = alias.first() else { return Ok(None) };
            self.name = target.0.clone();
            self.aliases += 1;
            if self.aliases > MAX_ALIASES {
                let text = format!("the name is an alias through more than {MAX_ALIASES} others");
                return Err(DnsError::Temporary(text));
            }
        }
    }

    fn take(&mut self, records: &[Record], kind: RecordType) -> Result<Vec<RData>, DnsError> {
        let mut taken = Vec::new();
        for record in records {
            if record.name != self.name || record.record_type() != kind {
                continue;
            }
            match record.proof {
                Proof::Secure => self.step(true),
                Proof::Insecure => self.step(false),
                Proof::Bogus | Proof::Indeterminate => return Err(bogus(&self.name)),
            }
            taken.push(record.data.clone());
        }
        Ok(taken)
    }

    fn step(&mut self, secure: bool) {
        self.secure &= secure;
        self.first_is_secure.get_or_insert(secure);
    }

    const fn result(&self, answer: &Result<Vec<RData>, DnsError>) -> &'static str {
        match answer {
            Err(DnsError::Temporary(_)) => "failed",
            _ if self.secure => "secure",
            _ => "insecure",
        }
    }
}
