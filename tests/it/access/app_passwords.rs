//! Passwords for single devices.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use posthouse_tests::{app::App, client::Client, smtp_client::SmtpClient};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::key_of;

const PLACE: &str = "/v1/account/app-passwords";
const MESSAGE: &str = "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: x\r\n\r\nx\r\n";

/// Logs in with each mechanism; gives the clients and the beginnings of the replies.
async fn log_in(app: &App, user: &str, password: &str) -> (Vec<SmtpClient>, Vec<String>) {
    let (mut clients, mut replies) = (Vec::new(), Vec::new());
    for mechanism in ["PLAIN", "LOGIN", "SCRAM-SHA-256"] {
        let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
        let reply = match mechanism {
            "PLAIN" => client.auth_plain(user, password).await,
            "LOGIN" => client.auth_login(user, password).await,
            _ => client.auth_scram(user, password).await,
        };
        replies.push(reply.to_string().chars().take(3).collect::<String>());
        clients.push(client);
    }
    (clients, replies)
}

async fn make(client: &Client, fields: Value) -> (String, String) {
    let made = client.post(PLACE, fields).await.expect(201);
    (format!("{PLACE}/{}", made.id()), made["password"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn each_device_has_a_password_of_its_own_until_it_is_revoked() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let (phone, phone_password) = make(&alice.http, json!({"name": "Phone"})).await;
    let (_, laptop_password) = make(&alice.http, json!({"name": "Laptop"})).await;
    assert_eq!(phone_password.len(), 24);
    for password in [&phone_password, &laptop_password, &alice.password] {
        let (_, replies) = log_in(&app, &alice.address, password).await;
        assert_eq!(replies, ["235", "235", "235"]);
    }
    let shown = alice.http.get(&phone).await.expect(200);
    assert!(shown.json.get("password").is_none() && !shown["last_used_at"].is_null());
    assert_eq!(shown["scopes"], json!(["send", "mail:read", "mail:write"]));
    assert_eq!(alice.http.all(PLACE).await.len(), 2);
    alice.http.delete(&phone).await.expect(204);
    alice.http.get(&phone).await.expect_problem(404, "not_found");
    let (_, replies) = log_in(&app, &alice.address, &phone_password).await;
    assert_eq!(replies, ["535", "535", "535"]);
    // A new password of the account leaves those of devices as they are.
    let change = json!({"current_password": alice.password, "new_password": "a new password"});
    alice.http.post("/v1/account/password", change).await.expect(204);
    let (_, replies) = log_in(&app, &alice.address, &laptop_password).await;
    assert_eq!(replies, ["235", "235", "235"]);
    app.stop().await;
}

#[tokio::test]
async fn an_app_password_does_what_it_may_and_no_more() {
    let app = App::test().start().await;
    app.domain("example.test").await;
    let alice = app.account_with(&["alice@example.test", "news@example.test"]).await;
    app.account("bob@example.test").await;
    let bound = json!({"name": "news", "allowed_senders": ["news@example.test"]});
    let (_, password) = make(&alice.http, bound).await;
    let (clients, _) = log_in(&app, &alice.address, &password).await;
    for mut client in clients {
        let reply = client.send_mail("news@example.test", "bob@example.test", MESSAGE).await;
        reply.expect("550 5.7.1");
        let own = MESSAGE.replace("alice@", "news@");
        client.send_mail("news@example.test", "bob@example.test", &own).await.expect("250");
    }
    let value = BASE64_STANDARD.encode(format!("{}:{password}", alice.address));
    let get = async |path: &str| {
        let request = app.anonymous().request(Method::GET, path);
        request.header("Authorization", &format!("Basic {value}")).send().await
    };
    get("/v1/mail").await.expect(200);
    get("/v1/account").await.expect_problem(403, "forbidden");
    let away = json!({"name": "away", "allowed_cidrs": ["192.0.2.0/24"]});
    let (_, password) = make(&alice.http, away).await;
    assert_eq!(log_in(&app, &alice.address, &password).await.1, ["535", "535", "535"]);
    let reader = json!({"name": "reader", "scopes": ["mail:read"]});
    let (_, password) = make(&alice.http, reader).await;
    let (mut clients, _) = log_in(&app, &alice.address, &password).await;
    clients[0].command("MAIL FROM:<alice@example.test>").await.expect("550 5.7.1");
    app.stop().await;
}

#[tokio::test]
async fn no_credential_makes_a_stronger_app_password() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let own = json!({"scopes": ["account:write", "send"], "sandbox": true,
                     "allowed_senders": ["@example.test"]});
    let weak = key_of(&app, &alice, own).await;
    let refused = weak.post(PLACE, json!({"name": "x"})).await;
    let refused = refused.expect_problem(422, "invalid_input");
    let mut pointers = refused.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/allowed_senders", "/sandbox", "/scopes/1", "/scopes/2"]);
    let fine = json!({"name": "x", "scopes": ["send"], "sandbox": true,
                      "allowed_senders": ["alice@example.test"]});
    weak.post(PLACE, fine).await.expect(201);
    let other = json!({"name": "x", "scopes": ["send", "account:write"]});
    let refused = alice.http.post(PLACE, other).await.expect_problem(422, "invalid_input");
    assert_eq!(refused.faults(), [("/scopes/1", "scope_not_allowed")]);
    app.stop().await;
}

#[tokio::test]
async fn an_account_has_at_most_fifty_app_passwords() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let mut requests = JoinSet::new();
    for number in 0..53 {
        let http = alice.http.clone();
        let new = json!({"name": number.to_string()});
        requests.spawn(async move { http.post(PLACE, new).await.status });
    }
    let answers = requests.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 50, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 422).count(), 3, "{answers:?}");
    app.stop().await;
}
