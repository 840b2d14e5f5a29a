//! THREATS 23: tokens that somebody made up, or that are for somebody else.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use posthouse_core::vault::Vault;
use posthouse_tests::{
    app::{App, MASTER_KEY},
    client::Client,
};
use serde_json::{Value, json};
use sqlx::Row as _;

use super::tokens::{log_in, text};

/// What a token consists of, and what signs it.
struct Forger {
    header: Header,
    claims: Value,
    pkcs8: Vec<u8>,
    public: Vec<u8>,
    http: Client,
}

impl Forger {
    async fn new(app: &App, token: &str) -> Self {
        let row = sqlx::query("SELECT public_key, sealed_key FROM signing_keys");
        let row = row.fetch_one(app.db()).await.unwrap();
        let vault = Vault::new(&MASTER_KEY).unwrap();
        let pkcs8 = vault.open("signing key of access tokens", row.get(1)).unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        Self {
            header: jsonwebtoken::decode_header(token).unwrap(),
            claims: serde_json::from_slice(&claims).unwrap(),
            pkcs8,
            public: row.get(0),
            http: app.anonymous(),
        }
    }

    /// The token with other claims; null takes one away.
    fn claiming(&self, changes: &Value) -> String {
        let mut claims = self.claims.clone();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            }
        }
        encode(&self.header, &claims, &EncodingKey::from_ed_der(&self.pkcs8)).unwrap()
    }

    /// The token with another header, which is signed as well.
    fn headed(&self, change: impl FnOnce(&mut Header)) -> String {
        let mut header = self.header.clone();
        change(&mut header);
        encode(&header, &self.claims, &EncodingKey::from_ed_der(&self.pkcs8)).unwrap()
    }

    /// The token with this text in place of the header, and this signature.
    fn raw(&self, header: &Value, signature: &str) -> String {
        let [header, claims] =
            [header, &self.claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        format!("{header}.{claims}.{signature}")
    }

    async fn is_refused(&self, what: &str, token: &str) {
        let answer = self.http.with_key(token).get("/v1/account").await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        let answer = answer.expect_problem(401, "invalid_credentials");
        assert_eq!(answer["detail"], "the credentials are not valid", "{what}");
    }

    async fn gets_in(&self, token: &str) {
        self.http.with_key(token).get("/v1/account").await.expect(200);
    }
}

#[tokio::test]
async fn tokens_for_somebody_else_or_another_time_are_refused() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let tokens = log_in(&app.anonymous(), &alice.address).await;
    let forger = Forger::new(&app, &text(&tokens, "access_token")).await;
    forger.gets_in(&forger.claiming(&json!({}))).await;
    let now = app.now().unix_timestamp();
    // The clocks of nodes may differ a little.
    forger.gets_in(&forger.claiming(&json!({"iat": now + 4}))).await;
    for changes in [
        json!({"iss": "https://other.test"}),
        json!({"iss": null}),
        json!({"iss": ["https://mail.posthouse.test"]}),
        json!({"aud": "other"}),
        json!({"aud": ["other"]}),
        json!({"aud": null}),
        json!({"exp": now}),
        json!({"exp": now - 1}),
        json!({"exp": null}),
        json!({"exp": "9999999999"}),
        json!({"exp": 1e300}),
        json!({"iat": now + 30}),
        json!({"iat": null}),
        json!({"sub": bob.account_id}),
        json!({"sub": null}),
        json!({"sid": "ses_01k6h3v9x8e7ktq2w5m4n1r000"}),
        json!({"sid": null}),
        json!({"scope": null}),
    ] {
        forger.is_refused(&changes.to_string(), &forger.claiming(&changes)).await;
    }
    // Scopes that the session does not have are no help.
    let all = json!({"scope": "account:read admin:read admin:write"});
    let stronger = app.anonymous().with_key(&forger.claiming(&all));
    stronger.get("/v1/account").await.expect(200);
    stronger.get("/v1/accounts").await.expect_problem(403, "forbidden");
    app.stop().await;
}

#[tokio::test]
async fn tokens_with_other_keys_and_algorithms_are_refused() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let tokens = log_in(&app.anonymous(), &alice.address).await;
    let token = text(&tokens, "access_token");
    let forger = Forger::new(&app, &token).await;
    let kid = forger.header.kid.clone().unwrap();
    let signature = token.rsplit('.').next().unwrap();

    for alg in ["none", "None", "NONE", "", "EdDsa"] {
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": kid});
        forger.is_refused(alg, &forger.raw(&header, "")).await;
        forger.is_refused(alg, &forger.raw(&header, signature)).await;
    }
    // A public key is no secret.
    let hmac = Header { alg: Algorithm::HS256, ..forger.header.clone() };
    let hmac = encode(&hmac, &forger.claims, &EncodingKey::from_secret(&forger.public)).unwrap();
    forger.is_refused("HS256", &hmac).await;
    let other =
        aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new());
    let other = EncodingKey::from_ed_der(other.unwrap().as_ref());
    let other = encode(&forger.header, &forger.claims, &other).unwrap();
    forger.is_refused("another key", &other).await;
    for kid in ["sgk_01k6h3v9x8e7ktq2w5m4n1r000", "../../etc/passwd", "' OR 1=1 --", ""] {
        let token = forger.headed(|header| header.kid = Some(kid.to_owned()));
        forger.is_refused(kid, &token).await;
    }
    forger.is_refused("no kid", &forger.headed(|header| header.kid = None)).await;
    let jwt = forger.headed(|header| header.typ = Some("JWT".to_owned()));
    forger.is_refused("another type", &jwt).await;
    let critical = forger.headed(|header| header.crit = Some(vec!["b64".to_owned()]));
    forger.is_refused("an extension", &critical).await;

    let [head, claims] = [0, 1].map(|part| token.split('.').nth(part).unwrap());
    for broken in [
        format!("{head}.{claims}"),
        format!("{head}.{claims}."),
        format!("{head}.{claims}.{signature}.x"),
        format!("{head}.{claims}x.{signature}"),
        format!("{head}.{claims}.{signature}="),
        "..".to_owned(),
        "a.b.c".to_owned(),
        format!("{head}.{}.{signature}", "A".repeat(7000)),
    ] {
        forger.is_refused(&broken, &broken).await;
    }
    app.stop().await;
}
