//! Administrators who come with tokens of an OpenID provider.

use std::time::Duration;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use posthouse_core::config::Oidc;
use posthouse_tests::{
    app::App,
    client::Answer,
    receiver::{Receiver, Reply},
    wait::eventually,
};
use serde_json::{Value, json};

/// A provider: whatever path it is asked for, it shows discovery and keys in one document.
struct Issuer {
    receiver: Receiver,
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

impl Issuer {
    async fn start() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let public = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let public = public.public_key().as_ref().to_vec();
        let issuer =
            Self { receiver: Receiver::start().await, pkcs8: pkcs8.as_ref().to_vec(), public };
        issuer.publish("one");
        issuer
    }

    fn url(&self) -> String {
        self.receiver.url()
    }

    /// Shows the key under this name, beside one that no server shall use.
    fn publish(&self, kid: &str) {
        let x = BASE64_URL_SAFE_NO_PAD.encode(&self.public);
        let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": x});
        let secret = json!({"kty": "oct", "kid": "secret", "k": x});
        let unknown = json!({"kty": "new", "kid": "unknown"});
        let document = json!({"issuer": self.url(), "jwks_uri": format!("{}/keys", self.url()),
                              "keys": [unknown, secret, key]});
        self.receiver.always(Reply::status(200).body(document.to_string()));
    }

    fn sign(&self, kid: &str, claims: &Value) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, claims, &EncodingKey::from_ed_der(&self.pkcs8)).unwrap()
    }

    /// Claims that let the administrator in, with changes; null takes one away.
    fn claims(&self, app: &App, changes: &Value) -> Value {
        let now = app.now().unix_timestamp();
        let mut claims = json!({"iss": self.url(), "aud": ["posthouse", "others"], "sub": "7",
                                "exp": now + 300, "nbf": now, "iat": now,
                                "email": "root@example.test", "email_verified": true,
                                "groups": ["staff", "mail-admins"]});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            }
        }
        claims
    }

    async fn app(&self) -> App {
        let settings = Oidc {
            issuer: self.url(),
            audience: "posthouse".to_owned(),
            address_claim: "email".to_owned(),
            required_claim: Some(("groups".to_owned(), "mail-admins".to_owned())),
            allowed_networks: vec!["127.0.0.0/8".to_owned()],
        };
        let app = App::test().configure(move |config| config.oidc = Some(settings)).start().await;
        app.account("alice@example.test").await;
        let root = json!({"name": "root", "addresses": ["root@example.test"], "role": "admin"});
        app.admin().post("/v1/accounts", root).await.expect(201);
        app
    }
}

async fn ask(app: &App, token: &str) -> Answer {
    app.anonymous().with_key(token).get("/v1/accounts").await
}

