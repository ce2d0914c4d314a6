//! Countries: which two letters are one, and how people write their names.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use super::country_names::COUNTRIES;
use super::text::{self, Text};

/// A country of ISO 3166-1 as its lower-case alpha-2 code, the form in which Meta takes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Reads an assigned alpha-2 code in either case (`br`, `BR`); nothing else, not even blanks around it.
    pub fn parse(code: &str) -> Option<Self> {
        let code: [u8; 2] = code.as_bytes().try_into().ok()?;
        let code = CountryCode(code.map(|byte| byte.to_ascii_lowercase()));
        INDEX.codes.binary_search(&code).is_ok().then_some(code)
    }

    /// The code in lower case.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("the code consists of ASCII letters")
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountryCode({})", self.as_str())
    }
}

/// The country that a code or a name stands for: alpha-2, alpha-3, or the name in English, Portuguese,
/// Spanish, French, German, Italian, Dutch or the country's own languages, with or without accents (`Brasil`,
/// `U.S.`, `United Kingdom`, `uk`, `Côte d'Ivoire`, `日本`). `None` for everything else: half a name may be
/// another country's.
pub fn country_code(raw: &str) -> Option<CountryCode> {
    if let Some(code) = CountryCode::parse(raw) {
        return Some(code); // As our own settings and most sites write it.
    }
    let name = name_key(raw)?;
    CountryCode::parse(&name).or_else(|| INDEX.names.get(name.as_str()).copied())
}

/// How names are compared: lower-case letters, without accents where they are Latin.
fn name_key(raw: &str) -> Option<Text> {
    let lower = text::lower(text::trim(raw)).ok()?;
    let name = text::without_accents(&lower).unwrap_or(lower);
    Some(text::without(&name, |c| {
        c.is_whitespace() || c.is_ascii_punctuation() || c == '\u{2019}'
    }))
}

struct Index {
    /// Every assigned code, in alphabetical order, as in [`COUNTRIES`].
    codes: Vec<CountryCode>,
    /// Alpha-3 codes and names, as [`name_key`] writes them.
    names: HashMap<String, CountryCode>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index {
        codes: Vec::new(),
        names: HashMap::new(),
    };
    for (code, names) in rows() {
        if index.codes.last() != Some(&code) {
            index.codes.push(code);
        }
        index
            .names
            .extend(names.filter_map(|name| Some((name_key(name)?.to_string(), code))));
    }
    index
});

/// The lines of [`COUNTRIES`]: a country and some of what else it is called.
fn rows() -> impl Iterator<Item = (CountryCode, impl Iterator<Item = &'static str>)> {
    COUNTRIES.lines().filter(|line| !line.is_empty()).map(|line| {
        let (code, names) = line
            .split_once(' ')
            .expect("every line starts with a code and a blank");
        let code = code.as_bytes().try_into().expect("the code has two letters");
        (CountryCode(code), names.split(';').map(str::trim))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(raw: &str) -> Option<String> {
        country_code(raw).map(|country| country.as_str().to_owned())
    }

    #[test]
    fn only_assigned_codes_are_countries() {
        assert_eq!(CountryCode::parse("BR"), CountryCode::parse("br"));
        assert_eq!(CountryCode::parse("br").unwrap().as_str(), "br");
        for raw in ["", "b", "bra", "uk", "xx", "zz", "eu", "é", "b ", "12", "日"] {
            assert_eq!(CountryCode::parse(raw), None, "{raw}");
        }
        // ISO 3166-1 has had 249 assigned codes since South Sudan (2011).
        assert_eq!(INDEX.codes.len(), 249);
        assert!(INDEX.codes.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn no_name_stands_for_two_countries_or_hides_behind_another_s_code() {
        let mut seen: HashMap<Text, CountryCode> = HashMap::new();
        for (country, names) in rows() {
            for name in names {
                let key = name_key(name).unwrap();
                assert!(!key.is_empty(), "{country:?} has an empty name");
                assert_eq!(CountryCode::parse(&key), None, "{name} reads as a code");
                assert_eq!(*seen.entry(key).or_insert(country), country, "{name}");
            }
        }
        assert!(seen.len() > 1_000);
    }

    #[test]
    fn names_are_understood_in_the_languages_people_write_them_in() {
        for (expected, names) in [
            ("br", ["Brasil", "BRAZIL", "br", " BRA ", "Brésil"]),
            (
                "us",
                ["U.S.", "USA", "Estados Unidos", "EUA", "United States of America"],
            ),
            (
                "gb",
                ["uk", "U.K.", "Great Britain", "Northern Ireland", "Reino Unido"],
            ),
            (
                "de",
                ["Germany", "Deutschland", "Alemanha", "Alemania", "Allemagne"],
            ),
            (
                "ci",
                [
                    "Côte d'Ivoire",
                    "Cote d’Ivoire",
                    "Ivory Coast",
                    "Costa do Marfim",
                    "CIV",
                ],
            ),
            (
                "kr",
                [
                    "South Korea",
                    "Republic of Korea",
                    "Coreia do Sul",
                    "대한민국",
                    "KOR",
                ],
            ),
            ("ch", ["Schweiz", "Suisse", "Svizzera", "Suíça", "Suiza"]),
            (
                "ng",
                ["Nigeria", "Federal Republic of Nigeria", "Nigéria", "NGA", "ng"],
            ),
            ("jp", ["日本", "Japan", "Japão", "Japón", "JPN"]),
            (
                "ru",
                ["Россия", "Russia", "Rússia", "Rusia", "Russian Federation"],
            ),
            ("mx", ["México", "Mexico", "Messico", "MEX", "Mexiko"]),
            ("ar", ["Argentina", "ARG", "Argentinien", "argentine", "ar"]),
            ("es", ["España", "Espanha", "Spain", "espana", "Spanien"]),
            (
                "nl",
                [
                    "The Netherlands",
                    "Holanda",
                    "Países Baixos",
                    "Nederland",
                    "Países Bajos",
                ],
            ),
            (
                "st",
                [
                    "São Tomé e Príncipe",
                    "STP",
                    "Sao Tome and Principe",
                    "Santo Tomé y Príncipe",
                    "st",
                ],
            ),
        ] {
            for name in names {
                assert_eq!(code(name).as_deref(), Some(expected), "{name}");
            }
        }
    }

    #[test]
    fn what_is_not_exactly_a_country_is_none() {
        let long = "brasil".repeat(100);
        for raw in [
            "",
            " ",
            "?",
            "Bras",
            "Atlantis",
            "Kosovo e Metohija",
            "xx",
            "br,us",
            "Brasil Sul",
            &long,
        ] {
            assert_eq!(code(raw), None, "{raw}");
        }
    }

    #[test]
    fn the_debug_form_names_the_country() {
        assert_eq!(
            format!("{:?}", country_code("Brasil").unwrap()),
            "CountryCode(br)"
        );
    }
}
