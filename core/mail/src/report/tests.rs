//! Reports of all kinds, as `samples/` has them, and what must be read from them.

use super::*;

fn crlf(text: &str) -> Vec<u8> {
    text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()
}

fn read(sample: &str) -> Option<Report> {
    let message = crlf(sample);
    Report::read(&message, &ParsedMail::parse(&message))
}

macro_rules! sample {
    ($name:literal) => {
        read(include_str!(concat!("samples/", $name, ".eml")))
    };
}

fn delivery(report: Option<Report>) -> DeliveryReport {
    match report {
        Some(Report::Delivery(report)) => report,
        other => panic!("no delivery report: {other:?}"),
    }
}

fn complaint(report: Option<Report>) -> Complaint {
    match report {
        Some(Report::Complaint(complaint)) => complaint,
        other => panic!("no complaint: {other:?}"),
    }
}

fn id(report: &DeliveryReport) -> Option<&str> {
    report.returned.message_id.as_deref()
}

type Fact = (String, Action, String, Option<u16>);

/// Address, action, status and code of each recipient.
fn facts(report: &DeliveryReport) -> Vec<Fact> {
    let fact = |one: &ReportedRecipient| {
        let address = one.last.as_ref().map(Address::to_string).unwrap_or_default();
        (address, one.action, one.status.clone().unwrap_or_default(), one.code)
    };
    report.recipients.iter().map(fact).collect()
}

fn fact(action: Action, address: &str, status: &str, code: Option<u16>) -> Fact {
    (address.to_owned(), action, status.to_owned(), code)
}

fn failed(address: &str, status: &str, code: Option<u16>) -> Fact {
    fact(Action::Failed, address, status, code)
}

fn texts(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(Address::to_string).collect()
}

#[test]
fn a_dsn_of_one_recipient() {
    let report = delivery(sample!("dsn_failed"));
    assert_eq!(facts(&report), [failed("bob@remote.test", "5.1.1", Some(550))]);
    let bob = &report.recipients[0];
    assert_eq!(bob.original.as_ref().unwrap().to_string(), "bob@list.test");
    assert_eq!(bob.remote_mta.as_deref(), Some("inner.remote.test"));
    let text = "550 5.1.1 <bob@remote.test>: Recipient address rejected: User unknown";
    assert_eq!(bob.diagnostic, text);
    assert_eq!(report.envelope_id.as_deref(), Some("env-77"));
    assert_eq!(id(&report), Some("<one@example.test>"));
    let path = report.returned.return_path.as_ref().unwrap();
    assert_eq!(path.to_string(), "alice+tok@example.test");
    assert_eq!(texts(&report.returned.recipients), ["bob@list.test", "carol@remote.test"]);
}

#[test]
fn a_dsn_of_several_recipients() {
    let report = delivery(sample!("dsn_several"));
    let expected = [
        fact(Action::Delivered, "a@remote.test", "2.0.0", None),
        fact(Action::Delayed, "b@remote.test", "4.4.1", None),
        fact(Action::Relayed, "c@remote.test", "2.4.0", None),
        fact(Action::Expanded, "d@remote.test", "2.0.0", None),
        // Without an action, the status says it; a code of another type is none of SMTP.
        failed("e@remote.test", "5.2.2", None),
    ];
    assert_eq!(facts(&report), expected, "what does not say what happened is left out");
    assert_eq!(id(&report), Some("<two@example.test>"));
}

#[test]
fn a_dsn_in_utf8() {
    let report = delivery(sample!("dsn_utf8"));
    assert_eq!(facts(&report), [failed("üser@remote.test", "5.1.1", Some(550))]);
    let bob = &report.recipients[0];
    assert_eq!(bob.original, bob.last, "\\x{{FC}} is ü");
    assert_eq!(bob.diagnostic, "550 5.1.1 kein Postfach für üser");
    assert_eq!(id(&report), Some("<three@example.test>"));
    assert_eq!(texts(&report.returned.recipients), ["üser@remote.test"]);
}

#[test]
fn a_dsn_that_breaks_rules() {
    let report = delivery(sample!("dsn_sloppy"));
    assert_eq!(facts(&report), [failed("bob@remote.test", "", Some(554))], "not of the inner one");
    assert_eq!(id(&report), Some("<four@example.test>"));
}

#[test]
fn our_own_dsn_reads_back() {
    let own = crate::dsn::compose(&crate::dsn::DsnInput {
        kind: crate::dsn::DsnKind::Delayed,
        reporting_mta: "mx.example.org",
        from: &Address::parse("postmaster@example.org").unwrap(),
        to: &Address::parse("alice@example.test").unwrap(),
        message_id: "<dsn@example.org>",
        original_message_id: Some("<orig@example.test>"),
        envelope_id: Some("env"),
        returned: crate::dsn::Returned::Header(
            b"Message-ID: <orig@example.test>\r\nTo: bob@remote.test\r\n",
        ),
        recipients: &[crate::dsn::DsnRecipient {
            address: Address::parse("bob@remote.test").unwrap(),
            original_recipient: None,
            status: "4.4.1".into(),
            remote_mta: None,
            diagnostic: Some(crate::dsn::Diagnostic::Smtp("451 4.4.1 later".into())),
            last_attempt: None,
            will_retry_until: None,
        }],
        arrival: time::OffsetDateTime::UNIX_EPOCH,
        now: time::OffsetDateTime::UNIX_EPOCH,
    });
    let report = delivery(Report::read(&own, &ParsedMail::parse(&own)));
    let expected = fact(Action::Delayed, "bob@remote.test", "4.4.1", Some(451));
    assert_eq!(facts(&report), [expected]);
    assert_eq!(report.envelope_id.as_deref(), Some("env"));
    assert_eq!(id(&report), Some("<orig@example.test>"));
}

