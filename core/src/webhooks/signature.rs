//! Signatures of the Standard Webhooks scheme, over `id.timestamp.body`: `v1` with HMAC-SHA256 and
//! `v1a` with Ed25519.

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::RngCore as _;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

const SYMMETRIC: &str = "whsec_";
const PRIVATE: &str = "whsk_";
const PUBLIC: &str = "whpk_";

/// How calls are signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignatureScheme {
    /// HMAC-SHA256: whoever can verify can also sign.
    #[default]
    #[serde(rename = "v1")]
    Hmac,
    /// Ed25519: the key that verifies is public.
    #[serde(rename = "v1a")]
    Ed25519,
}

impl SignatureScheme {
    /// Name in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hmac => "v1",
            Self::Ed25519 => "v1a",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Hmac, Self::Ed25519].into_iter().find(|scheme| scheme.as_str() == text)
    }
}

/// A new secret: `whsec_` and 32 random octets in base64, or `whsk_` and a key pair as
/// [`Signer::new`] reads it.
pub(super) fn new_secret(scheme: SignatureScheme) -> Result<String> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    rand::rng().fill_bytes(&mut *bytes);
    match scheme {
        SignatureScheme::Hmac => Ok(format!("{SYMMETRIC}{}", STANDARD.encode(*bytes))),
        SignatureScheme::Ed25519 => {
            let pair =
                Ed25519KeyPair::from_seed_unchecked(bytes.as_slice()).map_err(Error::internal)?;
            let both = Zeroizing::new([bytes.as_slice(), pair.public_key().as_ref()].concat());
            Ok(format!("{PRIVATE}{}", STANDARD.encode(&*both)))
        }
    }
}

/// Signs what goes to one endpoint.
pub(super) enum Signer {
    /// `v1`
    Hmac(Box<hmac::Key>),
    /// `v1a`
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// Takes a secret as [`new_secret`] writes it: 24 to 64 octets, or the seed and the public key
    /// of Ed25519 (RFC 8032 §5.1.5).
    pub(super) fn new(secret: &str) -> Option<Self> {
        if let Some(text) = secret.strip_prefix(PRIVATE) {
            let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
            let (seed, public) = bytes.split_at_checked(32)?;
            let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?;
            return Some(Self::Ed25519(pair));
        }
        let bytes = Zeroizing::new(STANDARD.decode(secret.strip_prefix(SYMMETRIC)?).ok()?);
        let key = || hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        (24..=64).contains(&bytes.len()).then(|| Self::Hmac(Box::new(key())))
    }

    /// A signature as it stands in `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let prefix = format!("{id}.{timestamp}.");
        match self {
            Self::Hmac(key) => {
                let mut context = hmac::Context::with_key(key);
                context.update(prefix.as_bytes());
                context.update(body);
                format!("v1,{}", STANDARD.encode(context.sign()))
            }
            Self::Ed25519(pair) => {
                let content = [prefix.as_bytes(), body].concat();
                format!("v1a,{}", STANDARD.encode(pair.sign(&content)))
            }
        }
    }
}

/// What a receiver verifies with: the secret itself, or `whpk_` and the public key.
pub(super) fn verifier(secret: &str) -> Option<String> {
    match Signer::new(secret)? {
        Signer::Hmac(_) => Some(secret.to_owned()),
        Signer::Ed25519(pair) => Some(format!("{PUBLIC}{}", STANDARD.encode(pair.public_key()))),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    /// The vector of the reference library's own tests.
    #[test]
    fn signs_as_the_reference_library_does() {
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = signer.sign(ID, 1_614_265_330, BODY);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// The vector of the specification's authors for Ed25519.
    #[test]
    fn signs_with_ed25519_as_the_others_do() {
        let secret = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
        let signature = Signer::new(secret).unwrap().sign(ID, 1_614_265_330, BODY);
        assert_eq!(
            signature,
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
        );
        let public = verifier(secret).unwrap();
        assert_eq!(public, "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
    }

    #[test]
    fn public_keys_verify() {
        let secret = new_secret(SignatureScheme::Ed25519).unwrap();
        let signature = Signer::new(&secret).unwrap().sign("a", 1, b"{}");
        let public = verifier(&secret).unwrap();
        let decode = |text: &str, prefix| STANDARD.decode(text.strip_prefix(prefix).unwrap());
        let key = UnparsedPublicKey::new(&ED25519, decode(&public, "whpk_").unwrap());
        let signature = decode(&signature, "v1a,").unwrap();
        key.verify(b"a.1.{}", &signature).unwrap();
        key.verify(b"a.2.{}", &signature).unwrap_err();
        assert!(!public.contains(secret.strip_prefix("whsk_").unwrap()));
    }

    #[test]
    fn secrets_are_random_and_of_the_right_form() {
        let secret = new_secret(SignatureScheme::Hmac).unwrap();
        assert_eq!(secret.len(), 6 + 44);
        assert_eq!(verifier(&secret), Some(secret.clone()));
        assert_ne!(secret, new_secret(SignatureScheme::Hmac).unwrap());
        for bad in ["whsec_AAAA", "whsk_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert!(Signer::new(bad).is_none(), "{bad}");
        }
    }
}
