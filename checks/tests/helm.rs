//! What Helm makes of the chart. `make chart-test` builds Helm and says where
//! it is in `WATERSHED_HELM`.

use std::env;
use std::fs;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use watershed_checks::{chart, tree};

/// Typical values, as arguments to Helm. The definitions have a test of their
/// own, and are left out of these.
const CASES: &[(&str, &[&str])] = &[
    ("default", &[]),
    (
        "daemonset",
        &[
            "--set=dns.mode=DaemonSet,dns.hostPort=53,dns.location.region=eu-west-1",
            "--set=dns.service.type=ClusterIP,dns.nodeSelector.edge=yes",
            "--set=dns.probe.allow={10.0.0.0/8}",
            "--set=dns.rateLimit.answersPerSecond=100",
            "--set=dns.rateLimit.exempt={192.0.2.0/24,2001:db8::/32}",
        ],
    ),
    (
        "fleet-only",
        &[
            "--values=charts/watershed/profiles/fleet-only.yaml",
            "--set=dns.fleet=edge,dns.controlPlane.address=operator.example.com:8443",
        ],
    ),
    ("cert-manager", &["--set=certManager.enabled=true"]),
    (
        "monitoring",
        &[
            "--set=monitoring.podMonitor.enabled=true",
            "--set=monitoring.prometheusRule.enabled=true",
            "--set=monitoring.dashboard.enabled=true",
        ],
    ),
    (
        "two-services",
        &[
            "--set=dns.service.mixedProtocol=false",
            "--set=dns.service.annotations.example\\.com/share=dns",
        ],
    ),
];

/// Values that are refused, and what is said of them.
const REFUSED: &[(&str, &str)] = &[
    ("dns.replica=5", "'replica' not allowed"),
    ("operatr.enabled=true", "'operatr' not allowed"),
    ("dns.service.port=53", "'port' not allowed"),
    (
        "dns.mode=StatefulSet",
        "must be one of 'Deployment', 'DaemonSet'",
    ),
    ("operator.replicas=many", "want integer"),
    ("dns.probe.allow={10.0.0.0}", "does not match pattern"),
    ("dns.rateLimit.exempt={10.0.0.0}", "does not match pattern"),
    ("dns.rateLimit.slip=11", "maximum"),
    ("dns.extraArgs={geo-database}", "does not match pattern"),
    (
        "operator.enabled=false,dns.enabled=false",
        "there is nothing to install",
    ),
    (
        "operator.enabled=false",
        "say in dns.controlPlane.address where the operator",
    ),
    (
        "operator.enabled=false,dns.controlPlane.address=a:1,dns.identity=Secret",
        "say in dns.tlsSecretName which one",
    ),
    (
        "operator.tlsSecretName=mine",
        "dns.tlsSecretName must be one of the same authority",
    ),
    (
        "dns.identity=Secret,dns.fleet=edge",
        "for the fleet `default` only",
    ),
];

/// `scripts/generate` sets `WATERSHED_GENERATE`: then the files are written
/// instead of compared.
#[test]
fn typical_values_render_as_they_did() -> Result<()> {
    let mut differing = Vec::new();
    for (name, arguments) in CASES {
        let rendered = template(&[&["--set=crds.enabled=false"], *arguments].concat())?;
        let path = chart::directory().join(format!("tests/golden/{name}.yaml"));
        if env::var_os("WATERSHED_GENERATE").is_some() {
            fs::write(&path, &rendered)?;
        } else if fs::read_to_string(&path).unwrap_or_default() != rendered {
            differing.push(format!("{name}: {}", changed(&path, &rendered)?));
        }
    }
    assert!(
        differing.is_empty(),
        "the chart renders otherwise; look at it and run `make generate`:\n{}",
        differing.join("\n")
    );
    Ok(())
}

/// The lines in which a golden file and what is rendered differ.
fn changed(golden: &std::path::Path, rendered: &str) -> Result<String> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), rendered)?;
    let diff = Command::new("diff")
        .arg("-u")
        .args([golden, file.path()])
        .output();
    Ok(String::from_utf8_lossy(&diff?.stdout).into_owned())
}

