//! Taking on a domain: its DKIM keys are made with it.

use posthouse_mail::dkim::Algorithm;

use super::{
    Domain, NewDomain, checks,
    dkim::{self, State, algorithm, generate},
    store::{self, Frame},
};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::Id,
    idempotency::{self, Begin, Created},
    scope::Scope,
    text,
};

/// Takes on a domain. Its keys sign from the beginning: a signature whose record is not there yet
/// counts as none, and nobody has to come back for it.
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
    let mut keys = Vec::new();
    for algorithm in algorithms {
        let mut key = generate(cx.platform(), algorithm).await?;
        key.selector = dkim::selector(key.algorithm, now, &[]);
        keys.push(key);
    }
    let id = Id::new(now);
    let mut tx = cx.begin("domains.create").await?;
    store::insert(tx.conn(), id, &name, &new, now).await?;
    for key in &keys {
        dkim::store::insert(tx.conn(), id, key, State::Active, now).await?;
    }
    checks::store::insert(tx.conn(), id, now).await?;
    audit::record(&mut tx, cx, "create_domain", None, &name).await?;
    let found = store::find(tx.conn(), id, &Frame::of(cx)).await?;
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
