//! HTTP requests to places that others have named: endpoints of webhooks, an OpenID provider, web
//! servers with MTA-STS policies.

mod client;
mod guard;

#[cfg(test)]
pub(crate) use client::RetryAfter;
pub(crate) use client::{Answer, Client, FetchError, beginning};
#[cfg(test)]
pub(crate) use guard::policy;
pub(crate) use guard::{Lookup, Policy, Ports, lookup_with};
