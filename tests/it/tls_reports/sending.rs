//! How reports go out: when, to whom, and how often.

use std::time::Duration;

use mail_auth::DkimResult;
use posthouse_core::config::SendReports;
use posthouse_tests::{
    app::App,
    policy_host::PolicyHost,
    sink::{Script, Stage},
    wait::PATIENCE,
};
use serde_json::json;

use super::{app, ask_for_reports, carried, sent, sleep, unpacked, with, write_to};
use crate::delivery::signatures::{publish, verify};

/// RFC 8460 §3, §5.3.
#[tokio::test]
async fn a_domain_that_asks_for_it_gets_a_signed_report_by_mail() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    publish(&app, "posthouse.test").await;
    let reports = app.start_sink("mx.reports.test", Script::new()).await;
    let alice = app.account("alice@example.test").await;
    ask_for_reports(&app, "remote.test", "mailto:tls@reports.test");
    let day = app.now().date();
    write_to(&alice, &["remote.test"]).await;
    // Not before the day is over.
    app.send_tls_reports().await;
    assert_eq!(sent(&app, "remote.test").await.len(), 0);
    sleep(&app);
    app.send_tls_reports().await;
    let mail = reports.wait_for(1, PATIENCE).await.unwrap().remove(0);
    let report = sent(&app, "remote.test").await.remove(0);
    let id = report["id"].as_str().unwrap();
    assert_eq!((mail.mail_from.as_str(), mail.rcpt_to[0].as_str()), ("", "tls@reports.test"));
    let text = mail.text();
    for line in [
        "From: <postmaster@posthouse.test>",
        "TLS-Report-Domain: remote.test",
        "TLS-Report-Submitter: posthouse.test",
        "TLS-Required: No",
        &format!(
            "Subject: Report Domain: remote.test\r\n Submitter: posthouse.test\r\n \
                  Report-ID: <{id}@posthouse.test>"
        ),
    ] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "no {line:?} in {text}");
    }
    let results = verify(app.dns(), &mail.data).await;
    assert!(results.iter().all(|(_, result)| *result == DkimResult::Pass), "{results:?}");
    let forged = text.replace("TLS-Report-Domain: remote", "TLS-Report-Domain: other");
    let results = verify(app.dns(), forged.as_bytes()).await;
    assert!(results.iter().all(|(_, result)| *result != DkimResult::Pass), "{results:?}");

    assert_eq!(carried(&mail), report["report"]);
    let range = json!({"start-datetime": format!("{day}T00:00:00Z"),
                       "end-datetime": format!("{day}T23:59:59Z")});
    assert_eq!([&report["day"], &report["status"]], [&json!(day.to_string()), &json!("sent")]);
    assert_eq!(report["report"]["date-range"], range);
    assert_eq!(report["report"]["report-id"], id);
    assert_eq!(report["report"]["organization-name"], "posthouse.test");
    assert_eq!(report["report"]["contact-info"], "postmaster@posthouse.test");
    app.stop().await;
}

