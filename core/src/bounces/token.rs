//! Tokens in reverse-paths: `alice+<token>@example.test`. Whoever answers to such an address has
//! seen the message, and nobody else can make one up.
//!
//! A token has 40 characters of base32, which survive a change of case: 72 bits that find the
//! message among those of the account, and 128 bits of HMAC over account and these bits.

use std::sync::Arc;

use aws_lc_rs::hmac;
use posthouse_mail::address::{Address, LocalPartRules};

use crate::{
    error::Result,
    id::{self, ALPHABET, Account, Id},
    platform::Platform,
    queue::store::Message,
    vault::Vault,
};

/// Characters of a token.
const LENGTH: usize = 40;
/// Octets that say which message it is: time, random bits, shard.
const MARK: usize = 9;
/// Octets of the code.
const CODE: usize = 16;
/// The bits of an id above its number that go into the mark: shard and 16 random ones.
const LOW: u128 = 0xff_ffff;

/// Makes and checks tokens; made once, as it is needed for every attempt.
pub(crate) struct TokenKey(hmac::Key);

/// What a token says of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    millis: u128,
    low: u128,
}

impl Mark {
    fn of(message: Id<id::Message>) -> Self {
        let id = message.uuid().as_u128();
        Self { millis: id >> 80, low: (id >> 12) & LOW }
    }

    /// Whether it was made for this message.
    pub(super) fn is_of(self, message: Id<id::Message>) -> bool {
        self == Self::of(message)
    }

    /// The first and the last id that the message can have.
    pub(super) const fn bounds(self) -> (uuid::Uuid, uuid::Uuid) {
        let first = self.millis << 80;
        (uuid::Uuid::from_u128(first), uuid::Uuid::from_u128(first | ((1 << 80) - 1)))
    }

    fn octets(self) -> [u8; MARK] {
        let mut octets = [0; MARK];
        let value = (self.millis << 24) | self.low;
        octets.copy_from_slice(value.to_be_bytes().last_chunk::<MARK>().unwrap_or(&[0; MARK]));
        octets
    }
}

impl TokenKey {
    /// Derives the key from the master key.
    pub(crate) fn new(vault: &Vault) -> Result<Self> {
        Ok(Self(vault.mac_key("bounce address")?))
    }

    /// The token of a message.
    fn seal(&self, account: Id<Account>, message: Id<id::Message>) -> String {
        let mark = Mark::of(message).octets();
        let code = hmac::sign(&self.0, &covered(account, mark));
        let octets = [&mark, code.as_ref().first_chunk::<CODE>().unwrap_or(&[0; CODE]).as_slice()];
        encode(&octets.concat())
    }

    /// What the token in the local part of `address` says, if it is one for `account`.
    pub(crate) fn open_address(&self, account: Id<Account>, address: &Address) -> Option<Mark> {
        let local = address.local();
        let (before, token) = local.split_at_checked(local.len().checked_sub(LENGTH)?)?;
        let separated = before.ends_with(|c: char| !c.is_alphanumeric());
        if separated { self.open(account, token) } else { None }
    }

    /// What a token says, if it is one for `account`.
    pub(super) fn open(&self, account: Id<Account>, token: &str) -> Option<Mark> {
        let octets = decode(token)?;
        let (mark, code) = octets.split_first_chunk::<MARK>()?;
        let right = hmac::sign(&self.0, &covered(account, *mark));
        let right = right.as_ref().first_chunk::<CODE>()?;
        aws_lc_rs::constant_time::verify_slices_are_equal(right, code).ok()?;
        let value = mark.iter().fold(0_u128, |value, octet| (value << 8) | u128::from(*octet));
        Some(Mark { millis: value >> 24, low: value & LOW })
    }
}

/// What the code is over.
fn covered(account: Id<Account>, mark: [u8; MARK]) -> Vec<u8> {
    [account.uuid().as_bytes().as_slice(), &mark].concat()
}

/// 5 octets in 8 characters at a time.
fn encode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(LENGTH);
    for group in octets.chunks(5) {
        let value = group.iter().fold(0_u64, |value, octet| (value << 8) | u64::from(*octet));
        for place in (0..8).rev() {
            let digit = usize::try_from((value >> (5 * place)) & 31).unwrap_or(0);
            text.push(char::from(ALPHABET.get(digit).copied().unwrap_or(b'0')));
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() != LENGTH {
        return None;
    }
    let mut octets = Vec::with_capacity(MARK + CODE);
    for group in text.as_bytes().chunks(8) {
        let mut value = 0_u64;
        for character in group {
            let wanted = character.to_ascii_lowercase();
            let digit = ALPHABET.iter().position(|known| *known == wanted)?;
            value = (value << 5) | u64::try_from(digit).ok()?;
        }
        octets.extend_from_slice(value.to_be_bytes().last_chunk::<5>()?);
    }
    Some(octets)
}

/// The reverse-path that an attempt uses: with the token of the message, if the domain wants that
/// and there is room for it. Who `relays` gets it as it is: many take only senders that they know.
pub(crate) async fn sender(platform: &Platform, message: &Message, relays: bool) -> Arc<str> {
    let plain = || Arc::clone(&message.mail_from);
    if relays {
        return plain();
    }
    let Ok(address) = Address::parse(&message.mail_from) else {
        return plain();
    };
    let token = match platform.directory().domain(platform, address.domain()).await {
        Ok(Some(domain)) if domain.bounce_tokens => {
            let token = platform.token_key().seal(message.account, message.id);
            with_token(&address, &domain.rules, &token)
        }
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(message.id = %message.id, %error, "a message goes without a token");
            None
        }
    };
    token.map_or_else(plain, |address| address.as_smtp().into())
}

