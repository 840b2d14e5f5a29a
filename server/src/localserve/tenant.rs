//! What a local server starts with: the domain, the account, the administrator, and their keys.
//!
//! Made by the first start, kept in `secrets.json`; later starts check that they still open the
//! doors, and make what does not anew.

use anyhow::{Context as _, Result};
use posthouse_core::{
    Cx, Door, Error, Platform, Scopes,
    accounts::{self, Account, AccountPatch, NewAccount},
    credentials, domains,
    domains::NewDomain,
};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::files::DataDir;
use crate::admin::{create_key, describe, ensure_account, system_cx};

const FILE: &str = "secrets.json";
const DOMAIN: &str = "localhost";
/// The account's address.
pub(super) const ADDRESS: &str = "posthouse@localhost";
/// Mail to unknown addresses here reaches the account too (FEATURES V2).
const CATCH_ALL: &str = "@localhost";
const PASSWORD_LENGTH: usize = 20;
/// Without characters that look alike.
const PASSWORD_CHARACTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// What opens the doors.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Secrets {
    pub password: String,
    pub api_key: String,
    pub admin_api_key: String,
}

/// Takes the secrets of an earlier start, or makes everything.
pub(super) async fn ensure(platform: &Platform, data: &DataDir) -> Result<Secrets> {
    let kept = data.read(FILE)?.and_then(|text| serde_json::from_str::<Secrets>(&text).ok());
    if let Some(secrets) = kept
        && still_good(platform, &secrets).await?
    {
        return Ok(secrets);
    }
    let secrets = create(&system_cx(platform)).await?;
    data.write(FILE, &serde_json::to_string_pretty(&secrets)?)?;
    Ok(secrets)
}

async fn still_good(platform: &Platform, secrets: &Secrets) -> Result<bool> {
    for key in [&secrets.api_key, &secrets.admin_api_key] {
        match credentials::authenticate_api_key(platform, Door::System, key, None).await {
            Ok(_) => {}
            Err(Error::InvalidCredentials | Error::CredentialsExpired) => return Ok(false),
            Err(error) => return Err(error).context("cannot check the API keys"),
        }
    }
    Ok(true)
}

async fn create(cx: &Cx) -> Result<Secrets> {
    ensure_domain(cx).await?;
    let password = password();
    let new = NewAccount {
        name: "posthouse".to_owned(),
        addresses: vec![ADDRESS.to_owned(), CATCH_ALL.to_owned()],
        password: Some(password.clone()),
        full_name: "Posthouse".to_owned(),
        ..NewAccount::default()
    };
    let (account, existed) = ensure_account(cx, new).await?;
    if existed {
        set_password(cx, &account, &password).await?;
    }
    let admin = NewAccount { name: "admin".to_owned(), admin: true, ..NewAccount::default() };
    let (admin, _) = ensure_account(cx, admin).await?;
    Ok(Secrets {
        password,
        api_key: create_key(cx, &account, "localserve", Scopes::user()).await?,
        admin_api_key: create_key(cx, &admin, "localserve admin", Scopes::all()).await?,
    })
}

async fn ensure_domain(cx: &Cx) -> Result<()> {
    let domain = NewDomain {
        name: DOMAIN.to_owned(),
        description: "This machine".to_owned(),
        separators: None,
        case_sensitive: false,
        dkim_algorithms: None,
    };
    match domains::create(cx, domain).await {
        Ok(_) | Err(Error::AlreadyExists(_)) => Ok(()),
        Err(error) => Err(describe(error)).context("cannot make the domain localhost"),
    }
}

async fn set_password(cx: &Cx, account: &Account, password: &str) -> Result<()> {
    let patch = AccountPatch { password: Some(password.to_owned()), ..AccountPatch::default() };
    let done = accounts::update(cx, account.id, patch).await.map_err(describe);
    done.map(drop).context("cannot set the password")
}

fn password() -> String {
    let mut random = rand::rng();
    let mut character = || {
        let place = random.random_range(0..PASSWORD_CHARACTERS.len());
        PASSWORD_CHARACTERS.get(place).copied().map_or('x', char::from)
    };
    (0..PASSWORD_LENGTH).map(|_| character()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_are_good_enough() {
        let one = password();
        assert_eq!(one.len(), PASSWORD_LENGTH);
        assert!(credentials::password_fault(&one).is_none());
        assert_ne!(one, password());
    }
}
