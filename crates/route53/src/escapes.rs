//! Escape codes in values: Route 53 writes an octet as a backslash and three
//! octal digits (Developer Guide, "Supported DNS record types", TXT), master
//! files as a backslash and three decimal digits (RFC 1035, section 5.1).

/// A Route 53 value in the form of master files.
///
/// # Errors
/// The first code that is not octal.
pub(crate) fn to_decimal(value: &str) -> Result<String, String> {
    rewrite(value, |code| match u8::from_str_radix(code, 8) {
        Ok(octet) => Ok(format!("{octet:03}")),
        Err(_) => Err(format!(
            "Value has the escape code \\{code}: codes are three octal digits, 000 to 377"
        )),
    })
}

/// A value in the form of master files as Route 53 writes it. Codes above 255
/// are left alone; no compiled document has them.
pub(crate) fn to_octal(value: &str) -> String {
    let octal = rewrite::<()>(value, |code| {
        Ok(code
            .parse::<u8>()
            .map_or(code.to_owned(), |octet| format!("{octet:03o}")))
    });
    octal.unwrap_or_default()
}

/// Replaces the three digits of every code. A backslash before anything else
/// makes that character literal, and stays.
fn rewrite<E>(value: &str, code: impl Fn(&str) -> Result<String, E>) -> Result<String, E> {
    let mut rewritten = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at + 1);
        rewritten.push_str(before);
        rest = from;
        match rest.get(..3) {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                rewritten.push_str(&code(digits)?);
                rest = &rest[3..];
            }
            _ => {
                let literal = rest.chars().next();
                rewritten.extend(literal);
                rest = &rest[literal.map_or(0, char::len_utf8)..];
            }
        }
    }
    rewritten.push_str(rest);
    Ok(rewritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_becomes_decimal_and_back() {
        let route53 = r#""caf\303\251 \"quoted\" \\101""#;
        let master_file = r#""caf\195\169 \"quoted\" \\101""#;
        assert_eq!(to_decimal(route53).as_deref(), Ok(master_file));
        assert_eq!(to_octal(master_file), route53);
    }

    #[test]
    fn codes_that_are_not_octal_are_refused() {
        for value in [r"\189", r"\400", r"a\999b"] {
            assert!(to_decimal(value).unwrap_err().contains("octal"), "{value}");
        }
    }

    #[test]
    fn anything_else_stays() {
        for value in ["", "10 mx1.example.com.", r"\", r"a\", r"\12", r"é\é"] {
            assert_eq!(to_decimal(value).as_deref(), Ok(value));
            assert_eq!(to_octal(value), value);
        }
    }
}