/// RFC 8460 §5.2; each address of the record gets it, and those that fail are asked again.
#[tokio::test]
async fn a_report_goes_by_https_and_is_tried_again() {
    let (app, alice) = app().await;
    app.start_sink("mx.remote.test", Script::new()).await;
    let endpoint = PolicyHost::start(&app, "endpoint.test", "").await;
    endpoint.answer("503 Not Now", "", "");
    let url = format!("https://mta-sts.endpoint.test:{}/tlsrpt", app.delivery_port());
    ask_for_reports(&app, "remote.test", &format!("{url},mailto:tls@reports.test,ftp:x"));
    write_to(&alice, &["remote.test"]).await;
    sleep(&app);
    app.send_tls_reports().await;
    let first = sent(&app, "remote.test").await.remove(0);
    let statuses = |report: &serde_json::Value| {
        let all = report["destinations"].as_array().unwrap().iter();
        all.map(|one| one["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&first), ["waiting", "sent", "skipped"], "{first}");
    assert!(first["destinations"][0]["error"].as_str().unwrap().contains("503"), "{first}");
    assert_eq!([&first["status"], &first["completed_at"]], [&json!("waiting"), &json!(null)]);
    app.send_tls_reports().await;
    assert_eq!(endpoint.bodies().len(), 1);
    endpoint.answer("201 Created", "", "");
    app.advance(Duration::from_mins(16));
    app.send_tls_reports().await;
    let second = sent(&app, "remote.test").await.remove(0);
    assert_eq!((statuses(&second)[0].as_str(), &second["status"]), ("sent", &json!("sent")));
    let bodies = endpoint.bodies();
    assert_eq!(bodies.len(), 2);
    assert_eq!(unpacked(&bodies[1]), second["report"]);
    let head = endpoint.requests().pop().unwrap();
    assert_eq!(head, "POST /tlsrpt HTTP/1.1");
    assert_eq!(endpoint.media_types(), ["application/tlsrpt+gzip"; 2]);
    app.sink("mx.reports.test").wait_for(1, PATIENCE).await.unwrap();
    assert_eq!(app.sink("mx.reports.test").count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_report_that_nobody_takes_fails_after_five_tries() {
    let (app, alice) = app().await;
    app.start_sink("mx.remote.test", Script::new()).await;
    ask_for_reports(&app, "remote.test", "https://nobody.reports.test/");
    write_to(&alice, &["remote.test"]).await;
    sleep(&app);
    for attempt in 1..=5 {
        app.send_tls_reports().await;
        let report = sent(&app, "remote.test").await.remove(0);
        assert_eq!(report["attempts"], attempt);
        assert_eq!(report["status"], if attempt < 5 { "waiting" } else { "failed" });
        app.advance(Duration::from_hours(2));
    }
    app.send_tls_reports().await;
    assert_eq!(sent(&app, "remote.test").await[0]["attempts"], 5);
    app.stop().await;
}

/// RFC 8460 §3: nodes of an installation are one reporter.
#[tokio::test]
async fn of_several_nodes_one_sends_a_report() {
    let (app, alice) = app().await;
    let (one, two) = (app.node("one").await, app.node("two").await);
    let domains: Vec<String> = (0..6).map(|number| format!("remote{number}.test")).collect();
    for domain in &domains {
        app.start_sink(&format!("mx.{domain}"), Script::new()).await;
        ask_for_reports(&app, domain, "mailto:tls@reports.test");
        write_to(&alice, &[domain]).await;
        write_to(&one.as_person(&alice), &[domain]).await;
    }
    // Deliveries may have been any node's. Before midnight there is nothing to send, but each writes
    // what it has counted, at the latest when it stops.
    one.stop().await;
    tokio::join!(app.send_tls_reports(), two.send_tls_reports());
    let mut counted = Vec::new();
    for domain in &domains {
        let sum = "SELECT sum(sessions)::bigint FROM tls_results
                   WHERE domain = $1 AND failure IS NOT NULL";
        let sum = sqlx::query_scalar::<_, i64>(sum).bind(domain).fetch_one(app.db());
        counted.push(sum.await.unwrap());
    }
    sleep(&app);
    tokio::join!(app.send_tls_reports(), two.send_tls_reports());
    tokio::join!(app.send_tls_reports(), two.send_tls_reports());
    for (domain, counted) in domains.iter().zip(counted) {
        let reports = sent(&app, domain).await;
        let failed = &reports[0]["failed_sessions"];
        assert_eq!((reports.len(), failed), (1, &json!(counted)), "{reports:?}");
        assert_eq!(reports[0]["attempts"], 1);
    }
    let sink = app.sink("mx.reports.test");
    sink.wait_for(6, PATIENCE).await.unwrap();
    assert_eq!(sink.count(), 6);
    two.stop().await;
    app.stop().await;
}

/// RFC 8460 §7: the mail with a report is not reported about, or it would never end.
#[tokio::test]
async fn there_are_no_reports_about_reports() {
    let (app, alice) = app().await;
    app.start_sink("mx.remote.test", Script::new()).await;
    ask_for_reports(&app, "remote.test", "mailto:tls@reports.test");
    ask_for_reports(&app, "reports.test", "mailto:tls@reports.test");
    write_to(&alice, &["remote.test"]).await;
    sleep(&app);
    app.send_tls_reports().await;
    app.sink("mx.reports.test").wait_for(1, PATIENCE).await.unwrap();
    sleep(&app);
    app.send_tls_reports().await;
    assert_eq!(sent(&app, "reports.test").await.len(), 0);
    // Other mail to that domain is.
    write_to(&alice, &["reports.test"]).await;
    sleep(&app);
    app.send_tls_reports().await;
    assert_eq!(sent(&app, "reports.test").await.len(), 1);
    app.stop().await;
}

/// E8: there are five attempts to deliver a report, and nobody is told when they fail.
#[tokio::test]
async fn the_mail_with_a_report_is_given_up_sooner_than_others() {
    let (app, alice) = app().await;
    app.start_sink("mx.remote.test", Script::new()).await;
    let deferring = Script::new().reply(Stage::Rcpt, "451 4.2.1 not now");
    let sink = app.start_sink("mx.reports.test", deferring).await;
    ask_for_reports(&app, "remote.test", "mailto:tls@reports.test");
    write_to(&alice, &["remote.test"]).await;
    sleep(&app);
    app.send_tls_reports().await;
    let id = sent(&app, "remote.test").await[0]["destinations"][0]["message_id"].clone();
    let path = format!("/v1/messages/{}/deliveries", id.as_str().unwrap());
    for attempts in 1..=5 {
        posthouse_tests::wait::until_equal(attempts, async || {
            let found = app.admin().get(&path).await.expect(200);
            found["data"][0]["attempts"].as_array().unwrap().len()
        })
        .await;
        app.advance(Duration::from_secs(450 << (attempts - 1)) * 102 / 100);
    }
    posthouse_tests::wait::until_equal(json!("expired"), async || {
        app.admin().get(&path).await.expect(200)["data"][0]["status"].clone()
    })
    .await;
    assert_eq!(sink.commands("RCPT").len(), 5);
    let inbox = app.admin().get("/v1/mail").await.expect(200);
    assert_eq!(inbox["data"], json!([]));
    app.stop().await;
}

#[tokio::test]
async fn addresses_on_the_list_get_no_reports() {
    let (app, alice) = app().await;
    for domain in ["remote.test", "other.test"] {
        app.start_sink(&format!("mx.{domain}"), Script::new()).await;
        ask_for_reports(&app, domain, "mailto:TLS@reports.test");
    }
    let path = "/v1/reports/tls/suppressions";
    let entry = json!({"uri": "MAILTO:tls@reports.test", "comment": "full"});
    let made = app.admin().post(path, entry.clone()).await.expect(201);
    assert_eq!(made["uri"], "mailto:tls@reports.test");
    app.admin().post(path, entry).await.expect_problem(409, "already_exists");
    let wrong = json!({"uri": "ftp:x", "comment": "a\nb"});
    let wrong = app.admin().post(path, wrong).await.expect(422);
    assert_eq!(wrong.pointers(), ["/uri", "/comment"]);
    write_to(&alice, &["remote.test"]).await;
    sleep(&app);
    app.send_tls_reports().await;
    let report = sent(&app, "remote.test").await.remove(0);
    assert_eq!([&report["status"], &report["destinations"][0]["status"]], ["skipped", "skipped"]);
    assert_eq!(app.admin().all(path).await.len(), 1);
    app.admin().delete(&format!("{path}/{}", made.id())).await.expect(204);
    app.admin().delete(&format!("{path}/{}", made.id())).await.expect_problem(404, "not_found");
    write_to(&alice, &["other.test"]).await;
    sleep(&app);
    app.send_tls_reports().await;
    assert_eq!(sent(&app, "other.test").await[0]["status"], "sent");
    app.stop().await;
}

#[tokio::test]
async fn reports_can_be_switched_off_or_go_out_each_day() {
    for (send, reports) in [(SendReports::Off, 0), (SendReports::All, 1)] {
        let app = App::test().configure(move |config| config.tls_reports.send = send);
        let (app, alice) = with(app.start().await).await;
        let tls = posthouse_tests::certificates::untrusted("mx.remote.test");
        app.start_sink("mx.remote.test", Script::new().starttls(tls)).await;
        ask_for_reports(&app, "remote.test", "mailto:tls@reports.test");
        write_to(&alice, &["remote.test"]).await;
        sleep(&app);
        app.send_tls_reports().await;
        let sent = sent(&app, "remote.test").await;
        assert_eq!(sent.len(), reports, "{sent:?}");
        assert!(sent.iter().all(|report| report["status"] == "sent"), "{sent:?}");
        app.stop().await;
    }
}

/// Nobody can be the sender without a domain of this server that signs.
#[tokio::test]
async fn without_a_domain_of_its_own_the_server_reports_nothing() {
    let app = App::test().sink("mx.remote.test", Script::new());
    let app = app.sink("mx.other.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    write_to(&alice, &["remote.test"]).await;
    sleep(&app);
    app.send_tls_reports().await;
    let nobody_asks = sent(&app, "remote.test").await.remove(0);
    assert_eq!(nobody_asks["error"], "the domain does not ask for reports");
    ask_for_reports(&app, "other.test", "mailto:tls@reports.test");
    write_to(&alice, &["other.test"]).await;
    sleep(&app);
    app.send_tls_reports().await;
    let report = sent(&app, "other.test").await.remove(0);
    assert_eq!(report["status"], "skipped");
    assert!(report["error"].as_str().unwrap().contains("keys of DKIM"), "{report}");
    app.stop().await;
}
