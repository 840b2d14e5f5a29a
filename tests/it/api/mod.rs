//! The HTTP door: conventions that every operation keeps.

mod bodies;
mod conventions;
mod idempotency;
mod messages;
mod pages;
mod reference;
mod strangers;
mod stream;
mod validation;
