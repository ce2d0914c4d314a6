//! Cities, states and postcodes.

use super::person::{is_separator, without_symbols};
use super::text::{self, Forms};
use super::{CountryCode, DroppedValue};

/// A city: `São José dos Campos` is `sãojosédoscampos`. The other forms are that of Meta's Business SDKs,
/// which keep apostrophes and commas, and the one without accents. The parameter builder's (`sojosdoscampos`)
/// loses every accented letter; no person is stored under it, so it is not sent.
pub(super) fn city(value: &str) -> Result<Forms, DroppedValue> {
    let lower = without_symbols(value)?;
    let best = text::without(&lower, |c| c.is_ascii_digit() || is_separator(c));
    if !text::has_content(&best) {
        return Err(DroppedValue::OnlyPunctuation);
    }
    let mut forms = Forms::of(&best);
    forms.also(&text::without(&lower, is_dropped_by_sdks));
    if !best.is_ascii()
        && let Some(plain) = text::without_accents(&best)
    {
        forms.also(&plain);
    }
    Ok(forms)
}

/// What Meta's Business SDKs take out of a city or a state.
fn is_dropped_by_sdks(c: char) -> bool {
    c.is_whitespace() || c.is_ascii_digit() || matches!(c, '.' | '-' | '(' | ')')
}

/// A state: its two-letter code in Brazil, Canada and the USA, from the code, the name with or without
/// accents, or the ISO 3166-2 code (`BR-SP`); elsewhere, or where the name is unknown, the same forms as a
/// city. Without a country a name is looked up in all three: no name stands for two states.
///
/// Names must match whole. The parameter builder looks for names inside names and cuts the rest to two
/// letters, which turns Paraná into Pará.
pub(super) fn state(value: &str, country: Option<CountryCode>) -> Result<Forms, DroppedValue> {
    let forms = city(value)?;
    let name = text::without_accents(forms.best()).unwrap_or_else(|| text::of(forms.best()));
    let states = STATES
        .iter()
        .filter(|(of, _)| country.is_none_or(|country| country.as_str() == *of));
    for (of, states) in states {
        let code = name
            .strip_prefix(of)
            .filter(|code| code.len() == 2 && value.contains(text::is_hyphen));
        if let Some((code, _)) = states
            .iter()
            .find(|(known, named)| *named == name.as_str() || code == Some(*known))
        {
            return Ok(Forms::of(&text::of(code)));
        }
    }
    Ok(forms)
}

/// A postcode: blanks dropped and cut at the hyphen, as Meta's Business SDKs do, and the joined form beside
/// it, as Meta's documentation only says "no dash". A Brazilian CEP has both forms however it is written; a
/// postcode of the USA has only its first five digits. The zeros in front that a spreadsheet or a number in
/// JSON loses are put back where the country says how many digits there are.
pub(super) fn zip(value: &str, country: Option<CountryCode>) -> Result<Forms, DroppedValue> {
    let lower = text::lower(text::without_decimals(value))?;
    let mut written = text::without(&lower, char::is_whitespace);
    let country = country.as_ref().map(CountryCode::as_str);
    if country == Some("br") {
        written = text::without(&written, |c| c == '.'); // 01.310-100 is how some write it
    }
    let count = written.bytes().filter(u8::is_ascii_digit).count();
    let has_digits_only = written.chars().all(|c| c.is_ascii_digit() || text::is_hyphen(c));
    if has_digits_only && country.is_some_and(|country| lacks_zero(country, count)) {
        let mut complete = text::of("0");
        complete.push_str(&written);
        written = complete;
    }
    let end = written.find(text::is_hyphen).unwrap_or(written.len());
    let (head, tail) = written.split_at(end);
    let mut cut = text::of(head);
    let joined = text::without(&written, text::is_hyphen);
    let digits = |text: &str| {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.len()
        } else {
            0
        }
    };
    let is_zip_plus_four =
        digits(&joined) == 9 && (country == Some("us") || country.is_none() && head.len() == 5);
    if is_zip_plus_four {
        cut = text::of(&joined[..5]);
    }
    if cut.chars().nth(1).is_none() || !text::has_content(&cut) {
        return Err(DroppedValue::NotAPostcode);
    }
    let mut forms = Forms::of(&cut);
    if !tail.is_empty() && !is_zip_plus_four {
        forms.also(&joined);
    } else if country == Some("br") && digits(&joined) == 8 {
        forms.also(&text::of(&joined[..5]));
    }
    Ok(forms)
}

