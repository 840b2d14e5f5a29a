//! Certificates for the mail servers of a test.

use std::{fs, path::Path, sync::Arc};

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use posthouse_core::ports::transport::ClientCertificate;
use posthouse_server::tls::{LocalCertificates, SessionTickets, server_config};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData as _,
};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use tempfile::TempDir;
use time::Duration;

use crate::app::App;

/// A mail server's certificate with the authority that issued it, for TLSA records.
pub struct Chain {
    /// Sends the certificate and that of the authority.
    pub server: Arc<ServerConfig>,
    leaf: [Vec<u8>; 2],
    authority: [Vec<u8>; 2],
}

impl Chain {
    /// Makes both; nobody else has a reason to trust them.
    pub fn new(host: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "An authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = issuer.as_ref().der().clone();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap().der().clone();
        let secret = PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.clone(), authority.clone()], secret.into())
            .unwrap();
        Self {
            server: Arc::new(server),
            leaf: [leaf.to_vec(), key.subject_public_key_info()],
            authority: [authority.to_vec(), issuer.key().subject_public_key_info()],
        }
    }

    /// The data of a TLSA record, such as of kind `[3, 1, 1]`.
    pub fn tlsa(&self, [usage, selector, matching]: [u8; 3]) -> Vec<u8> {
        let of = if usage % 2 == 0 { &self.authority } else { &self.leaf };
        let octets = &of[usize::from(selector)];
        match matching {
            1 => digest(&SHA256, octets).as_ref().to_vec(),
            2 => digest(&SHA512, octets).as_ref().to_vec(),
            _ => octets.clone(),
        }
    }
}

/// A mail server that asks its clients for a certificate, and takes those without one too.
pub struct Asking {
    /// Its configuration.
    pub server: Arc<ServerConfig>,
    /// Trust its certificate.
    pub roots: Arc<RootCertStore>,
    /// A certificate that it trusts, with its key.
    pub own: Arc<ClientCertificate>,
}

impl Asking {
    /// Makes both certificates; `version` is all of TLS that the server knows.
    pub fn new(host: &str, version: &'static SupportedProtocolVersion) -> Self {
        let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
        let own = rcgen::generate_simple_self_signed(["client.test".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut known = RootCertStore::empty();
        known.add(own.cert.der().clone()).unwrap();
        let known = Arc::new(known);
        let verifier = WebPkiClientVerifier::builder_with_provider(known, provider.clone());
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let own = ClientCertificate { chain: own.cert.pem(), key: own.signing_key.serialize_pem() };
        Self { server: Arc::new(server), roots: Arc::new(roots), own: Arc::new(own) }
    }
}

/// A certificate that nobody has a reason to trust.
pub fn untrusted(host: &str) -> Arc<ServerConfig> {
    issue(tempfile::tempdir().unwrap().path(), host, Duration::ZERO)
}

/// A certificate of the authority that the server of the test trusts.
pub fn trusted(app: &App, host: &str) -> Arc<ServerConfig> {
    issued_ago(app, host, Duration::ZERO)
}

/// The same with the data of a TLSA record of kind `[3, 0, 1]` for it.
pub fn trusted_with_tlsa(app: &App, host: &str) -> (Arc<ServerConfig>, Vec<u8>) {
    let dir = authority(app);
    let server = issue(dir.path(), host, Duration::ZERO);
    let leaf = CertificateDer::from_pem_file(dir.path().join("tls/cert.pem")).unwrap();
    (server, digest(&SHA256, &leaf).as_ref().to_vec())
}

/// The same, but its time is over.
pub fn expired(app: &App, host: &str) -> Arc<ServerConfig> {
    issued_ago(app, host, Duration::days(1000))
}

fn issued_ago(app: &App, host: &str, age: Duration) -> Arc<ServerConfig> {
    issue(authority(app).path(), host, age)
}

/// A directory with a copy of the authority of the test.
fn authority(app: &App) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tls")).unwrap();
    for file in ["ca.pem", "ca-key.pem", "ca-issued.json"] {
        let to = dir.path().join("tls").join(file);
        fs::copy(app.tls_dir().join(file), to).unwrap();
    }
    dir
}

fn issue(dir: &Path, host: &str, age: Duration) -> Arc<ServerConfig> {
    #[expect(clippy::disallowed_methods, reason = "TLS clients check it against the real time")]
    let now = time::OffsetDateTime::now_utc();
    let files = LocalCertificates::ensure(dir, &[host.to_owned()], now - age).unwrap();
    server_config(&files.cert_file, &files.key_file, &[], SessionTickets::Off).unwrap()
}
