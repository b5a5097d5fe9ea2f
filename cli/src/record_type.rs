//! Names of DNS record types.

use watershed_crd::document::RecordType;

/// The name of a type; `TYPE` and the number for others (RFC 3597,
/// section 5).
pub fn name(number: u16) -> String {
    match RecordType::from_number(number) {
        Some(known) => known.to_string(),
        None => format!("TYPE{number}"),
    }
}

/// The number of a type by name.
///
/// # Errors
/// A sentence that lists the names.
pub fn parse(text: &str) -> Result<u16, String> {
    text.parse::<RecordType>()
        .map(RecordType::number)
        .map_err(|()| {
            let names = RecordType::ALL.map(RecordType::as_str);
            format!(
                "`{text}` is not a record type that can be asked: known are {}",
                names.join(", ")
            )
        })
}
