//! Letting callers in: API keys, passwords, SCRAM.
//!
//! Unknown and known users cost the same time and get the same answer.

pub mod app_passwords;
mod attempts;
mod authenticate;
mod own_password;
mod password;
pub(crate) mod store;

pub(crate) use app_passwords::store::salt;
pub(crate) use attempts::purge;
pub use attempts::{Client, LoginAttempt, list as list_attempts};
pub(crate) use authenticate::authenticate_own_password;
pub use authenticate::{
    ScramKey, ScramSecret, authenticate_api_key, authenticate_password, conclude_scram,
    scram_secret,
};
pub use own_password::{change_password, change_password_faults};
pub use password::password_fault;
pub(crate) use password::{Secrets, derive, new_salt};
