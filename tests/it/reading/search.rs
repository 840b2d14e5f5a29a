//! `GET /v1/mail` with filters and searches.

use posthouse_tests::{app::App, person::Person};
use serde_json::json;

use super::{app, receive};

const PDF: &str = "Content-Type: multipart/mixed; boundary=b";
const PDF_BODY: &str = "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThe café is open; 日本語.\r\n\
    --b\r\nContent-Type: application/pdf; name=\"Menu card.pdf\"\r\n\
    Content-Disposition: attachment\r\n\r\n%PDF\r\n--b--";

async fn three(app: &App, alice: &Person) {
    let from = "From: Bob Müller <bob@remote.test>\r\nTo: alice@example.test";
    receive(app, alice, &format!("{from}\r\nSubject: One\r\n{PDF}"), PDF_BODY).await;
    let header =
        "From: carol@remote.test\r\nTo: list@remote.test\r\nCc: dave@d.test\r\nSubject: Two";
    receive(app, alice, header, "Your invoice number 42 is late.").await;
    let header = format!("{from}\r\nSubject: Re: Three\r\nContent-Type: text/html");
    receive(app, alice, &header, "<p>Invoices <b>are</b> fine</p><style>hidden</style>").await;
}

/// Subjects of what is found, the oldest first.
async fn found(alice: &Person, params: &[(&str, &str)]) -> String {
    let query = serde_urlencoded(params);
    let mut mail = alice.http.all(&format!("/v1/mail?{query}")).await;
    mail.reverse();
    let subjects: Vec<&str> = mail.iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
    subjects.join(", ")
}

fn serde_urlencoded(params: &[(&str, &str)]) -> String {
    let encode =
        |text: &str| text.bytes().fold(String::new(), |out, byte| format!("{out}%{byte:02x}"));
    let pairs: Vec<String> =
        params.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

#[tokio::test]
async fn mail_is_found_as_in_a_mail_program() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    three(&app, &alice).await;
    for (query, subjects) in [
        ("invoice", "Two"),
        ("invoic*", "Two, Re: Three"),
        ("CAFE", "One"),
        ("muller", "One, Re: Three"),
        ("from:bob@remote.test", "One, Re: Three"),
        ("from:@remote.test -subject:one", "Two, Re: Three"),
        ("to:alice", "One, Two, Re: Three"),
        ("cc:dave@d.test", "Two"),
        ("\"invoice number\"", "Two"),
        ("\"number invoice\"", ""),
        ("has:pdf", "One"),
        ("-has:attachment", "Two, Re: Three"),
        ("filename:menu", "One"),
        ("本語", "One"),
        ("hidden", ""),
        ("42 OR subject:three", "Two, Re: Three"),
        ("-invoice -cafe", "Re: Three"),
        ("is:unread in:inbox", "One, Two, Re: Three"),
        ("is:read", ""),
        ("in:sent", ""),
        ("-in:Trash late", "Two"),
        ("newer_than:1d one", "One"),
        ("before:2020-01-01", ""),
        ("smaller:1M larger:10 two", "Two"),
        ("larger:1M", ""),
        ("keyword:x", ""),
        ("'); DROP TABLE mails; --", ""),
    ] {
        assert_eq!(found(&alice, &[("q", query)]).await, subjects, "{query}");
    }
    app.stop().await;
}

#[tokio::test]
async fn filters_of_a_list_fit_together() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    three(&app, &alice).await;
    for (params, subjects) in [
        (&[("from", "carol")][..], "Two"),
        (&[("subject", "RE three")], "Re: Three"),
        (&[("to", "list@remote.test"), ("text", "\"invoice number\"")], "Two"),
        (&[("has_attachment", "true")], "One"),
        (&[("has_attachment", "false"), ("flag", "\\Flagged")], ""),
        (&[("not_flag", "\\seen,\\Flagged"), ("max_size_bytes", "1000000")], "One, Two, Re: Three"),
        (&[("min_size_bytes", "1000000")], ""),
        (&[("keyword", "x")], ""),
        (&[("not_keyword", "x"), ("unseen", "true"), ("q", "two")], "Two"),
        (&[("since", "2020-01-01T00:00:00Z"), ("until", "2021-01-01T00:00:00Z")], ""),
    ] {
        assert_eq!(found(&alice, params).await, subjects, "{params:?}");
    }
    assert_eq!(found(&bob, &[("q", "invoice")]).await, "", "mail of another account");
    app.stop().await;
}

