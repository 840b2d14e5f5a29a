//! Typed identifiers: UUIDv7 inside, `msg_` and 26 Crockford base32 characters on the wire.
//!
//! Message ids also carry, in their lowest 20 bits, the queue shard (8 bits) and a number within
//! the message (12 bits). The message itself has number 0, its deliveries have 1, 2, 3 …: so the
//! shard and the message of a delivery follow from its id, without an index or a look-up.

use std::{fmt, hash::Hash, marker::PhantomData, str::FromStr};

use rand::RngCore as _;
use time::OffsetDateTime;
use uuid::Uuid;

/// A kind of thing that has ids.
pub trait Kind: Send + Sync + 'static {
    /// Prefix on the wire, without the underscore.
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {}
        impl Kind for $name {
            const PREFIX: &'static str = $prefix;
        }
    )*};
}

// The registry: append only.
kinds! {
    /// A message that was submitted.
    Message = "msg";
    /// One recipient's journey.
    Delivery = "dlv";
    /// One try to deliver.
    Attempt = "att";
    /// An entry of the event log.
    Event = "evt";
    /// A webhook endpoint.
    Webhook = "whk";
    /// One call of a webhook endpoint.
    WebhookDelivery = "whd";
    /// A part of the log that a webhook endpoint is told again.
    WebhookReplay = "whr";
    /// A recipient that is not written to.
    Suppression = "sup";
    /// An account.
    Account = "acc";
    /// A domain that we serve.
    Domain = "dom";
    /// An address of an account.
    Address = "adr";
    /// An API key.
    ApiKey = "key";
    /// A password for one device.
    AppPassword = "crd";
    /// A session: what a login gave, until it is revoked.
    Session = "ses";
    /// A key that signs access tokens.
    SigningKey = "sgk";
    /// An attempt to log in.
    LoginAttempt = "lga";
    /// A mailbox (folder).
    Mailbox = "mbx";
    /// A mail in a mailbox.
    Mail = "mail";
    /// What a mail says, shared by its copies.
    MailContent = "mct";
    /// A conversation.
    Thread = "thr";
    /// A request or connection.
    Request = "req";
    /// An entry of the audit log.
    Audit = "aud";
    /// A rule that holds deliveries.
    Hold = "hld";
    /// A node of the installation.
    Node = "nod";
    /// A template of messages.
    Template = "tpl";
    /// What becomes of mail that comes in.
    InboundRoute = "irt";
    /// A way out for mail.
    Transport = "trn";
    /// A rule that chooses a transport.
    Route = "rte";
    /// A file that messages attach.
    Upload = "upl";
    /// The MTA-STS policy of a domain.
    MtaStsPolicy = "sts";
    /// A report about TLS that we send.
    TlsReportSent = "tlo";
    /// An address that gets no reports about TLS.
    TlsReportSuppression = "tls";
}

/// Identifier of a `K`.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> From<Uuid> for Id<K> {
    fn from(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }
}
impl<K> From<Id<K>> for Uuid {
    fn from(id: Id<K>) -> Self {
        id.0
    }
}

pub(crate) const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const NUMBER_BITS: u32 = 12;
const SHARD_MASK: u128 = 0xff;
const NUMBER_MASK: u128 = 0xfff;

impl<K: Kind> Id<K> {
    /// Makes a new id for the time `now` (RFC 9562 §5.7) with 74 random bits.
    pub fn new(now: OffsetDateTime) -> Self {
        let millis = now.unix_timestamp_nanos() / 1_000_000;
        let millis = u128::try_from(millis).unwrap_or(0) & 0xffff_ffff_ffff;
        let mut random = [0_u8; 16];
        rand::rng().fill_bytes(&mut random);
        let random = u128::from_be_bytes(random) & ((1 << 80) - 1);
        let value = (millis << 80) | random;
        let value = (value & !(0xf << 76)) | (0x7 << 76);
        let value = (value & !(0b11 << 62)) | (0b10 << 62);
        Self(Uuid::from_u128(value), PhantomData)
    }

    /// The smallest id of the time `at`: a bound for ranges of ids.
    pub fn lower_bound(at: OffsetDateTime) -> Self {
        let millis = u128::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        Self(Uuid::from_u128((millis & 0xffff_ffff_ffff) << 80), PhantomData)
    }
}

