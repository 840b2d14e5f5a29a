//! swaks, the Swiss army knife for SMTP.

use posthouse_tests::{app::App, dns::zone, sink::Script, wait::PATIENCE};

use super::run;

#[tokio::test]
async fn swaks_submits_mail_that_is_delivered_elsewhere() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let submission = app.submission_addr().port().to_string();
    let submissions = app.submissions_addr().port().to_string();
    let cases = [
        (&submission, "-tls", "PLAIN"),
        (&submission, "-tls", "LOGIN"),
        (&submissions, "-tlsc", "PLAIN"),
    ];
    for (number, (port, tls, mechanism)) in cases.into_iter().enumerate() {
        let arguments = [
            "--server",
            "127.0.0.1",
            "--port",
            port,
            tls,
            "--auth",
            mechanism,
            "--auth-user",
            &alice.address,
            "--auth-password",
            &alice.password,
            "--from",
            &alice.address,
            "--to",
            "bob@remote.test",
            "--header",
            "Subject: By swaks",
        ];
        let said = run("swaks", &arguments, "").await;
        assert!(said.contains("~> .") || said.contains("-> ."), "{said}");
        let sink = app.sink("mx.remote.test");
        let received = sink.wait_for(number + 1, PATIENCE).await.unwrap();
        assert!(received[number].text().contains("Subject: By swaks\r\n"));
    }
    app.stop().await;
}

#[tokio::test]
async fn swaks_brings_mail_from_elsewhere() {
    let remote = zone("remote.test").mx(10, "mx").address("mx", [127, 0, 0, 1]);
    let app = App::test().dns(remote).start().await;
    let alice = app.account("alice@example.test").await;
    let port = app.smtp_addr().port().to_string();
    for (subject, tls) in [("Plain", "--hide-informational"), ("Encrypted", "-tls")] {
        let header = format!("Subject: {subject}");
        let arguments = [
            "--server",
            "127.0.0.1",
            "--port",
            &port,
            tls,
            "--helo",
            "mx.remote.test",
            "--from",
            "bob@remote.test",
            "--to",
            "alice@example.test",
            "--header",
            &header,
            "--attach",
            "@-",
        ];
        run("swaks", &arguments, "an attachment\n").await;
        let mail = alice.wait_for_mail(subject).await;
        let path = format!("/v1/mail/{}", mail["id"].as_str().unwrap());
        let mail = alice.http.get(&path).await.expect(200);
        assert!(!mail["attachments"].as_array().unwrap().is_empty(), "{mail:?}");
    }
    app.stop().await;
}
