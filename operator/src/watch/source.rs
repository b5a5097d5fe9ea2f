//! What is watched, and how it is read.

use std::fmt;

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;
use watershed_compile::{ObjectAddressKey, ObjectKey};
use watershed_crd::Manifest;

use super::{Change, Observed, addresses, grants, slices};
use crate::object::{ObjectId, ObjectKind};
use crate::world::Facts;

/// A kind of objects that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A kind of the group.
    Kind(ObjectKind),
    /// For their labels.
    Namespaces,
    /// For their load balancers' addresses.
    Services,
    /// As for Services.
    Ingresses,
    /// For their addresses.
    Gateways,
    /// For permission to refer across namespaces.
    Grants,
    /// For readiness of the endpoints of Services.
    EndpointSlices,
}

/// Group of the Gateway API.
pub(super) const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

impl Source {
    /// Its kind, for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kind(kind) => kind.as_str(),
            Self::Namespaces => "Namespace",
            Self::Services => "Service",
            Self::Ingresses => "Ingress",
            Self::Gateways => "Gateway",
            Self::Grants => "ReferenceGrant",
            Self::EndpointSlices => "EndpointSlice",
        }
    }

    /// How the API is asked for it. Kinds of the Gateway API are served in
    /// `version`, the others have their own.
    pub(super) fn resource(self, version: Option<&str>) -> ApiResource {
        let of = |group: &str, version: &str, plural: &str| {
            let kind = GroupVersionKind::gvk(group, version, self.as_str());
            ApiResource::from_gvk_with_plural(&kind, plural)
        };
        match self {
            Self::Kind(kind) => kind.resource(),
            Self::Namespaces => of("", "v1", "namespaces"),
            Self::Services => of("", "v1", "services"),
            Self::Ingresses => of("networking.k8s.io", "v1", "ingresses"),
            Self::EndpointSlices => of("discovery.k8s.io", "v1", "endpointslices"),
            Self::Gateways => of(GATEWAY_GROUP, version.unwrap_or("v1"), "gateways"),
            Self::Grants => of(GATEWAY_GROUP, version.unwrap_or("v1"), "referencegrants"),
        }
    }

    /// What an object that is there tells.
    pub(super) fn present(self, object: DynamicObject) -> Change {
        let key = key(&object);
        match self {
            Self::Kind(kind) => Change::Object(Box::new(observe(kind, object))),
            Self::Namespaces => {
                Change::Namespace(key.name, Some(object.metadata.labels.unwrap_or_default()))
            }
            Self::Services | Self::Ingresses => {
                let found = addresses::of_load_balancer(&object.data);
                Change::Addresses(self.address_key(key), Some(found))
            }
            Self::Gateways => {
                let found = addresses::of_gateway(&object.data);
                Change::Addresses(self.address_key(key), Some(found))
            }
            Self::Grants => Change::Grant(key, Some(grants::read(&object.data))),
            Self::EndpointSlices => Change::Slice(key, slices::read(&object)),
        }
    }

    /// What it tells that an object is gone.
    pub(super) fn gone(self, key: ObjectKey) -> Change {
        match self {
            Self::Kind(kind) => Change::Gone(ObjectId::new(kind, key)),
            Self::Namespaces => Change::Namespace(key.name, None),
            Self::Services | Self::Ingresses | Self::Gateways => {
                Change::Addresses(self.address_key(key), None)
            }
            Self::Grants => Change::Grant(key, None),
            Self::EndpointSlices => Change::Slice(key, None),
        }
    }

    fn address_key(self, key: ObjectKey) -> ObjectAddressKey {
        ObjectAddressKey {
            group: self.resource(None).group,
            kind: self.as_str().to_owned(),
            namespace: key.namespace,
            name: key.name,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Namespace and name; the namespace is empty for objects of the cluster.
pub(super) fn key(object: &DynamicObject) -> ObjectKey {
    let metadata = &object.metadata;
    ObjectKey::new(
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

/// Reads an object of the group.
pub fn observe(kind: ObjectKind, object: DynamicObject) -> Observed {
    let id = ObjectId::new(kind, key(&object));
    let facts = Facts::of(&object);
    Observed {
        id,
        facts,
        manifest: manifest(kind, object),
    }
}

fn manifest(kind: ObjectKind, mut object: DynamicObject) -> Result<Manifest, String> {
    // Lists leave out what all their items have in common.
    object.types = Some(kube::core::TypeMeta {
        api_version: watershed_crd::API_VERSION.to_owned(),
        kind: kind.as_str().to_owned(),
    });
    // Only the spec is looked at; and it is large.
    object.metadata.managed_fields = None;
    if let Value::Object(data) = &mut object.data {
        data.shift_remove("status");
    }
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    Manifest::from_value(value).map_err(|error| error.to_string())
}
