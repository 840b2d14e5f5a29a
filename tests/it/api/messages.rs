//! Sending by each of the three forms, and reading what became of it.

use posthouse_core::events::matches_any;
use posthouse_tests::app::App;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_message_is_taken_and_can_be_read() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "from": {"email": "alice@example.test", "name": "Alice Ö"},
        "to": "Bob <bob@remote.test>", "cc": ["carol@remote.test", {"email": "dave@remote.test"}],
        "bcc": ["eve@remote.test", "bob@remote.test"], "subject": "Grüße", "text": "Hallo",
        "html": "<p>Hallo <img src=\"cid:logo\"></p>",
        "attachments": [
            {"filename": "ä.txt", "content_type": "text/plain", "content": "SGVsbG8=",
             "content_id": null, "disposition": "attachment"},
            {"filename": "logo.png", "content": "iVBORw0KGgo=", "content_id": "logo"},
        ],
        "headers": {"X-Ref": "7"}, "tags": ["welcome"], "metadata": {"user": "42"},
        "scheduled_at": null,
    });
    let taken = alice.http.post("/v1/messages", message).await.expect(202);
    let path = format!("/v1/messages/{}", taken.id());
    assert_eq!(taken.header("location"), Some(path.as_str()));
    assert!(taken["message_id"].as_str().unwrap().starts_with('<'));
    let recipients: Vec<_> = taken["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|delivery| delivery["recipient"].as_str().unwrap())
        .collect();
    let expected = ["bob@remote.test", "carol@remote.test", "dave@remote.test", "eve@remote.test"];
    assert_eq!(recipients, expected);
    assert_eq!(taken["duplicates"], json!(["bob@remote.test"]));
    assert_eq!(taken["deliveries"][0]["status"], "queued");

    let read = alice.http.get(&path).await.expect(200);
    assert_eq!(read["subject"], "Grüße");
    assert_eq!(read["recipient_count"], 4);
    assert_eq!(read["metadata"], json!({"user": "42"}));
    let raw = alice.http.get(&format!("{path}/raw")).await.expect(200);
    assert_eq!(raw.header("content-type"), Some("message/rfc822"));
    assert!(raw.header("content-disposition").unwrap().starts_with("attachment;"));
    let text = raw.text();
    assert!(text.contains("X-Ref: 7\r\n") && !text.contains("eve@remote.test"), "{text}");
    let tag = raw.header("etag").unwrap();
    let known =
        alice.http.request(Method::GET, &format!("{path}/raw")).header("If-None-Match", tag);
    known.send().await.expect(304);
    let part = alice.http.request(Method::GET, &format!("{path}/raw")).header("Range", "bytes=0-9");
    assert_eq!(part.send().await.expect(206).bytes, raw.bytes.slice(..10));
    app.stop().await;
}

