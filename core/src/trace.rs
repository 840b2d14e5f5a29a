//! Ids for trace fields: what stands after `id` in Received (RFC 5321 §4.4).
//!
//! Everybody who gets a mail reads them, so they are ids of our logs encrypted (A15): they tell
//! outsiders neither the ids nor their times, and administrators the entries to look for.

use aws_lc_rs::{
    cipher::{AES_256, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey},
    error::Unspecified,
};
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::{Uuid, Variant};

use crate::{
    error::{Error, Result},
    id::{Digits, Id, InboundRoute, Message, Request},
    vault::Vault,
};

/// What an id in a trace field stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traced {
    /// The connection that a message came over.
    Connection(Id<Request>),
    /// A message that was submitted.
    Message(Id<Message>),
    /// An inbound route that has sent a message on.
    Route(Id<InboundRoute>),
}

/// Encrypts and decrypts ids of trace fields; made once, as it is needed for every message.
pub struct TraceKey {
    encrypt: EncryptingKey,
    decrypt: DecryptingKey,
}

// The version of a UUID, which is always 7, gives way to what the id is of.
const VERSION: u128 = 0xf << 76;
const VERSION_7: u128 = 0x7 << 76;
const CONNECTION: u128 = 0x1 << 76;
const MESSAGE: u128 = 0x2 << 76;
const ROUTE: u128 = 0x3 << 76;

/// No id is older than the software.
const EARLIEST: OffsetDateTime = datetime!(2025-01-01 00:00 UTC);
/// How far the clock of the node that made an id may be ahead.
const AHEAD: Duration = Duration::DAY;

impl TraceKey {
    /// Derives the key from the master key.
    pub fn new(vault: &Vault) -> Result<Self> {
        let octets = vault.derive("trace")?;
        let key = || UnboundCipherKey::new(&AES_256, &*octets);
        let keys = || -> Result<_, Unspecified> {
            Ok((EncryptingKey::ecb(key()?)?, DecryptingKey::ecb(key()?)?))
        };
        let (encrypt, decrypt) = keys().map_err(Error::internal)?;
        Ok(Self { encrypt, decrypt })
    }

    /// Writes an id for a trace field: 26 characters, letters and digits.
    ///
    /// An id is one block of AES, and no two ids are equal: the bare permutation (ECB of a single
    /// block) needs no nonce, and the same id gives the same text in all copies of a message.
    /// Nothing authenticates the text, as nothing but an administrator's curiosity acts on it.
    pub fn seal(&self, what: Traced) -> Result<String> {
        let (uuid, kind) = match what {
            Traced::Connection(id) => (id.uuid(), CONNECTION),
            Traced::Message(id) => (id.uuid(), MESSAGE),
            Traced::Route(id) => (id.uuid(), ROUTE),
        };
        let mut block = ((uuid.as_u128() & !VERSION) | kind).to_be_bytes();
        self.encrypt.encrypt(&mut block).map_err(Error::internal)?;
        Ok(Digits(u128::from_be_bytes(block)).to_string())
    }

    /// Reads what [`Self::seal`] wrote before `now`. Of texts by others, less than one in 10,000
    /// is taken for ours.
    pub fn open(&self, text: &str, now: OffsetDateTime) -> Option<Traced> {
        let mut block = Digits::parse(text)?.0.to_be_bytes();
        self.decrypt.decrypt(&mut block, DecryptionContext::None).ok()?;
        let value = u128::from_be_bytes(block);
        let uuid = Uuid::from_u128((value & !VERSION) | VERSION_7);
        let traced = match value & VERSION {
            CONNECTION => Traced::Connection(uuid.into()),
            MESSAGE => Traced::Message(uuid.into()),
            ROUTE => Traced::Route(uuid.into()),
            _ => return None,
        };
        let possible = EARLIEST..=now + AHEAD;
        let ours = uuid.get_variant() == Variant::RFC4122 && possible.contains(&traced.made_at()?);
        ours.then_some(traced)
    }
}

impl Traced {
    /// When the connection began, the message was accepted or the route made, to the millisecond.
    pub fn made_at(self) -> Option<OffsetDateTime> {
        match self {
            Self::Connection(id) => id.created_at(),
            Self::Message(id) => id.created_at(),
            Self::Route(id) => id.created_at(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 10:00 UTC);

    fn key(master: u8) -> TraceKey {
        TraceKey::new(&Vault::new(&[master; 32]).unwrap()).unwrap()
    }

    #[test]
    fn an_id_opens_with_the_same_master_key_and_tells_what_it_is_of() {
        let connection = Traced::Connection(Id::new(NOW));
        let message = Traced::Message(Id::in_shard(NOW, 200));
        for traced in [connection, message, Traced::Route(Id::new(NOW))] {
            let text = key(7).seal(traced).unwrap();
            assert_eq!(text.len(), 26);
            assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{text}");
            assert_eq!(key(7).seal(traced).unwrap(), text);
            assert_eq!(key(7).open(&text, NOW), Some(traced));
            assert_eq!(traced.made_at(), Some(NOW));
            assert_eq!(key(8).open(&text, NOW), None);
        }
    }

    #[test]
    fn neither_the_id_nor_its_time_can_be_read() {
        let ids: [Id<Request>; 2] = [Id::new(NOW), Id::new(NOW)];
        let texts = ids.map(|id| key(7).seal(Traced::Connection(id)).unwrap());
        // The plain ids begin with the same nine characters, as they are of one millisecond.
        assert_ne!(texts[0].get(..6), texts[1].get(..6));
        for (id, text) in ids.iter().zip(&texts) {
            let plain = id.to_string();
            let (head, tail) = text.split_at(13);
            assert!(!plain.contains(head) && !plain.contains(tail), "{plain} {text}");
        }
        let same = Uuid::from(ids[0]);
        assert_ne!(key(7).seal(Traced::Message(same.into())).unwrap(), texts[0]);
    }

    #[test]
    fn what_others_wrote_is_not_ours() {
        let key = key(7);
        let plain = "req_01kggtsv35fay928t5cy4tqkff";
        let digits = plain.strip_prefix("req_").unwrap();
        for text in [plain, digits, "", "4bXkz93Zs2z1h8", "zzzzzzzzzzzzzzzzzzzzzzzzzz"] {
            assert_eq!(key.open(text, NOW), None, "{text}");
        }
        // Any text is some block: nearly all of them are no id, and the rest have no possible time.
        let taken = (0..20_000_u128).filter(|number| {
            let text = Digits(number << 80 | number).to_string();
            key.open(&text, NOW).is_some()
        });
        assert_eq!(taken.count(), 0);
        let later = Traced::Message(Id::new(NOW + Duration::days(2)));
        assert_eq!(key.open(&key.seal(later).unwrap(), NOW), None);
    }
}
