//! A cluster in memory: just enough of what an API server does with the
//! operator's writes to see whether plans come to rest. The real server is
//! asked by the end-to-end tests.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use watershed_compile::ObjectKey;
use watershed_health::Target;
use watershed_operator::fleet::{FleetName, FleetView, NodeName, Progress};
use watershed_operator::health::{FailoverView, TargetView};
use watershed_operator::object::{FIELD_MANAGER, ObjectId, ObjectKind};
use watershed_operator::plan::{Fleets, Planner, Write};
use watershed_operator::watch::{Change, observe};
use watershed_operator::world::World;
use watershed_snapshot::{ResourceName, SnapshotId};

/// Rounds of planning after which plans should have come to rest.
const ROUNDS: usize = 8;

/// Three nodes, which serve whatever they are given, or say why not.
pub struct Nodes {
    pub programmed: usize,
    pub rejected: Vec<(ResourceName, &'static str)>,
    pub health: Health,
}

/// What the fleet knows of health.
#[derive(Default)]
pub struct Health {
    pub unsettled: bool,
    pub targets: BTreeMap<Target, TargetView>,
    pub failover: BTreeMap<String, FailoverView>,
}

impl Fleets for Nodes {
    fn view(&self, _: &FleetName) -> Option<FleetView> {
        None
    }

    fn progress(&self, _: &FleetName, name: &ResourceName) -> Option<Progress> {
        let rejected = self
            .rejected
            .iter()
            .filter(|(rejected, _)| rejected == name);
        let rejected = rejected.map(|(_, why)| (NodeName::new("dns-1"), (*why).to_owned()));
        let rejected: Vec<_> = rejected.collect();
        let carried = rejected.is_empty();
        Some(Progress {
            id: carried.then_some(SnapshotId {
                epoch: 1,
                generation: 7,
            }),
            live: 3,
            programmed: if carried { self.programmed } else { 0 },
            rejected,
            complete_after: None,
        })
    }

    fn settled(&self, _: &FleetName) -> bool {
        true
    }

    fn health_settled(&self, _: &FleetName) -> bool {
        !self.health.unsettled
    }

    fn verdict(&self, _: &FleetName, target: &Target) -> Option<TargetView> {
        self.health.targets.get(target).cloned()
    }

    fn targets_of(&self, _: &FleetName, check: &str) -> Vec<(Target, TargetView)> {
        let targets = self.health.targets.iter();
        let targets = targets.filter(|(target, _)| target.check == check);
        targets
            .map(|(target, view)| (target.clone(), view.clone()))
            .collect()
    }

