//! Absolute domain names.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;
use thiserror::Error;

/// Octets of a name that lie in place: as many as nearly all names have, and
/// with the length 48, so that a name and a little beside it are one line of a
/// processor's cache.
const IN_PLACE: usize = 40;
/// Most octets of a name in wire form, the root label included (RFC 1035
/// section 2.3.4).
const MAX_NAME: usize = 255;
/// Most octets of a label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// An absolute domain name: uncompressed wire form in ASCII lower case, so
/// that equal names are equal octets (RFC 4343). At most 255 octets, labels of
/// at most 63; any octet may stand in a label.
///
/// The order is that of the octets. It is stable, but not the canonical order
/// of RFC 4034.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerName(SmallVec<[u8; IN_PLACE]>);

/// Why something is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// The text is empty.
    #[error("the name is empty; write `.` for the root")]
    Empty,
    /// Two dots without a label between them, or a leading dot.
    #[error("`{0}` has an empty label; remove the extra dot")]
    EmptyLabel(String),
    /// A label is longer than 63 octets.
    #[error("a label has {0} octets; at most 63 are allowed")]
    LabelTooLong(usize),
    /// The name is longer than 255 octets.
    #[error("the name has more than 255 octets in wire form")]
    NameTooLong,
    /// A backslash that starts neither `\DDD` nor an escaped character.
    #[error("`{0}` has a bad escape; write `\\.` or `\\DDD` with DDD at most 255")]
    BadEscape(String),
    /// A character outside ASCII.
    #[error("`{0}` has characters outside ASCII; write internationalized names as `xn--` labels")]
    NotAscii(String),
    /// White space or a control character.
    #[error("`{0}` contains white space or a control character")]
    Unprintable(String),
    /// The wire form ends early, goes on after the root label, or is
    /// compressed.
    #[error("the wire form is malformed")]
    Wire,
}

impl OwnerName {
    /// The root.
    pub fn root() -> Self {
        Self(SmallVec::from_slice(&[0]))
    }

    /// Reads an absolute name in presentation form, with or without the final
    /// dot: `www.example.com.`. `\.` and other escaped characters stand for
    /// themselves, `\DDD` for the octet of that decimal value (RFC 1035
    /// section 5.1).
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn from_text(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let (mut wire, _) = parse_labels(text)?;
        wire.push(0);
        Self::checked(wire)
    }

    /// Reads a name as a zone file would: `@` is `origin`, a name with a final
    /// dot is absolute, any other is below `origin`.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn from_relative(text: &str, origin: &Self) -> Result<Self, NameError> {
        match text {
            "@" => return Ok(origin.clone()),
            "." => return Ok(Self::root()),
            _ => {}
        }
        let (mut wire, absolute) = parse_labels(text)?;
        if absolute {
            wire.push(0);
        } else {
            wire.extend_from_slice(&origin.0);
        }
        Self::checked(wire)
    }

    /// Takes an uncompressed wire form, of any case.
    ///
    /// # Errors
    /// [`NameError::Wire`] when it ends early, goes on after the root label or
    /// has a compression pointer; [`NameError::NameTooLong`].
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        let mut rest = wire;
        loop {
            match rest {
                [0] => break,
                [len, tail @ ..] if (1..=MAX_LABEL).contains(&usize::from(*len)) => {
                    rest = tail.get(usize::from(*len)..).ok_or(NameError::Wire)?;
                }
                _ => return Err(NameError::Wire),
            }
        }
        Self::checked(wire.to_vec())
    }

    /// `wire` is well-formed but for its length.
    fn checked(mut wire: Vec<u8>) -> Result<Self, NameError> {
        if wire.len() > MAX_NAME {
            return Err(NameError::NameTooLong);
        }
        // Length octets are at most 63, below the letters, so they stay.
        wire.make_ascii_lowercase();
        Ok(Self(SmallVec::from_slice(&wire)))
    }

    /// The name `label` directly below this one. `label` is one label in raw
    /// octets, without escapes.
    ///
    /// # Errors
    /// [`NameError::LabelTooLong`], [`NameError::NameTooLong`], or
    /// [`NameError::Empty`] for an empty label.
    pub fn prepend(&self, label: &[u8]) -> Result<Self, NameError> {
        let len = match u8::try_from(label.len()) {
            Ok(0) => return Err(NameError::Empty),
            Ok(len) if label.len() <= MAX_LABEL => len,
            _ => return Err(NameError::LabelTooLong(label.len())),
        };
        let mut wire = Vec::with_capacity(1 + label.len() + self.0.len());
        wire.push(len);
        wire.extend_from_slice(label);
        wire.extend_from_slice(&self.0);
        Self::checked(wire)
    }

    /// The wire form.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The labels from left to right, without the root label.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        self.suffixes().filter_map(|suffix| match suffix {
            [len, rest @ ..] if *len > 0 => rest.get(..usize::from(*len)),
            _ => None,
        })
    }

    /// Number of labels without the root label.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The wire forms of this name and of every name above it, down to the
    /// root: the keys to look an ancestor up without making a new name.
    pub fn suffixes(&self) -> impl Iterator<Item = &[u8]> {
        Self::suffixes_of(&self.0)
    }

    /// As [`OwnerName::suffixes`], of an uncompressed wire form.
    pub fn suffixes_of(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
        std::iter::successors(Some(wire), |suffix| match suffix {
            [0] | [] => None,
            [len, rest @ ..] => rest.get(usize::from(*len)..),
        })
    }

    /// The name one label up; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let parent = self.suffixes().nth(1)?;
        Some(Self(SmallVec::from_slice(parent)))
    }

    /// Whether this name is strictly below `other`.
    pub fn is_below(&self, other: &Self) -> bool {
        self != other && self.is_at_or_below(other)
    }

    /// Whether this name is `other` or below it, as a name in a zone is to the
    /// apex.
    pub fn is_at_or_below(&self, other: &Self) -> bool {
        self.suffixes().any(|suffix| suffix == other.as_wire())
    }

    /// Whether the leftmost label is `*` (RFC 4592 section 2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }
}

