//! Domains: their keys, the records to publish, and what of them is in DNS.

mod checks;
mod disabled;
mod keys;
mod records;

use posthouse_tests::{
    app::App,
    dns::{Zone, zone},
};
use serde_json::{Value, json};

const DOMAIN: &str = "example.test";
/// Address of the server in DNS.
const ADDRESS: [u8; 4] = [192, 0, 2, 25];

/// A server whose name is in DNS, both ways, and its domain.
async fn app() -> (App, String) {
    let host = zone("posthouse.test").address("mail", ADDRESS);
    let back = zone("25.2.0.192.in-addr.arpa").ptr("@", "mail.posthouse.test.");
    let app = App::test().dns(host).dns(back).start().await;
    let domain = app.admin().post("/v1/domains", json!({"name": DOMAIN})).await.expect(201);
    (app, format!("/v1/domains/{}", domain.id()))
}

/// The records that the server asks to publish.
async fn records(app: &App, place: &str) -> Vec<Value> {
    let records = app.admin().get(&format!("{place}/records")).await.expect(200);
    records["records"].as_array().unwrap().clone()
}

/// A zone with the MX and TXT records among these.
fn zone_of(records: &[Value]) -> Zone {
    let mut all = zone(DOMAIN);
    for record in records {
        let text = |field: &str| record[field].as_str().unwrap();
        let name = format!("{}.", text("name"));
        all = match text("type") {
            "MX" => all.mx(10, text("value").strip_prefix("10 ").unwrap()),
            "TXT" if name.ends_with("example.test.") => all.txt(&name, text("value")),
            _ => all,
        };
    }
    all
}

/// Publishes what is asked for.
async fn publish(app: &App, place: &str) {
    app.dns().set(zone_of(&records(app, place).await));
}

/// Asks for something without a body.
async fn ask(app: &App, method: &str, path: &str) -> posthouse_tests::client::Answer {
    app.admin().request(method.parse().unwrap(), path).send().await
}

/// The state of the domain after looking at it now.
async fn verify(app: &App, place: &str) -> Value {
    ask(app, "POST", &format!("{place}/verify")).await.expect(200).json
}

/// Types of the administrator's events about domains, oldest first.
async fn events(app: &App) -> Vec<String> {
    let all = app.admin().all("/v1/events").await;
    let kinds = all.iter().map(|event| event["type"].as_str().unwrap().to_owned());
    let mut kinds: Vec<String> =
        kinds.filter(|kind| kind.starts_with("domain.") || kind.starts_with("dkim.")).collect();
    kinds.reverse();
    kinds
}