#[tokio::test]
async fn what_a_search_cannot_mean_is_told_at_once() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let path = "/v1/mail?q=before:x%20is:y&flag=Red&keyword=a%00b";
    let answer = alice.http.get(path).await.expect_problem(422, "invalid_input");
    let faults: Vec<_> =
        answer["errors"].as_array().unwrap().iter().map(|e| &e["pointer"]).collect();
    assert_eq!(json!(faults), json!(["/keyword", "/flag", "/q"]));
    let long = "a".repeat(1001);
    for name in ["q", "from", "text", "subject", "to"] {
        let answer = alice.http.get(&format!("/v1/mail?{name}={long}")).await;
        answer.expect_problem(422, "invalid_input");
    }
    app.stop().await;
}

/// A search of many mails must go through the index, and the list through the order of the mail.
#[tokio::test]
async fn a_search_reads_its_own_words_only() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    sqlx::query(
        "INSERT INTO mail_contents (account_id, content_id, blob_hash, prefix, size_bytes,
             base_subject, envelope, structure, preview, attachments)
         SELECT $1::uuid, gen_random_uuid(), '', '', 1, '', '{}', '{}', '', '[]'
         FROM generate_series(1, 5000)",
    )
    .bind(uuid_of(&alice))
    .execute(app.db())
    .await
    .unwrap();
    for statement in [
        "INSERT INTO mail_search SELECT account_id, content_id,
             ('''xw' || (row_number() OVER ()) % 50 || ''':1 ''all'':1')::tsvector FROM mail_contents",
        "INSERT INTO mails (account_id, mail_id, mailbox_id, uid, content_id, thread_id, createseq,
             modseq, size_bytes, received_at, saved_at)
         SELECT account_id, gen_random_uuid(), content_id, row_number() OVER (), content_id,
             content_id, 1, 1, 1, now(), now() FROM mail_contents",
        "ANALYZE mails, mail_contents, mail_search",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(app.db()).await.unwrap();
    }
    for (search, index) in [
        (
            "SELECT content_id FROM mail_search WHERE account_id = $1 AND words @@ '''xw7'''::tsquery LIMIT 501",
            "mail_search_words",
        ),
        (
            "SELECT m.mail_id FROM mails AS m WHERE m.account_id = $1 AND NOT m.expunged AND (false OR m.content_id IN (SELECT s.content_id FROM mail_search AS s WHERE s.account_id = $1 AND s.words @@ '''all'''::tsquery)) AND m.mail_id < 'ffffffff-ffff-ffff-ffff-ffffffffffff' ORDER BY m.mail_id DESC LIMIT 51",
            "mail_search_words",
        ),
        (
            "SELECT m.mail_id FROM mails AS m WHERE m.account_id = $1 AND NOT m.expunged AND m.mailbox_id = $1 AND m.mail_id < 'ffffffff-ffff-ffff-ffff-ffffffffffff' ORDER BY m.mail_id DESC LIMIT 51",
            "mails_mailbox",
        ),
        (
            "SELECT m.mail_id FROM mails AS m WHERE m.account_id = $1 AND NOT m.expunged AND m.thread_id = $1 ORDER BY m.mail_id DESC LIMIT 1",
            "mails_thread",
        ),
    ] {
        let id = uuid_of(&alice);
        let statement = format!("EXPLAIN {}", search.replace("$1", &format!("'{id}'")));
        let mut tx = app.db().begin().await.unwrap();
        sqlx::query("SET LOCAL enable_seqscan = off").execute(&mut *tx).await.unwrap();
        let plan: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(&mut *tx).await.unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{search}\n{plan}");
    }
    app.stop().await;
}

fn uuid_of(person: &Person) -> uuid::Uuid {
    person.account_id.parse::<posthouse_core::Id<posthouse_core::id::Account>>().unwrap().uuid()
}
