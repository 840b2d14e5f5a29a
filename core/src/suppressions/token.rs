//! What stands in an unsubscribe link: who does not want what any more.
//!
//! The text is encrypted and authenticated with a key of its own, so that nobody can make one up and
//! that it tells nothing. It needs no row in the database, as links are used long after the message
//! is forgotten. AES-GCM-SIV (RFC 8452), because there are far more links than random nonces that
//! may stand under one key of AES-GCM.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use posthouse_mail::address::Address;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    id::{Account, Delivery, Id},
    vault::Vault,
};

const PURPOSE: &str = "unsubscribe";
const VERSION: u8 = 1;
/// No text of ours is longer: address and topic have limits.
const MAX_LEN: usize = 1024;

/// What a link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub account: Id<Account>,
    pub delivery: Id<Delivery>,
    pub recipient: Address,
    pub topic: Option<String>,
}

fn key(vault: &Vault) -> Result<RandomizedNonceKey> {
    let octets = vault.derive(PURPOSE)?;
    RandomizedNonceKey::new(&AES_256_GCM_SIV, &*octets).map_err(Error::internal)
}

impl Link {
    /// Writes the link: letters, digits, `-` and `_`.
    pub(crate) fn seal(&self, vault: &Vault) -> Result<String> {
        let topic = self.topic.as_deref().unwrap_or_default();
        let mut text = vec![VERSION];
        text.extend_from_slice(self.account.uuid().as_bytes());
        text.extend_from_slice(self.delivery.uuid().as_bytes());
        text.push(u8::try_from(topic.len()).map_err(Error::internal)?);
        text.extend_from_slice(topic.as_bytes());
        text.extend_from_slice(self.recipient.to_string().as_bytes());
        let nonce = key(vault)?
            .seal_in_place_append_tag(Aad::from(PURPOSE.as_bytes()), &mut text)
            .map_err(Error::internal)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Reads what [`Self::seal`] wrote; none: it was not us.
    pub(crate) fn open(vault: &Vault, token: &str) -> Result<Option<Self>> {
        if token.len() > MAX_LEN {
            return Ok(None);
        }
        let Ok(sealed) = URL_SAFE_NO_PAD.decode(token) else { return Ok(None) };
        let Some((nonce, text)) = sealed.split_at_checked(NONCE_LEN) else { return Ok(None) };
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(Error::internal)?;
        let mut text = text.to_vec();
        let aad = Aad::from(PURPOSE.as_bytes());
        let opened = key(vault)?.open_in_place(nonce, aad, &mut text);
        Ok(opened.ok().and_then(|text| Self::read(text)))
    }

    fn read(text: &[u8]) -> Option<Self> {
        let rest = text.strip_prefix(&[VERSION])?;
        let (account, rest) = rest.split_at_checked(16)?;
        let (delivery, rest) = rest.split_at_checked(16)?;
        let (length, rest) = rest.split_first()?;
        let (topic, recipient) = rest.split_at_checked(usize::from(*length))?;
        let topic = std::str::from_utf8(topic).ok()?;
        Some(Self {
            account: Uuid::from_slice(account).ok()?.into(),
            delivery: Uuid::from_slice(delivery).ok()?.into(),
            recipient: Address::parse(std::str::from_utf8(recipient).ok()?).ok()?,
            topic: Some(topic.to_owned()).filter(|topic| !topic.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(topic: Option<&str>) -> Link {
        let now = time::OffsetDateTime::UNIX_EPOCH;
        Link {
            account: Id::new(now),
            delivery: Id::in_shard(now, 7).delivery(1),
            recipient: Address::parse("bob@example.net").unwrap(),
            topic: topic.map(str::to_owned),
        }
    }

    #[test]
    fn a_link_opens_with_the_same_key_only() {
        let vault = Vault::new(&[7; 32]).unwrap();
        for link in [link(None), link(Some("news"))] {
            let token = link.seal(&vault).unwrap();
            assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
            assert_eq!(Link::open(&vault, &token).unwrap(), Some(link));
            let other = Vault::new(&[8; 32]).unwrap();
            assert_eq!(Link::open(&other, &token).unwrap(), None);
        }
    }

    #[test]
    fn a_link_tells_nothing_and_cannot_be_changed() {
        let vault = Vault::new(&[7; 32]).unwrap();
        let token = link(Some("news")).seal(&vault).unwrap();
        let octets = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for clear in ["bob", "example", "news"] {
            assert!(!octets.windows(clear.len()).any(|octets| octets == clear.as_bytes()));
        }
        for at in 0..octets.len() {
            let mut changed = octets.clone();
            changed[at] ^= 1;
            let token = URL_SAFE_NO_PAD.encode(&changed);
            assert_eq!(Link::open(&vault, &token).unwrap(), None, "octet {at}");
            let short = URL_SAFE_NO_PAD.encode(&octets[..at]);
            assert_eq!(Link::open(&vault, &short).unwrap(), None);
        }
        for token in ["", "!", "é", &"A".repeat(5000)] {
            assert_eq!(Link::open(&vault, token).unwrap(), None);
        }
    }
}
