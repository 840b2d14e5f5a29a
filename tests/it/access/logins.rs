//! Guessing passwords, at whatever door and node (H4), and the log of it (J6).

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use posthouse_tests::{app::App, client::Answer, smtp_client::SmtpClient};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::{DAY, MINUTE, next};

/// Asks for the account with a password, at the server at `base`.
async fn basic(app: &App, base: &str, user: &str, password: &str) -> Answer {
    let value = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
    let request = app.anonymous().at(base).request(Method::GET, "/v1/account");
    request.header("Authorization", &value).header("User-Agent", "test/1").send().await
}

#[tokio::test]
async fn failures_at_one_door_and_node_slow_down_at_all() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let node = app.node("other").await;
    let here = app.http_url();
    next(&app, MINUTE);
    for number in 0..4 {
        let base = if number % 2 == 0 { &here } else { &node.http_url() };
        let answer = basic(&app, base, &alice.address, "wrong").await;
        answer.expect_problem(401, "invalid_credentials");
    }
    for _ in 0..3 {
        let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
        client.auth_plain(&alice.address, "wrong").await.expect("535 5.7.8");
        let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
        client.auth_scram("nobody@example.test", "wrong").await.expect("535 5.7.8");
    }
    for base in [&here, &node.http_url()] {
        let refused = basic(&app, base, &alice.address, &alice.password).await;
        let refused = refused.expect_problem(429, "rate_limited");
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
    let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
    let reply = client.auth_plain(&alice.address, &alice.password).await;
    assert!(reply.begins("454 4.7.0") || reply.begins("421 4.7.0"), "{reply}");
    // Keys are not guessed.
    alice.http.get("/v1/account").await.expect(200);
    app.advance(Duration::from_mins(1));
    basic(&app, &here, &alice.address, &alice.password).await.expect(200);
    node.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn many_guesses_at_a_time_learn_no_more() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    next(&app, MINUTE);
    let mut guesses = JoinSet::new();
    for number in 0..25 {
        let (http, user) = (app.anonymous(), alice.address.clone());
        guesses.spawn(async move {
            let guess = BASE64_STANDARD.encode(format!("{user}:wrong-{number}"));
            let request = http.request(Method::GET, "/v1/account");
            request.header("Authorization", &format!("Basic {guess}")).send().await.status
        });
    }
    let answers = guesses.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 10, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 15, "{answers:?}");
    app.stop().await;
}

