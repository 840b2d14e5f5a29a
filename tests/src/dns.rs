//! An authoritative DNS server in this process, with zones that a test makes and may change.
//!
//! It answers over UDP and TCP on a free port of 127.0.0.1, counts the questions, and can answer
//! SERVFAIL or not at all. Every TTL is 0, so that a change is seen at once. The root zone is signed
//! and delegates to all others; a zone is signed when the test says so.

mod signing;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use hickory_proto::{
    op::{Message, Metadata, OpCode, ResponseCode},
    rr::{
        Name, RData, RecordType,
        rdata::{CNAME, MX, PTR, SOA, TLSA, TXT},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

use self::{
    signing::{Key, SignatureFault},
    view::View,
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
    key: Option<Arc<Key>>,
    faults: BTreeMap<Name, SignatureFault>,
}

impl Zone {
    /// Signs the zone, with NSEC; the zone above it gets the DS record.
    #[must_use]
    pub fn signed(mut self) -> Self {
        self.key = Some(Key::generate(&self.origin));
        self
    }

    /// The signatures of a name, and those of what denies it, are out of date.
    #[must_use]
    pub fn expired(self, name: &str) -> Self {
        self.fault(name, SignatureFault::Expired)
    }

    /// The signatures of a name, and those of what denies it, do not verify.
    #[must_use]
    pub fn forged(self, name: &str) -> Self {
        self.fault(name, SignatureFault::Forged)
    }

    /// The signatures of a name, and those of what denies it, are not given.
    #[must_use]
    pub fn unsigned(self, name: &str) -> Self {
        self.fault(name, SignatureFault::Missing)
    }

    /// Wildcard answers at a name come without the proof that there is nothing nearer.
    #[must_use]
    pub fn unproven(self, name: &str) -> Self {
        self.fault(name, SignatureFault::Unproven)
    }

    fn fault(mut self, name: &str, fault: SignatureFault) -> Self {
        self.faults.insert(self.name(name), fault);
        self
    }

    /// Adds a TLSA record; `kind` is such as `[3, 1, 1]`.
    #[must_use]
    pub fn tlsa(self, name: &str, kind: [u8; 3], data: &[u8]) -> Self {
        let [usage, selector, matching] = kind;
        let data = TLSA::new(usage.into(), selector.into(), matching.into(), data.to_vec());
        self.record(name, RData::TLSA(data))
    }

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

    fn soa(&self) -> RData {
        RData::SOA(SOA::new(self.name("ns"), self.name("hostmaster"), 1, 60, 60, 60, 0))
    }
}

/// A running DNS server. Clones are the same server; it ends with the last of them.
#[derive(Clone)]
pub struct DnsServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    _tasks: Arc<JoinSet<()>>,
}

struct Shared {
    state: Mutex<State>,
}

struct State {
    zones: BTreeMap<Name, Zone>,
    root: Zone,
    questions: Vec<(String, RecordType)>,
    /// As behind a resolver that knows nothing of DNSSEC.
    strips: bool,
    /// As a resolver that has validated what is signed.
    vouches: bool,
}

impl DnsServer {
    /// Starts a server.
    pub async fn start(zones: impl IntoIterator<Item = Zone>) -> Self {
        let (udp, tcp) = bind().await;
        let address = udp.local_addr().unwrap();
        let root = Zone { origin: Name::root(), ..Zone::default() }.signed();
        let state = State {
            zones: BTreeMap::new(),
            root,
            questions: Vec::new(),
            strips: false,
            vouches: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
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

    /// The key of the root zone, as a validator has it in a file.
    pub fn trust_anchor(&self) -> String {
        self.shared.lock().root.key.as_ref().unwrap().trust_anchor()
    }

    /// Passes no signatures on from now on, or does so again.
    pub fn strip_signatures(&self, strips: bool) {
        self.shared.lock().strips = strips;
    }

    /// Sets the AD bit of answers from signed zones from now on.
    pub fn vouch(&self) {
        self.shared.lock().vouches = true;
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
        let dnssec = request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        let signs = dnssec && !state.strips;
        let secure = state.resolve(query.name(), query.query_type(), signs, &mut response)?;
        response.metadata.authentic_data = secure && dnssec && state.vouches;
        Some(response)
    }
}

impl State {
    /// Fills in the answer, aliases included, and tells whether all of it is from signed zones;
    /// nothing when the name is to stay silent.
    fn resolve(
        &self,
        asked: &Name,
        kind: RecordType,
        signs: bool,
        response: &mut Message,
    ) -> Option<bool> {
        let mut owner = asked.clone();
        let mut secure = true;
        for _ in 0..MAX_ALIASES {
            let name = owner.to_lowercase();
            let zone = self.zone_of(&name, kind);
            if zone.silent.contains(&name) {
                return None;
            }
            if zone.failing.contains(&name) {
                response.metadata.response_code = ResponseCode::ServFail;
                return Some(false);
            }
            let view = View::new(self, zone, signs);
            secure &= zone.key.is_some();
            let (source, records) = view.records(&name);
            let of = |kind: RecordType| -> Vec<RData> {
                records.iter().filter(|data| data.record_type() == kind).cloned().collect()
            };
            let (found, aliases) = (of(kind), of(RecordType::CNAME));
            let data = if found.is_empty() { &aliases } else { &found };
            if data.is_empty() {
                if !view.exists(&name) && source.is_none() {
                    response.metadata.response_code = ResponseCode::NXDomain;
                }
                view.deny(&name, response);
                return Some(secure);
            }
            response.answers.extend(view.signed(&owner, source.as_ref().unwrap_or(&name), data));
            if source.is_some() {
                view.prove_wildcard(&name, response);
            }
            match data.first() {
                Some(RData::CNAME(target)) if found.is_empty() => owner = target.0.clone(),
                _ => return Some(secure),
            }
        }
        Some(secure)
    }

    /// The zone that answers: the nearest one, or the one above it about a DS record.
    fn zone_of(&self, name: &Name, kind: RecordType) -> &Zone {
        let above = |zone: &&Zone| {
            zone.origin.zone_of(name) && (kind != RecordType::DS || zone.origin != *name)
        };
        let zones = self.zones.values().filter(above);
        zones.max_by_key(|zone| zone.origin.num_labels()).unwrap_or(&self.root)
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
