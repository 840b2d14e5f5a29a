//! An authoritative DNS server in this process, with zones that a test makes and may change.
//!
//! It answers over UDP and TCP on a free port of 127.0.0.1, counts the questions, and can answer
//! SERVFAIL or not at all. Every TTL is 0, so that a change is seen at once. It does no DNSSEC.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use hickory_proto::{
    op::{Message, Metadata, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{CNAME, MX, PTR, SOA, TXT},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

/// Most aliases that one answer follows.
const MAX_ALIASES: usize = 12;

/// Begins a zone such as `remote.test`.
pub fn zone(origin: &str) -> Zone {
    Zone { origin: absolute(origin), ..Zone::default() }
}

/// The records of one domain.
///
/// A name is relative to the zone (`mx`, `@` for the zone itself) unless it ends in a dot.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    origin: Name,
    records: BTreeMap<Name, Vec<RData>>,
    failing: BTreeSet<Name>,
    silent: BTreeSet<Name>,
}

impl Zone {
    /// Adds a mail exchanger for the zone itself.
    #[must_use]
    pub fn mx(self, preference: u16, host: &str) -> Self {
        self.mx_of("@", preference, host)
    }

    /// Adds a mail exchanger for a name in the zone.
    #[must_use]
    pub fn mx_of(self, name: &str, preference: u16, host: &str) -> Self {
        let exchange = self.name(host);
        self.record(name, RData::MX(MX::new(preference, exchange)))
    }

    /// Says that the zone takes no mail (RFC 7505).
    #[must_use]
    pub fn null_mx(self) -> Self {
        self.record("@", RData::MX(MX::new(0, Name::root())))
    }

    /// Adds an IPv4 or IPv6 address.
    #[must_use]
    pub fn address(self, name: &str, address: impl Into<IpAddr>) -> Self {
        self.record(name, address.into().into())
    }

    /// Adds a text record, cut into strings of at most 255 octets.
    #[must_use]
    pub fn txt(self, name: &str, text: &str) -> Self {
        let strings = text.as_bytes().chunks(255);
        let strings = strings.map(|part| String::from_utf8_lossy(part).into_owned());
        let data = RData::TXT(TXT::new(strings.collect()));
        self.record(name, data)
    }

    /// Adds an alias.
    #[must_use]
    pub fn cname(self, name: &str, target: &str) -> Self {
        let target = self.name(target);
        self.record(name, RData::CNAME(CNAME(target)))
    }

    /// Adds a chain of `length` aliases from `name` to `target`.
    #[must_use]
    pub fn cname_chain(mut self, name: &str, length: usize, target: &str) -> Self {
        let mut from = name.to_owned();
        for step in 1..length {
            let next = format!("alias{step}-of-{}", name.replace('@', "apex"));
            self = self.cname(&from, &next);
            from = next;
        }
        self.cname(&from, target)
    }

    /// Adds a host name of an address; the zone must be one of `in-addr.arpa`.
    #[must_use]
    pub fn ptr(self, name: &str, host: &str) -> Self {
        let host = self.name(host);
        self.record(name, RData::PTR(PTR(host)))
    }

    /// Answers SERVFAIL to every question about the name.
    #[must_use]
    pub fn servfail(mut self, name: &str) -> Self {
        self.failing.insert(self.name(name));
        self
    }

    /// Never answers a question about the name.
    #[must_use]
    pub fn silent(mut self, name: &str) -> Self {
        self.silent.insert(self.name(name));
        self
    }

    /// Adds any record.
    #[must_use]
    pub fn record(mut self, name: &str, data: RData) -> Self {
        let name = self.name(name);
        self.records.entry(name).or_default().push(data);
        self
    }

    fn name(&self, text: &str) -> Name {
        match text {
            "@" => self.origin.clone(),
            text if text.ends_with('.') => absolute(text),
            text => {
                let relative = Name::from_ascii(text).unwrap().to_lowercase();
                relative.append_domain(&self.origin).unwrap()
            }
        }
    }

