//! Host names.

use std::net::IpAddr;

use watershed_snapshot::OwnerName;

/// Checks that `text` can be the name of a host that answers are taken from:
/// an absolute name, with or without the final dot, of labels of letters,
/// digits, hyphens and underscores. Upper case is accepted.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence.
pub(crate) fn host_name(text: &str) -> Result<OwnerName, String> {
    if text.parse::<IpAddr>().is_ok() {
        return Err(format!("`{text}` is an address, not a host name"));
    }
    let name = OwnerName::from_text(text).map_err(|error| error.to_string())?;
    if name.is_root() {
        return Err("the root is not a host name".to_owned());
    }
    let unfit = name.labels().find(|label| !is_host_label(label));
    match unfit.map(|label| String::from_utf8_lossy(label).into_owned()) {
        None => Ok(name),
        Some(label) => Err(format!(
            "`{text}` is not a host name: `{label}` has other characters than letters, digits, \
             `-` and `_`, or begins or ends with `-`"
        )),
    }
}

fn is_host_label(label: &[u8]) -> bool {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    label.iter().all(plain) && !label.starts_with(b"-") && !label.ends_with(b"-")
}