/// What servers with DSN are asked to name the message by in their reports.
pub(crate) fn envelope_id(platform: &Platform, message: &Message) -> Arc<str> {
    platform.token_key().seal(message.account, message.id).into()
}

fn with_token(address: &Address, rules: &LocalPartRules, token: &str) -> Option<Address> {
    let separator = rules.separators.iter().find(|separator| !separator.is_empty())?;
    let base = rules.without_tag(address.local());
    address.with_local(&format!("{base}{separator}{token}")).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: time::OffsetDateTime = datetime!(2026-11-21 10:00 UTC);

    fn key(master: u8) -> TokenKey {
        TokenKey::new(&Vault::new(&[master; 32]).unwrap()).unwrap()
    }

    fn address(local: &str) -> Address {
        Address::new(local, "example.test").unwrap()
    }

    fn rules(separators: &[&str]) -> LocalPartRules {
        let separators = separators.iter().map(|text| (*text).to_owned()).collect();
        LocalPartRules { separators, case_sensitive: false }
    }

    #[test]
    fn a_token_opens_for_its_account_only_in_any_case() {
        let (account, message) = (Id::new(NOW), Id::in_shard(NOW, 200));
        let token = key(7).seal(account, message);
        assert_eq!(token.len(), LENGTH);
        for text in [token.clone(), token.to_ascii_uppercase()] {
            let mark = key(7).open(account, &text).unwrap();
            assert!(mark.is_of(message));
            assert!(!mark.is_of(Id::in_shard(NOW, 201)));
            let (first, last) = mark.bounds();
            assert!(first <= message.uuid() && message.uuid() <= last);
        }
        assert_eq!(key(7).open(Id::new(NOW), &token), None, "another account");
        assert_eq!(key(8).open(account, &token), None, "another master key");
        let plain = message.to_string();
        let (_, tail) = plain.split_at(14);
        assert!(!token.contains(tail), "the rest of the id is not told");
    }

    #[test]
    fn every_single_bit_counts() {
        let (account, message) = (Id::new(NOW), Id::in_shard(NOW, 3));
        let token = key(7).seal(account, message);
        let octets = decode(&token).unwrap();
        assert_eq!(encode(&octets), token);
        for bit in 0..octets.len() * 8 {
            let mut forged = octets.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key(7).open(account, &encode(&forged)), None, "{bit}");
        }
        let (first, rest) = token.split_at(1);
        for text in
            ["", "x", rest, &format!("{token}0"), &format!("u{rest}"), &format!("{rest}{first}")]
        {
            assert_eq!(key(7).open(account, text), None, "{text}");
        }
    }

    #[test]
    fn it_stands_behind_the_first_separator_of_the_domain_if_there_is_room() {
        let token = "0".repeat(LENGTH);
        let sender = |local: &str, separators: &[&str]| {
            let with = with_token(&address(local), &rules(separators), &token)?;
            Some(with.local().replace(&token, "T"))
        };
        assert_eq!(sender("alice", &["+"]).as_deref(), Some("alice+T"));
        assert_eq!(sender("Alice+news", &["+"]).as_deref(), Some("Alice+T"));
        assert_eq!(sender("alice-news", &["--", "-"]).as_deref(), Some("alice--T"));
        assert_eq!(sender("x".repeat(23).as_str(), &["+"]).unwrap().len(), 25);
        assert_eq!(sender("x".repeat(24).as_str(), &["+"]), None);
        assert_eq!(sender("alice", &[]), None);
        assert_eq!(sender("a b", &["+"]).as_deref(), Some("a b+T"), "quoted on the wire");
    }

    #[test]
    fn addresses_without_a_token_have_none() {
        let (account, message) = (Id::new(NOW), Id::in_shard(NOW, 3));
        let token = key(7).seal(account, message);
        let open = |local: &str| key(7).open_address(account, &address(local)).is_some();
        assert!(
            open(&format!("alice+{token}")) && open(&format!("ALICE-{}", token.to_uppercase()))
        );
        for local in ["alice", "alice+news", &token, &format!("alice{token}"), "é+x"] {
            assert!(!open(local), "{local}");
        }
    }
}
