//! Resources: what one object gives to the snapshot.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;
use watershed_health::Check;

use crate::name::OwnerName;
use crate::policy_version::{PolicyVersion, RecordFailback};
use crate::rrset::RrSet;

/// What kind of object gives a resource. The order is that of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// The zone itself.
    HostedZone,
    /// The records that a zone object lists itself.
    ZoneRecords,
    /// Static records.
    RecordSet,
    /// A policy served at a name.
    PolicyRecord,
    /// A version of a policy.
    TrafficPolicyVersion,
    /// A health check.
    HealthCheck,
}

impl ResourceKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::HostedZone,
        Self::ZoneRecords,
        Self::RecordSet,
        Self::PolicyRecord,
        Self::TrafficPolicyVersion,
        Self::HealthCheck,
    ];

    /// The word that stands for the kind in names of resources.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostedZone => "HostedZone",
            Self::ZoneRecords => "ZoneRecords",
            Self::RecordSet => "RecordSet",
            Self::PolicyRecord => "PolicyRecord",
            Self::TrafficPolicyVersion => "TrafficPolicyVersion",
            Self::HealthCheck => "HealthCheck",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a resource: kind, namespace and name of the object that gives
/// it. The text form is `PolicyRecord/shop/www`.
///
/// [`ResourceKind::ZoneRecords`] has the name of its `HostedZone`.
///
/// The order is that of kind, namespace and name. Clones share one text; where
/// it lies in something larger, as in a [`ResourceSet`](crate::ResourceSet), it
/// is borrowed as `ResourceName<&str>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResourceName<T = Arc<str>> {
    kind: ResourceKind,
    /// Namespace and name, with a slash between them.
    text: T,
}

/// Why a text is not the name of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResourceNameError {
    /// Not three parts that are not empty, or a part with control characters.
    #[error("`{0}` is not the name of a resource; write KIND/NAMESPACE/NAME")]
    Malformed(String),
    /// A kind of resource that this program does not know.
    #[error("`{0}` is of a kind that this program does not know")]
    UnknownKind(String),
}

impl ResourceName {
    /// The resource that the object `namespace`/`name` gives.
    /// Neither word has a slash in it, as no name in Kubernetes has.
    pub fn new(kind: ResourceKind, namespace: impl AsRef<str>, name: impl AsRef<str>) -> Self {
        let text = [namespace.as_ref(), name.as_ref()].join("/");
        Self {
            kind,
            text: text.into(),
        }
    }
}

impl<'t> ResourceName<&'t str> {
    /// The name that has this kind, and these words after it in the text form.
    pub(crate) fn of_words(kind: ResourceKind, words: &'t str) -> Self {
        Self { kind, text: words }
    }
}

impl<T> ResourceName<T> {
    /// What kind of object it is.
    pub fn kind(&self) -> ResourceKind {
        self.kind
    }
}

impl<T: AsRef<str>> ResourceName<T> {
    /// Namespace of the object.
    pub fn namespace(&self) -> &str {
        self.split().0
    }

    /// Name of the object.
    pub fn name(&self) -> &str {
        self.split().1
    }

    fn split(&self) -> (&str, &str) {
        let words = self.words();
        words.split_once('/').unwrap_or((words, ""))
    }

    /// The text form without the kind.
    pub(crate) fn words(&self) -> &str {
        self.text.as_ref()
    }

    /// The text form, in pieces.
    pub(crate) fn pieces(&self) -> [&str; 3] {
        [self.kind.as_str(), "/", self.words()]
    }

    /// The same name, with the text of this one.
    pub fn borrowed(&self) -> ResourceName<&str> {
        ResourceName::of_words(self.kind, self.words())
    }

    /// The same name, with a text of its own that its clones share.
    pub fn to_shared(&self) -> ResourceName {
        ResourceName {
            kind: self.kind,
            text: self.words().into(),
        }
    }
}

impl<T: AsRef<str> + Eq> Ord for ResourceName<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let kinds = self.kind.cmp(&other.kind);
        kinds.then_with(|| self.split().cmp(&other.split()))
    }
}

