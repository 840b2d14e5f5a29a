//! Signing keys: made and parsed once, shared by all deliveries of a domain.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// A key could not be made, read or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The DER is no private key of the algorithm, or is too small.
    #[error("not a usable private key")]
    Rejected,
    /// The crypto library failed.
    #[error("the key operation failed")]
    Failed,
}

/// `a=` of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RFC 6376 §3.3.1, with keys of 2048 bits.
    #[serde(rename = "rsa-sha256")]
    RsaSha256,
    /// RFC 8463.
    #[serde(rename = "ed25519-sha256")]
    Ed25519Sha256,
}

impl Algorithm {
    /// The name in `a=`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }
}

/// A private key ready to sign.
pub struct SigningKey(Inner);

enum Inner {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// Says the algorithm only: a private key is never shown.
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.algorithm().as_str())
    }
}

/// An RSA key of PKCS #1 (RFC 8017 §A.1.2) as PKCS #8.
///
/// # Errors
/// When the DER is no such key, or it has fewer than 2048 bits.
pub fn rsa_to_pkcs8(der: &[u8]) -> Result<Vec<u8>, KeyError> {
    let key = RsaKeyPair::from_der(der).map_err(|_| KeyError::Rejected)?;
    let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key);
    Ok(der.map_err(|_| KeyError::Failed)?.as_ref().to_vec())
}

impl SigningKey {
    /// A new RSA key of 2048 bits as PKCS#8 DER; takes about a tenth of a second.
    ///
    /// # Errors
    /// When the random source or the library fails.
    pub fn generate_rsa() -> Result<Vec<u8>, KeyError> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Failed)?;
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key);
        Ok(der.map_err(|_| KeyError::Failed)?.as_ref().to_vec())
    }

    /// A new Ed25519 key as PKCS#8 DER.
    ///
    /// # Errors
    /// When the random source or the library fails.
    pub fn generate_ed25519() -> Result<Vec<u8>, KeyError> {
        let der = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new());
        Ok(der.map_err(|_| KeyError::Failed)?.as_ref().to_vec())
    }

    /// Reads a private key.
    ///
    /// # Errors
    /// When the DER is not a key of the algorithm; RSA keys under 2048 bits are refused.
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        let inner = match algorithm {
            Algorithm::RsaSha256 => {
                RsaKeyPair::from_pkcs8(der).map(|key| Inner::Rsa(Box::new(key)))
            }
            Algorithm::Ed25519Sha256 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                .map(|key| Inner::Ed25519(Box::new(key))),
        };
        inner.map(Self).map_err(|_| KeyError::Rejected)
    }

    /// Bits of the modulus of an RSA key.
    pub fn rsa_bits(&self) -> Option<usize> {
        match &self.0 {
            Inner::Rsa(key) => Some(key.public_modulus_len() * 8),
            Inner::Ed25519(_) => None,
        }
    }

    /// What the key signs with.
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Inner::Rsa(_) => Algorithm::RsaSha256,
            Inner::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// Text of the TXT record at `selector._domainkey.domain` (RFC 6376 §3.6.1, RFC 8463 §4).
    ///
    /// # Errors
    /// When the public key cannot be encoded.
    pub fn public_record(&self) -> Result<String, KeyError> {
        Ok(match &self.0 {
            Inner::Rsa(key) => {
                let public = key.public_key();
                let der = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(public);
                let der = der.map_err(|_| KeyError::Failed)?;
                format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(der.as_ref()))
            }
            Inner::Ed25519(key) => {
                format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key().as_ref()))
            }
        })
    }

    /// Signs a text; RFC 8463 §3 signs the SHA-256 of it where RSA signs the text itself.
    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.0 {
            Inner::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
                    .map_err(|_| KeyError::Failed)?;
                Ok(signature)
            }
            Inner::Ed25519(key) => {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text);
                let signature = key.try_sign(digest.as_ref()).map_err(|_| KeyError::Failed)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}