#[tokio::test]
async fn deliveries_and_events_tell_what_became_of_it() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let id = alice.send(&["bob@remote.test"], "Hello").await.id();
    let deliveries = alice.wait_for_status(&id, "delivered").await;
    let attempt = &deliveries[0]["attempts"][0];
    assert_eq!(attempt["smtp_code"], 250);
    assert!(attempt["tls"]["verification"].is_string(), "{attempt}");
    assert!(attempt["started_at"].as_str().unwrap().ends_with('Z'));
    let types = alice.event_types_of(&id).await;
    assert_eq!(types, ["message.accepted", "delivery.delivered"]);
    let events = alice.http.all("/v1/events?types=delivery.*").await;
    assert!(events.iter().all(|event| event["type"].as_str().unwrap().starts_with("delivery.")));
    let all = alice.http.all("/v1/events?limit=1").await;
    let one = alice.http.get(&format!("/v1/events/{}", all[0]["id"].as_str().unwrap())).await;
    assert_eq!(one.expect(200).json, all[0]);
    for types in ["message.accepted", "delivery.*,message.*", "*", "mail.*"] {
        let patterns: Vec<String> = types.split(',').map(str::to_owned).collect();
        let mut wanted = all.clone();
        wanted.retain(|event| matches_any(&patterns, event["type"].as_str().unwrap()));
        let found = alice.http.all(&format!("/v1/events?types={types}&limit=1")).await;
        assert_eq!(found, wanted, "{types}");
    }
    for (filter, count) in [
        ("to=bob@remote.test", 1),
        ("to=x@remote.test", 0),
        ("status=delivered", 1),
        ("status=failed", 0),
        ("from=alice@example.test", 1),
        ("since=2999-01-01T00:00:00Z", 0),
    ] {
        assert_eq!(
            alice.http.all(&format!("/v1/messages?{filter}")).await.len(),
            count,
            "{filter}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn messages_are_found_by_domain_subject_and_metadata() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let send = async |to: &str, subject: &str, metadata: Value| {
        let message = json!({"to": to, "subject": subject, "text": "x", "metadata": metadata});
        alice.post_message(message).await.expect(202).id()
    };
    let one = send("bob@remote.test", "Your 100% INVOICE", json!({"user": "42", "a.b": "c"})).await;
    let two = send("bob@other.test", "Welcome", json!({"user": "42"})).await;
    let three = send("bob@sub.remote.test", "Welcome", json!({"user": "4"})).await;
    alice.wait_for_status(&one, "delivered").await;
    for (filter, expected) in [
        ("domain=REMOTE.test", vec![&one]),
        ("subject=invoice", vec![&one]),
        ("subject=0%25%20i", vec![&one]),
        ("subject=_", vec![]),
        ("metadata[user]=42", vec![&two, &one]),
        ("metadata[user]=42&metadata%5Ba.b%5D=c", vec![&one]),
        ("metadata[user]=4&domain=sub.remote.test&subject=WELCOME", vec![&three]),
        ("metadata[user]=", vec![]),
    ] {
        let found = alice.http.all(&format!("/v1/messages?{filter}")).await;
        let found: Vec<&str> = found.iter().filter_map(|message| message["id"].as_str()).collect();
        assert_eq!(found, expected, "{filter}");
    }
    let wrong = alice.http.get("/v1/messages?metadata=x&domain=.").await.expect(422);
    assert_eq!(wrong.pointers(), ["/domain", "/metadata"]);
    app.stop().await;
}

