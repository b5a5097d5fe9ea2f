//! Queries to Prometheus.

use watershed_crd::health_check as crd;
use watershed_health::{MissingData, ProbeKind, PrometheusProbe};

use super::super::fields::Fields;

pub(super) fn read(check: &crd::PrometheusCheck, fields: &mut Fields<'_>) -> ProbeKind {
    let url = fields.read("prometheus.url", base_url(&check.url));
    let min = bound("prometheus.min", check.min.as_deref(), fields);
    let max = bound("prometheus.max", check.max.as_deref(), fields);
    match (min, max) {
        (Some(min), Some(max)) if min > max => {
            let message = format!("{min} is greater than max, {max}: no value would be healthy");
            fields.fault("prometheus.min", message);
        }
        _ if check.min.is_none() && check.max.is_none() => {
            fields.fault("prometheus", "`min` or `max` must be set");
        }
        _ => {}
    }
    if check.query.trim().is_empty() {
        fields.fault("prometheus.query", "is empty");
    }
    ProbeKind::Prometheus(PrometheusProbe {
        url: url.unwrap_or_default(),
        query: check.query.clone(),
        min,
        max,
        on_missing: match check.on_missing {
            crd::MissingData::KeepLast => MissingData::KeepLast,
            crd::MissingData::Healthy => MissingData::Healthy,
            crd::MissingData::Unhealthy => MissingData::Unhealthy,
        },
    })
}

fn bound(field: &str, text: Option<&str>, fields: &mut Fields<'_>) -> Option<f64> {
    let text = text?;
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    if number.is_none() {
        let text = text.escape_debug();
        fields.fault(field, format!("`{text}` is not a decimal number"));
    }
    number
}

/// A base URL of scheme, host, port and path, without a final slash.
fn base_url(text: &str) -> Result<String, String> {
    let shown = text.escape_debug();
    let rest = (text.strip_prefix("http://")).or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest else {
        return Err(format!(
            "`{shown}` does not begin with `http://` or `https://`"
        ));
    };
    if !text.chars().all(|c| c.is_ascii_graphic()) || text.contains(['?', '#']) {
        return Err(format!(
            "`{shown}` is not a base URL: it has no blanks, and nothing after the path"
        ));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Err(format!(
            "`{shown}` has a user name or password, which cannot be used"
        ));
    }
    if !is_authority(authority) {
        return Err(format!("`{shown}` has no host, or a port that is none"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A host with or without a port; IPv6 addresses in brackets.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else {
                return false;
            };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            match after.strip_prefix(':') {
                Some(port) => (address, Some(port)),
                None if after.is_empty() => (address, None),
                None => return false,
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let known =
        host.parse::<std::net::IpAddr>().is_ok() || crate::document::host_name(host).is_ok();
    known && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}
