//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), for one exchange.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::wire::decode;

const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const SALT: &[u8] = b"salt of the sink";

/// An exchange under way.
pub(super) struct Scram {
    /// Who wants in.
    pub(super) username: String,
    client_first_bare: String,
    server_first: String,
    salted: [u8; digest::SHA256_OUTPUT_LEN],
}

impl Scram {
    /// Starts with the client-first message, in base64.
    pub(super) fn new(first: &str, password: &str) -> Option<Self> {
        let client_first_bare = decode(first)?.strip_prefix("n,,")?.to_owned();
        let (name, nonce) = client_first_bare.split_once(",r=")?;
        let username = name.strip_prefix("n=")?.replace("=2C", ",").replace("=3D", "=");
        let server_first = format!("r={nonce}sink,s={},i={ITERATIONS}", BASE64.encode(SALT));
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, ITERATIONS, SALT, password.as_bytes(), &mut salted);
        Some(Self { username, client_first_bare, server_first, salted })
    }

    /// The server-first message, in base64.
    pub(super) fn challenge(&self) -> String {
        BASE64.encode(&self.server_first)
    }

    /// The server-final message, in base64, when the proof of the client is right.
    pub(super) fn verify(&self, last: &str) -> Option<String> {
        let last = decode(last)?;
        let (without_proof, proof) = last.split_once(",p=")?;
        let transcript =
            format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let client_key = mac(&self.salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let signature = mac(stored_key.as_ref(), transcript.as_bytes());
        let keys = client_key.as_ref().iter().zip(signature.as_ref());
        let expected: Vec<u8> = keys.map(|(key, sign)| key ^ sign).collect();
        let server_key = mac(&self.salted, b"Server Key");
        let answer = mac(server_key.as_ref(), transcript.as_bytes());
        let right = BASE64.decode(proof).ok()? == expected;
        right.then(|| BASE64.encode(format!("v={}", BASE64.encode(answer.as_ref()))))
    }
}

fn mac(key: &[u8], data: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
}
