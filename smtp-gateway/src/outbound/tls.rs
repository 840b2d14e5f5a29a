//! TLS towards other servers: opportunistic (RFC 7435) or verified (RFC 8314, RFC 6125).
//!
//! Opportunistic connections take any certificate, but a certificate that does verify for the name
//! of the host is recorded as `pkix`. What TLSA records ask for is in `dane.rs`.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use posthouse_core::ports::transport::{Checks, ClientCertificate, Dane, TlsFailure, TlsInfo};
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, ProtocolVersion, RootCertStore,
    client::{Resumption, WantsClientCert, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    dane::{DaneVerifier, Pkix, Verdict},
    failure,
};

/// Recorded when the certificate was not or could not be verified.
pub(super) const OPPORTUNISTIC: &str = "opportunistic";
/// Recorded when the certificate is valid for the name of the host.
pub(super) const PKIX: &str = "pkix";
/// Recorded when the certificate is the one that TLSA records ask for.
pub(super) const DANE: &str = "dane";

/// What must be true of the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assurance<'a> {
    /// Nothing.
    Any,
    /// It verifies for the host name, up to a trusted root.
    Verified,
    /// The TLSA records ask for it; with `pkix` it is verified as well.
    Dane { dane: &'a Arc<Dane>, pkix: bool },
}

/// The configurations for outgoing TLS, made once.
pub(super) struct TlsClients {
    provider: Arc<CryptoProvider>,
    any: TlsConnector,
    verified: TlsConnector,
    /// `None` when there are no roots: nothing verifies then.
    verifier: Option<Arc<WebPkiServerVerifier>>,
}

/// How to make one connection.
struct Handshake {
    connector: TlsConnector,
    /// Goes into SNI.
    name: ServerName<'static>,
    /// What is proven when it succeeds; `None` when nothing is asked for.
    proves: Option<&'static str>,
    /// What TLSA records made of the certificate, if there are any.
    verdict: Option<Arc<OnceLock<Verdict>>>,
}

/// A connection that is protected, and what is known of that.
type Secured = (Box<TlsStream<TcpStream>>, TlsInfo);

