//! Readiness of the endpoints of Services, as `EndpointSlice` objects tell it.

use std::collections::BTreeMap;

use watershed_compile::ObjectKey;
use watershed_health::{Check, ProbeKind, State, Target};

/// What is known of one `EndpointSlice`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Name of the Service that it belongs to.
    pub service: String,
    /// Endpoints that are ready.
    pub ready: u64,
    /// All endpoints.
    pub total: u64,
}

/// The `EndpointSlice` objects of all Services.
#[derive(Clone, Debug, Default)]
pub struct ServiceSlices {
    slices: BTreeMap<ObjectKey, Slice>,
    /// By Service.
    services: BTreeMap<ObjectKey, BTreeMap<String, (u64, u64)>>,
    /// Whether all that there are have been told.
    listed: bool,
}

impl ServiceSlices {
    /// A slice is there, in this form; `None`: it is gone. Whether anything
    /// differs.
    pub fn set(&mut self, key: ObjectKey, slice: Option<Slice>) -> bool {
        let former = match &slice {
            Some(slice) => self.slices.insert(key.clone(), slice.clone()),
            None => self.slices.remove(&key),
        };
        if former == slice {
            return false;
        }
        if let Some(former) = former {
            let service = ObjectKey::new(&key.namespace, &former.service);
            if let Some(slices) = self.services.get_mut(&service) {
                slices.remove(&key.name);
                if slices.is_empty() {
                    self.services.remove(&service);
                }
            }
        }
        if let Some(slice) = slice {
            let service = ObjectKey::new(&key.namespace, &slice.service);
            let slices = self.services.entry(service).or_default();
            slices.insert(key.name, (slice.ready, slice.total));
        }
        true
    }

    /// All slices that there are have been told. Whether that is news.
    pub fn set_listed(&mut self) -> bool {
        !std::mem::replace(&mut self.listed, true)
    }

    /// What that says of the target of a check, whose id is `namespace/name`;
    /// `None`: the check asks for something else.
    pub fn state(&self, id: &str, check: &Check) -> Option<(Target, (State, String))> {
        let ProbeKind::EndpointSlices(asked) = &check.kind else {
            return None;
        };
        let (namespace, _) = id.split_once('/')?;
        let target = Target {
            check: id.to_owned(),
            address: None,
        };
        let service = ObjectKey::new(namespace, &asked.service);
        let found = self.services.get(&service).map(|slices| {
            let sum = |(a, b): (u64, u64), (c, d): &(u64, u64)| (a + c, b + d);
            slices.values().fold((0, 0), sum)
        });
        let needed = u64::from(asked.min_ready_percent);
        let said = match found {
            Some((ready, total)) => {
                let enough = total > 0 && ready * 100 >= needed * total;
                let state = if enough {
                    State::Healthy
                } else {
                    State::Unhealthy
                };
                let message =
                    format!("{ready} of {total} endpoints are ready, {needed} % are needed");
                (state, message)
            }
            None if self.listed => (
                State::Unhealthy,
                format!("there are no EndpointSlices of a Service {}", asked.service),
            ),
            None => (
                State::Unknown,
                "EndpointSlices are not known yet; the operator needs the right to list and watch endpointslices of discovery.k8s.io".to_owned(),
            ),
        };
        Some((target, said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::endpoints::tests::check;

    #[allow(clippy::unnecessary_wraps, reason = "as it is given")]
    fn slice(service: &str, ready: u64, total: u64) -> Option<Slice> {
        Some(Slice {
            service: service.to_owned(),
            ready,
            total,
        })
    }

    #[test]
    fn slices_of_a_service_are_taken_together() {
        let check = check(ProbeKind::EndpointSlices(
            watershed_health::EndpointSlices {
                service: "web".to_owned(),
                min_ready_percent: 50,
            },
        ));
        let mut slices = ServiceSlices::default();
        let said = |slices: &ServiceSlices| {
            let (_, (state, message)) = slices.state("shop/ready", &check).expect("its kind");
            (state, message)
        };
        assert_eq!(said(&slices).0, State::Unknown);
        assert!(slices.set_listed());
        assert_eq!(
            said(&slices),
            (
                State::Unhealthy,
                "there are no EndpointSlices of a Service web".to_owned()
            )
        );
        let key = |name: &str| ObjectKey::new("shop", name);
        assert!(slices.set(key("web-a"), slice("web", 1, 3)));
        assert!(!slices.set(key("web-a"), slice("web", 1, 3)));
        assert!(slices.set(key("api-a"), slice("api", 9, 9)));
        assert!(slices.set(ObjectKey::new("blog", "web-a"), slice("web", 9, 9)));
        assert_eq!(said(&slices).0, State::Unhealthy);
        assert!(slices.set(key("web-b"), slice("web", 1, 1)));
        assert_eq!(
            said(&slices),
            (
                State::Healthy,
                "2 of 4 endpoints are ready, 50 % are needed".to_owned()
            )
        );
        assert!(slices.set(key("web-a"), slice("api", 3, 3)));
        assert!(slices.set(key("web-b"), None));
        assert_eq!(said(&slices).0, State::Unhealthy);
    }
}
