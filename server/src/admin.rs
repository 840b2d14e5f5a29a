//! `posthouse create-admin`: the first key, before there is anybody who could ask the API for one.

use anyhow::{Context as _, Result, bail};
use posthouse_core::{
    Actor, Cx, Error, Id, Platform, Scopes,
    accounts::{self, Account, NewAccount},
    api_keys::{self, NewApiKey},
    page::PageRequest,
};

use crate::{app, config::Settings, output};

/// Options of `posthouse create-admin`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Name of the administrator's account; it is made unless it exists
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Address of a new account, in a domain that exists; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub address: Vec<String>,
    /// Name of the new API key
    #[arg(long, value_name = "NAME", default_value = "create-admin")]
    pub key_name: String,
}

/// Makes the account where it is missing, and a key with all scopes, which is printed once.
pub async fn create_admin(settings: Settings, options: Options) -> Result<()> {
    settings.database.wait_until_up().await?;
    settings.database.migrate().await?;
    let pool = settings.database.pool(&settings.node_name);
    let platform = app::platform_for_commands(settings, pool.clone())?;
    let done = create(&platform, &options).await;
    pool.close().await;
    output::line(done?);
    Ok(())
}

async fn create(platform: &Platform, options: &Options) -> Result<String> {
    let cx = system_cx(platform);
    let new = NewAccount {
        name: options.name.clone(),
        addresses: options.address.clone(),
        admin: true,
        ..NewAccount::default()
    };
    let (account, existed) = ensure_account(&cx, new).await?;
    if account.role != "admin" {
        bail!("the account {:?} exists and is no administrator; choose another name", account.name);
    }
    if existed && !options.address.is_empty() {
        bail!("the account {:?} exists: change its addresses through the API", account.name);
    }
    create_key(&cx, &account, &options.key_name, Scopes::all()).await
}

/// The server itself, acting for nobody in particular.
pub(crate) fn system_cx(platform: &Platform) -> Cx {
    let now = platform.now();
    Cx::new(platform.clone(), Actor::system(Id::new(now)), Id::new(now))
}

/// The account of this name, and whether it existed before.
pub(crate) async fn ensure_account(cx: &Cx, new: NewAccount) -> Result<(Account, bool)> {
    let name = new.name.clone();
    match accounts::create(cx, new).await {
        Ok(created) => Ok((created.value, false)),
        Err(Error::AlreadyExists(_)) => {
            let account = find_account(cx, &name).await?;
            let account = account.with_context(|| {
                format!("an address that the account {name:?} should have is taken")
            })?;
            Ok((account, true))
        }
        Err(error) => Err(describe(error)).with_context(|| format!("cannot make account {name:?}")),
    }
}

async fn find_account(cx: &Cx, name: &str) -> Result<Option<Account>> {
    let mut request = PageRequest::default();
    loop {
        let page = accounts::list(cx, &request).await.map_err(describe)?;
        if let Some(account) = page.data.into_iter().find(|account| account.name == name) {
            return Ok(Some(account));
        }
        let Some(cursor) = page.next_cursor else {
            return Ok(None);
        };
        request.cursor = Some(cursor);
    }
}

/// Makes a key and gives its secret.
pub(crate) async fn create_key(
    cx: &Cx,
    account: &Account,
    name: &str,
    scopes: Scopes,
) -> Result<String> {
    let new = NewApiKey {
        name: name.to_owned(),
        account: Some(account.id),
        scopes: scopes.names(),
        ..NewApiKey::default()
    };
    let created = api_keys::create(cx, new).await.map_err(describe);
    Ok(created.context("cannot make an API key")?.value.secret)
}

/// An error with the faults of single fields, which `Display` leaves to the doors.
pub(crate) fn describe(error: Error) -> anyhow::Error {
    match error {
        Error::InvalidInput(faults) => {
            let faults: Vec<_> = faults
                .iter()
                .map(|fault| format!("{}: {}", fault.pointer.trim_start_matches('/'), fault.detail))
                .collect();
            anyhow::anyhow!(faults.join("; "))
        }
        other => other.into(),
    }
}
