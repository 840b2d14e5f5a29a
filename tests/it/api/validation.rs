//! Header and SMTP injection through every field of a message (THREATS 10): refused with a
//! pointer, nothing stored; and what is taken parses back to the fields that were given.

use posthouse_tests::app::App;
use reqwest::Method;
use serde_json::{Value, json};

const EVIL: [&str; 9] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\u{2028}",
    "\u{85}",
    "\r\n.\r\nMAIL FROM:<x@y>",
    "=?utf-8?q?=0d=0aBcc:_x?=",
    "\u{7f}",
];

fn base() -> Value {
    json!({"from": "Alice <alice@example.test>", "to": ["bob@remote.test"], "subject": "Hi",
           "text": "Hello"})
}

/// Each case: where the fault is expected, and the message with `text` there.
fn cases(text: &str) -> Vec<(&'static str, Value)> {
    let set = |field: &str, value: Value| {
        let mut message = base();
        message[field] = value;
        message
    };
    let file = |field: &str, value: String| {
        set("attachments", json!([{"content": "AA==", "filename": "a", field: value}]))
    };
    let mut header = base();
    header["headers"] = json!({format!("X-A{text}"): "x"});
    vec![
        (
            "/from/name",
            set("from", json!({"email": "alice@example.test", "name": format!("A{text}B")})),
        ),
        ("/to/0/name", set("to", json!([{"email": "bob@remote.test", "name": format!("{text}")}]))),
        ("/cc/0", set("cc", json!([format!("C{text} <c@remote.test>")]))),
        ("/bcc", set("bcc", json!(format!("{text}@remote.test")))),
        ("/reply_to", set("reply_to", json!(format!("r <r@re{text}mote.test>")))),
        ("/sender", set("sender", json!(format!("S{text} <alice@example.test>")))),
        ("/mail_from", set("mail_from", json!(format!("alice@example.test{text}")))),
        ("/subject", set("subject", json!(format!("Hi{text}there")))),
        ("/message_id", set("message_id", json!(format!("<a{text}@b>")))),
        ("/in_reply_to", set("in_reply_to", json!(format!("<a@b>{text}")))),
        ("/references/0", set("references", json!([format!("<a@b{text}>")]))),
        ("/headers/X-A", set("headers", json!({"X-A": format!("a{text}b")}))),
        ("/headers", header),
        ("/attachments/0/filename", file("filename", format!("a{text}.txt"))),
        ("/attachments/0/content_id", file("content_id", format!("a{text}"))),
        ("/attachments/0/content_type", file("content_type", format!("text/plain{text}; a=b"))),
        ("/tags/0", set("tags", json!([format!("t{text}")]))),
        ("/metadata", set("metadata", json!({format!("k{text}"): "v"}))),
    ]
}

#[tokio::test]
async fn nothing_breaks_out_of_any_field() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    for text in EVIL {
        for (pointer, message) in cases(text) {
            let label = text.starts_with("=?") || text == "\u{2028}";
            if label && matches!(pointer, "/tags/0" | "/metadata" | "/mail_from" | "/bcc") {
                // Labels never come near a header; local parts are not decoded (RFC 2047 §5).
                continue;
            }
            let answer = alice.http.post("/v1/messages", message).await;
            let answer = answer.expect_problem(422, "invalid_input");
            let found = answer.pointers();
            let fits = |found: &&str| {
                !found.is_empty() && (found.starts_with(pointer) || pointer.starts_with(*found))
            };
            assert!(found.iter().any(fits), "{pointer} with {text:?}: {found:?}");
        }
    }
    for table in ["messages", "queue", "events"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(app.db()).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    app.stop().await;
}

#[tokio::test]
async fn reserved_header_fields_are_refused() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    for name in [
        "Bcc",
        "To",
        "from",
        "SUBJECT",
        "Received",
        "Return-Path",
        "DKIM-Signature",
        "MIME-Version",
        "Content-Type",
        "Message-ID",
        "Date",
        "Sender",
        "Bcc\r\n",
        ":",
        "X Y",
        "",
    ] {
        let mut message = base();
        message["headers"] = json!({name: "x"});
        let answer = alice.http.post("/v1/messages", message).await;
        let answer = answer.expect_problem(422, "invalid_input");
        assert!(answer.pointers()[0].starts_with("/headers/"), "{name:?}: {answer:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn faults_of_every_kind_come_at_once() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "from": "alice@example.test", "to": ["bob@remote.test", "nobody"], "cc": "x y",
        "subject": "a\nb", "attachments": [{"content": "?"}], "tags": [""],
        "scheduled_at": "2020-01-01T00:00:00Z", "headers": {"To": "x"},
    });
    let answer = alice.http.post("/v1/messages", message).await;
    let answer = answer.expect_problem(422, "invalid_input");
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    let expected = [
        "/attachments/0/content",
        "/cc",
        "/headers/To",
        "/scheduled_at",
        "/subject",
        "/tags/0",
        "/to/1",
    ];
    assert_eq!(pointers, expected);
    let answer = alice.http.post("/v1/messages", json!({"from": "alice@example.test"})).await;
    let answer = answer.expect_problem(422, "invalid_input");
    assert!(answer.pointers().contains(&"/to"), "{answer:?}");
    app.stop().await;
}

