//! From resources as octets to a state that can be served.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use watershed_proto::{decode, format_needed};
use watershed_snapshot::{
    Assembly, Digest, Fault, Held, Resource, ResourceKind, ResourceName, ResourceSet, Snapshot,
};

use super::incoming::Complete;
use super::self_test::SelfTest;

/// Records that are restored at once: some megabytes when they are decoded, and
/// enough of them that what they have in common is rarely made twice.
const PART: usize = 16_384;

/// A state that can be served. Clones share nearly everything.
#[derive(Clone)]
pub struct Built {
    held: Held,
    resources: ResourceSet,
    assembly: Assembly,
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

    /// The resources decoded.
    pub(super) fn assembly(&self) -> &Assembly {
        &self.assembly
    }

    /// What queries are answered from.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(self.assembly.snapshot())
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
    pub(super) fn build(&self, complete: Box<Complete>) -> Result<Built, Unusable> {
        let Complete {
            offer,
            assembly,
            resources,
            changes,
        } = *complete;
        let found = resources.digest();
        if found != offer.digest {
            return Err(Unusable::Digest { found });
        }
        // Of several changes of one resource the last one holds.
        let changes: BTreeMap<_, _> = changes.into_iter().collect();
        let refusals = self.refusals(changes.keys());
        if !refusals.is_empty() {
            return Err(Unusable::Resources(refusals));
        }
        let changes = self.decode(changes).map_err(Unusable::Resources)?;
        let asked = SelfTest::questions(&changes);
        let assembly = assembly.apply(changes).map_err(Unusable::Resources)?;
        let faults = self.self_test.run(assembly.snapshot(), asked);
        if !faults.is_empty() {
            return Err(Unusable::SelfTest(faults));
        }
        Ok(Built {
            held: offer,
            resources,
            assembly,
        })
    }

    /// Builds what was kept. It was tested before it was served first.
    ///
    /// It does so in parts, so that a large state is never decoded in memory
    /// as a whole: that would stay the size of the process.
    pub(super) fn restore(&self, held: Held, resources: ResourceSet) -> Result<Built, Vec<Fault>> {
        let contents = resources.iter_shared();
        let contents =
            contents.map(|(name, encoded)| (Arc::clone(name), Some(Arc::clone(encoded.bytes()))));
        let (records, others): (Vec<_>, Vec<_>) = contents.partition(|(name, _)| match name.kind {
            ResourceKind::ZoneRecords | ResourceKind::RecordSet | ResourceKind::PolicyRecord => {
                true
            }
            ResourceKind::HostedZone
            | ResourceKind::TrafficPolicyVersion
            | ResourceKind::HealthCheck => false,
        });
        // Records refer to the others, not to each other.
        let mut assembly = Assembly::new().into_applied(self.decode(others)?)?;
        for part in records.chunks(PART) {
            assembly = assembly.into_applied(self.decode(part.iter().cloned())?)?;
        }
        Ok(Built {
            held,
            resources,
            assembly,
        })
    }

    fn refusals<'n>(&self, names: impl Iterator<Item = &'n ResourceName>) -> Vec<Fault> {
        let refused = names.filter(|name| self.refused.contains(name));
        let fault = |name: &ResourceName| Fault {
            resource: name.clone(),
            message: "refused, as this node was started with --refuse".to_owned(),
        };
        refused.map(fault).collect()
    }

    /// Decodes all, or tells everything that cannot be.
    fn decode<N: Borrow<ResourceName>>(
        &self,
        changes: impl IntoIterator<Item = (N, Option<Arc<[u8]>>)>,
    ) -> Result<Vec<(N, Option<Resource>)>, Vec<Fault>> {
        let mut decoded = Vec::new();
        let mut faults = Vec::new();
        for (name, content) in changes {
            match content.map(|content| self.decode_one(name.borrow(), &content)) {
                None => decoded.push((name, None)),
                Some(Ok(resource)) => decoded.push((name, Some(resource))),
                Some(Err(message)) => faults.push(Fault {
                    resource: name.borrow().clone(),
                    message,
                }),
            }
        }
        if faults.is_empty() {
            Ok(decoded)
        } else {
            Err(faults)
        }
    }

    fn decode_one(&self, name: &ResourceName, content: &[u8]) -> Result<Resource, String> {
        let resource = decode(name, content).map_err(|error| error.to_string())?;
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
