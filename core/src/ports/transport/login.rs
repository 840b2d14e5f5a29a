//! Logging in at a host that takes mail for us: with what, and how.

use std::{fmt, str::FromStr, sync::Arc};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// How to log in at a smart host, if at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Login {
    /// Name and password.
    pub credentials: Option<Credentials>,
    /// Shown in the TLS handshake, and what EXTERNAL stands on.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The mechanisms that may be used; none named: whatever is safe there.
    pub mechanisms: Vec<Mechanism>,
    /// Also to a server that has not proved who it is. Passwords themselves (PLAIN, LOGIN) only
    /// when `mechanisms` names them.
    pub unverified: bool,
}

impl Login {
    /// Whether there is nothing to log in with.
    pub const fn is_none(&self) -> bool {
        self.credentials.is_none() && self.certificate.is_none()
    }
}

impl From<Credentials> for Login {
    fn from(credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..Self::default() }
    }
}

/// User name and password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// Authentication identity.
    pub username: String,
    /// Password; never shown by `Debug`.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A certificate of ours with its key, as PEM.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The certificate, and those up to its authority.
    pub chain: String,
    /// Its private key; never shown by `Debug`.
    pub key: String,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

impl ClientCertificate {
    /// The certificates, at least one, and the key.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CertificateFault> {
        let chain = certificates(&self.chain).ok_or(CertificateFault::Chain)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        Ok((chain, key.map_err(|_| CertificateFault::Key)?))
    }
}

/// What is wrong with a certificate of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// No certificates.
    #[error("the certificate cannot be read")]
    Chain,
    /// No key.
    #[error("the key of the certificate cannot be read")]
    Key,
}

/// All certificates of a PEM text, unless there are none or one is broken.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.ok().filter(|chain| !chain.is_empty())
}

/// A SASL mechanism of the client (RFC 4422).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4422, appendix A: whoever the certificate belongs to.
    External,
    /// RFC 7677 with channel binding.
    ScramSha256Plus,
    /// RFC 5802 with channel binding.
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802.
    ScramSha1,
    /// RFC 2195.
    CramMd5,
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login.
    Login,
}

impl Mechanism {
    /// All, the strongest first: nothing secret leaves us, both sides prove themselves for this very
    /// connection, both prove themselves, only we do, the password itself is sent.
    pub const ALL: [Self; 8] = [
        Self::External,
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::CramMd5,
        Self::Plain,
        Self::Login,
    ];

    /// Name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::CramMd5 => "CRAM-MD5",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// Whether the server gets the password itself.
    pub const fn shows_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login)
    }

    /// Whether it is bound to the TLS connection.
    pub const fn binds(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }
}

impl FromStr for Mechanism {
    type Err = ();

    /// In any case, as in the reply to EHLO.
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}
