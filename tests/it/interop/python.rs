//! Python's smtplib, which checks our certificate too.

use posthouse_tests::{app::App, dns::zone, sink::Script, wait::PATIENCE};

use super::run;

const SUBMIT: &str = r#"
import smtplib, ssl, sys
from email.message import EmailMessage
ca, port, tls, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if tls == "implicit":
    smtp = smtplib.SMTP_SSL("localhost", int(port), context=context, timeout=20)
else:
    smtp = smtplib.SMTP("localhost", int(port), timeout=20)
    smtp.starttls(context=context)
smtp.login(user, password)
message = EmailMessage()
message["From"] = user
message["To"] = "Bob <bob@remote.test>"
message["Subject"] = "Grüße aus Python"
message.set_content("Hallo Bob.\n.\n..\nEnde\n")
message.add_attachment(bytes(range(256)), maintype="application", subtype="octet-stream", filename="a.bin")
refused = smtp.send_message(message)
assert not refused, refused
smtp.quit()
"#;

const DELIVER: &str = r#"
import smtplib, sys
port, = sys.argv[1:]
smtp = smtplib.SMTP("localhost", int(port), local_hostname="mx.remote.test", timeout=20)
refused = smtp.sendmail("bob@remote.test", ["alice@example.test", "nobody@example.test"],
    b"From: bob@remote.test\r\nSubject: From Python\r\n\r\nHello\r\n.dot\r\n")
assert list(refused) == ["nobody@example.test"], refused
assert refused["nobody@example.test"][0] == 550, refused
smtp.quit()
"#;

#[tokio::test]
async fn smtplib_submits_and_believes_our_certificate() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let ca = app.tls_dir().join("ca.pem").display().to_string();
    let ports = [("starttls", app.submission_addr()), ("implicit", app.submissions_addr())];
    for (number, (tls, address)) in ports.into_iter().enumerate() {
        let port = address.port().to_string();
        let arguments = ["-c", SUBMIT, &ca, &port, tls, &alice.address, &alice.password];
        run("python3", &arguments, "").await;
        let sink = app.sink("mx.remote.test");
        let text = sink.wait_for(number + 1, PATIENCE).await.unwrap()[number].text();
        assert!(text.contains("Hallo Bob.\r\n.\r\n..\r\nEnde\r\n"), "{text}");
    }
    app.stop().await;
}

const ASK: &str = r#"
import smtplib, ssl, sys
ca, port, user, password = sys.argv[1:]
smtp = smtplib.SMTP("localhost", int(port), timeout=20)
smtp.starttls(context=ssl.create_default_context(cafile=ca))
smtp.login(user, password)
assert smtp.has_extn("dsn")
refused = smtp.sendmail(user, ["bob@example.test", "no@remote.test"],
    b"From: alice@example.test\r\nSubject: Python\r\n\r\nHello\r\n",
    ["RET=FULL", "ENVID=QQ+2B1"], ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;list@example.test"])
assert not refused, refused
smtp.quit()
"#;

const READ: &str = r#"
import email, email.policy, sys
report = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
assert report.get_content_type() == "multipart/report" and not report.defects
assert report.get_param("report-type") == "delivery-status"
text, status, original = report.iter_parts()
assert status.get_content_type() == "message/delivery-status"
message, recipient = status.get_payload()
assert message["Original-Envelope-Id"] == "QQ+1", message
assert recipient["Original-Recipient"] == "rfc822;list@example.test"
action, last, kind = sys.argv[1:]
assert (recipient["Action"], recipient["Final-Recipient"]) == (action, last), recipient
assert original.get_content_type() == kind
if kind == "message/rfc822":
    assert original.get_content()["Subject"] == "Python"
    assert original.get_content().get_content() == "Hello\n"
"#;

#[tokio::test]
async fn smtplib_asks_for_reports_and_the_email_package_reads_them() {
    let script = Script::new().refuse_rcpt("no@*", "550 5.1.1 No such user");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    app.account("bob@example.test").await;
    let ca = app.tls_dir().join("ca.pem").display().to_string();
    let port = app.submission_addr().port().to_string();
    let arguments = ["-c", ASK, &ca, &port, &alice.address, &alice.password];
    run("python3", &arguments, "").await;
    for (subject, action, last, kind) in [
        ("Your message was delivered", "delivered", "bob@example.test", "text/rfc822-headers"),
        ("Your message could not be delivered", "failed", "no@remote.test", "message/rfc822"),
    ] {
        let mail = alice.wait_for_mail(subject).await;
        let raw = alice.raw_mail(mail["id"].as_str().unwrap()).await;
        let last = format!("rfc822; {last}");
        run("python3", &["-c", READ, action, &last, kind], &raw).await;
    }
    app.stop().await;
}

#[tokio::test]
async fn smtplib_delivers_to_those_who_are_here() {
    let remote = zone("remote.test").mx(10, "mx").address("mx", [127, 0, 0, 1]);
    let app = App::test().dns(remote).start().await;
    let alice = app.account("alice@example.test").await;
    let port = app.smtp_addr().port().to_string();
    run("python3", &["-c", DELIVER, &port], "").await;
    let mail = alice.wait_for_mail("From Python").await;
    let raw = alice.raw_mail(mail["id"].as_str().unwrap()).await;
    assert!(raw.ends_with("\r\n\r\nHello\r\n.dot\r\n"), "{raw}");
    app.stop().await;
}
