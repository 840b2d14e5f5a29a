//! What accounts may send in a day and ask in a minute (0.4, B10).

use std::time::Duration;

use posthouse_tests::{app::App, client::Client, person::Person};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{DAY, MINUTE, key_of, next};

async fn limit(app: &App, person: &Person, limits: Value) -> Value {
    let path = format!("/v1/accounts/{}/limits", person.account_id);
    app.admin().patch(&path, limits).await.expect(200).json
}

async fn used(person: &Person) -> (i64, i64) {
    let path = format!("/v1/accounts/{}/limits", person.account_id);
    let limits = person.http.get(&path).await.expect(200);
    let count = |field: &str| limits[field].as_i64().unwrap();
    (count("recipients_used"), count("new_recipients_used"))
}

#[tokio::test]
async fn messages_of_all_doors_and_nodes_count_exactly() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    app.account("bob@example.test").await;
    let node = app.node("other").await;
    let there = node.as_person(&alice);
    next(&app, DAY);
    limit(&app, &alice, json!({"recipients_per_day": 20})).await;
    let mut sending = JoinSet::new();
    for number in 0..30 {
        let (alice, there) = (alice.clone(), there.clone());
        sending.spawn(async move {
            let message = json!({"to": "bob@example.test", "subject": "x", "text": "x"});
            match number % 3 {
                0 => alice.post_message(message).await.status == 202,
                1 => there.post_message(message).await.status == 202,
                _ => alice.submit(&["bob@example.test"], "x").await.begins("250"),
            }
        });
    }
    let taken = sending.join_all().await.into_iter().filter(|taken| *taken).count();
    assert_eq!((taken, used(&alice).await), (20, (20, 0)));
    let refused = alice.post_message(json!({"to": "bob@example.test", "text": "x"})).await;
    let refused = refused.expect_problem(429, "sending_limit_exceeded");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((DAY - 600..=DAY).contains(&wait), "{wait}");
    alice.submit(&["bob@example.test"], "x").await.expect("451 4.7.1");
    assert_eq!(used(&alice).await, (20, 0));
    app.advance(Duration::from_secs(DAY));
    alice.send(&["bob@example.test"], "x").await;
    assert_eq!(used(&alice).await, (1, 0));
    node.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_as_a_whole_and_can_be_repeated() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    limit(&app, &alice, json!({"recipients_per_day": 0})).await;
    // What goes to the sandbox does not count.
    alice.send(&["bob@remote.test"], "x").await;
    assert_eq!(used(&alice).await, (0, 0));
    app.stop().await;

    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    limit(&app, &alice, json!({"recipients_per_day": 1})).await;
    let two = json!({"from": alice.address, "to": [alice.address, bob.address], "text": "x"});
    let send = async || {
        let request = alice.http.request(reqwest::Method::POST, "/v1/messages");
        request.header("Idempotency-Key", "two").json(&two).send().await
    };
    send().await.expect_problem(429, "sending_limit_exceeded");
    assert_eq!(used(&alice).await, (0, 0));
    assert!(bob.inbox().await.is_empty());
    limit(&app, &alice, json!({"recipients_per_day": null})).await;
    // A refusal is not kept.
    send().await.expect(202);
    app.stop().await;
}

#[tokio::test]
async fn recipients_are_new_once() {
    let app = App::test().start().await;
    app.domain("example.test").await;
    let alice = app.account("alice@example.test").await;
    app.account_with(&["@example.test"]).await;
    alice.send(&["old@example.test"], "x").await;
    limit(&app, &alice, json!({"new_recipients_per_day": 2})).await;
    for (to, is_taken, expected) in [
        (json!(["old@example.test", "one@example.test"]), true, (2, 1)),
        (json!(["ONE@example.test"]), true, (3, 1)),
        (json!(["two@example.test", "three@example.test"]), false, (3, 1)),
        (json!(["two@example.test"]), true, (4, 2)),
        (json!(["three@example.test"]), false, (4, 2)),
        (json!(["one@example.test", "two@example.test"]), true, (6, 2)),
    ] {
        let answer = alice.post_message(json!({"to": to, "text": "x"})).await;
        if is_taken {
            answer.expect(202);
        } else {
            answer.expect_problem(429, "sending_limit_exceeded");
        }
        assert_eq!(used(&alice).await, expected, "{to}");
    }
    app.stop().await;
}

