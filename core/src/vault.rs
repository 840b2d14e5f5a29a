//! Secrets at rest: AES-256-GCM under the master key of the configuration.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Seals and opens secrets that are stored in the database.
pub struct Vault {
    key: RandomizedNonceKey,
    derive: hkdf::Prk,
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Vault {
    /// Makes a vault from the 32 octets of the master key.
    pub fn new(master_key: &[u8; 32]) -> Result<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, master_key).map_err(Error::internal)?;
        let derive = hkdf::Salt::new(hkdf::HKDF_SHA256, b"posthouse").extract(master_key);
        Ok(Self { key, derive })
    }

    /// Encrypts `plain`. `purpose` is bound to the result: what was sealed for one purpose cannot
    /// be opened for another.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let mut text = plain.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut text)
            .map_err(Error::internal)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Decrypts what [`Self::seal`] made for the same purpose.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let (nonce, text) = sealed
            .split_at_checked(NONCE_LEN)
            .ok_or_else(|| Error::internal("sealed secret is too short"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(Error::internal)?;
        let mut text = text.to_vec();
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut text)
            .map_err(|_| Error::internal("a sealed secret does not open: wrong master key?"))?;
        Ok(plain.to_vec())
    }

    /// A key for message authentication codes, derived from the master key for one purpose.
    pub fn mac_key(&self, purpose: &str) -> Result<hmac::Key> {
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &*self.derive(purpose)?))
    }

    /// The octets of a key, derived from the master key (HKDF, RFC 5869) for one purpose.
    pub(crate) fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>> {
        let mut octets = Zeroizing::new([0_u8; 32]);
        self.derive
            .expand(&[purpose.as_bytes()], Length(32))
            .and_then(|okm| okm.fill(&mut *octets))
            .map_err(Error::internal)?;
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_it_sealed_for_the_same_purpose() {
        let vault = Vault::new(&[7; 32]).unwrap();
        let sealed = vault.seal("dkim", b"secret").unwrap();
        assert_eq!(vault.open("dkim", &sealed).unwrap(), b"secret");
        assert!(vault.open("webhook", &sealed).is_err());
        assert!(Vault::new(&[8; 32]).unwrap().open("dkim", &sealed).is_err());
        assert!(vault.open("dkim", b"short").is_err());
    }
}
