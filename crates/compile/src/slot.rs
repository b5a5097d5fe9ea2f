//! One owner name of a zone: who asks for it, and who gets what.
//!
//! Everything that competes at all competes at one name, so that this is the
//! unit of work: a name is settled as a whole and on its own.

use std::collections::{BTreeSet, HashMap};

use watershed_crd::hosted_zone::HostedZoneSpec;
use watershed_crd::policy_record::PolicyRecordSpec;
use watershed_snapshot::record_type::{CNAME, NS, SOA};
use watershed_snapshot::{Content, OwnerName};

use crate::alias::AliasTo;
use crate::allowed::{self, Host, Publisher};
use crate::contents::{Claimant, Contents, types, version_key};
use crate::grants;
use crate::object::{Age, Kind, ObjectKey, ObjectRef};
use crate::record;
use crate::resources::{self, Object, Resources};
use crate::rrset::{self, Wanted};
use crate::verdict::{Problem, Reason};
use crate::versions::Versions;

/// An owner name.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// The zone's own records here, by their place in its list. They come
    /// before all others.
    pub(crate) own: BTreeSet<usize>,
    /// Objects that ask for this name, in order of precedence.
    pub(crate) attached: BTreeSet<Rank>,
    /// What became of each, in that order.
    pub(crate) claims: Vec<Claim>,
}

impl Slot {
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.attached.is_empty()
    }
}

/// Precedence of an object: the oldest first, then by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    age: Age,
    key: ObjectKey,
    is_policy_record: bool,
}

impl Rank {
    pub(crate) fn new(age: Age, object: &ObjectRef) -> Self {
        Self {
            age,
            key: object.key.clone(),
            is_policy_record: object.kind == Kind::PolicyRecord,
        }
    }

    fn object(&self) -> ObjectRef {
        let kind = if self.is_policy_record {
            Kind::PolicyRecord
        } else {
            Kind::RecordSet
        };
        ObjectRef::new(kind, self.key.clone())
    }
}

/// What became of what somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(crate) claimant: Claimant,
    /// Place in the zone's list, of its own records.
    pub(crate) own: Option<usize>,
    pub(crate) outcome: Outcome,
    pub(crate) problems: Vec<Problem>,
    /// That the alias leads nowhere, found when all names are settled.
    pub(crate) alias_problem: Option<Problem>,
    /// Whether something could be served but for a lost permission.
    pub(crate) revoked: bool,
}

/// What somebody gets at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Nothing,
    /// Data, new or from before.
    Data,
    /// The answers of another name for this type.
    Alias(u16, AliasTo),
}

impl Claim {
    /// Where the record stands in its object.
    pub(crate) fn field(&self) -> String {
        field(self.own)
    }

    /// Where the claim leads for a type, if it is an alias.
    pub(crate) fn alias(&self, kind: u16) -> Option<&AliasTo> {
        match &self.outcome {
            Outcome::Alias(record_type, target) if *record_type == kind => Some(target),
            _ => None,
        }
    }
}

fn field(own: Option<usize>) -> String {
    own.map_or("spec".to_owned(), |index| format!("spec.records[{index}]"))
}

/// A name that has been settled.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) claims: Vec<Claim>,
    /// What those with the outcome [`Outcome::Data`] have.
    pub(crate) data: HashMap<Claimant, Content>,
}

/// What a record served before a restart, as its status has it.
#[derive(Debug)]
pub(crate) struct Active {
    /// Number of the version.
    pub(crate) number: u32,
    /// Digest of its document, as far as it is known.
    pub(crate) digest: Option<String>,
}

/// What settling looks at.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) resources: &'a Resources,
    pub(crate) versions: &'a Versions,
    pub(crate) contents: &'a Contents,
    /// Versions that records are known to have served before a restart.
    pub(crate) active: &'a HashMap<ObjectKey, Active>,
    pub(crate) zone: &'a Object<HostedZoneSpec>,
    pub(crate) apex: &'a OwnerName,
    pub(crate) owner: &'a OwnerName,
}

/// Settles who has what at a name.
pub(crate) fn settle(context: Context<'_>, slot: &Slot) -> Settled {
    let mut settling = Settling {
        context,
        held: Vec::new(),
        settled: Settled::default(),
    };
    if context.owner == context.apex {
        let zone = Claimant::Zone(context.zone.key.clone(), context.apex.clone(), SOA);
        settling.held.extend([(SOA, zone.clone()), (NS, zone)]);
    }
    for index in &slot.own {
        settling.own(*index);
    }
    for rank in &slot.attached {
        settling.attached(rank);
    }
    settling.settled
}

/// A name being settled.
struct Settling<'a> {
    context: Context<'a>,
    /// Types that are taken, with who has them.
    held: Vec<(u16, Claimant)>,
    settled: Settled,
}

