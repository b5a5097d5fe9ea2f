//! The digest that tells whether two documents are the same.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use watershed_crd::document::TrafficPolicyDocument;

/// SHA-256 over the RFC 8785 canonical JSON of a document as written. Its text
/// form is `sha256:` and 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

const PREFIX: &str = "sha256:";

/// The digest of a document.
///
/// It covers references by name, not what they resolve to. Two documents
/// differ in digest as soon as they differ in a member, be it a comment; the
/// order of map keys does not count, the order of lists does.
pub fn digest(document: &TrafficPolicyDocument) -> Digest {
    // A document is strings, integers and booleans under string keys, which
    // JSON can always hold; the error arm is there for the type checker only.
    let canonical = serde_json_canonicalizer::to_vec(document).unwrap_or_default();
    Digest(Sha256::digest(&canonical).into())
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.strip_prefix(PREFIX).ok_or(())?;
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Err(());
        }
        let octets = crate::rdata::hex(digits).ok_or(())?;
        octets.try_into().map(Self).map_err(|_| ())
    }
}
