//! Mail that other servers bring.

mod forwards;
mod limits;
mod posts;
mod received;
mod receiving;
mod redelivery;
mod relay;
mod routes;
mod smuggling;
mod starttls;
mod transcripts;

use posthouse_tests::{
    app::{App, Builder},
    dns::zone,
};

/// A server, and `remote.test`, whose mail it takes.
fn app() -> Builder {
    App::test().dns(zone("remote.test").mx(10, "mx").address("mx", [127, 0, 0, 1]))
}

/// A small message.
fn message(subject: &str) -> String {
    format!(
        "From: Bob <bob@remote.test>\r\nTo: alice@example.test\r\nSubject: {subject}\r\n\
         Message-ID: <{subject}@remote.test>\r\nDate: Mon, 2 Mar 2026 10:00:00 +0100\r\n\r\n\
         Hello Alice.\r\n"
    )
}
