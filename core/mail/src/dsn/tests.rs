//! Reports read back as a mail program reads them.

use time::macros::datetime;

use super::*;
use crate::{
    message::{has_bare_cr_or_lf, inspect},
    parse::{ParsedMail, decode_part},
};

fn recipient(address: &str) -> DsnRecipient {
    DsnRecipient {
        address: Address::parse(address).unwrap(),
        original_recipient: Some(OriginalRecipient::from_text("rfc822;orig@example.net")),
        status: "5.1.1".into(),
        remote_mta: Some("mx.example.net".into()),
        diagnostic: Some(Diagnostic::Smtp("550 5.1.1 No such user".into())),
        last_attempt: Some(datetime!(2026-11-21 12:00:00 UTC)),
        will_retry_until: Some(datetime!(2026-11-25 12:00:00 UTC)),
    }
}

fn report(kind: DsnKind, to: &str, header: &[u8], recipients: &[DsnRecipient]) -> Vec<u8> {
    returning(kind, to, Returned::Header(header), recipients)
}

fn returning(
    kind: DsnKind,
    to: &str,
    returned: Returned<'_>,
    recipients: &[DsnRecipient],
) -> Vec<u8> {
    let message = compose(&DsnInput {
        kind,
        reporting_mta: "mx.example.org",
        from: &Address::parse("postmaster@example.org").unwrap(),
        to: &Address::parse(to).unwrap(),
        message_id: "<dsn@example.org>",
        original_message_id: Some("<orig@example.org>"),
        envelope_id: Some("env  1"),
        returned,
        recipients,
        arrival: datetime!(2026-11-21 11:00:00 UTC),
        now: datetime!(2026-11-21 12:00:01 UTC),
    });
    assert!(!has_bare_cr_or_lf(&message));
    assert!(message.split(|&b| b == b'\n').all(|line| line.len() <= 999));
    message
}

fn parts(message: &[u8]) -> Vec<(String, String)> {
    let mail = ParsedMail::parse(message);
    assert!(mail.is_dsn && mail.automated);
    let parts = mail.structure.children.iter();
    parts
        .map(|part| {
            let content = decode_part(message, part);
            (part.content_type.clone(), String::from_utf8(content).unwrap())
        })
        .collect()
}

#[test]
fn a_failure() {
    let message = report(
        DsnKind::Failed,
        "alice@example.org",
        b"From: alice@example.org\r\nSubject: x\r\n",
        &[recipient("bob@example.net"), recipient("carol@example.net")],
    );
    let found = inspect(&message).unwrap();
    assert_eq!(found.from.to_string(), "Mail Delivery System <postmaster@example.org>");
    assert_eq!(found.references, ["<orig@example.org>"]);
    assert_eq!(found.in_reply_to, ["<orig@example.org>"]);
    assert!(found.auto_submitted && found.has_date && !found.has_8bit);
    let parts = parts(&message);
    assert_eq!(parts[0].0, "text/plain");
    assert!(
        parts[0].1.contains("bob@example.net\r\n    mx.example.net said: 550 5.1.1 No such user")
    );
    let block = |address: &str| {
        format!(
            "\r\nOriginal-Recipient: rfc822;orig@example.net\r\nFinal-Recipient: rfc822; {address}\r\n\
             Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.net\r\n\
             Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n\
             Last-Attempt-Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
        )
    };
    let head = "Original-Envelope-Id: env  1\r\nReporting-MTA: dns; mx.example.org\r\n\
        Arrival-Date: Sat, 21 Nov 2026 11:00:00 +0000\r\n";
    let expected = [head, &block("bob@example.net"), &block("carol@example.net")].concat();
    assert_eq!(parts[1], ("message/delivery-status".into(), expected));
    let header = "From: alice@example.org\r\nSubject: x\r\n";
    assert_eq!(parts[2], ("text/rfc822-headers".into(), header.into()));
}

#[test]
fn a_delay_in_utf8() {
    let mut waiting = recipient("用户@example.net");
    waiting.status = "nonsense".into();
    let message = report(DsnKind::Delayed, "alice@example.org", b"Subject: x\r\n", &[waiting]);
    let parts = parts(&message);
    assert_eq!(parts[1].0, "message/global-delivery-status");
    assert!(parts[1].1.contains(
        "Final-Recipient: utf-8; 用户@example.net\r\nAction: delayed\r\nStatus: 4.0.0\r\n"
    ));
    assert!(parts[1].1.contains("Will-Retry-Until: Wed, 25 Nov 2026 12:00:00 +0000\r\n"));
    assert_eq!(parts[2].0, "message/global-headers");
}

