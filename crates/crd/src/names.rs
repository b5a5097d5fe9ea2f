//! Patterns that several kinds share.

/// A DNS label as Kubernetes takes it in object names, with dots.
pub(crate) const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
/// A name of an object as an API server takes it: DNS labels with dots between.
pub(crate) const SUBDOMAIN: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A namespace.
pub(crate) const NAMESPACE: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// Names of rules, endpoints and CIDR locations.
pub(crate) const NODE_NAME: &str = r"^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$";
/// An absolute host name, with or without the final dot.
pub(crate) const HOST_NAME: &str =
    r"^(\*\.)?([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9])?\.)*[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9])?\.?$";
/// An IP address or a host name, as far as a pattern can tell.
pub(crate) const ADDRESS: &str = r"^[0-9A-Za-z_][-0-9A-Za-z_.]*$|^[0-9A-Fa-f:.]+$";
/// A URL of a web server.
pub(crate) const HTTP_URL: &str = r"^https?://[^/?#\s]+(/[^?#\s]*)?$";
/// An owner name relative to the apex; `@` is the apex.
pub(crate) const OWNER_NAME: &str = r"^(@|(\*\.)?([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?|\*)$";
/// The apex of a zone.
pub(crate) const DOMAIN: &str =
    r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";
/// A release channel.
pub(crate) const CHANNEL: &str = r"^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$";
/// A content digest.
pub(crate) const DIGEST: &str = r"^sha256:[0-9a-f]{64}$";
/// A place: a continent, a country or a part of a country.
pub(crate) const PLACE: &str =
    r"^(continent/(AF|AN|AS|EU|NA|OC|SA)|country/[A-Z]{2}(-[A-Z0-9]{1,3})?)$";
/// Degrees of latitude with at most two decimals.
pub(crate) const LATITUDE: &str = r"^-?([0-8]?[0-9](\.[0-9]{1,2})?|90(\.0{1,2})?)$";
/// Degrees of longitude with at most two decimals.
pub(crate) const LONGITUDE: &str = r"^-?((1[0-7][0-9]|[0-9]?[0-9])(\.[0-9]{1,2})?|180(\.0{1,2})?)$";
