//! Every cell of the table in `docs/delivery.md`: what a domain publishes, what a sender wants and
//! what a server has to show, against real servers.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use posthouse_tests::{
    app::App,
    certificates::{self, Chain},
    dns::zone,
    person::Person,
    policy_host::{PolicyHost, policy},
    sink::Script,
};
use rustls::ServerConfig;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/delivery.md");
const HEAD: &str =
    "| MTA-STS | TLSA records | `require_tls` | good | pinned | wrong | broken | absent |";

/// The rows of the table, cell by cell.
fn table() -> Vec<Vec<&'static str>> {
    let rows = PAGE.lines().skip_while(|line| *line != HEAD).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = |row: &'static str| row.trim_matches('|').split('|').map(clean);
    rows.map(|row| cells(row).collect()).collect()
}

fn clean(cell: &str) -> &str {
    cell.trim().trim_matches('`')
}

/// A domain that publishes what `sts` and `tlsa` say, with a server as `shown` says.
struct Remote {
    domain: String,
    _policy: Option<PolicyHost>,
}

impl Remote {
    async fn start(app: &App, [sts, tlsa, shown]: [&str; 3]) -> Self {
        let domain = format!("{sts}-{tlsa}-{shown}.test");
        let mx = format!("mx.{domain}");
        let (tls, data) = certificate(app, &mx, shown);
        let at = format!("_{}._tcp.mx", app.delivery_port());
        let signed = zone(&domain).signed().mx(10, "mx");
        app.dns().set(match tlsa {
            "none" => signed,
            "usable" => signed.tlsa(&at, [3, 0, 1], &data),
            "unusable" => signed.tlsa(&at, [1, 0, 1], &data),
            "bogus" => signed.tlsa(&at, [3, 0, 1], &data).forged(&at),
            other => panic!("{other}"),
        });
        let script = Script::new();
        let script = match shown {
            "absent" => script,
            "broken" => script.broken_starttls(),
            _ => script.starttls(tls).capability("REQUIRETLS"),
        };
        app.start_sink(&mx, script).await;
        let host = match sts {
            "none" => None,
            mode => Some(PolicyHost::start(app, &domain, &policy(mode, &[&mx])).await),
        };
        Self { domain, _policy: host }
    }
}

/// What the server shows, and the digest in its TLSA record.
fn certificate(app: &App, mx: &str, shown: &str) -> (Arc<ServerConfig>, Vec<u8>) {
    if shown == "good" {
        return certificates::trusted_with_tlsa(app, mx);
    }
    let chain = Chain::new(mx);
    let data = if shown == "pinned" { chain.tlsa([3, 0, 1]) } else { vec![0; 32] };
    (chain.server, data)
}

async fn send(alice: &Person, domain: &str, require_tls: &str) -> String {
    let wish: Value = require_tls.parse().unwrap();
    let to = format!("bob@{domain}");
    let message = json!({"to": [to], "subject": "x", "text": "x", "require_tls": wish});
    alice.post_message(message).await.expect(202).id()
}

/// What came of it, in the words of the table.
async fn outcome(alice: &Person, id: &str) -> String {
    let delivery = alice.wait_for_attempts(id, 1).await;
    let attempt = &delivery["attempts"][0];
    let class = attempt["enhanced_code"].as_str().and_then(|code| code.chars().next());
    let known = match (delivery["status"].as_str().unwrap(), class) {
        ("delivered", Some('2')) => &attempt["tls"]["verification"],
        ("deferred", Some('4')) | ("failed", Some('5')) => &attempt["enhanced_code"],
        _ => panic!("{delivery}"),
    };
    known.as_str().unwrap().to_owned()
}

/// Goes through the rows of one mode of MTA-STS.
async fn holds(mode: &str) {
    let app = App::test().dnssec().start().await;
    let alice = app.account("alice@example.test").await;
    let shown: Vec<_> = HEAD.trim_matches('|').split('|').skip(3).map(clean).collect();
    let (mut remotes, mut sent) = (HashMap::new(), Vec::new());
    for row in table().iter().filter(|row| row[0] == mode) {
        let [_, tlsa, wish, expected @ ..] = &row[..] else { panic!("{row:?}") };
        for (shown, expected) in shown.iter().zip(expected) {
            let at = [mode, *tlsa, *shown];
            let remote = match remotes.entry(at) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(Remote::start(&app, at).await),
            };
            let id = send(&alice, &remote.domain, wish).await;
            sent.push((format!("{at:?}, require_tls {wish}"), id, *expected));
        }
    }
    assert_eq!((remotes.len(), sent.len()), (4 * 5, 4 * 5 * 3));
    let mut wrong = Vec::new();
    for (case, id, expected) in &sent {
        let found = outcome(&alice, id).await;
        if found != *expected {
            wrong.push(format!("{case}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let in_the_clear = app.sink(&format!("mx.{mode}-usable-absent.test"));
    assert_eq!(in_the_clear.count(), 1, "only what waives TLS");
    app.stop().await;
}

#[tokio::test]
async fn without_a_policy() {
    holds("none").await;
}

#[tokio::test]
async fn with_a_policy_in_mode_testing() {
    holds("testing").await;
}

#[tokio::test]
async fn with_a_policy_in_mode_enforce() {
    holds("enforce").await;
}
