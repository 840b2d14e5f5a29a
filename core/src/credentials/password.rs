//! Passwords: Argon2id for verification, SCRAM-SHA-256 secrets beside it (decision 0.20).

use std::{num::NonZeroU32, sync::LazyLock};

use argon2::{
    Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _, password_hash::SaltString,
};
use aws_lc_rs::{digest, hmac, pbkdf2};
use precis_profiles::{OpaqueString, precis_core::profile::Profile as _};
use rand::RngCore as _;
use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// Iterations of SCRAM-SHA-256 (RFC 7677 §4).
pub(super) const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// At most this many key derivations at a time: a flood of logins cannot take every core
/// (THREATS 25).
static DERIVATIONS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new((cores / 2).max(1))
});

/// What is kept of a password.
pub(crate) struct Secrets {
    pub argon2id: String,
    pub scram_iterations: i32,
    pub scram: ScramKeys,
}

/// What SCRAM needs of a password.
pub(crate) struct ScramKeys {
    pub stored_key: Vec<u8>,
    pub server_key: Vec<u8>,
}

/// What is wrong with a new password, if anything (J3).
pub fn password_fault(password: &str) -> Option<String> {
    if password.len() < 8 {
        return Some("a password has at least 8 octets".to_owned());
    }
    if password.len() > 1024 {
        return Some("a password has at most 1,024 octets".to_owned());
    }
    prepare(password)
        .is_none()
        .then(|| "the password has characters that are not allowed".to_owned())
}

/// The form in which a password is compared (RFC 8265 §4, `OpaqueString`).
pub(super) fn prepare(password: &str) -> Option<String> {
    OpaqueString::new().enforce(password).ok().map(std::borrow::Cow::into_owned)
}

/// A salt for all passwords of a new account.
pub(crate) fn new_salt() -> Vec<u8> {
    let mut salt = vec![0_u8; 16];
    rand::rng().fill_bytes(&mut salt);
    salt
}

/// What is kept of a password with so many random bits that nobody guesses it.
pub(super) fn hash(password: &str) -> Vec<u8> {
    let prepared = prepare(password);
    let octets = prepared.as_deref().unwrap_or(password).as_bytes();
    digest::digest(&digest::SHA256, octets).as_ref().to_vec()
}

/// Derives what SCRAM needs of a password that was generated here.
pub(super) async fn derive_scram(password: &str, salt: Vec<u8>) -> Result<ScramKeys> {
    let password = password.to_owned();
    blocking(move || scram(&password, &salt)).await
}

/// Derives what is kept of `password`, with the account's salt for SCRAM; none for none.
pub(crate) async fn derive(password: Option<&str>, salt: Vec<u8>) -> Result<Option<Secrets>> {
    let Some(password) = password else {
        return Ok(None);
    };
    let prepared = prepare(password)
        .ok_or_else(|| Error::field("/password", "invalid_password", "it cannot be used"))?;
    blocking(move || secrets(&prepared, &salt)).await?.map(Some)
}

fn secrets(password: &str, scram_salt: &[u8]) -> Result<Secrets> {
    let encoded =
        SaltString::encode_b64(&new_salt()).map_err(|error| Error::internal(error.to_string()))?;
    let argon2id = Argon2::default()
        .hash_password(password.as_bytes(), &encoded)
        .map_err(|error| Error::internal(error.to_string()))?
        .to_string();
    Ok(Secrets {
        argon2id,
        scram_iterations: i32::try_from(ITERATIONS.get()).unwrap_or(4096),
        scram: scram(password, scram_salt),
    })
}

/// RFC 5802 §3.
fn scram(password: &str, salt: &[u8]) -> ScramKeys {
    let mut salted = [0_u8; 32];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, ITERATIONS, salt, password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    ScramKeys {
        stored_key: stored_key.as_ref().to_vec(),
        server_key: hmac::sign(&key, b"Server Key").as_ref().to_vec(),
    }
}

/// Whether `password` is the one behind `hash`. Without a hash the same work is done for nothing.
pub(super) async fn verify(password: &str, hash: Option<String>) -> Result<bool> {
    static NOBODY: LazyLock<String> = LazyLock::new(|| {
        secrets("nobody has this password", &[]).map_or_else(|_| String::new(), |s| s.argon2id)
    });
    let prepared = prepare(password).unwrap_or_else(|| password.to_owned());
    blocking(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        let right = PasswordHash::new(&hash).is_ok_and(|hash| {
            Argon2::default().verify_password(prepared.as_bytes(), &hash).is_ok()
        });
        known && right
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let _permit = DERIVATIONS.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}
