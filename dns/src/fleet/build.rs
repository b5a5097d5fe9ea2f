//! From resources as octets to a state that can be served.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use watershed_proto::{decode, format_needed};
use watershed_snapshot::{
    Assembled, Digest, Fault, Held, Resource, ResourceKind, ResourceName, ResourceSet, Snapshot,
};

use super::incoming::Complete;
use super::self_test::{Question, SelfTest};

/// Records that are restored at once: some hundred KB when they are decoded.
const PART: usize = 256;
/// Parts that may be decoded before they are assembled.
const AHEAD: usize = 2;

/// A state that can be served. Clones share nearly everything.
#[derive(Clone)]
pub struct Built {
    held: Held,
    resources: ResourceSet,
    assembled: Assembled,
}

impl Built {
    /// Its number and digest.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// The resources as they were sent.
    pub fn resources(&self) -> &ResourceSet {
        &self.resources
    }

    /// What they make.
    pub(super) fn assembled(&self) -> &Assembled {
        &self.assembled
    }

    /// What queries are answered from.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(self.assembled.snapshot())
    }
}

/// Why an offer cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The resources are not those that the operator has.
    Digest {
        /// What they are.
        found: Digest,
    },
    /// These resources cannot be read, or do not fit the others.
    Resources(Vec<Fault>),
    /// Names of these resources are not answered.
    SelfTest(Vec<Fault>),
}

/// Builds states.
pub struct Builder {
    formats: RangeInclusive<u32>,
    refused: BTreeSet<ResourceName>,
    self_test: SelfTest,
}

impl Builder {
    /// A builder that reads resources of these formats.
    pub fn new(formats: RangeInclusive<u32>) -> Self {
        Self {
            formats,
            refused: BTreeSet::new(),
            self_test: SelfTest::new(),
        }
    }

    /// The same, but it finds fault with resources of these names. For tests
    /// of what a fleet does then.
    #[must_use]
    pub fn refusing(self, refused: impl IntoIterator<Item = ResourceName>) -> Self {
        Self {
            refused: refused.into_iter().collect(),
            ..self
        }
    }

    /// Builds an offer aside from what is served.
    pub(super) fn build(&self, complete: Complete) -> Result<Built, Unusable> {
        let Complete {
            offer,
            assembled,
            before,
            changes,
        } = complete;
        let mut resources = before.clone();
        let list = changes.iter();
        resources.change(list.map(|(name, content)| (name.borrowed(), content.as_deref())));
        let found = resources.digest();
        if found != offer.digest {
            return Err(Unusable::Digest { found });
        }
        let refusals = self.refusals(&changes);
        if !refusals.is_empty() {
            return Err(Unusable::Resources(refusals));
        }
        let made = if before.is_empty() {
            drop(changes);
            let assembled = self.assemble(&resources);
            assembled.map(|assembled| (assembled, self.questions(&resources)))
        } else {
            self.change(assembled, &before, changes)
        };
        let (assembled, asked) = made.map_err(|mut faults| {
            faults.sort();
            Unusable::Resources(faults)
        })?;
        let faults = self.self_test.run(assembled.snapshot(), asked);
        if !faults.is_empty() {
            return Err(Unusable::SelfTest(faults));
        }
        Ok(Built {
            held: offer,
            resources,
            assembled,
        })
    }

    /// Builds what was kept. It was tested before it was served first.
    pub(super) fn restore(&self, held: Held, resources: ResourceSet) -> Result<Built, Vec<Fault>> {
        Ok(Built {
            held,
            assembled: self.assemble(&resources)?,
            resources,
        })
    }

    /// What comes of changes of the resources `before`, and what to ask it.
    fn change(
        &self,
        assembled: Assembled,
        before: &ResourceSet,
        changes: Vec<(ResourceName, Option<Arc<[u8]>>)>,
    ) -> Result<(Assembled, Vec<Question>), Vec<Fault>> {
        // Of several changes of one resource the last one holds.
        let changes: BTreeMap<_, _> = changes.into_iter().collect();
        let changes = self.decode(changes)?;
        let asked = SelfTest::questions(&changes);
        let assembled = assembled.apply(changes, &|name| {
            // What is served could be read when it was built.
            self.decode_one(name.kind(), before.get(name)?).ok()
        });
        Ok((assembled?, asked))
    }

