//! Access tokens, their sessions, and the keys that sign them.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use posthouse_tests::{
    app::{App, PASSWORD},
    client::{Answer, Client},
    wait::eventually,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{MINUTE, next};

pub(super) async fn ask(http: &Client, body: Value) -> Answer {
    http.post("/v1/auth/token", body).await
}

pub(super) async fn log_in(http: &Client, address: &str) -> Answer {
    let body = json!({"grant_type": "password", "address": address, "password": PASSWORD});
    ask(http, body).await.expect(200)
}

pub(super) fn text(tokens: &Answer, field: &str) -> String {
    tokens[field].as_str().unwrap().to_owned()
}

async fn refresh(http: &Client, tokens: &Answer) -> Answer {
    let token = text(tokens, "refresh_token");
    ask(http, json!({"grant_type": "refresh_token", "refresh_token": token})).await
}

/// A client with the access token.
pub(super) fn with(http: &Client, tokens: &Answer) -> Client {
    http.with_key(&text(tokens, "access_token"))
}

async fn gets_in(http: &Client, tokens: &Answer) -> bool {
    let answer = with(http, tokens).get("/v1/account").await;
    if answer.status != 200 {
        answer.clone().expect_problem(401, "invalid_credentials");
        assert_eq!(answer["detail"], "the credentials are not valid");
    }
    answer.status == 200
}