impl TlsClients {
    /// Prepares both kinds of client.
    pub(super) fn new(roots: Arc<RootCertStore>) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let any = client(&provider, Arc::new(DaneVerifier::any(provider.clone())))?;
        let strict = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let verifier = if roots.is_empty() {
            None
        } else {
            let built = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
            let built = built.build();
            Some(built.map_err(|error| rustls::Error::General(error.to_string()))?)
        };
        let (any, strict) = (Arc::new(any).into(), Arc::new(strict).into());
        Ok(Self { provider, any, verified: strict, verifier })
    }

    /// Makes the handshake and tells what came of it.
    pub(super) async fn connect(
        &self,
        tcp: TcpStream,
        host: (&str, IpAddr),
        assurance: Assurance<'_>,
        certificate: Option<&ClientCertificate>,
    ) -> (io::Result<Secured>, Checks) {
        let unusable = Checks::failed(TlsFailure::Validation("host-name-invalid"));
        let prepared = match self.prepare(host, assurance, certificate) {
            Ok(handshake) => handshake,
            Err(error) => return (Err(error), unusable),
        };
        let Handshake { connector, name, proves, verdict } = prepared;
        let made = connector.connect(name, tcp).await;
        let verdict = verdict.and_then(|verdict| verdict.get().copied());
        let stream = match made {
            Ok(stream) => stream,
            Err(error) => {
                let checks = failed(failure::of_handshake(&error), verdict);
                return (Err(error), checks);
            }
        };
        let session = stream.get_ref().1;
        let pkix = match (proves, verdict) {
            (_, Some(verdict)) => verdict.pkix,
            (Some(_), None) => Ok(()),
            (None, None) => self.verify(session, host.0),
        };
        let otherwise = if pkix.is_ok() { PKIX } else { OPPORTUNISTIC };
        let facts = facts(session, proves.unwrap_or(otherwise));
        let checks = Checks { tls: Ok(()), pkix, dane: verdict.map(|verdict| verdict.dane) };
        (Ok((Box::new(stream), facts)), checks)
    }

    fn prepare(
        &self,
        host: (&str, IpAddr),
        assurance: Assurance<'_>,
        certificate: Option<&ClientCertificate>,
    ) -> io::Result<Handshake> {
        let unnamed = || ServerName::IpAddress(host.1.into());
        let named = || {
            let wrong = || io::Error::other("the host name cannot be in a certificate");
            server_name(host.0).ok_or_else(wrong)
        };
        Ok(match assurance {
            Assurance::Any => Handshake {
                connector: match certificate {
                    Some(own) => {
                        self.showing(own, Arc::new(DaneVerifier::any(self.provider.clone())))?
                    }
                    None => self.any.clone(),
                },
                name: named().unwrap_or_else(|_| unnamed()),
                proves: None,
                verdict: None,
            },
            Assurance::Verified => Handshake {
                connector: match (certificate, &self.verifier) {
                    (Some(own), Some(verifier)) => self.showing(own, verifier.clone())?,
                    _ => self.verified.clone(),
                },
                name: named()?,
                proves: Some(PKIX),
                verdict: None,
            },
            // Only smart hosts are shown a certificate, and they have no DANE.
            Assurance::Dane { dane, pkix } => {
                let wanted = if pkix {
                    Pkix::Required(self.verifier.clone(), named()?)
                } else {
                    match server_name(host.0) {
                        Some(name) => Pkix::Noted(self.verifier.clone(), name),
                        None => Pkix::NotAskedFor,
                    }
                };
                let (connector, verdict) = self.dane(dane, wanted).map_err(io::Error::other)?;
                // RFC 7672 §8.1: SNI has the base domain of the TLSA records.
                let name = dane.names.first().and_then(|base| server_name(base));
                let name = name.unwrap_or_else(unnamed);
                let unproven = dane.records.is_empty();
                let proves = if unproven { pkix.then_some(PKIX) } else { Some(DANE) };
                Handshake { connector, name, proves, verdict: Some(verdict) }
            }
        })
    }

    /// A client for these records and names only. It keeps no sessions: one that is resumed would
    /// not be verified again, and the records may have changed.
    fn dane(
        &self,
        dane: &Arc<Dane>,
        pkix: Pkix,
    ) -> Result<(TlsConnector, Arc<OnceLock<Verdict>>), rustls::Error> {
        let verifier = DaneVerifier::new(dane.clone(), pkix, self.provider.clone());
        let verdict = verifier.verdict();
        let mut config = client(&self.provider, Arc::new(verifier))?;
        config.resumption = Resumption::disabled();
        Ok((Arc::new(config).into(), verdict))
    }

    /// A client with a certificate of its own. It keeps no sessions: each has to show it anew.
    fn showing(
        &self,
        own: &ClientCertificate,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> io::Result<TlsConnector> {
        let (chain, key) = own.read().map_err(io::Error::other)?;
        let mut config = with_verifier(&self.provider, verifier)
            .and_then(|builder| builder.with_client_auth_cert(chain, key))
            .map_err(io::Error::other)?;
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config).into())
    }

    /// Whether the certificate verifies for `host`, though nobody has asked for that.
    fn verify(&self, session: &ClientConnection, host: &str) -> Result<(), TlsFailure> {
        let chain = session.peer_certificates().and_then(<[_]>::split_first);
        let (Some(verifier), Some((leaf, intermediates))) = (&self.verifier, chain) else {
            return Err(TlsFailure::CertificateNotTrusted);
        };
        let name = server_name(host).ok_or(TlsFailure::Validation("host-name-invalid"))?;
        let done = verifier.verify_server_cert(leaf, intermediates, &name, &[], UnixTime::now());
        done.map(drop).map_err(|error| failure::of_tls(&error))
    }
}

/// What a handshake that failed says of each: when the certificate was not the reason, all failed.
fn failed(failure: TlsFailure, verdict: Option<Verdict>) -> Checks {
    match verdict {
        Some(Verdict { pkix, dane }) if pkix.is_err() || dane.is_err() => {
            Checks { tls: Err(failure), pkix, dane: Some(dane) }
        }
        _ => Checks::failed(failure),
    }
}

fn client(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig, rustls::Error> {
    Ok(with_verifier(provider, verifier)?.with_no_client_auth())
}

fn with_verifier(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host).ok().map(|name| name.to_owned())
}

fn facts(session: &ClientConnection, verification: &'static str) -> TlsInfo {
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "unknown",
    };
    // rustls names the suites of TLS 1.3 `TLS13_…`; IANA has no version in the name.
    let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let cipher = suite.unwrap_or("unknown").replacen("TLS13_", "TLS_", 1);
    TlsInfo { version: version.to_owned(), cipher, verification }
}
