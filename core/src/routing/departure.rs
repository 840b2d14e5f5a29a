//! What a transport does, read from the settings of its row.

use std::{net::IpAddr, sync::Arc};

use super::{
    Kind, Transport,
    transports::{KEY_PURPOSE, PURPOSE},
};
use crate::{
    config::SmartHost,
    error::Result,
    platform::Platform,
    ports::{
        DnsError,
        transport::{ClientCertificate, Credentials, IpVersion, Login, Origin, Proxy, Tls},
    },
    vault::Vault,
};

/// What a transport does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the exchangers of the recipient.
    Direct(Departure),
    /// To this host.
    Relay(Arc<SmartHost>),
    /// Nowhere.
    Fail { code: u16, text: String },
}

impl Default for Way {
    fn default() -> Self {
        Self::Direct(Departure::default())
    }
}

/// How mail for exchangers leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Departure {
    /// Only this version of IP.
    pub ip: Option<IpVersion>,
    origin: Origin,
    proxy: Option<NamedProxy>,
}

/// A proxy whose addresses are not looked up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NamedProxy {
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

impl Departure {
    /// How connections leave now: the proxy's name is looked up; an error says what is wrong.
    pub(crate) async fn origin(&self, platform: &Platform) -> Result<Origin, String> {
        let mut origin = self.origin.clone();
        if let Some(NamedProxy { host, port, credentials }) = &self.proxy {
            let failed = |error: DnsError| format!("proxy {host}: {error}");
            let addresses = match host.parse::<IpAddr>() {
                Ok(address) => vec![address],
                Err(_) => platform.resolver().addresses(host).await.map_err(failed)?,
            };
            let credentials = credentials.clone();
            origin.proxy = Some(Proxy { addresses, port: *port, credentials });
        }
        Ok(origin)
    }
}

/// Reads the row of a transport; an error: it cannot be used.
pub(super) fn way(vault: &Vault, transport: Transport) -> Result<Way> {
    if transport.kind == Kind::Fail {
        return Ok(Way::Fail {
            code: transport.code.and_then(|code| u16::try_from(code).ok()).unwrap_or(554),
            text: transport.reply.unwrap_or_default(),
        });
    }
    let credentials = credentials(vault, &transport)?;
    let origin = Origin {
        addresses: transport.source_addresses.iter().filter_map(|text| text.parse().ok()).collect(),
        ehlo_name: transport.ehlo_name.as_deref().map(Arc::from),
        proxy: None,
    };
    let host = transport.host.clone().unwrap_or_default();
    let port = transport.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    if transport.kind.looks_up() {
        let ip = match transport.ip_version.as_deref() {
            Some("ipv4") => Some(IpVersion::V4),
            Some("ipv6") => Some(IpVersion::V6),
            _ => None,
        };
        let proxy = NamedProxy { host, port, credentials };
        let proxy = (transport.kind == Kind::Socks5).then_some(proxy);
        return Ok(Way::Direct(Departure { ip, origin, proxy }));
    }
    let tls = match transport.tls.as_deref() {
        Some("never") => Tls::Never,
        Some("opportunistic") => Tls::Opportunistic,
        Some("implicit") => Tls::Implicit,
        _ => Tls::Required,
    };
    let login = Login {
        credentials,
        certificate: certificate(vault, &transport)?,
        mechanisms: transport.auth_mechanisms.iter().filter_map(|name| name.parse().ok()).collect(),
        unverified: transport.insecure_auth,
    };
    Ok(Way::Relay(Arc::new(SmartHost { host, port, tls, login, origin })))
}

fn credentials(vault: &Vault, transport: &Transport) -> Result<Option<Credentials>> {
    let (Some(username), Some(sealed)) = (&transport.username, &transport.password) else {
        return Ok(None);
    };
    let password = open(vault, PURPOSE, sealed)?;
    Ok(Some(Credentials { username: username.clone(), password }))
}

fn certificate(vault: &Vault, transport: &Transport) -> Result<Option<Arc<ClientCertificate>>> {
    let (Some(chain), Some(sealed)) = (&transport.client_certificate, &transport.client_key) else {
        return Ok(None);
    };
    let key = open(vault, KEY_PURPOSE, sealed)?;
    Ok(Some(Arc::new(ClientCertificate { chain: chain.clone(), key })))
}

fn open(vault: &Vault, purpose: &str, sealed: &[u8]) -> Result<String> {
    Ok(String::from_utf8_lossy(&vault.open(purpose, sealed)?).into_owned())
}
