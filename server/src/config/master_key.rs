//! The master key: 32 random octets, written in base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::RngCore as _;

/// The key that seals secrets in the database.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Makes a new one.
    pub fn generate() -> Self {
        let mut octets = [0; 32];
        rand::rng().fill_bytes(&mut octets);
        Self(octets)
    }

    /// Reads base64, with white space around it.
    pub fn parse(text: &str) -> Option<Self> {
        let octets = STANDARD.decode(text.trim()).ok()?;
        octets.try_into().ok().map(Self)
    }

    /// Writes base64.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The octets.
    pub const fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}
