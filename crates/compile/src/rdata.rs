//! Record data from presentation to wire form.
//!
//! The forms are those of RFC 1035 section 5.1 and of the RFC of each type,
//! one value on one line, as in a Route 53 record. Every type is a row of
//! fields in a table; one reader serves them all and names the field that
//! is wrong. Escapes are `\DDD` with a decimal octet and `\X`.
//!
//! Names are absolute whether or not they end in a dot, as in Route 53:
//! `10 mx1.example.net` means `mx1.example.net.` in any zone. `@` is no name.
//!
//! hickory-proto, which the server uses for messages, has text parsers too;
//! they are the oracle of the tests but not used here: its lexer turns `\DDD`
//! into other octets, unquoted TXT data loses its blanks, and some malformed
//! SVCB data makes it panic.

mod svcb;
mod words;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;
use watershed_snapshot::{NameError, OwnerName};

use words::{Words, unquote};

/// Why a text is not data of its record type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RdataError {
    /// The text ends before all fields are there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The text goes on after the last field.
    #[error("`{0}` is one field too many")]
    Surplus(String),
    /// A field is not a number of its range.
    #[error("{field} `{word}` is not a number between 0 and {most}")]
    Number {
        /// The field.
        field: &'static str,
        /// What is written.
        word: String,
        /// The largest number.
        most: u32,
    },
    /// A field is not a domain name.
    #[error("{field}: {error}")]
    Name {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        error: NameError,
    },
    /// The text is not an address of the family.
    #[error("`{0}` is not an {1} address")]
    Address(String, &'static str),
    /// A field is not an even number of hexadecimal digits.
    #[error("{0} is not an even number of hexadecimal digits")]
    Hex(&'static str),
    /// A quoted string does not end, or goes on after its end.
    #[error("a quoted string does not end where it should")]
    Quote,
    /// A backslash that starts neither `\DDD` nor an escaped character.
    #[error("bad escape; write `\\DDD` with DDD at most 255, or `\\` and a character")]
    Escape,
    /// A string of more than 255 octets.
    #[error("{0} has more than 255 octets; write it as several quoted strings")]
    Long(&'static str),
    /// Unquoted text with a quotation mark in it.
    #[error("put the whole text in quotation marks, or write `\\\"` inside of them")]
    Unquoted,
    /// A CAA tag with other characters than letters and digits.
    #[error("tag `{0}` has other characters than letters and digits")]
    Tag(String),
    /// A service parameter is malformed or contradicts another.
    #[error("parameter {0}")]
    Parameter(String),
    /// More than a record can hold.
    #[error("the data is longer than 65535 octets")]
    TooLong,
    /// No data of this type can be written.
    #[error("data of type {0} cannot be written as text")]
    UnknownType(u16),
}

/// A field of record data, with the name that messages call it by.
#[derive(Clone, Copy)]
enum Field {
    /// An octet.
    U8(&'static str),
    /// Two octets.
    U16(&'static str),
    /// An absolute domain name.
    Name(&'static str),
    /// A character-string: a length octet and up to 255 octets.
    Text(&'static str),
    /// A CAA property tag (RFC 8659 section 4.1).
    Tag(&'static str),
    /// A string that fills the rest of the data, without length octet.
    Rest(&'static str),
    /// Hexadecimal digits, all remaining words together.
    Hex(&'static str),
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// Service parameters (RFC 9460), all remaining words.
    Parameters,
    /// Text data: all remaining words (RFC 1035 section 3.3.14).
    Strings,
}

/// The fields of a type by IANA number.
fn grammar(record_type: u16) -> Option<&'static [Field]> {
    use Field::{Hex, Ipv4, Ipv6, Name, Parameters, Rest, Strings, Tag, Text, U8, U16};
    Some(match record_type {
        1 => &[Ipv4],
        2 | 5 | 12 => &[Name("the name")],
        15 => &[U16("the preference"), Name("the mail server")],
        16 | 99 => &[Strings],
        28 => &[Ipv6],
        33 => &[
            U16("the priority"),
            U16("the weight"),
            U16("the port"),
            Name("the target"),
        ],
        35 => &[
            U16("the order"),
            U16("the preference"),
            Text("the flags"),
            Text("the service"),
            Text("the regular expression"),
            Name("the replacement"),
        ],
        43 => &[
            U16("the key tag"),
            U8("the algorithm"),
            U8("the digest type"),
            Hex("the digest"),
        ],
        44 => &[
            U8("the algorithm"),
            U8("the fingerprint type"),
            Hex("the fingerprint"),
        ],
        52 => &[
            U8("the usage"),
            U8("the selector"),
            U8("the matching type"),
            Hex("the data"),
        ],
        64 | 65 => &[U16("the priority"), Name("the target"), Parameters],
        257 => &[U8("the flags"), Tag("the tag"), Rest("the value")],
        _ => return None,
    })
}

/// Reads one value of an IANA type number, and gives its uncompressed wire
/// form.
///
/// TXT and SPF data is either one or more quoted strings of up to 255 octets,
/// as in Route 53, or text without any quotation mark, which is taken as
/// written and split after every 255 octets.
///
/// # Errors
/// See [`RdataError`].
pub fn parse_rdata(record_type: u16, text: &str) -> Result<Vec<u8>, RdataError> {
    let fields = grammar(record_type).ok_or(RdataError::UnknownType(record_type))?;
    let mut words = Words::new(text);
    let mut wire = Vec::new();
    for field in fields {
        read(*field, &mut words, &mut wire)?;
    }
    match words.next()? {
        Some(word) => Err(RdataError::Surplus(word.to_owned())),
        None if wire.len() > usize::from(u16::MAX) => Err(RdataError::TooLong),
        None => Ok(wire),
    }
}

fn read(field: Field, words: &mut Words<'_>, wire: &mut Vec<u8>) -> Result<(), RdataError> {
    match field {
        Field::U8(name) => wire.push(number::<u8>(words, name, u8::MAX.into())?),
        Field::U16(name) => {
            wire.extend(number::<u16>(words, name, u16::MAX.into())?.to_be_bytes());
        }
        Field::Name(name) => wire.extend(self::name(words.required(name)?, name)?.as_wire()),
        Field::Text(name) => string(&unquote(words.required(name)?)?, name, wire)?,
        Field::Tag(name) => tag(words.required(name)?, wire)?,
        Field::Rest(name) => wire.extend(unquote(words.required(name)?)?),
        Field::Hex(name) => wire.extend(hex_words(words, name)?),
        Field::Ipv4 => wire.extend(address::<Ipv4Addr>(words, "IPv4")?.octets()),
        Field::Ipv6 => wire.extend(address::<Ipv6Addr>(words, "IPv6")?.octets()),
        Field::Parameters => svcb::parameters(words, wire)?,
        Field::Strings => strings(words, wire)?,
    }
    Ok(())
}

fn number<N: FromStr>(
    words: &mut Words<'_>,
    field: &'static str,
    most: u32,
) -> Result<N, RdataError> {
    let word = words.required(field)?;
    let number = word.parse().ok().filter(|_| !word.starts_with('+'));
    number.ok_or_else(|| RdataError::Number {
        field,
        word: word.to_owned(),
        most,
    })
}

fn name(word: &str, field: &'static str) -> Result<OwnerName, RdataError> {
    OwnerName::from_text(word).map_err(|error| RdataError::Name { field, error })
}

fn address<A: FromStr>(words: &mut Words<'_>, family: &'static str) -> Result<A, RdataError> {
    let word = words.required("the address")?;
    word.parse()
        .map_err(|_| RdataError::Address(word.to_owned(), family))
}

/// Writes a character-string.
fn string(octets: &[u8], field: &'static str, wire: &mut Vec<u8>) -> Result<(), RdataError> {
    wire.push(u8::try_from(octets.len()).map_err(|_| RdataError::Long(field))?);
    wire.extend(octets);
    Ok(())
}

fn tag(word: &str, wire: &mut Vec<u8>) -> Result<(), RdataError> {
    if !word.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        return Err(RdataError::Tag(word.to_owned()));
    }
    string(word.as_bytes(), "the tag", wire)
}

fn hex_words(words: &mut Words<'_>, field: &'static str) -> Result<Vec<u8>, RdataError> {
    let mut digits = words.required(field)?.to_owned();
    while let Some(word) = words.next()? {
        digits.push_str(word);
    }
    hex(&digits).ok_or(RdataError::Hex(field))
}

/// The octets that pairs of hexadecimal digits of either case stand for.
pub(crate) fn hex(digits: &str) -> Option<Vec<u8>> {
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(digits.as_bytes())
        .ok()
}

fn strings(words: &mut Words<'_>, wire: &mut Vec<u8>) -> Result<(), RdataError> {
    let text = words.remaining();
    if text.is_empty() {
        return Err(RdataError::Missing("the text"));
    }
    if !text.starts_with('"') {
        return unquoted(text, wire);
    }
    let mut quoted = Words::new(text);
    while let Some(word) = quoted.next()? {
        if !word.starts_with('"') {
            return Err(RdataError::Unquoted);
        }
        string(&unquote(word)?, "a string", wire)?;
    }
    Ok(())
}

fn unquoted(text: &str, wire: &mut Vec<u8>) -> Result<(), RdataError> {
    if text.contains('"') {
        return Err(RdataError::Unquoted);
    }
    text.as_bytes()
        .chunks(usize::from(u8::MAX))
        .try_for_each(|chunk| string(chunk, "a string", wire))
}

#[cfg(test)]
mod tests;
