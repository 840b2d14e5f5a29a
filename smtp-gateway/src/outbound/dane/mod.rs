//! Whether a certificate is the one that TLSA records ask for (RFC 7672 §3, RFC 7671 §5).
//!
//! Which records count was decided before, in core. Not done: names in the CN of a subject, and
//! certificates of version 1, neither of which rustls takes.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use posthouse_core::ports::transport::{Dane, TlsFailure, Tlsa};
use rustls::{
    CertificateError, DigitallySignedStruct, OtherError, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime},
};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::failure;

const TRUST_ANCHOR: u8 = 2;
const END_ENTITY: u8 = 3;
const PUBLIC_KEY: u8 = 1;
/// What DER puts before the contents of a SEQUENCE: a tag and one to three octets of length.
const LONGEST_HEADER: usize = 4;

/// Whether the certificate has to verify the usual way too.
#[derive(Debug)]
pub(super) enum Pkix {
    NotAskedFor,
    /// It is only noted whether it would, for this name.
    Noted(Option<Arc<WebPkiServerVerifier>>, ServerName<'static>),
    /// For this name; nothing verifies without a verifier.
    Required(Option<Arc<WebPkiServerVerifier>>, ServerName<'static>),
}

impl Pkix {
    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let (Self::Noted(verifier, name) | Self::Required(verifier, name)) = self else {
            return Err(CertificateError::NotValidForName.into());
        };
        let verifier = verifier.as_ref().ok_or(CertificateError::UnknownIssuer)?;
        verifier.verify_server_cert(leaf, chain, name, &[], now).map(drop)
    }
}

/// What was found out about a certificate, whether or not it was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub(super) pkix: Result<(), TlsFailure>,
    pub(super) dane: Result<(), TlsFailure>,
}

/// Takes a certificate that the records ask for; any, when there are none.
#[derive(Debug)]
pub(super) struct DaneVerifier {
    dane: Arc<Dane>,
    pkix: Pkix,
    provider: Arc<CryptoProvider>,
    /// About the first certificate.
    verdict: Arc<OnceLock<Verdict>>,
}

impl DaneVerifier {
    pub(super) fn new(dane: Arc<Dane>, pkix: Pkix, provider: Arc<CryptoProvider>) -> Self {
        Self { dane, pkix, provider, verdict: Arc::default() }
    }

    /// Where the verdict will be.
    pub(super) fn verdict(&self) -> Arc<OnceLock<Verdict>> {
        Arc::clone(&self.verdict)
    }

    /// Takes any certificate, but only from a server that holds its key.
    pub(super) fn any(provider: Arc<CryptoProvider>) -> Self {
        let nothing = Dane { records: Vec::new(), names: Vec::new() };
        Self::new(Arc::new(nothing), Pkix::NotAskedFor, provider)
    }

