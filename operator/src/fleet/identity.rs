//! Who a node is, by its certificate.

use std::fmt;

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::fleet::{FleetName, NodeName};

/// The identity in a certificate: a URI subject alternative name of the form
/// `spiffe://<trust domain>/fleet/<fleet>`, with `/node/<node>` after it when
/// the certificate is one node's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Under whose authority the names are unique.
    pub trust_domain: String,
    /// The fleet whose zones the node may have.
    pub fleet: FleetName,
    /// The one node that may use the certificate; `None`: every node of the
    /// fleet.
    pub node: Option<NodeName>,
}

/// Why a certificate says no identity, or not the one that is claimed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read.
    #[error("the client certificate cannot be read: {0}")]
    Unreadable(String),
    /// There is none.
    #[error(
        "the node has shown no certificate: give it one by --tls-dir, or let it enrol by --ca and --token"
    )]
    NoCertificate,
    /// It has no URI of the form.
    #[error(
        "the client certificate has no URI spiffe://<trust domain>/fleet/<fleet>[/node/<node>] among its subject alternative names: issue one that has"
    )]
    Absent,
    /// It has several.
    #[error("the client certificate has several identities: {0}; issue one for each")]
    Several(String),
    /// It is of another trust domain.
    #[error("the client certificate is of trust domain {found}, this operator's is {expected}")]
    TrustDomain {
        /// In the certificate.
        found: String,
        /// The operator's.
        expected: String,
    },
    /// The node says that it belongs elsewhere.
    #[error("the node says that it is of fleet {said}, its certificate says {certified}")]
    Fleet {
        /// By the node.
        said: String,
        /// In the certificate.
        certified: FleetName,
    },
    /// The node says that it is another.
    #[error("the node says that it is {said}, its certificate says {certified}")]
    Node {
        /// By the node.
        said: String,
        /// In the certificate.
        certified: NodeName,
    },
}

impl Identity {
    /// The identity in a certificate.
    ///
    /// # Errors
    /// When it cannot be read, or does not name exactly one.
    pub fn of_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let (_, certificate) = X509Certificate::from_der(der)
            .map_err(|error| IdentityError::Unreadable(error.to_string()))?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|error| IdentityError::Unreadable(error.to_string()))?;
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let found: Vec<Self> = names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Self::parse(uri),
                _ => None,
            })
            .collect();
        match <[Self; 1]>::try_from(found) {
            Ok([identity]) => Ok(identity),
            Err(found) if found.is_empty() => Err(IdentityError::Absent),
            Err(found) => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                Err(IdentityError::Several(found.join(", ")))
            }
        }
    }

    /// Reads the text form; `None` when it is something else.
    pub fn parse(uri: &str) -> Option<Self> {
        let (trust_domain, path) = uri.strip_prefix("spiffe://")?.split_once('/')?;
        let path: Vec<&str> = path.split('/').collect();
        let (fleet, node) = match path[..] {
            ["fleet", fleet] => (fleet, None),
            ["fleet", fleet, "node", node] => (fleet, Some(node)),
            _ => return None,
        };
        let named = [trust_domain, fleet].into_iter().chain(node);
        if named.into_iter().any(str::is_empty) {
            return None;
        }
        Some(Self {
            trust_domain: trust_domain.to_owned(),
            fleet: FleetName::new(fleet),
            node: node.map(NodeName::new),
        })
    }

    /// Checks what a node says of itself.
    ///
    /// # Errors
    /// When the certificate says something else.
    pub fn check(&self, trust_domain: &str, fleet: &str, node: &str) -> Result<(), IdentityError> {
        if self.trust_domain != trust_domain {
            return Err(IdentityError::TrustDomain {
                found: self.trust_domain.clone(),
                expected: trust_domain.to_owned(),
            });
        }
        if self.fleet.as_str() != fleet {
            return Err(IdentityError::Fleet {
                said: fleet.to_owned(),
                certified: self.fleet.clone(),
            });
        }
        match &self.node {
            Some(certified) if certified.as_str() != node => Err(IdentityError::Node {
                said: node.to_owned(),
                certified: certified.clone(),
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/fleet/{}", self.trust_domain, self.fleet)?;
        match &self.node {
            Some(node) => write!(f, "/node/{node}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_read_back() {
        for uri in [
            "spiffe://watershed/fleet/default",
            "spiffe://example.com/fleet/edge/node/dns-7c9-x2k",
        ] {
            let identity = Identity::parse(uri).expect(uri);
            assert_eq!(identity.to_string(), uri);
        }
    }

    #[test]
    fn other_uris_are_no_identity() {
        for uri in [
            "https://watershed/fleet/default",
            "spiffe://watershed/fleet",
            "spiffe://watershed/fleet/",
            "spiffe:///fleet/default",
            "spiffe://watershed/fleet/default/node",
            "spiffe://watershed/fleet/default/node/",
            "spiffe://watershed/fleet/default/node/a/b",
            "spiffe://watershed/ns/default/sa/dns",
        ] {
            assert_eq!(Identity::parse(uri), None, "{uri}");
        }
    }

    #[test]
    fn a_node_is_held_to_its_certificate() {
        let shared = Identity::parse("spiffe://watershed/fleet/default").expect("an identity");
        let own = Identity::parse("spiffe://watershed/fleet/default/node/a").expect("an identity");
        assert_eq!(shared.check("watershed", "default", "any"), Ok(()));
        assert_eq!(own.check("watershed", "default", "a"), Ok(()));
        assert!(matches!(
            own.check("watershed", "default", "b"),
            Err(IdentityError::Node { .. })
        ));
        assert!(matches!(
            shared.check("watershed", "edge", "any"),
            Err(IdentityError::Fleet { .. })
        ));
        assert!(matches!(
            shared.check("elsewhere", "default", "any"),
            Err(IdentityError::TrustDomain { .. })
        ));
    }
}