#[tokio::test]
async fn requests_are_counted_by_the_minute() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let free = alice.http.get("/v1/account").await.expect(200);
    assert_eq!(free.header("ratelimit"), None);
    limit(&app, &alice, json!({"requests_per_minute": 10})).await;
    next(&app, MINUTE);
    let mut requests = JoinSet::new();
    for _ in 0..15 {
        let http = alice.http.clone();
        requests.spawn(async move { http.get("/v1/account").await });
    }
    let answers = requests.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 10);
    for answer in answers {
        assert_eq!(answer.header("ratelimit-policy"), Some("\"account\";q=10;w=60"));
        assert!(answer.header("ratelimit").unwrap().starts_with("\"account\";r="));
        if answer.status != 200 {
            let answer = answer.expect_problem(429, "rate_limited");
            assert!(answer.header("ratelimit").unwrap().starts_with("\"account\";r=0;t="));
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
        }
    }
    // Others are not concerned, and the next minute begins anew.
    app.admin().get("/v1/account").await.expect(200);
    next(&app, MINUTE);
    let answer = alice.http.get("/v1/account").await.expect(200);
    assert!(answer.header("ratelimit").unwrap().starts_with("\"account\";r=9;t="));
    let own = format!("/v1/accounts/{}/limits", alice.account_id);
    alice
        .http
        .patch(&own, json!({"requests_per_minute": null}))
        .await
        .expect_problem(403, "forbidden");
    app.stop().await;
}

/// Limits that the account was told of: name and key.
async fn told(person: &Person) -> Vec<(String, bool)> {
    let events = person.events().await;
    let told = events.iter().filter(|event| event["type"] == "account.limit_exceeded");
    told.map(|event| {
        let data = &event["data"];
        (data["limit"].as_str().unwrap().to_owned(), data["api_key_id"].is_string())
    })
    .collect()
}

#[tokio::test]
async fn a_key_has_a_limit_of_its_own_at_all_nodes() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let node = app.node("other").await;
    let fields = json!({"scopes": ["account:read", "account:write"], "requests_per_minute": 10});
    let key = key_of(&app, &alice, fields).await;
    next(&app, MINUTE);
    let mut requests = JoinSet::new();
    for number in 0..16 {
        let http = if number % 2 == 0 { key.clone() } else { key.at(&node.http_url()) };
        requests.spawn(async move { http.get("/v1/account").await });
    }
    let answers = requests.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 10);
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        let answer = answer.expect_problem(429, "rate_limited");
        assert_eq!(answer.header("ratelimit-policy"), Some("\"key\";q=10;w=60"));
        assert!(answer.header("retry-after").is_some());
    }
    // What is too many for the key is not taken from the account.
    limit(&app, &alice, json!({"requests_per_minute": 3})).await;
    next(&app, MINUTE);
    let answer = key.get("/v1/account").await.expect(200);
    assert_eq!(answer.header("ratelimit-policy"), Some("\"account\";q=3;w=60, \"key\";q=10;w=60"));
    assert!(answer.header("ratelimit").unwrap().starts_with("\"account\";r=2;t="));
    for _ in 0..4 {
        alice.http.get("/v1/account").await;
    }
    key.get("/v1/account").await.expect_problem(429, "rate_limited");
    limit(&app, &alice, json!({"requests_per_minute": null})).await;
    next(&app, MINUTE);
    // Once for each limit and minute.
    let expected =
        [("requests_per_minute".to_owned(), true), ("requests_per_minute".to_owned(), false)];
    assert_eq!(told(&alice).await, expected);
    node.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_limited_key_makes_no_key_that_is_less_so() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let fields = json!({"scopes": ["account:read", "account:write"], "requests_per_minute": 50});
    let key = key_of(&app, &alice, fields).await;
    let make = async |limit: Value| {
        let body = json!({"name": "x", "scopes": [], "requests_per_minute": limit});
        key.post("/v1/api-keys", body).await
    };
    for (limit, code) in [
        (json!(null), "stronger_than_caller"),
        (json!(51), "stronger_than_caller"),
        (json!(0), "out_of_range"),
    ] {
        let refused = make(limit).await.expect_problem(422, "invalid_input");
        assert_eq!(refused.faults(), [("/requests_per_minute", code)]);
    }
    let weaker = make(json!(50)).await.expect(201);
    assert_eq!(weaker["requests_per_minute"], 50);
    let change = async |limit: Value| {
        let path = format!("/v1/api-keys/{}", weaker.id());
        key.patch(&path, json!({"requests_per_minute": limit})).await
    };
    change(json!(null)).await.expect_problem(422, "invalid_input");
    assert_eq!(change(json!(5)).await.expect(200)["requests_per_minute"], 5);
    let device = json!({"name": "x", "scopes": []});
    let device = key.post("/v1/account/app-passwords", device).await;
    let device = device.expect_problem(422, "invalid_input");
    assert_eq!(device.faults(), [("", "stronger_than_caller")]);
    app.stop().await;
}

