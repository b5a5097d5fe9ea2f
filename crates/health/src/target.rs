//! What is probed.

use std::fmt;
use std::net::IpAddr;

/// Where something is probed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An address.
    Ip(IpAddr),
    /// A host name, looked up as its TTL says.
    Host(String),
}

impl Address {
    /// An address where the text is one, otherwise a host name.
    pub fn parse(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Host(text.to_owned()), Self::Ip)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Host(host) => f.write_str(host),
        }
    }
}

/// A check at an address. However many policies ask for it, it is probed once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Id of the check: `namespace/name`.
    pub check: String,
    /// Where; `None` for checks that need no address, such as a query to
    /// Prometheus.
    pub address: Option<Address>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Some(address) => write!(f, "{}@{address}", self.check),
            None => f.write_str(&self.check),
        }
    }
}