/// The labels of `text` in wire form without the root label, and whether the
/// text ended in a dot.
fn parse_labels(text: &str) -> Result<(Vec<u8>, bool), NameError> {
    check_characters(text)?;
    let (mut wire, mut label) = (Vec::with_capacity(text.len() + 2), Vec::new());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match first {
            b'.' => {
                push_label(&mut wire, &mut label, text)?;
                tail
            }
            b'\\' => {
                let (octet, tail) = unescape(tail).ok_or(NameError::BadEscape(text.into()))?;
                label.push(octet);
                tail
            }
            octet => {
                label.push(*octet);
                tail
            }
        };
    }
    let absolute = label.is_empty();
    if !absolute {
        push_label(&mut wire, &mut label, text)?;
    }
    Ok((wire, absolute))
}

fn check_characters(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else if !text.is_ascii() {
        Err(NameError::NotAscii(text.into()))
    } else if !text.bytes().all(|octet| octet.is_ascii_graphic()) {
        Err(NameError::Unprintable(text.escape_debug().to_string()))
    } else {
        Ok(())
    }
}

fn push_label(wire: &mut Vec<u8>, label: &mut Vec<u8>, text: &str) -> Result<(), NameError> {
    match u8::try_from(label.len()) {
        Ok(0) => return Err(NameError::EmptyLabel(text.into())),
        Ok(len) if label.len() <= MAX_LABEL => wire.push(len),
        _ => return Err(NameError::LabelTooLong(label.len())),
    }
    wire.append(label);
    Ok(())
}

/// Reads what follows a backslash.
fn unescape(after: &[u8]) -> Option<(u8, &[u8])> {
    match after {
        [a, b, c, rest @ ..] if a.is_ascii_digit() => {
            let digits = std::str::from_utf8(&[*a, *b, *c]).ok()?.parse().ok()?;
            Some((digits, rest))
        }
        [digit, ..] if digit.is_ascii_digit() => None,
        [octet, rest @ ..] => Some((*octet, rest)),
        [] => None,
    }
}

impl FromStr for OwnerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::from_text(text)
    }
}

/// Lets maps keyed by names be asked by [`OwnerName::suffixes`].
impl Borrow<[u8]> for OwnerName {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for OwnerName {
    /// Presentation form with the final dot; what `from_text` reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for octet in label {
                fmt_octet(*octet, f)?;
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

fn fmt_octet(octet: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match octet {
        b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
            write!(f, "\\{}", char::from(octet))
        }
        _ if octet.is_ascii_graphic() => write!(f, "{}", char::from(octet)),
        _ => write!(f, "\\{octet:03}"),
    }
}

impl fmt::Debug for OwnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> OwnerName {
        text.parse().unwrap()
    }