#[tokio::test]
async fn odd_but_harmless_text_comes_back_as_it_was() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let names =
        ["Bob \"the\\builder\"", "Bøb, Ünïcode (x)", "a:b;c", "日本語の名前", "=? not encoded"];
    for name in names {
        let subject = format!("{name} =?x 🎉 \t end");
        let message = json!({"to": [{"email": "bob@remote.test", "name": name}], "subject": subject,
                             "text": ".\r\n..\nFrom here\n.", "headers": {"X-Note": name}});
        let id = alice.post_message(message).await.expect(202).id();
        alice.wait_for_status(&id, "delivered").await;
        let mail = alice.http.get("/v1/mail?limit=1").await.expect(200).json["data"][0].clone();
        assert_eq!(mail["subject"], subject.replace('\t', " "));
        assert_eq!(mail["to"], json!([{"name": name, "email": "bob@remote.test"}]));
        assert_eq!(mail["from"][0]["email"], "alice@example.test");
    }
    app.stop().await;
}

#[tokio::test]
async fn faults_of_shape_and_content_come_in_one_answer() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({"from": "x", "to": ["a@b"], "subjet": "..", "tags": 5});
    let answer = alice.http.post("/v1/messages", message).await;
    let answer = answer.expect_problem(422, "invalid_input");
    let expected = [
        ("", "missing_body"),
        ("/from", "invalid_address"),
        ("/subjet", "unknown_field"),
        ("/tags", "wrong_type"),
    ];
    assert_eq!(answer.faults(), expected);

    // Times, labels and too many recipients are the core's; the header field is of the request.
    let to: Vec<_> = (0..=1000).map(|number| format!("r{number}@remote.test")).collect();
    let message = json!({
        "from": {"email": "alice@example.test", "nam": "A"}, "to": to, "text": "x",
        "subject": "a\r\nBcc: b@remote.test", "tags": ["", 1, "good"], "metadata": {"": "1", "b": 2},
        "scheduled_at": "2020-01-01T00:00:00Z", "expires_at": "soon", "sandbox": "yes",
        "attachments": [{"content": "AA=="}, {}, {"content": "?", "filename": "a\u{0}"}, 5],
    });
    let request = alice.http.request(Method::POST, "/v1/messages").header("Idempotency-Key", "");
    let answer = request.json(&message).send().await.expect_problem(422, "invalid_input");
    let expected = [
        ("", "invalid_idempotency_key"),
        ("", "too_many_recipients"),
        ("/attachments/1/content", "missing_field"),
        ("/attachments/2/content", "invalid_base64"),
        ("/attachments/2/filename", "control_character"),
        ("/attachments/3", "wrong_type"),
        ("/expires_at", "invalid_value"),
        ("/from/nam", "unknown_field"),
        ("/metadata/", "invalid_metadata"),
        ("/metadata/b", "wrong_type"),
        ("/sandbox", "wrong_type"),
        ("/scheduled_at", "in_the_past"),
        ("/subject", "control_character"),
        ("/tags/0", "invalid_tag"),
        ("/tags/1", "wrong_type"),
    ];
    assert_eq!(answer.faults(), expected);
    // A time that is missing because of its shape is compared with nothing.
    let message = json!({"from": "alice@example.test", "cc": 7, "text": 7,
                         "scheduled_at": 7, "expires_at": "2020-01-01T00:00:00Z"});
    let answer = alice.http.post("/v1/messages", message).await;
    let expected = [
        ("/cc", "wrong_type"),
        ("/expires_at", "in_the_past"),
        ("/scheduled_at", "wrong_type"),
        ("/text", "wrong_type"),
    ];
    assert_eq!(answer.expect_problem(422, "invalid_input").faults(), expected);
    app.stop().await;
}

#[tokio::test]
async fn faults_of_a_large_body_come_at_once_too() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let content = "QUJD".repeat(3 << 19);
    let message = json!({"from": "x", "to": "bob@remote.test", "textt": "",
                         "attachments": [{"content": content}, {"content": content + "?"}]});
    let answer = alice.http.post("/v1/messages", message).await;
    let expected = [
        ("/attachments/1/content", "invalid_base64"),
        ("/from", "invalid_address"),
        ("/textt", "unknown_field"),
    ];
    assert_eq!(answer.expect_problem(422, "invalid_input").faults(), expected);
    app.stop().await;
}

