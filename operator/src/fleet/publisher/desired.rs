//! From the desired state to the state to publish: all that is desired, but
//! for what is quarantined.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use watershed_proto::OLDEST_FORMAT;
use watershed_snapshot::{
    Content as Placement, Digest, Resource, ResourceKind, ResourceName, ResourceSet,
};

use crate::fleet::NodeName;
use crate::fleet::event::Content;

/// The desired state, what of it is refused, and the target that follows.
#[derive(Default)]
pub(super) struct Desired {
    /// Whether the desired state is known at all.
    known: bool,
    set: ResourceSet,
    /// Formats of the resources that not every node reads.
    newer: HashMap<ResourceName, u32>,
    /// The same of forms that were desired before, which may still be carried.
    former: HashMap<ResourceName, u32>,
    refused: BTreeMap<ResourceName, Refusal>,
    /// The versions that desired resources bind, and who binds a version.
    binds: HashMap<ResourceName, Vec<ResourceName>>,
    binders: HashMap<ResourceName, BTreeSet<ResourceName>>,
    /// Versions that are no longer desired, for the last forms bind them.
    kept: BTreeSet<ResourceName>,
    target: ResourceSet,
    /// What is desired and is published in another form, or not at all: few,
    /// where the target is large.
    uncarried: BTreeSet<ResourceName>,
    /// The newest format that may be published.
    format: u32,
    /// The newest format in the target, once somebody has asked.
    format_of_target: OnceLock<u32>,
}

/// Who refuses the desired form of a resource, and what is carried instead.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusal {
    /// Forms that were refused.
    forms: HashSet<Digest>,
    /// The starts of nodes that refused, with their messages.
    pub(super) nodes: BTreeMap<NodeName, (u64, String)>,
    /// The last acknowledged form.
    pub(super) fallback: Option<Arc<[u8]>>,
}

impl Desired {
    pub(super) fn new(format: u32) -> Self {
        Self {
            format,
            ..Self::default()
        }
    }

    /// What is to be published; `None` before anything was desired.
    pub(super) fn target(&self) -> Option<&ResourceSet> {
        self.known.then_some(&self.target)
    }

    pub(super) fn is_desired(&self, name: &ResourceName) -> bool {
        self.set.get(name).is_some()
    }

    /// Whether `set` has `name` as desired.
    pub(super) fn is_form_in<T: AsRef<str>>(
        &self,
        name: &ResourceName<T>,
        set: &ResourceSet,
    ) -> bool {
        let desired = self.set.get(name);
        desired.is_some() && desired == set.get(name)
    }

    /// Whether the target carries `name` as desired.
    pub(super) fn is_carried(&self, name: &ResourceName) -> bool {
        self.is_form_in(name, &self.target)
    }

    /// The form of `name` that is to be published.
    pub(super) fn target_form(&self, name: &ResourceName) -> Option<Digest> {
        self.target.get(name).map(Digest::of)
    }

    pub(super) fn refused(&self) -> &BTreeMap<ResourceName, Refusal> {
        &self.refused
    }

    /// Takes a change of the desired state. Gives the names whose content is
    /// another than before.
    ///
    /// A refused resource that changes is tried again, and with it all that is
    /// refused: it may have been refused for what it refers to.
    pub(super) fn change(
        &mut self,
        changes: Vec<(ResourceName, Option<Content>)>,
        acked: &ResourceSet,
    ) -> Vec<ResourceName> {
        self.known = true;
        self.format_of_target = OnceLock::new();
        let renewed = self.put(changes);
        if renewed.iter().any(|name| self.refused.contains_key(name)) {
            self.lift(acked);
        }
        self.refresh(&renewed, acked);
        renewed
    }

    /// Makes the changes to what is desired, all at once. Gives the names whose
    /// content is another than before, once for each time.
    fn put(&mut self, changes: Vec<(ResourceName, Option<Content>)>) -> Vec<ResourceName> {
        let mut renewed = Vec::new();
        let mut moved: HashMap<ResourceName, Option<Arc<[u8]>>> = HashMap::new();
        for (name, content) in changes {
            self.note(&name, content.as_ref());
            let bytes = content.map(|content| content.bytes);
            let former = match moved.get(&name) {
                Some(bytes) => bytes.as_deref(),
                None => self.set.get(&name),
            };
            if former != bytes.as_deref() {
                renewed.push(name.clone());
                moved.insert(name, bytes);
            }
        }
        let moved = moved.iter();
        let moved = moved.map(|(name, bytes)| (name.borrowed(), bytes.as_deref()));
        self.set.change(moved);
        renewed
    }