#[tokio::test]
async fn who_gets_in_is_forgiven_and_a_day_has_its_own_limit() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let here = app.http_url();
    let fail = async |times: usize| {
        for _ in 0..times {
            let answer = basic(&app, &here, &alice.address, "wrong").await;
            answer.expect_problem(401, "invalid_credentials");
        }
    };
    let enter = async || basic(&app, &here, &alice.address, &alice.password).await;
    next(&app, DAY);
    fail(9).await;
    enter().await.expect(200);
    fail(9).await;
    enter().await.expect(200);
    let left: i64 = sqlx::query_scalar("SELECT sum(day_failures) FROM login_throttle")
        .fetch_one(app.db())
        .await
        .unwrap();
    assert_eq!(left, 0);
    for _ in 0..5 {
        fail(10).await;
        next(&app, MINUTE);
    }
    enter().await.expect_problem(429, "rate_limited");
    app.advance(Duration::from_hours(24));
    enter().await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn an_account_sees_who_tried_to_log_in() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let here = app.http_url();
    for _ in 0..2 {
        basic(&app, &here, "ALICE@example.test", "wrong").await.expect(401);
    }
    basic(&app, &here, "nobody@example.test", "wrong").await.expect(401);
    let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
    client.auth_scram(&alice.address, &alice.password).await.expect("235");
    let attempts = alice.http.all("/v1/account/login-attempts?limit=1").await;
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    let [last, first] = [&attempts[0], &attempts[1]];
    assert_eq!((&last["door"], &last["mechanism"]), (&json!("smtp"), &json!("SCRAM-SHA-256")));
    assert_eq!((&last["result"], &last["count"]), (&json!("ok"), &json!(1)));
    assert!(last["tls"].as_str().unwrap().starts_with("TLSv1.3"), "{last}");
    assert_ne!(last["user_agent"], "");
    assert_eq!((&first["login"], &first["count"]), (&json!("ALICE@example.test"), &json!(2)));
    assert_eq!(first["result"], "invalid_credentials");
    assert_eq!(first["remote_address"], "127.0.0.1");
    assert_eq!((&first["user_agent"], &first["door"]), (&json!("test/1"), &json!("http")));
    assert!(bob.http.all("/v1/account/login-attempts").await.is_empty());
    app.advance(Duration::from_hours(31 * 24));
    app.clean_up().await;
    assert!(alice.http.all("/v1/account/login-attempts").await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn the_own_password_is_changed_by_who_knows_it() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let change = async |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        alice.http.post("/v1/account/password", body).await
    };
    let refused = change("wrong password", "a new password").await;
    let expected = [("/current_password", "wrong_password")];
    assert_eq!(refused.expect_problem(422, "invalid_input").faults(), expected);
    let refused = change(&alice.password, "short").await.expect_problem(422, "invalid_input");
    assert_eq!(refused.faults(), [("/new_password", "invalid_password")]);
    change(&alice.password, "a new password").await.expect(204);
    let here = app.http_url();
    basic(&app, &here, &alice.address, &alice.password).await.expect(401);
    basic(&app, &here, &alice.address, "a new password").await.expect(200);
    let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
    client.auth_scram(&alice.address, "a new password").await.expect("235");
    // Guessing here is guessing too.
    next(&app, MINUTE);
    for _ in 0..10 {
        change("wrong password", "another password").await.expect(422);
    }
    change("a new password", "another password").await.expect_problem(429, "rate_limited");
    let name = json!({"full_name": "Alice A."});
    assert_eq!(alice.http.patch("/v1/account", name).await.expect(200)["full_name"], "Alice A.");
    assert_eq!(alice.http.get("/v1/account").await.expect(200)["full_name"], "Alice A.");
    app.stop().await;
}

#[tokio::test]
async fn an_account_hears_of_a_login_from_somewhere_else() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let here = app.http_url();
    let enter = async || basic(&app, &here, &alice.address, &alice.password).await.expect(200);
    let heard = async || {
        let events = alice.events().await.into_iter();
        events.filter(|event| event["type"] == "login.new_address").collect::<Vec<_>>()
    };
    basic(&app, &here, &alice.address, "wrong").await.expect(401);
    assert!(heard().await.is_empty());
    let mut entering = JoinSet::new();
    for _ in 0..4 {
        let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
        let (user, password) = (alice.address.clone(), alice.password.clone());
        entering.spawn(async move { client.auth_scram(&user, &password).await.expect("235") });
    }
    entering.join_all().await;
    enter().await;
    let events = heard().await;
    assert_eq!(events.len(), 1, "{events:?}");
    let data = &events[0]["data"];
    assert_eq!((&data["remote_address"], &data["door"]), (&json!("127.0.0.1"), &json!("smtp")));
    assert_eq!((&data["network"], &data["login"]), (&json!("127.0.0.1/32"), &json!(alice.address)));
    assert_eq!(data["mechanism"], "SCRAM-SHA-256");
    // Whoever comes now and then stays known.
    for _ in 0..2 {
        app.advance(Duration::from_hours(60 * 24));
        enter().await;
    }
    assert_eq!(heard().await.len(), 1);
    app.advance(Duration::from_hours(90 * 24));
    enter().await;
    let events = heard().await;
    assert_eq!((events.len(), &events[1]["data"]["user_agent"]), (2, &json!("test/1")));
    app.stop().await;
}
