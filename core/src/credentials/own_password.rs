//! Changing the password of one's own account.

use super::{
    app_passwords,
    attempts::{self, Client},
    password::{self, password_fault},
    store,
};
use crate::{
    audit,
    cx::{Cx, Door},
    error::{Error, FieldError, Result},
    scope::Scope,
    tokens,
};

/// Changes the password of the caller's account. The present one is to be shown, whatever the
/// credential, so that nobody gets more than they had; guesses count as failed logins. App
/// passwords and API keys stay; sessions end, as whoever has one may have got it by the former one.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `RateLimited`.
pub async fn change_password(cx: &Cx, current: &str, new: &str) -> Result<()> {
    cx.require(Scope::AccountWrite)?;
    Error::unless_empty(change_password_faults(new))?;
    let platform = cx.platform();
    let account = cx.account();
    let client = Client {
        door: Door::Http,
        remote: cx.actor().remote_address,
        mechanism: "password change",
        tls: None,
        user_agent: "",
    };
    attempts::check(platform, &client).await?;
    let mut conn = platform.acquire().await?;
    let known = store::find_login(&mut conn, account).await?.and_then(|login| login.argon2id);
    let salt = app_passwords::store::salt(&mut conn, account).await?;
    drop(conn);
    let right = password::verify(current, known).await?;
    let result = if right { Ok(()) } else { Err(Error::InvalidCredentials) };
    let login = account.to_string();
    match attempts::conclude(platform, &client, &login, Some(account), result).await {
        Err(Error::InvalidCredentials) => {
            let detail = "this is not the password of the account";
            return Err(Error::field("/current_password", "wrong_password", detail));
        }
        other => other?,
    }
    let secrets = password::derive(Some(new), salt.unwrap_or_default()).await?;
    let mut tx = cx.begin("credentials.change_password").await?;
    if let Some(secrets) = secrets {
        store::set(tx.conn(), account, &secrets, cx.now()).await?;
    }
    tokens::store::delete_all(tx.conn(), account).await?;
    audit::record(&mut tx, cx, "change_own_password", Some(account), "").await?;
    tx.commit().await?;
    platform.directory().forget_sessions();
    Ok(())
}

/// Every fault that [`change_password`] will find without the database.
pub fn change_password_faults(new: &str) -> Vec<FieldError> {
    let fault = |detail| FieldError::new("/new_password", "invalid_password", detail);
    password_fault(new).map(fault).into_iter().collect()
}