    #[test]
    fn final_dot_is_optional_and_case_is_folded() {
        assert_eq!(name("WWW.Example.com"), name("www.example.com."));
        assert_eq!(
            name("www.example.com").as_wire(),
            b"\x03www\x07example\x03com\x00"
        );
        assert_eq!(name(r"\065.example.com"), name("a.example.com"));
    }

    #[test]
    fn text_form_survives_a_round_trip() {
        for text in [
            ".",
            "example.com.",
            r"a\.b.example.com.",
            r"\000\255\032.example.",
            "*.a.",
        ] {
            assert_eq!(name(text).to_string(), text);
        }
        assert_eq!(name(r"a\.b.example").label_count(), 2);
    }

    #[test]
    fn refuses_what_is_no_name() {
        let error = |text: &str| OwnerName::from_text(text).unwrap_err();
        assert_eq!(error(""), NameError::Empty);
        assert!(matches!(error("a..b"), NameError::EmptyLabel(_)));
        assert!(matches!(error(".a"), NameError::EmptyLabel(_)));
        assert!(matches!(error(r"a\256"), NameError::BadEscape(_)));
        assert!(matches!(error(r"a\25"), NameError::BadEscape(_)));
        assert!(matches!(error(r"a\"), NameError::BadEscape(_)));
        assert!(matches!(error("bücher.example"), NameError::NotAscii(_)));
        assert!(matches!(error("a b.example"), NameError::Unprintable(_)));
    }

    #[test]
    fn limits_are_those_of_rfc_1035() {
        let label = "a".repeat(63);
        assert!(OwnerName::from_text(&label).is_ok());
        assert_eq!(
            OwnerName::from_text(&format!("{label}a")),
            Err(NameError::LabelTooLong(64))
        );
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(name(&longest).as_wire().len(), 255);
        assert_eq!(
            OwnerName::from_text(&format!("{longest}a")),
            Err(NameError::NameTooLong)
        );
        assert_eq!(name(&longest).prepend(b"x"), Err(NameError::NameTooLong));
    }

    #[test]
    fn relative_names_read_as_in_a_zone_file() {
        let apex = name("example.com");
        let read = |text: &str| OwnerName::from_relative(text, &apex).unwrap();
        assert_eq!(read("@"), apex);
        assert_eq!(read("a.b"), name("a.b.example.com"));
        assert_eq!(read("example.net."), name("example.net"));
        assert_eq!(read(r"a\."), name(r"a\..example.com"));
    }

    #[test]
    fn wire_form_is_checked() {
        assert_eq!(OwnerName::from_wire(b"\x01A\x00"), Ok(name("a")));
        for wire in [&b""[..], b"\x01a", b"\x05a\x00", b"\x00\x00", b"\xc0\x0c"] {
            assert_eq!(OwnerName::from_wire(wire), Err(NameError::Wire));
        }
    }

    #[test]
    fn relations_compare_whole_labels() {
        let (apex, www) = (name("example.com"), name("www.example.com"));
        assert!(www.is_below(&apex) && !apex.is_below(&apex));
        assert!(apex.is_at_or_below(&apex) && apex.is_below(&OwnerName::root()));
        assert!(!name("wwwexample.com").is_at_or_below(&apex));
        assert_eq!(www.parent(), Some(apex.clone()));
        assert_eq!(OwnerName::root().parent(), None);
        assert!(apex.prepend(b"*").unwrap().is_wildcard());
        assert!(!name("a.*.example.com").is_wildcard());
        assert_eq!(
            www.labels().collect::<Vec<_>>(),
            [&b"www"[..], b"example", b"com"]
        );
    }

    proptest! {
        #[test]
        fn any_name_survives_its_text_form(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..12),
        ) {
            let built = labels.iter().try_fold(OwnerName::root(), |name, label| name.prepend(label));
            let built = built.unwrap();
            prop_assert_eq!(OwnerName::from_text(&built.to_string()), Ok(built.clone()));
            prop_assert_eq!(OwnerName::from_wire(built.as_wire()), Ok(built.clone()));
            prop_assert_eq!(built.label_count(), labels.len());
        }

        #[test]
        fn any_text_is_a_name_or_an_error(text in any::<String>()) {
            if let Ok(name) = OwnerName::from_text(&text) {
                prop_assert_eq!(OwnerName::from_wire(name.as_wire()), Ok(name.clone()));
            }
        }
    }
}
