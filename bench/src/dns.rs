//! A DNS server for the domains of the bench, over UDP (RFC 1035).
//!
//! It knows MX and A records; everything else exists without data. No TCP, no DNSSEC.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, MX, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

/// Recipient domains end in this.
pub(crate) const ZONE: &str = "sink.test";
/// Mail for this domain goes to an address where nobody listens.
pub(crate) const DEAD_DOMAIN: &str = "dead.sink.test";
/// An address of this machine that the sink does not use.
const DEAD_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// Where domains of other kinds are, by the label before [`ZONE`].
pub(crate) const PLACES: [(&str, Ipv4Addr); 3] = [
    ("tls", Ipv4Addr::new(127, 0, 0, 2)),
    ("silent", Ipv4Addr::new(127, 0, 0, 3)),
    ("single", Ipv4Addr::new(127, 0, 0, 4)),
];
const TTL: u32 = 3600;

/// Starts the server on a free port of 127.0.0.1.
pub(crate) async fn start() -> Result<SocketAddr> {
    let socket = Arc::new(UdpSocket::bind(("127.0.0.1", 0)).await?);
    let address = socket.local_addr()?;
    tokio::spawn(async move {
        let mut buffer = [0_u8; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let packet = buffer.get(..length).unwrap_or_default();
            if let Some(reply) = answer(packet) {
                socket.send_to(&reply, peer).await.ok();
            }
        }
    });
    Ok(address)
}

/// Answers one packet; nothing for what is no question.
fn answer(packet: &[u8]) -> Option<Vec<u8>> {
    let question = Message::from_vec(packet).ok()?;
    let query = question.queries.first()?.clone();
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.metadata.authoritative = true;
    let name = query.name().to_lowercase().to_ascii();
    let name = name.trim_end_matches('.');
    if name == ZONE || name.ends_with(&format!(".{ZONE}")) || name.ends_with(".bench.test") {
        if let Some(data) = data(name, query.query_type()) {
            reply.add_answer(Record::from_rdata(query.name().clone(), TTL, data));
        }
    } else {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    if reply.answers.is_empty() {
        // RFC 2308 §3: the SOA makes the negative answer cacheable.
        let zone = Name::from_ascii("test.").ok()?;
        let soa = SOA::new(zone.clone(), zone.clone(), 1, 3600, 600, 86400, TTL);
        reply.add_authority(Record::from_rdata(zone, TTL, RData::SOA(soa)));
    }
    reply.add_query(query);
    reply.edns.clone_from(&question.edns);
    reply.to_vec().ok()
}

fn place(host: &str) -> Ipv4Addr {
    if host.ends_with(DEAD_DOMAIN) {
        return DEAD_ADDRESS;
    }
    let parent = host.strip_suffix(ZONE).unwrap_or_default().trim_end_matches('.');
    let kind = parent.rsplit('.').next();
    let known = PLACES.iter().find(|(name, _)| Some(*name) == kind);
    known.map_or(Ipv4Addr::LOCALHOST, |(_, address)| *address)
}

fn data(name: &str, kind: RecordType) -> Option<RData> {
    let is_host = name.starts_with("mx.");
    match kind {
        RecordType::MX if !is_host && name != ZONE => {
            let host = Name::from_ascii(format!("mx.{name}.")).ok()?;
            Some(RData::MX(MX::new(10, host)))
        }
        RecordType::A if is_host => Some(RData::A(A(place(name)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{MessageType, OpCode, Query};

    use super::*;

    fn ask(name: &str, kind: RecordType) -> Message {
        let mut question = Message::new(7, MessageType::Query, OpCode::Query);
        question.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        Message::from_vec(&answer(&question.to_vec().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn every_recipient_domain_leads_to_this_machine() {
        let reply = ask("D3.Sink.test.", RecordType::MX);
        let RData::MX(mx) = &reply.answers[0].data else { panic!("{reply:?}") };
        assert_eq!(mx.exchange.to_ascii(), "mx.d3.sink.test.");
        let reply = ask("mx.d3.sink.test.", RecordType::A);
        assert_eq!(reply.answers[0].data, RData::A(A(Ipv4Addr::LOCALHOST)));
        let reply = ask("mx.q7.single.sink.test.", RecordType::A);
        assert_eq!(reply.answers[0].data, RData::A(A(PLACES[2].1)));
        let reply = ask("mx.dead.sink.test.", RecordType::A);
        assert_eq!(reply.answers[0].data, RData::A(A(DEAD_ADDRESS)));
    }

    #[test]
    fn what_does_not_exist_can_be_cached() {
        let no_data = ask("mx.d3.sink.test.", RecordType::AAAA);
        assert_eq!(no_data.metadata.response_code, ResponseCode::NoError);
        assert_eq!(no_data.authorities.len(), 1);
        let no_name = ask("elsewhere.example.", RecordType::A);
        assert_eq!(no_name.metadata.response_code, ResponseCode::NXDomain);
        assert!(answer(b"nonsense").is_none());
    }
}
