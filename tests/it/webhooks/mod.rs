//! Webhooks: endpoints over the API, and what their receivers get.

mod delivery;
mod endpoints;
mod failures;
mod isolation;
mod restarts;
