//! The resolver of production: hickory as a caching stub, asking the configured name servers.
//!
//! Look-ups with a proof go another way than plain ones: see [`Dnssec`].

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData, RecordType},
    system_conf::read_system_conf,
};

pub use super::dnssec::Dnssec;
use mail_auth::{MessageAuthenticator, SpfResult, spf::verify::SpfParameters};

use super::{
    dnssec::{Found, Prover},
    resolver::{DnsError, Location, Mx, Proven, Resolver},
    transport::Tlsa,
};

/// Look-ups through hickory-resolver.
pub struct HickoryResolver {
    inner: TokioResolver,
    /// None: no answer is proven.
    prover: Option<Prover>,
}

impl HickoryResolver {
    /// Asks `servers`, or those of `/etc/resolv.conf` when there are none.
    ///
    /// # Errors
    /// The settings of the system or the trust anchors cannot be read.
    pub fn new(servers: &[SocketAddr], dnssec: &Dnssec) -> Result<Self, DnsError> {
        let temporary = |error: NetError| DnsError::Temporary(error.to_string());
        let (config, mut options) = if servers.is_empty() {
            read_system_conf().map_err(temporary)?
        } else {
            let servers = servers.iter().copied().map(name_server).collect();
            (ResolverConfig::from_parts(None, Vec::new(), servers), ResolverOpts::default())
        };
        options.timeout = Duration::from_secs(3);
        options.attempts = 2;
        options.cache_size = 10_000;
        options.ndots = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.positive_max_ttl = Some(Duration::from_hours(1));
        options.negative_max_ttl = Some(Duration::from_mins(5));
        // Answers of the aliases on the way are wanted by nobody: the chain is walked explicitly.
        options.preserve_intermediates = true;
        let prover = Prover::new(dnssec, config.name_servers().to_vec(), options.clone())?;
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        *builder.options_mut() = options;
        Ok(Self { inner: builder.build().map_err(temporary)?, prover })
    }

    /// Finds out whether the name servers pass DNSSEC on, and says so in the log. Without this the
    /// first look-up does it.
    pub async fn check_dnssec(&self) {
        if let Some(prover) = &self.prover {
            prover.is_usable().await;
        }
    }

    /// A look-up with a proof; nothing where there are no proofs to be had.
    async fn prove(&self, name: &str, kind: RecordType) -> Option<Found> {
        let prover = self.prover.as_ref()?;
        let name = absolute(name).ok()?;
        if !Box::pin(prover.is_usable()).await {
            return None;
        }
        Some(Box::pin(prover.look_up(name, kind)).await)
    }

    async fn lookup(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, DnsError> {
        let name = absolute(name)?;
        let lookup = self.inner.lookup(name, kind).await.map_err(|error| dns_error(&error))?;
        Ok(lookup.answers().iter().map(|record| record.data.clone()).collect())
    }

    async fn lookup_addresses(
        &self,
        name: &str,
        kind: RecordType,
    ) -> Result<Vec<IpAddr>, DnsError> {
        self.lookup(name, kind).await.map(ip_addresses)
    }
}

fn ip_addresses(data: Vec<RData>) -> Vec<IpAddr> {
    let address = |data| match data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    };
    data.into_iter().filter_map(address).collect()
}

fn mx_records(data: Vec<RData>) -> Result<Vec<Mx>, DnsError> {
    let record = |data| match data {
        RData::MX(mx) => Some(Mx { preference: mx.preference, exchange: plain(&mx.exchange) }),
        _ => None,
    };
    let records: Vec<Mx> = data.into_iter().filter_map(record).collect();
    if records.is_empty() { Err(DnsError::NoRecord) } else { Ok(records) }
}

/// Texts of the TXT records, each joined.
fn texts(data: Vec<RData>) -> Vec<String> {
    let text = |data| match data {
        RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        _ => None,
    };
    data.into_iter().filter_map(text).collect()
}

fn alias(data: Result<Vec<RData>, DnsError>) -> Result<Option<Arc<str>>, DnsError> {
    match data {
        Ok(data) => Ok(data.into_iter().find_map(|data| match data {
            RData::CNAME(target) => Some(plain(&target.0)),
            _ => None,
        })),
        Err(DnsError::NoRecord) => Ok(None),
        Err(error) => Err(error),
    }
}

fn tlsa_records(data: Vec<RData>) -> Vec<Tlsa> {
    let record = |data| match data {
        RData::TLSA(tlsa) => Some(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data,
        }),
        _ => None,
    };
    data.into_iter().filter_map(record).collect()
}