    fn failover(&self, _: &FleetName, record: &str) -> Option<FailoverView> {
        self.health.failover.get(record).cloned()
    }
}

/// The cluster and the operator's view of it.
pub struct Cluster {
    objects: BTreeMap<ObjectId, Value>,
    pub world: World,
    pub nodes: Nodes,
    pub now: Timestamp,
    count: u64,
}

impl Cluster {
    pub fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            world: World::new(SignedDuration::from_secs(300)),
            nodes: Nodes {
                programmed: 3,
                rejected: Vec::new(),
                health: Health::default(),
            },
            now: "2026-11-21T10:00:00Z".parse().expect("a time"),
            count: 0,
        }
    }

    /// Somebody applies YAML documents.
    pub fn apply(&mut self, yaml: &str) {
        for document in serde_yaml::Deserializer::from_str(yaml) {
            let value = Value::deserialize(document).expect("YAML");
            if !value.is_null() {
                self.apply_one(&value);
            }
        }
    }

    fn apply_one(&mut self, value: &Value) {
        let id = id_of(value);
        let mut object = self
            .objects
            .get(&id)
            .cloned()
            .unwrap_or_else(|| self.created(&id));
        let meta = &value["metadata"];
        if let Some(annotations) = meta.get("annotations") {
            object["metadata"]["annotations"] = annotations.clone();
        }
        if object.get("spec") != Some(&value["spec"]) {
            let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + 1);
            object["spec"] = value["spec"].clone();
        }
        manage(&mut object, "kubectl", true);
        self.put(id, object);
    }

    fn created(&mut self, id: &ObjectId) -> Value {
        self.count += 1;
        json!({
            "apiVersion": "watershed.dev/v1alpha1",
            "kind": id.kind.as_str(),
            "metadata": {
                "name": id.key.name,
                "namespace": id.key.namespace,
                "uid": format!("uid-{}", self.count),
                "creationTimestamp": self.now.to_string(),
            },
        })
    }

    fn put(&mut self, id: ObjectId, mut object: Value) {
        self.count += 1;
        object["metadata"]["resourceVersion"] = json!(self.count.to_string());
        let deleting = object["metadata"].get("deletionTimestamp").is_some();
        let held = object["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|held| !held.is_empty());
        if deleting && !held {
            self.objects.remove(&id);
            self.world.take(Change::Gone(id), self.now);
            return;
        }
        self.objects.insert(id.clone(), object.clone());
        let object = serde_json::from_value(object).expect("an object");
        self.world
            .take(Change::Object(Box::new(observe(id.kind, object))), self.now);
    }

    /// Somebody deletes an object.
    pub fn delete(&mut self, kind: ObjectKind, name: &str) {
        let id = id(kind, name);
        let mut object = self.objects[&id].clone();
        object["metadata"]["deletionTimestamp"] = json!(self.now.to_string());
        self.put(id, object);
    }

    pub fn get(&self, kind: ObjectKind, name: &str) -> Option<&Value> {
        self.objects.get(&id(kind, name))
    }

    /// `Type=Status Reason`, and the message where there is one.
    pub fn condition(&self, kind: ObjectKind, name: &str, condition: &str) -> String {
        let object = self.get(kind, name).expect("the object");
        let conditions = object["status"]["conditions"]
            .as_array()
            .expect("conditions");
        let found = conditions.iter().find(|found| found["type"] == condition);
        let Some(found) = found else {
            return format!("no {condition}");
        };
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        format!(
            "{condition}={} {}: {}",
            text("status"),
            text("reason"),
            text("message")
        )
    }

    /// Carries out plans until there is nothing to do; gives what was written.
    pub fn settle(&mut self) -> Vec<String> {
        let mut written = Vec::new();
        for _ in 0..ROUNDS {
            self.world.compile(1_000);
            self.world.take_unpublished();
            let objects = self.world.take_dirty();
            let plan = Planner::new(&self.world, &self.nodes, self.now).plan(&objects);
            if plan.writes.is_empty() {
                return written;
            }
            for write in plan.writes {
                written.push(describe(&write));
                self.write(write);
            }
        }
        panic!("plans do not come to rest: {written:#?}");
    }

    /// As [`settle`](Self::settle), after every object was looked at.
    pub fn look_at_everything(&mut self) -> Vec<String> {
        self.world.look_at_everything();
        self.settle()
    }

    fn write(&mut self, write: Write) {
        let id = write.id().clone();
        // Objects may go between a plan and its writes.
        let is_new = matches!(&write, Write::Configuration(write) if write.uid.is_none());
        if !is_new && !self.objects.contains_key(&id) {
            return;
        }
        match write {
            Write::Status(write) => {
                let mut object = self.objects[&id].clone();
                object["status"] = write.status;
                self.put(id, object);
            }
            Write::Configuration(write) => {
                let body = write.body();
                let mut object = match &write.uid {
                    Some(_) => self.objects[&id].clone(),
                    None => self.created(&id),
                };
                for field in ["finalizers", "ownerReferences"] {
                    let given = body["metadata"].get(field).cloned();
                    object["metadata"][field] = given.unwrap_or_else(|| json!([]));
                }
                manage(&mut object, FIELD_MANAGER, write.minted.is_some());
                if write.uid.is_none() {
                    object["metadata"]["generation"] = json!(1);
                    object["spec"] = body["spec"].clone();
                }
                self.put(id, object);
            }
            Write::Deletion(_) => self.delete(id.kind, &id.key.name),
        }
    }
}

/// Notes that a manager owns the spec, or does not.
fn manage(object: &mut Value, manager: &str, owns: bool) {
    let entries = object["metadata"]["managedFields"].as_array().cloned();
    let mut entries = entries.unwrap_or_default();
    entries.retain(|entry| entry["manager"] != manager);
    if owns {
        entries.push(json!({
            "manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {}},
        }));
    }
    object["metadata"]["managedFields"] = json!(entries);
}

fn describe(write: &Write) -> String {
    match write {
        Write::Status(write) => format!("status {}", write.id),
        Write::Deletion(write) => format!("delete {}", write.id),
        Write::Configuration(write) => match (&write.uid, write.in_use) {
            (None, _) => format!("make {}", write.id),
            (Some(_), true) => format!("hold {}", write.id),
            (Some(_), false) => format!("release {}", write.id),
        },
    }
}

fn id_of(value: &Value) -> ObjectId {
    let kind = ObjectKind::of(value["kind"].as_str().expect("a kind")).expect("a kind of ours");
    id(kind, value["metadata"]["name"].as_str().expect("a name"))
}

/// Everything lies in one namespace.
fn id(kind: ObjectKind, name: &str) -> ObjectId {
    ObjectId::new(kind, ObjectKey::new("shop", name))
}
