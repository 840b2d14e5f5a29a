//! TLS towards other servers: opportunistic (RFC 7435) or verified (RFC 8314, RFC 6125).
//!
//! Opportunistic connections take any certificate, but a certificate that does verify for the name
//! of the host is recorded as `pkix`. DANE and MTA-STS are not looked at here.

use std::{io, net::IpAddr, sync::Arc};

use posthouse_core::ports::transport::TlsInfo;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ProtocolVersion, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Recorded when the certificate was not or could not be verified.
pub(super) const OPPORTUNISTIC: &str = "opportunistic";
/// Recorded when the certificate is valid for the name of the host.
pub(super) const PKIX: &str = "pkix";

/// What must be true of the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assurance {
    /// Nothing.
    Any,
    /// It verifies for the host name, up to a trusted root.
    Verified,
}

/// The configurations for outgoing TLS, made once.
pub(super) struct TlsClients {
    any: TlsConnector,
    verified: TlsConnector,
    /// `None` when there are no roots: nothing verifies then.
    verifier: Option<Arc<WebPkiServerVerifier>>,
}

impl TlsClients {
    /// Prepares both kinds of client.
    pub(super) fn new(roots: Arc<RootCertStore>) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let any = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider.clone())))
            .with_no_client_auth();
        let strict = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let verifier = if roots.is_empty() {
            None
        } else {
            let built = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            Some(built.map_err(|error| rustls::Error::General(error.to_string()))?)
        };
        Ok(Self { any: Arc::new(any).into(), verified: Arc::new(strict).into(), verifier })
    }

    /// Makes the handshake and tells what came of it.
    pub(super) async fn connect(
        &self,
        tcp: TcpStream,
        host: (&str, IpAddr),
        assurance: Assurance,
    ) -> io::Result<(Box<TlsStream<TcpStream>>, TlsInfo)> {
        let (connector, name) = match (assurance, server_name(host.0)) {
            (Assurance::Verified, Some(name)) => (&self.verified, name),
            (Assurance::Verified, None) => {
                return Err(io::Error::other("the host name cannot be in a certificate"));
            }
            (Assurance::Any, Some(name)) => (&self.any, name),
            (Assurance::Any, None) => (&self.any, ServerName::IpAddress(host.1.into())),
        };
        let stream = connector.connect(name.clone(), tcp).await?;
        let session = stream.get_ref().1;
        let verified = assurance == Assurance::Verified || self.verifies(session, &name);
        let facts = facts(session, if verified { PKIX } else { OPPORTUNISTIC });
        Ok((Box::new(stream), facts))
    }

    fn verifies(&self, session: &ClientConnection, name: &ServerName<'_>) -> bool {
        let chain = session.peer_certificates().and_then(<[_]>::split_first);
        let (Some(verifier), Some((leaf, intermediates))) = (&self.verifier, chain) else {
            return false;
        };
        verifier.verify_server_cert(leaf, intermediates, name, &[], UnixTime::now()).is_ok()
    }
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

/// Takes any certificate, but only from a server that holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
