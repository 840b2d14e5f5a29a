//! Health, metrics and the server's own pages.

use std::time::Duration;

use posthouse_tests::{app::App, wait::eventually};
use reqwest::Method;

#[tokio::test]
async fn readiness_follows_the_database() {
    let app = App::test().breakable_postgres().start().await;
    app.anonymous().get("/readyz").await.expect(200);
    app.postgres().cut().await;
    app.anonymous().get("/healthz").await.expect(200);
    let answer = app.anonymous().get("/readyz").await.expect_problem(503, "unavailable");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer["retryable"], true);
    let answer = app.admin().get("/v1/messages").await;
    answer.expect_problem(503, "unavailable");
    app.postgres().restore();
    eventually("the server is ready again", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (app.anonymous().get("/readyz").await.status == 200).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn metrics_are_for_this_machine_and_administrators() {
    let app = App::test().start().await;
    app.anonymous().get("/v1/mail").await.expect(401);
    let text = app.anonymous().get("/metrics").await.expect(200).text();
    assert!(text.contains("posthouse_http_requests_total"), "{text}");
    assert!(text.contains("route=\"/v1/mail\""), "{text}");
    let proxied = |client: posthouse_tests::client::Client| {
        client.request(Method::GET, "/metrics").header("X-Forwarded-For", "192.0.2.1").send()
    };
    proxied(app.anonymous()).await.expect_problem(401, "unauthenticated");
    proxied(app.admin()).await.expect(200);
    let alice = app.account("alice@example.test").await;
    proxied(alice.http).await.expect_problem(403, "forbidden");
    app.stop().await;
}

#[tokio::test]
async fn the_reference_needs_nothing_from_elsewhere() {
    let app = App::test().start().await;
    let http = app.anonymous();
    let answer = http.get("/").await.expect(307);
    assert_eq!(answer.header("location"), Some("/docs"));
    assert_eq!(http.get("/docs/").await.header("location"), Some("/docs"));
    let page = http.get("/docs").await.expect(200);
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let text = page.text();
    assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
    for found in text.split("\"/docs/").skip(1) {
        let path = format!("/docs/{}", found.split('"').next().unwrap());
        let file = http.get(&path).await.expect(200);
        assert!(!file.bytes.is_empty(), "{path}");
    }
    for other in ["index.html", "swagger-initializer.js", "oauth2-redirect.html", "..%2fCargo.toml"]
    {
        http.get(&format!("/docs/{other}")).await.expect_problem(404, "not_found");
    }
    app.stop().await;
}
