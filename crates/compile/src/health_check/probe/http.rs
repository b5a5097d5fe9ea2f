//! HTTP and HTTPS requests.

use watershed_crd::health_check::{self as crd, Scheme};
use watershed_health::{HttpProbe, ProbeKind};

use super::super::fields::Fields;
use super::tls_options;

/// What passes when a check names no statuses.
const SUCCESS: (u16, u16) = (200, 399);
/// The most characters of a path or a search string.
const LONGEST: usize = 255;
/// Headers that a request has anyway, with what to do instead.
const RESERVED: [(&str, &str); 4] = [
    ("host", "set `http.host` instead"),
    ("connection", "the probe sets it"),
    ("content-length", "the probe sets it"),
    ("transfer-encoding", "the probe sets it"),
];

pub(super) fn read(probe: &crd::HttpProbe, fields: &mut Fields<'_>) -> ProbeKind {
    let usual = match probe.scheme {
        Scheme::HTTP => 80,
        Scheme::HTTPS => 443,
    };
    let port = probe
        .port
        .map_or(usual, |port| fields.port("http.port", port));
    let host = probe.host.as_ref();
    let name = host.and_then(|host| fields.host("http.host", host));
    path(&probe.path, fields);
    headers(&probe.headers, fields);
    let expected_statuses = statuses(&probe.expected_statuses, fields);
    if let Some(text) = &probe.search_string
        && !(1..=LONGEST).contains(&text.len())
    {
        let message = format!("must be 1 to {LONGEST} octets long");
        fields.fault("http.searchString", message);
    }
    let secure = probe.scheme == Scheme::HTTPS;
    let tls = secure.then(|| tls_options(name.clone(), probe.tls_verification));
    let headers = probe.headers.iter();
    let headers = headers.map(|header| (header.name.clone(), header.value.clone()));
    ProbeKind::Http(HttpProbe {
        tls,
        port,
        path: probe.path.clone(),
        host: name,
        headers: headers.collect(),
        expected_statuses,
        search_string: probe.search_string.clone(),
    })
}

fn path(path: &str, fields: &mut Fields<'_>) {
    let plain = path.chars().all(|c| c.is_ascii_graphic() && c != '#');
    if !path.starts_with('/') || !plain || path.len() > LONGEST {
        let message = format!(
            "`{}` is not a path: it begins with `/`, has at most {LONGEST} characters, and \
             blanks and the like as `%20`",
            path.escape_debug()
        );
        fields.fault("http.path", message);
    }
}

fn headers(headers: &[crd::Header], fields: &mut Fields<'_>) {
    for (index, crd::Header { name, value }) in headers.iter().enumerate() {
        let field = format!("http.headers[{index}]");
        if !is_token(name) {
            let message = format!("`{}` is not the name of a header", name.escape_debug());
            fields.fault(&format!("{field}.name"), message);
        }
        let reserved = RESERVED.iter();
        if let Some((_, instead)) = reserved.clone().find(|(r, _)| name.eq_ignore_ascii_case(r)) {
            let message = format!("`{name}` cannot be set here: {instead}");
            fields.fault(&format!("{field}.name"), message);
        }
        if !value
            .chars()
            .all(|c| c.is_ascii_graphic() || c == ' ' || c == '\t')
        {
            let message = "has other characters than those of ASCII that can be printed";
            fields.fault(&format!("{field}.value"), message);
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(fits)
}

fn statuses(written: &[String], fields: &mut Fields<'_>) -> Vec<(u16, u16)> {
    if written.is_empty() {
        return vec![SUCCESS];
    }
    let mut statuses = Vec::new();
    for (index, text) in written.iter().enumerate() {
        let field = format!("http.expectedStatuses[{index}]");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (status(first), status(last)) {
            (Some(first), Some(last)) if first <= last => statuses.push((first, last)),
            (Some(first), Some(last)) => {
                let message = format!("`{text}` is reversed; write `{last}-{first}`");
                fields.fault(&field, message);
            }
            _ => {
                let text = text.escape_debug();
                let message = format!("`{text}` is not a status or a range such as `200-299`");
                fields.fault(&field, message);
            }
        }
    }
    statuses
}

fn status(text: &str) -> Option<u16> {
    let digits = text.len() == 3 && text.bytes().all(|octet| octet.is_ascii_digit());
    let status = text.parse().ok().filter(|_| digits)?;
    (100..=599).contains(&status).then_some(status)
}