    /// Whether the name has records, or is on the way to one that has.
    fn has(&self, name: &Name) -> bool {
        name == &self.origin || self.records.keys().any(|known| name.zone_of(known))
    }

    fn soa(&self) -> Record {
        let primary = self.name("ns");
        let soa = SOA::new(primary, self.name("hostmaster"), 1, 60, 60, 60, 0);
        Record::from_rdata(self.origin.clone(), 0, RData::SOA(soa))
    }
}

/// A running DNS server. Clones are the same server; it ends with the last of them.
#[derive(Clone)]
pub struct DnsServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    _tasks: Arc<JoinSet<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    zones: BTreeMap<Name, Zone>,
    questions: Vec<(String, RecordType)>,
}

impl DnsServer {
    /// Starts a server.
    pub async fn start(zones: impl IntoIterator<Item = Zone>) -> Self {
        let (udp, tcp) = bind().await;
        let address = udp.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, shared.clone()));
        tasks.spawn(serve_tcp(tcp, shared.clone()));
        let server = Self { shared, address, _tasks: Arc::new(tasks) };
        for zone in zones {
            server.set(zone);
        }
        server
    }

    /// Where it listens, on UDP and TCP.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a zone, or puts it in place of the one with the same name.
    pub fn set(&self, zone: Zone) {
        self.shared.lock().zones.insert(zone.origin.clone(), zone);
    }

    /// Removes a zone: its names do not exist any more.
    pub fn remove(&self, origin: &str) {
        self.shared.lock().zones.remove(&absolute(origin));
    }

    /// Gives a host an address. A host whose zone is not known yet gets a zone one label up, with
    /// the host as its mail exchanger.
    pub fn add_host(&self, host: &str, address: IpAddr) {
        let host = absolute(host);
        let mut state = self.shared.lock();
        let known = state.zones.keys().filter(|origin| origin.zone_of(&host)).cloned();
        let origin = known.max_by_key(Name::num_labels).unwrap_or_else(|| {
            let new = zone(&host.base_name().to_ascii());
            let origin = new.origin.clone();
            state.zones.insert(origin.clone(), new.mx(10, &host.to_ascii()));
            origin
        });
        if let Some(zone) = state.zones.get_mut(&origin) {
            zone.records.entry(host).or_default().push(address.into());
        }
    }

    /// How often this was asked.
    pub fn count(&self, name: &str, kind: RecordType) -> usize {
        let wanted = (absolute(name).to_ascii(), kind);
        self.shared.lock().questions.iter().filter(|question| **question == wanted).count()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the answer, or nothing when none is to be given.
    fn answer(&self, request: &[u8]) -> Option<Message> {
        let request = Message::from_vec(request).ok()?;
        let mut response = Message::response(request.metadata.id, OpCode::Query);
        response.metadata = Metadata::response_from_request(&request.metadata);
        response.metadata.authoritative = true;
        response.metadata.recursion_available = true;
        let query = request.queries.first()?.clone();
        response.add_query(query.clone());
        let mut state = self.lock();
        state.questions.push((query.name().to_lowercase().to_ascii(), query.query_type()));
        state.resolve(query.name(), query.query_type(), &mut response)?;
        Some(response)
    }
}

