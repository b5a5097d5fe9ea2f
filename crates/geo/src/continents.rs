//! Which continent a country belongs to.

use std::sync::LazyLock;

use watershed_policy::{Continent, CountryCode};

/// Route 53's table: 246 codes.
const ROUTE53: &str = include_str!("../data/continents.csv");

/// Codes that Route 53 has no records for, by our choice: Bouvet Island and
/// Heard Island go with the other sub-Antarctic islands (GS, TF), Christmas
/// Island with Cocos (CC).
const OURS: [(&str, Continent); 4] = [
    ("BV", Continent::Antarctica),
    ("CX", Continent::Asia),
    ("EH", Continent::Africa),
    ("HM", Continent::Antarctica),
];

static TABLE: LazyLock<CountryTable<Continent>> = LazyLock::new(|| {
    let mut table = CountryTable::new();
    for row in rows(ROUTE53) {
        if let (Some(Ok(country)), Some(Ok(continent))) =
            (row.get(0).map(str::parse), row.get(1).map(str::parse))
        {
            table.set(country, continent);
        }
    }
    for (country, continent) in OURS {
        if let Ok(country) = country.parse() {
            table.set(country, continent);
        }
    }
    table
});

/// The continent of `country` in Route 53's assignment, which is not that of
/// every atlas: Turkey, Cyprus and Russia are in Europe, Georgia and Armenia in
/// Asia. `None` for a code that no country has.
pub fn continent_of(country: CountryCode) -> Option<Continent> {
    TABLE.get(country)
}

/// Whether a country or territory of this code exists: those of ISO 3166-1
/// and `XK`, which is user-assigned, for Kosovo.
pub fn is_country(country: CountryCode) -> bool {
    continent_of(country).is_some()
}

/// The rows of an embedded table after its header; `#` starts a comment.
/// Unreadable rows are left out: tests count what remains.
pub(crate) fn rows(text: &'static str) -> impl Iterator<Item = csv::StringRecord> {
    let reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    reader.into_records().filter_map(Result::ok)
}

/// A value per country, found without hashing: lookups are on the path of a
/// query.
pub(crate) struct CountryTable<T>([Option<T>; 26 * 26]);

impl<T: Copy> CountryTable<T> {
    pub(crate) fn new() -> Self {
        Self([None; 26 * 26])
    }

    pub(crate) fn set(&mut self, country: CountryCode, value: T) {
        if let Some(slot) = index(country).and_then(|index| self.0.get_mut(index)) {
            *slot = Some(value);
        }
    }

    pub(crate) fn get(&self, country: CountryCode) -> Option<T> {
        self.0.get(index(country)?).copied().flatten()
    }
}

fn index(country: CountryCode) -> Option<usize> {
    match country.as_str().as_bytes() {
        [a @ b'A'..=b'Z', b @ b'A'..=b'Z'] => {
            Some(usize::from(a - b'A') * 26 + usize::from(b - b'A'))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn continent(code: &str) -> Option<Continent> {
        continent_of(code.parse().unwrap())
    }

    #[test]
    fn every_row_of_the_table_is_read() {
        assert_eq!(rows(ROUTE53).count(), 246);
        let known = ('A'..='Z')
            .flat_map(|a| ('A'..='Z').map(move |b| format!("{a}{b}")))
            .filter(|code| continent(code).is_some());
        assert_eq!(known.count(), 246 + OURS.len());
    }

    #[test]
    fn route53s_assignment_is_kept_where_atlases_differ() {
        for code in ["TR", "CY", "RU"] {
            assert_eq!(continent(code), Some(Continent::Europe), "{code}");
        }
        for code in ["KZ", "GE", "AZ", "AM"] {
            assert_eq!(continent(code), Some(Continent::Asia), "{code}");
        }
        for code in ["UM", "GU"] {
            assert_eq!(continent(code), Some(Continent::Oceania), "{code}");
        }
        for code in ["GS", "TF"] {
            assert_eq!(continent(code), Some(Continent::Antarctica), "{code}");
        }
    }

    #[test]
    fn codes_of_no_country_have_no_continent() {
        for code in ["EU", "UK", "ZZ", "XX", "AP"] {
            assert!(!is_country(code.parse().unwrap()), "{code}");
        }
    }
}
