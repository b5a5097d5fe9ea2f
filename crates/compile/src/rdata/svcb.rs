//! Parameters of SVCB and HTTPS records (RFC 9460).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::RdataError;
use super::words::{Words, unquote};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6_HINT: u16 = 6;
const DOH_PATH: u16 = 7;
const OHTTP: u16 = 8;

/// Names of keys (RFC 9460 section 14.3.2, RFC 9461, RFC 9540).
const KEYS: [(&str, u16); 9] = [
    ("mandatory", MANDATORY),
    ("alpn", ALPN),
    ("no-default-alpn", NO_DEFAULT_ALPN),
    ("port", PORT),
    ("ipv4hint", IPV4_HINT),
    ("ech", ECH),
    ("ipv6hint", IPV6_HINT),
    ("dohpath", DOH_PATH),
    ("ohttp", OHTTP),
];

/// Reads all remaining words as parameters and writes them in the order of
/// their keys (RFC 9460 section 2.2).
pub(super) fn parameters(words: &mut Words<'_>, wire: &mut Vec<u8>) -> Result<(), RdataError> {
    let mut parameters = BTreeMap::new();
    while let Some(word) = words.next()? {
        let (name, written) = match word.split_once('=') {
            Some((name, value)) => (name, unquote(value)?),
            None => (word, Vec::new()),
        };
        let value = value(key(name)?, &written).ok_or_else(|| fault(name, "is malformed"))?;
        if parameters.insert(key(name)?, value).is_some() {
            return Err(fault(name, "is given twice"));
        }
    }
    consistent(&parameters)?;
    for (key, value) in parameters {
        let len = u16::try_from(value.len()).map_err(|_| RdataError::TooLong)?;
        wire.extend(key.to_be_bytes());
        wire.extend(len.to_be_bytes());
        wire.extend(value);
    }
    Ok(())
}

fn fault(name: &str, what: &str) -> RdataError {
    RdataError::Parameter(format!("`{name}` {what}"))
}

/// A key by its name or as `keyNNNNN`; 65535 is reserved.
fn key(name: &str) -> Result<u16, RdataError> {
    let named = KEYS.iter().find(|(known, _)| *known == name);
    let numbered = || {
        let number = name.strip_prefix("key")?.parse().ok()?;
        (number != u16::MAX && name == format!("key{number}")).then_some(number)
    };
    named
        .map(|(_, number)| *number)
        .or_else(numbered)
        .ok_or_else(|| {
            fault(
                name,
                "is not known; others are written as key followed by a number",
            )
        })
}

/// The wire form of a value; `None` when it is malformed.
fn value(key: u16, written: &[u8]) -> Option<Vec<u8>> {
    let text = || std::str::from_utf8(written).ok();
    match key {
        MANDATORY => mandatory(text()?),
        ALPN => alpn(written),
        NO_DEFAULT_ALPN | OHTTP => written.is_empty().then(Vec::new),
        PORT => text()?
            .parse()
            .ok()
            .map(|port: u16| port.to_be_bytes().into()),
        IPV4_HINT => hints(text()?, Ipv4Addr::octets),
        IPV6_HINT => hints(text()?, Ipv6Addr::octets),
        ECH => data_encoding::BASE64.decode(written).ok(),
        DOH_PATH => text().map(|path| path.as_bytes().into()),
        _ => Some(written.into()),
    }
}

fn hints<A: FromStr, const N: usize>(list: &str, octets: fn(&A) -> [u8; N]) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    for address in list.split(',') {
        wire.extend(octets(&address.parse().ok()?));
    }
    Some(wire)
}

/// Keys in ascending order, none twice, not `mandatory` itself (section 8).
fn mandatory(list: &str) -> Option<Vec<u8>> {
    let keys: Option<Vec<u16>> = list.split(',').map(|name| key(name).ok()).collect();
    let mut keys = keys?;
    keys.sort_unstable();
    let repeated = keys.windows(2).any(|pair| pair[0] == pair[1]);
    let sound = !repeated && !keys.contains(&MANDATORY);
    sound.then(|| keys.into_iter().flat_map(u16::to_be_bytes).collect())
}

/// A comma-separated list in which `\,` and `\\` stand for themselves
/// (appendix A.1), as length-prefixed strings of 1 to 255 octets.
fn alpn(list: &[u8]) -> Option<Vec<u8>> {
    let mut ids = vec![Vec::new()];
    let mut octets = list.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b',' => ids.push(Vec::new()),
            b'\\' => ids.last_mut()?.push(*octets.next()?),
            octet => ids.last_mut()?.push(*octet),
        }
    }
    let mut wire = Vec::new();
    for id in ids {
        let len = u8::try_from(id.len()).ok().filter(|len| *len > 0)?;
        wire.push(len);
        wire.extend(id);
    }
    Some(wire)
}

/// What clients would ignore the whole record for (sections 7.1.1 and 8).
fn consistent(parameters: &BTreeMap<u16, Vec<u8>>) -> Result<(), RdataError> {
    if parameters.contains_key(&NO_DEFAULT_ALPN) && !parameters.contains_key(&ALPN) {
        return Err(fault("no-default-alpn", "needs alpn beside it"));
    }
    let listed = parameters.get(&MANDATORY).map_or(&[][..], Vec::as_slice);
    let (keys, _) = listed.as_chunks::<2>();
    let absent = |pair: &&[u8; 2]| !parameters.contains_key(&u16::from_be_bytes(**pair));
    match keys.iter().find(absent) {
        None => Ok(()),
        Some(_) => Err(fault("mandatory", "lists a key that is not there")),
    }
}
