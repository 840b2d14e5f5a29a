//! Attempts to log in with a password: who guesses is slowed down, whichever door and node they
//! come to (H4), and the account sees who tried (J6).
//!
//! Attempts with names that no account has are not in a log that somebody could read.

mod places;
mod store;
mod throttle;

use std::net::IpAddr;

use aws_lc_rs::digest;
use serde::Serialize;
use time::OffsetDateTime;

pub(crate) use store::purge;

use crate::{
    cx::{Cx, Door},
    error::{Error, Result},
    id::{Account, Id, LoginAttempt as Kind},
    page::{Keyset, Page, PageRequest},
    platform::Platform,
    scope::Scope,
};

/// Most characters of what a client says of itself.
const MOST_TEXT: usize = 255;

/// Who tries to log in, and how.
#[derive(Debug, Clone)]
pub struct Client<'a> {
    /// Where it came in.
    pub door: Door,
    /// Where it is; none: within this process.
    pub remote: Option<IpAddr>,
    /// How it shows that it knows the password.
    pub mechanism: &'static str,
    /// Version and cipher suite, if known.
    pub tls: Option<String>,
    /// What it says of itself: name in EHLO, or User-Agent.
    pub user_agent: &'a str,
}

/// Attempts to log in that look alike.
#[derive(Debug, Clone, Serialize)]
pub struct LoginAttempt {
    /// The last of them.
    #[serde(skip)]
    pub id: Id<Kind>,
    /// Name that was given.
    pub login: String,
    /// Where the client was; empty: within the server.
    pub remote_address: String,
    /// Version and cipher suite; none: not known, such as behind a proxy.
    pub tls: Option<String>,
    /// What the client said of itself.
    pub user_agent: String,
    /// `http` or `smtp`.
    pub door: String,
    /// How the password was shown.
    pub mechanism: String,
    /// `ok`, or the code of the error.
    pub result: String,
    /// How many there were.
    pub count: i64,
    /// The first.
    #[serde(with = "crate::time::millis")]
    pub first_at: OffsetDateTime,
    /// The last.
    #[serde(with = "crate::time::millis")]
    pub last_at: OffsetDateTime,
}

/// Attempts to log in to the account in the last 30 days, the last first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, request: &PageRequest) -> Result<Page<LoginAttempt>> {
    cx.require(Scope::AccountRead)?;
    let keyset = Keyset::new(cx, "login_attempts", request)?;
    let mut conn = cx.platform().acquire().await?;
    let rows = store::list(&mut conn, cx.account(), &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.id.uuid()))
}

/// Refuses a client that has guessed too often.
pub(super) async fn check(platform: &Platform, client: &Client<'_>) -> Result<()> {
    let Some(remote) = client.remote else { return Ok(()) };
    let mut conn = platform.acquire().await?;
    throttle::check(&mut conn, remote, platform.now()).await
}

/// Ends an attempt: counts it and writes it down. Of many at a time no more learn whether they were
/// right than one after the other would.
pub(super) async fn conclude<T>(
    platform: &Platform,
    client: &Client<'_>,
    login: &str,
    account: Option<Id<Account>>,
    result: Result<T>,
) -> Result<T> {
    let now = platform.now();
    let mut conn = platform.acquire().await?;
    let counted = match (client.remote, &result) {
        (Some(remote), Err(Error::InvalidCredentials)) => {
            throttle::failed(&mut conn, remote, now).await
        }
        (Some(remote), Ok(_) | Err(Error::LoginDisabled(_))) => {
            throttle::succeeded(&mut conn, remote, now).await
        }
        _ => Ok(()),
    };
    let result = counted.and(result);
    let code = result.as_ref().err().map_or("ok", |error| error.code().as_str());
    let attempt = describe(client, login, code, now);
    store::record(&mut conn, account, &fingerprint(&attempt), &attempt).await?;
    drop(conn);
    if let (Ok(_), Some(account), Some(remote)) = (&result, account, client.remote) {
        places::note(platform, account, remote, &attempt).await?;
    }
    result
}

fn describe(client: &Client<'_>, login: &str, code: &str, now: OffsetDateTime) -> LoginAttempt {
    LoginAttempt {
        id: Id::new(now),
        login: clean(login),
        remote_address: client.remote.map(|remote| remote.to_string()).unwrap_or_default(),
        tls: client.tls.clone(),
        user_agent: clean(client.user_agent),
        door: client.door.as_str().to_owned(),
        mechanism: client.mechanism.to_owned(),
        result: code.to_owned(),
        count: 1,
        first_at: now,
        last_at: now,
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_TEXT).collect()
}

/// The same for attempts that are alike.
fn fingerprint(attempt: &LoginAttempt) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    for text in [
        &attempt.login,
        &attempt.remote_address,
        attempt.tls.as_deref().unwrap_or_default(),
        &attempt.user_agent,
        &attempt.door,
        &attempt.mechanism,
        &attempt.result,
    ] {
        context.update(text.as_bytes());
        // Stands in none of them.
        context.update(b"\0");
    }
    context.finish().as_ref().to_vec()
}
