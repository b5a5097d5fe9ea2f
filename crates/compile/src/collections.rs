//! What is said about CIDR collections.

use ipnet::IpNet;

use crate::document::{CidrLocations, is_node_name};
use crate::resources::Object;
use crate::verdict::{Problem, Reason, Report};

/// Reports on a CIDR collection.
pub(crate) fn report(collection: &Object<CidrLocations>) -> Report {
    let mut report = Report::new(collection.generation);
    report.problems = blocks(&collection.spec);
    report
}

fn blocks(locations: &CidrLocations) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, blocks) in locations {
        let field = format!("spec.locations.{name}");
        if !is_node_name(name) {
            let message =
                format!("`{name}` is not a location name: take letters, digits, `-` and `_`");
            problems.push(Problem::new(Reason::InvalidSpec, field.clone(), message));
        }
        for block in blocks
            .iter()
            .filter(|block| block.parse::<IpNet>().is_err())
        {
            let message = format!("`{block}` is not a block such as 192.0.2.0/24");
            problems.push(Problem::new(Reason::InvalidSpec, field.clone(), message));
        }
    }
    problems
}
