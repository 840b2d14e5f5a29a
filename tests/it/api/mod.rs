//! The HTTP door: conventions that every operation keeps.

mod batch;
mod bodies;
mod conventions;
mod idempotency;
mod messages;
mod pages;
mod reference;
mod schemathesis;
mod sending;
mod strangers;
mod stream;
mod templates;
mod uploads;
mod validation;