/// The addresses of both versions, or the failure that says most.
fn both(found: [Result<Vec<IpAddr>, DnsError>; 2]) -> Result<Vec<IpAddr>, DnsError> {
    let mut addresses = Vec::new();
    let mut failure = DnsError::NoRecord;
    for found in found {
        match found {
            Ok(found) => addresses.extend(found),
            Err(error @ DnsError::Temporary(_)) => failure = error,
            Err(DnsError::NoName) if failure == DnsError::NoRecord => failure = DnsError::NoName,
            Err(DnsError::NoName | DnsError::NoRecord) => {}
        }
    }
    if addresses.is_empty() { Err(failure) } else { Ok(addresses) }
}

/// One place of both look-ups. It is proven when whatever was found is.
fn location(found: [Found; 2]) -> Proven<Location> {
    let is_known = |found: &&Found| found.data.answer.is_ok();
    let known = || found.iter().filter(is_known);
    let secure = if known().next().is_some() {
        known().all(|found| found.data.secure)
    } else {
        found.iter().all(|found| found.data.secure)
    };
    let alias_is_secure = known().all(|found| found.first_is_secure);
    let name = known().next().map(|found| plain(&found.name)).unwrap_or_default();
    let answers = found.map(|found| found.data.answer.map(ip_addresses));
    let answer = both(answers).map(|addresses| Location { addresses, name, alias_is_secure });
    Proven { answer, secure }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

fn absolute(name: &str) -> Result<Name, DnsError> {
    let mut name = Name::from_ascii(name).map_err(|_| DnsError::NoName)?;
    name.set_fqdn(true);
    Ok(name)
}

fn plain(name: &Name) -> Arc<str> {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase().into()
}

fn dns_error(error: &NetError) -> DnsError {
    if error.is_nx_domain() {
        return DnsError::NoName;
    }
    if error.is_no_records_found() {
        return DnsError::NoRecord;
    }
    DnsError::Temporary(error.to_string())
}

#[async_trait]
impl Resolver for HickoryResolver {
    async fn mx(&self, name: &str) -> Result<Vec<Mx>, DnsError> {
        mx_records(self.lookup(name, RecordType::MX).await?)
    }

    async fn cname(&self, name: &str) -> Result<Option<Arc<str>>, DnsError> {
        alias(self.lookup(name, RecordType::CNAME).await)
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, DnsError> {
        let (v6, v4) = tokio::join!(
            self.lookup_addresses(name, RecordType::AAAA),
            self.lookup_addresses(name, RecordType::A)
        );
        both([v6, v4])
    }

    async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError> {
        Ok(texts(self.lookup(name, RecordType::TXT).await?))
    }

    async fn reverse(&self, address: IpAddr) -> Result<Vec<Arc<str>>, DnsError> {
        let name = Name::from(address).to_ascii();
        let data = self.lookup(&name, RecordType::PTR).await?;
        Ok(data
            .into_iter()
            .filter_map(|data| match data {
                RData::PTR(name) => Some(plain(&name.0)),
                _ => None,
            })
            .collect())
    }

    async fn proven_mx(&self, name: &str) -> Proven<Vec<Mx>> {
        match self.prove(name, RecordType::MX).await {
            Some(found) => found.data.and_then(mx_records),
            None => Proven::insecure(self.mx(name).await),
        }
    }

    async fn proven_cname(&self, name: &str) -> Proven<Option<Arc<str>>> {
        match self.prove(name, RecordType::CNAME).await {
            Some(Found { data: Proven { answer, secure }, .. }) => {
                Proven { answer: alias(answer), secure }
            }
            None => Proven::insecure(self.cname(name).await),
        }
    }

    async fn locate(&self, name: &str) -> Proven<Location> {
        let (v6, v4) =
            tokio::join!(self.prove(name, RecordType::AAAA), self.prove(name, RecordType::A));
        if let (Some(v6), Some(v4)) = (v6, v4) {
            return location([v6, v4]);
        }
        let found = self.addresses(name).await;
        Proven::insecure(found.map(|addresses| Location {
            addresses,
            name: name.into(),
            alias_is_secure: false,
        }))
    }

    async fn proven_txt(&self, name: &str) -> Proven<Vec<String>> {
        match self.prove(name, RecordType::TXT).await {
            Some(found) => found.data.and_then(|data| Ok(texts(data))),
            None => Proven::insecure(self.txt(name).await),
        }
    }

    async fn spf(&self, address: IpAddr, domain: &str, helo: &str) -> SpfResult {
        let authenticator = MessageAuthenticator(self.inner.clone());
        let sender = format!("postmaster@{domain}");
        let question = SpfParameters::verify_mail_from(address, helo, helo, &sender);
        Box::pin(authenticator.verify_spf(question)).await.result()
    }

    async fn tlsa(&self, name: &str) -> Proven<Vec<Tlsa>> {
        match self.prove(name, RecordType::TLSA).await {
            Some(found) => found.data.and_then(|data| Ok(tlsa_records(data))),
            None => Proven::insecure(Err(DnsError::NoRecord)),
        }
    }
}