#[test]
fn lint_finds_nothing() -> Result<()> {
    for (name, arguments) in CASES {
        let mut lint = vec!["lint", "--strict", "charts/watershed"];
        lint.extend(*arguments);
        let output = helm(&lint)?;
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
    Ok(())
}

#[test]
fn what_cannot_work_is_refused_with_a_reason() -> Result<()> {
    for (values, reason) in REFUSED {
        let set = format!("--set={values}");
        let output = helm(&["template", "watershed", "charts/watershed", &set])?;
        assert!(!output.status.success(), "{values} is taken");
        let said = said(&output);
        assert!(said.contains(reason), "{values}: {said}");
    }
    Ok(())
}

#[test]
fn definitions_are_those_of_the_repository_and_are_kept() -> Result<()> {
    let rendered = objects(&template(&["--show-only=templates/crds.yaml"])?)?;
    let mut originals = Vec::new();
    for path in tree::files_with(&tree::root().join("crds"), "yaml")? {
        originals.extend(objects(&fs::read_to_string(path)?)?);
    }
    for object in &rendered {
        let kept = object.pointer("/metadata/annotations/helm.sh~1resource-policy");
        assert_eq!(kept, Some(&json!("keep")), "{}", object["metadata"]["name"]);
    }
    assert_same(rendered, originals);
    let unkept = template(&["--set=crds.keep=false", "--show-only=templates/crds.yaml"])?;
    assert!(!unkept.contains("resource-policy"));
    Ok(())
}

/// In the release and the namespace that the manifests of `deploy/` are written
/// for, the chart gives the very same rights and policies.
#[test]
fn rights_and_policies_are_those_of_the_repository() -> Result<()> {
    for name in ["rbac", "admission"] {
        let rendered = template(&[&format!("--show-only=templates/{name}.yaml")])?;
        let file = tree::root().join(format!("deploy/{name}.yaml"));
        let originals = objects(&fs::read_to_string(file)?)?;
        assert_same(objects(&rendered)?, originals);
    }
    Ok(())
}

/// The same objects, but for the labels of the release, in any order.
fn assert_same(mut rendered: Vec<Value>, mut originals: Vec<Value>) {
    for objects in [&mut rendered, &mut originals] {
        objects.iter_mut().for_each(unlabelled);
        objects.sort_by_key(name);
    }
    let names = |objects: &[Value]| objects.iter().map(name).collect::<Vec<_>>();
    assert_eq!(names(&rendered), names(&originals));
    for (rendered, original) in rendered.iter().zip(&originals) {
        assert!(rendered == original, "{} differs", name(original));
    }
}

fn name(object: &Value) -> String {
    format!("{} {}", object["kind"], object["metadata"]["name"])
}

#[test]
fn another_release_names_its_own_account_everywhere() -> Result<()> {
    let arguments = ["template", "gslb", "charts/watershed", "--namespace=dns"];
    let output = helm(&arguments)?;
    ensure!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout)?;
    assert!(text.contains("system:serviceaccount:dns:gslb-watershed-operator"));
    for other in [
        "watershed-system",
        "name: watershed-operator\n  namespace",
        "name: watershed-dns\n",
    ] {
        assert!(!text.contains(other), "{other} is in it");
    }
    Ok(())
}

/// Takes away what tells one release from another, and what keeps definitions.
fn unlabelled(object: &mut Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return;
    };
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.retain(|key, _| key.starts_with("rbac.authorization.k8s.io/"));
    }
    let empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    if metadata.get("labels").is_some_and(empty) {
        metadata.remove("labels");
    }
    metadata.remove("annotations");
}

fn objects(text: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in text.split("\n---\n") {
        let object: Value = serde_yaml::from_str(document)?;
        if object.is_object() {
            objects.push(object);
        }
    }
    ensure!(!objects.is_empty(), "there are no objects");
    Ok(objects)
}

fn template(arguments: &[&str]) -> Result<String> {
    let start = [
        "template",
        "watershed",
        "charts/watershed",
        "--namespace=watershed-system",
    ];
    let output = helm(&[&start, arguments].concat())?;
    ensure!(output.status.success(), "{arguments:?}: {}", said(&output));
    Ok(String::from_utf8(output.stdout)?)
}

fn helm(arguments: &[&str]) -> Result<Output> {
    let helm = env::var_os("WATERSHED_HELM");
    let helm = helm.context("WATERSHED_HELM does not say where Helm is: run `make chart-test`")?;
    let output = Command::new(&helm)
        .args(arguments)
        .current_dir(tree::root())
        .output();
    output.with_context(|| format!("running {}", helm.display()))
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}
