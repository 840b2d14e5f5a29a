//! THREATS 5: how much, how long, how many.

use std::time::{Duration, Instant};

use posthouse_core::Config;
use posthouse_smtp_gateway::{ListenerKind, SmtpConfig};
use posthouse_tests::{postgres::Database, smtp_client::SmtpClient};

use super::Gateway;

fn hasty() -> SmtpConfig {
    let mut config = SmtpConfig::default();
    config.timeouts.command = Duration::from_millis(300);
    config.timeouts.data_block = Duration::from_millis(300);
    config
}

#[tokio::test]
async fn connections_are_limited_per_network() {
    let config = SmtpConfig { connections_per_network: [2, 90, 270], ..SmtpConfig::default() };
    let gateway = Gateway::start(ListenerKind::Mx, config).await;
    let first = gateway.open().await;
    let _second = gateway.open().await;
    let mut third = SmtpClient::connect(gateway.address).await;
    third.reply().await.expect("421 4.7.0");
    assert!(third.is_closed().await);
    drop(first);
    for _ in 0..100 {
        let mut fourth = SmtpClient::connect(gateway.address).await;
        if fourth.reply().await.begins("220") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a connection that ended does not make room");
}

#[tokio::test]
async fn silent_clients_are_told_goodbye() {
    let gateway = Gateway::start(ListenerKind::Mx, hasty()).await;
    let mut client = gateway.open().await;
    client.reply().await.expect("421 4.4.2");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn slow_lines_gain_no_time() {
    let gateway = Gateway::start(ListenerKind::Mx, hasty()).await;
    let mut client = gateway.open().await;
    let begun = Instant::now();
    while client.try_send("N").await.is_ok() && begun.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    client.reply().await.expect("421 4.4.2");
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let gateway = Gateway::start(ListenerKind::Mx, SmtpConfig::default()).await;
    let mut client = gateway.open().await;
    client.send("NOOP\r\n".repeat(3000) + "QUIT\r\n").await;
    for _ in 0..3000 {
        client.reply().await.expect("250");
    }
    client.reply().await.expect("221");
}

#[tokio::test]
async fn a_stop_ends_connections_with_a_reply() {
    let gateway = Gateway::start(ListenerKind::Mx, SmtpConfig::default()).await;
    let mut client = gateway.open().await;
    gateway.shutdown.cancel();
    client.reply().await.expect("421 4.3.2");
    assert!(client.is_closed().await);
    drop(client);
    gateway.connections.close();
    gateway.connections.wait().await;
}

/// A21: from the third failure on it takes time.
#[tokio::test]
async fn guessing_is_slow() {
    let mut config = SmtpConfig { plain_login_on_loopback: true, ..SmtpConfig::default() };
    config.slow.delay = Duration::from_millis(20);
    config.slow.longest = Duration::from_millis(500);
    let database = Database::create().await;
    let (pool, core) = (database.pool().await, Config::default());
    let gateway = Gateway::start_on(pool, ListenerKind::Submission, config, core).await;
    let mut client = gateway.open().await;
    for _ in 0..2 {
        client.auth_plain("not an address", "x").await.expect("535 5.7.8");
    }
    let begun = Instant::now();
    client.auth_plain("not an address", "x").await.expect("535 5.7.8");
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    drop(gateway);
    database.remove().await;
}