#[test]
fn bounces_of_qmail() {
    let report = delivery(sample!("qmail"));
    let expected =
        [failed("bob@remote.test", "5.1.1", None), failed("carol@remote.test", "5.2.2", Some(552))];
    assert_eq!(facts(&report), expected, "nothing from the copy of the message");
    assert_eq!(id(&report), Some("<five@example.test>"));
    assert!(report.returned.return_path.is_some());
}

#[test]
fn bounces_of_exim() {
    let report = delivery(sample!("exim"));
    assert_eq!(facts(&report)[0], failed("bob@remote.test", "5.7.1", Some(550)));
    assert!(report.recipients[0].diagnostic.ends_with("550 5.7.1 Policy says no"));
    assert_eq!(report.recipients.len(), 2, "X-Failed-Recipients names another");
    assert_eq!(id(&report), Some("<six@example.test>"));
    let report = delivery(sample!("exim_delay"));
    let expected = fact(Action::Delayed, "bob@remote.test", "4.2.0", Some(450));
    assert_eq!(facts(&report), [expected]);
}

#[test]
fn bounces_of_postfix_without_a_status_part() {
    let report = delivery(sample!("postfix_text"));
    assert_eq!(facts(&report)[0], failed("bob@remote.test", "5.1.1", Some(550)));
    assert_eq!(facts(&report)[1].0, "carol@remote.test");
    assert_eq!(id(&report), None);
}

#[test]
fn bounces_of_sendmail() {
    let report = delivery(sample!("sendmail"));
    assert_eq!(facts(&report), [failed("bob@remote.test", "5.3.0", Some(553))]);
    assert_eq!(id(&report), Some("<seven@example.test>"));
    let report = delivery(sample!("sendmail_delay"));
    let expected = fact(Action::Delayed, "bob@remote.test", "4.4.1", Some(451));
    assert_eq!(facts(&report), [expected]);
}

#[test]
fn bounces_of_exchange() {
    let report = delivery(sample!("exchange_text"));
    assert_eq!(facts(&report), [failed("bob@remote.test", "5.1.1", None)]);
    let report = delivery(sample!("exchange_html"));
    assert_eq!(facts(&report), [failed("bob@remote.test", "5.1.10", Some(550))]);
    assert_eq!(id(&report), Some("<eight@example.test>"));
}

#[test]
fn bounces_of_google_without_a_status_part() {
    let report = delivery(sample!("gmail_text"));
    assert_eq!(facts(&report), [failed("bob@remote.test", "5.1.1", Some(550))]);
    assert_eq!(id(&report), Some("<nine@example.test>"));
}

#[test]
fn a_bounce_that_names_nobody() {
    let report = delivery(sample!("unnamed"));
    assert_eq!(facts(&report), [failed("", "5.2.2", Some(552))]);
}

#[test]
fn complaints() {
    let complaint = complaint(sample!("arf"));
    assert_eq!(complaint.feedback_type, "abuse");
    assert!(complaint.is_complaint());
    assert_eq!(complaint.user_agent.as_deref(), Some("Complainer/1.0"));
    assert_eq!(complaint.envelope_id.as_deref(), Some("env-99"));
    assert_eq!(complaint.mail_from.unwrap().to_string(), "alice+tok@example.test");
    assert_eq!(texts(&complaint.recipients), ["bob@provider.test"]);
    assert_eq!(complaint.returned.message_id.as_deref(), Some("<ten@example.test>"));
    assert!(!self::complaint(sample!("not_spam")).is_complaint());
}

#[test]
fn complaints_that_hide_who_complained() {
    let complaint = complaint(sample!("arf_redacted"));
    assert!(complaint.is_complaint() && complaint.recipients.is_empty());
    assert_eq!(complaint.mail_from, None);
    assert!(complaint.returned.return_path.is_some());
    assert_eq!(complaint.returned.message_id.as_deref(), Some("<eleven@example.test>"));
}

#[test]
fn complaints_of_outlook() {
    let complaint = complaint(sample!("outlook_complaint"));
    assert!(complaint.is_complaint());
    assert_eq!(texts(&complaint.returned.recipients), ["bob@hot.provider.test"]);
    assert_eq!(complaint.returned.message_id.as_deref(), Some("<twelve@example.test>"));
}

#[test]
fn what_people_and_vacation_programs_write_is_no_report() {
    assert_eq!(sample!("none_vacation"), None);
    assert_eq!(sample!("none_vacation_daemon"), None);
    assert_eq!(sample!("none_mdn"), None, "that it was read is no delivery report");
    assert_eq!(sample!("none_forwarded_bounce"), None, "the bounce of somebody else");
    assert_eq!(sample!("none_person"), None);
}

#[test]
fn everything_is_bounded() {
    let head = "From: postmaster@x.test\nSubject: failure notice\n";
    let blocks = "Final-Recipient: rfc822; a@b.test\nAction: failed\n\n".repeat(5000);
    let text = format!(
        "{head}Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: \
         message/delivery-status\n\n{blocks}\n--x--\n"
    );
    assert_eq!(delivery(read(&text)).recipients.len(), MAX_RECIPIENTS);
    let lines = (0..5000).fold(String::new(), |all, n| all + &format!("<u{n}@b.test>:\n"));
    assert_eq!(delivery(read(&format!("{head}\n{lines}"))).recipients.len(), 100);
    let long = format!("{head}\n<a@b.test>: 550 {}\n", "x".repeat(100_000));
    assert!(delivery(read(&long)).recipients[0].diagnostic.len() <= 1000);
    let names = format!("From: c@d.test\nTo: {}\n", "a@b.test, ".repeat(20_000));
    assert!(Returned::of_text(names.as_bytes()).recipients.len() <= 1000);
}
