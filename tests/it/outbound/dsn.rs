//! DSN (RFC 3461), as the client speaks it.

use std::sync::Arc;

use posthouse_core::ports::transport::{Job, Outcome, Recipient};
use posthouse_mail::dsn::{OriginalRecipient, RcptDsn, Ret};
use posthouse_tests::sink::{Script, Sink};

use super::{deliver, job, results};

/// A recipient with what its sender has said, as in parameters; empty: nothing.
fn recipient(address: &str, notify: &str, orcpt: &str) -> Recipient {
    let notify = notify.parse().ok();
    let orcpt = OriginalRecipient::from_param(orcpt).ok();
    Recipient { dsn: Some(Arc::new(RcptDsn { notify, orcpt })), ..Recipient::from(address) }
}

fn asking(sink: &Sink) -> Job {
    Job {
        envelope_id: Some("token".into()),
        ret: Ret::Full,
        recipients: vec![
            recipient("a@b.example", "SUCCESS,FAILURE", "rfc822;a+2Bb@c.example"),
            recipient("b@b.example", "NEVER", ""),
            Recipient::from("c+d@b.example"),
        ],
        ..job(sink, &[])
    }
}

#[tokio::test]
async fn a_server_with_dsn_is_told_what_the_sender_wants_for_each_recipient() {
    for pipelining in [true, false] {
        let script = Script::new().without("SIZE").capability("DSN");
        let script = if pipelining { script } else { script.no_pipelining() };
        let sink = Sink::start(script);
        let report = deliver(asking(&sink)).await;
        assert_eq!(results(&report), ["+250 2.0.0"; 3]);
        assert_eq!(sink.commands("MAIL"), ["MAIL FROM:<from@a.example> RET=FULL ENVID=token"]);
        let expected = [
            "RCPT TO:<a@b.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@c.example",
            "RCPT TO:<b@b.example> NOTIFY=NEVER ORCPT=rfc822;b@b.example",
            "RCPT TO:<c+d@b.example> ORCPT=rfc822;c+2Bd@b.example",
        ];
        assert_eq!(sink.commands("RCPT"), expected, "in one transaction");
        let reports = |outcome: &Outcome| matches!(outcome, Outcome::Delivered { dsn: true, .. });
        assert!(report.outcomes.iter().all(reports), "{report:?}");
    }
}

#[tokio::test]
async fn a_server_without_dsn_is_told_nothing_and_known_not_to_report() {
    let sink = Sink::start(Script::new().without("SIZE"));
    let report = deliver(asking(&sink)).await;
    assert_eq!(sink.commands("MAIL"), ["MAIL FROM:<from@a.example>"]);
    let expected = ["RCPT TO:<a@b.example>", "RCPT TO:<b@b.example>", "RCPT TO:<c+d@b.example>"];
    assert_eq!(sink.commands("RCPT"), expected);
    let silent = |outcome: &Outcome| matches!(outcome, Outcome::Delivered { dsn: false, .. });
    assert!(report.outcomes.iter().all(silent), "{report:?}");
}

#[tokio::test]
async fn addresses_beyond_ascii_are_named_in_ascii() {
    let sink = Sink::start(Script::new().without("SIZE").capability("DSN"));
    let mut utf8 = job(&sink, &["grüße@b.example"]);
    utf8.recipients.push(recipient("d@b.example", "", r"utf-8;\x{E9}@c.example"));
    assert_eq!(results(&deliver(utf8).await), ["+250 2.0.0"; 2]);
    let expected = [
        r"RCPT TO:<grüße@b.example> ORCPT=utf-8;gr\x{FC}\x{DF}e@b.example",
        r"RCPT TO:<d@b.example> ORCPT=utf-8;\x{E9}@c.example",
    ];
    assert_eq!(sink.commands("RCPT"), expected);
}
