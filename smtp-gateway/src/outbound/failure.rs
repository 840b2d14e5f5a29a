//! What errors of TLS mean to reports about it (RFC 8460 §4.3.1): by their types, never their texts.

use std::io;

use posthouse_core::ports::transport::TlsFailure;
use rustls::CertificateError;

/// Of a handshake.
pub(super) fn of_handshake(error: &io::Error) -> TlsFailure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or(TlsFailure::Validation("connection-lost"), of_tls)
}

/// Of TLS.
pub(super) fn of_tls(error: &rustls::Error) -> TlsFailure {
    match error {
        rustls::Error::InvalidCertificate(error) => of_certificate(error),
        rustls::Error::AlertReceived(_) => TlsFailure::Validation("tls-alert"),
        rustls::Error::PeerIncompatible(_) => TlsFailure::Validation("tls-incompatible"),
        _ => TlsFailure::Validation("tls-error"),
    }
}

fn of_certificate(error: &CertificateError) -> TlsFailure {
    match error {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFailure::CertificateHostMismatch
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsFailure::CertificateExpired,
        // The issuer has the name of one that is trusted, but another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            TlsFailure::CertificateNotTrusted
        }
        _ => TlsFailure::Validation("certificate-invalid"),
    }
}

/// Of a chain up to the trust anchor of a TLSA record.
pub(super) const fn of_chain(error: &webpki::Error) -> TlsFailure {
    match error {
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => {
            TlsFailure::CertificateExpired
        }
        _ => TlsFailure::CertificateNotTrusted,
    }
}