#[tokio::test]
async fn messages_are_found_by_what_is_known_of_them() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let send = async |to: &[&str], subject: &str, number: usize, status: &str| {
        let mut new = json!({"from": alice.address, "to": to, "subject": subject, "text": "x",
            "metadata": {"number": number.to_string(), "shop": "7"}, "stream": "orders"});
        new["tags"] =
            if number.is_multiple_of(2) { json!(["even", "any"]) } else { json!(["any"]) };
        let taken = alice.http.post("/v1/messages", new).await.expect(202);
        alice.wait_for_status(&taken.id(), status).await;
    };
    for number in 0..6 {
        let to = format!("Bob{}@d{}.remote.test", number % 3, number % 3);
        send(&[&to, "all@remote.test"], &format!("Order {number}"), number, "delivered").await;
    }
    send(&["bounce@remote.test", "bounce+551@remote.test"], "Lost", 7, "failed").await;
    for (filter, count) in [
        ("to=bob1@D1.remote.test", 2),
        ("to=all@remote.test", 6),
        ("to=all@remote.test&tag=even", 3),
        ("to=bob1@d1.remote.test&tag=even", 1),
        ("domain=d2.remote.test", 2),
        ("domain=D2.Remote.test&metadata%5Bnumber%5D=5", 1),
        ("domain=nowhere.test", 0),
        ("subject=order", 6),
        ("subject=ORDER%203", 1),
        ("subject=%25", 0),
        ("tag=any", 7),
        ("tag=ev", 0),
        ("metadata[shop]=7", 7),
        ("metadata[shop]=7&metadata[number]=2", 1),
        ("metadata[shop]=7&metadata[number]=2&tag=nothing", 0),
        ("metadata[number]=", 0),
        ("stream=orders", 7),
        ("status=failed", 1),
        ("status=delivered&tag=even", 3),
        ("to=bounce@remote.test&status=delivered", 0),
        ("tag=any&since=2999-01-01T00:00:00Z", 0),
        ("to=all@remote.test&until=2999-01-01T00:00:00Z", 6),
    ] {
        for limit in [1, 2, 200] {
            let path = format!("/v1/messages?{filter}&limit={limit}");
            let found = alice.http.all(&path).await;
            let mut ids: Vec<&str> = found.iter().map(|one| one["id"].as_str().unwrap()).collect();
            assert!(ids.is_sorted_by(|a, b| a > b), "{path}: {ids:?}");
            ids.dedup();
            assert_eq!(ids.len(), count, "{path}");
        }
    }
    let first = alice.http.get("/v1/messages?tag=even&limit=1").await.expect(200);
    let next = first["next_cursor"].as_str().unwrap();
    let second = alice.http.get(&format!("/v1/messages?tag=even&limit=1&cursor={next}")).await;
    let back = second.expect(200)["prev_cursor"].as_str().unwrap().to_owned();
    let again = alice.http.get(&format!("/v1/messages?tag=even&limit=1&cursor={back}")).await;
    assert_eq!(again.expect(200)["data"], first["data"]);
    app.stop().await;
}

#[tokio::test]
async fn raw_messages_keep_their_octets() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let message = "From: alice@example.test\nTo: Bob <bob@remote.test>\nBcc: eve@remote.test\n\
                   Subject: Raw\nX-Odd:   spaces  \n\nBody\n";
    let request = alice.http.request(Method::POST, "/v1/messages/raw");
    let taken = request.body("message/rfc822", message).send().await.expect(202);
    assert_eq!(taken["deliveries"].as_array().unwrap().len(), 2);
    let raw = alice.http.get(&format!("/v1/messages/{}/raw", taken.id())).await.expect(200).text();
    assert!(raw.contains("X-Odd:   spaces  \r\n") && raw.ends_with("\r\n\r\nBody\r\n"), "{raw}");
    assert!(!raw.contains("eve@"), "{raw}");

    let post = |query: &str, body: &'static str| {
        let path = format!("/v1/messages/raw?{query}");
        alice.http.request(Method::POST, &path).body("message/rfc822", body).send()
    };
    let good = "From: alice@example.test\r\n\r\nx\r\n";
    let answer = post("to=bad&from=x%0d%0ay&tags=%0a&colour=1", good).await;
    let answer = answer.expect_problem(422, "invalid_input");
    assert_eq!(answer.pointers(), ["/colour", "/from", "/to/0", "/tags/0"]);
    for bad in [
        "From: alice@example.test\r\n\r\na\rb\r\n",
        "From: a@example.test\r\nFrom: b@example.test\r\n\r\nx",
        "From: friends: alice@example.test;\r\n\r\nx",
        "no header",
        "",
    ] {
        post("to=b@remote.test", bad).await.expect_problem(422, "invalid_input");
    }
    let foreign = "From: mallory@elsewhere.test\r\n\r\nx\r\n";
    post("to=b@remote.test", foreign).await.expect_problem(403, "sender_not_allowed");
    app.stop().await;
}

