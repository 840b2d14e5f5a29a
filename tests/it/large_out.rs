//! Large messages that are read back: delivered and downloaded octet for octet, from disk, without
//! memory for them; put off when there is no room, and never with a wrong or short body.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use posthouse_core::Config;
use posthouse_tests::{
    app::App,
    client::Answer,
    dns::zone,
    person::Person,
    sink::{Script, Stage},
    smtp_client::SmtpClient,
    wait::eventually,
};
use reqwest::Method;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const MINUTE: Duration = Duration::from_mins(1);

/// `mx.remote.test` takes nobody's mail at once, so that the second attempt reads what was stored.
async fn app(change: impl FnOnce(&mut Config) + Send + 'static) -> (App, Person) {
    let app = App::test()
        .dns(zone("friend.test").mx(10, "mx").address("mx", [127, 0, 0, 1]))
        .sink("mx.remote.test", Script::new().defer_once("451 4.7.1 Later"))
        .configure(change)
        .start()
        .await;
    let alice = app.account("alice@example.test").await;
    (app, alice)
}

/// Octets that compress to nothing, or not at all; each line in use of all eight bits.
fn lines(size: usize, noise: bool) -> Vec<u8> {
    let mut state = 1_u64;
    let mut octet = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let octet = if noise { state.to_be_bytes()[0] } else { b'.' };
        if matches!(octet, 0 | b'\r' | b'\n') { b'=' } else { octet }
    };
    let mut line = || (0..498).map(|_| octet()).chain(*b"\r\n").collect::<Vec<u8>>();
    (0..size / 500).flat_map(|_| line()).collect()
}

