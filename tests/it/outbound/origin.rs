//! Where connections come from: our addresses, our name, a SOCKS5 proxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use posthouse_core::ports::transport::{
    Credentials, Job, Origin, Proxy, RequireTls, Tls, Transport as _,
};
use posthouse_tests::{
    sink::{Script, Sink},
    socks::{EXIT, Socks5},
};

use super::{
    client, deliver, job, results,
    tls::{certificate, client_with},
    with_hop,
};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

fn from(job: Job, origin: Origin) -> Job {
    with_hop(job, |hop| hop.origin = origin)
}

fn addresses(list: &[IpAddr]) -> Origin {
    Origin { addresses: list.to_vec(), ..Origin::default() }
}

fn proxy(addr: SocketAddr, login: Option<(&str, &str)>) -> Origin {
    let credentials = login.map(|(username, password)| Credentials {
        username: username.to_owned(),
        password: password.to_owned(),
    });
    let proxy = Proxy { addresses: vec![addr.ip()], port: addr.port(), credentials };
    Origin { proxy: Some(proxy), ..Origin::default() }
}

#[tokio::test]
async fn connections_come_from_the_address_of_the_transport() {
    // Of documentation, so not of this machine: another node may have it.
    let elsewhere: IpAddr = "192.0.2.1".parse().unwrap();
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    for list in [vec![OURS], vec![v6, elsewhere, OURS]] {
        let sink = Sink::start(Script::new());
        let report = deliver(from(job(&sink, &["a@b.example"]), addresses(&list))).await;
        assert_eq!(results(&report), ["+250 2.0.0"]);
        assert_eq!(report.peer.unwrap().local_address, Some(OURS));
        assert_eq!(sink.clients(), [OURS]);
    }
    for list in [vec![elsewhere], vec![v6]] {
        let sink = Sink::start(Script::new());
        let report = deliver(from(job(&sink, &["a@b.example"]), addresses(&list))).await;
        assert_eq!((results(&report), sink.connections()), (vec!["~local 4.4.1".to_owned()], 0));
    }
}

#[tokio::test]
async fn a_transport_has_a_name_of_its_own() {
    let sink = Sink::start(Script::new());
    let client = client();
    let named = Origin { ehlo_name: Some("out.example".into()), ..Origin::default() };
    client.deliver(job(&sink, &["a@b.example"])).await;
    client.deliver(from(job(&sink, &["a@b.example"]), named.clone())).await;
    let helos = || sink.messages().into_iter().map(|message| message.helo);
    assert_eq!(helos().collect::<Vec<_>>(), ["client.example", "out.example"]);
    // Connections that wait serve only who looks the same.
    client.deliver(from(job(&sink, &["a@b.example"]), named)).await;
    client.deliver(from(job(&sink, &["a@b.example"]), addresses(&[OURS]))).await;
    assert_eq!(sink.connections(), 3);
}

#[tokio::test]
async fn mail_goes_through_a_proxy() {
    let (server, roots) = certificate();
    for login in [None, Some(("us", "secret"))] {
        let sink = Sink::start(Script::new().starttls(server.clone()));
        let socks = Socks5::start(login).await;
        let client = client_with(roots.clone());
        for _ in 0..2 {
            let job = from(job(&sink, &["a@b.example"]), proxy(socks.addr(), login));
            let job = with_hop(job, |hop| hop.hosts[0].security.pkix = true);
            let report = client.deliver(job).await;
            assert_eq!(results(&report), ["+250 2.0.0"]);
            let peer = report.peer.unwrap();
            assert_eq!(peer.remote_address, Some(sink.addr().ip()), "not that of the proxy");
            assert_eq!(peer.tls.unwrap().verification, "pkix", "the host has to prove itself");
            assert_eq!(peer.local_address, None);
        }
        assert_eq!((sink.clients(), socks.asked()), (vec![EXIT], vec![sink.addr()]));
        // Without the proxy it is another connection.
        client.deliver(job(&sink, &["a@b.example"])).await;
        assert_eq!((sink.connections(), socks.asked().len()), (2, 1));
    }
}

#[tokio::test]
async fn no_proxy_no_mail() {
    let sink = Sink::start(Script::new());
    let socks = Socks5::start(Some(("us", "secret"))).await;
    let gone = SocketAddr::from(([127, 0, 0, 1], 1));
    for origin in
        [proxy(socks.addr(), None), proxy(socks.addr(), Some(("us", "x"))), proxy(gone, None)]
    {
        let report = deliver(from(job(&sink, &["a@b.example"]), origin)).await;
        assert_eq!((results(&report), sink.connections()), (vec!["~local 4.4.1".to_owned()], 0));
        assert!(report.outcomes[0].reply().text.contains("proxy"), "{report:?}");
    }
    // The proxy is there, the host is not.
    let mut to_gone =
        from(job(&sink, &["a@b.example"]), proxy(socks.addr(), Some(("us", "secret"))));
    to_gone = with_hop(to_gone, |hop| hop.port = 1);
    let report = deliver(to_gone).await;
    assert!(report.outcomes[0].reply().text.contains("refused"), "{report:?}");
    // What a policy asks of the host holds through a proxy.
    let barred = with_hop(from(job(&sink, &["a@b.example"]), proxy(socks.addr(), None)), |hop| {
        hop.tls = Tls::Never;
    });
    let required = Job { require_tls: RequireTls::Yes, ..barred };
    assert_eq!(results(&deliver(required).await), ["-local 5.7.30"]);
}
