//! Zones.

mod builder;
mod error;

use std::fmt;
use std::sync::Arc;

use crate::name::OwnerName;
use crate::node::{Named, Node};
use crate::policy_version::Binding;
use crate::record_type::{CNAME, NS, SOA};
use crate::rrset::RrSet;
use crate::table::CowTable;

pub use builder::ZoneBuilder;
pub use error::ZoneError;

/// One zone. Made by [`Zone::builder`] or an [`Assembly`](crate::Assembly),
/// which hold the invariants.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Name of the zone.
    pub apex: OwnerName,
    /// Serial number of the SOA record.
    pub serial: u32,
    /// The SOA record; it is also among the apex node's data.
    pub soa: RrSet,
    /// TTL of negative answers in seconds: the smaller of the SOA record's TTL
    /// and its MINIMUM field (RFC 2308 section 3).
    pub negative_ttl: u32,
    /// Every name that exists. The apex is always there.
    names: Names,
    /// How many names below the apex have NS records, and how many names are
    /// wildcards: in a zone without either, a look-up has nothing to look for
    /// above the name.
    cuts: usize,
    wildcards: usize,
}

/// The hash of a name in one zone. Another zone hashes differently.
#[derive(Clone, Copy, Debug)]
pub struct NameHash(u64);

impl Zone {
    /// Starts a zone with its SOA record.
    ///
    /// # Errors
    /// [`ZoneError::MalformedSoa`] unless `soa` holds exactly one well-formed
    /// SOA record.
    pub fn builder(apex: OwnerName, soa: RrSet) -> Result<ZoneBuilder, ZoneError> {
        Self::new(apex, soa).map(ZoneBuilder::new)
    }

    /// A zone of nothing but its SOA record.
    pub(crate) fn new(apex: OwnerName, soa: RrSet) -> Result<Self, ZoneError> {
        let mut zone = Self {
            serial: 0,
            negative_ttl: 0,
            names: Names::of(Named::empty(apex.clone(), 0)),
            cuts: 0,
            wildcards: 0,
            soa: soa.clone(),
            apex,
        };
        zone.set_soa(soa)?;
        Ok(zone)
    }

    /// What is at a name; `None` when the name does not exist.
    pub fn node(&self, name: &OwnerName) -> Option<&Node> {
        self.node_by_wire(name.as_wire())
    }

    /// As [`Zone::node`], by wire form in lower case, such as
    /// [`OwnerName::suffixes`] gives.
    pub fn node_by_wire(&self, wire: &[u8]) -> Option<&Node> {
        self.names.get(wire).map(|name| &name.node)
    }

    /// The hash by which this zone finds a name, given in wire form and lower
    /// case.
    pub fn hash_of(&self, wire: &[u8]) -> NameHash {
        NameHash(self.names.0.hash(wire))
    }

    /// What is at the name of this hash, if that exists. It may be what is at
    /// another, as no name is compared: this is for reading ahead.
    pub fn likely_node(&self, hash: NameHash) -> Option<&Node> {
        let named = self.names.0.find_hashed(hash.0, |_| true);
        named.map(|named| &named.node)
    }

    /// How many names exist.
    pub fn name_count(&self) -> usize {
        self.names.0.len()
    }

    /// Whether some of the zone is delegated to others.
    pub fn has_cuts(&self) -> bool {
        self.cuts > 0
    }

    /// Whether any wildcard stands for names that do not exist.
    pub fn has_wildcards(&self) -> bool {
        self.wildcards > 0
    }

    /// All names that exist, empty non-terminals included, in no order.
    pub fn names(&self) -> impl Iterator<Item = (&OwnerName, &Node)> {
        self.names.0.iter().map(|name| (&name.owner, &name.node))
    }

