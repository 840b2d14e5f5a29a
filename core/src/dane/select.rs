//! Which TLSA records count.

use crate::ports::transport::Tlsa;

/// More than anybody has; the rest of a longer answer is not looked at.
const MOST_RECORDS: usize = 100;
const TRUST_ANCHOR: u8 = 2;
const END_ENTITY: u8 = 3;
const WHOLE: u8 = 0;
const SHA256: u8 = 1;
const SHA512: u8 = 2;

/// The records that can be used (RFC 7672 §3.1), after digest agility (RFC 7671 §9).
pub(super) fn usable(mut records: Vec<Tlsa>) -> Vec<Tlsa> {
    records.retain(is_usable);
    records.truncate(MOST_RECORDS);
    let strongest = |of: &Tlsa| {
        let alike = records.iter().filter(|it| (it.usage, it.selector) == (of.usage, of.selector));
        alike.map(|it| it.matching).max()
    };
    let counts = |it: &&Tlsa| it.matching == WHOLE || Some(it.matching) == strongest(it);
    records.iter().filter(counts).cloned().collect()
}

/// RFC 7672 §3.1.3: PKIX-TA(0) and PKIX-EE(1) are not for mail; what nobody has defined, or does
/// not have the form that it claims, cannot match anything.
fn is_usable(record: &Tlsa) -> bool {
    let form = match record.matching {
        WHOLE => is_der_sequence(&record.data),
        SHA256 => record.data.len() == 32,
        SHA512 => record.data.len() == 64,
        _ => false,
    };
    matches!(record.usage, TRUST_ANCHOR | END_ENTITY) && record.selector <= 1 && form
}

/// Certificates and public keys are each one SEQUENCE.
fn is_der_sequence(data: &[u8]) -> bool {
    let (length, rest) = match data {
        [0x30, length @ ..=0x7f, rest @ ..] | [0x30, 0x81, length, rest @ ..] => {
            (usize::from(*length), rest)
        }
        [0x30, 0x82, high, low, rest @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return false,
    };
    length == rest.len()
}
