//! The resolver of production: hickory as a caching stub, asking the configured name servers.
//!
//! DNSSEC validation is not done here; it comes with DANE.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolveHosts, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData, RecordType},
};

use super::resolver::{DnsError, Mx, Resolver};

/// Look-ups through hickory-resolver.
pub struct HickoryResolver {
    inner: TokioResolver,
}

impl HickoryResolver {
    /// Asks `servers`, or those of `/etc/resolv.conf` when there are none.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, DnsError> {
        let temporary = |error: NetError| DnsError::Temporary(error.to_string());
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(temporary)?
        } else {
            let servers = servers.iter().copied().map(name_server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = Duration::from_secs(3);
        options.attempts = 2;
        options.cache_size = 10_000;
        options.ndots = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.positive_max_ttl = Some(Duration::from_hours(1));
        options.negative_max_ttl = Some(Duration::from_mins(5));
        // Answers of the aliases on the way are wanted by nobody: the chain is walked explicitly.
        options.preserve_intermediates = true;
        Ok(Self { inner: builder.build().map_err(temporary)? })
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
        let data = self.lookup(name, kind).await?;
        Ok(data
            .into_iter()
            .filter_map(|data| match data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                _ => None,
            })
            .collect())
    }
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
        let data = self.lookup(name, RecordType::MX).await?;
        let records: Vec<Mx> = data
            .into_iter()
            .filter_map(|data| match data {
                RData::MX(mx) => {
                    Some(Mx { preference: mx.preference, exchange: plain(&mx.exchange) })
                }
                _ => None,
            })
            .collect();
        if records.is_empty() { Err(DnsError::NoRecord) } else { Ok(records) }
    }

    async fn cname(&self, name: &str) -> Result<Option<Arc<str>>, DnsError> {
        match self.lookup(name, RecordType::CNAME).await {
            Ok(data) => Ok(data.into_iter().find_map(|data| match data {
                RData::CNAME(target) => Some(plain(&target.0)),
                _ => None,
            })),
            Err(DnsError::NoRecord) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, DnsError> {
        let (v6, v4) = tokio::join!(
            self.lookup_addresses(name, RecordType::AAAA),
            self.lookup_addresses(name, RecordType::A)
        );
        let mut addresses = Vec::new();
        let mut failure = DnsError::NoRecord;
        for found in [v6, v4] {
            match found {
                Ok(found) => addresses.extend(found),
                Err(error @ DnsError::Temporary(_)) => failure = error,
                Err(DnsError::NoName) if failure == DnsError::NoRecord => {
                    failure = DnsError::NoName;
                }
                Err(DnsError::NoName | DnsError::NoRecord) => {}
            }
        }
        if addresses.is_empty() { Err(failure) } else { Ok(addresses) }
    }

    async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError> {
        let data = self.lookup(name, RecordType::TXT).await?;
        Ok(data
            .into_iter()
            .filter_map(|data| match data {
                RData::TXT(txt) => {
                    Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned())
                }
                _ => None,
            })
            .collect())
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
}