impl State {
    /// Fills in the answer, aliases included; nothing when the name is to stay silent.
    fn resolve(&self, asked: &Name, kind: RecordType, response: &mut Message) -> Option<()> {
        let mut owner = asked.clone();
        for _ in 0..MAX_ALIASES {
            let name = owner.to_lowercase();
            let zones = self.zones.values().filter(|zone| zone.origin.zone_of(&name));
            let Some(zone) = zones.max_by_key(|zone| zone.origin.num_labels()) else {
                response.metadata.response_code = ResponseCode::NXDomain;
                response.add_authority(Zone::default().soa());
                return Some(());
            };
            if zone.silent.contains(&name) {
                return None;
            }
            if zone.failing.contains(&name) {
                response.metadata.response_code = ResponseCode::ServFail;
                return Some(());
            }
            let records = zone.records.get(&name).map_or(&[][..], Vec::as_slice);
            let matching: Vec<_> =
                records.iter().filter(|data| data.record_type() == kind).collect();
            for data in &matching {
                response.add_answer(Record::from_rdata(owner.clone(), 0, (*data).clone()));
            }
            let alias = records.iter().find_map(|data| match data {
                RData::CNAME(target) if matching.is_empty() => Some(target.0.clone()),
                _ => None,
            });
            let Some(target) = alias else {
                if matching.is_empty() {
                    response.add_authority(zone.soa());
                }
                if !zone.has(&name) {
                    response.metadata.response_code = ResponseCode::NXDomain;
                }
                return Some(());
            };
            let data = RData::CNAME(CNAME(target.clone()));
            response.add_answer(Record::from_rdata(owner, 0, data));
            owner = target;
        }
        Some(())
    }
}

fn absolute(name: &str) -> Name {
    let mut name = Name::from_ascii(name).unwrap().to_lowercase();
    name.set_fqdn(true);
    name
}

/// Finds a port that is free on both.
async fn bind() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = vec![0; 65_535];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(answer) = shared.answer(&buffer[..length]) else { continue };
        let mut bytes = answer.to_vec().unwrap();
        // The resolver asks again over TCP.
        if bytes.len() > 1232 {
            bytes = answer.truncate().to_vec().unwrap();
        }
        drop(socket.send_to(&bytes, from).await);
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.spawn(serve_connection(stream, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Ok(length) = stream.read_u16().await {
        let mut request = vec![0; usize::from(length)];
        if stream.read_exact(&mut request).await.is_err() {
            return;
        }
        let Some(answer) = shared.answer(&request) else { continue };
        let bytes = answer.to_vec().unwrap();
        let mut framed = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        framed.extend(bytes);
        if stream.write_all(&framed).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use posthouse_core::ports::{DnsError, Resolver as _, hickory::HickoryResolver};

    use super::*;

    #[tokio::test]
    async fn the_resolver_of_production_understands_every_kind_of_answer() {
        let remote =
            zone("remote.test").mx(10, "mx").address("mx", [127, 0, 0, 2]).cname("w", "mx");
        let remote = remote.txt("@", &"x".repeat(3000)).servfail("broken").cname("deep.alias", "w");
        let server = DnsServer::start([remote, zone("no.test").null_mx()]).await;
        let resolver = HickoryResolver::new(&[server.address()]).unwrap();

        assert_eq!(&*resolver.mx("remote.test").await.unwrap()[0].exchange, "mx.remote.test");
        assert_eq!(&*resolver.mx("no.test").await.unwrap()[0].exchange, "");
        let address: IpAddr = [127, 0, 0, 2].into();
        assert_eq!(resolver.addresses("deep.alias.remote.test").await, Ok(vec![address]));
        assert_eq!(
            resolver.cname("w.remote.test").await.unwrap().as_deref(),
            Some("mx.remote.test")
        );
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
        let resolver = HickoryResolver::new(&[server.address()]).unwrap();
        assert_eq!(resolver.mx("remote.test").await, Err(DnsError::NoRecord));
        server.set(zone("remote.test").mx(5, "a"));
        assert_eq!(resolver.mx("remote.test").await.unwrap()[0].preference, 5);
        server.remove("remote.test");
        assert_eq!(resolver.mx("remote.test").await, Err(DnsError::NoName));
        server.add_host("mx.remote.test", [127, 0, 0, 3].into());
        assert_eq!(&*resolver.mx("remote.test").await.unwrap()[0].exchange, "mx.remote.test");
        assert_eq!(server.count("remote.test", RecordType::MX), 4);
    }
}
