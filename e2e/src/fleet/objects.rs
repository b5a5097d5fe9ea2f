//! Custom resources: looking at them, changing them, and waiting for what
//! their status says.

use anyhow::{Context, Result, ensure};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams,
};
use serde_json::Value;

use super::{Fleet, SOON};
use crate::eventually;

/// Who edits objects in tests.
const EDITOR: &str = "tester";

impl Fleet {
    /// The objects of a kind in a namespace.
    ///
    /// # Errors
    /// When the group has no such kind.
    pub fn api(&self, kind: &str, namespace: &str) -> Result<Api<DynamicObject>> {
        let plural = watershed_crd::plural(kind).with_context(|| format!("no kind {kind}"))?;
        let kind = GroupVersionKind::gvk("watershed.dev", "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
        Ok(Api::namespaced_with(
            self.cluster.client(),
            namespace,
            &resource,
        ))
    }

    /// An object, named as in `shop/www`.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn get(&self, kind: &str, object: &str) -> Result<Value> {
        let (namespace, name) = split(object)?;
        Ok(serde_json::to_value(
            self.api(kind, namespace)?.get(name).await?,
        )?)
    }

    /// Changes an object by a JSON merge patch.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn edit(&self, kind: &str, object: &str, patch: Value) -> Result<Value> {
        let (namespace, name) = split(object)?;
        let parameters = PatchParams {
            field_manager: Some(EDITOR.to_owned()),
            ..PatchParams::default()
        };
        let api = self.api(kind, namespace)?;
        let object = api.patch(name, &parameters, &Patch::Merge(patch)).await?;
        Ok(serde_json::to_value(object)?)
    }

    /// Deletes an object; it may take time to go.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn delete(&self, kind: &str, object: &str) -> Result<()> {
        let (namespace, name) = split(object)?;
        let api = self.api(kind, namespace)?;
        api.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until an object is gone.
    ///
    /// # Errors
    /// When it is still there in the end.
    pub async fn gone(&self, kind: &str, object: &str) -> Result<()> {
        let (namespace, name) = split(object)?;
        let api = self.api(kind, namespace)?;
        eventually(&format!("{kind} {object} is gone"), SOON, async || {
            let found = api.get_opt(name).await?;
            ensure!(
                found.is_none(),
                "{:?}",
                found.map(|found| found.data["status"].clone())
            );
            Ok(())
        })
        .await
    }

    /// Waits until the status of an object is about its present generation and
    /// passes `check`. Gives the object.
    ///
    /// # Errors
    /// When it does not in time; the last status, and what is wrong with it.
    pub async fn status(
        &self,
        kind: &str,
        object: &str,
        what: &str,
        check: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        eventually(&format!("{kind} {object}: {what}"), SOON, async || {
            let found = self.get(kind, object).await?;
            let status = &found["status"];
            let seen = status["observedGeneration"] == found["metadata"]["generation"];
            ensure!(seen && check(status), "{status:#}");
            Ok(found)
        })
        .await
    }

    /// Waits until an object is ready in its present generation. Gives it.
    ///
    /// # Errors
    /// When it is not in time; its last status.
    pub async fn ready(&self, kind: &str, object: &str) -> Result<Value> {
        eventually(&format!("{kind} {object} is ready"), SOON, async || {
            let found = self.get(kind, object).await?;
            let generation = &found["metadata"]["generation"];
            let ready = condition(&found["status"], "Ready");
            let ready = ready.is_some_and(|ready| {
                ready["status"] == "True" && ready["observedGeneration"] == *generation
            });
            ensure!(ready, "{:#}", found["status"]);
            Ok(found)
        })
        .await
    }

    /// Waits until a condition of an object, in its present generation, is
    /// false for this reason. Gives its message.
    ///
    /// # Errors
    /// When it is not in time; the last status.
    pub async fn fails(
        &self,
        kind: &str,
        object: &str,
        condition_type: &str,
        reason: &str,
    ) -> Result<String> {
        let what = format!("{condition_type} is false: {reason}");
        let failing = |status: &Value| {
            let found = condition(status, condition_type);
            found.is_some_and(|found| found["status"] == "False" && found["reason"] == reason)
        };
        let found = self.status(kind, object, &what, failing).await?;
        let found = condition(&found["status"], condition_type).context("no condition")?;
        Ok(found["message"].as_str().unwrap_or_default().to_owned())
    }
}

/// A condition of a status.
pub(super) fn condition<'v>(status: &'v Value, condition_type: &str) -> Option<&'v Value> {
    let conditions = status["conditions"].as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == condition_type)
}

fn split(object: &str) -> Result<(&str, &str)> {
    object
        .split_once('/')
        .with_context(|| format!("{object} is not NAMESPACE/NAME"))
}
