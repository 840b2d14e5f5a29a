//! Negative replies: whose they are, and what is done about them.

use posthouse_core::ports::transport::Transport as _;
use posthouse_tests::sink::{Script, Sink, Stage};

use super::{client, content, deliver, host, job, job_to, remote, results};

#[tokio::test]
async fn each_recipient_has_its_own_result() {
    let script = Script::new()
        .refuse_rcpt("no@*", "550 5.1.1 No such user")
        .refuse_rcpt("later@*", "450 4.2.0 Busy")
        .refuse_rcpt("full@*", "452 4.2.2 Mailbox full");
    let sink = Sink::start(script);
    let recipients = ["yes@b.example", "no@b.example", "later@b.example", "full@b.example"];
    let report = deliver(job(&sink, &recipients)).await;
    assert_eq!(results(&report), ["+250 2.0.0", "-550 5.1.1", "~450 4.2.0", "~452 4.2.2"]);
    assert_eq!(report.outcomes[1].reply().text, "No such user");
    assert_eq!(sink.messages()[0].rcpt_to, ["yes@b.example"]);
}

#[tokio::test]
async fn data_accepted_without_recipients_is_ended_at_once() {
    let script = Script::new().refuse_rcpt("no@*", "550 5.1.1 No").reply(Stage::Data, "354 Go on");
    let sink = Sink::start(script);
    let client = client();
    let report = client.deliver(job(&sink, &["no@b.example", "no@c.example"])).await;
    assert_eq!(results(&report), ["-550 5.1.1", "-550 5.1.1"]);
    assert!(sink.transcript().contains(&"C: (0 octets)".to_owned()));
    // The connection is as good as before.
    let report = client.deliver(job(&sink, &["yes@b.example"])).await;
    assert_eq!(results(&report), ["+250 2.0.0"]);
    assert_eq!((sink.connections(), sink.commands("RSET").len()), (1, 0));
}

#[tokio::test]
async fn transaction_left_open_is_reset_before_the_next() {
    for script in [Script::new(), Script::new().no_pipelining()] {
        let sink = Sink::start(script.refuse_rcpt("no@*", "550 5.1.1 No"));
        let client = client();
        let report = client.deliver(job(&sink, &["no@b.example"])).await;
        assert_eq!(results(&report), ["-550 5.1.1"]);
        let report = client.deliver(job(&sink, &["yes@b.example"])).await;
        assert_eq!(results(&report), ["+250 2.0.0"]);
        assert_eq!((sink.connections(), sink.commands("RSET").len()), (1, 1));
    }
}

#[tokio::test]
async fn too_many_recipients_split_into_further_transactions() {
    let recipients = ["a@b.example", "b@b.example", "c@b.example", "d@b.example", "e@b.example"];
    for script in [Script::new(), Script::new().no_pipelining()] {
        let sink = Sink::start(script.max_recipients(2));
        let report = deliver(job(&sink, &recipients)).await;
        assert_eq!(results(&report), ["+250 2.0.0"; 5]);
        let messages = sink.messages();
        let got: Vec<_> = messages.iter().map(|message| message.rcpt_to.len()).collect();
        assert_eq!((got, sink.connections()), (vec![2, 2, 1], 1));
    }
}

#[tokio::test]
async fn old_552_for_too_many_recipients_is_not_final() {
    let sink = Sink::start(Script::new().refuse_rcpt("a@*", "552 Too many"));
    let report = deliver(job(&sink, &["a@b.example"])).await;
    assert_eq!(results(&report), ["~552 none"]);
    let sink = Sink::start(Script::new().refuse_rcpt("a@*", "552 5.2.2 Mailbox full"));
    let report = deliver(job(&sink, &["a@b.example"])).await;
    assert_eq!(results(&report), ["-552 5.2.2"]);
}

#[tokio::test]
async fn announced_limits_are_kept() {
    let sink = Sink::start(Script::new().capability("LIMITS RCPTMAX=2 MAILMAX=1"));
    let report = deliver(job(&sink, &["a@b.example", "b@b.example", "c@b.example"])).await;
    assert_eq!(results(&report), ["+250 2.0.0"; 3]);
    let got: Vec<_> = sink.messages().iter().map(|m| (m.rcpt_to.len(), m.connection)).collect();
    assert_eq!(got, [(2, 1), (1, 2)]);
}

#[tokio::test]
async fn message_over_the_announced_size_is_not_sent() {
    let sink = Sink::start(Script::new().capability("SIZE 50"));
    let mut large = job(&sink, &["a@b.example"]);
    large.message = content(&"x".repeat(100));
    assert_eq!(results(&deliver(large).await), ["-local 5.3.4"]);
    assert!(sink.commands("MAIL").is_empty());
}

