//! The server's side of SCRAM (RFC 5802, RFC 7677, RFC 9266), for one exchange.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::wire::decode;

const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const SALT: &[u8] = b"salt of the sink";

/// What the server knows of the channel.
pub(super) enum Binding {
    /// The mechanism does not bind; whether another one was offered that does.
    None { offered: bool },
    /// The octets of its TLS exporter.
    Exporter(Vec<u8>),
}

impl Binding {
    /// The header that the client may send.
    fn is_right(&self, header: &str) -> bool {
        match self {
            Self::None { offered } => header == "n,," || (header == "y,," && !offered),
            Self::Exporter(_) => header == "p=tls-exporter,,",
        }
    }
}

/// An exchange under way.
pub(super) struct Scram {
    /// Who wants in.
    pub(super) username: String,
    sha1: bool,
    /// `c=` of the client, before base64.
    bound: Vec<u8>,
    client_first_bare: String,
    server_first: String,
    salted: Vec<u8>,
}

impl Scram {
    /// Starts with the client-first message, in base64.
    pub(super) fn new(sha1: bool, binding: Binding, first: &str, password: &str) -> Option<Self> {
        let first = decode(first)?;
        let (header, client_first_bare) = first.split_at_checked(first.find(",,")? + 2)?;
        if !binding.is_right(header) {
            return None;
        }
        let mut bound = header.as_bytes().to_vec();
        if let Binding::Exporter(octets) = binding {
            bound.extend(octets);
        }
        let (name, nonce) = client_first_bare.split_once(",r=")?;
        let username = name.strip_prefix("n=")?.replace("=2C", ",").replace("=3D", "=");
        let server_first = format!("r={nonce}sink,s={},i={ITERATIONS}", BASE64.encode(SALT));
        let (algorithm, length) = if sha1 {
            (pbkdf2::PBKDF2_HMAC_SHA1, digest::SHA1_OUTPUT_LEN)
        } else {
            (pbkdf2::PBKDF2_HMAC_SHA256, digest::SHA256_OUTPUT_LEN)
        };
        let mut salted = vec![0; length];
        pbkdf2::derive(algorithm, ITERATIONS, SALT, password.as_bytes(), &mut salted);
        let client_first_bare = client_first_bare.to_owned();
        Some(Self { username, sha1, bound, client_first_bare, server_first, salted })
    }

    /// The server-first message, in base64.
    pub(super) fn challenge(&self) -> String {
        BASE64.encode(&self.server_first)
    }

    /// The server-final message, in base64, when the proof of the client is right.
    pub(super) fn verify(&self, last: &str) -> Option<String> {
        let last = decode(last)?;
        let (without_proof, proof) = last.split_once(",p=")?;
        let bound = without_proof.strip_prefix("c=")?.split(',').next()?;
        if BASE64.decode(bound).ok()? != self.bound {
            return None;
        }
        let transcript =
            format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let client_key = self.mac(&self.salted, b"Client Key");
        let hash = if self.sha1 { &digest::SHA1_FOR_LEGACY_USE_ONLY } else { &digest::SHA256 };
        let stored_key = digest::digest(hash, client_key.as_ref());
        let signature = self.mac(stored_key.as_ref(), transcript.as_bytes());
        let keys = client_key.as_ref().iter().zip(signature.as_ref());
        let expected: Vec<u8> = keys.map(|(key, sign)| key ^ sign).collect();
        let server_key = self.mac(&self.salted, b"Server Key");
        let answer = self.mac(server_key.as_ref(), transcript.as_bytes());
        let right = BASE64.decode(proof).ok()? == expected;
        right.then(|| BASE64.encode(format!("v={}", BASE64.encode(answer.as_ref()))))
    }

    fn mac(&self, key: &[u8], data: &[u8]) -> hmac::Tag {
        let algorithm =
            if self.sha1 { hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY } else { hmac::HMAC_SHA256 };
        hmac::sign(&hmac::Key::new(algorithm, key), data)
    }
}
