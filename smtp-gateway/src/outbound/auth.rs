//! Logging in at a smart host: AUTH (RFC 4954).
//!
//! The strongest mechanism that the server offers and the transport permits is used. Nothing is
//! told to a server that has not proved who it is, unless the transport says so. A refused login is
//! a temporary failure: mail waits until the credentials are put right. No `SASLprep`.

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use posthouse_core::ports::transport::{Credentials, Host, Login, Mechanism, Reply, TlsInfo};

use super::{
    connection::Connection,
    fault::{Error, Fault, Stage},
    reply::Response,
    scram::{Binding, Client, Hash, NO_PROOF},
};

/// Longest command line without its CRLF (RFC 5321 §4.5.3.1.4).
const MAX_COMMAND: usize = 510;

/// Logs in, if there is anything to log in with.
pub(super) async fn authenticate(
    connection: &mut Connection,
    login: &Login,
    host: &Host,
) -> Result<(), Fault> {
    if login.is_none() {
        return Ok(());
    }
    let local =
        |text: &str| Fault::Temporary(Reply::local("4.7.0", format!("{}: {text}", host.name)));
    if !is_verified(connection) && !login.unverified {
        return Err(local("credentials are sent over verified TLS only"));
    }
    let binding = connection.channel_binding();
    let Some(mechanism) = choose(connection, login, binding.is_some()) else {
        // The certificate alone may do: it was shown in the handshake.
        let shown = login.credentials.is_none() && login.mechanisms.is_empty();
        let none = "the server offers no AUTH mechanism that can be used";
        return if shown { Ok(()) } else { Err(local(none)) };
    };
    match exchange(connection, login, mechanism, binding).await {
        Ok(response) if response.code == 235 => Ok(()),
        Ok(response) => {
            // It waits for a response, and would take QUIT for one.
            connection.broken |= response.code == 334;
            Err(Fault::Temporary(response.into_reply()))
        }
        Err(AuthError::Connection(error)) => Err(Fault::Connection(error.into_reply(host))),
        Err(AuthError::Broken(text)) => {
            connection.broken = true;
            Err(local(text))
        }
    }
}

fn is_verified(connection: &Connection) -> bool {
    connection.peer.tls.as_ref().is_some_and(TlsInfo::is_verified)
}

/// The strongest mechanism that was offered and may be used.
fn choose(connection: &Connection, login: &Login, can_bind: bool) -> Option<Mechanism> {
    let usable = |mechanism: &Mechanism| match mechanism {
        Mechanism::External => login.certificate.is_some() && connection.peer.tls.is_some(),
        bound if bound.binds() => login.credentials.is_some() && can_bind,
        _ => login.credentials.is_some(),
    };
    let verified = is_verified(connection);
    let offered = |mechanism: &Mechanism| connection.capabilities.mechanisms.contains(mechanism);
    let mut known = Mechanism::ALL.into_iter();
    known.find(|known| offered(known) && usable(known) && permits(login, *known, verified))
}

fn permits(login: &Login, mechanism: Mechanism, verified: bool) -> bool {
    if login.mechanisms.is_empty() {
        return verified || !mechanism.shows_password();
    }
    login.mechanisms.contains(&mechanism)
}

