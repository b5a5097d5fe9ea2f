//! Files of objects, applied.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{StreamExt, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::Value;

use crate::wait::{eventually, until};

/// The name that the harness's writes bear.
const FIELD_MANAGER: &str = "watershed-e2e";

/// What is established at once on an idle machine.
const ESTABLISHED: Duration = Duration::from_mins(1);

/// The objects that were refused, and why.
#[derive(Debug)]
pub struct Failures(Vec<(String, kube::Error)>);

impl Failures {
    /// Each refused object as `Kind namespace/name`, with the error.
    pub fn refused(&self) -> &[(String, kube::Error)] {
        &self.0
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} objects were not applied:", self.0.len())?;
        for (object, error) in &self.0 {
            match error {
                // The client's own form repeats all of it as a structure.
                kube::Error::Api(status) => write!(f, "\n  {object}: {}", status.message)?,
                other => write!(f, "\n  {object}: {other}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failures {}

/// The objects of a text of YAML documents; JSON is YAML, too. Lists are taken
/// apart, empty documents left out.
///
/// # Errors
/// When it is not YAML.
pub fn parse(yaml: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(yaml) {
        let value = Value::deserialize(document)?;
        match value.get("items") {
            Some(Value::Array(items)) if value["kind"] == "List" => {
                objects.extend(items.iter().cloned());
            }
            _ if value.is_null() => {}
            _ => objects.push(value),
        }
    }
    Ok(objects)
}

/// The objects of a file or of all files below a directory.
pub(super) fn read(path: &Path) -> Result<Vec<Value>> {
    let mut files = Vec::new();
    find(path, &mut files).with_context(|| format!("cannot read {}", path.display()))?;
    if files.is_empty() {
        bail!("{} has no files of objects", path.display());
    }
    files.sort();
    let mut objects = Vec::new();
    for file in files {
        let yaml = fs::read_to_string(&file);
        let yaml = yaml.with_context(|| format!("cannot read {}", file.display()))?;
        objects.extend(parse(&yaml).with_context(|| file.display().to_string())?);
    }
    Ok(objects)
}

fn find(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() || matches!(extension, Some("yaml" | "yml" | "json")) {
                find(&path, files)?;
            }
        }
    } else {
        fs::metadata(path)?;
        files.push(path.to_owned());
    }
    Ok(())
}

/// Applies objects: definitions, then namespaces, then the rest.
///
/// # Errors
/// [`Failures`], after all that can be applied has been.
pub(super) async fn apply(client: &Client, objects: Vec<Value>, at_a_time: usize) -> Result<()> {
    let mut phases = [Vec::new(), Vec::new(), Vec::new()];
    for object in objects {
        let object: DynamicObject =
            serde_json::from_value(object).context("an object without apiVersion and kind")?;
        phases[phase(&object)].push(object);
    }
    let mut failures = Vec::new();
    for objects in phases {
        failures.extend(apply_phase(client, objects, at_a_time).await?);
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(Failures(failures).into())
}

fn phase(object: &DynamicObject) -> usize {
    match kind(object) {
        "CustomResourceDefinition" => 0,
        "Namespace" => 1,
        _ => 2,
    }
}

async fn apply_phase(
    client: &Client,
    objects: Vec<DynamicObject>,
    at_a_time: usize,
) -> Result<Vec<(String, kube::Error)>> {
    let mut kinds = BTreeMap::new();
    for object in &objects {
        let gvk = group_version_kind(object)?;
        let key = (gvk.group.clone(), gvk.version.clone(), gvk.kind.clone());
        if let Entry::Vacant(entry) = kinds.entry(key) {
            entry.insert(resource_of(client, &gvk).await?);
        }
    }
    let kinds = &kinds;
    let applied = stream::iter(objects).map(|object| async move {
        let gvk = group_version_kind(&object)?;
        let (resource, scope) = &kinds[&(gvk.group, gvk.version, gvk.kind)];
        match apply_one(client, &object, resource, scope).await {
            Ok(()) => established(client, &object).await.map(|()| None),
            Err(error) => Ok(Some((describe(&object), error))),
        }
    });
    let outcomes: Vec<Result<_>> = applied.buffered(at_a_time.max(1)).collect().await;
    let outcomes: Vec<_> = outcomes.into_iter().collect::<Result<_>>()?;
    Ok(outcomes.into_iter().flatten().collect())
}

async fn apply_one(
    client: &Client,
    object: &DynamicObject,
    resource: &ApiResource,
    scope: &Scope,
) -> Result<(), kube::Error> {
    let api: Api<DynamicObject> = match (scope, &object.metadata.namespace) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), resource),
        (Scope::Namespaced, Some(namespace)) => {
            Api::namespaced_with(client.clone(), namespace, resource)
        }
        (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), resource),
    };
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let params = PatchParams::apply(FIELD_MANAGER)
        .force()
        .validation_strict();
    api.patch(name, &params, &Patch::Apply(object)).await?;
    Ok(())
}

/// A kind that was defined a moment ago may not be told of yet.
async fn resource_of(client: &Client, gvk: &GroupVersionKind) -> Result<(ApiResource, Scope)> {
    let what = format!("{} {} is served", gvk.api_version(), gvk.kind);
    let found = eventually(&what, Duration::from_secs(10), async || {
        Ok(discovery::pinned_kind(client, gvk).await?)
    });
    let (resource, capabilities) = found.await?;
    Ok((resource, capabilities.scope))
}

async fn established(client: &Client, object: &DynamicObject) -> Result<()> {
    if phase(object) != 0 {
        return Ok(());
    }
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = object.metadata.name.as_deref().unwrap_or_default();
    until(&format!("{name} is established"), ESTABLISHED, async || {
        let conditions = api
            .get(name)
            .await?
            .status
            .and_then(|status| status.conditions);
        let mut conditions = conditions.iter().flatten();
        Ok(conditions
            .any(|condition| condition.type_ == "Established" && condition.status == "True"))
    })
    .await
}

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| &types.kind)
}

fn group_version_kind(object: &DynamicObject) -> Result<GroupVersionKind> {
    let types = object.types.as_ref();
    let types = types.with_context(|| format!("{} has no kind", describe(object)))?;
    Ok(types.try_into()?)
}

fn describe(object: &DynamicObject) -> String {
    let metadata = &object.metadata;
    let name = metadata.name.as_deref().unwrap_or("without a name");
    match &metadata.namespace {
        Some(namespace) => format!("{} {namespace}/{name}", kind(object)),
        None => format!("{} {name}", kind(object)),
    }
}
