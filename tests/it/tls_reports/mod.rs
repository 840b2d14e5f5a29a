//! Reports about TLS (RFC 8460): what is counted, and what is told about it.

mod results;
mod sending;

use std::{io::Read as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthouse_tests::{
    app::App,
    dns::zone,
    person::Person,
    sink::{Message, Script},
};
use serde_json::Value;

/// A server that can send reports, and somebody who sends mail. `reports.test` takes reports.
async fn app() -> (App, Person) {
    with(App::test().start().await).await
}

async fn with(app: App) -> (App, Person) {
    app.start_sink("mx.reports.test", Script::new()).await;
    app.domain("posthouse.test").await;
    let alice = app.account("alice@example.test").await;
    (app, alice)
}

/// Publishes where reports about `domain` go.
fn ask_for_reports(app: &App, domain: &str, rua: &str) {
    let record = format!("v=TLSRPTv1; rua={rua}");
    app.dns().set(zone(&format!("_smtp._tls.{domain}")).txt("@", &record));
}

/// Sends a message to each domain and waits for the first attempts.
async fn write_to(alice: &Person, domains: &[&str]) {
    for domain in domains {
        let message = alice.send(&[&format!("bob@{domain}")], "x").await.id();
        alice.wait_for_attempts(&message, 1).await;
    }
}

/// Sets the clock to the next morning, when all reports are due.
fn sleep(app: &App) {
    let now = app.now();
    let morning = now.date().next_day().unwrap().midnight().assume_utc() + Duration::from_hours(5);
    app.advance((morning - now).try_into().unwrap());
}

/// What became of the reports about a domain, the newest first.
async fn sent(app: &App, domain: &str) -> Vec<Value> {
    let list = app.admin().all(&format!("/v1/reports/tls/outgoing?domain={domain}")).await;
    let mut reports = Vec::new();
    for listed in list {
        let id = listed["id"].as_str().unwrap();
        let found = app.admin().get(&format!("/v1/reports/tls/outgoing/{id}")).await.expect(200);
        assert_eq!((&listed["status"], &listed["report"]), (&found["status"], &Value::Null));
        reports.push(found.json);
    }
    reports
}

/// The report that a mail carries.
fn carried(message: &Message) -> Value {
    let text = message.text();
    let (_, part) = text.split_once("Content-Type: application/tlsrpt+gzip\r\n").unwrap();
    let (_, body) = part.split_once("\r\n\r\n").unwrap();
    let (body, _) = body.split_once("\r\n--").unwrap();
    unpacked(&STANDARD.decode(body.replace("\r\n", "")).unwrap())
}

fn unpacked(gzip: &[u8]) -> Value {
    let mut json = String::new();
    flate2::read::GzDecoder::new(gzip).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}
