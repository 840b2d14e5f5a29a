//! The server as the resolver of production sees it.

use posthouse_core::ports::{
    DnsError, Resolver as _,
    hickory::{Dnssec, HickoryResolver},
};

use super::*;

#[tokio::test]
async fn the_resolver_of_production_understands_every_kind_of_answer() {
    let remote = zone("remote.test").mx(10, "mx").address("mx", [127, 0, 0, 2]).cname("w", "mx");
    let remote = remote.txt("@", &"x".repeat(3000)).servfail("broken").cname("deep.alias", "w");
    let server = DnsServer::start([remote, zone("no.test").null_mx()]).await;
    let resolver = HickoryResolver::new(&[server.address()], &Dnssec::Off).unwrap();

    assert_eq!(&*resolver.mx("remote.test").await.unwrap()[0].exchange, "mx.remote.test");
    assert_eq!(&*resolver.mx("no.test").await.unwrap()[0].exchange, "");
    let address: IpAddr = [127, 0, 0, 2].into();
    assert_eq!(resolver.addresses("deep.alias.remote.test").await, Ok(vec![address]));
    assert_eq!(resolver.cname("w.remote.test").await.unwrap().as_deref(), Some("mx.remote.test"));
    assert_eq!(resolver.txt("remote.test").await.unwrap()[0].len(), 3000);
    assert_eq!(resolver.mx("mx.remote.test").await, Err(DnsError::NoRecord));
    assert_eq!(resolver.mx("alias.remote.test").await, Err(DnsError::NoRecord));
    assert_eq!(resolver.mx("nobody.remote.test").await, Err(DnsError::NoName));
    assert_eq!(resolver.mx("nobody.test").await, Err(DnsError::NoName));
    let broken = resolver.mx("broken.remote.test").await;
    assert!(matches!(broken, Err(DnsError::Temporary(_))), "{broken:?}");
}

#[tokio::test]
async fn a_changed_zone_is_seen_at_once() {
    let server = DnsServer::start([zone("remote.test")]).await;
    let resolver = HickoryResolver::new(&[server.address()], &Dnssec::Off).unwrap();
    assert_eq!(resolver.mx("remote.test").await, Err(DnsError::NoRecord));
    server.set(zone("remote.test").mx(5, "a"));
    assert_eq!(resolver.mx("remote.test").await.unwrap()[0].preference, 5);
    server.remove("remote.test");
    assert_eq!(resolver.mx("remote.test").await, Err(DnsError::NoName));
    server.add_host("mx.remote.test", [127, 0, 0, 3].into());
    assert_eq!(&*resolver.mx("remote.test").await.unwrap()[0].exchange, "mx.remote.test");
    assert_eq!(server.count("remote.test", RecordType::MX), 4);
}
