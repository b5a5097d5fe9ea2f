//! Zones and the snapshot that holds them.

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;

use crate::name::OwnerName;
use crate::policy_version::Binding;
use crate::record_type::{CNAME, NS, SOA};
use crate::rrset::RrSet;

/// All that a node serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The zones by apex.
    pub zones: HashMap<OwnerName, Arc<Zone>>,
}

impl Snapshot {
    /// A snapshot of these zones; of two with one apex the later is kept.
    pub fn new(zones: impl IntoIterator<Item = Arc<Zone>>) -> Self {
        let zones = zones.into_iter().map(|zone| (zone.apex.clone(), zone));
        Self {
            zones: zones.collect(),
        }
    }

    /// The zone whose apex is the closest at or above `name`.
    pub fn zone_for(&self, name: &OwnerName) -> Option<&Arc<Zone>> {
        name.suffixes().find_map(|suffix| self.zones.get(suffix))
    }
}

/// One zone. Made by [`Zone::builder`], which holds the invariants.
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
    names: HashMap<OwnerName, Node>,
}

/// What a zone has at one name. Without any data it is an empty non-terminal:
/// the name exists because something exists below it (RFC 4592 section 2.2.2).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Static data, one set per type.
    pub rrsets: Vec<RrSet>,
    /// Policies served here; no type is served twice.
    pub policies: Vec<Binding>,
}

impl Node {
    /// The static data of a type.
    pub fn rrset(&self, record_type: u16) -> Option<&RrSet> {
        self.rrsets
            .iter()
            .find(|set| set.record_type == record_type)
    }

    /// The policy that answers a type.
    pub fn policy(&self, record_type: u16) -> Option<&Binding> {
        self.policies
            .iter()
            .find(|policy| policy.serves(record_type))
    }

    /// Whether static data or a policy answers the type.
    pub fn has(&self, record_type: u16) -> bool {
        self.rrset(record_type).is_some() || self.policy(record_type).is_some()
    }

    /// Whether nothing is here: an empty non-terminal.
    pub fn is_empty(&self) -> bool {
        self.rrsets.is_empty() && self.policies.is_empty()
    }
}

impl Zone {
    /// Starts a zone with its SOA record.
    ///
    /// # Errors
    /// [`ZoneError::MalformedSoa`] unless `soa` holds exactly one well-formed
    /// SOA record.
    pub fn builder(apex: OwnerName, soa: RrSet) -> Result<ZoneBuilder, ZoneError> {
        let malformed = || ZoneError::MalformedSoa(apex.clone());
        let [rdata] = soa.rdata.as_slice() else {
            return Err(malformed());
        };
        let (serial, minimum) = read_soa(rdata).ok_or_else(malformed)?;
        if soa.record_type != SOA {
            return Err(malformed());
        }
        let node = Node {
            rrsets: vec![soa.clone()],
            policies: Vec::new(),
        };
        Ok(ZoneBuilder(Self {
            serial,
            negative_ttl: soa.ttl.min(minimum),
            soa,
            names: HashMap::from([(apex.clone(), node)]),
            apex,
        }))
    }

    /// What is at a name; `None` when the name does not exist.
    pub fn node(&self, name: &OwnerName) -> Option<&Node> {
        self.names.get(name)
    }

    /// As [`Zone::node`], by wire form in lower case, such as
    /// [`OwnerName::suffixes`] gives.
    pub fn node_by_wire(&self, wire: &[u8]) -> Option<&Node> {
        self.names.get(wire)
    }

    /// All names that exist, empty non-terminals included, in no order.
    pub fn names(&self) -> impl Iterator<Item = (&OwnerName, &Node)> {
        self.names.iter()
    }
}