/// What somebody asks for.
struct Wish {
    claimant: Claimant,
    own: Option<usize>,
    wanted: Result<Wanted, Vec<Problem>>,
    /// Of what is paused: what it asks for when it cannot keep what it has.
    otherwise: Option<Result<Wanted, Vec<Problem>>>,
    /// What it had, as far as it may go on having it.
    before: Option<Content>,
    revoked: bool,
}

impl Settling<'_> {
    fn own(&mut self, index: usize) {
        let Context {
            zone, apex, owner, ..
        } = self.context;
        let Some(record) = zone.spec.records.get(index) else {
            return;
        };
        let own = Some(index);
        let number = record.type_.number();
        let claimant = Claimant::Zone(zone.key.clone(), owner.clone(), number);
        self.take(Wish {
            wanted: rrset::read(record.into(), apex, &zone.key.namespace, &field(own)),
            before: self.before(&claimant),
            claimant,
            own,
            otherwise: None,
            revoked: false,
        });
    }

    fn before(&self, claimant: &Claimant) -> Option<Content> {
        let before = self.context.contents.before(claimant, self.context.owner)?;
        let known = match before {
            Content::Static(_) => true,
            Content::Policy(binding) => {
                (self.context.versions.known(&version_key(binding))).is_some()
            }
        };
        known.then(|| before.clone())
    }

    fn attached(&mut self, rank: &Rank) {
        let resources = self.context.resources;
        let object = rank.object();
        let wish = if rank.is_policy_record {
            let record = resources.policy_records.get(&rank.key);
            record.map(|record| self.policy_record(&object, record))
        } else {
            let set = resources.record_sets.get(&rank.key);
            set.map(|set| self.record_set(&object, set))
        };
        if let Some(wish) = wish {
            self.ask(&object, wish);
        }
    }

    fn record_set(
        &self,
        object: &ObjectRef,
        set: &Object<watershed_crd::record_set::RecordSetSpec>,
    ) -> Wish {
        let claimant = Claimant::Object(object.clone());
        let apex = self.context.apex;
        Wish {
            wanted: rrset::read((&set.spec).into(), apex, &set.key.namespace, "spec"),
            before: self.before(&claimant),
            claimant,
            own: None,
            otherwise: None,
            revoked: false,
        }
    }

    fn policy_record(&self, object: &ObjectRef, record: &Object<PolicyRecordSpec>) -> Wish {
        let Context {
            resources,
            versions,
            ..
        } = self.context;
        let claimant = Claimant::Object(object.clone());
        let before = self.before(&claimant).or_else(|| self.active(record));
        let may_serve =
            |policy: &ObjectKey| grants::shares_policy(resources, policy, &record.key.namespace);
        let before = before.filter(|content| self.policy(content).is_none_or(|p| may_serve(&p)));
        // A paused record keeps what it serves, whatever the rest of the spec
        // says. One that never served anything is not held back.
        let asked = record::binding(resources, versions, record).map(Content::Policy);
        let (wanted, otherwise) = match &before {
            Some(before) if record.spec.paused => (Ok(before.clone()), Some(asked)),
            _ => (asked, None),
        };
        Wish {
            wanted: wanted.map(Wanted::Data),
            otherwise: otherwise.map(|asked| asked.map(Wanted::Data)),
            before,
            claimant,
            own: None,
            revoked: !may_serve(&record::policy_of(record)),
        }
    }

    /// What a record served before a restart, by the number of the version.
    fn active(&self, record: &Object<PolicyRecordSpec>) -> Option<Content> {
        let active = self.context.active.get(&record.key)?;
        let policy = record::policy_of(record);
        let key = resources::version_key(&policy, active.number);
        let version = self.context.versions.get(&key)?;
        // The record may have served this number of another policy.
        let digest = active.digest.as_ref();
        digest
            .is_none_or(|digest| *digest == version.digest)
            .then_some(())?;
        let manner = record::Manner::of(record).ok()?;
        Some(Content::Policy(manner.bind(version)))
    }

    /// The policy whose version some content serves.
    fn policy(&self, content: &Content) -> Option<ObjectKey> {
        let Content::Policy(binding) = content else {
            return None;
        };
        let version = self.context.versions.known(&version_key(binding))?;
        Some(ObjectKey::new(&version.namespace, &version.policy_name))
    }

    /// Gives an attached object what it asks for, if the zone lets it.
    fn ask(&mut self, object: &ObjectRef, mut wish: Wish) {
        // What goes on being served needs the permission as well; so does what
        // is paused, which is looked at as any other without it.
        if let Ok(kept) = &wish.wanted
            && !self.permits(object, &kept.types())
            && let Some(otherwise) = wish.otherwise.take()
        {
            wish.wanted = otherwise;
        }
        let permitted = match &wish.wanted {
            Ok(wanted) => self.permits(object, &wanted.types()),
            Err(_) => self.permits(object, &[]),
        };
        let before = wish.before.take();
        wish.before = before.filter(|before| self.permits(object, &types(before)));
        if permitted {
            return self.take(wish);
        }
        let message = format!(
            "the allowedRecords of zone {} do not let namespace {} publish {} at {}",
            self.context.zone.key.name, object.key.namespace, object.kind, self.context.owner
        );
        let field = "spec.hostedZoneRef";
        let refusal = Problem::new(Reason::NotAllowedByZone, field, message);
        let problems = wish.wanted.as_ref().err().cloned().unwrap_or_default();
        // What aliases have from it goes as well.
        wish.revoked = true;
        self.give(wish, [problems, vec![refusal]].concat(), None);
    }

    fn permits(&self, object: &ObjectRef, types: &[u16]) -> bool {
        let host = Host {
            key: &self.context.zone.key,
            apex: self.context.apex,
            entries: &self.context.zone.spec.allowed_records,
        };
        let publisher = Publisher {
            kind: object.kind,
            namespace: &object.key.namespace,
            name: self.context.owner,
            types,
        };
        allowed::allows(self.context.resources, host, publisher)
    }

    /// Gives a claimant what is wanted, or what was there before.
    fn take(&mut self, mut wish: Wish) {
        let problems = match std::mem::replace(&mut wish.wanted, Err(Vec::new())) {
            Err(problems) => problems,
            Ok(wanted) => match (
                self.claim(&wanted.types(), &wish.claimant),
                wish.otherwise.take(),
            ) {
                (Ok(()), _) => return self.give(wish, Vec::new(), Some(wanted)),
                (Err(_), Some(otherwise)) => {
                    wish.wanted = otherwise;
                    return self.take(wish);
                }
                (Err(message), None) => {
                    let field = format!("{}.name", field(wish.own));
                    vec![Problem::new(Reason::NameConflict, field, message)]
                }
            },
        };
        let before = wish.before.take();
        let kept = before.filter(|b| self.claim(&types(b), &wish.claimant).is_ok());
        self.give(wish, problems, kept.map(Wanted::Data));
    }

    fn give(&mut self, wish: Wish, problems: Vec<Problem>, given: Option<Wanted>) {
        let outcome = match given {
            None => Outcome::Nothing,
            Some(Wanted::Alias(record_type, target)) => Outcome::Alias(record_type, target),
            Some(Wanted::Data(content)) => {
                self.settled.data.insert(wish.claimant.clone(), content);
                Outcome::Data
            }
        };
        self.settled.claims.push(Claim {
            revoked: wish.revoked && outcome == Outcome::Nothing,
            claimant: wish.claimant,
            own: wish.own,
            outcome,
            problems,
            alias_problem: None,
        });
    }

    /// Takes types at the name, all or none.
    ///
    /// # Errors
    /// Why they cannot be had, as the rest of a sentence.
    fn claim(&mut self, types: &[u16], claimant: &Claimant) -> Result<(), String> {
        let Context { owner, apex, .. } = self.context;
        if types.contains(&NS) && owner.is_wildcard() {
            return Err(format!(
                "{owner} is a wildcard, which cannot have name servers"
            ));
        }
        if types.contains(&CNAME) && owner == apex {
            return Err(format!(
                "{owner} is the apex, which has SOA and NS records, and a CNAME suffers no data \
                 beside it; use an alias"
            ));
        }
        let mut held = self.held.iter();
        if let Some((kind, holder)) = held.find(|(kind, _)| types.contains(kind)) {
            let (kind, by) = (type_name(*kind), by(holder, claimant));
            return Err(format!("type {kind} at {owner} is already served {by}"));
        }
        let alone = |kind: u16| kind == CNAME || types.contains(&CNAME);
        if let Some((kind, holder)) = self.held.iter().find(|(kind, _)| alone(*kind)) {
            let (kind, by) = (type_name(*kind), by(holder, claimant));
            return Err(format!(
                "a CNAME suffers no data beside it, and {owner} has type {kind} served {by}"
            ));
        }
        (self.held).extend(types.iter().map(|kind| (*kind, claimant.clone())));
        Ok(())
    }
}

/// Who holds a name, as far as the owner of another object may know.
fn by(holder: &Claimant, reader: &Claimant) -> String {
    match holder {
        Claimant::Zone(..) => "by the zone itself".to_owned(),
        Claimant::Object(ObjectRef { kind, key }) if reader.namespace() == key.namespace => {
            format!("by {kind} {}", key.name)
        }
        Claimant::Object(ObjectRef { kind, .. }) => format!("by a {kind} of another namespace"),
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