    /// What comes of resources where nothing was before.
    ///
    /// It is made in parts, so that a large state is never decoded in memory
    /// as a whole: that would stay the size of the process. One thread decodes
    /// while another assembles: how soon a node answers hangs on it.
    fn assemble(&self, resources: &ResourceSet) -> Result<Assembled, Vec<Fault>> {
        // Records refer to the others, not to each other.
        let all = || resources.iter();
        let heads = all().filter(|(name, _)| !is_in_zone(name.kind()));
        let Ok(heads) = self.decode_all(heads) else {
            return Err(self.decode_all(all()).err().unwrap_or_default());
        };
        let expected = resources.len() - heads.len();
        let records = all().filter(|(name, _)| is_in_zone(name.kind()));
        thread::scope(|scope| {
            let (sender, decoded) = mpsc::sync_channel(AHEAD);
            let decoding = scope.spawn(move || self.decode_parts(records, &sender));
            let assembled = Assembled::of(heads, expected, decoded);
            match decoding.join() {
                // Of two that contradict each other the later by name is at fault,
                // and parts do not come by name.
                Ok(Ok(())) => assembled.or_else(|_| self.assemble_at_once(resources)),
                Ok(Err(faults)) => Err(faults),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// The same, decoded as a whole.
    fn assemble_at_once(&self, resources: &ResourceSet) -> Result<Assembled, Vec<Fault>> {
        let resources = self.decode_all(resources.iter())?.into_iter();
        let put = resources.map(|(name, resource)| (name, Some(resource)));
        Assembled::new().apply(put.collect(), &|_| None)
    }

    /// Questions about a part of the resources, where they are many; about all
    /// that one object can give many names.
    fn questions(&self, resources: &ResourceSet) -> Vec<Question> {
        let named = |kind| is_in_zone(kind) || kind == ResourceKind::HostedZone;
        let named = || resources.iter().filter(|(name, _)| named(name.kind()));
        let step = named().count().div_ceil(SelfTest::SAMPLE).max(1);
        let is_asked =
            |number: usize, kind| kind == ResourceKind::ZoneRecords || number.is_multiple_of(step);
        let sample = named().enumerate();
        let sample = sample.filter(|(number, (name, _))| is_asked(*number, name.kind()));
        let decoded = sample.filter_map(|(_, (name, content))| {
            let resource = self.decode_one(name.kind(), content).ok()?;
            Some((name.to_shared(), Some(resource)))
        });
        SelfTest::questions(&decoded.collect::<Vec<_>>())
    }

    fn refusals(&self, changes: &[(ResourceName, Option<Arc<[u8]>>)]) -> Vec<Fault> {
        let why = "refused, as this node was started with --refuse";
        let refused = self.refused.iter();
        let refused = refused.filter(|refused| changes.iter().any(|(name, _)| name == *refused));
        refused.map(|name| fault(name, why.to_owned())).collect()
    }

    /// Decodes all that is put, or tells everything that cannot be.
    fn decode(
        &self,
        changes: impl IntoIterator<Item = (ResourceName, Option<Arc<[u8]>>)>,
    ) -> Result<Vec<(ResourceName, Option<Resource>)>, Vec<Fault>> {
        collect(changes.into_iter().map(|(name, content)| {
            let content = content.map(|content| self.decode_one(name.kind(), &content));
            let resource = content.transpose().map_err(|message| fault(&name, message));
            Ok((name, resource?))
        }))
    }

    /// The same of what is there.
    fn decode_all<'r>(
        &self,
        resources: impl Iterator<Item = (ResourceName<&'r str>, &'r [u8])>,
    ) -> Result<Vec<(ResourceName, Resource)>, Vec<Fault>> {
        collect(resources.map(|(name, content)| {
            let name = name.to_shared();
            let resource = self.decode_one(name.kind(), content);
            let resource = resource.map_err(|message| fault(&name, message));
            Ok((name, resource?))
        }))
    }

    /// Decodes one part after the other, or tells everything that cannot be.
    fn decode_parts<'r>(
        &self,
        mut resources: impl Iterator<Item = (ResourceName<&'r str>, &'r [u8])>,
        decoded: &SyncSender<Vec<(ResourceName, Resource)>>,
    ) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        loop {
            match self.decode_all(resources.by_ref().take(PART)) {
                Ok(part) if part.is_empty() => break,
                // Nobody takes it after a panic, which the other thread has.
                Ok(part) => drop(decoded.send(part)),
                Err(more) => faults.extend(more),
            }
        }
        faults.sort();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }

    fn decode_one(&self, kind: ResourceKind, content: &[u8]) -> Result<Resource, String> {
        let resource = decode(kind, content).map_err(|error| error.to_string())?;
        let needed = format_needed(&resource);
        if needed > *self.formats.end() {
            let newest = self.formats.end();
            return Err(format!(
                "needs format {needed}, and this node reads up to {newest}"
            ));
        }
        Ok(resource)
    }
}

/// Whether resources of that kind give records of zones.
fn is_in_zone(kind: ResourceKind) -> bool {
    match kind {
        ResourceKind::ZoneRecords | ResourceKind::RecordSet | ResourceKind::PolicyRecord => true,
        ResourceKind::HostedZone
        | ResourceKind::TrafficPolicyVersion
        | ResourceKind::HealthCheck => false,
    }
}

fn fault(name: &ResourceName, message: String) -> Fault {
    Fault {
        resource: name.clone(),
        message,
    }
}

/// All of them, or all faults.
fn collect<T>(results: impl Iterator<Item = Result<T, Fault>>) -> Result<Vec<T>, Vec<Fault>> {
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(one) => all.push(one),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        Ok(all)
    } else {
        Err(faults)
    }
}
