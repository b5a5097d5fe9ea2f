//! What a case expects, and how a report differs from it.

use std::collections::{BTreeMap, BTreeSet};

use num_rational::BigRational;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Only the members that are there are compared.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    outcome: Option<String>,
    answers: Option<Answers>,
    #[serde(default)]
    subset: Pool,
    pub(crate) scope: Option<Scope>,
    diagnostics: Option<Vec<Fault>>,
    includes: Option<Vec<Fault>>,
    errors: Option<usize>,
}

/// From what an answer is drawn.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Pool {
    #[default]
    #[serde(skip)]
    Unstated,
    /// Answers are whole: the member is null.
    Whole(()),
    Drawn(Subset),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answers {
    ByEndpoint(BTreeMap<String, Fraction>),
    Rows(Vec<Row>),
}

/// One row of `answers`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// Empty for no answer.
    pub(crate) endpoints: Vec<String>,
    values: Option<Vec<String>>,
    pub(crate) probability: Fraction,
}

/// A fraction such as `2/7`, or `1`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fraction(pub(crate) BigRational);

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let fraction = text.parse().map(Self);
        fraction.map_err(|_| serde::de::Error::custom(format!("`{text}` is no fraction")))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subset {
    size: u64,
    of: Vec<String>,
}

/// Scope prefix lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scope {
    pub(crate) ipv4: u8,
    pub(crate) ipv6: u8,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Fault {
    Code(String),
    Placed { code: String, path: String },
}

impl Fault {
    /// Whether a finding is this one. A manifest's paths start with those of
    /// the fields around the document, which the corpus leaves out.
    fn is(&self, finding: &Value) -> bool {
        let (wanted, place) = match self {
            Self::Code(code) => (code, None),
            Self::Placed { code, path } => (code, Some(path)),
        };
        let path = finding["path"].as_str().unwrap_or_default();
        let placed = place.is_none_or(|place| {
            path.strip_suffix(place.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        finding["code"] == **wanted && placed
    }
}

impl Expect {
    pub(crate) fn outcome(&self) -> &str {
        self.outcome.as_deref().unwrap_or("answer")
    }

    /// The expected rows, if any are stated.
    pub(crate) fn rows(&self) -> Option<Vec<Row>> {
        match self.answers.as_ref()? {
            Answers::Rows(rows) => Some(rows.clone()),
            Answers::ByEndpoint(shares) => Some(shares.iter().map(certain_row).collect()),
        }
    }

    /// How many values an answer has, if it is a part of a pool.
    pub(crate) fn subset_size(&self) -> Option<usize> {
        match &self.subset {
            Pool::Drawn(subset) => usize::try_from(subset.size).ok(),
            Pool::Unstated | Pool::Whole(()) => None,
        }
    }

    /// Every difference to a report of `watershed simulate`.
    pub(crate) fn differences(&self, report: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let outcome = report["outcome"].as_str().unwrap_or_default();
        if outcome != self.outcome() {
            let diagnostics = &report["diagnostics"];
            found.push(format!(
                "outcome is {outcome}, with diagnostics {diagnostics}"
            ));
        }
        if let Some(rows) = self.rows() {
            compare_rows(&rows, &report["answers"], &mut found);
        }
        self.compare_subset(&report["subset"], &mut found);
        self.compare_scope(&report["scope"], &mut found);
        self.compare_findings(&report["diagnostics"], &mut found);
        found
    }

    fn compare_subset(&self, actual: &Value, found: &mut Vec<String>) {
        let same = match &self.subset {
            Pool::Unstated => true,
            Pool::Whole(()) => actual.is_null(),
            Pool::Drawn(subset) => {
                actual["size"] == subset.size && set(&actual["of"]) == names(&subset.of)
            }
        };
        if !same {
            found.push(format!("subset is {actual}"));
        }
    }

    fn compare_scope(&self, actual: &Value, found: &mut Vec<String>) {
        let Some(scope) = self.scope else { return };
        if actual["ipv4"] != scope.ipv4 || actual["ipv6"] != scope.ipv6 {
            found.push(format!("scope is {actual}, not {scope:?}"));
        }
    }

    fn compare_findings(&self, actual: &Value, found: &mut Vec<String>) {
        let findings: Vec<&Value> = actual.as_array().into_iter().flatten().collect();
        let errors = findings.iter().filter(|f| f["severity"] == "error").count();
        let named = self.diagnostics.iter().chain(&self.includes).flatten();
        let mut left = findings.clone();
        for fault in named {
            match left.iter().position(|finding| fault.is(finding)) {
                Some(index) => drop(left.remove(index)),
                None => found.push(format!("no finding is {fault:?} among {actual}")),
            }
        }
        let refused = self.outcome() == "invalid";
        let exact = self.diagnostics.as_ref().filter(|_| refused).map(Vec::len);
        if let Some(expected) = self.errors.or(exact)
            && errors != expected
        {
            found.push(format!("{errors} errors instead of {expected}: {actual}"));
        }
        if refused && errors == 0 {
            found.push(format!("no error: {actual}"));
        }
    }
}

fn certain_row((endpoint, probability): (&String, &Fraction)) -> Row {
    Row {
        endpoints: vec![endpoint.clone()],
        values: None,
        probability: probability.clone(),
    }
}

fn compare_rows(expected: &[Row], actual: &Value, found: &mut Vec<String>) {
    let rows: Vec<&Value> = actual.as_array().into_iter().flatten().collect();
    if rows.len() != expected.len() {
        found.push(format!(
            "{} rows instead of {}: {actual}",
            rows.len(),
            expected.len()
        ));
        return;
    }
    for row in expected {
        let endpoints = names(&row.endpoints);
        let same = rows.iter().find(|r| set(&r["endpoints"]) == endpoints);
        let Some(same) = same else {
            found.push(format!("no row of {endpoints:?}: {actual}"));
            continue;
        };
        let probability = same["probability"].as_str().map(str::parse);
        if probability != Some(Ok(row.probability.0.clone())) {
            found.push(format!(
                "{endpoints:?} has probability {}",
                same["probability"]
            ));
        }
        if let Some(values) = &row.values
            && names(values) != set(&same["values"])
        {
            found.push(format!("{endpoints:?} has values {}", same["values"]));
        }
    }
}

/// Names without the final dot, in any order.
fn names(texts: &[String]) -> BTreeSet<String> {
    texts
        .iter()
        .map(|t| t.trim_end_matches('.').to_owned())
        .collect()
}

fn set(list: &Value) -> BTreeSet<String> {
    let texts = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    texts.map(|t| t.trim_end_matches('.').to_owned()).collect()
}