/// Whether a postcode of so many digits has lost the zero in front: a CEP has eight or, cut at its hyphen,
/// five.
fn lacks_zero(country: &str, digits: usize) -> bool {
    match country {
        "br" => matches!(digits, 4 | 7),
        "us" => matches!(digits, 4 | 8),
        "de" | "es" | "fr" | "it" | "mx" => digits == 4,
        _ => false,
    }
}

/// Codes and names, the names as [`state`] compares them.
type States = &'static [(&'static str, &'static str)];

const STATES: [(&str, States); 3] = [("us", USA), ("ca", CANADA), ("br", BRAZIL)];

/// The 26 states and the Federal District (IBGE).
const BRAZIL: States = &[
    ("ac", "acre"),
    ("al", "alagoas"),
    ("am", "amazonas"),
    ("ap", "amapa"),
    ("ba", "bahia"),
    ("ce", "ceara"),
    ("df", "distritofederal"),
    ("es", "espiritosanto"),
    ("go", "goias"),
    ("ma", "maranhao"),
    ("mg", "minasgerais"),
    ("ms", "matogrossodosul"),
    ("mt", "matogrosso"),
    ("pa", "para"),
    ("pb", "paraiba"),
    ("pe", "pernambuco"),
    ("pi", "piaui"),
    ("pr", "parana"),
    ("rj", "riodejaneiro"),
    ("rn", "riograndedonorte"),
    ("ro", "rondonia"),
    ("rr", "roraima"),
    ("rs", "riograndedosul"),
    ("sc", "santacatarina"),
    ("se", "sergipe"),
    ("sp", "saopaulo"),
    ("to", "tocantins"),
];

/// The provinces and territories (Canada Post), in English and French.
const CANADA: States = &[
    ("ab", "alberta"),
    ("bc", "britishcolumbia"),
    ("bc", "colombiebritannique"),
    ("mb", "manitoba"),
    ("nb", "newbrunswick"),
    ("nb", "nouveaubrunswick"),
    ("nl", "newfoundland"),
    ("nl", "newfoundlandandlabrador"),
    ("nl", "newfoundlandlabrador"),
    ("nl", "terreneuveetlabrador"),
    ("ns", "novascotia"),
    ("ns", "nouvelleecosse"),
    ("nt", "northwestterritories"),
    ("nt", "territoiresdunordouest"),
    ("nu", "nunavut"),
    ("on", "ontario"),
    ("pe", "princeedwardisland"),
    ("pe", "ileduprinceedouard"),
    ("qc", "quebec"),
    ("sk", "saskatchewan"),
    ("yt", "yukon"),
    ("yt", "yukonterritory"),
];

