//! Taking on a domain: its DKIM keys are made with it.

use posthouse_mail::dkim::{Algorithm, SigningKey};

use super::{
    Domain, NewDomain,
    store::{self, NewKey},
};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::Id,
    idempotency::{self, Begin, Created},
    platform::Platform,
    scope::Scope,
    text,
};

pub(super) const KEY_PURPOSE: &str = "dkim";

/// Takes on a domain.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `AlreadyExists`.
pub async fn create(cx: &Cx, new: NewDomain) -> Result<Created<Domain>> {
    cx.require(Scope::AdminWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let (name, algorithms) = check(&new).map_err(Error::InvalidInput)?;
    let now = cx.now();
    // Making an RSA key takes 0.1 s: before the transaction.
    let keys = make_keys(cx.platform(), &algorithms, now.year()).await?;
    let id = Id::new(now);
    let mut tx = cx.begin("domains.create").await?;
    store::insert(tx.conn(), id, &name, &new, now).await?;
    store::insert_keys(tx.conn(), id, &keys, now).await?;
    audit::record(&mut tx, cx, "create_domain", None, &name).await?;
    let found = store::find(tx.conn(), id, &cx.platform().config().hostname).await?;
    let domain = found.ok_or(Error::NotFound("domain"))?;
    slot.keep(&mut tx, cx, &domain).await?;
    tx.commit().await?;
    cx.platform().directory().forget();
    Ok(Created::fresh(domain))
}

/// Every fault that [`create`] will find; that the name is taken only the database knows.
pub fn create_faults(new: &NewDomain) -> Vec<FieldError> {
    check(new).err().unwrap_or_default()
}

fn check(new: &NewDomain) -> Result<(String, Vec<Algorithm>), Vec<FieldError>> {
    let mut faults = Vec::new();
    let name = posthouse_mail::domain::normalise(&new.name).unwrap_or_else(|error| {
        faults.push(FieldError::new("/name", "invalid_domain", error.to_string()));
        String::new()
    });
    faults.extend(text::fault("/description", "invalid_description", &new.description));
    if let Some(separators) = &new.separators {
        faults.extend(separator_faults(separators));
    }
    let names = new.dkim_algorithms.clone();
    let names = names.unwrap_or_else(|| vec!["rsa-2048".to_owned(), "ed25519".to_owned()]);
    let mut algorithms = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match algorithm(name) {
            Some(algorithm) if !algorithms.contains(&algorithm) => algorithms.push(algorithm),
            _ => faults.push(FieldError::new(
                format!("/dkim/algorithms/{index}"),
                "invalid_algorithm",
                "an algorithm is rsa-2048 or ed25519, each at most once",
            )),
        }
    }
    if faults.is_empty() { Ok((name, algorithms)) } else { Err(faults) }
}

/// Faults in a list of separators.
pub(super) fn separator_faults(separators: &[String]) -> Vec<FieldError> {
    let good = |text: &String| {
        !text.is_empty() && text.len() <= 8 && text.bytes().all(|b| b"+-_=.#~!".contains(&b))
    };
    let faults = separators.iter().enumerate().filter(|(_, text)| !good(text));
    let detail = "a separator has 1 to 8 characters of + - _ = . # ~ !";
    let fault = |(index, _): (usize, _)| {
        FieldError::new(format!("/separators/{index}"), "invalid_separator", detail)
    };
    faults.map(fault).collect()
}

/// The algorithm with this name.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "rsa-2048" => Some(Algorithm::RsaSha256),
        "ed25519" => Some(Algorithm::Ed25519Sha256),
        _ => None,
    }
}

async fn make_keys(
    platform: &Platform,
    algorithms: &[Algorithm],
    year: i32,
) -> Result<Vec<NewKey>> {
    let mut keys = Vec::new();
    for algorithm in algorithms {
        let (name, selector, generate): (_, _, fn() -> _) = match algorithm {
            Algorithm::RsaSha256 => ("rsa-2048", format!("r{year}"), SigningKey::generate_rsa),
            Algorithm::Ed25519Sha256 => {
                ("ed25519", format!("e{year}"), SigningKey::generate_ed25519)
            }
        };
        let pkcs8 = tokio::task::spawn_blocking(generate)
            .await
            .map_err(Error::internal)?
            .map_err(Error::internal)?;
        let key = SigningKey::from_pkcs8(*algorithm, &pkcs8).map_err(Error::internal)?;
        keys.push(NewKey {
            selector,
            algorithm: name,
            private_key: platform.vault().seal(KEY_PURPOSE, &pkcs8)?,
            public_record: key.public_record().map_err(Error::internal)?,
        });
    }
    Ok(keys)
}