#[tokio::test]
async fn smtputf8_is_not_sent_to_servers_without_it() {
    let sink = Sink::start(Script::new().without("SMTPUTF8"));
    // Only the recipient that needs it fails.
    let report = deliver(job(&sink, &["grüße@b.example", "a@b.example"])).await;
    assert_eq!(results(&report), ["-local 5.6.7", "+250 2.0.0"]);
    let mut header = job(&sink, &["a@b.example", "b@b.example"]);
    header.message.smtputf8 = true;
    assert_eq!(results(&deliver(header).await), ["-local 5.6.7"; 2]);
    let mut sender = job(&sink, &["a@b.example"]);
    sender.mail_from = "grüße@a.example".into();
    assert_eq!(results(&deliver(sender).await), ["-local 5.6.7"]);
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn addresses_that_would_be_commands_are_not_sent() {
    let sink = Sink::start(Script::new());
    let report = deliver(job(&sink, &["a@b.example>\r\nRSET\r\n<", "b@b.example"])).await;
    assert_eq!(results(&report), ["-local 5.1.3", "+250 2.0.0"]);
    let mut sender = job(&sink, &["b@b.example"]);
    sender.mail_from = "a> X=<".into();
    assert_eq!(results(&deliver(sender).await), ["-local 5.1.7"]);
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn refusal_of_the_message_is_for_those_accepted() {
    for (reply, result) in [
        ("554 5.7.1 Spam", "-554 5.7.1"),
        ("451 4.3.0 Try later", "~451 4.3.0"),
        ("421 4.3.2 Going down", "~421 4.3.2"),
        ("354 what", "~local 4.5.0"),
    ] {
        let script = Script::new().refuse_rcpt("no@*", "550 5.1.1 No");
        let sink = Sink::start(script.reply(Stage::EndOfData, reply));
        let report = deliver(job(&sink, &["no@b.example", "a@b.example"])).await;
        assert_eq!(results(&report), ["-550 5.1.1", result]);
    }
}

#[tokio::test]
async fn refusal_of_data_is_for_those_accepted() {
    let sink = Sink::start(Script::new().reply(Stage::Data, "451 4.3.0 Not now"));
    let report = deliver(job(&sink, &["a@b.example", "b@b.example"])).await;
    assert_eq!(results(&report), ["~451 4.3.0"; 2]);
}

#[tokio::test]
async fn greylisting_ends_with_the_second_attempt() {
    let sink = Sink::start(Script::new().defer_once("451 4.7.1 Try later"));
    let client = client();
    let report = client.deliver(job(&sink, &["a@b.example"])).await;
    assert_eq!(results(&report), ["~451 4.7.1"]);
    let report = client.deliver(job(&sink, &["a@b.example"])).await;
    assert_eq!(results(&report), ["+250 2.0.0"]);
}

/// Two hosts with the same port; the first one behaves as `script` says.
fn pair(script: Script) -> (Sink, Sink, posthouse_core::ports::transport::Job) {
    let first = Sink::start(script);
    let port = first.addr().port();
    let second = Sink::start_at(Script::new(), ([127, 0, 0, 2], port).into());
    let hosts = vec![host("mx1.test", &first), host("mx2.test", &second)];
    let job = job_to(hosts, port, &["a@b.example"]);
    (first, second, job)
}

#[tokio::test]
async fn temporary_refusal_goes_on_to_the_next_host() {
    for script in [
        Script::new().reply(Stage::Greeting, "421 4.3.2 Busy"),
        Script::new().reply(Stage::Greeting, "450 Busy"),
        Script::new().reply(Stage::Ehlo, "451 4.3.0 Busy"),
        Script::new().reply(Stage::Mail, "451 4.3.0 Busy"),
        Script::new().reply(Stage::Mail, "421 4.3.0 Busy"),
        Script::new().close_at(Stage::Mail),
        Script::new().close_at(Stage::Greeting),
    ] {
        let (_first, second, job) = pair(script);
        let report = deliver(job).await;
        assert_eq!(results(&report), ["+250 2.0.0"]);
        assert_eq!(report.peer.unwrap().host, "mx2.test");
        assert_eq!(second.count(), 1);
    }
}

#[tokio::test]
async fn permanent_refusal_asks_no_other_host() {
    for (script, result) in [
        (Script::new().reply(Stage::Greeting, "554 5.3.2 No mail here"), "-554 5.3.2"),
        (Script::new().reply(Stage::Mail, "550 5.7.1 Go away"), "-550 5.7.1"),
        (Script::new().refuse_rcpt("*", "550 5.1.1 No"), "-550 5.1.1"),
        (Script::new().refuse_rcpt("*", "450 4.1.1 No"), "~450 4.1.1"),
    ] {
        let (first, second, job) = pair(script);
        let report = deliver(job).await;
        assert_eq!((results(&report), second.connections()), (vec![result.to_owned()], 0));
        assert_eq!(remote(&report), Some(first.addr().ip()));
    }
}

#[tokio::test]
async fn words_of_a_server_outweigh_a_failure_to_reach_the_next() {
    let (first, second, job) = pair(Script::new().reply(Stage::Mail, "451 4.3.0 Busy"));
    drop(second);
    let report = deliver(job).await;
    assert_eq!(results(&report), ["~451 4.3.0"]);
    assert_eq!(remote(&report), Some(first.addr().ip()));
}

#[tokio::test]
async fn temporary_refusal_on_a_waiting_connection_goes_on_to_the_next_host() {
    let (first, second, job) =
        pair(Script::new().reply_once_to(Stage::Mail, "b@*", "451 4.3.0 No"));
    let client = client();
    assert_eq!(results(&client.deliver(job.clone()).await), ["+250 2.0.0"]);
    let mut again = job;
    again.mail_from = "b@a.example".into();
    assert_eq!(results(&client.deliver(again).await), ["+250 2.0.0"]);
    assert_eq!((first.connections(), first.count(), second.count()), (1, 1, 1));
}
