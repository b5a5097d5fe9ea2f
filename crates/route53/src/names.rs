//! Names for a Kubernetes object out of Route 53's free ids.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use watershed_crd::document::TrafficPolicyDocument;

/// Longest name of a rule or an endpoint.
const MAX_NODE_NAME: usize = 63;

/// Longest name of a health check object. Kubernetes allows 253, a Route 53
/// id has 64 at most, and 63 fits where a single label is asked for.
const MAX_CHECK_NAME: usize = 63;

/// Longest comment of a rule or an endpoint.
const MAX_COMMENT_CHARS: usize = 256;

/// A name that [`portable_names`] changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rename {
    /// What was renamed.
    pub what: Renamed,
    /// The id in the Route 53 document.
    pub from: String,
    /// The name in the `TrafficPolicy` document.
    pub to: String,
}

/// The kinds of things that [`portable_names`] renames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Renamed {
    /// A rule.
    Rule,
    /// An endpoint.
    Endpoint,
    /// A health check, which becomes an object of its own.
    HealthCheck,
}

/// Gives every rule, endpoint and health check a name that the API server
/// takes. Names that are valid already stay. The others get a similar name
/// that no other has, the same one for the same document whatever its order;
/// rules and endpoints keep the original in their comment where it fits.
pub fn portable_names(document: &TrafficPolicyDocument) -> (TrafficPolicyDocument, Vec<Rename>) {
    let rules = Names::choose(&NODE, "rule", document.rules.keys());
    let endpoints = Names::choose(&NODE, "endpoint", document.endpoints.keys());
    let checks = Names::choose(&CHECK, "check", checks_of(document));
    let portable = rename(document, &rules, &endpoints, &checks);
    let kinds = [
        (Renamed::Rule, rules),
        (Renamed::Endpoint, endpoints),
        (Renamed::HealthCheck, checks),
    ];
    let renames = kinds
        .into_iter()
        .flat_map(|(what, names)| names.into_renames(what))
        .collect();
    (portable, renames)
}

fn checks_of(document: &TrafficPolicyDocument) -> impl Iterator<Item = &String> {
    let branches = document.rules.values().flat_map(|rule| &rule.branches);
    let of_branches = branches.filter_map(|branch| branch.health_check_ref.as_ref());
    let endpoints = document.endpoints.values();
    let of_endpoints = endpoints.filter_map(|endpoint| endpoint.health_check_ref.as_ref());
    of_branches.chain(of_endpoints).map(|check| &check.name)
}

fn rename(
    document: &TrafficPolicyDocument,
    rules: &Names,
    endpoints: &Names,
    checks: &Names,
) -> TrafficPolicyDocument {
    let mut renamed = document.clone();
    rules.apply_to(&mut renamed.start_rule);
    endpoints.apply_to(&mut renamed.start_endpoint);
    renamed.rules = rules.rename_keys(renamed.rules, |rule, comment| {
        rule.comment.get_or_insert(comment);
    });
    renamed.endpoints = endpoints.rename_keys(renamed.endpoints, |endpoint, comment| {
        endpoint.comment.get_or_insert(comment);
    });
    for branch in renamed
        .rules
        .values_mut()
        .flat_map(|rule| &mut rule.branches)
    {
        rules.apply_to(&mut branch.rule);
        endpoints.apply_to(&mut branch.endpoint);
        if let Some(check) = &mut branch.health_check_ref {
            checks.apply(&mut check.name);
        }
    }
    for endpoint in renamed.endpoints.values_mut() {
        if let Some(check) = &mut endpoint.health_check_ref {
            checks.apply(&mut check.name);
        }
    }
    renamed
}

/// What names look like.
struct Alphabet {
    max_len: usize,
    /// Whether a character may stand inside a name.
    inner: fn(char) -> bool,
    /// Whether a character may begin or end a name.
    outer: fn(char) -> bool,
    lower_case: bool,
}

const NODE: Alphabet = Alphabet {
    max_len: MAX_NODE_NAME,
    inner: |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
    outer: |c| c.is_ascii_alphanumeric(),
    lower_case: false,
};

const CHECK: Alphabet = Alphabet {
    max_len: MAX_CHECK_NAME,
    inner: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    outer: |c| c.is_ascii_lowercase() || c.is_ascii_digit(),
    lower_case: true,
};

impl Alphabet {
    fn is_valid(&self, name: &str) -> bool {
        name.len() <= self.max_len
            && name.starts_with(self.outer)
            && name.ends_with(self.outer)
            && name.chars().all(self.inner)
    }

