//! The list of kinds, and an object of any of them.

use kube::{CustomResourceExt, Resource};
use serde::Serialize;
use serde_json::Value;

use crate::{
    CIDRCollection, DNSFleet, HealthCheck, HostedZone, PolicyRecord, RecordSet, TrafficPolicy,
    TrafficPolicyVersion,
};

/// Group and version of every kind, as manifests write it.
pub const API_VERSION: &str = "watershed.dev/v1alpha1";

/// Why a value is no object of the group.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// `apiVersion` or `kind` is missing or no text.
    #[error("`{0}` is missing: an object needs `apiVersion` and `kind`")]
    Untyped(&'static str),
    /// The object is of another group or version.
    #[error("the API version is `{API_VERSION}`, not `{0}`")]
    ApiVersion(String),
    /// The group has no such kind.
    #[error("there is no kind `{0}`; the kinds are {kinds}", kinds = KINDS.join(", "))]
    Kind(String),
    /// A field does not fit the kind.
    #[error("{kind}: {source}")]
    Field {
        /// The kind of the object.
        kind: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

// One list makes the constant, the enum and everything that goes by kind, so
// that a kind cannot be forgotten in one of them.
macro_rules! kinds {
    ($($kind:ident),+ $(,)?) => {
        /// Names of the kinds, in alphabetical order.
        pub const KINDS: [&str; 8] = [$(stringify!($kind)),+];

        /// An object of any kind.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Manifest {
            $(
                #[doc = concat!("An object of kind ", stringify!($kind), ".")]
                $kind(Box<$kind>),
            )+
        }

        impl Manifest {
            /// Name of the kind.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => stringify!($kind),)+
                }
            }

            fn read(kind: &str, value: Value) -> Result<Self, ManifestError> {
                match kind {
                    $(stringify!($kind) => serde_json::from_value(value)
                        .map(Self::$kind)
                        .map_err(|source| ManifestError::Field { kind: stringify!($kind), source }),)+
                    other => Err(ManifestError::Kind(other.to_owned())),
                }
            }

            fn metadata(&self) -> &kube::core::ObjectMeta {
                match self {
                    $(Self::$kind(object) => object.meta(),)+
                }
            }
        }

        /// The definition of a kind as the derives make it.
        pub(crate) fn derived(
            kind: &str,
        ) -> Option<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> {
            match kind {
                $(stringify!($kind) => Some($kind::crd()),)+
                _ => None,
            }
        }
    };
}

kinds!(
    CIDRCollection,
    DNSFleet,
    HealthCheck,
    HostedZone,
    PolicyRecord,
    RecordSet,
    TrafficPolicy,
    TrafficPolicyVersion,
);

impl Manifest {
    /// Reads an object of any kind. Unknown fields are ignored; what the
    /// schema asks beyond the types is the business of
    /// [`validation_schema`](crate::schema::validation_schema).
    ///
    /// # Errors
    /// When the value is of another group or kind, or a field has the wrong
    /// type.
    pub fn from_value(value: Value) -> Result<Self, ManifestError> {
        let api_version = text(&value, "apiVersion")?;
        if api_version != API_VERSION {
            return Err(ManifestError::ApiVersion(api_version.to_owned()));
        }
        let kind = text(&value, "kind")?.to_owned();
        Self::read(&kind, value)
    }

    /// Name of the object; empty when it has none.
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// Namespace of the object, when it names one.
    pub fn namespace(&self) -> Option<&str> {
        self.metadata().namespace.as_deref()
    }
}

fn text<'v>(value: &'v Value, field: &'static str) -> Result<&'v str, ManifestError> {
    value
        .get(field)
        .and_then(Value::as_str)
        .ok_or(ManifestError::Untyped(field))
}
