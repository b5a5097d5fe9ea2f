//! How a node probes.

use std::time::Duration;

use watershed_health::Checker;
use watershed_probe::{Allowed, Config};

/// How long a node goes by the last words of an operator that is gone.
const GRACE: Duration = Duration::from_secs(10);

/// How a node probes.
#[derive(Clone, Debug)]
pub struct HealthOptions {
    /// Name of the node, and where it stands.
    pub checker: Checker,
    /// Addresses that may be probed.
    pub allowed: Allowed,
    /// Certificates of authorities in PEM that count besides the public ones.
    pub authorities: Vec<u8>,
    /// Probes under way at once, at most.
    pub concurrency: usize,
    /// How long without an operator the node goes by the fleet's last
    /// verdicts. After that it goes by its own.
    pub grace: Duration,
    /// Whether there is no fleet: own results count from the first.
    pub alone: bool,
}

impl Default for HealthOptions {
    /// A member of a fleet, which probes public addresses.
    fn default() -> Self {
        let config = Config::default();
        Self {
            checker: Checker {
                node: String::new(),
                location: String::new(),
            },
            allowed: config.allowed,
            authorities: config.authorities,
            concurrency: config.concurrency,
            grace: GRACE,
            alone: false,
        }
    }
}

impl HealthOptions {
    /// A node of that name without any fleet.
    pub fn alone(name: &str) -> Self {
        Self {
            checker: Checker {
                node: name.to_owned(),
                location: name.to_owned(),
            },
            alone: true,
            ..Self::default()
        }
    }

    pub(super) fn config(&self) -> Config {
        Config {
            allowed: self.allowed.clone(),
            concurrency: self.concurrency,
            authorities: self.authorities.clone(),
            user_agent: self.user_agent(),
            ..Config::default()
        }
    }

    /// Who probes, for the logs of endpoints. A name is a host name as a rule;
    /// what a header cannot hold is left out.
    fn user_agent(&self) -> String {
        let name = self.checker.node.chars().filter(char::is_ascii_graphic);
        let name: String = name.filter(|char| !"()\\".contains(*char)).collect();
        format!("watershed/{} (checker {name})", env!("CARGO_PKG_VERSION"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_told_who_probes() {
        let agent = |name| HealthOptions::alone(name).config().user_agent;
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            agent("dns-0"),
            format!("watershed/{version} (checker dns-0)")
        );
        assert_eq!(agent("a\n(b)"), format!("watershed/{version} (checker ab)"));
    }
}
