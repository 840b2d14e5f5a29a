//! Tests of the whole server through its doors.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends"
)]

mod access;
mod api;
mod bounces;
mod delivery;
mod domains;
mod events;
mod faults;
mod housekeeping;
mod inbound;
mod interop;
mod large;
mod large_out;
mod mail;
mod nodes;
mod outbound;
mod queue;
mod reading;
mod sandbox;
mod smtp_server;
mod submission;
mod suppressions;
mod tls_reports;
mod webhooks;

posthouse_tests::postgres_keeper!();