/// Names of the keys that are published, the newest first.
async fn published(http: &Client) -> Vec<String> {
    let keys = http.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(keys.header("cache-control"), Some("public, max-age=300"));
    let keys = keys["keys"].as_array().unwrap().clone();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn signer(tokens: &Answer) -> String {
    decode_header(text(tokens, "access_token")).unwrap().kid.unwrap()
}

#[tokio::test]
async fn a_login_gives_a_token_that_anybody_can_check_and_that_lets_in_until_it_expires() {
    let app = App::test().start().await;
    let (alice, http) = (app.account("alice@example.test").await, app.anonymous());
    let scopes = json!(["send", "account:read"]);
    let login = json!({"grant_type": "password", "address": "ALICE@example.test",
                       "password": PASSWORD, "scopes": scopes});
    let tokens = ask(&http, login).await.expect(200);
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(tokens["scope"], "send account:read");
    assert_eq!(tokens.header("cache-control"), Some("no-store"));

    let keys = http.get("/.well-known/jwks.json").await.expect(200);
    let key = DecodingKey::from_ed_components(keys["keys"][0]["x"].as_str().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.set_audience(&["posthouse"]);
    validation.set_issuer(&["https://mail.posthouse.test"]);
    let token = decode::<Value>(text(&tokens, "access_token"), &key, &validation).unwrap();
    assert_eq!(token.header.typ.as_deref(), Some("at+jwt"));
    let claims = token.claims;
    assert_eq!((&claims["sub"], &claims["scope"]), (&json!(alice.account_id), &tokens["scope"]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);

    let caller = with(&http, &tokens);
    let session = caller.get("/v1/account/sessions").await.expect(200)["data"][0].clone();
    assert_eq!((&session["id"], &session["current"]), (&claims["sid"], &json!(true)));
    assert_eq!((&session["scopes"], &session["remote_address"]), (&scopes, &json!("127.0.0.1")));
    caller.get("/v1/messages").await.expect_problem(403, "forbidden");
    // To the second.
    let left = claims["exp"].as_i64().unwrap() - app.now().unix_timestamp();
    app.advance(Duration::from_secs(u64::try_from(left).unwrap() - 1));
    assert!(gets_in(&http, &tokens).await);
    app.advance(Duration::from_secs(1));
    assert!(!gets_in(&http, &tokens).await);
    app.stop().await;
}

#[tokio::test]
async fn a_refresh_token_holds_once_and_ends_the_session_when_it_comes_again() {
    let app = App::test().start().await;
    let (alice, http) = (app.account("alice@example.test").await, app.anonymous());
    let (first, other) = (log_in(&http, &alice.address).await, log_in(&http, &alice.address).await);
    let narrow = json!({"grant_type": "refresh_token", "scopes": ["send"],
                        "refresh_token": first["refresh_token"]});
    let second = ask(&http, narrow).await.expect(200);
    assert_eq!(second["scope"], "send");
    let third = refresh(&http, &second).await.expect(200);
    assert_eq!(third["scope"], first["scope"], "only the access token was narrowed");
    assert!(gets_in(&http, &first).await && gets_in(&http, &third).await);
    app.advance(Duration::from_secs(31));
    refresh(&http, &first).await.expect_problem(401, "invalid_credentials");
    assert!(!gets_in(&http, &first).await && !gets_in(&http, &third).await);
    refresh(&http, &third).await.expect_problem(401, "invalid_credentials");
    // The other session is not concerned.
    assert!(gets_in(&http, &other).await);
    for token in ["phr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "phr_", "x", ""] {
        let body = json!({"grant_type": "refresh_token", "refresh_token": token});
        ask(&http, body).await.expect_problem(401, "invalid_credentials");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_answer_that_was_lost_can_be_asked_for_again_and_what_was_lost_is_void() {
    let app = App::test().start().await;
    let (alice, http) = (app.account("alice@example.test").await, app.anonymous());
    let first = log_in(&http, &alice.address).await;
    let lost = refresh(&http, &first).await.expect(200);
    app.advance(Duration::from_secs(29));
    let second = refresh(&http, &first).await.expect(200);
    let third = refresh(&http, &second).await.expect(200);
    assert!(gets_in(&http, &third).await);
    refresh(&http, &lost).await.expect_problem(401, "invalid_credentials");
    assert!(!gets_in(&http, &third).await);

    // The time for it does not begin anew.
    let first = log_in(&http, &alice.address).await;
    for wait in [0, 20] {
        app.advance(Duration::from_secs(wait));
        refresh(&http, &first).await.expect(200);
    }
    app.advance(Duration::from_secs(20));
    refresh(&http, &first).await.expect_problem(401, "invalid_credentials");

    // Of many at a time one holds.
    let first = log_in(&http, &alice.address).await;
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let (http, first) = (http.clone(), first.clone());
        asking.spawn(async move { refresh(&http, &first).await.expect(200) });
    }
    let all = asking.join_all().await;
    let (one, two) = (refresh(&http, &all[0]).await, refresh(&http, &all[1]).await);
    assert!(one.status == 401 || two.status == 401, "{one:?} {two:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_session_that_is_not_refreshed_is_over() {
    let (month, nearly) = (Duration::from_hours(30 * 24), Duration::from_hours(30 * 24 - 1));
    let app = App::test().start().await;
    let (alice, http) = (app.account("alice@example.test").await, app.anonymous());
    let first = log_in(&http, &alice.address).await;
    app.advance(nearly);
    let second = refresh(&http, &first).await.expect(200);
    app.advance(month);
    refresh(&http, &second).await.expect_problem(401, "invalid_credentials");
    assert!(alice.http.all("/v1/account/sessions").await.is_empty());
    app.clean_up().await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM refresh_tokens")
        .fetch_one(app.db())
        .await
        .unwrap();
    assert_eq!(left, 0);
    app.stop().await;
}

#[tokio::test]
async fn what_is_revoked_holds_nowhere() {
    let app = App::test().start().await;
    let (alice, http) = (app.account("alice@example.test").await, app.anonymous());
    let mallory = app.account("mallory@example.test").await;
    let node = app.node("other").await;
    let there = http.at(&node.http_url());
    let own = format!("/v1/accounts/{}", alice.account_id);
    let revoke = async |by: usize, tokens: &Answer| {
        let session = with(&http, tokens).all("/v1/account/sessions").await[0]["id"].clone();
        let session = format!("/v1/account/sessions/{}", session.as_str().unwrap());
        let sent = |field| json!({"token": text(tokens, field), "token_type_hint": "any"});
        mallory.http.delete(&session).await.expect_problem(404, "not_found");
        let answer = match by {
            0 => alice.http.delete(&session).await.expect(204),
            1 => http.post("/v1/auth/revoke", sent("access_token")).await.expect(200),
            2 => http.post("/v1/auth/revoke", sent("refresh_token")).await.expect(200),
            3 => {
                let change = json!({"current_password": PASSWORD, "new_password": PASSWORD});
                alice.http.post("/v1/account/password", change).await.expect(204)
            }
            4 => app.admin().patch(&own, json!({"password": PASSWORD})).await.expect(200),
            _ => {
                let disable = json!({"login_disabled": "Moved"});
                app.admin().patch(&own, disable).await.expect(200);
                app.admin().patch(&own, json!({"login_disabled": null})).await.expect(200)
            }
        };
        drop(answer);
    };
    for by in 0..6 {
        let tokens = log_in(&there, &alice.address).await;
        assert!(gets_in(&there, &tokens).await && gets_in(&http, &tokens).await);
        revoke(by, &tokens).await;
        assert!(!gets_in(&http, &tokens).await, "{by}");
        let ended = async || (!gets_in(&there, &tokens).await).then_some(());
        eventually("the other node knows", ended).await;
        refresh(&there, &tokens).await.expect_problem(401, "invalid_credentials");
        http.post("/v1/auth/revoke", json!({"token": tokens["access_token"]})).await.expect(200);
    }
    http.post("/v1/auth/revoke", json!({"token": "nothing"})).await.expect(200);
    node.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn keys_follow_each_other_without_anybody_noticing() {
    let hours = |hours| Duration::from_hours(hours);
    let app = App::test().start().await;
    let (alice, http) = (app.account("alice@example.test").await, app.anonymous());
    let node = app.node("other").await;
    let there = http.at(&node.http_url());
    let rotate = async || tokio::join!(app.clean_up(), node.clean_up());
    let old = signer(&log_in(&http, &alice.address).await);
    assert_eq!(published(&there).await, [old.as_str()]);
    app.advance(hours(29 * 24) + hours(1));
    rotate().await;
    let keys = published(&http).await;
    assert_eq!((keys.len(), &keys[1]), (2, &old), "the next one is published");
    assert_eq!(published(&there).await, keys);
    assert_eq!(signer(&log_in(&there, &alice.address).await), old, "but does not sign yet");
    app.advance(hours(23) + Duration::from_mins(59));
    let last = log_in(&http, &alice.address).await;
    assert_eq!(signer(&last), old);
    app.advance(Duration::from_mins(2));
    rotate().await;
    for place in [&http, &there] {
        let tokens = log_in(place, &alice.address).await;
        assert_eq!(signer(&tokens), keys[0]);
        for place in [&http, &there] {
            assert!(gets_in(place, &tokens).await && gets_in(place, &last).await);
        }
    }
    assert_eq!(published(&http).await, keys, "tokens of the old one still hold");
    app.advance(hours(2));
    rotate().await;
    assert_eq!(published(&there).await, [keys[0].as_str()]);
    assert!(gets_in(&there, &refresh(&http, &last).await.expect(200)).await);
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT sealed_key FROM signing_keys")
        .fetch_one(app.db())
        .await
        .unwrap();
    let vault = posthouse_core::vault::Vault::new(&posthouse_tests::app::MASTER_KEY).unwrap();
    vault.open("signing key of access tokens", &sealed).unwrap();
    node.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn only_the_own_password_gets_tokens_and_guessing_is_counted() {
    let app = App::test().start().await;
    let (alice, http) = (app.account("alice@example.test").await, app.anonymous());
    let device = alice.http.post("/v1/account/app-passwords", json!({"name": "x"})).await;
    let key = alice.http.post("/v1/api-keys", json!({"name": "x", "scopes": ["send"]})).await;
    let guess = async |address: &str, password: &Value| {
        let body = json!({"grant_type": "password", "address": address, "password": password});
        ask(&http, body).await
    };
    next(&app, MINUTE);
    let nobody = guess("nobody@example.test", &json!(PASSWORD)).await;
    let nobody = nobody.expect_problem(401, "invalid_credentials");
    for password in [&device["password"], &key["key"], &json!("wrong")] {
        let refused = guess(&alice.address, password).await;
        assert_eq!(refused.expect_problem(401, "invalid_credentials")["detail"], nobody["detail"]);
    }
    for _ in 0..6 {
        guess(&alice.address, &json!("wrong")).await.expect(401);
    }
    guess(&alice.address, &json!(PASSWORD)).await.expect_problem(429, "rate_limited");
    let basic = app.anonymous().request(Method::GET, "/v1/account").into_inner();
    let basic = basic.basic_auth(&alice.address, Some(PASSWORD)).send().await.unwrap();
    assert_eq!(basic.status(), 429);
    let attempts = alice.http.all("/v1/account/login-attempts").await;
    assert!(attempts.iter().any(|one| one["mechanism"] == "TOKEN"), "{attempts:?}");
    app.stop().await;
}

#[tokio::test]
async fn faults_of_a_request_for_tokens_are_told_at_once() {
    let app = App::test().start().await;
    let (alice, http) = (app.account("alice@example.test").await, app.anonymous());
    for (body, expected) in [
        (json!({"scopes": ["fly"]}), "/grant_type missing_field, /scopes/0 unknown_scope"),
        (
            json!({"grant_type": "magic", "user": 1}),
            "/grant_type invalid_value, /user unknown_field",
        ),
        (
            json!({"grant_type": "password", "refresh_token": "x", "scopes": ["fly"]}),
            "/address missing_field, /password missing_field, /refresh_token not_for_this_grant, \
             /scopes/0 unknown_scope",
        ),
        (json!({"grant_type": "refresh_token"}), "/refresh_token missing_field"),
        (
            json!({"grant_type": "password", "address": alice.address, "password": PASSWORD,
                   "scopes": ["send", "admin:read"]}),
            "/scopes/1 scope_not_allowed",
        ),
    ] {
        let answer = ask(&http, body).await.expect_problem(422, "invalid_input");
        let faults = answer.faults().into_iter().map(|(place, code)| format!("{place} {code}"));
        assert_eq!(faults.collect::<Vec<_>>().join(", "), expected);
    }
    let long = json!({"grant_type": "password", "password": "x".repeat(20_000)});
    ask(&http, long).await.expect_problem(413, "body_too_large");
    assert!(alice.http.all("/v1/account/sessions").await.is_empty());
    for _ in 0..102 {
        sqlx::query(
            "INSERT INTO sessions SELECT gen_random_uuid(), $1::uuid, '{}', '', '', '', NULL,
                 now(), now(), now() + interval '1 year'",
        )
        .bind(
            alice
                .account_id
                .parse::<posthouse_core::Id<posthouse_core::id::Account>>()
                .unwrap()
                .uuid(),
        )
        .execute(app.db())
        .await
        .unwrap();
    }
    log_in(&http, &alice.address).await;
    assert_eq!(alice.http.all("/v1/account/sessions").await.len(), 100);
    app.stop().await;
}
