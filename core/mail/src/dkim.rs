//! DKIM signing: RSA-SHA256 and Ed25519-SHA256 side by side, body hashed once.
//!
//! RFC 6376 and RFC 8463. Header fields are over-signed (listed once more than they are present) so that none
//! can be added, and `l=` is never used. Verifying is elsewhere.

mod canonical;
mod key;
mod settings;
mod sign;

use std::sync::Arc;

pub use canonical::{Canonicalization, body_hash};
pub use key::{Algorithm, KeyError, SigningKey, rsa_to_pkcs8};
pub use settings::{OVERSIGNED, Settings, oversigned_fault};
pub use sign::sign;

/// What one DKIM-Signature is made with.
#[derive(Debug, Clone)]
pub struct Signer {
    /// `d=`, in A-labels.
    pub domain: String,
    /// `s=`
    pub selector: String,
    /// The private key.
    pub key: Arc<SigningKey>,
}

#[cfg(test)]
mod tests;