#[tokio::test]
async fn faults_of_a_form_come_with_those_of_its_message() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let form = |message: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\n{message}\r\n\
             --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\tb\"\r\n\r\nA\r\n\
             --b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nx\r\n--b--\r\n"
        )
    };
    let post = |message: &str, key: &str| {
        let request = alice.http.request(Method::POST, "/v1/messages/multipart");
        let request = request.header("Idempotency-Key", key);
        request.body("multipart/form-data; boundary=b", form(message)).send()
    };
    let answer = post(r#"{"from": "x", "to": 7, "subjet": 1}"#, "").await;
    let expected = [
        ("", "invalid_idempotency_key"),
        ("/attachments/0/filename", "control_character"),
        ("/from", "invalid_address"),
        ("/note", "unknown_field"),
        ("/subjet", "unknown_field"),
        ("/to", "wrong_type"),
    ];
    assert_eq!(answer.expect_problem(422, "invalid_input").faults(), expected);
    // The message alone is good.
    let answer = post(r#"{"from": "alice@example.test", "to": "bob@remote.test"}"#, "k").await;
    let expected = [("/attachments/0/filename", "control_character"), ("/note", "unknown_field")];
    assert_eq!(answer.expect_problem(422, "invalid_input").faults(), expected);
    app.stop().await;
}

#[tokio::test]
async fn faults_of_a_query_come_with_those_of_the_message() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let post = |query: &str, body: &'static str| {
        let request = alice.http.request(Method::POST, &format!("/v1/messages/raw?{query}"));
        request.header("Idempotency-Key", "\u{e4}").body("message/rfc822", body).send()
    };
    let query = "colour=1&sandbox=maybe&to=bad&from=x%0d%0ay&tags=%0a&scheduled_at=soon\
                 &expires_at=2020-01-01T00:00:00Z";
    let answer = post(query, "Return-Path: <a@b.test>\r\nFrom: alice@example.test\r\n\r\nx").await;
    let expected = [
        ("", "invalid_idempotency_key"),
        ("", "return_path"),
        ("/colour", "unknown_parameter"),
        ("/expires_at", "in_the_past"),
        ("/from", "control_character"),
        ("/sandbox", "invalid_value"),
        ("/scheduled_at", "invalid_value"),
        ("/tags/0", "invalid_tag"),
        ("/to/0", "invalid_address"),
    ];
    assert_eq!(answer.expect_problem(422, "invalid_input").faults(), expected);
    let answer = post("tags=%0a", "To: x y\r\nFrom: alice@example.test\n\rx").await;
    let expected =
        [("", "bare_line_end"), ("", "invalid_idempotency_key"), ("/tags/0", "invalid_tag")];
    assert_eq!(answer.expect_problem(422, "invalid_input").faults(), expected);
    let answer = post("to=b@remote.test&tags=%0a", "no header").await;
    let expected =
        [("", "invalid_idempotency_key"), ("", "invalid_message"), ("/tags/0", "invalid_tag")];
    assert_eq!(answer.expect_problem(422, "invalid_input").faults(), expected);
    // Without a fault of the door, the core finds both.
    let request = alice.http.request(Method::POST, "/v1/messages/raw?to=b@remote.test&tags=%0a");
    let answer = request.body("message/rfc822", "no header").send().await;
    let expected = [("", "invalid_message"), ("/tags/0", "invalid_tag")];
    assert_eq!(answer.expect_problem(422, "invalid_input").faults(), expected);
    app.stop().await;
}

