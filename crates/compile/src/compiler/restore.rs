//! What was served before this compiler was made.

use std::sync::Arc;

use watershed_snapshot::{PolicyVersion, Records, Resource as Served, ResourceKind, ResourceName};

use super::Compiler;
use crate::contents::{Claimant, Placement, types, version_name};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::slot::Active;
use crate::zone::ZoneHead;

impl Compiler {
    /// Tells what was served before, so that what cannot be served as it is
    /// asked for goes on being served as it was, and serial numbers go on from
    /// where they were. It is for all objects that are known at the next
    /// compilation, has precedence over what this compiler fell back to by
    /// itself, and is forgotten then. Zones and versions that can be served
    /// already stay as they are.
    pub fn restore(&mut self, resources: Vec<(ResourceName, Served)>) {
        for (name, resource) in resources {
            let key = ObjectKey::new(name.namespace(), name.name());
            match (name.kind(), resource) {
                (ResourceKind::TrafficPolicyVersion, Served::Version(version)) => {
                    self.restore_version(key, &version);
                }
                (ResourceKind::HostedZone, Served::Zone(head)) => self.restore_head(key, &head),
                (ResourceKind::HealthCheck, Served::Check(check)) => {
                    let object = ObjectRef::new(Kind::HealthCheck, key.clone());
                    self.dirty.plain.insert(object);
                    self.health_checks.restore(key, check);
                }
                (kind, Served::Records(records)) => self.restore_records(kind, &key, records),
                // Of a kind that it cannot be.
                _ => {}
            }
        }
    }

    fn restore_version(&mut self, key: ObjectKey, version: &Arc<PolicyVersion>) {
        if self.versions.restore(&key, version) {
            self.dirty.versions.insert(key);
        }
    }

    fn restore_head(&mut self, key: ObjectKey, head: &watershed_snapshot::ZoneHead) {
        let Some((head, serial)) = ZoneHead::read(head) else {
            return;
        };
        self.zones.note_serial(&head.apex, serial);
        if self.zones.get(&key).is_none() {
            self.restored_heads.insert(key.clone(), head);
            self.dirty.zones.insert(key);
            self.dirty.accept = true;
        }
    }

    fn restore_records(&mut self, kind: ResourceKind, key: &ObjectKey, records: Records) {
        let zone = Arc::new(records.zone);
        for placed in records.placed {
            let claimant = match kind {
                ResourceKind::RecordSet | ResourceKind::PolicyRecord => {
                    let kind = match kind {
                        ResourceKind::RecordSet => Kind::RecordSet,
                        _ => Kind::PolicyRecord,
                    };
                    let object = ObjectRef::new(kind, key.clone());
                    self.dirty.attached.insert(object.clone());
                    Claimant::Object(object)
                }
                _ => {
                    self.dirty.zones.insert(key.clone());
                    self.dirty.accept = true;
                    let kind = types(&placed.content).first().copied();
                    Claimant::Zone(key.clone(), placed.owner.clone(), kind.unwrap_or(0))
                }
            };
            let placement = Placement {
                zone: Arc::clone(&zone),
                owner: placed.owner,
                content: placed.content,
            };
            self.contents.restore(claimant, placement);
        }
    }

    /// Tells which version a record served before, by its number and digest,
    /// as the status of the record has them. Without a digest the policy that
    /// the record refers to now is taken for the one that it served. What
    /// [`restore`](Self::restore) tells of the record has precedence.
    pub fn restore_active(&mut self, record: &ObjectKey, version: u32, digest: Option<&str>) {
        let active = Active {
            number: version,
            digest: digest.map(str::to_owned),
        };
        self.active.insert(record.clone(), active);
        let object = ObjectRef::new(Kind::PolicyRecord, record.clone());
        self.dirty.attached.insert(object);
    }

    /// Forgets what was restored and not taken up.
    pub(super) fn end_restoration(&mut self) {
        self.contents.end_restoration();
        self.health_checks.end_restoration();
        self.restored_heads.clear();
        self.active.clear();
    }
}

/// Everything that is served, and all versions that could be.
pub(super) fn held(compiler: &Compiler) -> Vec<(ResourceName, Served)> {
    let mut held: Vec<_> = compiler.health_checks.all().collect();
    for (key, version) in compiler.versions.all() {
        held.push((version_name(key), Served::Version(Arc::clone(version))));
    }
    for (key, zone) in compiler.zones.iter() {
        let name = |kind| ResourceName::new(kind, &key.namespace, &key.name);
        let served = zone.serial.map(|serial| zone.head.served(serial));
        held.extend(served.map(|head| (name(ResourceKind::HostedZone), Served::Zone(head))));
        let own = compiler.contents.resource_of(zone.own_claimants());
        held.extend(own.map(|own| (name(ResourceKind::ZoneRecords), own)));
    }
    for claimant in compiler.contents.all() {
        if let Claimant::Object(object) = claimant {
            let kind = match object.kind {
                Kind::RecordSet => ResourceKind::RecordSet,
                _ => ResourceKind::PolicyRecord,
            };
            let name = ResourceName::new(kind, &object.key.namespace, &object.key.name);
            held.extend(compiler.contents.resource(claimant).map(|r| (name, r)));
        }
    }
    held.sort_by(|(a, _), (b, _)| a.cmp(b));
    held
}
