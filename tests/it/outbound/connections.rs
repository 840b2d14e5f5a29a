//! Reuse of connections.

use std::{net::IpAddr, sync::Arc, time::Duration};

use posthouse_core::ports::transport::Transport as _;
use posthouse_smtp_gateway::outbound::Outbound;
use posthouse_tests::{
    sink::{Script, Sink, Stage},
    wait::eventually,
};

use super::{client, config, host, job, job_to, results, with_hop};

#[tokio::test]
async fn connection_serves_one_message_after_the_other() {
    let sink = Sink::start(Script::new());
    let client = client();
    for _ in 0..5 {
        let report = client.deliver(job(&sink, &["a@b.example"])).await;
        assert_eq!(results(&report), ["+250 2.0.0"]);
    }
    assert_eq!((sink.connections(), sink.count(), sink.commands("EHLO").len()), (1, 5, 1));
    assert!(sink.commands("RSET").is_empty());
}

#[tokio::test]
async fn connection_is_closed_after_its_share_of_messages() {
    let sink = Sink::start(Script::new());
    let mut config = config();
    config.max_messages_per_connection = 2;
    let client = Outbound::new(&config).unwrap();
    for _ in 0..5 {
        client.deliver(job(&sink, &["a@b.example"])).await;
    }
    client.close().await;
    assert_eq!((sink.connections(), sink.commands("QUIT").len()), (3, 3));
}

#[tokio::test]
async fn idle_connection_is_closed_with_quit() {
    let sink = Sink::start(Script::new());
    let mut config = config();
    config.idle_keep = Duration::from_millis(50);
    let client = Outbound::new(&config).unwrap();
    client.deliver(job(&sink, &["a@b.example"])).await;
    let waited = async {
        while sink.commands("QUIT").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waited).await.unwrap();
}

#[tokio::test]
async fn at_most_so_many_connections_wait() {
    let sink = Sink::start(Script::new().slow(Duration::from_millis(5)));
    let mut config = config();
    config.max_idle_per_hop = 1;
    let client = Outbound::new(&config).unwrap();
    let (a, b) = tokio::join!(
        client.deliver(job(&sink, &["a@b.example"])),
        client.deliver(job(&sink, &["b@b.example"])),
    );
    assert_eq!((results(&a), results(&b)), (vec!["+250 2.0.0".into()], vec!["+250 2.0.0".into()]));
    client.deliver(job(&sink, &["c@b.example"])).await;
    assert_eq!(sink.connections(), 2);
    client.close().await;
    assert_eq!(sink.commands("QUIT").len(), 2);
}

#[tokio::test]
async fn another_policy_gets_another_connection() {
    let sink = Sink::start(Script::new());
    let client = client();
    client.deliver(job(&sink, &["a@b.example"])).await;
    let other = with_hop(job(&sink, &["a@b.example"]), |hop| {
        hop.tls = posthouse_core::ports::transport::Tls::Never;
    });
    client.deliver(other).await;
    assert_eq!(sink.connections(), 2);
}

#[tokio::test]
async fn connection_closed_while_it_waited_is_replaced() {
    let sink = Sink::start(Script::new().messages_per_connection(1));
    let client = client();
    for n in 1..=3 {
        let report = client.deliver(job(&sink, &["a@b.example"])).await;
        assert_eq!(results(&report), ["+250 2.0.0"]);
        assert_eq!(sink.connections(), n);
    }
}

#[tokio::test]
async fn connection_that_dies_at_mail_is_replaced() {
    for script in [
        Script::new().close_once_to(Stage::Mail, "second@*"),
        Script::new().reply_once_to(Stage::Mail, "second@*", "421 4.4.2 Idle for too long"),
    ] {
        let sink = Sink::start(script);
        let client = client();
        client.deliver(job(&sink, &["a@b.example"])).await;
        let mut second = job(&sink, &["a@b.example"]);
        second.mail_from = "second@a.example".into();
        assert_eq!(results(&client.deliver(second).await), ["+250 2.0.0"]);
        assert_eq!((sink.connections(), sink.count()), (2, 2));
    }
}

#[tokio::test]
async fn fresh_connection_that_dies_is_not_tried_again() {
    let sink = Sink::start(Script::new().close_at(Stage::Mail));
    let report = client().deliver(job(&sink, &["a@b.example"])).await;
    assert_eq!(results(&report), ["~local 4.4.2"]);
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn close_waits_for_what_is_under_way() {
    let sink = Sink::start(Script::new().slow(Duration::from_millis(30)));
    let client = Arc::new(client());
    let under_way = tokio::spawn({
        let (client, job) = (client.clone(), job(&sink, &["a@b.example"]));
        async move { client.deliver(job).await }
    });
    while sink.connections() == 0 {
        tokio::task::yield_now().await;
    }
    client.close().await;
    assert!(under_way.is_finished());
    assert_eq!(results(&under_way.await.unwrap()), ["+250 2.0.0"]);
    assert_eq!(sink.commands("QUIT").len(), 1);
}

#[tokio::test]
async fn an_address_that_could_not_be_reached_comes_after_all_others_for_a_while() {
    let dead = Sink::start(Script::new());
    let address = dead.addr();
    let other =
        Sink::start_at(Script::new(), (IpAddr::from([127, 0, 0, 2]), address.port()).into());
    drop(dead);
    let mut config = config();
    (config.max_messages_per_connection, config.address_memory) = (1, Duration::from_secs(1));
    let client = Outbound::new(&config).unwrap();
    let to_both = || {
        let mut hosts = [host("first.test", &other), host("second.test", &other)];
        hosts[0].addresses = vec![address.ip()];
        job_to(hosts.to_vec(), address.port(), &["a@b.example"])
    };
    let send = async || results(&client.deliver(to_both()).await);
    assert_eq!(send().await, ["+250 2.0.0"]);
    let bind = async || std::net::TcpListener::bind(address).ok();
    let first = Sink::start_on(Script::new(), eventually("the port is free", bind).await);
    assert_eq!(send().await, ["+250 2.0.0"]);
    assert_eq!((first.connections(), other.count()), (0, 2));
    // It is still there when there is no other.
    let mut alone = to_both();
    Arc::make_mut(&mut alone.hop).hosts.truncate(1);
    assert_eq!(results(&client.deliver(alone).await), ["+250 2.0.0"]);
    assert_eq!(send().await, ["+250 2.0.0"], "it has been reached");
    assert_eq!((first.count(), other.count()), (2, 2));
}

#[tokio::test]
async fn of_very_many_that_wait_the_oldest_makes_room() {
    let sinks = [(); 3].map(|()| Sink::start(Script::new()));
    let mut config = config();
    config.max_idle = 2;
    let client = Outbound::new(&config).unwrap();
    for sink in &sinks {
        client.deliver(job(sink, &["a@b.example"])).await;
    }
    let left = async || (sinks[0].commands("QUIT").len() == 1).then_some(());
    eventually("the oldest is closed", left).await;
    for sink in &sinks {
        client.deliver(job(sink, &["a@b.example"])).await;
    }
    assert_eq!(sinks.each_ref().map(Sink::connections), [2; 3], "each has made room for another");
}
