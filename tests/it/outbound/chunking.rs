//! BDAT instead of DATA (RFC 3030).

use std::time::Duration;

use bytes::Bytes;
use posthouse_core::ports::transport::Transport as _;
use posthouse_tests::sink::{Script, Sink, Stage};

use super::{MESSAGE, client, content, deliver, job, results};

fn chunking() -> Script {
    Script::new().capability("CHUNKING")
}

#[tokio::test]
async fn messages_arrive_as_they_are() {
    let sink = Sink::start(chunking());
    let report = deliver(job(&sink, &["a@b.example"])).await;
    assert_eq!(results(&report), ["+250 2.0.0"]);
    assert_eq!(sink.messages()[0].text(), format!("Received: by test\r\n{MESSAGE}"));
    assert!(sink.commands("DATA").is_empty());
    let sink = Sink::start(chunking());
    let mut job = job(&sink, &["a@b.example"]);
    job.message = content("Subject: x\n\n.\r\r\n.\nend");
    assert_eq!(results(&deliver(job).await), ["+250 2.0.0"]);
    let text = "Received: by test\r\nSubject: x\r\n\r\n.\r\n\r\n.\r\nend\r\n";
    assert_eq!(sink.messages()[0].text(), text, "line ends are put right");
    assert_eq!(sink.commands("BDAT"), [format!("BDAT {} LAST", text.len())]);
}

/// 2.1 MB in chunks, more than may be under way at once.
#[tokio::test]
async fn large_messages_come_in_chunks() {
    for script in [chunking(), chunking().no_pipelining()] {
        let sink = Sink::start(script);
        let mut job = job(&sink, &["a@b.example"]);
        job.message.prefix = Bytes::new();
        let body = Bytes::from(".line\r\n".repeat(300_000));
        job.message.body = body.clone().into();
        assert_eq!(results(&deliver(job).await), ["+250 2.0.0"]);
        assert!(sink.messages()[0].data == body);
        let chunks = sink.commands("BDAT");
        assert!(chunks.len() > 30, "{chunks:?}");
        let lasts = chunks.iter().filter(|line| line.ends_with(" LAST")).count();
        assert!(lasts == 1 && chunks.last().unwrap().ends_with(" LAST"));
        // Bounded, with room for the end of a line.
        let size = |line: &String| line.split(' ').nth(1).unwrap().parse::<usize>().unwrap();
        assert!(chunks.iter().all(|line| size(line) <= 2 * 64 * 1024));
    }
}

#[tokio::test]
async fn no_chunk_is_sent_without_a_recipient() {
    let sink = Sink::start(chunking().refuse_rcpt("*", "550 5.1.1 Unknown"));
    let client = client();
    let report = client.deliver(job(&sink, &["a@b.example", "b@b.example"])).await;
    assert_eq!(results(&report), ["-550 5.1.1", "-550 5.1.1"]);
    client.deliver(job(&sink, &["a@b.example"])).await;
    assert_eq!((sink.commands("BDAT").len(), sink.commands("RSET").len()), (0, 1));
    let sink = Sink::start(chunking().refuse_rcpt("b@*", "550 5.1.1 Unknown"));
    let report = deliver(job(&sink, &["a@b.example", "b@b.example"])).await;
    assert_eq!(results(&report), ["+250 2.0.0", "-550 5.1.1"]);
    assert_eq!(sink.messages()[0].rcpt_to, ["a@b.example"]);
}

/// RFC 3030 §2: nothing more is sent, and RSET comes first.
#[tokio::test]
async fn a_refused_chunk_ends_the_transaction() {
    for pipelining in [true, false] {
        let script = chunking().reply_once_to(Stage::Chunk, "6*", "552 5.3.4 Too much");
        let sink = Sink::start(if pipelining { script } else { script.no_pipelining() });
        let client = client();
        let mut large = job(&sink, &["a@b.example"]);
        large.message = content(&"line\r\n".repeat(500_000));
        assert_eq!(results(&client.deliver(large).await), ["-552 5.3.4"]);
        let sent = sink.commands("BDAT").len();
        assert!(sent <= if pipelining { 17 } else { 1 }, "{sent}");
        let report = client.deliver(job(&sink, &["a@b.example"])).await;
        assert_eq!(results(&report), ["+250 2.0.0"]);
        assert_eq!((sink.connections(), sink.commands("RSET").len(), sink.count()), (1, 1, 1));
    }
}

#[tokio::test]
async fn a_refusal_at_the_end_is_for_all() {
    let sink = Sink::start(chunking().reply(Stage::EndOfData, "451 4.3.0 Later"));
    let report = deliver(job(&sink, &["a@b.example", "b@b.example"])).await;
    assert_eq!(results(&report), ["~451 4.3.0", "~451 4.3.0"]);
}

#[tokio::test]
async fn a_server_that_cannot_gets_data_on_a_new_connection() {
    for reply in ["500 5.5.1 What?", "502 5.5.1 Not here", "503 5.5.1 Not now"] {
        let sink = Sink::start(chunking().reply(Stage::Chunk, reply));
        let client = client();
        for _ in 0..2 {
            let report = client.deliver(job(&sink, &["a@b.example", "b@b.example"])).await;
            assert_eq!(results(&report), ["+250 2.0.0", "+250 2.0.0"]);
        }
        // The connection that waits knows better.
        assert_eq!((sink.connections(), sink.commands("BDAT").len(), sink.count()), (2, 1, 2));
        assert_eq!(sink.commands("DATA").len(), 2);
        assert_eq!(sink.messages()[0].text(), format!("Received: by test\r\n{MESSAGE}"));
    }
}

#[tokio::test]
async fn silence_after_the_last_chunk_is_no_delivery() {
    let sink = Sink::start(chunking().hang_at(Stage::EndOfData));
    let report = deliver(job(&sink, &["a@b.example"])).await;
    assert_eq!(results(&report), ["~local 4.4.2"]);
    let sink = Sink::start(chunking().close_at(Stage::Chunk).slow(Duration::from_millis(1)));
    let mut large = job(&sink, &["a@b.example"]);
    large.message = content(&"line\r\n".repeat(500_000));
    assert_eq!(results(&deliver(large).await), ["~local 4.4.2"]);
}
