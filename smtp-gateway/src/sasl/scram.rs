//! SCRAM-SHA-256 from the server's side, RFC 5802 and RFC 7677.
//!
//! Knows keys, never passwords. Comparisons take the same time whatever they find. Without channel
//! binding; mandatory extensions are refused, as are clients that act for somebody else.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use subtle::ConstantTimeEq as _;

use super::Turn;

/// Longest nonce of a client; more is of no use to anybody.
const MAX_NONCE: usize = 256;
/// RFC 7677 §4.
const FAKE_ITERATIONS: u32 = 4096;

/// What a server knows of a password (RFC 5802 §5).
#[derive(Clone, PartialEq, Eq)]
pub struct ScramSecret {
    /// Salt.
    pub salt: Vec<u8>,
    /// Iteration count.
    pub iterations: u32,
    /// Of each password that lets in.
    pub keys: Vec<ScramKeys>,
}

/// The keys of one password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// `StoredKey`.
    pub stored_key: Vec<u8>,
    /// `ServerKey`.
    pub server_key: Vec<u8>,
}

impl ScramSecret {
    /// A secret for a user that does not exist: the same each time, and no password fits it, so
    /// that unknown users cannot be told from known ones (THREATS 24, 25).
    pub fn fake(key: &hmac::Key, username: &str) -> Self {
        let derive = |label: &[u8]| {
            let mut context = hmac::Context::with_key(key);
            context.update(label);
            context.update(&[0]);
            context.update(username.to_lowercase().as_bytes());
            context.sign().as_ref().to_vec()
        };
        let mut salt = derive(b"salt");
        salt.truncate(16);
        let keys =
            ScramKeys { stored_key: derive(b"stored key"), server_key: derive(b"server key") };
        Self { salt, iterations: FAKE_ITERATIONS, keys: vec![keys] }
    }
}

impl fmt::Debug for ScramSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramSecret").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// The server's side of one exchange.
#[derive(Debug)]
pub(super) struct Server(State);

#[derive(Debug)]
enum State {
    /// The client-first-message comes.
    First,
    /// The secret is being looked up.
    Lookup(ClientFirst),
    /// The client-final-message comes.
    Final {
        first: ClientFirst,
        server_first: String,
        nonce: String,
        secret: ScramSecret,
    },
    /// The signature was sent; an empty response comes. The password with this index is known.
    Proved(usize),
    Over,
}

/// RFC 5802 §7, `client-first-message`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ClientFirst {
    gs2_header: String,
    bare: String,
    username: String,
    nonce: String,
}

impl Server {
    pub(super) const fn new() -> Self {
        Self(State::First)
    }

    pub(super) fn response(&mut self, octets: &[u8]) -> Turn {
        let Ok(text) = std::str::from_utf8(octets) else {
            return Turn::Malformed;
        };
        match std::mem::replace(&mut self.0, State::Over) {
            State::First => match client_first(text) {
                Some(first) => {
                    let username = first.username.clone();
                    self.0 = State::Lookup(first);
                    Turn::FindSecret { username }
                }
                None => Turn::Malformed,
            },
            State::Final { first, server_first, nonce, secret } => {
                let Some(last) = client_final(text) else {
                    return Turn::Malformed;
                };
                match verify(&first, &server_first, &nonce, &secret, &last) {
                    Some((index, signature)) => {
                        self.0 = State::Proved(index);
                        Turn::Challenge(format!("v={}", STANDARD.encode(signature)).into_bytes())
                    }
                    None => Turn::Outcome { proved: None },
                }
            }
            State::Proved(index) if text.is_empty() => Turn::Outcome { proved: Some(index) },
            State::Proved(_) | State::Lookup(_) | State::Over => Turn::Malformed,
        }
    }

    /// RFC 5802 §7. `server-first-message = nonce "," salt "," iteration-count`
    pub(super) fn secret(&mut self, secret: ScramSecret, server_nonce: &str) -> Turn {
        let State::Lookup(first) = std::mem::replace(&mut self.0, State::Over) else {
            return Turn::Malformed;
        };
        let nonce = format!("{}{server_nonce}", first.nonce);
        let salt = STANDARD.encode(&secret.salt);
        let server_first = format!("r={nonce},s={salt},i={}", secret.iterations);
        let challenge = server_first.clone().into_bytes();
        self.0 = State::Final { first, server_first, nonce, secret };
        Turn::Challenge(challenge)
    }
}

