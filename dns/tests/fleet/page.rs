//! What the page about the fleet says of a node is all that there is.

use std::process::Command;

use watershed_dns::fleet::Metrics;

pub(crate) const PAGE: &str = include_str!("../../../docs/fleet.md");

#[test]
fn the_page_names_every_flag() {
    let program = env!("CARGO_BIN_EXE_watershed-dns");
    let output = Command::new(program).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let flags = help.lines().filter_map(|line| {
        let flag = line.trim_start().split([' ', ',']).next()?;
        flag.starts_with("--").then_some(flag)
    });
    let flags: Vec<&str> = flags.collect();
    assert!(flags.len() > 10, "{help}");
    for flag in flags {
        assert!(PAGE.contains(&format!("`{flag}")), "{flag}");
    }
}

#[test]
fn the_page_names_every_metric() {
    let text = Metrics::new("0").unwrap().text().unwrap();
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 5, "{text}");
    for name in names {
        assert!(PAGE.contains(&format!("| `{name}` |")), "{name}");
    }
}
