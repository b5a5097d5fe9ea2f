//! Readiness in `EndpointSlice` objects.
//!
//! Only that is read, and leniently, as of other kinds that belong to others.

use kube::core::DynamicObject;
use serde_json::Value;

use crate::health::Slice;

/// The label that names the Service.
const SERVICE: &str = "kubernetes.io/service-name";

/// What a slice says; `None` when it belongs to no Service.
pub(super) fn read(object: &DynamicObject) -> Option<Slice> {
    let service = object.metadata.labels.as_ref()?.get(SERVICE)?.clone();
    let endpoints = object.data.get("endpoints").and_then(Value::as_array);
    let (mut ready, mut total) = (0, 0);
    for endpoint in endpoints.into_iter().flatten() {
        total += 1;
        // Whatever does not say is ready, as the API has it.
        let says = endpoint.pointer("/conditions/ready");
        ready += u64::from(says.and_then(Value::as_bool).unwrap_or(true));
    }
    Some(Slice {
        service,
        ready,
        total,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn endpoints_are_counted() {
        let object = |labels: Value, endpoints: Value| -> DynamicObject {
            let slice = json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": "web-a", "namespace": "shop", "labels": labels},
                "addressType": "IPv4", "endpoints": endpoints,
            });
            serde_json::from_value(slice).expect("an object")
        };
        let label = json!({SERVICE: "web"});
        let endpoints = json!([
            {"addresses": ["192.0.2.1"], "conditions": {"ready": true}},
            {"addresses": ["192.0.2.2"], "conditions": {"ready": false, "serving": true}},
            {"addresses": ["192.0.2.3"], "conditions": {"ready": null}},
            {"addresses": ["192.0.2.4"]},
        ]);
        let expected = |ready, total| {
            Some(Slice {
                service: "web".to_owned(),
                ready,
                total,
            })
        };
        assert_eq!(read(&object(label.clone(), endpoints)), expected(3, 4));
        assert_eq!(read(&object(label, json!(null))), expected(0, 0));
        assert_eq!(read(&object(json!({}), json!([]))), None);
    }
}