/// Of each operation of administration: its place, a body, and the faults in that.
const ADMINISTRATION: [(&str, &str, &str); 11] = [
    (
        "POST /v1/accounts",
        r#"{"name": " ", "nam": 1, "password": "short", "role": "king", "quota_bytes": 0,
            "full_name": "\u0000", "addresses": ["a@example.test", "b", 7],
            "retention_seconds": "x"}"#,
        "/addresses/1 invalid_address, /addresses/2 wrong_type, /full_name invalid_text, \
         /nam unknown_field, /name invalid_name, /password invalid_password, \
         /quota_bytes out_of_range, /retention_seconds wrong_type, /role invalid_value",
    ),
    (
        "PATCH /v1/accounts/",
        r#"{"addresses": ["@"], "full_name": "a\nb", "login_disabled": "", "quota_bytes": -1,
            "password": null}"#,
        "/addresses/0 invalid_address, /full_name invalid_text, /login_disabled invalid_text, \
         /password wrong_type, /quota_bytes out_of_range",
    ),
    (
        "POST /v1/domains",
        r#"{"name": "a b", "separators": ["+", "x", 1], "case_sensitive": "no",
            "dkim": {"algorithms": ["md5"], "bits": 1}, "description": "\u0000"}"#,
        "/case_sensitive wrong_type, /description invalid_description, \
         /dkim/algorithms/0 invalid_algorithm, /dkim/bits unknown_field, /name invalid_domain, \
         /separators/1 invalid_separator, /separators/2 wrong_type",
    ),
    (
        "PATCH /v1/domains/",
        r#"{"name": "x", "separators": ["x"], "disabled": 1, "description": "\u0000"}"#,
        "/description invalid_description, /disabled wrong_type, /name unknown_field, \
         /separators/0 invalid_separator",
    ),
    (
        "POST /v1/api-keys",
        r#"{"name": "", "scopes": ["send", "fly", 1], "account_id": "acc_x",
            "allowed_cidrs": ["::/200"], "allowed_senders": ["a"], "expires_at": "soon"}"#,
        "/account_id invalid_value, /allowed_cidrs/0 invalid_network, \
         /allowed_senders/0 invalid_sender, /expires_at invalid_value, /name invalid_name, \
         /scopes/1 unknown_scope, /scopes/2 wrong_type",
    ),
    (
        "POST /v1/account/app-passwords",
        r#"{"name": "", "scopes": ["send", "admin:read", 1], "allowed_cidrs": "x", "key": 1}"#,
        "/allowed_cidrs wrong_type, /key unknown_field, /name invalid_name, \
         /scopes/1 scope_not_allowed, /scopes/2 wrong_type",
    ),
    (
        "POST /v1/account/password",
        r#"{"current_password": 1, "new_password": "short", "x": 1}"#,
        "/current_password wrong_type, /new_password invalid_password, /x unknown_field",
    ),
    (
        "PATCH /v1/account",
        r#"{"full_name": "a\nb", "role": "admin"}"#,
        "/full_name invalid_text, /role unknown_field",
    ),
    (
        "PATCH /v1/api-keys/",
        r#"{"name": "", "scopes": ["fly"], "allowed_cidrs": ["::/200"], "allowed_senders": ["a", 7],
            "sandbox": null, "expires_at": "2020-01-01T00:00:00Z"}"#,
        "/allowed_cidrs/0 invalid_network, /allowed_senders/0 invalid_sender, \
         /allowed_senders/1 wrong_type, /expires_at in_the_past, /name invalid_name, \
         /sandbox wrong_type, /scopes/0 unknown_scope",
    ),
    (
        "POST /v1/webhooks",
        r#"{"url": "http://10.0.0.1/", "event_types": ["x", 1], "headers": {"Host": "a", "X-A": 1},
            "description": "\u0007", "secret": "x"}"#,
        "/description invalid_description, /event_types/0 unknown_event_type, \
         /event_types/1 wrong_type, /headers/Host reserved_header, /headers/X-A wrong_type, \
         /secret unknown_field, /url address_not_allowed",
    ),
    (
        "PATCH /v1/webhooks/",
        r#"{"url": "nope", "event_types": [], "headers": {"Host": "a", "X-A": null}, "enabled": 1}"#,
        "/enabled wrong_type, /event_types out_of_range, /headers/Host reserved_header, \
         /url invalid_url",
    ),
];

#[tokio::test]
async fn faults_of_administration_come_at_once() {
    let app = App::test().start().await;
    app.account("alice@example.test").await;
    let webhook = json!({"url": "https://example.test/"});
    app.admin().post("/v1/webhooks", webhook).await.expect(201);
    for (operation, body, expected) in ADMINISTRATION {
        let (method, place) = operation.split_once(' ').unwrap();
        let mut place = place.to_owned();
        if let Some(list) = place.strip_suffix('/') {
            let first = app.admin().get(list).await.expect(200)["data"][0]["id"].clone();
            place.push_str(first.as_str().unwrap());
        }
        let request = app.admin().request(method.parse().unwrap(), &place);
        let answer = request.body("application/json", body).send().await;
        let answer = answer.expect_problem(422, "invalid_input");
        let told: Vec<_> =
            answer.faults().iter().map(|(pointer, code)| format!("{pointer} {code}")).collect();
        assert_eq!(told.join(", "), expected, "{operation}");
    }
    // What is right in its shape has the same faults of content.
    let body = json!({"name": "a b", "separators": ["x"], "description": "\u{0}"});
    let answer = app.admin().post("/v1/domains", body).await;
    assert_eq!(answer.expect_problem(422, "invalid_input").faults().len(), 3);
    app.stop().await;
}
