//! Making an app password. Nobody makes one that may do more than themselves.

use rand::RngCore as _;

use super::{AppPassword, AppPasswordWithSecret, all_scopes, store};
use crate::{
    api_keys::{NewApiKey, bounds::Bounds, form_faults},
    audit,
    credentials::password,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{ALPHABET, Id},
    idempotency::{self, Begin, Created},
    scope::{Scope, Scopes},
};

/// Characters of a password: 120 random bits.
const LENGTH: usize = 24;
/// Most passwords of an account: in SCRAM each is tried.
const MOST: i64 = 50;

/// Makes a password for the caller's account. Its bounds are written as those of an API key; without
/// scopes it may do everything that a mail program does.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `PolicyRejected`.
pub async fn create(cx: &Cx, new: NewApiKey) -> Result<Created<AppPasswordWithSecret>> {
    cx.require(Scope::AccountWrite)?;
    // Before an earlier answer is given again: it has a secret that the caller might not make.
    Error::unless_empty(create_faults(cx, &new))?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let secret = generate();
    let mut conn = cx.platform().acquire().await?;
    let salt = store::salt(&mut conn, cx.account()).await?.ok_or(Error::NotFound("account"))?;
    drop(conn);
    let keys = password::derive_scram(&secret, salt).await?;
    let app_password = AppPassword {
        id: Id::new(cx.now()),
        account_id: cx.account(),
        scopes: Scopes::from_names(&new.scopes).names(),
        name: new.name,
        allowed_cidrs: new.allowed_cidrs,
        allowed_senders: new.allowed_senders,
        sandbox: new.sandbox,
        expires_at: new.expires_at,
        last_used_at: None,
        created_at: cx.now(),
    };
    let mut tx = cx.begin("app_passwords.create").await?;
    if store::count(tx.conn(), cx.account()).await? >= MOST {
        let detail = format!("an account has at most {MOST} app passwords: delete one first");
        return Err(Error::PolicyRejected(detail));
    }
    store::insert(tx.conn(), &app_password, &password::hash(&secret), &keys).await?;
    let target = app_password.id.to_string();
    audit::record(&mut tx, cx, "create_app_password", Some(cx.account()), &target).await?;
    let created = AppPasswordWithSecret { app_password, password: secret };
    slot.keep(&mut tx, cx, &created).await?;
    tx.commit().await?;
    Ok(Created::fresh(created))
}

/// Every fault that [`create`] will find without the database.
pub fn create_faults(cx: &Cx, new: &NewApiKey) -> Vec<FieldError> {
    let mut faults = form_faults(new, Some(cx.now()));
    // With a password nobody counts apart: a key with a limit of requests or recipients makes none.
    let excess = Bounds::of_actor(cx.actor()).excess(new).into_iter();
    faults.extend(excess.map(|fault| match fault.pointer.as_str() {
        "/requests_per_minute" | "/recipients_per_day" => {
            FieldError { pointer: String::new(), ..fault }
        }
        _ => fault,
    }));
    for (index, name) in new.scopes.iter().enumerate() {
        if name.parse().is_ok_and(|scope| !all_scopes().has(scope)) {
            let detail = "an app password can have send, mail:read and mail:write";
            let pointer = format!("/scopes/{index}");
            faults.retain(|fault| fault.pointer != pointer);
            faults.push(FieldError::new(pointer, "scope_not_allowed", detail));
        }
    }
    faults
}

/// Random characters that nobody confuses.
fn generate() -> String {
    let mut bytes = [0_u8; LENGTH];
    rand::rng().fill_bytes(&mut bytes);
    let character = |byte: &u8| ALPHABET.get(usize::from(byte & 31)).copied().map(char::from);
    bytes.iter().filter_map(character).collect()
}
