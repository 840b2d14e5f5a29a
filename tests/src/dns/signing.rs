//! Keys and signatures of zones (RFC 4034).

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hickory_proto::{
    dnssec::{
        DigestType, DnssecSigner, PublicKey as _, SigningKey as _,
        crypto::Ed25519SigningKey,
        rdata::{DNSKEY, DNSSECRData, DS, RRSIG},
    },
    rr::{DNSClass, Name, RData, Record, RecordSet},
};
use time::OffsetDateTime;

const MONTH: Duration = Duration::from_hours(30 * 24);

/// What is wrong with the signatures of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureFault {
    Expired,
    Forged,
    Missing,
    Unproven,
}

/// The one key of a zone.
pub(super) struct Key {
    signer: DnssecSigner,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    pub(super) fn generate(origin: &Name) -> Arc<Self> {
        let pkcs8 = Ed25519SigningKey::generate_pkcs8().unwrap();
        let key = Ed25519SigningKey::from_pkcs8(&pkcs8).unwrap();
        let dnskey = DNSKEY::from_key(&key.to_public_key().unwrap());
        let signer = DnssecSigner::new(dnskey, Box::new(key), origin.clone(), MONTH);
        Arc::new(Self { signer })
    }

    pub(super) fn dnskey(&self) -> RData {
        RData::DNSSEC(DNSSECRData::DNSKEY(self.signer.to_dnskey()))
    }

    /// What the zone above has about this one.
    pub(super) fn ds(&self) -> RData {
        let key = self.signer.key().to_public_key().unwrap();
        let ds = DS::from_key(&key, self.signer.signer_name(), DigestType::SHA256).unwrap();
        RData::DNSSEC(DNSSECRData::DS(ds))
    }

    pub(super) fn trust_anchor(&self) -> String {
        let key = self.signer.dnskey();
        let public = key.public_key();
        let (algorithm, text) =
            (u8::from(public.algorithm()), STANDARD.encode(public.public_bytes()));
        format!(
            "{} 3600 IN DNSKEY {} 3 {algorithm} {text}\n",
            self.signer.signer_name(),
            key.flags()
        )
    }

    /// Signs records of `source`, which is a wildcard where `owner` was made from one.
    pub(super) fn sign(
        &self,
        owner: &Name,
        source: &Name,
        data: &[RData],
        fault: Option<SignatureFault>,
    ) -> Option<Record> {
        let kind = data.first()?.record_type();
        let mut set = RecordSet::new(source.clone(), kind, 0);
        let record = |data: &RData| Record::from_rdata(source.clone(), 0, data.clone());
        set.set_records(data.iter().map(record).collect());
        #[expect(clippy::disallowed_methods, reason = "validators have the time of the machine")]
        let now = OffsetDateTime::now_utc();
        let age = if fault == Some(SignatureFault::Expired) { 2 * MONTH } else { MONTH / 2 };
        let signature = RRSIG::from_rrset(&set, DNSClass::IN, now - age, &self.signer).unwrap();
        let signature = match fault {
            Some(SignatureFault::Missing) => return None,
            Some(SignatureFault::Forged) => {
                let mut octets = signature.sig().to_vec();
                octets[0] ^= 1;
                RRSIG::from_sig(signature.input().clone(), octets)
            }
            _ => signature,
        };
        Some(Record::from_rdata(owner.clone(), 0, RData::DNSSEC(DNSSECRData::RRSIG(signature))))
    }
}