#[tokio::test]
async fn an_account_is_told_once_that_it_cannot_send_more() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    app.account("bob@example.test").await;
    let node = app.node("other").await;
    let there = node.as_person(&alice);
    let message = json!({"to": "bob@example.test", "text": "x"});
    let send = async |person: &Person| person.post_message(message.clone()).await.status;
    limit(&app, &alice, json!({"recipients_per_day": 1, "new_recipients_per_day": 5})).await;
    assert_eq!(send(&alice).await, 202);
    assert!(told(&alice).await.is_empty());
    let mut sending = JoinSet::new();
    for number in 0..8 {
        let person = if number % 2 == 0 { alice.clone() } else { there.clone() };
        let message = message.clone();
        sending.spawn(async move { person.post_message(message).await.status });
    }
    assert_eq!(sending.join_all().await, [429; 8]);
    assert_eq!(told(&alice).await, [("recipients_per_day".to_owned(), false)]);
    limit(&app, &alice, json!({"recipients_per_day": null, "new_recipients_per_day": 0})).await;
    let new = json!({"to": "new@remote.test", "text": "x"});
    alice.post_message(new).await.expect_problem(429, "sending_limit_exceeded");
    assert_eq!(told(&alice).await.len(), 2);
    assert_eq!(told(&alice).await[1].0, "new_recipients_per_day");
    limit(&app, &alice, json!({"recipients_per_day": 0})).await;
    app.advance(Duration::from_secs(DAY + 1));
    assert_eq!((send(&alice).await, send(&alice).await), (429, 429));
    assert_eq!(told(&alice).await.len(), 3);
    node.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_key_may_send_so_much_of_what_its_account_may() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    app.account("bob@example.test").await;
    let node = app.node("other").await;
    next(&app, DAY);
    let key = key_of(&app, &alice, json!({"scopes": ["send"], "recipients_per_day": 12})).await;
    let other = key_of(&app, &alice, json!({"scopes": ["send"], "recipients_per_day": 3})).await;
    let message = json!({"from": alice.address, "to": "bob@example.test", "text": "x"});
    let batch = json!({"messages": [message, message]});
    let mut sending = JoinSet::new();
    for number in 0..15 {
        let key = if number % 2 == 0 { key.clone() } else { key.at(&node.http_url()) };
        let (path, body) = match number % 3 {
            0 => ("/v1/messages/batch", &batch),
            _ => ("/v1/messages", &message),
        };
        let body = body.clone();
        sending.spawn(async move { (key.post(path, body).await.status, number % 3) });
    }
    let taken: u32 = sending.join_all().await.into_iter().fold(0, |sum, answer| match answer {
        (200, 0) => sum + 2,
        (202, _) => sum + 1,
        _ => sum,
    });
    // The last one may lack room for two.
    assert!((11..=12).contains(&taken), "{taken}");
    let send = async |http: &Client| http.post("/v1/messages", message.clone()).await;
    while send(&key).await.status == 202 {}
    let refused = send(&key).await.expect_problem(429, "sending_limit_exceeded");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((DAY - 600..=DAY).contains(&wait), "{wait}");
    assert!(refused["detail"].as_str().unwrap().contains("this API key"), "{refused:?}");
    assert_eq!(told(&alice).await, [("recipients_per_day".to_owned(), true)]);
    assert_eq!(alice.http.all("/v1/messages?limit=200").await.len(), 12);

    // Neither its account nor another key is concerned, nor does a refusal count for them.
    limit(&app, &alice, json!({"recipients_per_day": 2})).await;
    assert_eq!(send(&key).await.status, 429);
    assert_eq!(send(&other).await.status, 202);
    assert_eq!(
        (alice.send(&["bob@example.test"], "x").await.status, used(&alice).await.0),
        (202, 2)
    );
    assert_eq!((send(&other).await.status, send(&other).await.status), (429, 429));
    limit(&app, &alice, json!({"recipients_per_day": null})).await;
    assert_eq!((send(&other).await.status, send(&other).await.status), (202, 202));
    assert_eq!(send(&other).await.status, 429);
    app.advance(Duration::from_secs(DAY));
    app.clean_up().await;
    assert_eq!((send(&key).await.status, send(&other).await.status), (202, 202));
    node.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_key_that_sends_little_makes_none_that_sends_more() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let fields = json!({"scopes": ["account:write", "send"], "recipients_per_day": 50});
    let key = key_of(&app, &alice, fields).await;
    let make = async |limit: Value| {
        let body = json!({"name": "x", "scopes": [], "recipients_per_day": limit});
        key.post("/v1/api-keys", body).await
    };
    for (limit, code) in [
        (json!(null), "stronger_than_caller"),
        (json!(51), "stronger_than_caller"),
        (json!(-1), "out_of_range"),
    ] {
        let refused = make(limit).await.expect_problem(422, "invalid_input");
        assert_eq!(refused.faults(), [("/recipients_per_day", code)]);
    }
    let weaker = make(json!(50)).await.expect(201);
    assert_eq!(weaker["recipients_per_day"], 50);
    let path = format!("/v1/api-keys/{}", weaker.id());
    let change = async |limit: Value| key.patch(&path, json!({"recipients_per_day": limit})).await;
    change(json!(null)).await.expect_problem(422, "invalid_input");
    assert_eq!(change(json!(0)).await.expect(200)["recipients_per_day"], 0);
    let device = json!({"name": "x", "scopes": []});
    let device = key.post("/v1/account/app-passwords", device).await;
    assert_eq!(
        device.expect_problem(422, "invalid_input").faults(),
        [("", "stronger_than_caller")]
    );
    app.stop().await;
}
