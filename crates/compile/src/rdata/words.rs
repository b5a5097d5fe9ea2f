//! Splitting presentation text into fields.

use super::RdataError;

/// The fields of a text, which blanks outside of quotation marks separate.
pub(super) struct Words<'t> {
    rest: &'t str,
}

impl<'t> Words<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text.trim() }
    }

    /// All that was not read yet; nothing is left after it.
    pub(super) fn remaining(&mut self) -> &'t str {
        std::mem::take(&mut self.rest)
    }

    /// The next field as written, quotation marks included.
    pub(super) fn next(&mut self) -> Result<Option<&'t str>, RdataError> {
        let (mut quoted, mut escaped) = (false, false);
        let end = self.rest.char_indices().find(|(_, character)| {
            if escaped {
                escaped = false;
            } else {
                match character {
                    '\\' => escaped = true,
                    '"' => quoted = !quoted,
                    _ => return character.is_ascii_whitespace() && !quoted,
                }
            }
            false
        });
        if quoted {
            return Err(RdataError::Quote);
        }
        let (word, rest) = self
            .rest
            .split_at(end.map_or(self.rest.len(), |(at, _)| at));
        self.rest = rest.trim_start();
        Ok((!word.is_empty()).then_some(word))
    }

    pub(super) fn required(&mut self, field: &'static str) -> Result<&'t str, RdataError> {
        self.next()?.ok_or(RdataError::Missing(field))
    }
}

/// The octets of a character-string as written (RFC 1035 section 5.1): quoted
/// or not, with escapes resolved.
pub(super) fn unquote(word: &str) -> Result<Vec<u8>, RdataError> {
    let inner = match word.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or(RdataError::Quote)?,
        None => word,
    };
    let mut octets = Vec::with_capacity(inner.len());
    let mut rest = inner.as_bytes();
    while let [first, tail @ ..] = rest {
        let (octet, tail) = match first {
            b'\\' => escape(tail)?,
            b'"' => return Err(RdataError::Quote),
            octet => (*octet, tail),
        };
        octets.push(octet);
        rest = tail;
    }
    Ok(octets)
}

/// Reads what follows a backslash.
fn escape(after: &[u8]) -> Result<(u8, &[u8]), RdataError> {
    match after {
        [a, b, c, rest @ ..] if a.is_ascii_digit() => {
            let digits = [*a, *b, *c];
            let decimal = std::str::from_utf8(&digits).ok();
            let octet = decimal.and_then(|decimal| decimal.parse().ok());
            Ok((octet.ok_or(RdataError::Escape)?, rest))
        }
        [digit, ..] if digit.is_ascii_digit() => Err(RdataError::Escape),
        [octet, rest @ ..] => Ok((*octet, rest)),
        [] => Err(RdataError::Escape),
    }
}
