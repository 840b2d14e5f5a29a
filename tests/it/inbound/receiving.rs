//! From a connection on port 25 to a mail in the Inbox and an event.

use posthouse_core::ports::Clock as _;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{app, message};

#[tokio::test]
async fn a_message_for_somebody_here_is_in_the_inbox_and_an_event_says_so() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let mut client = app.smtp().await;
    let reply = client.send_mail("bob@remote.test", "alice@example.test", &message("One")).await;
    reply.expect("250 2.0.0");

    let inbox = alice.inbox().await;
    assert_eq!(inbox.len(), 1, "it is there as soon as 250 is said");
    let mail = &inbox[0];
    assert_eq!(mail["subject"], "One");
    assert_eq!(mail["from"][0]["email"], "bob@remote.test");
    assert_eq!(mail["uid"], 1);
    assert_eq!(mail["flags"], json!([]));
    let raw = alice.raw_mail(mail["id"].as_str().unwrap()).await;
    assert!(raw.ends_with(&message("One")), "{raw}");
    for field in [
        "Delivered-To: alice@example.test\r\n",
        "Return-Path: <bob@remote.test>\r\n",
        "Received: from client.test ",
        "by mail.posthouse.test",
        "with ESMTP",
        "for <alice@example.test>",
    ] {
        assert!(raw.contains(field), "no {field:?} in {raw}");
    }
    let events = alice.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!(event["type"], "mail.received");
    assert_eq!(event["data"]["mail_id"], mail["id"]);
    assert_eq!(event["data"]["envelope"]["mail_from"], "bob@remote.test");
    assert_eq!(event["data"]["subject"], "One");
    assert_eq!(event["data"]["text"], "Hello Alice.\n");
    let at = OffsetDateTime::parse(mail["received_at"].as_str().unwrap(), &Rfc3339).unwrap();
    assert!((app.clock.now() - at).whole_seconds().abs() < 60);
    app.stop().await;
}

#[tokio::test]
async fn separators_case_and_catch_all_lead_to_the_right_account() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let rest = app.account_with(&["@example.test"]).await;
    let cases = [
        ("alice+shop@example.test", &alice),
        ("ALICE@Example.TEST", &alice),
        ("\"alice\"@example.test", &alice),
        ("alice-shop@example.test", &rest),
        ("anybody@example.test", &rest),
    ];
    for (number, (to, owner)) in cases.iter().enumerate() {
        let subject = format!("Case{number}");
        let mut client = app.smtp().await;
        client.send_mail("bob@remote.test", to, &message(&subject)).await.expect("250");
        let inbox = owner.inbox().await;
        assert!(inbox.iter().any(|mail| mail["subject"] == subject.as_str()), "{to}");
    }
    assert_eq!(alice.inbox().await.len() + rest.inbox().await.len(), cases.len());
    app.stop().await;
}

