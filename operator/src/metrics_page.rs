//! The tables of `docs/metrics.md` are what the programs register, the
//! operator here and the node that its tests know. `scripts/generate` sets
//! `WATERSHED_GENERATE`: then they are written instead of compared.

use std::fs;

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{LabelPair, MetricFamily, MetricType};
use watershed_operator::parts::Together;
use watershed_operator::{control, fleet, health};

use crate::http;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");

#[test]
fn the_page_lists_the_metrics_of_both_programs() {
    let page = fs::read_to_string(PAGE).expect("the page");
    let nodes = watershed_dns::fleet::collectors().expect("its metrics");
    let mut wanted = page.clone();
    for (program, collectors) in [
        ("watershed-operator", of_the_operator()),
        ("watershed-dns", nodes),
    ] {
        wanted = with_table(&wanted, program, &table(&collectors));
    }
    if std::env::var_os("WATERSHED_GENERATE").is_some() {
        fs::write(PAGE, wanted).expect("written");
    } else {
        assert!(
            page == wanted,
            "docs/metrics.md is stale: run `make generate`"
        );
    }
}

fn of_the_operator() -> Vec<Box<dyn Collector>> {
    // As when it starts: two of one name would be refused here.
    let registry = Registry::new();
    vec![
        Box::new(Together(
            http::Metrics::register(&registry).expect("new names"),
        )),
        Box::new(Together(
            control::Metrics::register(&registry).expect("new names"),
        )),
        Box::new(Together(
            fleet::Metrics::register(&registry).expect("new names"),
        )),
        Box::new(Together(
            health::Metrics::register(&registry).expect("new names"),
        )),
        Box::new(ProcessCollector::for_self()),
    ]
}

/// The page with this table under the comment that names the program.
fn with_table(page: &str, program: &str, table: &str) -> String {
    let start = format!("<!-- {program}: written by `make generate` -->\n\n");
    let (before, rest) = page.split_once(&start).expect("the comment");
    let (_, after) = rest.split_once("\n\n").expect("text after the table");
    format!("{before}{start}{table}\n{after}")
}

fn table(collectors: &[Box<dyn Collector>]) -> String {
    let rows = collectors.iter().flat_map(|collector| {
        // Both are in the order in which a collector names its metrics.
        let (descriptions, families) = (collector.desc(), collector.collect());
        assert_eq!(descriptions.len(), families.len(), "one has no series");
        let metrics = descriptions.into_iter().zip(families);
        let rows: Vec<String> = metrics
            .map(|(metric, family)| row(metric, &family))
            .collect();
        rows
    });
    let rows: String = rows.collect();
    format!("| metric | type | labels | |\n|---|---|---|---|\n{rows}")
}

fn row(metric: &Desc, family: &MetricFamily) -> String {
    assert_eq!(metric.fq_name, family.name());
    let fixed = metric.const_label_pairs.iter().map(LabelPair::name);
    let labels = fixed.chain(metric.variable_labels.iter().map(String::as_str));
    let labels: Vec<String> = labels.map(|label| format!("`{label}`")).collect();
    format!(
        "| `{}` | {} | {} | {} |\n",
        metric.fq_name,
        kind(family.get_field_type()),
        labels.join(", "),
        metric.help.trim_end_matches('.'),
    )
}

fn kind(kind: MetricType) -> &'static str {
    match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        other => panic!("the page has no word for {other:?}"),
    }
}
