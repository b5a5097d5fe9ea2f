//! The health that a server wrote down, for `watershed health`.

use std::path::Path;

use anyhow::{Context, bail};

use super::state_dir::{self, HEALTH};
use crate::health::report::Report;

/// The health of targets, from the state directory of a server.
pub(crate) struct RecordedHealth {
    /// What it wrote last.
    pub(crate) report: Report,
    /// Whether it runs.
    pub(crate) is_served: bool,
}

/// Reads what the server of `directory` wrote, or that with the state
/// directory `state`.
///
/// # Errors
/// When there is nothing, or it cannot be read.
pub(crate) fn recorded_health(
    state: Option<&Path>,
    directory: Option<&Path>,
) -> anyhow::Result<RecordedHealth> {
    let root = match (state, directory) {
        (Some(state), _) => state.to_owned(),
        (None, Some(directory)) => {
            let served = directory
                .canonicalize()
                .with_context(|| format!("{} cannot be read", directory.display()))?;
            state_dir::default_root(&served)?
        }
        (None, None) => bail!("name the directory that is served, or its state directory"),
    };
    let file = root.join(HEALTH);
    let text = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "no server has written health to {}: start `watershed serve DIR`, without --no-probes; \
             where it has a state directory of its own, name that with --state",
            root.display()
        ),
        text => text.with_context(|| format!("{} cannot be read", file.display()))?,
    };
    let report = crate::health::parse(&text);
    Ok(RecordedHealth {
        report: report.with_context(|| format!("{} is broken", file.display()))?,
        is_served: state_dir::is_in_use(&root),
    })
}
