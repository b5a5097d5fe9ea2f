//! Zones: which are served, and what each has of its own.

use std::collections::{BTreeMap, HashMap};

use watershed_crd::hosted_zone::{HostedZoneSpec, Soa};
use watershed_snapshot::record_type::{NS, SOA};
use watershed_snapshot::{OwnerName, RrSet};

use crate::allowed::{self, Publisher};
use crate::document::host_name;
use crate::draft::Draft;
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::previous::Previous;
use crate::resources::{Object, Resources};
use crate::unsupported;
use crate::verdict::{Problem, Reason, Report, Reports};

/// TTL of the SOA record in seconds: Route 53's, which also bounds how long
/// resolvers keep negative answers (RFC 2308 section 5).
const SOA_TTL: u32 = 900;
/// Longest TTL of the custom resources in seconds: a week.
const MAX_TTL: u32 = 604_800;

/// Apex, start of authority and name servers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ZoneHead {
    pub(crate) apex: OwnerName,
    mname: OwnerName,
    rname: OwnerName,
    /// REFRESH, RETRY, EXPIRE, MINIMUM.
    timers: [u32; 4],
    pub(crate) ns: RrSet,
}

impl ZoneHead {
    /// Reads what [`ZoneHead::soa`] wrote; `None` when it is something else.
    pub(crate) fn read(head: &watershed_snapshot::ZoneHead) -> Option<Self> {
        let rdata = head.soa.rdata.first()?;
        let mname = name_end(rdata)?;
        let rname = mname + name_end(rdata.get(mname..)?)?;
        let (numbers, []) = rdata.get(rname + 4..)?.as_chunks::<4>() else {
            return None;
        };
        let timers: Vec<u32> = numbers.iter().map(|n| u32::from_be_bytes(*n)).collect();
        Some(Self {
            apex: head.apex.clone(),
            mname: OwnerName::from_wire(&rdata[..mname]).ok()?,
            rname: OwnerName::from_wire(&rdata[mname..rname]).ok()?,
            timers: timers.try_into().ok()?,
            ns: head.ns.clone(),
        })
    }

    /// The serial number in the SOA record of a head.
    pub(crate) fn serial(head: &watershed_snapshot::ZoneHead) -> Option<u32> {
        let rdata = head.soa.rdata.first()?;
        let mname = name_end(rdata)?;
        let rname = mname + name_end(rdata.get(mname..)?)?;
        let serial = rdata.get(rname..rname + 4)?;
        serial.try_into().ok().map(u32::from_be_bytes)
    }

    /// The SOA record (RFC 1035 section 3.3.13).
    pub(crate) fn soa(&self, serial: u32) -> RrSet {
        let mut rdata = [self.mname.as_wire(), self.rname.as_wire()].concat();
        rdata.extend(serial.to_be_bytes());
        rdata.extend(self.timers.iter().flat_map(|timer| timer.to_be_bytes()));
        RrSet {
            record_type: SOA,
            ttl: SOA_TTL,
            rdata: vec![rdata.into()],
        }
    }
}

/// The zones that are served, each a draft to be filled.
#[derive(Debug, Default)]
pub(crate) struct Zones<'r> {
    pub(crate) drafts: BTreeMap<ObjectKey, Draft<'r>>,
    apexes: HashMap<OwnerName, ObjectKey>,
}

impl<'r> Zones<'r> {
    /// Decides which zones are served. Parents come before their children, and
    /// of two zones with one apex the older; so the order of objects does not
    /// matter.
    pub(crate) fn accept(
        resources: &'r Resources,
        previous: &Previous,
        reports: &mut Reports,
    ) -> Self {
        let mut candidates = Vec::new();
        for (key, zone) in &resources.hosted_zones {
            let mut report = Report::new(zone.generation);
            report.warnings = unsupported::zone(&zone.spec);
            let head = head(&zone.spec, &mut report.problems);
            match head.or_else(|| previous.zones.get(key).cloned()) {
                Some(head) => candidates.push((zone, head, report)),
                None => drop(reports.insert(object(key), report)),
            }
        }
        candidates.sort_by(|(a, a_head, _), (b, b_head, _)| {
            let rank = |zone: &Object<_>, head: &ZoneHead| (head.apex.label_count(), zone.age);
            (rank(a, a_head).cmp(&rank(b, b_head))).then_with(|| a.key.cmp(&b.key))
        });
        let mut zones = Self::default();
        for (zone, head, mut report) in candidates {
            match zones.refusal(resources, zone, &head.apex) {
                Some(problem) => report.problems.push(problem),
                None => zones.add(zone, head),
            }
            reports.insert(object(&zone.key), report);
        }
        zones
    }

    fn add(&mut self, zone: &'r Object<HostedZoneSpec>, head: ZoneHead) {
        self.apexes.insert(head.apex.clone(), zone.key.clone());
        self.drafts.insert(zone.key.clone(), Draft::new(zone, head));
    }

    /// The zone whose apex is the closest at or above a name.
    pub(crate) fn enclosing(&self, name: &OwnerName) -> Option<&ObjectKey> {
        name.suffixes().find_map(|suffix| self.apexes.get(suffix))
    }