    /// Replaces the SOA record.
    pub(crate) fn set_soa(&mut self, soa: RrSet) -> Result<(), ZoneError> {
        let malformed = || ZoneError::MalformedSoa(self.apex.clone());
        let [rdata] = soa.rdata.as_slice() else {
            return Err(malformed());
        };
        let (serial, minimum) = read_soa(rdata).ok_or_else(malformed)?;
        if soa.record_type != SOA {
            return Err(malformed());
        }
        self.serial = serial;
        self.negative_ttl = soa.ttl.min(minimum);
        self.soa = soa.clone();
        let apex = self.apex.clone();
        self.edit(&apex, |node| {
            node.remove(SOA);
            node.insert(soa);
        });
        Ok(())
    }

    /// Makes room for so many names more.
    pub(crate) fn reserve(&mut self, names: usize) {
        self.names.0.reserve(names);
    }

    /// Adds static data at a name, or changes nothing.
    pub(crate) fn insert(&mut self, owner: &OwnerName, rrset: RrSet) -> Result<(), ZoneError> {
        let record_types = [rrset.record_type];
        if rrset.rdata.is_empty() {
            return Err(ZoneError::Empty(owner.clone()));
        }
        self.put(owner, &record_types, |node| node.insert(rrset))
    }

    /// Serves a policy at a name, or changes nothing.
    pub(crate) fn bind(
        &mut self,
        owner: &OwnerName,
        binding: Arc<Binding>,
    ) -> Result<(), ZoneError> {
        if binding.record_types.is_empty() {
            return Err(ZoneError::Empty(owner.clone()));
        }
        let record_types = binding.record_types.clone();
        self.put(owner, &record_types, |node| node.bind(binding))
    }

    /// Adds something of these types at a name, or changes nothing.
    fn put(
        &mut self,
        owner: &OwnerName,
        record_types: &[u16],
        add: impl FnOnce(&mut Node),
    ) -> Result<(), ZoneError> {
        self.check_owner(owner, record_types)?;
        let Some(name) = self.names.get_mut(owner.as_wire()) else {
            self.edit_new(owner, add);
            return Ok(());
        };
        check_beside(owner, &name.node, record_types)?;
        let was_cut = name.node.rrset(NS).is_some();
        add(&mut name.node);
        if *owner != self.apex && !was_cut && name.node.rrset(NS).is_some() {
            self.cuts += 1;
        }
        Ok(())
    }

    /// Changes what is at a name. The name begins to exist with its first
    /// data, and ceases to with its last unless something exists below it.
    /// `owner` is at or below the apex.
    pub(crate) fn edit(&mut self, owner: &OwnerName, change: impl FnOnce(&mut Node)) {
        let Some(name) = self.names.get_mut(owner.as_wire()) else {
            self.edit_new(owner, change);
            return;
        };
        let was_cut = name.node.rrset(NS).is_some();
        change(&mut name.node);
        let is_cut = name.node.rrset(NS).is_some();
        let is_gone = name.node.is_empty() && name.below == 0;
        if *owner != self.apex {
            self.cuts = self.cuts + usize::from(is_cut) - usize::from(was_cut);
        }
        if is_gone {
            self.remove_name(owner.clone());
        }
    }

    /// As [`Zone::edit`], of a name that does not exist.
    fn edit_new(&mut self, owner: &OwnerName, change: impl FnOnce(&mut Node)) {
        let mut name = Named::empty(owner.clone(), 0);
        change(&mut name.node);
        if !name.node.is_empty() {
            self.cuts += usize::from(name.node.rrset(NS).is_some());
            self.add_name(name);
        }
    }

    /// Makes a name exist that does not, and the names between it and the
    /// apex. The apex itself always exists.
    fn add_name(&mut self, name: Named) {
        let mut above = name.owner.parent();
        self.wildcards += usize::from(name.owner.is_wildcard());
        self.names.insert(name);
        while let Some(name) = above {
            if let Some(existing) = self.names.get_mut(name.as_wire()) {
                existing.below += 1;
                return;
            }
            above = name.parent();
            self.wildcards += usize::from(name.is_wildcard());
            self.names.insert(Named::empty(name, 1));
        }
    }