    /// Notes what a resource binds and the format that it needs.
    fn note(&mut self, name: &ResourceName, content: Option<&Content>) {
        if let Some(format) = self.newer.remove(name) {
            self.former.insert(name.clone(), format);
        }
        self.unbind(name);
        let Some(Content { bytes, format }) = content else {
            return;
        };
        self.bind(name, bytes);
        if *format > OLDEST_FORMAT {
            self.newer.insert(name.clone(), *format);
        }
    }

    fn bind(&mut self, name: &ResourceName, bytes: &[u8]) {
        let versions = versions_bound(name.kind(), bytes);
        for version in &versions {
            let binders = self.binders.entry(version.clone()).or_default();
            binders.insert(name.clone());
        }
        if !versions.is_empty() {
            self.binds.insert(name.clone(), versions);
        }
    }

    fn unbind(&mut self, name: &ResourceName) {
        for version in self.binds.remove(name).unwrap_or_default() {
            if let Some(binders) = self.binders.get_mut(&version) {
                binders.remove(name);
                if binders.is_empty() {
                    self.binders.remove(&version);
                }
            }
        }
    }

    /// Publishes nothing beyond `format` from now on. Says whether that
    /// changed anything.
    pub(super) fn set_format(&mut self, format: u32, acked: &ResourceSet) -> bool {
        if self.format == format {
            return false;
        }
        self.format = format;
        let names: Vec<ResourceName> = self.newer.keys().cloned().collect();
        self.refresh(&names, acked);
        !names.is_empty()
    }

    /// Carries `fallback` in the place of the form of `name` with this hash,
    /// for `node` refused it.
    pub(super) fn refuse(
        &mut self,
        name: &ResourceName,
        form: Digest,
        (node, boot, message): (&NodeName, u64, &str),
        fallback: Option<Arc<[u8]>>,
        acked: &ResourceSet,
    ) {
        let refusal = self.refused.entry(name.clone()).or_default();
        refusal
            .nodes
            .insert(node.clone(), (boot, message.to_owned()));
        if refusal.forms.insert(form) {
            let usable = fallback.filter(|bytes| !refusal.forms.contains(&Digest::of(bytes)));
            refusal.fallback = usable;
        }
        if let Some(content) = self.set.get(name) {
            refusal.forms.insert(Digest::of(content));
        }
        self.refresh(std::slice::from_ref(name), acked);
    }

    /// Names `node` among those that refuse `name`, if that is refused.
    pub(super) fn refuse_too(
        &mut self,
        name: &ResourceName,
        node: &NodeName,
        boot: u64,
        why: &str,
    ) {
        if let Some(refusal) = self.refused.get_mut(name) {
            refusal.nodes.insert(node.clone(), (boot, why.to_owned()));
        }
    }

    /// Carries `bytes` for a refused resource whose last form was not known.
    pub(super) fn recover(&mut self, name: &ResourceName, bytes: Arc<[u8]>, acked: &ResourceSet) {
        let Some(refusal) = self.refused.get_mut(name) else {
            return;
        };
        if refusal.fallback.is_none() && !refusal.forms.contains(&Digest::of(&bytes)) {
            refusal.fallback = Some(bytes);
            self.refresh(std::slice::from_ref(name), acked);
        }
    }

    /// Tries again what only nodes refused of which `gone` is true. Says
    /// whether there was something.
    pub(super) fn forgive(
        &mut self,
        acked: &ResourceSet,
        gone: impl Fn(&NodeName, u64) -> bool,
    ) -> bool {
        let forgiven = self.refused.values().any(|refusal| {
            refusal
                .nodes
                .iter()
                .all(|(node, (boot, _))| gone(node, *boot))
        });
        if forgiven {
            self.lift(acked);
        }
        forgiven
    }

    fn lift(&mut self, acked: &ResourceSet) {
        let names: Vec<ResourceName> = std::mem::take(&mut self.refused).into_keys().collect();
        self.refresh(&names, acked);
    }

