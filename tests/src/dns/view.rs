//! A zone as the world sees it: with its apex, its delegations, and proofs of what it has not.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use hickory_proto::{
    dnssec::rdata::{DNSSECRData, NSEC},
    op::Message,
    rr::{Name, RData, Record, RecordType, rdata::NS},
};

use super::{State, Zone, signing::SignatureFault};

pub(super) struct View<'a> {
    zone: &'a Zone,
    records: BTreeMap<Name, Vec<RData>>,
    /// Names of other zones directly beneath.
    cuts: Vec<Name>,
    signs: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(state: &State, zone: &'a Zone, signs: bool) -> Self {
        let mut records = zone.records.clone();
        let apex = records.entry(zone.origin.clone()).or_default();
        apex.extend([zone.soa(), RData::NS(NS(zone.name("ns")))]);
        apex.extend(zone.key.as_ref().map(|key| key.dnskey()));
        let mut cuts = Vec::new();
        for child in state.zones.values() {
            let is_own = state.zone_of(&child.origin, RecordType::DS).origin == zone.origin;
            if child.origin == zone.origin || !is_own {
                continue;
            }
            let mut data = vec![RData::NS(NS(child.name("ns")))];
            data.extend(child.key.as_ref().map(|key| key.ds()));
            records.retain(|name, _| !child.origin.zone_of(name));
            records.insert(child.origin.clone(), data);
            cuts.push(child.origin.clone());
        }
        Self { zone, records, cuts, signs: signs && zone.key.is_some() }
    }

    /// Whether the name has records, or is on the way to one that has.
    pub(super) fn exists(&self, name: &Name) -> bool {
        self.records.keys().any(|known| name.zone_of(known))
    }

    /// The records of a name, and the wildcard that they come from, if it is not its own.
    pub(super) fn records(&self, name: &Name) -> (Option<Name>, &[RData]) {
        let of = |name: &Name| self.records.get(name).map_or(&[][..], Vec::as_slice);
        if self.exists(name) {
            return (None, of(name));
        }
        let wildcard = self.wildcard(name);
        if self.records.contains_key(&wildcard) {
            let data = of(&wildcard);
            return (Some(wildcard), data);
        }
        (None, &[])
    }

    /// The wildcard beneath the nearest name that exists.
    fn wildcard(&self, name: &Name) -> Name {
        let mut encloser = name.base_name();
        while !encloser.is_root() && !self.exists(&encloser) {
            encloser = encloser.base_name();
        }
        encloser.prepend_label("*").unwrap()
    }

    /// Records with their signature.
    pub(super) fn signed(&self, owner: &Name, source: &Name, data: &[RData]) -> Vec<Record> {
        let mut records: Vec<_> =
            data.iter().map(|data| Record::from_rdata(owner.clone(), 0, data.clone())).collect();
        // The zone above does not sign the NS records of the one beneath (RFC 4035 §2.2).
        let is_cut = self.cuts.contains(source)
            && data.first().is_some_and(|data| data.record_type() == RecordType::NS);
        if let Some(key) = self.zone.key.as_ref().filter(|_| self.signs && !is_cut) {
            let fault = self.zone.faults.get(&owner.to_lowercase()).copied();
            records.extend(key.sign(owner, source, data, fault));
        }
        records
    }

    /// Proves that a name, or the kind of record at it, does not exist (RFC 4035 §3.1.3).
    pub(super) fn deny(&self, name: &Name, response: &mut Message) {
        let origin = &self.zone.origin;
        response.authorities.extend(self.signed(origin, origin, &[self.zone.soa()]));
        let mut proofs = BTreeSet::from([self.nearest(name)]);
        if !self.exists(name) {
            proofs.insert(self.nearest(&self.wildcard(name)));
        }
        let fault = self.zone.faults.get(name).copied();
        for owner in proofs {
            self.add_nsec(&owner, fault, response);
        }
    }

    /// Proves that there is nothing nearer than the wildcard (RFC 4035 §3.1.3.3).
    pub(super) fn prove_wildcard(&self, name: &Name, response: &mut Message) {
        let fault = self.zone.faults.get(name).copied();
        if fault != Some(SignatureFault::Unproven) {
            self.add_nsec(&self.nearest(name), fault, response);
        }
    }

    /// The name itself or the last one before it.
    fn nearest(&self, name: &Name) -> Name {
        self.records.range(..=name).next_back().map_or(&self.zone.origin, |(name, _)| name).clone()
    }

    fn add_nsec(&self, owner: &Name, fault: Option<SignatureFault>, response: &mut Message) {
        let Some(key) = self.zone.key.as_ref().filter(|_| self.signs) else { return };
        let after = (Bound::Excluded(owner), Bound::Unbounded);
        let next = self.records.range::<Name, _>(after).next();
        let next = next.map_or(&self.zone.origin, |(name, _)| name);
        let kinds = self.records.get(owner).into_iter().flatten().map(RData::record_type);
        let nsec = NSEC::new_cover_self(next.clone(), kinds);
        let data = [RData::DNSSEC(DNSSECRData::NSEC(nsec))];
        let record = Record::from_rdata(owner.clone(), 0, data[0].clone());
        if response.authorities.contains(&record) {
            return;
        }
        response.authorities.push(record);
        response.authorities.extend(key.sign(owner, owner, &data, fault));
    }
}
