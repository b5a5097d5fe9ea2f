//! Zones: which are served, and what each has of its own.

use std::collections::{BTreeMap, HashMap};

use watershed_crd::hosted_zone::{HostedZoneSpec, Soa};
use watershed_snapshot::record_type::{NS, SOA};
use watershed_snapshot::{OwnerName, RrSet};

use crate::allowed::{self, Host, Publisher};
use crate::document::host_name;
use crate::object::{Kind, ObjectKey};
use crate::resources::{Object, Resources};
use crate::unsupported;
use crate::verdict::{Problem, Reason, Report};

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
    /// Reads a head that was served, and its serial number; `None` when it is
    /// none of [`ZoneHead::served`].
    pub(crate) fn read(served: &watershed_snapshot::ZoneHead) -> Option<(Self, u32)> {
        let rdata = served.soa.rdata.first()?;
        let (mname, rest) = rdata.split_at_checked(name_end(rdata)?)?;
        let (rname, rest) = rest.split_at_checked(name_end(rest)?)?;
        let (numbers, []) = rest.as_chunks::<4>() else {
            return None;
        };
        let [serial, timers @ ..] = numbers else {
            return None;
        };
        let timers: [[u8; 4]; 4] = timers.try_into().ok()?;
        let head = Self {
            apex: served.apex.clone(),
            mname: OwnerName::from_wire(mname).ok()?,
            rname: OwnerName::from_wire(rname).ok()?,
            timers: timers.map(u32::from_be_bytes),
            ns: served.ns.clone(),
        };
        Some((head, u32::from_be_bytes(*serial)))
    }

    /// The head as nodes serve it.
    pub(crate) fn served(&self, serial: u32) -> watershed_snapshot::ZoneHead {
        watershed_snapshot::ZoneHead {
            apex: self.apex.clone(),
            soa: self.soa(serial),
            ns: self.ns.clone(),
        }
    }

    /// The SOA record (RFC 1035 section 3.3.13).
    fn soa(&self, serial: u32) -> RrSet {
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

/// Which zones are served.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    /// What the served ones have of their own.
    pub(crate) heads: BTreeMap<ObjectKey, ZoneHead>,
    pub(crate) apexes: Apexes,
    /// What is said about every zone object so far.
    pub(crate) reports: BTreeMap<ObjectKey, Report>,
}

/// The served zones by apex.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Apexes(HashMap<OwnerName, ObjectKey>);

impl Apexes {
    /// The zone whose apex is the closest at or above a name.
    pub(crate) fn enclosing(&self, name: &OwnerName) -> Option<&ObjectKey> {
        name.suffixes().find_map(|suffix| self.0.get(suffix))
    }

    /// The zones whose apexes are above a name.
    pub(crate) fn above<'a>(&'a self, name: &'a OwnerName) -> impl Iterator<Item = &'a ObjectKey> {
        let above = name.suffixes().skip(1);
        above.filter_map(|suffix| self.0.get(suffix))
    }

    /// The zone of an apex.
    pub(crate) fn get(&self, apex: &OwnerName) -> Option<&ObjectKey> {
        self.0.get(apex)
    }

    /// The apexes that only one of two have.
    pub(crate) fn differences<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = &'a OwnerName> {
        let ours = self.0.keys().filter(|apex| !other.0.contains_key(*apex));
        let theirs = other.0.keys().filter(|apex| !self.0.contains_key(*apex));
        ours.chain(theirs)
    }
}

/// Decides which zones are served. Parents come before their children, and of
/// two zones with one apex the older; so the order of objects does not matter.
/// `before` is the head that a zone was served with last.
pub(crate) fn accept<'b>(
    resources: &Resources,
    before: impl Fn(&ObjectKey) -> Option<&'b ZoneHead>,
) -> Accepted {
    let mut accepted = Accepted::default();
    let mut candidates = Vec::new();
    for (key, zone) in &resources.hosted_zones {
        let mut report = Report::new(zone.generation);
        report.warnings = unsupported::zone(&zone.spec);
        let head = head(&zone.spec, &mut report.problems);
        accepted.reports.insert(key.clone(), report);
        let head = head.or_else(|| before(key).cloned());
        candidates.extend(head.map(|head| (zone, head)));
    }
    candidates.sort_by(|(a, a_head), (b, b_head)| {
        let rank = |zone: &Object<_>, head: &ZoneHead| (head.apex.label_count(), zone.age);
        (rank(a, a_head).cmp(&rank(b, b_head))).then_with(|| a.key.cmp(&b.key))
    });
    for (zone, head) in candidates {
        match accepted.refusal(resources, zone, &head.apex) {
            Some(problem) => {
                let report = accepted.reports.entry(zone.key.clone()).or_default();
                // What a faulty zone was before is no longer its wish, so that
                // nothing is said of what stands against that.
                if report.problems.is_empty() {
                    report.problems.push(problem);
                }
            }
            None => accepted.add(zone, head),
        }
    }
    accepted
}

impl Accepted {
    fn add(&mut self, zone: &Object<HostedZoneSpec>, head: ZoneHead) {
        let apexes = &mut self.apexes.0;
        apexes.insert(head.apex.clone(), zone.key.clone());
        self.heads.insert(zone.key.clone(), head);
    }

    fn refusal(
        &self,
        resources: &Resources,
        zone: &Object<HostedZoneSpec>,
        apex: &OwnerName,
    ) -> Option<Problem> {
        let above = self.apexes.enclosing(apex)?;
        let (head, above) = (self.heads.get(above)?, resources.hosted_zones.get(above)?);
        if head.apex == *apex {
            let message = format!(
                "{apex} is already {}",
                named(&above.key, "HostedZone", &zone.key)
            );
            return Some(Problem::new(Reason::ZoneConflict, "spec.domain", message));
        }
        let publisher = Publisher {
            kind: Kind::HostedZone,
            namespace: &zone.key.namespace,
            name: apex,
            types: &[],
        };
        let host = Host {
            key: &above.key,
            apex: &head.apex,
            entries: &above.spec.allowed_records,
        };
        // Whoever comes later cannot take a zone away by making its parent.
        let was_first = zone.age < above.age;
        let allowed = was_first || allowed::allows(resources, host, publisher);
        (!allowed).then(|| {
            let message = format!(
                "{apex} lies below the zone {}, whose allowedRecords do not name kind HostedZone \
                 for this name and namespace",
                head.apex
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