/// THREATS 6 and 30: what a remote server says goes nowhere but into its line.
#[test]
fn remote_words_are_harmless() {
    let mut hostile = recipient("bob@example.net");
    let said = format!("550 a\r\n\r\n--=_dsn\r\nAction: delivered\u{1b}[31m\0{}", "x".repeat(9000));
    hostile.diagnostic = Some(Diagnostic::Smtp(said));
    hostile.remote_mta = Some("mx\r\nStatus: 2.0.0".into());
    hostile.status = "5.1.1\r\nAction: relayed".into();
    hostile.original_recipient = Some(OriginalRecipient::from_text("rfc822;x\nAction: relayed"));
    let header =
        [b"Subject: a\x00\x1b\n".as_slice(), &b"x".repeat(5000), b"\nFrom: a@b\n\nbody"].concat();
    let message = report(DsnKind::Failed, "alice@example.org", &header, &[hostile]);
    let parts = parts(&message);
    assert_eq!(parts.len(), 3);
    let lines_with =
        |start: &str| parts[1].1.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((lines_with("Action:"), lines_with("Status:")), (1, 1));
    assert!(parts[1].1.contains("Status: 5.0.0\r\n"));
    assert!(!message.iter().any(|&b| b == 0 || b == 0x1b));
    assert!(!parts[2].1.contains("body"));
}

#[test]
fn reports_of_success() {
    for (kind, action, text) in [
        (DsnKind::Delivered, "delivered", "Your message was delivered to the recipients below."),
        (DsnKind::Relayed, "relayed", "They do not report when it is delivered."),
    ] {
        let mut fine = recipient("bob@example.net");
        fine.status = "2.1.5".into();
        fine.diagnostic = Some(Diagnostic::Smtp("250 2.0.0 Taken".into()));
        let message = report(kind, "alice@example.org", b"Subject: x\r\n", &[fine]);
        let parts = parts(&message);
        assert!(parts[0].1.contains(text), "{}", parts[0].1);
        let block = format!("Action: {action}\r\nStatus: 2.1.5\r\n");
        assert!(parts[1].1.contains(&block), "{}", parts[1].1);
        assert!(!parts[1].1.contains("Will-Retry-Until"));
    }
}

#[test]
fn words_of_ours_are_no_reply() {
    let mut lost = recipient("bob@example.net");
    lost.remote_mta = None;
    lost.diagnostic = Some(Diagnostic::Own("connection refused".into()));
    let message = report(DsnKind::Failed, "alice@example.org", b"Subject: x\r\n", &[lost]);
    let parts = parts(&message);
    assert!(parts[0].1.contains("the mail system said: connection refused"));
    assert!(parts[1].1.contains("Diagnostic-Code: X-Posthouse; connection refused\r\n"));
    assert!(!parts[1].1.contains("Remote-MTA"));
}

#[test]
fn a_whole_message_comes_back_as_it_was() {
    let original = "From: alice@example.org\r\nSubject: x\r\n\r\nGrüße\r\n";
    for (utf8, kind) in [(false, "message/rfc822"), (true, "message/global")] {
        let returned = Returned::Message { octets: original.as_bytes(), utf8 };
        let bob = [recipient("bob@example.net")];
        let message = returning(DsnKind::Failed, "alice@example.org", returned, &bob);
        let text = String::from_utf8(message.clone()).unwrap();
        let part = format!(
            "Content-Type: {kind}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{original}\r\n--"
        );
        assert!(text.contains(&part), "{text}");
        let status = &ParsedMail::parse(&message).structure.children[1].content_type;
        assert_eq!(status.contains("global"), utf8);
    }
}

#[test]
fn an_original_recipient_beyond_ascii_needs_utf8() {
    let mut forwarded = recipient("bob@example.net");
    forwarded.original_recipient = Some(OriginalRecipient::from_text("utf-8;用户@example.net"));
    let message = report(DsnKind::Failed, "alice@example.org", b"Subject: x\r\n", &[forwarded]);
    let parts = parts(&message);
    assert_eq!(parts[1].0, "message/global-delivery-status");
    assert!(parts[1].1.contains("Original-Recipient: utf-8;用户@example.net\r\n"));
    assert!(parts[1].1.contains("Final-Recipient: rfc822; bob@example.net\r\n"));
}
