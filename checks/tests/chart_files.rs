//! What the files of the chart say of each other, of the programs and of the
//! pages is true. What Helm makes of them, `helm.rs` checks.

use std::collections::BTreeSet;
use std::env;
use std::fs;

use anyhow::{Context, Result, ensure};
use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;
use watershed_checks::{chart, tree};

#[test]
fn the_copies_in_the_chart_are_those_of_the_repository() -> Result<()> {
    let root = tree::root();
    let mut pairs = vec![
        ("deploy/rbac.yaml".to_owned(), "files/rbac.yaml".to_owned()),
        (
            "deploy/admission.yaml".to_owned(),
            "files/admission.yaml".to_owned(),
        ),
    ];
    for path in tree::files_with(&root.join("crds"), "yaml")? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        pairs.push((format!("crds/{name}"), format!("files/crds/{name}")));
    }
    for (original, copy) in &pairs {
        let same = fs::read_to_string(root.join(original))? == chart::read(copy)?;
        assert!(
            same,
            "charts/watershed/{copy} is not {original}: run `make generate`"
        );
    }
    let copies = tree::files_with(&chart::directory().join("files/crds"), "yaml")?;
    assert_eq!(copies.len() + 2, pairs.len(), "a definition too many");
    Ok(())
}

/// `scripts/generate` sets `WATERSHED_GENERATE`: then it is written instead of
/// compared.
#[test]
fn the_table_of_values_is_that_of_the_file() -> Result<()> {
    let page = tree::root().join("docs/chart-values.md");
    let wanted = format!(
        "# Values of the chart\n\nMade from \
         [values.yaml]({}/blob/main/charts/watershed/values.yaml) by `make generate`. How to \
         install: [installation](install.md).\n\n{}",
        tree::REPOSITORY,
        chart::table(&chart::read("values.yaml")?)?
    );
    if env::var_os("WATERSHED_GENERATE").is_some() {
        return Ok(fs::write(page, wanted)?);
    }
    let shown = fs::read_to_string(page)?;
    assert!(
        shown == wanted,
        "docs/chart-values.md is stale: run `make generate`"
    );
    Ok(())
}

#[test]
fn the_schema_knows_every_value_and_no_other() -> Result<()> {
    let values = chart::read("values.yaml")?;
    let schema: Value = serde_json::from_str(&chart::read("values.schema.json")?)?;
    let mut known = BTreeSet::new();
    closed(&schema, &schema, &mut Vec::new(), &mut known)?;
    // Helm itself puts it there.
    known.remove("global");
    let documented = chart::settings(&values)?.into_iter();
    let documented: BTreeSet<String> = documented.map(|setting| setting.path.join(".")).collect();
    // What is in a value that is documented as a whole.
    known.retain(|path| !documented.iter().any(|whole| within(path, whole)));
    assert_eq!(known, documented);
    Ok(())
}

fn within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// Collects the leaves of a schema, and checks that a misspelt key is refused
/// beside every named one.
fn closed(
    root: &Value,
    schema: &Value,
    path: &mut Vec<String>,
    leaves: &mut BTreeSet<String>,
) -> Result<()> {
    let target = schema.get("$ref").and_then(Value::as_str);
    let schema = match target {
        Some(target) => root
            .pointer(target.trim_start_matches('#'))
            .with_context(|| format!("{target} is not there"))?,
        None => schema,
    };
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        leaves.insert(path.join("."));
        return Ok(());
    };
    ensure!(
        schema.get("additionalProperties") == Some(&Value::Bool(false)),
        "{} takes any key",
        path.join(".")
    );
    // A value that is documented as a whole, like `resources`.
    leaves.extend(target.map(|_| path.join(".")));
    for (key, schema) in properties {
        path.push(key.clone());
        closed(root, schema, path, leaves)?;
        path.pop();
    }
    Ok(())
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() -> Result<()> {
    let mut alerts = BTreeSet::new();
    for rule in rules()? {
        let name = rule["alert"].as_str().context("an alert without a name")?;
        assert!(alerts.insert(format!("{name}.md")), "{name} is there twice");
        for (member, known) in [
            ("/labels/severity", &["critical", "warning"][..]),
            ("/for", &["1m", "2m", "5m", "10m", "15m", "1h"]),
        ] {
            let value = rule.pointer(member).and_then(Value::as_str);
            assert!(
                value.is_some_and(|value| known.contains(&value)),
                "{name}: {member} is {value:?}"
            );
        }
        for member in ["/annotations/summary", "/annotations/description"] {
            assert!(rule.pointer(member).is_some(), "{name} has no {member}");
        }
    }
    let runbooks = tree::files_with(&tree::root().join("docs/runbooks"), "md")?;
    let runbooks = runbooks.iter().filter_map(|path| path.file_name());
    let mut runbooks: BTreeSet<String> = runbooks
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    assert!(runbooks.remove("README.md"), "the runbooks have no index");
    assert_eq!(alerts, runbooks);
    Ok(())
}

#[test]
fn alerts_and_panels_ask_for_metrics_that_there_are() -> Result<()> {
    let known = documented_metrics()?;
    let mut expressions = Vec::new();
    for rule in rules()? {
        expressions.push(rule["expr"].as_str().context("no expression")?.to_owned());
    }
    let alerts = expressions.len();
    let dashboard: Value = serde_json::from_str(&chart::read("files/dashboard.json")?)?;
    for panel in dashboard["panels"].as_array().context("no panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().context("no expression")?;
            // Grafana's own variable.
            expressions.push(expression.replace("$__rate_interval", "5m"));
        }
    }
    assert!(alerts > 0 && expressions.len() > alerts, "nothing to check");
    for expression in expressions {
        let parsed = parser::parse(&expression);
        let parsed = parsed.map_err(|fault| anyhow::anyhow!("{expression}: {fault}"))?;
        let mut named = Metrics::default();
        walk_expr(&mut named, &parsed)?;
        assert!(!named.0.is_empty(), "{expression} asks for nothing");
        for name in named.0 {
            let plain = name.strip_suffix("_bucket").unwrap_or(&name);
            assert!(known.contains(plain), "{expression}: there is no {name}");
        }
    }
    Ok(())
}

fn rules() -> Result<Vec<Value>> {
    let file = chart::read_yaml("files/alerts.yaml")?;
    let groups = file["groups"].as_array().context("no groups")?;
    let rules = groups.iter().filter_map(|group| group["rules"].as_array());
    Ok(rules.flatten().cloned().collect())
}

/// The metrics in the tables of the page, which are those of the programs.
fn documented_metrics() -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(tree::root().join("docs/metrics.md"))?;
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `watershed_"));
    let names = rows.filter_map(|row| row.split('`').next());
    Ok(names.map(|name| format!("watershed_{name}")).collect())
}

/// The metrics that an expression asks for.
#[derive(Default)]
struct Metrics(BTreeSet<String>);

impl ExprVisitor for Metrics {
    type Error = anyhow::Error;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool> {
        match expression {
            Expr::VectorSelector(selector) => self.0.extend(selector.name.clone()),
            Expr::MatrixSelector(selector) => self.0.extend(selector.vs.name.clone()),
            _ => {}
        }
        Ok(true)
    }
}
