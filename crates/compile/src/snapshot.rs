//! The whole compilation: objects in, snapshot and verdicts out.

use std::sync::Arc;

use watershed_snapshot::{Snapshot, Zone};

use crate::draft::Draft;
use crate::filling::{Filling, reporter};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::previous::{Claimant, Content, Placed, Previous};
use crate::resources::{Resources, version_key};
use crate::verdict::{Problem, Reason, Reports, Serving, Verdict};
use crate::version::Versions;
use crate::zone::Zones;
use crate::{attached, checks, traffic_policy};

/// What a compilation gives.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What the nodes are to serve.
    pub snapshot: Snapshot,
    /// What is said about every object, in the order of [`ObjectRef`].
    pub verdicts: Vec<Verdict>,
    /// What the next compilation falls back to.
    pub previous: Previous,
}

/// Compiles all objects.
///
/// Nothing here fails as a whole. What is faulty, unresolved or refused is
/// told in the verdict of its object, and where that object served something
/// before, `previous` has it and it goes on being served. It is not when a
/// zone has withdrawn its permission, or an older object has the name.
///
/// Within a zone its own records come first, then `RecordSet` and
/// `PolicyRecord` objects by age and name: the first to ask for a name and
/// type has it. `serial` becomes the serial number of every zone.
pub fn compile(resources: &Resources, previous: &Previous, serial: u32) -> Compiled {
    let mut reports = Reports::new();
    let versions = Versions::compile(resources, previous, &mut reports);
    traffic_policy::report(resources, &versions, &mut reports);
    checks::report(resources, &mut reports);
    let mut filling = Filling {
        resources,
        previous,
        versions: &versions,
        zones: Zones::accept(resources, previous, &mut reports),
        reports,
    };
    filling.zone_records();
    attached::fill(&mut filling);
    filling.aliases();
    finish(filling, serial)
}

/// Builds the zones, and puts together what is said.
fn finish(mut filling: Filling<'_>, serial: u32) -> Compiled {
    let mut zones = Vec::with_capacity(filling.zones.drafts.len());
    let mut previous = Previous {
        versions: filling.versions.all().clone(),
        ..Previous::none()
    };
    for (key, draft) in std::mem::take(&mut filling.zones.drafts) {
        zones.extend(build(&mut filling, &draft, serial).map(Arc::new));
        let object = ObjectRef::new(Kind::HostedZone, key.clone());
        let report = filling.reports.entry(object).or_default();
        report.accepted = summary(&draft.placed);
        report.warnings.extend(draft.unreachable_servers());
        serving(&mut filling.reports, &draft.placed);
        previous.zones.insert(key, draft.head);
        previous.data.extend(draft.placed);
    }
    retain_served(&mut previous);
    let reports = filling.reports.into_iter();
    Compiled {
        snapshot: Snapshot::new(zones),
        verdicts: reports
            .map(|(object, report)| report.verdict(object))
            .collect(),
        previous,
    }
}

fn build(filling: &mut Filling<'_>, draft: &Draft<'_>, serial: u32) -> Option<Zone> {
    let built = draft.build(serial).ok()?;
    for (claimant, error) in built.refused {
        let problem = Problem::new(Reason::NameConflict, "spec.name", error.to_string());
        filling.problems(reporter(claimant), vec![problem]);
    }
    Some(built.zone)
}

/// Tells records what they serve.
fn serving(reports: &mut Reports, placed: &[(Claimant, Placed)]) {
    for (claimant, Placed { owner, content }) in placed {
        if let (Claimant::Object(object), Content::Policy(binding)) = (claimant, content)
            && object.kind == Kind::PolicyRecord
            && let Some(report) = reports.get_mut(object)
        {
            report.serving = Some(Serving {
                name: owner.clone(),
                version: binding.version.number,
                record_types: binding.record_types.clone(),
                stale: !report.problems.is_empty(),
            });
        }
    }
}

/// What is in a zone, in words.
fn summary(placed: &[(Claimant, Placed)]) -> String {
    let count = |kind: Option<Kind>| {
        let of_kind = placed.iter().filter(|(claimant, _)| match claimant {
            Claimant::Zone(..) => kind.is_none(),
            Claimant::Object(object) => kind == Some(object.kind),
        });
        of_kind.count()
    };
    format!(
        "own records: {}, RecordSets: {}, PolicyRecords: {}",
        count(None),
        count(Some(Kind::RecordSet)),
        count(Some(Kind::PolicyRecord))
    )
}

/// Versions that are served although their objects are gone stay known, so
/// that another document under the same number is noticed.
fn retain_served(previous: &mut Previous) {
    let mut versions = std::mem::take(&mut previous.versions);
    for version in previous.served_versions() {
        let policy = ObjectKey::new(&version.namespace, &version.policy_name);
        let key = version_key(&policy, version.number);
        versions.entry(key).or_insert_with(|| Arc::clone(version));
    }
    previous.versions = versions;
}