    /// Makes a name not exist, and the names above it that only led to it.
    fn remove_name(&mut self, name: OwnerName) {
        let mut gone = name;
        while gone != self.apex {
            self.wildcards -= usize::from(gone.is_wildcard());
            self.names.remove(gone.as_wire());
            let Some(parent) = gone.parent() else { return };
            let Some(above) = self.names.get_mut(parent.as_wire()) else {
                return;
            };
            above.below -= 1;
            if above.below > 0 || !above.node.is_empty() {
                return;
            }
            gone = parent;
        }
    }

    /// Whether anything of these types can be at a name of this zone.
    fn check_owner(&self, owner: &OwnerName, record_types: &[u16]) -> Result<(), ZoneError> {
        if !owner.is_at_or_below(&self.apex) {
            return Err(ZoneError::OutOfZone {
                name: owner.clone(),
                apex: self.apex.clone(),
            });
        }
        if owner.is_wildcard() && record_types.contains(&NS) {
            return Err(ZoneError::WildcardDelegation(owner.clone()));
        }
        Ok(())
    }
}

/// Whether something of these types can be beside what is at a name.
fn check_beside(owner: &OwnerName, node: &Node, record_types: &[u16]) -> Result<(), ZoneError> {
    if let Some(&record_type) = record_types.iter().find(|t| node.has(**t)) {
        return Err(ZoneError::Duplicate {
            name: owner.clone(),
            record_type,
        });
    }
    if node.has(CNAME) || (record_types.contains(&CNAME) && !node.is_empty()) {
        return Err(ZoneError::CnameConflict(owner.clone()));
    }
    Ok(())
}

/// The names of a zone. Each is one object, so that a look-up waits for little
/// memory, and a change copies no more than pointers beside it.
#[derive(Clone)]
struct Names(CowTable<Arc<Named>>);

impl Names {
    fn of(name: Named) -> Self {
        let mut names = Self(CowTable::new());
        names.insert(name);
        names
    }

    fn get(&self, owner: &[u8]) -> Option<&Named> {
        let named = self.0.find(owner, |held| held.owner.as_wire() == owner);
        named.map(|named| &**named)
    }

    fn get_mut(&mut self, owner: &[u8]) -> Option<&mut Named> {
        let named = self.0.find_mut(owner, |held| held.owner.as_wire() == owner);
        named.map(Arc::make_mut)
    }

    fn insert(&mut self, name: Named) {
        self.0.insert(Arc::new(name));
    }

    fn remove(&mut self, owner: &[u8]) {
        self.0.remove(owner, |held| held.owner.as_wire() == owner);
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        let same = |name: &Named| other.get(name.owner.as_wire()) == Some(name);
        self.0.is_same(&other.0)
            || (self.0.len() == other.0.len() && self.0.iter().all(|name| same(name)))
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter()).finish()
    }
}

/// Serial and MINIMUM of SOA record data (RFC 1035 section 3.3.13).
fn read_soa(rdata: &[u8]) -> Option<(u32, u32)> {
    let mut rest = rdata;
    for _ in 0..2 {
        let end = name_end(rest)?;
        OwnerName::from_wire(rest.get(..end)?).ok()?;
        rest = &rest[end..];
    }
    let (numbers, []) = rest.as_chunks::<4>() else {
        return None;
    };
    match numbers {
        [serial, _refresh, _retry, _expire, minimum] => {
            Some((u32::from_be_bytes(*serial), u32::from_be_bytes(*minimum)))
        }
        _ => None,
    }
}