    /// A valid name of at most `max_len` characters like `id`.
    fn similar(&self, id: &str, max_len: usize, fallback: &str) -> String {
        let cased = if self.lower_case {
            id.to_lowercase()
        } else {
            id.to_owned()
        };
        let replace = |c: char| if (self.inner)(c) { c } else { '-' };
        let name: String = cased
            .chars()
            .map(replace)
            .skip_while(|c| !(self.outer)(*c))
            .take(max_len)
            .collect();
        match name.trim_end_matches(|c| !(self.outer)(c)) {
            "" => fallback.to_owned(),
            name => name.to_owned(),
        }
    }
}

/// New names by old ones, of those that change.
struct Names(BTreeMap<String, String>);

impl Names {
    fn choose<'a>(
        alphabet: &Alphabet,
        fallback: &str,
        ids: impl Iterator<Item = &'a String>,
    ) -> Self {
        let (valid, other): (BTreeSet<&String>, BTreeSet<&String>) =
            ids.partition(|id| alphabet.is_valid(id));
        let mut taken: BTreeSet<String> = valid.into_iter().cloned().collect();
        let mut next: HashMap<String, usize> = HashMap::new();
        let mut names = BTreeMap::new();
        for id in other {
            let mut name = alphabet.similar(id, alphabet.max_len, fallback);
            // Room for a hyphen and more digits than a document has ids.
            let stem = alphabet.similar(id, alphabet.max_len - 8, fallback);
            let number = next.entry(stem.clone()).or_insert(2);
            while !taken.insert(name.clone()) {
                name = format!("{stem}-{number}");
                *number += 1;
            }
            names.insert(id.clone(), name);
        }
        Self(names)
    }

    fn apply(&self, name: &mut String) {
        if let Some(new) = self.0.get(name) {
            name.clone_from(new);
        }
    }

    fn apply_to(&self, name: &mut Option<String>) {
        if let Some(name) = name {
            self.apply(name);
        }
    }

    fn rename_keys<T>(
        &self,
        nodes: BTreeMap<String, T>,
        comment: impl Fn(&mut T, String),
    ) -> BTreeMap<String, T> {
        let rename = |(name, mut node)| match self.0.get(&name) {
            None => (name, node),
            Some(new) => {
                let text = format!("Route 53 id: {name}");
                if text.chars().count() <= MAX_COMMENT_CHARS {
                    comment(&mut node, text);
                }
                (new.clone(), node)
            }
        };
        nodes.into_iter().map(rename).collect()
    }

    fn into_renames(self, what: Renamed) -> impl Iterator<Item = Rename> {
        let rename = move |(from, to)| Rename { what, from, to };
        self.0.into_iter().map(rename)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(alphabet: &Alphabet, ids: &[&str]) -> Vec<(String, String)> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        Names::choose(alphabet, "node", ids.iter())
            .0
            .into_iter()
            .collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        expected.iter().map(owned).collect()
    }

    #[test]
    fn valid_names_stay_and_keep_their_name_from_others() {
        let found = names(&NODE, &["a-b", "a b", "a.b", "A_1", "a/b"]);
        assert_eq!(
            found,
            pairs(&[("a b", "a-b-2"), ("a.b", "a-b-3"), ("a/b", "a-b-4")])
        );
    }

    #[test]
    fn names_begin_and_end_as_they_must() {
        let found = names(&NODE, &["", "-x-", "__", "über", &"y".repeat(70)]);
        assert_eq!(
            found,
            pairs(&[
                ("", "node"),
                ("-x-", "x"),
                ("__", "node-2"),
                (&"y".repeat(70), &"y".repeat(63)),
                ("über", "ber"),
            ])
        );
    }

    #[test]
    fn health_checks_become_object_names() {
        let found = names(
            &CHECK,
            &["11111111-2222-3333-4444-555555555555", "HC_1", "hc-1"],
        );
        assert_eq!(found, pairs(&[("HC_1", "hc-1-2")]));
    }

    #[test]
    fn many_alike_get_different_names() {
        let ids: Vec<String> = (0..2000)
            .map(|i| format!("{}.{i}", "z".repeat(80)))
            .collect();
        let chosen = Names::choose(&NODE, "node", ids.iter());
        let distinct: BTreeSet<&String> = chosen.0.values().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(chosen.0.values().all(|name| NODE.is_valid(name)));
    }
}
