//! Every example is valid without a warning, and every scenario has an answer.

use anyhow::Result;
use watershed_checks::{binary, tree};

#[test]
fn examples_are_valid_without_a_warning() -> Result<()> {
    for example in tree::examples()? {
        let name = tree::relative(&example);
        let printed = binary::watershed()?.args(["validate", &name]).output()?;
        let said = [printed.stdout, printed.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            printed.status.success() && !said.contains("warning"),
            "{name}:\n{said}"
        );
    }
    Ok(())
}

#[test]
fn every_scenario_of_an_example_has_an_answer() -> Result<()> {
    for example in tree::examples()? {
        let scenarios = tree::files_with(&example.join("scenarios"), "yaml")?;
        assert!(
            !scenarios.is_empty(),
            "{} has no scenario",
            tree::relative(&example)
        );
        for scenario in scenarios {
            let name = tree::relative(&scenario);
            let answer = binary::output(&["simulate", &name, "-o", "json"])?;
            let compact: String = answer.split_whitespace().collect();
            assert!(
                compact.contains(r#""outcome":"answer""#),
                "{name}: {answer}"
            );
        }
    }
    Ok(())
}
