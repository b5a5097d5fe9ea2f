//! The definitions on an API server: installed, and each rule put to the test.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, Error, ResourceExt};
use serde_json::{Value, json};

use crate::objects::{apply, custom, until};
use crate::support::cases::{Attempt, Case, cases};
use crate::support::path;
use crate::support::rules::{Rule, reaches, rules};

/// A definition as its file in `crds/` has it.
pub struct Definition {
    pub kind: String,
    pub name: String,
    yaml: String,
    schema: Value,
}

impl Definition {
    fn read(yaml: String) -> Result<Self> {
        let value: Value = serde_yaml::from_str(&yaml)?;
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let schema = value.pointer("/spec/versions/0/schema/openAPIV3Schema");
        Ok(Self {
            kind: text("/spec/names/kind").context("no kind")?.to_owned(),
            name: text("/metadata/name").context("no name")?.to_owned(),
            schema: schema.context("no schema")?.clone(),
            yaml,
        })
    }
}

/// All definitions of `crds/`.
pub fn definitions() -> Result<Vec<Definition>> {
    let mut definitions = Vec::new();
    for file in fs::read_dir(path("../../crds"))? {
        let file = file?.path();
        let yaml = fs::read_to_string(&file)?;
        definitions.push(Definition::read(yaml).context(file.display().to_string())?);
    }
    ensure!(!definitions.is_empty(), "crds/ is empty");
    Ok(definitions)
}

/// Installs the definitions and waits until each is established. An API server
/// that estimates a rule to cost more than it allows refuses the definition.
pub async fn install(client: &Client, definitions: &[Definition]) -> Result<()> {
    for definition in definitions {
        apply(client, &definition.yaml).await?;
    }
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in definitions {
        let name = &definition.name;
        until(
            &format!("{name} is established"),
            Duration::from_secs(30),
            async || {
                let found = api.get(name).await?;
                let ready = is_true(&found, "Established") && is_true(&found, "NamesAccepted");
                Ok(ready.then_some(()))
            },
        )
        .await?;
    }
    Ok(())
}

fn is_true(definition: &CustomResourceDefinition, condition: &str) -> bool {
    let status = definition.status.iter();
    status
        .flat_map(|status| status.conditions.iter().flatten())
        .any(|found| found.type_ == condition && found.status == "True")
}

/// Puts every case of every rule to the server, and checks that no rule is
/// without one that it refuses and one that it lets pass. Returns how many
/// cases there were.
pub async fn judge(client: &Client, definitions: &[Definition]) -> Result<usize> {
    let kinds = definitions.iter().map(|one| judge_kind(client, one));
    Ok(try_join_all(kinds).await?.into_iter().sum())
}

async fn judge_kind(client: &Client, definition: &Definition) -> Result<usize> {
    let kind = &definition.kind;
    let rules: BTreeSet<Rule> = rules(kind, &definition.schema).into_iter().collect();
    let [mut unrefused, mut unpassed] = [rules.clone(), rules.clone()];
    let mut judged = 0;
    for case in cases(kind, &definition.schema) {
        for attempt in case.refuses.iter().chain(&case.passes) {
            let refused = judge_one(client, &case, attempt, &rules).await?;
            let passed = refused.is_empty() && reaches(&attempt.object, &case.rule.on);
            unrefused.retain(|rule| !refused.contains(rule));
            unpassed.retain(|rule| !(passed && *rule == case.rule));
            judged += 1;
        }
    }
    let message = "no case that is refused by";
    ensure!(unrefused.is_empty(), "{message} {unrefused:#?}");
    let message = "no case that is let pass by";
    ensure!(unpassed.is_empty(), "{message} {unpassed:#?}");
    Ok(judged)
}

/// The rules that refuse an attempt, which must be the expected ones.
async fn judge_one(
    client: &Client,
    case: &Case,
    attempt: &Attempt,
    rules: &BTreeSet<Rule>,
) -> Result<BTreeSet<Rule>> {
    let what = || format!("{:?}: {}", case.rule, attempt.title);
    let answer = if case.rule.about_changes {
        change(client, attempt).await.with_context(what)?
    } else {
        make(client, &attempt.object).await
    };
    let refused = refusals(answer, rules).with_context(what)?;
    let messages: BTreeSet<String> = refused.iter().map(|rule| rule.message.clone()).collect();
    ensure!(
        messages == attempt.messages,
        "{}: refused by {refused:#?}, not by {:#?}",
        what(),
        attempt.messages,
    );
    let by_itself = !attempt.messages.contains(&case.rule.message) || refused.contains(&case.rule);
    ensure!(by_itself, "{}: refused at {refused:#?}", what());
    Ok(refused)
}

const DRY: PostParams = PostParams {
    dry_run: true,
    field_manager: None,
};

async fn make(client: &Client, object: &Value) -> Result<(), Error> {
    let (api, object) = custom(client, object)?;
    api.create(&DRY, &object).await.map(drop)
}

/// Makes the object before the change for real, and tries the change.
async fn change(client: &Client, attempt: &Attempt) -> Result<Result<(), Error>> {
    let (api, before) = custom(client, &attempt.before)?;
    let made = api.create(&PostParams::default(), &before).await?;
    let made = match attempt.before.get("status") {
        Some(status) => with_status(&api, &made, status).await?,
        None => made,
    };
    let (_, mut after) = custom(client, &attempt.object)?;
    after.metadata.resource_version = made.resource_version();
    let answer = api.replace(&made.name_any(), &DRY, &after).await.map(drop);
    api.delete(&made.name_any(), &DeleteParams::default())
        .await?;
    Ok(answer)
}

async fn with_status(
    api: &Api<DynamicObject>,
    object: &DynamicObject,
    status: &Value,
) -> Result<DynamicObject> {
    let patch = Patch::Merge(json!({"status": status}));
    let name = object.name_any();
    Ok(api
        .patch_status(&name, &PatchParams::default(), &patch)
        .await?)
}

/// The rules that an answer names; anything else that it says is an error.
fn refusals(answer: Result<(), Error>, rules: &BTreeSet<Rule>) -> Result<BTreeSet<Rule>> {
    let status = match answer {
        Ok(()) => return Ok(BTreeSet::new()),
        Err(Error::Api(status)) => status,
        Err(other) => return Err(other.into()),
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut refused = BTreeSet::new();
    for cause in causes {
        let at = place(&cause.field);
        let named = |rule: &&Rule| rule.at == at && cause.message.ends_with(&rule.message);
        let Some(rule) = rules.iter().find(named) else {
            bail!("no rule says \"{}\" at {}", cause.message, cause.field);
        };
        refused.insert(rule.clone());
    }
    ensure!(!refused.is_empty(), "refused, but by no rule: {status}");
    Ok(refused)
}

/// A field path of the server with `[]` for every index and key.
fn place(field: &str) -> String {
    let mut place = String::new();
    let mut inside = false;
    for letter in field.chars() {
        match letter {
            '[' => inside = true,
            ']' => {
                inside = false;
                place.push_str("[]");
            }
            letter if !inside => place.push(letter),
            _ => {}
        }
    }
    // The server's way to write the path to the object itself.
    if place == "<nil>" {
        place.clear();
    }
    place
}
