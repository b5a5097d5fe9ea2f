//! A zone being filled: who holds which name, and what is there.

use std::collections::HashMap;

use watershed_crd::hosted_zone::HostedZoneSpec;
use watershed_policy::{Code, Diagnostic, Path};
use watershed_snapshot::record_type::{A, AAAA, CNAME, NS, SOA};
use watershed_snapshot::{OwnerName, Zone, ZoneError};

use crate::object::{ObjectKey, ObjectRef};
use crate::previous::{Claimant, Content, Placed};
use crate::resources::Object;
use crate::zone::ZoneHead;

/// A zone being filled.
#[derive(Debug)]
pub(crate) struct Draft<'r> {
    pub(crate) zone: &'r Object<HostedZoneSpec>,
    pub(crate) head: ZoneHead,
    /// Who holds which types at each name.
    claims: HashMap<OwnerName, Vec<Claim>>,
    pub(crate) placed: Vec<(Claimant, Placed)>,
    pub(crate) aliases: Vec<Alias>,
}

/// Types at a name that someone holds.
#[derive(Debug)]
struct Claim {
    types: Vec<u16>,
    holder: Claimant,
}

/// A name that is to give the answers of another.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) claimant: Claimant,
    pub(crate) owner: OwnerName,
    pub(crate) record_type: u16,
    pub(crate) target: AliasTo,
    /// The field to name in findings.
    pub(crate) field: String,
}

/// Where an alias points.
#[derive(Clone, Debug)]
pub(crate) enum AliasTo {
    Record(ObjectKey),
    Name(OwnerName),
}

impl<'r> Draft<'r> {
    pub(crate) fn new(zone: &'r Object<HostedZoneSpec>, head: ZoneHead) -> Self {
        let own = Claim {
            types: vec![SOA, NS],
            holder: Claimant::Zone(zone.key.clone(), head.apex.clone(), SOA),
        };
        Self {
            zone,
            claims: HashMap::from([(head.apex.clone(), vec![own])]),
            head,
            placed: Vec::new(),
            aliases: Vec::new(),
        }
    }

    /// Takes types at a name, all or none.
    ///
    /// # Errors
    /// Why they cannot be had, as the rest of a sentence.
    pub(crate) fn claim(
        &mut self,
        owner: &OwnerName,
        types: &[u16],
        claimant: &Claimant,
    ) -> Result<(), String> {
        if types.contains(&NS) && owner.is_wildcard() {
            return Err(format!(
                "{owner} is a wildcard, which cannot have name servers"
            ));
        }
        let held = self.claims.get(owner).map_or(&[][..], Vec::as_slice);
        if types.contains(&CNAME) && *owner == self.head.apex {
            return Err(format!(
                "{owner} is the apex, which has SOA and NS records, and a CNAME suffers no data \
                 beside it; use an alias"
            ));
        }
        let each = || {
            held.iter()
                .flat_map(|c| c.types.iter().map(|kind| (*kind, &c.holder)))
        };
        if let Some((kind, holder)) = each().find(|(kind, _)| types.contains(kind)) {
            let (kind, by) = (type_name(kind), by(holder, claimant));
            return Err(format!("type {kind} at {owner} is already served {by}"));
        }
        let alone = |kind: u16| kind == CNAME || types.contains(&CNAME);
        if let Some((kind, holder)) = each().find(|(kind, _)| alone(*kind)) {
            let (kind, by) = (type_name(kind), by(holder, claimant));
            return Err(format!(
                "a CNAME suffers no data beside it, and {owner} has type {kind} served {by}"
            ));
        }
        self.claims.entry(owner.clone()).or_default().push(Claim {
            types: types.to_vec(),
            holder: claimant.clone(),
        });
        Ok(())
    }

    pub(crate) fn place(&mut self, claimant: Claimant, owner: OwnerName, content: Content) {
        self.placed.push((claimant, Placed { owner, content }));
    }

    /// Warnings about name servers inside the zone that have no address in
    /// it, so that nobody could reach them (RFC 1034 section 4.2.1).
    pub(crate) fn unreachable_servers(&self) -> impl Iterator<Item = Diagnostic> {
        let has_address = |name: &OwnerName| {
            let claims = self.claims.get(name).into_iter().flatten();
            let mut types = claims.flat_map(|claim| &claim.types);
            types.any(|kind| [A, AAAA].contains(kind))
        };
        let servers = self.head.ns.rdata.iter().enumerate();
        servers.filter_map(move |(index, wire)| {
            let name = OwnerName::from_wire(wire).ok()?;
            let inside = name.is_at_or_below(&self.head.apex);
            (inside && !has_address(&name)).then(|| {
                let path = Path::Other(format!("spec.nameservers.names[{index}]"));
                let message = format!(
                    "{name} lies in this zone and has no A or AAAA record in it, so that no \
                     resolver can reach it: add one"
                );
                Diagnostic::new(Code::Ignored, path, message)
            })
        })
    }

    /// The finished zone.
    ///
    /// # Errors
    /// When the zone's own records do not make a zone, which [`ZoneHead`]
    /// rules out.
    pub(crate) fn build(&self, serial: u32) -> Result<Built<'_>, ZoneError> {
        let apex = &self.head.apex;
        let mut builder = Zone::builder(apex.clone(), self.head.soa(serial))?;
        builder.insert(apex, self.head.ns.clone())?;
        let mut refused = Vec::new();
        for (claimant, Placed { owner, content }) in &self.placed {
            let added = match content {
                Content::Static(set) => builder.insert(owner, set.clone()),
                Content::Policy(binding) => builder.bind(owner, binding.clone()),
            };
            if let Err(error) = added {
                refused.push((claimant, error));
            }
        }
        Ok(Built {
            zone: builder.build(),
            refused,
        })
    }
}

/// A finished zone.
pub(crate) struct Built<'d> {
    pub(crate) zone: Zone,
    /// What it would not take: nothing, as long as the claims follow the
    /// rules of the zone.
    pub(crate) refused: Vec<(&'d Claimant, ZoneError)>,
}

/// Who holds a name, as far as the owner of another object may know.
fn by(holder: &Claimant, reader: &Claimant) -> String {
    match holder {
        Claimant::Zone(..) => "by the zone itself".to_owned(),
        Claimant::Object(ObjectRef { kind, key }) if namespace(reader) == key.namespace => {
            format!("by {kind} {}", key.name)
        }
        Claimant::Object(ObjectRef { kind, .. }) => format!("by a {kind} of another namespace"),
    }
}

fn namespace(claimant: &Claimant) -> &str {
    match claimant {
        Claimant::Zone(zone, ..) => &zone.namespace,
        Claimant::Object(object) => &object.key.namespace,
    }
}

/// Name of a type by IANA number, `TYPE12345` for others (RFC 3597).
pub(crate) fn type_name(record_type: u16) -> String {
    match record_type {
        SOA => "SOA".to_owned(),
        _ => watershed_crd::document::RecordType::from_number(record_type)
            .map_or_else(|| format!("TYPE{record_type}"), |kind| kind.to_string()),
    }
}
