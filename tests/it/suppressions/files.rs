//! Import and export as comma-separated values.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use posthouse_tests::{app::App, client::Answer, person::Person};
use reqwest::{Body, Method};
use serde_json::{Value, json};

use super::{events, suppress};

async fn import(person: &Person, csv: &str) -> Answer {
    let request = person.http.request(Method::POST, "/v1/suppressions/import");
    request.body("text/csv; charset=utf-8", csv.to_owned()).send().await
}

fn counts(answer: &Answer) -> [u64; 4] {
    ["created", "updated", "unchanged", "failed"].map(|name| answer[name].as_u64().unwrap())
}

#[tokio::test]
async fn rows_are_imported_and_the_bad_ones_told_with_their_lines() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    suppress(&alice, "there@one.test").await;
    let csv = "reason,address,detail,expires_at\r\n\
               bounce,a@one.test,\"5.1.1, no\r\nsuch \"\"user\"\"\",\r\n\
               \r\n\
               hate,b@one.test,,\r\n\
               ,c@one,x\r\n\
               ,not an address,,2001-01-01T00:00:00Z\r\n\
               ,d@one.test,,2001-01-01T00:00:00Z\r\n\
               complaint,there@one.test,,2099-01-01T00:00:00Z\r\n\
               ,e\"f@one.test,,\r\n\
               ,last@one.test,,";
    let done = import(&alice, csv).await.expect(200);
    assert_eq!(counts(&done), [2, 1, 0, 5], "{done:?}");
    let faults: Vec<_> = done["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            (
                fault["line"].as_u64().unwrap(),
                fault["column"].as_str(),
                fault["code"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (5, Some("reason"), "invalid_value"),
        (6, None, "wrong_number_of_fields"),
        (7, Some("address"), "invalid_address"),
        (8, Some("expires_at"), "in_the_past"),
        (10, None, "malformed_row"),
    ];
    assert_eq!(faults, expected);
    let list = alice.http.all("/v1/suppressions").await;
    let of = |address: &str| list.iter().find(|one| one["address"] == address).unwrap();
    assert_eq!(of("a@one.test")["detail"], "5.1.1, no\r\nsuch \"user\"");
    assert_eq!(of("there@one.test")["reason"], "complaint");
    assert_eq!(of("there@one.test")["expires_at"], "2099-01-01T00:00:00.000Z");
    assert_eq!(of("last@one.test")["reason"], "manual");
    assert_eq!((list.len(), events(&alice, "suppression.created").await.len()), (3, 3));

    // The same again changes nothing.
    let again = import(&alice, csv).await.expect(200);
    assert_eq!(counts(&again), [0, 0, 3, 5]);
    assert_eq!(alice.http.all("/v1/suppressions").await, list);
    assert_eq!(events(&alice, "suppression.created").await.len(), 3);
    // Of several rows for one recipient the last counts.
    let done =
        import(&alice, "address,reason\ntwice@one.test,bounce\nTWICE@one.test,complaint\n").await;
    assert_eq!(counts(&done.expect(200))[0], 1);
    let twice = alice.http.all("/v1/suppressions?address=twice@one.test").await;
    assert_eq!(twice[0]["reason"], "complaint");
    app.stop().await;
}

#[tokio::test]
async fn a_file_without_known_columns_is_refused() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let refused = import(&alice, "email,reason,reason\nx@one.test,bounce,bounce\n").await;
    let expected = [
        ("/address", "missing_column"),
        ("/email", "unknown_column"),
        ("/reason", "duplicate_column"),
    ];
    assert_eq!(refused.expect_problem(422, "invalid_input").faults(), expected);
    for nothing in ["", "\r\n", "\"", "a\"b\n"] {
        import(&alice, nothing).await.expect_problem(422, "invalid_input");
    }
    let request = alice.http.request(Method::POST, "/v1/suppressions/import");
    let refused = request.json(&json!({"address": "x@one.test"})).send().await;
    refused.expect_problem(415, "unsupported_media_type");
    assert_eq!(alice.http.all("/v1/suppressions").await, Vec::<Value>::new());
    app.stop().await;
}

#[tokio::test]
async fn an_export_is_no_formula_and_can_be_imported_again() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    for (address, detail) in [
        ("=cmd@one.test", "=HYPERLINK(\"http://evil.test\")"),
        ("+plus@one.test", "-1, two\nlines"),
        ("'quote@one.test", "'=x"),
    ] {
        let new = json!({"address": address, "detail": detail, "topic": "a-b"});
        alice.http.post("/v1/suppressions", new).await.expect(201);
    }
    let answer = alice.http.get("/v1/suppressions/export").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"suppressions.csv\"")
    );
    let text = answer.text();
    assert!(text.starts_with("address,topic,reason,detail,expires_at,"), "{text}");
    for field in text.split([',', '\n']) {
        assert!(!field.trim_start_matches('"').starts_with(['=', '+', '-', '@']), "{field:?}");
    }
    let done = import(&bob, &text).await.expect(200);
    assert_eq!(counts(&done), [3, 0, 0, 0], "{done:?}");
    let strip = |mut list: Vec<Value>| {
        list.sort_by_key(|one| one["address"].to_string());
        let fields = |one: &Value| ["address", "topic", "detail"].map(|name| one[name].clone());
        list.iter().map(fields).collect::<Vec<_>>()
    };
    let (hers, his) =
        (alice.http.all("/v1/suppressions").await, bob.http.all("/v1/suppressions").await);
    assert_eq!(strip(hers), strip(his));
    let some = alice.http.get("/v1/suppressions/export?address==cmd@one.test").await.expect(200);
    assert_eq!(some.text().matches("one.test").count(), 2);
    app.stop().await;
}

/// What the whole process had in memory at most, in KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// 100,000 rows in and out. Each side holds a thousand: the export comes in pieces of no more, and
/// 100,000 entries at a time (some 60 MB) would be seen in the memory of the process.
#[tokio::test]
async fn a_hundred_thousand_entries_go_in_and_out_as_a_stream() {
    const ROWS: usize = 100_000;
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let pieces = std::iter::once("address,detail\r\n".to_owned()).chain((0..ROWS / 500).map(|n| {
        let row = |i| format!("person{}@domain{n}.test,{}\r\n", n * 500 + i, "x".repeat(200));
        (0..500).map(row).collect()
    }));
    let pieces: Vec<_> = pieces.map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece))).collect();
    let before = peak_memory();
    let request = alice.http.request(Method::POST, "/v1/suppressions/import").into_inner();
    let request = request.header("content-type", "text/csv");
    let done = request.body(Body::wrap_stream(stream::iter(pieces))).send().await.unwrap();
    let done: Value = done.json().await.unwrap();
    assert_eq!(done["created"], ROWS, "{done}");
    let grown = peak_memory() - before;
    assert!(grown < 25 * 1024, "the import took {grown} KiB");

    let before = peak_memory();
    let request = alice.http.request(Method::GET, "/v1/suppressions/export").into_inner();
    let mut body = request.send().await.unwrap().bytes_stream();
    let (mut rows, mut largest) = (0, 0);
    while let Some(piece) = body.next().await {
        let piece = piece.unwrap();
        rows += piece.split(|byte| *byte == b'\n').count() - 1;
        largest = largest.max(piece.len());
    }
    assert_eq!(rows, ROWS + 1);
    assert!(largest < 1024 * 1024, "a piece of {largest} octets");
    let grown = peak_memory() - before;
    assert!(grown < 25 * 1024, "the export took {grown} KiB");
    app.stop().await;
}