/// Length of the uncompressed name at the start of `octets`.
fn name_end(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let len = usize::from(*octets.get(at)?);
        at += 1 + len;
        if len == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_type::A;

    fn name(text: &str) -> OwnerName {
        text.parse().unwrap()
    }

    fn soa(ttl: u32, minimum: u32) -> RrSet {
        let mut rdata = b"\x02ns\x00\x00".to_vec();
        for number in [7, 7200, 900, 1_209_600, minimum] {
            rdata.extend(u32::to_be_bytes(number));
        }
        set(SOA, ttl, &rdata)
    }

    fn set(record_type: u16, ttl: u32, rdata: &[u8]) -> RrSet {
        RrSet {
            record_type,
            ttl,
            rdata: vec![rdata.into()],
        }
    }

    fn builder() -> ZoneBuilder {
        Zone::builder(name("example.com"), soa(900, 60)).unwrap()
    }

    #[test]
    fn negative_ttl_is_the_smaller_of_the_two() {
        assert_eq!(builder().build().negative_ttl, 60);
        let zone = Zone::builder(name("example.com"), soa(30, 60))
            .unwrap()
            .build();
        assert_eq!((zone.negative_ttl, zone.serial), (30, 7));
        assert!(zone.node(&zone.apex).unwrap().has(SOA));
    }

    #[test]
    fn soa_must_be_whole() {
        for rdata in [
            &b""[..],
            b"\x02ns\x00\x00",
            b"\xc0\x0c\x00",
            &[0; 21],
            &[0; 23],
        ] {
            let built = Zone::builder(name("example.com"), set(SOA, 1, rdata));
            assert_eq!(
                built.unwrap_err(),
                ZoneError::MalformedSoa(name("example.com"))
            );
        }
        assert!(Zone::builder(name("example.com"), set(SOA, 1, &[0; 22])).is_ok());
        assert!(Zone::builder(name("example.com"), set(A, 1, &[0; 22])).is_err());
    }

    #[test]
    fn names_between_data_and_apex_exist() {
        let mut builder = builder();
        builder
            .insert(&name("a.b.c.example.com"), set(A, 1, &[0; 4]))
            .unwrap();
        let zone = builder.build();
        assert!(zone.node(&name("b.c.example.com")).unwrap().is_empty());
        assert!(zone.node(&name("c.example.com")).unwrap().is_empty());
        assert_eq!(zone.node(&name("d.example.com")), None);
        assert_eq!(zone.node(&name("com")), None);
    }

    #[test]
    fn cuts_and_wildcards_are_known() {
        let mut zone = builder().build();
        let has = |zone: &Zone| (zone.has_cuts(), zone.has_wildcards());
        zone.insert(&name("example.com"), set(NS, 1, b"\x00"))
            .unwrap();
        assert_eq!(has(&zone), (false, false));
        zone.insert(&name("sub.example.com"), set(NS, 1, b"\x00"))
            .unwrap();
        zone.insert(&name("a.*.example.com"), set(A, 1, &[0; 4]))
            .unwrap();
        assert_eq!(has(&zone), (true, true));
        zone.edit(&name("sub.example.com"), |node| node.remove(NS));
        assert_eq!(has(&zone), (false, true));
        zone.edit(&name("a.*.example.com"), |node| node.remove(A));
        assert_eq!(has(&zone), (false, false));
    }

    #[test]
    fn ambiguous_data_is_refused() {
        let mut builder = builder();
        let (www, apex) = (name("www.example.com"), name("example.com"));
        builder.insert(&www, set(CNAME, 1, b"\x00")).unwrap();
        let mut refused = |name: &OwnerName, set| builder.insert(name, set).unwrap_err();
        assert!(matches!(
            refused(&www, set(CNAME, 1, b"\x00")),
            ZoneError::Duplicate { .. }
        ));
        assert_eq!(
            refused(&www, set(A, 1, &[0; 4])),
            ZoneError::CnameConflict(www.clone())
        );
        assert_eq!(
            refused(&apex, set(CNAME, 1, b"\x00")),
            ZoneError::CnameConflict(apex.clone())
        );
        let star = name("*.example.com");
        assert_eq!(
            refused(&star, set(NS, 1, b"\x00")),
            ZoneError::WildcardDelegation(star.clone())
        );
        let outside = name("example.net");
        assert!(matches!(
            refused(&outside, set(A, 1, &[0; 4])),
            ZoneError::OutOfZone { .. }
        ));
    }
}
