//! Addresses in the status of Services, Ingresses and Gateways.
//!
//! Only these fields are read, and leniently: what is not understood is left
//! out, for the kinds belong to others and grow.

use std::net::IpAddr;

use serde_json::Value;
use watershed_compile::ObjectAddress;

/// `status.loadBalancer.ingress[]` of a Service or Ingress.
pub(super) fn of_load_balancer(data: &Value) -> Vec<ObjectAddress> {
    let entries = list(data, "/status/loadBalancer/ingress");
    let found = entries.filter_map(|entry| {
        let ip = text(entry, "ip").and_then(ip);
        ip.or_else(|| text(entry, "hostname").and_then(hostname))
    });
    found.collect()
}

/// `status.addresses[]` of a Gateway.
pub(super) fn of_gateway(data: &Value) -> Vec<ObjectAddress> {
    let entries = list(data, "/status/addresses");
    let found = entries.filter_map(|entry| {
        let value = text(entry, "value")?;
        match text(entry, "type") {
            None | Some("IPAddress") => ip(value),
            Some("Hostname") => hostname(value),
            Some(_) => None,
        }
    });
    found.collect()
}

fn list<'v>(data: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    let entries = data.pointer(pointer).and_then(Value::as_array);
    entries.into_iter().flatten()
}

fn text<'v>(entry: &'v Value, field: &str) -> Option<&'v str> {
    let text = entry.get(field).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
}

fn ip(text: &str) -> Option<ObjectAddress> {
    text.parse::<IpAddr>().ok().map(ObjectAddress::Ip)
}

#[allow(clippy::unnecessary_wraps, reason = "beside `ip`")]
fn hostname(text: &str) -> Option<ObjectAddress> {
    Some(ObjectAddress::Hostname(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(addresses: &[ObjectAddress]) -> Vec<String> {
        let written = addresses.iter().map(|address| match address {
            ObjectAddress::Ip(ip) => ip.to_string(),
            ObjectAddress::Hostname(name) => name.clone(),
        });
        written.collect()
    }

    #[test]
    fn a_load_balancer_has_addresses_or_names() {
        let service = json!({"status": {"loadBalancer": {"ingress": [
            {"ip": "192.0.2.7", "ipMode": "VIP"},
            {"hostname": "lb.example.net"},
            {"ip": "2001:db8::7"},
            {"ip": "not an address"},
            {},
        ]}}});
        let found = of_load_balancer(&service);
        assert_eq!(
            written(&found),
            ["192.0.2.7", "lb.example.net", "2001:db8::7"]
        );
        assert!(of_load_balancer(&json!({"status": {}})).is_empty());
        assert!(of_load_balancer(&json!({"status": {"loadBalancer": 7}})).is_empty());
    }

    #[test]
    fn a_gateway_says_the_type_of_its_addresses() {
        let gateway = json!({"status": {"addresses": [
            {"value": "192.0.2.8"},
            {"type": "IPAddress", "value": "2001:db8::8"},
            {"type": "Hostname", "value": "gw.example.net"},
            {"type": "example.net/Pool", "value": "blue"},
        ]}});
        let found = of_gateway(&gateway);
        assert_eq!(
            written(&found),
            ["192.0.2.8", "2001:db8::8", "gw.example.net"]
        );
    }
}