impl<T: AsRef<str> + Eq> PartialOrd for ResourceName<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'t> TryFrom<&'t str> for ResourceName<&'t str> {
    type Error = ResourceNameError;

    /// Reads the text form.
    fn try_from(text: &'t str) -> Result<Self, ResourceNameError> {
        // Names come from peers and go to logs, so they are shown escaped.
        let shown = || text.escape_debug().take(300).collect::<String>();
        let malformed = || ResourceNameError::Malformed(shown());
        let (kind, words) = text.split_once('/').ok_or_else(malformed)?;
        let (namespace, name) = words.split_once('/').ok_or_else(malformed)?;
        if [namespace, name].contains(&"")
            || name.contains('/')
            || text.chars().any(char::is_control)
        {
            return Err(malformed());
        }
        let known = ResourceKind::ALL.into_iter().find(|k| k.as_str() == kind);
        let kind = known.ok_or_else(|| ResourceNameError::UnknownKind(shown()))?;
        Ok(Self::of_words(kind, words))
    }
}

impl FromStr for ResourceName {
    type Err = ResourceNameError;

    fn from_str(text: &str) -> Result<Self, ResourceNameError> {
        ResourceName::<&str>::try_from(text).map(|name| name.to_shared())
    }
}

impl<T: AsRef<str>> fmt::Display for ResourceName<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces()
            .into_iter()
            .try_for_each(|piece| f.write_str(piece))
    }
}

impl<T: AsRef<str>> fmt::Debug for ResourceName<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What one object gives to the snapshot.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// Of a [`ResourceKind::HostedZone`].
    Zone(ZoneHead),
    /// Of everything that places data in a zone.
    Records(Records),
    /// Of a [`ResourceKind::TrafficPolicyVersion`].
    Version(Arc<PolicyVersion>),
    /// Of a [`ResourceKind::HealthCheck`]. Its id is namespace and name of
    /// the resource.
    Check(Arc<Check>),
}

impl Resource {
    /// Whether an object of that kind can give this.
    pub fn is_of(&self, kind: ResourceKind) -> bool {
        match kind {
            ResourceKind::HostedZone => matches!(self, Self::Zone(_)),
            ResourceKind::TrafficPolicyVersion => matches!(self, Self::Version(_)),
            ResourceKind::HealthCheck => matches!(self, Self::Check(_)),
            ResourceKind::ZoneRecords | ResourceKind::RecordSet | ResourceKind::PolicyRecord => {
                matches!(self, Self::Records(_))
            }
        }
    }
}

/// What makes a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneHead {
    /// Name of the zone.
    pub apex: OwnerName,
    /// Its SOA record.
    pub soa: RrSet,
    /// Its name servers.
    pub ns: RrSet,
}

/// What one object puts into a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// Apex of the zone.
    pub zone: OwnerName,
    /// What is placed, in no particular order.
    pub placed: Vec<Placed>,
}

/// Something at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The name; at or below the apex of the zone.
    pub owner: OwnerName,
    /// What is there.
    pub content: Content,
}

/// What is at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Static data.
    Static(RrSet),
    /// A policy.
    Policy(VersionBinding),
}

/// A policy version by name, served at some name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionBinding {
    /// The version; of kind [`ResourceKind::TrafficPolicyVersion`].
    pub version: ResourceName,
    /// IANA numbers of the types served; a part of the policy's.
    pub record_types: Vec<u16>,
    /// TTL of the answers in seconds.
    pub ttl: u32,
    /// The least and the greatest TTL in seconds, where it follows the health
    /// checks of the policy; the least is not greater.
    pub ttl_range: Option<(u32, u32)>,
    /// How clients return after a failover; `None`: at once.
    pub failback: Option<Arc<RecordFailback>>,
}

/// Why a resource cannot be served, in the words of its author: what is
/// wrong, as one sentence without a final stop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    /// The resource at fault.
    pub resource: ResourceName,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.resource, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_text_form() {
        for kind in ResourceKind::ALL {
            let name = ResourceName::new(kind, "shop", "www.eu");
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        let name = ResourceName::new(ResourceKind::PolicyRecord, "shop", "www");
        assert_eq!(name.to_string(), "PolicyRecord/shop/www");
    }

    #[test]
    fn refuses_what_is_no_name() {
        for text in [
            "",
            "PolicyRecord",
            "PolicyRecord/a",
            "PolicyRecord//a",
            "PolicyRecord/a/b/c",
            "RecordSet/a/b\n",
        ] {
            let refused = text.parse::<ResourceName>();
            assert!(
                matches!(refused, Err(ResourceNameError::Malformed(_))),
                "{text}"
            );
        }
        let unknown = "Gateway/shop/www".parse::<ResourceName>().unwrap_err();
        assert_eq!(
            unknown,
            ResourceNameError::UnknownKind("Gateway/shop/www".into())
        );
    }
}
