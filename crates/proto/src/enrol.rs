//! The call by which a node gets its certificate.

use std::fmt;

use crate::fleet_v1::EnrolRequest;

/// The audience of tokens that nodes enrol with. A token for it is of use at no
/// API server, and one of the API server's own is of none here.
pub const ENROL_AUDIENCE: &str = "watershed-operator";

/// The largest message in octets of the call: 64 KiB. Tokens have 1 to 2 KiB,
/// requests for a certificate and certificates less than 1 KiB.
pub const ENROL_LIMIT: usize = 64 << 10;

/// Without the token, which is a secret.
impl fmt::Debug for EnrolRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolRequest")
            .field("fleet", &self.fleet)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_show() {
        let request = EnrolRequest {
            token: "secret".to_owned(),
            certificate_request: Vec::new(),
            fleet: "default".to_owned(),
            node: "dns-0".to_owned(),
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("dns-0"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
