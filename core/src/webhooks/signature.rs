//! Signatures of the Standard Webhooks scheme: `v1`, HMAC-SHA256 over `id.timestamp.body`.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::RngCore as _;

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// A new secret: `whsec_` and 32 random octets in base64.
pub(super) fn new_secret() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    format!("{PREFIX}{}", STANDARD.encode(bytes))
}

/// Signs what goes to one endpoint.
pub(super) struct Signer(hmac::Key);

impl Signer {
    /// Takes a secret of 24 to 64 octets as [`new_secret`] writes it.
    pub(super) fn new(secret: &str) -> Option<Self> {
        let bytes = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the reference library's own tests.
    #[test]
    fn signs_as_the_reference_library_does() {
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_random_and_of_the_right_form() {
        let secret = new_secret();
        assert_eq!(secret.len(), 6 + 44);
        assert!(Signer::new(&secret).is_some());
        assert_ne!(secret, new_secret());
        assert!(Signer::new("whsec_AAAA").is_none());
        assert!(Signer::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
    }
}
