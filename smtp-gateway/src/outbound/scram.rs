//! SCRAM from the client's side: RFC 5802, RFC 7677, with the channel binding of RFC 9266. No I/O.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

/// Iteration counts that we accept: RFC 5802 §5.1 and RFC 7677 §4, and a bound on the work that a
/// server can make us do.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=200_000;

/// The server did not prove that it knows the password.
pub(super) const NO_PROOF: &str = "the server did not prove that it knows the password";

/// The hash function of a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

/// The GS2 header (RFC 5802 §6): what is said about channel binding.
#[derive(Debug, Clone, Copy)]
pub(super) enum Binding<'a> {
    /// We cannot bind.
    Unable,
    /// We can, but the server did not offer it: if it had, somebody took it away, and the server
    /// refuses.
    NotOffered,
    /// To these octets of the TLS exporter.
    Exporter(&'a [u8]),
}

impl Binding<'_> {
    const fn header(&self) -> &'static str {
        match self {
            Self::Unable => "n,,",
            Self::NotOffered => "y,,",
            Self::Exporter(_) => "p=tls-exporter,,",
        }
    }

    /// `c=` of the client-final message.
    fn encode(&self) -> String {
        let mut octets = self.header().as_bytes().to_vec();
        if let Self::Exporter(data) = self {
            octets.extend_from_slice(data);
        }
        BASE64.encode(octets)
    }
}

/// One exchange, after the client-first message.
pub(super) struct Client<'a> {
    hash: Hash,
    binding: Binding<'a>,
    nonce: String,
    first_bare: String,
}

/// What is left when the client-final message is sent.
pub(super) struct Last {
    pub(super) message: String,
    server_signature: hmac::Tag,
}

impl<'a> Client<'a> {
    /// Begins with a nonce of printable characters without commas.
    pub(super) fn new(hash: Hash, binding: Binding<'a>, username: &str, nonce: &str) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        Self { hash, binding, nonce: nonce.to_owned(), first_bare: format!("n={name},r={nonce}") }
    }

    /// The client-first message.
    pub(super) fn first(&self) -> String {
        format!("{}{}", self.binding.header(), self.first_bare)
    }

    /// The client-final message to `r=…,s=…,i=…`.
    pub(super) fn answer(&self, server_first: &str, password: &str) -> Result<Last, &'static str> {
        let mut fields = server_first.split(',');
        let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name));
        let (nonce, salt, iterations) = (field("r="), field("s="), field("i="));
        let nonce = nonce
            .filter(|nonce| nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len())
            .ok_or("the server sent a wrong SCRAM nonce")?;
        let salt = salt.and_then(|salt| BASE64.decode(salt).ok()).ok_or("no SCRAM salt")?;
        let iterations = iterations
            .and_then(|number| number.parse().ok())
            .filter(|number| ITERATIONS.contains(number))
            .and_then(NonZeroU32::new)
            .ok_or("the server wants an unacceptable number of SCRAM iterations")?;

        let salted = self.hash.derive(password, &salt, iterations);
        let client_key = self.hash.mac(&salted, b"Client Key");
        let stored_key = digest::digest(self.hash.digest(), client_key.as_ref());
        let without_proof = format!("c={},r={nonce}", self.binding.encode());
        let transcript = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = self.hash.mac(stored_key.as_ref(), transcript.as_bytes());
        let proof: Vec<u8> =
            client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server_key = self.hash.mac(&salted, b"Server Key");
        Ok(Last {
            message: format!("{without_proof},p={}", BASE64.encode(proof)),
            server_signature: self.hash.mac(server_key.as_ref(), transcript.as_bytes()),
        })
    }
}

impl Last {
    /// Looks at the server-final message.
    pub(super) fn check(&self, server_final: &str) -> Result<(), &'static str> {
        let proof = server_final.strip_prefix("v=").and_then(|proof| BASE64.decode(proof).ok());
        let proof = proof.ok_or(NO_PROOF)?;
        constant_time::verify_slices_are_equal(&proof, self.server_signature.as_ref())
            .map_err(|_| NO_PROOF)
    }
}

impl Hash {
    const fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        }
    }

    fn mac(self, key: &[u8], data: &[u8]) -> hmac::Tag {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), data)
    }

    fn derive(self, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut salted = vec![0; self.digest().output_len()];
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
        salted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(hash: Hash, nonce: &str) -> Client<'static> {
        Client::new(hash, Binding::Unable, "user", nonce)
    }

    /// RFC 7677 §3.
    #[test]
    fn example_with_sha_256() {
        let client = client(Hash::Sha256, "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(client.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = client.answer(server_first, "pencil").unwrap();
        assert_eq!(
            last.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(last.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
    }

    /// RFC 5802 §5.
    #[test]
    fn example_with_sha_1() {
        let client = client(Hash::Sha1, "fyko+d2lbbFgONRv9qkxdawL");
        let server_first = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let last = client.answer(server_first, "pencil").unwrap();
        assert_eq!(
            last.message,
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
        );
        assert_eq!(last.check("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="), Ok(()));
        for wrong in ["", "v=", "v=!", "e=invalid-proof", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJR"]
        {
            assert_eq!(last.check(wrong), Err(NO_PROOF), "{wrong}");
        }
    }

    #[test]
    fn the_binding_is_told_twice() {
        let bound = |binding| {
            let client = Client::new(Hash::Sha256, binding, "user", "abc");
            let last = client.answer("r=abcd,s=QQ==,i=4096", "p").unwrap();
            let code = last.message.strip_prefix("c=").unwrap().split(',').next().unwrap();
            (client.first(), BASE64.decode(code).unwrap())
        };
        assert_eq!(bound(Binding::NotOffered), ("y,,n=user,r=abc".to_owned(), b"y,,".to_vec()));
        let exported = bound(Binding::Exporter(b"\x01\x02"));
        assert_eq!(exported.0, "p=tls-exporter,,n=user,r=abc");
        assert_eq!(exported.1, b"p=tls-exporter,,\x01\x02");
    }

    #[test]
    fn servers_that_cheat_are_refused() {
        let client = Client::new(Hash::Sha256, Binding::Unable, "a=b,c", "abc");
        assert_eq!(client.first(), "n,,n=a=3Db=2Cc,r=abc");
        for first in [
            "",
            "r=abc,s=QQ==,i=4096",
            "r=xyzabc,s=QQ==,i=4096",
            "r=abcd,s=!,i=4096",
            "r=abcd,s=QQ==,i=1",
            "r=abcd,s=QQ==,i=4095",
            "r=abcd,s=QQ==,i=200001",
            "r=abcd,s=QQ==,i=4294967295",
            "r=abcd,s=QQ==",
            "m=x,r=abcd,s=QQ==,i=4096",
        ] {
            assert!(client.answer(first, "p").is_err(), "{first}");
        }
    }
}