#[tokio::test]
async fn the_sandbox_can_be_waited_for() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let wait = "/v1/sandbox/messages/wait?recipient=bob@remote.test&subject=Hello";
    let none = alice.http.get(&format!("{wait}&timeout_seconds=0")).await;
    none.expect_problem(404, "not_found");
    let waiting = alice.http.get(wait);
    let (found, taken) = tokio::join!(waiting, alice.send(&["bob@remote.test"], "Hello"));
    let found = found.expect(200);
    assert_eq!(found["message_id"], taken.id());
    let mail = found["mail_id"].as_str().unwrap();
    let mail = alice.http.get(&format!("/v1/mail/{mail}")).await.expect(200);
    assert_eq!(mail["subject"], "Hello");
    assert_eq!(mail["from"][0]["email"], "alice@example.test");
    assert!(mail["text"].as_str().unwrap().contains("Hello."));
    assert_eq!(alice.http.all("/v1/sandbox/messages?outcome=delivered").await.len(), 1);
    alice.http.delete("/v1/sandbox/messages").await.expect(204);
    assert!(alice.http.all("/v1/sandbox/messages").await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn parts_of_mail_are_downloads() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "to": "bob@remote.test", "subject": "Files", "text": "See",
        "attachments": [{"filename": "evil.svg", "content_type": "image/svg+xml",
                         "content": "PHN2Zz48c2NyaXB0PjwvZz4="}],
    });
    alice.post_message(message).await.expect(202);
    let mail = alice.wait_for_mail("Files").await;
    let (id, path) =
        (mail["id"].as_str().unwrap(), mail["attachments"][0]["path"].as_str().unwrap());
    let part = alice.http.get(&format!("/v1/mail/{id}/parts/{path}")).await.expect(200);
    assert_eq!(part.text(), "<svg><script></g>");
    assert!(part.header("content-disposition").unwrap().starts_with("attachment;"));
    assert!(part.header("content-security-policy").unwrap().contains("sandbox"));
    assert_eq!(part.header("x-content-type-options"), Some("nosniff"));
    for missing in ["9", "1.1.1", "x", "%2e%2e", "0", "99999999999999999999"] {
        let answer = alice.http.get(&format!("/v1/mail/{id}/parts/{missing}")).await;
        answer.expect_problem(404, "not_found");
    }
    app.stop().await;
}

#[tokio::test]
async fn what_a_message_says_and_its_files_are_read() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "to": "Bob Ö <bob@remote.test>", "bcc": "eve@remote.test", "subject": "Grüße",
        "text": "See", "html": "<p>See</p>",
        "attachments": [{"filename": "ä.txt", "content_type": "text/plain", "content": "SGVsbG8="}],
    });
    let path = format!("/v1/messages/{}", alice.post_message(message).await.expect(202).id());
    let content = alice.http.get(&format!("{path}/content")).await.expect(200);
    assert_eq!((&content["subject"], &content["text"]), (&json!("Grüße"), &json!("See")));
    assert_eq!(content["html"], "<p>See</p>");
    assert_eq!(content["to"], json!([{"name": "Bob Ö", "email": "bob@remote.test"}]));
    assert!(!content.text().contains("eve@"), "nobody is told of her");
    let files = alice.http.all(&format!("{path}/attachments")).await;
    assert_eq!(json!(files), content["attachments"]);
    assert_eq!((&files[0]["filename"], &files[0]["size_bytes"]), (&json!("ä.txt"), &json!(5)));
    let file = format!("{path}/attachments/{}", files[0]["path"].as_str().unwrap());
    let whole = alice.http.get(&file).await.expect(200);
    assert_eq!(
        (whole.text().as_str(), whole.header("content-type")),
        ("Hello", Some("text/plain"))
    );
    let tag = whole.header("etag").unwrap();
    let known = alice.http.request(Method::GET, &file).header("If-None-Match", tag);
    known.send().await.expect(304);
    let range = alice.http.request(Method::GET, &file).header("Range", "bytes=1-2");
    assert_eq!(range.send().await.expect(206).text(), "el");
    // Part 1 is the text: no file.
    for missing in ["1", "9", "x", "%2e%2e"] {
        let answer = alice.http.get(&format!("{path}/attachments/{missing}")).await;
        answer.expect_problem(404, "not_found");
    }
    app.stop().await;
}
