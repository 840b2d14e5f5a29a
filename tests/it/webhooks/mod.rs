//! Webhooks: endpoints over the API, and what their receivers get.

mod calls;
mod delivery;
mod endpoints;
mod failures;
mod filters;
mod isolation;
mod replays;
mod restarts;
mod secrets;