enum AuthError {
    Connection(Error),
    /// The server did not keep to the mechanism, or does not know the password.
    Broken(&'static str),
}

impl From<Error> for AuthError {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

async fn exchange(
    connection: &mut Connection,
    login: &Login,
    mechanism: Mechanism,
    exported: Option<[u8; 32]>,
) -> Result<Response, AuthError> {
    // RFC 4954 §4: "=" is an empty initial response. Who we are is in the certificate.
    let Some(credentials) = login.credentials.as_ref().filter(|_| mechanism != Mechanism::External)
    else {
        return Ok(connection.command(Stage::Auth, &["AUTH EXTERNAL ="]).await?);
    };
    let hash = match mechanism {
        Mechanism::ScramSha256Plus | Mechanism::ScramSha256 => Hash::Sha256,
        Mechanism::ScramSha1Plus | Mechanism::ScramSha1 => Hash::Sha1,
        Mechanism::CramMd5 => return cram_md5(connection, credentials).await,
        Mechanism::Login => return self::login(connection, credentials).await,
        Mechanism::Plain | Mechanism::External => return plain(connection, credentials).await,
    };
    let offered = connection.capabilities.mechanisms.iter().any(|known| known.binds());
    let permitted =
        Mechanism::ALL.into_iter().any(|known| known.binds() && permits(login, known, true));
    let binding = match &exported {
        Some(exported) if mechanism.binds() => Binding::Exporter(exported),
        Some(_) if permitted && !offered => Binding::NotOffered,
        _ => Binding::Unable,
    };
    let mut octets = [0; 18];
    rand::fill(&mut octets).map_err(|_| AuthError::Broken("no random numbers"))?;
    let client = Client::new(hash, binding, &credentials.username, &BASE64.encode(octets));
    scram(connection, mechanism, &client, &credentials.password).await
}

/// AUTH with an initial response, which comes after an empty challenge when the line would be too
/// long (RFC 4954 §4).
async fn begin(
    connection: &mut Connection,
    mechanism: Mechanism,
    response: &str,
) -> Result<Response, AuthError> {
    let (name, response) = (mechanism.as_str(), BASE64.encode(response));
    if "AUTH  ".len() + name.len() + response.len() <= MAX_COMMAND {
        return Ok(connection.command(Stage::Auth, &["AUTH ", name, " ", &response]).await?);
    }
    let challenge = connection.command(Stage::Auth, &["AUTH ", name]).await?;
    if challenge.code != 334 {
        return Ok(challenge);
    }
    Ok(connection.command(Stage::Auth, &[&response]).await?)
}

/// RFC 4616.
async fn plain(
    connection: &mut Connection,
    credentials: &Credentials,
) -> Result<Response, AuthError> {
    let message = format!("\0{}\0{}", credentials.username, credentials.password);
    begin(connection, Mechanism::Plain, &message).await
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

/// RFC 2195 §2.
async fn cram_md5(
    connection: &mut Connection,
    credentials: &Credentials,
) -> Result<Response, AuthError> {
    let challenge = connection.command(Stage::Auth, &["AUTH CRAM-MD5"]).await?;
    if challenge.code != 334 {
        return Ok(challenge);
    }
    let answer = cram_answer(credentials, decode(&challenge)?.as_bytes());
    Ok(connection.command(Stage::Auth, &[&BASE64.encode(answer)]).await?)
}

/// The name, and HMAC-MD5 of the challenge under the password.
fn cram_answer(credentials: &Credentials, challenge: &[u8]) -> String {
    let mut digest = String::new();
    // HMAC takes keys of any length.
    if let Ok(mut mac) = Hmac::<Md5>::new_from_slice(credentials.password.as_bytes()) {
        mac.update(challenge);
        digest = hex::encode(mac.finalize().into_bytes());
    }
    format!("{} {digest}", credentials.username)
}

/// RFC 5802 §5.
async fn scram(
    connection: &mut Connection,
    mechanism: Mechanism,
    client: &Client<'_>,
    password: &str,
) -> Result<Response, AuthError> {
    let challenge = begin(connection, mechanism, &client.first()).await?;
    if challenge.code != 334 {
        return Ok(challenge);
    }
    let last = client.answer(&decode(&challenge)?, password).map_err(AuthError::Broken)?;
    let outcome = connection.command(Stage::Auth, &[&BASE64.encode(&last.message)]).await?;
    if outcome.code != 334 {
        // 235 without the proof of the server would let anyone pass for it.
        let unproven = outcome.is_positive();
        return if unproven { Err(AuthError::Broken(NO_PROOF)) } else { Ok(outcome) };
    }
    last.check(&decode(&outcome)?).map_err(AuthError::Broken)?;
    Ok(connection.command(Stage::Auth, &[""]).await?)
}

fn decode(response: &Response) -> Result<String, AuthError> {
    let octets = BASE64.decode(response.text.trim()).ok();
    octets
        .and_then(|octets| String::from_utf8(octets).ok())
        .ok_or(AuthError::Broken("the server sent a challenge that cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2195 §2.
    #[test]
    fn example_of_cram_md5() {
        let credentials =
            Credentials { username: "tim".to_owned(), password: "tanstaaftanstaaf".to_owned() };
        assert_eq!(
            cram_answer(&credentials, b"<1896.697170952@postoffice.reston.mci.net>"),
            "tim b913a602c7eda7a495b4e6e7334d3890"
        );
    }
}
