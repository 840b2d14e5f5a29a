//! What a response of the validator is worth.
//!
//! hickory gives each set of records its proof and checks denials. Three things it leaves to us:
//! wildcard answers in zones with NSEC, which it always calls bogus; denials that an unrelated
//! unsigned zone vouches for, which it lets pass; and wildcard answers in that company.

use hickory_resolver::proto::{
    dnssec::{
        Proof,
        rdata::{DNSSECRData, NSEC, SigInput},
    },
    op::{DnsResponse, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};

use super::super::resolver::DnsError;

/// DNAME (RFC 6672), which hickory has no name for.
const DNAME: u16 = 39;

/// A response that can be used.
pub(super) enum Reply {
    /// Records at the name that was asked about, and perhaps at what it is an alias of.
    Records(Vec<Record>),
    /// There is none.
    Denied { error: DnsError, secure: bool },
}

pub(super) fn bogus(name: &Name) -> DnsError {
    DnsError::Temporary(format!("DNSSEC: the answer about {name} does not verify (bogus)"))
}

/// Judges the response to `query`; `denial` is what the validator thinks of what it denies.
pub(super) fn judge(
    query: &Query,
    response: DnsResponse,
    denial: Proof,
) -> Result<Reply, DnsError> {
    let name = query.name();
    let kinds = [query.query_type(), RecordType::CNAME];
    let answers = |record: &Record| record.name == *name && kinds.contains(&record.record_type());
    if !response.answers.iter().any(answers) {
        return denied(name, &response, denial);
    }
    if denial.is_insecure() {
        let mut records = response.into_message().answers;
        for record in records.iter_mut().filter(|record| record.proof.is_secure()) {
            record.proof = Proof::Insecure;
        }
        return Ok(Reply::Records(records));
    }
    if !wildcards_are_proven(&response, denial.is_secure()) {
        return Err(bogus(name));
    }
    Ok(Reply::Records(response.into_message().answers))
}

fn denied(name: &Name, response: &DnsResponse, denial: Proof) -> Result<Reply, DnsError> {
    let error = match response.response_code {
        ResponseCode::NXDomain => DnsError::NoName,
        _ => DnsError::NoRecord,
    };
    if denial.is_insecure() {
        return Ok(Reply::Denied { error, secure: false });
    }
    let authorities = &response.authorities;
    let secure = authorities.iter().any(is_proof_of_denial);
    // A zone that is not above the name has nothing to say about it, unsigned as it may be.
    let unsigned = authorities.iter().all(|record| record.proof.is_insecure());
    let unrelated = unsigned
        && !authorities.is_empty()
        && !authorities.iter().any(|record| record.name.zone_of(name));
    if !denial.is_secure() || unrelated {
        return Err(bogus(name));
    }
    Ok(Reply::Denied { error, secure })
}

fn is_proof_of_denial(record: &Record) -> bool {
    let kind = record.record_type();
    record.proof.is_secure() && (kind == RecordType::NSEC || kind == RecordType::NSEC3)
}

/// RFC 4035 §5.3.4: what was made from a wildcard needs a proof that there is nothing nearer.
/// `checked`: the validator has looked at NSEC3 records (RFC 5155 §8.8), if there are any.
fn wildcards_are_proven(response: &DnsResponse, checked: bool) -> bool {
    let authorities = &response.authorities;
    let nsec3 =
        |record: &Record| record.proof.is_secure() && record.record_type() == RecordType::NSEC3;
    let checked = checked && authorities.iter().any(nsec3);
    response.answers.iter().filter(|record| record.proof.is_secure()).all(|record| {
        let RData::DNSSEC(DNSSECRData::RRSIG(signature)) = &record.data else { return true };
        let signature = signature.input();
        let is_expanded = signature.num_labels < record.name.num_labels();
        !is_expanded || checked || nothing_nearer(&record.name, signature, authorities)
    })
}

/// Whether an NSEC record proves that the name next to the wildcard's parent, on the way to
/// `owner`, does not exist.
fn nothing_nearer(owner: &Name, signature: &SigInput, authorities: &[Record]) -> bool {
    let next_closer = owner.trim_to(usize::from(signature.num_labels) + 1);
    authorities.iter().any(|record| {
        let RData::DNSSEC(DNSSECRData::NSEC(nsec)) = &record.data else { return false };
        record.proof.is_secure()
            && signature.signer_name.zone_of(&record.name)
            && covers(&record.name, nsec, &next_closer)
    })
}

/// RFC 4034 §4.1.1, with the exceptions of RFC 6840 §4.1 and RFC 6672 §5.3.4.1.
fn covers(owner: &Name, nsec: &NSEC, name: &Name) -> bool {
    let next = nsec.next_domain_name();
    let is_last = next <= owner;
    let is_between = name > owner && (name < next || is_last && next.zone_of(name));
    let ends_there =
        nsec.is_ancestor_delegation() || nsec.type_set().contains(RecordType::from(DNAME));
    // A name above the next one exists, if only as an empty one (RFC 8020).
    let exists = !is_last && name.zone_of(next);
    is_between && !exists && !(ends_there && owner.zone_of(name))
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::{
        op::Message,
        rr::rdata::{A, NS, SOA},
    };

    use super::*;

    fn name(text: &str) -> Name {
        let mut name = Name::from_ascii(text).unwrap();
        name.set_fqdn(true);
        name
    }

    fn record(owner: &str, data: RData, proof: Proof) -> Record {
        let mut record = Record::from_rdata(name(owner), 60, data);
        record.proof = proof;
        record
    }

    fn soa(owner: &str, proof: Proof) -> Record {
        record(owner, RData::SOA(SOA::new(name("ns"), name("h"), 1, 1, 1, 1, 1)), proof)
    }

    fn nsec(owner: &str, next: &str, kinds: &[RecordType], proof: Proof) -> Record {
        let nsec = NSEC::new(name(next), kinds.iter().copied());
        record(owner, RData::DNSSEC(DNSSECRData::NSEC(nsec)), proof)
    }

    /// What becomes of a denial of `mx.a.test` with this authority section.
    fn denial(authorities: Vec<Record>, denial: Proof) -> Option<bool> {
        let mut message = Message::query().into_response();
        message.metadata.response_code = ResponseCode::NXDomain;
        message.authorities = authorities;
        let response = DnsResponse::from_message(message).unwrap();
        let query = Query::query(name("mx.a.test"), RecordType::TLSA);
        match judge(&query, response, denial) {
            Ok(Reply::Denied { error: DnsError::NoName, secure }) => Some(secure),
            Ok(_) => panic!("it is a denial"),
            Err(_) => None,
        }
    }

    #[test]
    fn only_a_zone_above_the_name_can_deny_without_a_proof() {
        let unsigned = |owner: &str| vec![soa(owner, Proof::Insecure)];
        assert_eq!(denial(unsigned("a.test"), Proof::Secure), Some(false));
        assert_eq!(denial(unsigned("test"), Proof::Secure), Some(false));
        assert_eq!(denial(vec![], Proof::Secure), Some(false));
        // A zone of somebody else that happens to be unsigned.
        assert_eq!(denial(unsigned("b.test"), Proof::Secure), None);
        assert_eq!(denial(unsigned("x.mx.a.test"), Proof::Secure), None);
    }

    #[test]
    fn a_denial_is_worth_what_the_validator_says() {
        let proven = || vec![nsec("a.test", "z.a.test", &[RecordType::SOA], Proof::Secure)];
        assert_eq!(denial(proven(), Proof::Secure), Some(true));
        assert_eq!(denial(proven(), Proof::Bogus), None);
        assert_eq!(denial(proven(), Proof::Indeterminate), None);
        // NSEC3 with opt-out or too many iterations (RFC 9276 §3.2).
        assert_eq!(denial(proven(), Proof::Insecure), Some(false));
    }

    #[test]
    fn nsec_covers_what_is_between_its_names_and_nothing_else() {
        let covered = |owner: &str, next: &str, kinds: &[RecordType], asked: &str| {
            let nsec = NSEC::new(name(next), kinds.iter().copied());
            covers(&name(owner), &nsec, &name(asked))
        };
        let a = &[RecordType::A][..];
        assert!(covered("b.test", "d.test", a, "c.test"));
        assert!(covered("b.test", "d.test", a, "x.b.test"));
        assert!(!covered("b.test", "d.test", a, "b.test"));
        assert!(!covered("b.test", "d.test", a, "d.test"));
        assert!(!covered("b.test", "d.test", a, "e.test"));
        assert!(!covered("b.test", "x.d.test", a, "d.test"), "it exists as an empty one");
        // The last one of its zone.
        assert!(covered("y.test", "test", a, "z.test"));
        assert!(!covered("y.test", "test", a, "x.test"));
        assert!(!covered("y.test", "test", a, "z.other"));
        // What is beneath another zone, or a DNAME, is not for this zone to say.
        assert!(!covered("b.test", "d.test", &[RecordType::NS], "x.b.test"));
        assert!(covered("b.test", "d.test", &[RecordType::NS], "c.test"));
        assert!(!covered("b.test", "d.test", &[RecordType::from(DNAME)], "x.b.test"));
    }

    #[test]
    fn answers_that_the_validator_counts_as_unsigned_are_not_proven() {
        let mut message = Message::query().into_response();
        let address = RData::A(A::new(192, 0, 2, 1));
        message.answers = vec![record("mx.a.test", address, Proof::Secure)];
        message.authorities = vec![record("a.test", RData::NS(NS(name("ns"))), Proof::Secure)];
        let response = DnsResponse::from_message(message).unwrap();
        let query = Query::query(name("mx.a.test"), RecordType::A);
        let Ok(Reply::Records(records)) = judge(&query, response, Proof::Insecure) else {
            panic!("it is an answer");
        };
        assert_eq!(records[0].proof, Proof::Insecure);
    }
}
