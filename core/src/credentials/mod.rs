//! Letting callers in: API keys, passwords, SCRAM.
//!
//! Unknown and known users cost the same time and get the same answer.

mod authenticate;
mod password;
pub(crate) mod store;
mod throttle;

pub use authenticate::{
    ScramSecret, authenticate_api_key, authenticate_password, scram_failed, scram_secret,
    scram_succeeded,
};
pub(crate) use password::derive;
pub use password::password_fault;
pub(crate) use throttle::Throttle;
