//! THREATS 32: when Postgres is away or the disk is full, callers are told to come back, nothing is
//! lost, and everything works again without a restart.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use posthouse_tests::{
    app::App,
    dns::zone,
    person::Person,
    sink::{Script, Stage},
    wait::eventually,
};
use serde_json::json;

async fn app() -> (App, Person) {
    let app = App::test()
        .breakable_postgres()
        .dns(zone("friend.test").mx(10, "mx").address("mx", [127, 0, 0, 1]))
        .sink("mx.remote.test", Script::new())
        .start()
        .await;
    let alice = app.account("alice@example.test").await;
    (app, alice)
}

#[tokio::test]
async fn without_postgres_the_api_says_503_and_recovers_by_itself() {
    let (app, alice) = app().await;
    app.anonymous().get("/readyz").await.expect(200);
    app.postgres().cut().await;
    let message = json!({"to": ["bob@remote.test"], "subject": "x", "text": "x"});
    let away = alice.post_message(message.clone()).await.expect_problem(503, "unavailable");
    assert_eq!(away["retryable"], true);
    let wait: u64 = away.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=300).contains(&wait), "{away:?}");
    alice.http.get("/v1/messages").await.expect_problem(503, "unavailable");
    assert_eq!(app.anonymous().get("/readyz").await.status, 503);
    app.anonymous().get("/healthz").await.expect(200);

    app.postgres().restore();
    let taken = eventually("the API is back", async || {
        let answer = alice.post_message(message.clone()).await;
        assert!(matches!(answer.status, 202 | 503), "{answer:?}");
        (answer.status == 202).then_some(answer)
    })
    .await;
    alice.wait_for_status(&taken.id(), "delivered").await;
    assert_eq!(app.sink("mx.remote.test").count(), 1);
    app.anonymous().get("/readyz").await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn without_postgres_smtp_says_451_and_the_session_goes_on_after() {
    let (app, alice) = app().await;
    let mut client = app.smtp().await;
    client.envelope("bob@friend.test", &["alice@example.test"]).await;
    let mut program = alice.submission().await;
    app.postgres().cut().await;
    let message = "From: bob@friend.test\r\nSubject: x\r\n\r\nx\r\n";
    client.data(message).await.expect("451 4.3");
    let mut other = app.smtp().await;
    other.command("MAIL FROM:<bob@friend.test>").await;
    other.command("RCPT TO:<unheard-of@example.test>").await.expect("451 4.3");
    program.command("MAIL FROM:<alice@example.test>").await;
    program.command("RCPT TO:<bob@remote.test>").await;
    let own = message.replace("bob@friend.test", "alice@example.test");
    if program.command("DATA").await.code == 354 {
        program.send(format!("{own}.\r\n")).await;
        program.reply().await.expect("451 4.3");
    }

    app.postgres().restore();
    eventually("SMTP is back", async || {
        client.command("RSET").await;
        let replies = [
            client.command("MAIL FROM:<bob@friend.test>").await,
            client.command("RCPT TO:<alice@example.test>").await,
        ];
        if replies.iter().any(|reply| reply.code != 250) {
            return None;
        }
        (client.data(message).await.code == 250).then_some(())
    })
    .await;
    // A connection of the pool that was cut may answer one request.
    let mail = eventually("mail can be read", async || {
        let answer = alice.http.get("/v1/mail").await;
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(mail["data"].as_array().unwrap().len(), 1, "only the one that was answered 250");
    alice.submit(&["bob@remote.test"], "Back").await.expect("250");
    app.sink("mx.remote.test").wait_for(1, Duration::from_secs(20)).await.unwrap();
    app.stop().await;
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_now_is_stored_later_and_the_message_goes_once() {
    let script = Script::new().slow(Duration::from_millis(300));
    let app = App::test().breakable_postgres().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "Once").await.id();
    let sink = app.sink("mx.remote.test");
    eventually("DATA", async || (!sink.commands("MAIL").is_empty()).then_some(())).await;
    app.postgres().cut().await;
    sink.wait_for(1, Duration::from_secs(20)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    app.postgres().restore();
    alice.wait_for_status(&message, "delivered").await;
    assert_eq!(sink.count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn what_was_due_while_postgres_was_away_is_delivered_after() {
    let script = Script::new().reply_once(Stage::Rcpt, "451 4.7.1 Later");
    let app = App::test()
        .breakable_postgres()
        .retry_schedule(&[Duration::from_mins(1); 5])
        .sink("mx.remote.test", script)
        .start()
        .await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "Due").await.id();
    alice.wait_for_status(&message, "deferred").await;
    app.postgres().cut().await;
    app.advance(Duration::from_mins(2));
    tokio::time::sleep(Duration::from_secs(2)).await;
    app.postgres().restore();
    alice.wait_for_status(&message, "delivered").await;
    app.stop().await;
}

/// As after a failover, when the server still talks to the old primary.
async fn make_read_only(app: &App, yes: bool) {
    let mut connection = app.db().acquire().await.unwrap();
    let name = sqlx::query_scalar("SELECT current_database()");
    let name: String = name.fetch_one(&mut *connection).await.unwrap();
    for statement in [
        "SET default_transaction_read_only = off".to_owned(),
        format!("ALTER DATABASE {name} SET default_transaction_read_only = {yes}"),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()"
            .to_owned(),
    ] {
        let statement = sqlx::AssertSqlSafe(statement);
        sqlx::raw_sql(statement).execute(&mut *connection).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_as_good_as_none_and_recovers() {
    let (app, alice) = app().await;
    let mut client = app.smtp().await;
    client.envelope("bob@friend.test", &["alice@example.test"]).await;
    make_read_only(&app, true).await;
    let message = json!({"to": ["bob@remote.test"], "subject": "x", "text": "x"});
    for _ in 0..3 {
        let refused = alice.post_message(message.clone()).await;
        assert_eq!(refused.status, 503, "{refused:?}");
    }
    let incoming = "From: bob@friend.test\r\nSubject: x\r\n\r\nx\r\n";
    client.data(incoming).await.expect("451 4.3");
    make_read_only(&app, false).await;
    let taken = eventually("the API is back", async || {
        let answer = alice.post_message(message.clone()).await;
        (answer.status == 202).then_some(answer)
    })
    .await;
    // Each connection that was cut may still answer one request with 503.
    let path = format!("/v1/messages/{}/deliveries", taken.id());
    eventually("it is delivered", async || {
        let answer = alice.http.get(&path).await;
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        (answer.json["data"][0]["status"] == "delivered").then_some(())
    })
    .await;
    assert_eq!(app.sink("mx.remote.test").count(), 1);
    client.send_mail("bob@friend.test", "alice@example.test", incoming).await.expect("250");
    app.stop().await;
}

/// A full disk in place of the blob store, until it is dropped.
struct FullDisk {
    dir: PathBuf,
    /// What SMTP says of it.
    reply: &'static str,
}

impl FullDisk {
    fn at(dir: &Path) -> Self {
        let disk = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(dir)
            .output()
            .unwrap();
        if disk.status.success() {
            std::fs::write(dir.join("filler"), vec![0; 200_000]).unwrap();
        } else {
            // Without the right to mount: a directory that cannot be written to.
            let mut command = Command::new("chmod");
            assert!(command.arg("0500").arg(dir).status().unwrap().success());
        }
        let reply = if disk.status.success() { "452 4.3.1" } else { "451 4.3.2" };
        Self { dir: dir.to_owned(), reply }
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.dir).output();
        if !unmounted.is_ok_and(|output| output.status.success()) {
            drop(Command::new("chmod").arg("0700").arg(&self.dir).status());
        }
    }
}

/// Text that does not compress to less than the blob store is for.
fn noise() -> String {
    let mut state = 1_u64;
    let mut line = || {
        let word = |state: &mut u64| {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            format!("{:016x}", *state)
        };
        format!(
            "{}{}{}{}\r\n",
            word(&mut state),
            word(&mut state),
            word(&mut state),
            word(&mut state)
        )
    };
    (0..12_000).map(|_| line()).collect()
}

#[tokio::test]
async fn a_full_blob_store_refuses_large_messages_for_now_and_takes_small_ones() {
    let (app, alice) = app().await;
    let noise = noise();
    let large = json!({"to": ["bob@remote.test"], "subject": "Large", "text": noise});
    let incoming = format!("From: bob@friend.test\r\nSubject: Large in\r\n\r\n{noise}");
    let full = FullDisk::at(&app.blob_dir());

    let refused = alice.post_message(large.clone()).await.expect(503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let mut client = app.smtp().await;
    client.send_mail("bob@friend.test", "alice@example.test", &incoming).await.expect(full.reply);
    assert!(alice.inbox().await.is_empty());
    assert!(alice.http.all("/v1/messages").await.is_empty());
    let small = alice.send(&["bob@remote.test"], "Small").await.id();
    alice.wait_for_status(&small, "delivered").await;

    drop(full);
    let taken = alice.post_message(large).await.expect(202).id();
    alice.wait_for_status(&taken, "delivered").await;
    client.send_mail("bob@friend.test", "alice@example.test", &incoming).await.expect("250");
    let mail = alice.wait_for_mail("Large in").await;
    assert!(alice.raw_mail(mail["id"].as_str().unwrap()).await.ends_with(&noise));
    app.stop().await;
}