fn message(subject: &str, size: usize, noise: bool) -> Bytes {
    let header = format!(
        "From: alice@example.test\r\nSubject: {subject}\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    );
    [header.into_bytes(), lines(size, noise)].concat().into()
}

/// Sends to these recipients and returns the id of the message.
async fn post(alice: &Person, to: &[&str], message: &Bytes) -> String {
    let to: Vec<String> = to.iter().map(|to| format!("to={to}")).collect();
    let path = format!("/v1/messages/raw?{}", to.join("&"));
    let request = alice.http.request(Method::POST, &path);
    request.body("message/rfc822", message.clone()).send().await.expect(202).id()
}

async fn raw(person: &Person, id: &str) -> Answer {
    let kind = if id.starts_with("msg_") { "messages" } else { "mail" };
    person.http.get(&format!("/v1/{kind}/{id}/raw")).await
}

/// A large message that a first attempt has not delivered.
async fn deferred(alice: &Person, subject: &str, noise: bool) -> (String, Bytes) {
    deferred_of(alice, message(subject, 1100 * KIB, noise)).await
}

async fn deferred_of(alice: &Person, message: Bytes) -> (String, Bytes) {
    let id = post(alice, &["bob@remote.test"], &message).await;
    alice.wait_for_attempts(&id, 1).await;
    (id, message)
}

fn blob_files(app: &App) -> Vec<PathBuf> {
    let (mut files, mut directories) = (Vec::new(), vec![app.blob_dir()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { files.push(path) }
        }
    }
    files
}

/// A client that has sent so much that it holds the whole of a spool of 2 MiB.
async fn fill_spool(app: &App) -> SmtpClient {
    let mut client = app.smtp().await;
    client.envelope("bob@friend.test", &["alice@example.test"]).await;
    client.command("DATA").await.expect("354");
    client.send(message("Spooled", 1100 * KIB, false)).await;
    assert!(client.is_quiet_for(Duration::from_secs(1)).await);
    client
}

#[tokio::test]
async fn a_large_message_goes_to_two_destinations_from_one_file() {
    let script = || Script::new().defer_once("451 4.7.1 Later").slow(Duration::from_millis(200));
    for noise in [false, true] {
        // Room for one file, not for two.
        let app = App::test()
            .configure(|config| config.spool.bytes = 4 << 20)
            .sink("mx.one.test", script())
            .sink("mx.two.test", script())
            .start()
            .await;
        let alice = app.account("alice@example.test").await;
        let message = message("To two", 3 * MIB, noise);
        let id = post(&alice, &["bob@one.test", "carol@two.test"], &message).await;
        alice.wait_for_status(&id, "deferred").await;
        let [blob] = blob_files(&app).try_into().unwrap();
        assert_eq!(blob.extension().is_none(), noise, "{}", blob.display());
        app.advance(8 * MINUTE);
        for delivery in alice.wait_for_status(&id, "delivered").await {
            assert_eq!(delivery["attempts"].as_array().unwrap().len(), 2, "{delivery}");
        }
        let content = raw(&alice, &id).await.expect(200).bytes;
        assert!(content.ends_with(&message));
        for host in ["mx.one.test", "mx.two.test"] {
            assert!(app.sink(host).messages()[0].data == content, "{host}");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn delivering_large_messages_takes_no_share_of_the_memory() {
    let (app, alice) = app(|config| config.memory_bytes = 512 << 10).await;
    let (text, _) = deferred(&alice, "Text", false).await;
    let (noise, message) = deferred(&alice, "Noise", true).await;
    let all = app.hold_memory().await;
    app.advance(8 * MINUTE);
    alice.wait_for_status(&text, "delivered").await;
    alice.wait_for_status(&noise, "delivered").await;
    assert!(raw(&alice, &noise).await.expect(200).bytes.ends_with(&message));
    drop(all);
    app.stop().await;
}

#[tokio::test]
async fn a_large_message_for_somebody_here_waits_for_memory() {
    let (app, alice) = app(|_| ()).await;
    let bob = app.account("bob@example.test").await;
    let message = message("Next door", 1100 * KIB, true);
    let soon = app.now() + Duration::from_mins(30);
    let soon = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
    let path = format!("/v1/messages/raw?to=bob@example.test&scheduled_at={soon}");
    let request = alice.http.request(Method::POST, &path);
    request.body("message/rfc822", message.clone()).send().await.expect(202);
    let all = app.hold_memory().await;
    app.advance(31 * MINUTE);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(bob.inbox().await.is_empty());
    drop(all);
    let mail = bob.wait_for_mail("Next door").await;
    assert!(raw(&bob, mail["id"].as_str().unwrap()).await.expect(200).bytes.ends_with(&message));
    app.stop().await;
}

#[tokio::test]
async fn a_full_spool_puts_large_messages_off() {
    let (app, alice) = app(|config| config.spool.bytes = 2 << 20).await;
    let (id, message) = deferred(&alice, "Put off", false).await;
    let client = fill_spool(&app).await;
    let refused = raw(&alice, &id).await.expect_problem(503, "storage_full");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    app.advance(8 * MINUTE);
    let delivery = alice.wait_for_attempts(&id, 2).await;
    assert_eq!(delivery["status"], "deferred", "{delivery}");
    let attempt = &delivery["attempts"][1];
    assert_eq!(attempt["enhanced_code"], "4.3.1", "{delivery}");
    let kinds = alice.event_types_of(&id).await;
    assert_eq!(kinds, ["message.accepted", "delivery.deferred", "delivery.deferred"]);
    assert_eq!(app.sink("mx.remote.test").commands("MAIL").len(), 1);

    drop(client);
    eventually("room", async || (raw(&alice, &id).await.status == 200).then_some(())).await;
    app.advance(20 * MINUTE);
    alice.wait_for_status(&id, "delivered").await;
    assert!(app.sink("mx.remote.test").messages()[0].data.ends_with(&message));
    app.stop().await;
}

#[tokio::test]
async fn nothing_of_a_damaged_message_goes_out() {
    for noise in [false, true] {
        let (app, alice) = app(|_| ()).await;
        let (id, message) = deferred(&alice, "Damaged", noise).await;
        let [blob] = blob_files(&app).try_into().unwrap();
        let good = std::fs::read(&blob).unwrap();
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        for bad in [bad, good[..good.len() - 10].to_vec()] {
            std::fs::write(&blob, bad).unwrap();
            raw(&alice, &id).await.expect_problem(500, "internal");
        }
        app.advance(8 * MINUTE);
        let delivery = alice.wait_for_attempts(&id, 2).await;
        assert_eq!(delivery["attempts"][1]["enhanced_code"], "4.3.0", "{delivery}");
        let sink = app.sink("mx.remote.test");
        assert_eq!((sink.count(), sink.commands("MAIL").len()), (0, 1));
        std::fs::write(&blob, good).unwrap();
        app.advance(20 * MINUTE);
        alice.wait_for_status(&id, "delivered").await;
        assert!(sink.messages()[0].data.ends_with(&message));
        app.stop().await;
    }
}

/// Cuts the file of the spool that the server has open, as a broken disk would.
fn break_spool() {
    for descriptor in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = descriptor.unwrap().path();
        let Ok(target) = std::fs::read_link(&path) else { continue };
        if target.to_string_lossy().contains("/spool/") {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            return file.set_len(700_000).unwrap();
        }
    }
    panic!("there is no file in the spool");
}

#[tokio::test]
async fn what_cannot_be_read_to_its_end_is_not_ended() {
    let (app, alice) = app(|_| ()).await;
    // More than the buffers of a connection hold: it is not read to its end by itself.
    let (id, _) = deferred_of(&alice, message("Broken off", 8 * MIB, true)).await;
    let slow = Script::new().slow(Duration::from_secs(1));
    let sink = app.start_sink("mx.remote.test", slow).await;
    app.advance(8 * MINUTE);
    eventually("MAIL", async || (!sink.commands("MAIL").is_empty()).then_some(())).await;
    break_spool();
    let delivery = alice.wait_for_attempts(&id, 2).await;
    assert_eq!(delivery["attempts"][1]["enhanced_code"], "4.3.0", "{delivery}");
    assert_eq!(sink.count(), 0);

    let request = alice.http.request(Method::GET, &format!("/v1/messages/{id}/raw"));
    let download = request.into_inner().send().await.unwrap();
    break_spool();
    assert!(download.bytes().await.is_err());
    app.advance(20 * MINUTE);
    alice.wait_for_status(&id, "delivered").await;
    assert!(sink.messages()[0].data == raw(&alice, &id).await.expect(200).bytes);
    app.stop().await;
}

#[tokio::test]
async fn a_report_about_a_large_message_returns_its_header() {
    let script = Script::new()
        .reply_once(Stage::Rcpt, "451 4.7.1 Later")
        .refuse_rcpt("*", "550 5.1.1 Never");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let (id, _) = deferred(&alice, "Undeliverable", true).await;
    app.advance(8 * MINUTE);
    alice.wait_for_status(&id, "failed").await;
    let report = alice.wait_for_mail("could not be delivered").await;
    let report = alice.raw_mail(report["id"].as_str().unwrap()).await;
    assert!(report.contains("Subject: Undeliverable"), "{report}");
    app.stop().await;
}

/// A mail with a text, an attachment in base64 and one as it is, and what they are when decoded.
fn with_parts() -> (String, [Vec<u8>; 3]) {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let text = "All work and no play. ".repeat(20).replace("play. ", "play.\r\n").repeat(600);
    let attachment = lines(MIB, true);
    let plain = lines(MIB, false);
    let encoded = BASE64_STANDARD.encode(&attachment);
    let encoded: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let encoded = encoded.join("\r\n");
    let mail = format!(
        "From: bob@friend.test\r\nSubject: Parts\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n\
         --b\r\nContent-Type: application/x-noise\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {encoded}\r\n\
         --b\r\nContent-Type: application/x-dots\r\n\r\n{}\r\n--b--\r\n",
        std::str::from_utf8(&plain).unwrap()
    );
    (mail, [text.into_bytes(), attachment, plain])
}

#[tokio::test]
async fn a_large_mail_comes_back_whole_and_in_parts() {
    let (app, alice) = app(|_| ()).await;
    let (mail, parts) = with_parts();
    let mut client = app.smtp().await;
    client.send_mail("bob@friend.test", "alice@example.test", &mail).await.expect("250");
    let id = alice.wait_for_mail("Parts").await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/mail/{id}");

    let whole = raw(&alice, &id).await.expect(200);
    assert!(whole.bytes.ends_with(mail.as_bytes()));
    assert_eq!(whole.header("content-length").unwrap(), whole.bytes.len().to_string());
    assert_eq!(whole.header("etag").unwrap(), format!("\"{id}\""));
    let request = alice.http.request(Method::GET, &format!("{path}/raw"));
    let range = request.header("range", "bytes=5-1500000").send().await.expect(206);
    assert!(range.bytes == whole.bytes[5..=1_500_000]);
    let head = alice.http.request(Method::HEAD, &format!("{path}/raw")).send().await.expect(200);
    assert_eq!(head.header("content-length"), whole.header("content-length"));
    for (number, part) in (1..).zip(&parts) {
        let found = alice.http.get(&format!("{path}/parts/{number}")).await.expect(200);
        assert!(found.bytes == *part, "{number}");
        assert_eq!(found.header("content-length").unwrap(), part.len().to_string());
    }
    let detail = alice.http.get(&path).await.expect(200);
    let text = String::from_utf8(parts[0].clone()).unwrap().replace("\r\n", "\n");
    assert!(detail["text"] == text);

    // Decoding waits for memory; what is only passed on does not.
    let all = app.hold_memory().await;
    raw(&alice, &id).await.expect(200);
    alice.http.get(&format!("{path}/parts/3")).await.expect(200);
    let (http, decoded) = (alice.http.clone(), format!("{path}/parts/2"));
    let mut decoding = Box::pin(http.get(&decoded));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut decoding).await.is_err());
    drop(all);
    assert!(decoding.await.expect(200).bytes == parts[1]);
    app.stop().await;
}

#[tokio::test]
async fn slow_downloads_hold_no_memory_and_end_well() {
    let (app, alice) = app(|config| config.memory_bytes = 4 << 20).await;
    let mut client = app.smtp().await;
    let (mail, parts) = with_parts();
    client.send_mail("bob@friend.test", "alice@example.test", &mail).await.expect("250");
    let id = alice.wait_for_mail("Parts").await["id"].as_str().unwrap().to_owned();
    let mut downloads = Vec::new();
    for path in ["raw", "parts/2", "parts/3"] {
        let request = alice.http.request(Method::GET, &format!("/v1/mail/{id}/{path}"));
        downloads.push(request.into_inner().send().await.unwrap());
    }
    let all = tokio::time::timeout(Duration::from_secs(5), app.hold_memory()).await.unwrap();
    let mut contents = Vec::new();
    for download in downloads {
        contents.push(download.bytes().await.unwrap());
    }
    assert!(contents[0].ends_with(mail.as_bytes()));
    assert!(contents[1] == parts[1] && contents[2] == parts[2]);
    drop(all);
    app.stop().await;
}
