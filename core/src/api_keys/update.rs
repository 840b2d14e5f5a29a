//! Changing an API key. Its secret stays as it is.

use super::{
    ApiKey, ApiKeyPatch, NewApiKey,
    bounds::Bounds,
    create::{form_faults, require_role},
    store,
};
use crate::{
    accounts, audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{self, Id},
    scope::{Scope, Scopes},
};

/// Changes a key. It may become weaker, or stay within what the caller may do.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`.
pub async fn update(cx: &Cx, key: Id<id::ApiKey>, patch: ApiKeyPatch) -> Result<ApiKey> {
    let all = cx.actor().scopes.has(Scope::AdminWrite);
    if !all {
        cx.require(Scope::AccountWrite)?;
    }
    let mut tx = cx.begin("api_keys.update").await?;
    let found = store::find_to_change(tx.conn(), key).await?;
    let found = found.filter(|found| all || found.account_id == cx.account());
    let mut found = found.ok_or(Error::NotFound("API key"))?;
    cx.require_version(&found)?;
    let before = as_new(&found);
    let sets_end = patch.expires_at.is_some();
    patch.apply(&mut found);
    let after = as_new(&found);
    Error::unless_empty(faults(cx, &before, &after, sets_end))?;
    let owner = accounts::store::find(tx.conn(), found.account_id).await?;
    require_role(owner.as_ref(), &after)?;
    found.scopes = Scopes::from_names(&found.scopes).names();
    store::update(tx.conn(), &found).await?;
    let target = key.to_string();
    audit::record(&mut tx, cx, "update_api_key", Some(found.account_id), &target).await?;
    tx.commit().await?;
    cx.platform().directory().forget();
    Ok(found)
}

/// Every fault that [`update`] will find without the database.
pub fn update_faults(cx: &Cx, patch: ApiKeyPatch) -> Vec<FieldError> {
    let sets_end = patch.expires_at.is_some();
    let after = NewApiKey {
        name: patch.name.unwrap_or_else(|| "unchanged".to_owned()),
        account: None,
        scopes: patch.scopes.unwrap_or_default(),
        allowed_cidrs: patch.allowed_cidrs.unwrap_or_default(),
        allowed_senders: patch.allowed_senders.unwrap_or_default(),
        sandbox: false,
        requests_per_minute: patch.requests_per_minute.flatten(),
        recipients_per_day: patch.recipients_per_day.flatten(),
        expires_at: patch.expires_at.flatten(),
    };
    form_faults(&after, sets_end.then(|| cx.now()))
}

fn faults(cx: &Cx, before: &NewApiKey, after: &NewApiKey, sets_end: bool) -> Vec<FieldError> {
    let mut faults = form_faults(after, sets_end.then(|| cx.now()));
    let grows = !Bounds::of_key(before).excess(after).is_empty();
    if grows {
        faults.extend(Bounds::of_actor(cx.actor()).excess(after));
    }
    faults
}

impl ApiKeyPatch {
    fn apply(self, key: &mut ApiKey) {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        set(&mut key.name, self.name);
        set(&mut key.scopes, self.scopes);
        set(&mut key.allowed_cidrs, self.allowed_cidrs);
        set(&mut key.allowed_senders, self.allowed_senders);
        set(&mut key.sandbox, self.sandbox);
        set(&mut key.requests_per_minute, self.requests_per_minute);
        set(&mut key.recipients_per_day, self.recipients_per_day);
        set(&mut key.expires_at, self.expires_at);
    }
}

fn as_new(key: &ApiKey) -> NewApiKey {
    NewApiKey {
        name: key.name.clone(),
        account: Some(key.account_id),
        scopes: key.scopes.clone(),
        allowed_cidrs: key.allowed_cidrs.clone(),
        allowed_senders: key.allowed_senders.clone(),
        sandbox: key.sandbox,
        requests_per_minute: key.requests_per_minute,
        recipients_per_day: key.recipients_per_day,
        expires_at: key.expires_at,
    }
}