    fn refusal(
        &self,
        resources: &Resources,
        zone: &Object<HostedZoneSpec>,
        apex: &OwnerName,
    ) -> Option<Problem> {
        let above = self.drafts.get(self.enclosing(apex)?)?;
        if above.head.apex == *apex {
            let holder = above.zone.key.clone();
            let message = format!(
                "{apex} is already {}",
                named(&holder, "HostedZone", &zone.key)
            );
            return Some(Problem::new(Reason::ZoneConflict, "spec.domain", message));
        }
        let publisher = Publisher {
            kind: Kind::HostedZone,
            namespace: &zone.key.namespace,
            name: apex,
            types: &[],
        };
        // Whoever comes later cannot take a zone away by making its parent.
        let was_first = zone.age < above.zone.age;
        let allowed = was_first || allowed::allows(resources, above, publisher);
        (!allowed).then(|| {
            let message = format!(
                "{apex} lies below the zone {}, whose allowedRecords do not name kind HostedZone \
                 for this name and namespace",
                above.head.apex
            );
            Problem::new(Reason::ParentZoneNotAllowed, "spec.domain", message)
        })
    }
}

/// Length of the uncompressed name at the start of some octets.
fn name_end(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = usize::from(*octets.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

fn object(key: &ObjectKey) -> ObjectRef {
    ObjectRef::new(Kind::HostedZone, key.clone())
}

/// How an object is called in a message to the owner of another. Names of
/// other namespaces are not told.
pub(crate) fn named(holder: &ObjectKey, kind: &str, reader: &ObjectKey) -> String {
    if holder.namespace == reader.namespace {
        format!("that of {kind} {}", holder.name)
    } else {
        format!("that of a {kind} in another namespace")
    }
}

/// What a zone has of its own; `None` when something of it is faulty.
fn head(spec: &HostedZoneSpec, problems: &mut Vec<Problem>) -> Option<ZoneHead> {
    let mut fault = |field: String, message: String| {
        problems.push(Problem::new(Reason::InvalidSpec, field, message));
    };
    let apex = host_name(&spec.domain).map_err(|message| fault("spec.domain".into(), message));
    let servers: Vec<Result<OwnerName, ()>> = (spec.nameservers.names.iter().enumerate())
        .map(|(index, name)| {
            let field = format!("spec.nameservers.names[{index}]");
            host_name(name).map_err(|message| fault(field, message))
        })
        .collect();
    if servers.is_empty() {
        let message = "a zone needs at least one name server";
        fault("spec.nameservers.names".into(), message.into());
    }
    // To serve a private zone to everyone would be worse than not to serve it.
    let private = (spec.visibility.as_ref()).is_some_and(|v| !v.clients.is_empty());
    if private {
        let message = "zones for some clients only cannot be served yet";
        fault("spec.visibility".into(), message.into());
    }
    let soa = spec.soa.clone().unwrap_or_default();
    let timers = timers(&soa, &mut fault);
    let ttl = ttl(spec.nameservers.ttl_seconds)
        .map_err(|message| fault("spec.nameservers.ttlSeconds".into(), message));
    let rname = apex.clone().and_then(|apex| {
        rname(&soa, &apex).map_err(|message| fault("spec.soa.adminEmail".into(), message))
    });
    let servers: Vec<OwnerName> = servers.into_iter().collect::<Result<_, ()>>().ok()?;
    (!private).then_some(())?;
    Some(ZoneHead {
        mname: servers.first()?.clone(),
        ns: RrSet {
            record_type: NS,
            ttl: ttl.ok()?,
            rdata: servers.iter().map(|name| name.as_wire().into()).collect(),
        },
        apex: apex.ok()?,
        rname: rname.ok()?,
        timers: timers?,
    })
}

fn timers(soa: &Soa, fault: &mut impl FnMut(String, String)) -> Option<[u32; 4]> {
    let fields = [
        ("refreshSeconds", soa.refresh_seconds, 1, i32::MAX),
        ("retrySeconds", soa.retry_seconds, 1, i32::MAX),
        ("expireSeconds", soa.expire_seconds, 1, i32::MAX),
        ("negativeTTLSeconds", soa.negative_ttl_seconds, 0, 86_400),
    ];
    let timers = fields.map(|(field, seconds, least, most)| {
        if (least..=most).contains(&seconds) {
            return u32::try_from(seconds).ok();
        }
        let message = format!("{seconds} is not between {least} and {most}");
        fault(format!("spec.soa.{field}"), message);
        None
    });
    let [Some(refresh), Some(retry), Some(expire), Some(minimum)] = timers else {
        return None;
    };
    Some([refresh, retry, expire, minimum])
}

/// The mail address as a domain name: the part before the `@` is one label,
/// dots included (RFC 1035 section 8).
fn rname(soa: &Soa, apex: &OwnerName) -> Result<OwnerName, String> {
    let Some(email) = &soa.admin_email else {
        return apex
            .prepend(b"hostmaster")
            .map_err(|error| error.to_string());
    };
    let bad = || format!("`{email}` is not a mail address such as hostmaster@example.com");
    let (local, domain) = email.rsplit_once('@').ok_or_else(bad)?;
    if local.is_empty() || !local.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err(bad());
    }
    let domain = host_name(domain)?;
    domain
        .prepend(local.as_bytes())
        .map_err(|error| error.to_string())
}

/// A TTL in seconds as the custom resources have it.
pub(crate) fn ttl(seconds: i32) -> Result<u32, String> {
    u32::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds <= MAX_TTL)
        .ok_or_else(|| format!("{seconds} is not between 0 and {MAX_TTL}"))
}