/// `gs2-header client-first-message-bare`
fn client_first(text: &str) -> Option<ClientFirst> {
    let (binding, rest) = text.split_once(',')?;
    // "y": the client could bind but thinks that we cannot, which is so. "p=…" was not offered.
    if binding != "n" && binding != "y" {
        return None;
    }
    let (authzid, bare) = rest.split_once(',')?;
    let mut parts = bare.split(',');
    // A mandatory extension "m=" would stand where "n=" is expected.
    let username = unescape(parts.next()?.strip_prefix("n=")?)?;
    let nonce = parts.next()?.strip_prefix("r=")?.to_owned();
    let nonce_fine =
        (1..=MAX_NONCE).contains(&nonce.len()) && nonce.bytes().all(|c| c.is_ascii_graphic());
    let own = authzid.is_empty() || unescape(authzid.strip_prefix("a=")?)? == username;
    if !nonce_fine || !own || username.is_empty() {
        return None;
    }
    let gs2_header = format!("{binding},{authzid},");
    Some(ClientFirst { gs2_header, bare: bare.to_owned(), username, nonce })
}

/// `saslname`: `=2C` for a comma, `=3D` for `=`.
fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (c, rest) = match part.strip_prefix("2C") {
            Some(rest) => (',', rest),
            None => ('=', part.strip_prefix("3D")?),
        };
        name.push(c);
        name.push_str(rest);
    }
    (!name.contains('\0')).then_some(name)
}

/// RFC 5802 §7, `client-final-message`.
struct ClientFinal<'a> {
    without_proof: &'a str,
    binding: Vec<u8>,
    nonce: &'a str,
    proof: Vec<u8>,
}

/// `channel-binding "," nonce ["," extensions] "," proof`
fn client_final(text: &str) -> Option<ClientFinal<'_>> {
    let (without_proof, proof) = text.rsplit_once(",p=")?;
    let mut parts = without_proof.split(',');
    let binding = STANDARD.decode(parts.next()?.strip_prefix("c=")?).ok()?;
    let nonce = parts.next()?.strip_prefix("r=")?;
    Some(ClientFinal { without_proof, binding, nonce, proof: STANDARD.decode(proof).ok()? })
}

/// RFC 5802 §3: which password the proof is right for, and its `ServerSignature`. All are tried,
/// whatever is found.
fn verify(
    first: &ClientFirst,
    server_first: &str,
    nonce: &str,
    secret: &ScramSecret,
    last: &ClientFinal<'_>,
) -> Option<(usize, Vec<u8>)> {
    let auth_message = format!("{},{server_first},{}", first.bare, last.without_proof);
    let frame = last.nonce.as_bytes().ct_eq(nonce.as_bytes())
        & last.binding.as_slice().ct_eq(first.gs2_header.as_bytes());
    let mut found = None;
    for (index, keys) in secret.keys.iter().enumerate() {
        let signature = sign(&keys.stored_key, auth_message.as_bytes());
        let client_key: Vec<u8> = last.proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let right = stored_key.as_ref().ct_eq(&keys.stored_key) & frame;
        if last.proof.len() == signature.len() && bool::from(right) {
            found = Some((index, keys));
        }
    }
    let (index, keys) = found?;
    Some((index, sign(&keys.server_key, auth_message.as_bytes())))
}