/// Serial and MINIMUM of SOA record data (RFC 1035 section 3.3.13).
fn read_soa(rdata: &[u8]) -> Option<(u32, u32)> {
    let mut rest = rdata;
    for _ in 0..2 {
        let end = name_end(rest)?;
        OwnerName::from_wire(&rest[..end]).ok()?;
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

/// A zone being filled. Data that would make an answer ambiguous is refused.
#[derive(Debug)]
pub struct ZoneBuilder(Zone);

/// Why data cannot be in a zone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ZoneError {
    /// The start of authority is not one well-formed SOA record.
    #[error("zone {0}: the SOA record is malformed")]
    MalformedSoa(OwnerName),
    /// The name is not at or below the apex.
    #[error("{name} is outside the zone {apex}")]
    OutOfZone {
        /// The name.
        name: OwnerName,
        /// The zone.
        apex: OwnerName,
    },
    /// The type is served at the name already.
    #[error("{name} has data of type {record_type} already")]
    Duplicate {
        /// The name.
        name: OwnerName,
        /// IANA number of the type.
        record_type: u16,
    },
    /// A CNAME excludes other data at its name (RFC 1034 section 3.6.2), and
    /// so cannot stand at an apex.
    #[error("{0} would have a CNAME beside other data")]
    CnameConflict(OwnerName),
    /// A wildcard cannot delegate (RFC 4592 section 4.2).
    #[error("{0} is a wildcard and cannot have NS records")]
    WildcardDelegation(OwnerName),
    /// A set without records, or a policy bound without types.
    #[error("{0} would get a set without data")]
    Empty(OwnerName),
}

impl ZoneBuilder {
    /// Adds static data at a name.
    ///
    /// # Errors
    /// When the data cannot be there; the zone is unchanged then.
    pub fn insert(&mut self, name: &OwnerName, rrset: RrSet) -> Result<&mut Self, ZoneError> {
        if rrset.rdata.is_empty() {
            return Err(ZoneError::Empty(name.clone()));
        }
        self.check(name, &[rrset.record_type])?;
        self.node_mut(name).rrsets.push(rrset);
        Ok(self)
    }

    /// Serves a policy at a name.
    ///
    /// # Errors
    /// When the data cannot be there; the zone is unchanged then.
    pub fn bind(&mut self, name: &OwnerName, binding: Binding) -> Result<&mut Self, ZoneError> {
        if binding.record_types.is_empty() {
            return Err(ZoneError::Empty(name.clone()));
        }
        self.check(name, &binding.record_types)?;
        self.node_mut(name).policies.push(binding);
        Ok(self)
    }

    fn check(&self, name: &OwnerName, record_types: &[u16]) -> Result<(), ZoneError> {
        if !name.is_at_or_below(&self.0.apex) {
            return Err(ZoneError::OutOfZone {
                name: name.clone(),
                apex: self.0.apex.clone(),
            });
        }
        if name.is_wildcard() && record_types.contains(&NS) {
            return Err(ZoneError::WildcardDelegation(name.clone()));
        }
        let Some(node) = self.0.node(name) else {
            return Ok(());
        };
        if let Some(&record_type) = record_types.iter().find(|t| node.has(**t)) {
            return Err(ZoneError::Duplicate {
                name: name.clone(),
                record_type,
            });
        }
        if node.has(CNAME) || (record_types.contains(&CNAME) && !node.is_empty()) {
            return Err(ZoneError::CnameConflict(name.clone()));
        }
        Ok(())
    }

    fn node_mut(&mut self, name: &OwnerName) -> &mut Node {
        self.0.names.entry(name.clone()).or_default()
    }

    /// Completes the zone.
    pub fn build(self) -> Zone {
        let mut zone = self.0;
        let names: Vec<OwnerName> = zone.names.keys().cloned().collect();
        for name in names {
            add_empty_non_terminals(&mut zone, &name);
        }
        zone
    }
}

/// Makes the names between `name` and the apex exist.
fn add_empty_non_terminals(zone: &mut Zone, name: &OwnerName) {
    let mut above = name.parent();
    while let Some(name) = above {
        // Whatever exists has had its own ancestors added, or will have.
        if zone.names.contains_key(&name) || !name.is_below(&zone.apex) {
            return;
        }
        above = name.parent();
        zone.names.insert(name, Node::default());
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

    #[test]
    fn closest_apex_wins() {
        let zone = |apex: &str| Arc::new(Zone::builder(name(apex), soa(1, 1)).unwrap().build());
        let snapshot = Snapshot::new([zone("example.com"), zone("sub.example.com")]);
        let apex_of = |text: &str| snapshot.zone_for(&name(text)).map(|z| z.apex.to_string());
        assert_eq!(
            apex_of("a.sub.example.com").as_deref(),
            Some("sub.example.com.")
        );
        assert_eq!(apex_of("sub2.example.com").as_deref(), Some("example.com."));
        assert_eq!(apex_of("example.net"), None);
    }
}