#[tokio::test]
async fn a_message_for_two_accounts_is_in_both() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let carol = app.account("carol@example.test").await;
    let mut client = app.smtp().await;
    client.envelope("bob@remote.test", &["alice@example.test", "carol@example.test"]).await;
    client.data(&message("Both")).await.expect("250");
    for person in [&alice, &carol] {
        let inbox = person.inbox().await;
        assert_eq!(inbox.len(), 1);
        let raw = person.raw_mail(inbox[0]["id"].as_str().unwrap()).await;
        assert!(raw.contains(&format!("Delivered-To: {}\r\n", person.address)), "{raw}");
        let other = if person.address == alice.address { &carol } else { &alice };
        let trace = raw.split("From: Bob").next().unwrap();
        assert!(!trace.contains(&other.address), "tells about the other recipient: {trace}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_recipient_is_refused_before_the_message_is_sent() {
    let app = app().start().await;
    app.account("alice@example.test").await;
    let mut client = app.smtp().await;
    client.command("MAIL FROM:<bob@remote.test>").await.expect("250");
    client.command("RCPT TO:<nobody@example.test>").await.expect("550 5.1.1");
    client.command("RCPT TO:<nobody@elsewhere.test>").await.expect("550 5.1.1");
    client.command("RCPT TO:<alice@example.test>").await.expect("250");
    client.data(&message("Still")).await.expect("250");
    app.stop().await;
}

#[tokio::test]
async fn a_disabled_domain_takes_no_mail_for_now() {
    let app = app().start().await;
    app.account("alice@example.test").await;
    let domains = app.admin().all("/v1/domains").await;
    let id = domains[0]["id"].as_str().unwrap();
    let patch = json!({"disabled": true});
    app.admin().patch(&format!("/v1/domains/{id}"), patch).await.expect(200);
    let mut client = app.smtp().await;
    client.command("MAIL FROM:<bob@remote.test>").await.expect("250");
    client.command("RCPT TO:<alice@example.test>").await.expect("450 4.2.1");
    app.stop().await;
}

#[tokio::test]
async fn a_sender_whose_domain_takes_no_mail_is_refused() {
    let broken = posthouse_tests::dns::zone("broken.test").servfail("@");
    let nullmx = posthouse_tests::dns::zone("nullmx.test").null_mx();
    let app = app().dns(broken).dns(nullmx).start().await;
    app.account("alice@example.test").await;
    for (sender, reply) in [
        ("bob@nullmx.test", "550 5.7.27"),
        ("bob@nowhere.test", "550"),
        ("bob@broken.test", "451"),
        ("bob@[127.0.0.1]", "550"),
        ("", "250"),
        ("bob@remote.test", "250"),
    ] {
        let mut client = app.smtp().await;
        let mut answer = client.command(&format!("MAIL FROM:<{sender}>")).await;
        if answer.code == 250 {
            answer = client.command("RCPT TO:<alice@example.test>").await;
        }
        answer.expect(reply);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_full_account_refuses_for_now_and_keeps_nothing() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let change = json!({"quota_bytes": 2000});
    let path = format!("/v1/accounts/{}", alice.account_id);
    app.admin().patch(&path, change).await.expect(200);
    let mut client = app.smtp().await;
    let large = format!("{}{}", message("Large"), "All work and no play.\r\n".repeat(200));
    client.send_mail("bob@remote.test", "alice@example.test", &large).await.expect("452 4.2.2");
    client
        .send_mail("bob@remote.test", "alice@example.test", &message("Small"))
        .await
        .expect("250");
    let subjects: Vec<Value> =
        alice.inbox().await.into_iter().map(|mail| mail["subject"].clone()).collect();
    assert_eq!(subjects, ["Small"]);
    app.stop().await;
}

#[tokio::test]
async fn attachments_and_parts_can_be_read_by_the_api() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let mime = "From: bob@remote.test\r\nTo: alice@example.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
        MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Sch=F6n\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\
        Content-Disposition: attachment; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        JVBERi0=\r\n--b--\r\n";
    let mut client = app.smtp().await;
    client.send_mail("bob@remote.test", "alice@example.test", mime).await.expect("250");
    let mail = alice.wait_for_mail("Grüße").await;
    let path = format!("/v1/mail/{}", mail["id"].as_str().unwrap());
    let mail = alice.http.get(&path).await.expect(200);
    assert!(mail.text().contains("Schön"), "{mail:?}");
    assert!(mail.text().contains("a.pdf"), "{mail:?}");
    let part = alice.http.get(&format!("{path}/parts/2")).await.expect(200);
    assert_eq!(part.text(), "%PDF-");
    app.stop().await;
}

#[tokio::test]
async fn a_message_that_is_no_mime_at_all_is_kept_as_it_is() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    for (number, text) in [
        "no header here\r\n".to_owned(),
        "Subject: x\r\nContent-Type: multipart/mixed\r\n\r\nno boundary\r\n".to_owned(),
        format!(
            "Subject: x\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n{}",
            "--a\r\n".repeat(2000)
        ),
        "\r\n".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let mut client = app.smtp().await;
        client.send_mail("bob@remote.test", "alice@example.test", text).await.expect("250");
        let inbox = alice.inbox().await;
        assert_eq!(inbox.len(), number + 1);
        let raw = alice.raw_mail(inbox[number]["id"].as_str().unwrap()).await;
        assert!(raw.ends_with(text.as_str()), "{raw:?}");
    }
    app.stop().await;
}