#[tokio::test]
async fn a_token_of_the_provider_lets_an_administrator_in() {
    let issuer = Issuer::start().await;
    let app = issuer.app().await;
    let token = issuer.sign("one", &issuer.claims(&app, &json!({"email": "ROOT@example.test"})));
    ask(&app, &token).await.expect(200);
    let domain = json!({"name": "other.test"});
    app.anonymous().with_key(&token).post("/v1/domains", domain).await.expect(201);
    let log = app.admin().get("/v1/audit-log?limit=1").await.expect(200);
    assert_eq!(log["data"][0]["credential"], "oidc");
    let now = app.now().unix_timestamp();
    // Clocks may differ by a minute.
    let early = json!({"nbf": now + 59, "iat": now + 59, "exp": now - 58, "aud": "posthouse"});
    ask(&app, &issuer.sign("one", &issuer.claims(&app, &early))).await.expect(200);
    for changes in [
        json!({"iss": "https://other.test"}),
        json!({"iss": null}),
        json!({"aud": "others"}),
        json!({"aud": null}),
        json!({"exp": now - 61}),
        json!({"exp": "9999999999"}),
        json!({"exp": null}),
        json!({"nbf": now + 90}),
        json!({"nbf": "0"}),
        json!({"iat": now + 90}),
        json!({"email": "alice@example.test"}),
        json!({"email": "nobody@example.test"}),
        json!({"email": 7}),
        json!({"email_verified": null}),
        json!({"email_verified": "false"}),
        json!({"email": null}),
        json!({"email_verified": false}),
        json!({"groups": ["staff"]}),
        json!({"groups": null}),
    ] {
        let token = issuer.sign("one", &issuer.claims(&app, &changes));
        let answer = ask(&app, &token).await;
        assert_eq!(answer.status, 401, "{changes}");
        answer.expect_problem(401, "invalid_credentials");
    }
    let claims = issuer.claims(&app, &json!({}));
    for (alg, kid) in [(Algorithm::HS256, "one"), (Algorithm::HS256, "secret")] {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(alg) };
        let token = encode(&header, &claims, &EncodingKey::from_secret(&issuer.public)).unwrap();
        ask(&app, &token).await.expect_problem(401, "invalid_credentials");
    }
    // Nor does our own key sign for the provider, or the provider's for us.
    let ours = issuer.sign("sgk_01k6h3v9x8e7ktq2w5m4n1r000", &claims);
    ask(&app, &ours).await.expect_problem(401, "invalid_credentials");
    app.stop().await;
}

#[tokio::test]
async fn a_provider_is_asked_seldom_and_may_be_down() {
    let issuer = Issuer::start().await;
    let app = issuer.app().await;
    let token = |kid: &str| issuer.sign(kid, &issuer.claims(&app, &json!({})));
    let asked = || issuer.receiver.received().len();
    for _ in 0..3 {
        ask(&app, &token("one")).await.expect(200);
    }
    assert_eq!(asked(), 2, "discovery and keys, once");
    // A new key is not looked for again and again.
    issuer.publish("two");
    for _ in 0..5 {
        ask(&app, &token("two")).await.expect_problem(401, "invalid_credentials");
    }
    assert_eq!(asked(), 2);
    app.advance(Duration::from_mins(1));
    ask(&app, &token("two")).await.expect(200);
    assert_eq!(asked(), 4);
    ask(&app, &token("one")).await.expect_problem(401, "invalid_credentials");
    // While the provider is down, its keys are good for a day.
    issuer.receiver.always(Reply::status(503));
    app.advance(Duration::from_hours(23));
    ask(&app, &token("two")).await.expect(200);
    eventually("the provider is asked again", async || (asked() == 5).then_some(())).await;
    ask(&app, &token("two")).await.expect(200);
    app.advance(Duration::from_hours(2));
    ask(&app, &token("two")).await.expect_problem(401, "invalid_credentials");
    for reply in [
        Reply::status(200).body("x".repeat(100_000)),
        Reply::status(200).body(
            json!({"issuer": "https://other.test", "jwks_uri": issuer.url(),
                                       "keys": []})
            .to_string(),
        ),
        Reply::status(302).header("location", issuer.url()),
    ] {
        issuer.receiver.always(reply);
        app.advance(Duration::from_mins(1));
        ask(&app, &token("two")).await.expect_problem(401, "invalid_credentials");
    }
    issuer.publish("two");
    app.advance(Duration::from_mins(1));
    ask(&app, &token("two")).await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn a_provider_in_a_private_network_is_not_asked_unless_it_is_allowed() {
    let issuer = Issuer::start().await;
    let settings = Oidc {
        issuer: issuer.url(),
        audience: "posthouse".to_owned(),
        address_claim: "email".to_owned(),
        required_claim: None,
        allowed_networks: Vec::new(),
    };
    let app = App::test().configure(move |config| config.oidc = Some(settings)).start().await;
    let token = issuer.sign("one", &issuer.claims(&app, &json!({})));
    ask(&app, &token).await.expect_problem(401, "invalid_credentials");
    assert!(issuer.receiver.received().is_empty());
    app.stop().await;
}