fn sign(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::pbkdf2;

    use super::*;

    const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn pencil() -> ScramSecret {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let mut salted = [0; 32];
        let rounds = 4096.try_into().unwrap();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, b"pencil", &mut salted);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key).as_ref().to_vec();
        let keys = ScramKeys { stored_key, server_key: sign(&salted, b"Server Key") };
        ScramSecret { salt, iterations: 4096, keys: vec![keys] }
    }

    /// Until the client-final-message.
    fn begun(first: &str, secret: ScramSecret) -> Server {
        let mut server = Server::new();
        assert!(matches!(server.response(first.as_bytes()), Turn::FindSecret { .. }));
        assert!(matches!(server.secret(secret, SERVER_NONCE), Turn::Challenge(_)));
        server
    }

    /// RFC 7677 §3.
    #[test]
    fn example_of_the_rfc() {
        let mut server = Server::new();
        let first = format!("n,,n=user,r={CLIENT_NONCE}");
        assert_eq!(server.response(first.as_bytes()), Turn::FindSecret { username: "user".into() });
        assert_eq!(server.secret(pencil(), SERVER_NONCE), Turn::Challenge(SERVER_FIRST.into()));
        assert_eq!(server.response(CLIENT_FINAL.as_bytes()), Turn::Challenge(SERVER_FINAL.into()));
        assert_eq!(server.response(b""), Turn::Outcome { proved: Some(0) });
        assert_eq!(server.response(b""), Turn::Malformed);
    }

    #[test]
    fn each_password_of_an_account_lets_in() {
        let other = ScramKeys { stored_key: vec![7; 32], server_key: vec![8; 32] };
        let first = format!("n,,n=user,r={CLIENT_NONCE}");
        for place in 0..3 {
            let mut secret = pencil();
            let right = std::mem::replace(&mut secret.keys, vec![other.clone(); 2]);
            secret.keys.insert(place, right[0].clone());
            let mut server = begun(&first, secret);
            let turn = server.response(CLIENT_FINAL.as_bytes());
            assert_eq!(turn, Turn::Challenge(SERVER_FINAL.into()));
            assert_eq!(server.response(b""), Turn::Outcome { proved: Some(place) });
        }
    }

    #[test]
    fn what_is_not_right_is_not_proved() {
        let first = format!("n,,n=user,r={CLIENT_NONCE}");
        let wrong = [
            CLIENT_FINAL.replace("p=dHzb", "p=dHzc"),
            CLIENT_FINAL.replace("k0,p", "k1,p"),
            CLIENT_FINAL.replace("c=biws", "c=eSws"),
            CLIENT_FINAL.replace(",p=", ",x=y,p="),
            format!("c=biws,r={CLIENT_NONCE}{SERVER_NONCE},p="),
            format!("c=biws,r={CLIENT_NONCE}{SERVER_NONCE},p=AA=="),
        ];
        for last in wrong {
            let turn = begun(&first, pencil()).response(last.as_bytes());
            assert_eq!(turn, Turn::Outcome { proved: None }, "{last}");
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let turn = begun(&first, ScramSecret::fake(&key, "user")).response(CLIENT_FINAL.as_bytes());
        assert_eq!(turn, Turn::Outcome { proved: None });
        for last in ["", "c=biws", "c=biws,p=AA==", "r=x,c=biws,p=AA==", "c=biws,r=x,p=%"] {
            assert_eq!(
                begun(&first, pencil()).response(last.as_bytes()),
                Turn::Malformed,
                "{last}"
            );
        }
    }

    #[test]
    fn first_messages() {
        let username = |text: &str| client_first(text).map(|first| first.username);
        assert_eq!(username("n,,n=a=2Cb=3Dc,r=x").as_deref(), Some("a,b=c"));
        assert_eq!(username("y,a=user,n=user,r=x,ext=1").as_deref(), Some("user"));
        for bad in [
            "",
            "n",
            "n,",
            "n,,",
            "p=tls-exporter,,n=user,r=x",
            "n,a=other,n=user,r=x",
            "n,,m=x,n=user,r=x",
            "n,,n=,r=x",
            "n,,n=user,r=",
            "n,,n=user",
            "n,,n=a=b,r=x",
            "n,,n=a=,r=x",
            "n,,n=user,r=a b",
            "N,,n=user,r=x",
            "n,user,n=user,r=x",
        ] {
            assert_eq!(username(bad), None, "{bad}");
        }
    }

    #[test]
    fn unknown_users_have_a_stable_salt() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let fake = ScramSecret::fake(&key, "nobody@example.com");
        assert!(fake == ScramSecret::fake(&key, "Nobody@Example.com"));
        assert!(fake.salt != ScramSecret::fake(&key, "noone@example.com").salt);
        assert_eq!((fake.salt.len(), fake.iterations), (16, 4096));
    }
}