impl<K> Id<K> {
    /// The UUID that the database stores.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// When the id was made, to the millisecond.
    pub fn created_at(self) -> Option<OffsetDateTime> {
        let millis = i128::try_from(self.0.as_u128() >> 80).ok()?;
        OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).ok()
    }
}

impl Id<Message> {
    /// Makes a new message id in `shard`.
    pub fn in_shard(now: OffsetDateTime, shard: u8) -> Self {
        let base = Self::new(now).0.as_u128() & !((SHARD_MASK << NUMBER_BITS) | NUMBER_MASK);
        Self(Uuid::from_u128(base | (u128::from(shard) << NUMBER_BITS)), PhantomData)
    }

    /// Id of the delivery to the recipient with the given number, from 1 to 4,095.
    pub fn delivery(self, number: u16) -> Id<Delivery> {
        let number = u128::from(number) & NUMBER_MASK;
        Id(Uuid::from_u128((self.0.as_u128() & !NUMBER_MASK) | number), PhantomData)
    }

    /// The queue shard that the message is in.
    pub fn shard(self) -> u8 {
        shard(self.0)
    }

    /// Ids of all possible deliveries of this message, for a range scan.
    pub fn deliveries(self) -> std::ops::RangeInclusive<Uuid> {
        self.0..=Uuid::from_u128(self.0.as_u128() | NUMBER_MASK)
    }
}

impl Id<Delivery> {
    /// The message that is delivered.
    pub const fn message(self) -> Id<Message> {
        Id(Uuid::from_u128(self.0.as_u128() & !NUMBER_MASK), PhantomData)
    }

    /// The queue shard that the delivery is in.
    pub fn shard(self) -> u8 {
        shard(self.0)
    }
}

fn shard(uuid: Uuid) -> u8 {
    u8::try_from((uuid.as_u128() >> NUMBER_BITS) & SHARD_MASK).unwrap_or(0)
}

/// 128 bits as 26 characters of Crockford base32.
pub(crate) struct Digits(pub(crate) u128);

impl Digits {
    /// Reads what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != 26 {
            return None;
        }
        let mut value = 0_u128;
        for (place, character) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|known| *known == character)?;
            if place == 0 && digit > 7 {
                return None;
            }
            value = (value << 5) | u128::try_from(digit).unwrap_or(0);
        }
        Some(Self(value))
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; 26];
        for (place, character) in text.iter_mut().rev().enumerate() {
            let index = usize::try_from((self.0 >> (5 * place)) & 31).unwrap_or(0);
            *character = ALPHABET.get(index).copied().unwrap_or(b'0');
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, Digits(self.0.as_u128()))
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an id of the form {0}_ and 26 characters")]
pub struct IdError(&'static str);

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fault = IdError(K::PREFIX);
        let digits = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_'));
        let Digits(value) = digits.and_then(Digits::parse).ok_or(fault)?;
        Ok(Self(Uuid::from_u128(value), PhantomData))
    }
}

impl<K: Kind> serde::Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> serde::Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap()
    }

    #[test]
    fn text_form_round_trips() {
        let id = Id::<Message>::new(now());
        let text = id.to_string();
        assert_eq!(text.len(), 4 + 26);
        assert_eq!(text.parse::<Id<Message>>(), Ok(id));
        assert!(text.parse::<Id<Account>>().is_err());
        assert!("msg_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<Id<Message>>().is_err());
        assert!("msg_0000".parse::<Id<Message>>().is_err());
    }

    #[test]
    fn deliveries_know_message_and_shard() {
        let message = Id::<Message>::in_shard(now(), 200);
        assert_eq!(message.shard(), 200);
        let delivery = message.delivery(1000);
        assert_eq!(delivery.message(), message);
        assert_eq!(delivery.shard(), 200);
        assert!(message.deliveries().contains(&delivery.uuid()));
        assert_eq!(message.uuid().get_version_num(), 7);
    }

    #[test]
    fn ids_order_by_time() {
        let earlier = Id::<Event>::new(now());
        let later = Id::<Event>::new(now() + time::Duration::milliseconds(1));
        assert!(earlier < later);
        assert!(Id::<Event>::lower_bound(now()) <= earlier);
    }
}
