//! Logging in at a smart host: AUTH (RFC 4954) with SCRAM-SHA-256, PLAIN or LOGIN.
//!
//! Credentials leave us only over TLS with a verified certificate. A refused login is a temporary
//! failure: mail waits until the credentials are put right. No channel binding, no `SASLprep`.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use posthouse_core::ports::transport::{Credentials, Host, Reply};

use super::{
    capabilities::Mechanism,
    connection::Connection,
    fault::{Error, Fault, Stage},
    reply::Response,
    tls::PKIX,
};

/// Iteration counts that we accept: RFC 7677 §4, and a bound on the work a server can make us do.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=200_000;

/// Logs in with the strongest mechanism offered.
pub(super) async fn authenticate(
    connection: &mut Connection,
    credentials: &Credentials,
    host: &Host,
) -> Result<(), Fault> {
    let local =
        |text: &str| Fault::Temporary(Reply::local("4.7.0", format!("{}: {text}", host.name)));
    if connection.peer.tls.as_ref().is_none_or(|tls| tls.verification != PKIX) {
        return Err(local("credentials are sent over verified TLS only"));
    }
    let Some(mechanism) = connection.capabilities.strongest_mechanism() else {
        return Err(local("the server offers no AUTH mechanism that we know"));
    };
    let exchanged = match mechanism {
        Mechanism::ScramSha256 => scram(connection, credentials).await,
        Mechanism::Plain => plain(connection, credentials).await,
        Mechanism::Login => login(connection, credentials).await,
    };
    match exchanged {
        Ok(response) if response.code == 235 => Ok(()),
        Ok(response) => Err(Fault::Temporary(response.into_reply())),
        Err(AuthError::Connection(error)) => Err(Fault::Connection(error.into_reply(host))),
        Err(AuthError::Scram(text)) => Err(local(text)),
    }
}

enum AuthError {
    Connection(Error),
    /// The server did not keep to SCRAM, or does not know the password.
    Scram(&'static str),
}

impl From<Error> for AuthError {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

/// RFC 4616 with an initial response.
async fn plain(
    connection: &mut Connection,
    credentials: &Credentials,
) -> Result<Response, AuthError> {
    let message = format!("\0{}\0{}", credentials.username, credentials.password);
    Ok(connection.command(Stage::Auth, &["AUTH PLAIN ", &BASE64.encode(message)]).await?)
}

/// The obsolete LOGIN: name and password, each after a prompt.
async fn login(
    connection: &mut Connection,
    credentials: &Credentials,
) -> Result<Response, AuthError> {
    let mut response = connection.command(Stage::Auth, &["AUTH LOGIN"]).await?;
    for answer in [&credentials.username, &credentials.password] {
        if response.code != 334 {
            break;
        }
        response = connection.command(Stage::Auth, &[&BASE64.encode(answer)]).await?;
    }
    Ok(response)
}

/// RFC 5802 §5 and RFC 7677.
async fn scram(
    connection: &mut Connection,
    credentials: &Credentials,
) -> Result<Response, AuthError> {
    let mut octets = [0; 18];
    rand::fill(&mut octets).map_err(|_| AuthError::Scram("no random numbers"))?;
    let client = ScramClient::new(&credentials.username, &BASE64.encode(octets));
    let first = BASE64.encode(format!("n,,{}", client.first_bare));
    let challenge = connection.command(Stage::Auth, &["AUTH SCRAM-SHA-256 ", &first]).await?;
    if challenge.code != 334 {
        return Ok(challenge);
    }
    let server_first = decode(&challenge)?;
    let last = client.answer(&server_first, &credentials.password).map_err(AuthError::Scram)?;
    let outcome = connection.command(Stage::Auth, &[&BASE64.encode(last.message)]).await?;
    if outcome.code != 334 {
        // 235 without the proof of the server would let anyone pass for it.
        let unproven = outcome.is_positive();
        return if unproven { Err(AuthError::Scram(NO_PROOF)) } else { Ok(outcome) };
    }
    let proof = decode(&outcome)?;
    let proof = proof.strip_prefix("v=").and_then(|proof| BASE64.decode(proof).ok());
    let proof = proof.ok_or(AuthError::Scram(NO_PROOF))?;
    if constant_time::verify_slices_are_equal(&proof, last.server_signature.as_ref()).is_err() {
        return Err(AuthError::Scram(NO_PROOF));
    }
    Ok(connection.command(Stage::Auth, &[""]).await?)
}

const NO_PROOF: &str = "the server did not prove that it knows the password";

fn decode(response: &Response) -> Result<String, AuthError> {
    let octets = BASE64.decode(response.text.trim()).ok();
    octets
        .and_then(|octets| String::from_utf8(octets).ok())
        .ok_or(AuthError::Scram("the server sent a SCRAM message that cannot be read"))
}

/// The client's side of one SCRAM exchange.
struct ScramClient {
    nonce: String,
    first_bare: String,
}

struct ScramFinal {
    message: String,
    server_signature: hmac::Tag,
}

impl ScramClient {
    fn new(username: &str, nonce: &str) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        Self { nonce: nonce.to_owned(), first_bare: format!("n={name},r={nonce}") }
    }

    /// The client-final message to `r=…,s=…,i=…`.
    fn answer(&self, server_first: &str, password: &str) -> Result<ScramFinal, &'static str> {
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

        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, iterations, &salt, password.as_bytes(), &mut salted);
        let client_key = mac(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let without_proof = format!("c=biws,r={nonce}");
        let transcript = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = mac(stored_key.as_ref(), transcript.as_bytes());
        let proof: Vec<u8> =
            client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server_key = mac(&salted, b"Server Key");
        Ok(ScramFinal {
            message: format!("{without_proof},p={}", BASE64.encode(proof)),
            server_signature: mac(server_key.as_ref(), transcript.as_bytes()),
        })
    }
}

fn mac(key: &[u8], data: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677 §3.
    #[test]
    fn scram_follows_the_example_of_the_rfc() {
        let client = ScramClient::new("user", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(client.first_bare, "n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = client.answer(server_first, "pencil").unwrap();
        assert_eq!(
            last.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(
            BASE64.encode(last.server_signature.as_ref()),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn scram_refuses_servers_that_cheat() {
        let client = ScramClient::new("a=b,c", "abc");
        assert_eq!(client.first_bare, "n=a=3Db=2Cc,r=abc");
        for first in [
            "",
            "r=abc,s=QQ==,i=4096",
            "r=xyzabc,s=QQ==,i=4096",
            "r=abcd,s=!,i=4096",
            "r=abcd,s=QQ==,i=1",
            "r=abcd,s=QQ==,i=4294967295",
            "r=abcd,s=QQ==",
            "m=x,r=abcd,s=QQ==,i=4096",
        ] {
            assert!(client.answer(first, "p").is_err(), "{first}");
        }
    }
}