    /// Resources that need a newer format than may be published and are not
    /// served in it already, with the format that they need.
    pub(super) fn held_back<'a>(
        &'a self,
        acked: &'a ResourceSet,
    ) -> impl Iterator<Item = (&'a ResourceName, u32)> {
        self.newer
            .iter()
            .filter(move |(name, format)| self.holds_back(name, **format, acked))
            .map(|(name, format)| (name, *format))
    }

    /// The newest format that reading the target takes.
    pub(super) fn format_of_target(&self) -> u32 {
        *self.format_of_target.get_or_init(|| {
            let carried = |name: &ResourceName| self.is_carried(name);
            let newer = self.newer.iter().filter(|(name, _)| carried(name));
            let former = self
                .former
                .iter()
                .filter(|(name, _)| self.target.get(name).is_some() && !carried(name));
            let formats = newer.chain(former).map(|(_, format)| *format);
            formats.fold(OLDEST_FORMAT, u32::max)
        })
    }

    /// What everybody serves already is not taken away because somebody came
    /// who cannot read it.
    fn holds_back(&self, name: &ResourceName, format: u32, acked: &ResourceSet) -> bool {
        format > self.format && self.set.get(name) != acked.get(name)
    }

    /// The form of `name` to publish.
    fn form<'s>(&'s self, name: &ResourceName, acked: &'s ResourceSet) -> Option<&'s [u8]> {
        let desired = self.set.get(name)?;
        if let Some(refusal) = self.refused.get(name) {
            return refusal.fallback.as_deref();
        }
        let format = self.newer.get(name).copied().unwrap_or(OLDEST_FORMAT);
        if self.holds_back(name, format, acked) || self.waits(name, acked) {
            return acked.get(name);
        }
        Some(desired)
    }

    /// Whether a resource binds a version that is desired and is not published
    /// in any form. Nodes would refuse the one without the other.
    fn waits(&self, name: &ResourceName, acked: &ResourceSet) -> bool {
        let versions = self.binds.get(name).into_iter().flatten();
        let mut desired = versions.filter(|version| self.set.get(version).is_some());
        desired.any(|version| self.form(version, acked).is_none())
    }

    /// What may have to wait for versions that are not published as desired.
    fn dependants<'a>(
        &'a self,
        versions: impl Iterator<Item = &'a ResourceName>,
    ) -> BTreeSet<ResourceName> {
        let binders = versions.filter_map(|version| self.binders.get(version));
        binders.flatten().cloned().collect()
    }

    fn refresh(&mut self, names: &[ResourceName], acked: &ResourceSet) {
        self.format_of_target = OnceLock::new();
        let dependants = self.dependants(names.iter());
        let names = names.iter().chain(&dependants);
        let mut target = self.target.clone();
        let forms = names.clone();
        target.change(forms.map(|name| (name.borrowed(), self.form(name, acked))));
        self.target = target;
        for name in names {
            if self.is_desired(name) && !self.is_carried(name) {
                self.uncarried.insert(name.clone());
            } else {
                self.uncarried.remove(name);
            }
            self.kept.remove(name);
        }
        self.refresh_kept(acked);
    }

    /// Keeps in the target the versions that last forms bind, for as long as
    /// they do.
    fn refresh_kept(&mut self, acked: &ResourceSet) {
        let uncarried = self.uncarried.iter();
        let needed: BTreeSet<ResourceName> = uncarried
            .filter_map(|name| Some((name, self.form(name, acked)?)))
            .flat_map(|(name, bytes)| versions_bound(name.kind(), bytes))
            .filter(|version| self.set.get(version).is_none())
            .collect();
        let gone = self.kept.difference(&needed);
        let gone = gone.map(|name| (name.borrowed(), None));
        let kept = needed.iter();
        let kept = kept.filter_map(|name| Some((name.borrowed(), Some(acked.get(name)?))));
        self.target.change(gone.chain(kept));
        self.kept = needed;
    }
}

/// The versions that an encoded resource binds; none when it cannot be read.
pub(super) fn versions_bound(kind: ResourceKind, bytes: &[u8]) -> Vec<ResourceName> {
    let Ok(Resource::Records(records)) = watershed_proto::decode(kind, bytes) else {
        return Vec::new();
    };
    let versions = records.placed.into_iter().filter_map(|placed| {
        if let Placement::Policy(binding) = placed.content {
            Some(binding.version)
        } else {
            None
        }
    });
    versions.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, content: Option<u8>) -> (ResourceName, Option<Content>) {
        let content = content.map(|octet| Content {
            bytes: [octet].into(),
            format: OLDEST_FORMAT,
        });
        (named(name), content)
    }

    fn named(name: &str) -> ResourceName {
        ResourceName::new(ResourceKind::RecordSet, "shop", name)
    }

    #[test]
    fn changes_of_one_name_follow_each_other() {
        let (mut desired, nothing) = (Desired::new(OLDEST_FORMAT), ResourceSet::new());
        desired.change(vec![change("a", Some(1)), change("b", Some(1))], &nothing);
        let changes = vec![
            change("a", Some(1)),
            change("a", Some(2)),
            change("b", None),
            change("a", Some(1)),
            change("c", Some(1)),
            change("c", None),
            change("b", None),
        ];
        let renewed = desired.change(changes, &nothing);
        assert_eq!(renewed, ["a", "b", "a", "c", "c"].map(named));
        let target: Vec<_> = desired
            .target()
            .into_iter()
            .flat_map(ResourceSet::iter)
            .collect();
        assert_eq!(target, [(named("a").borrowed(), &[1][..])]);
    }
}