    fn records(&self, usage: u8) -> impl Iterator<Item = &Tlsa> {
        self.dane.records.iter().filter(move |record| record.usage == usage)
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Mismatch> {
        if self.dane.records.is_empty() {
            return Ok(());
        }
        // RFC 7672 §3.1.1: the server is bound to this key. Names and dates say nothing more.
        if self.records(END_ENTITY).any(|record| matches(record, leaf)) {
            return Ok(());
        }
        let anchors: Vec<_> = self
            .records(TRUST_ANCHOR)
            .flat_map(|record| trust_anchors(record, leaf, chain))
            .collect();
        if anchors.is_empty() {
            return Err(Mismatch::NoRecord);
        }
        self.check_chain(leaf, chain, &anchors, now)
    }

    /// RFC 7672 §3.1.2: a valid chain up to the trust anchor, for one of the names of §3.2.2.
    fn check_chain(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        anchors: &[TrustAnchor<'_>],
        now: UnixTime,
    ) -> Result<(), Mismatch> {
        let leaf = EndEntityCert::try_from(leaf).map_err(Mismatch::Chain)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let usage = KeyUsage::server_auth();
        leaf.verify_for_usage(algorithms, anchors, chain, now, usage, None, None)
            .map_err(Mismatch::Chain)?;
        let is_for = |name: &Arc<str>| {
            let name = ServerName::try_from(&**name).ok();
            name.is_some_and(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok())
        };
        if self.dane.names.iter().any(is_for) { Ok(()) } else { Err(Mismatch::Name) }
    }
}

/// Why a certificate is not the one that is asked for.
enum Mismatch {
    NoRecord,
    Chain(webpki::Error),
    Name,
}

impl Mismatch {
    const fn failure(&self) -> TlsFailure {
        match self {
            Self::NoRecord => TlsFailure::Validation("tlsa-mismatch"),
            Self::Chain(error) => failure::of_chain(error),
            Self::Name => TlsFailure::CertificateHostMismatch,
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord => f.write_str("DANE: no TLSA record matches it"),
            Self::Chain(error) => write!(f, "DANE: no valid chain to the trust anchor: {error}"),
            Self::Name => f.write_str("DANE: it is not for the name of the host or the domain"),
        }
    }
}

/// rustls shows this form to people.
impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Mismatch {}

/// RFC 6698 §2.1.2 and §2.1.3.
fn matches(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    if record.selector != PUBLIC_KEY {
        return agrees(record, certificate);
    }
    let parsed = EndEntityCert::try_from(certificate);
    parsed.is_ok_and(|parsed| agrees(record, &parsed.subject_public_key_info()))
}

fn agrees(record: &Tlsa, octets: &[u8]) -> bool {
    match record.matching {
        0 => record.data == octets,
        1 => record.data == digest(&SHA256, octets).as_ref(),
        2 => record.data == digest(&SHA512, octets).as_ref(),
        _ => false,
    }
}

/// The trust anchors that a record names: certificates of the chain that it matches, or what it
/// has in full itself, which servers need not send (RFC 7671 §5.2.2).
fn trust_anchors<'a>(
    record: &'a Tlsa,
    leaf: &'a CertificateDer<'a>,
    chain: &'a [CertificateDer<'a>],
) -> Vec<TrustAnchor<'a>> {
    let sent = chain.iter().filter(|certificate| matches(record, certificate));
    let mut anchors: Vec<_> =
        sent.filter_map(|certificate| anchor_from_trusted_cert(certificate).ok()).collect();
    match (record.matching, record.selector) {
        (0, PUBLIC_KEY) => anchors.extend(bare_key(record, leaf, chain)),
        (0, _) => anchors.extend(whole_certificate(record)),
        _ => {}
    }
    anchors
}

fn whole_certificate(record: &Tlsa) -> Option<TrustAnchor<'_>> {
    // The anchor borrows from the certificate, which is made here: so it has to be made its own.
    let certificate = CertificateDer::from(record.data.as_slice());
    anchor_from_trusted_cert(&certificate).ok().map(|anchor| anchor.to_owned())
}

/// A key has no name: it may be the one of whoever issued any certificate of the chain.
fn bare_key<'a>(
    record: &'a Tlsa,
    leaf: &'a CertificateDer<'a>,
    chain: &'a [CertificateDer<'a>],
) -> impl Iterator<Item = TrustAnchor<'a>> {
    let key = contents(&record.data);
    std::iter::once(leaf).chain(chain).filter_map(move |certificate| {
        let parsed = EndEntityCert::try_from(certificate).ok()?;
        Some(TrustAnchor {
            subject: parsed.issuer().to_vec().into(),
            subject_public_key_info: key?.into(),
            name_constraints: None,
        })
    })
}

/// The contents of a SEQUENCE of at most 65,535 octets.
fn contents(der: &[u8]) -> Option<&[u8]> {
    let header = match der.get(1)? {
        0x81 => LONGEST_HEADER - 1,
        0x82 => LONGEST_HEADER,
        _ => LONGEST_HEADER - 2,
    };
    der.get(header..)
}

impl ServerCertVerifier for DaneVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pkix = self.pkix.check(end_entity, intermediates, now);
        let dane = self.check(end_entity, intermediates, now);
        self.verdict.get_or_init(|| Verdict {
            pkix: pkix.as_ref().copied().map_err(failure::of_tls),
            dane: dane.as_ref().copied().map_err(Mismatch::failure),
        });
        if matches!(self.pkix, Pkix::Required(..)) {
            pkix?;
        }
        dane.map_err(|mismatch| CertificateError::Other(OtherError(Arc::new(mismatch))))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