/// The states, the capital's district and the territories (USPS).
const USA: States = &[
    ("al", "alabama"),
    ("ak", "alaska"),
    ("az", "arizona"),
    ("ar", "arkansas"),
    ("ca", "california"),
    ("co", "colorado"),
    ("ct", "connecticut"),
    ("de", "delaware"),
    ("dc", "districtofcolumbia"),
    ("dc", "washingtondc"),
    ("fl", "florida"),
    ("ga", "georgia"),
    ("hi", "hawaii"),
    ("id", "idaho"),
    ("il", "illinois"),
    ("in", "indiana"),
    ("ia", "iowa"),
    ("ks", "kansas"),
    ("ky", "kentucky"),
    ("la", "louisiana"),
    ("me", "maine"),
    ("md", "maryland"),
    ("ma", "massachusetts"),
    ("mi", "michigan"),
    ("mn", "minnesota"),
    ("ms", "mississippi"),
    ("mo", "missouri"),
    ("mt", "montana"),
    ("ne", "nebraska"),
    ("nv", "nevada"),
    ("nh", "newhampshire"),
    ("nj", "newjersey"),
    ("nm", "newmexico"),
    ("ny", "newyork"),
    ("nc", "northcarolina"),
    ("nd", "northdakota"),
    ("oh", "ohio"),
    ("ok", "oklahoma"),
    ("or", "oregon"),
    ("pa", "pennsylvania"),
    ("ri", "rhodeisland"),
    ("sc", "southcarolina"),
    ("sd", "southdakota"),
    ("tn", "tennessee"),
    ("tx", "texas"),
    ("ut", "utah"),
    ("vt", "vermont"),
    ("va", "virginia"),
    ("wa", "washington"),
    ("wv", "westvirginia"),
    ("wi", "wisconsin"),
    ("wy", "wyoming"),
    ("as", "americansamoa"),
    ("gu", "guam"),
    ("mp", "northernmarianaislands"),
    ("pr", "puertorico"),
    ("vi", "virginislands"),
    ("vi", "usvirginislands"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(forms: Result<Forms, DroppedValue>) -> Vec<String> {
        forms.unwrap().iter().map(ToString::to_string).collect()
    }

    fn states(raw: &str, country: &str) -> Vec<String> {
        texts(state(raw, CountryCode::parse(country)))
    }

    fn zips(raw: &str, country: &str) -> Vec<String> {
        texts(zip(raw, CountryCode::parse(country)))
    }

    #[test]
    fn a_city_is_sent_with_and_without_its_accents_and_as_the_sdks_send_it() {
        assert_eq!(texts(city("Belo Horizonte")), ["belohorizonte"]);
        assert_eq!(texts(city("SÃO PAULO")), ["sãopaulo", "saopaulo"]);
        assert_eq!(
            texts(city("São José dos Campos")),
            ["sãojosédoscampos", "saojosedoscampos"]
        );
        assert_eq!(
            texts(city("Santa Bárbara d'Oeste")),
            ["santabárbaradoeste", "santabárbarad'oeste", "santabarbaradoeste"]
        );
        assert_eq!(texts(city("Paris 14")), ["paris"]);
        assert_eq!(texts(city("東京")), ["東京"]);
        assert_eq!(city("12345 - ").unwrap_err(), DroppedValue::OnlyPunctuation);
        assert_eq!(city(&"a".repeat(300)).unwrap_err(), DroppedValue::TooLong);
    }

    #[test]
    fn every_brazilian_state_is_known_by_its_name_with_and_without_accents_and_by_its_code() {
        // IBGE, "Divisão Territorial Brasileira".
        for (code, name, plain) in [
            ("ac", "Acre", "acre"),
            ("al", "Alagoas", "ALAGOAS"),
            ("am", "Amazonas", "amazonas"),
            ("ap", "Amapá", "AMAPA"),
            ("ba", "Bahia", "bahia"),
            ("ce", "Ceará", "Ceara"),
            ("df", "Distrito Federal", "distrito federal"),
            ("es", "Espírito Santo", "ESPIRITO SANTO"),
            ("go", "Goiás", "goias"),
            ("ma", "Maranhão", "Maranhao"),
            ("mg", "Minas Gerais", "minas-gerais"),
            ("ms", "Mato Grosso do Sul", "MATO GROSSO DO SUL"),
            ("mt", "Mato Grosso", "mato grosso"),
            ("pa", "Pará", "PARA"),
            ("pb", "Paraíba", "paraiba"),
            ("pe", "Pernambuco", "pernambuco"),
            ("pi", "Piauí", "Piaui"),
            ("pr", "Paraná", "PARANA"),
            ("rj", "Rio de Janeiro", "rio de janeiro"),
            ("rn", "Rio Grande do Norte", "RIO GRANDE DO NORTE"),
            ("ro", "Rondônia", "rondonia"),
            ("rr", "Roraima", "roraima"),
            ("rs", "Rio Grande do Sul", "rio grande do sul"),
            ("sc", "Santa Catarina", "SANTA CATARINA"),
            ("se", "Sergipe", "sergipe"),
            ("sp", "São Paulo", "sao paulo"),
            ("to", "Tocantins", "tocantins"),
        ] {
            let upper = name.to_uppercase();
            let iso = format!("BR-{}", code.to_uppercase());
            for raw in [name, &upper, plain, code, &code.to_uppercase(), &iso] {
                for country in ["br", ""] {
                    assert_eq!(states(raw, country), [code], "{raw} in {country:?}");
                }
            }
        }
    }

    #[test]
    fn a_state_is_looked_up_in_its_own_country_only() {
        assert_eq!(states("Georgia", "us"), ["ga"]);
        assert_eq!(states("Georgia", "br"), ["georgia"]);
        assert_eq!(states("Québec", "ca"), ["qc"]);
        assert_eq!(states("Québec", "fr"), ["québec", "quebec"]);
        assert_eq!(states("Washington D.C.", ""), ["dc"]);
        assert_eq!(states("D.C.", "us"), ["dc"]);
        assert_eq!(states("US-CA", "us"), ["ca"]);
        assert_eq!(states("us-ca", "ca"), ["usca"]);
        assert_eq!(states("Paraná", "ar"), ["paraná", "parana"]);
        assert_eq!(
            states("West Virginia, USA", "us"),
            ["westvirginiausa", "westvirginia,usa"]
        );
        assert_eq!(
            states("Provence-Alpes-Côte d’Azur", "fr"),
            [
                "provencealpescôtedazur",
                "provencealpescôted’azur",
                "provencealpescotedazur"
            ]
        );
        assert_eq!(state("?", None).unwrap_err(), DroppedValue::OnlyPunctuation);
    }

    #[test]
    fn no_name_stands_for_two_states_and_every_name_is_one_that_can_be_found() {
        let mut names: Vec<_> = STATES
            .iter()
            .flat_map(|(_, states)| states.iter().map(|(_, name)| *name))
            .collect();
        assert!(
            names
                .iter()
                .all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase()))
        );
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_cep_is_sent_cut_and_joined_however_it_is_written() {
        for raw in ["01310-100", "01.310-100", " 01310 - 100", "01310–100"] {
            assert_eq!(zips(raw, "br"), ["01310", "01310100"], "{raw}");
        }
        assert_eq!(zips("01310100", "br"), ["01310100", "01310"]);
        assert_eq!(zips("01310", "br"), ["01310"]);
        assert_eq!(zips("01310-100", ""), ["01310", "01310100"]);
    }

    #[test]
    fn the_zero_that_a_spreadsheet_lost_is_put_back_where_the_country_has_one_length() {
        for raw in ["1310100", "1310-100", "1.310-100", "1310100.0"] {
            let zips = zips(raw, "br");
            assert!(
                zips.contains(&"01310".to_owned()) && zips.contains(&"01310100".to_owned()),
                "{raw} {zips:?}"
            );
            assert_eq!(zips.len(), 2);
        }
        assert_eq!(zips("1310", "br"), ["01310"]);
        assert_eq!(zips("2139", "us"), ["02139"]);
        assert_eq!(zips("2139-1234", "us"), ["02139"]);
        assert_eq!(zips("1067", "de"), ["01067"]);
        for (raw, country) in [
            ("1310100", ""),
            ("1310100", "pt"),
            ("1010", "at"),
            ("130010", "br"),
        ] {
            assert_eq!(zips(raw, country), [raw], "{raw} in {country:?}");
        }
    }

    #[test]
    fn a_zip_plus_four_is_its_first_five_digits() {
        for raw in ["94035-1234", "94035 1234", "940351234", "94035"] {
            assert_eq!(zips(raw, "us"), ["94035"], "{raw}");
        }
        assert_eq!(zips("94035-1234", ""), ["94035"]);
        assert_eq!(zips("940351234", ""), ["940351234"]);
    }

    #[test]
    fn other_postcodes_lose_their_blanks_and_have_a_joined_form_if_they_have_a_hyphen() {
        assert_eq!(zips("SW1A 1AA", "gb"), ["sw1a1aa"]);
        assert_eq!(zips("1000-001", "pt"), ["1000", "1000001"]);
        assert_eq!(zips("ab-12-cd", "ie"), ["ab", "ab12cd"]);
        for raw in ["1", "-", "-123", "1-234", "é", "--", "..", "()"] {
            assert_eq!(zip(raw, None).unwrap_err(), DroppedValue::NotAPostcode, "{raw}");
        }
    }
}
