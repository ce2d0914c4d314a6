//! Phone numbers: digits only, with the country code that Meta demands and forms rarely ask for.

use arrayvec::ArrayString;

use super::text::{self, Text};
use super::{CountryCode, DroppedValue};

/// A number of at most 15 digits (E.164) with whatever prefixes it is dialled with.
type Digits = ArrayString<32>;

/// The country code of Brazil.
const BRAZIL: &str = "55";

/// Countries other than Brazil where every number has as many digits, written nationally without the trunk
/// zero, as stated here; with the country code it is put behind (ITU-T E.164, national numbering plans).
/// Elsewhere lengths vary, and a national number stays as it is.
const PLANS: [(&str, &str, usize); 19] = [
    ("us", "1", 10),
    ("ca", "1", 10),
    ("mx", "52", 10),
    ("co", "57", 10),
    ("cl", "56", 9),
    ("pe", "51", 9),
    ("ec", "593", 9),
    ("bo", "591", 8),
    ("py", "595", 9),
    ("uy", "598", 8),
    ("pt", "351", 9),
    ("es", "34", 9),
    ("fr", "33", 9),
    ("gb", "44", 10),
    ("nl", "31", 9),
    ("pl", "48", 9),
    ("ch", "41", 9),
    ("au", "61", 9),
    ("in", "91", 10),
];

/// The digits with the country code in front. A leading `+` or `00` says that it is there already; else a
/// number as long as those of `country` gets that country's. Zeros that are only dialled inside the country,
/// `(0)` included, are dropped, and so is an extension.
pub(super) fn phone(value: &str, country: Option<CountryCode>) -> Result<Text, DroppedValue> {
    let plain = from_spreadsheet(value)?;
    let written = read(without_extension(plain.as_deref().unwrap_or(value))?)?;
    let number = written.digits.trim_start_matches('0');
    let is_international = written.has_plus || written.digits.starts_with("00");
    let completed = if is_international {
        without_trunk(number)
    } else {
        let has_trunk = number.len() < written.digits.len();
        match country.as_ref().map(CountryCode::as_str) {
            Some("br") => brazilian(number, has_trunk)?,
            Some(country) => of_plan(number, country),
            None => text::of(number),
        }
    };
    if (7..=15).contains(&completed.len()) {
        Ok(completed)
    } else {
        Err(DroppedValue::NotAPhone)
    }
}

/// The digits of a number that went through a spreadsheet: `5511912345678.0` and `5.511912345678E+12`, with
/// the decimal point or comma of its language. `None` for a number that did not.
///
/// # Errors
/// Digits were lost: `5.51191E+12` is all that a cell shows of it.
fn from_spreadsheet(value: &str) -> Result<Option<Digits>, DroppedValue> {
    let whole = text::without_decimals(value);
    if whole.len() < value.len() {
        return Ok(Digits::from(whole).ok());
    }
    let unsigned = value.strip_prefix('+').unwrap_or(value);
    let Some((mantissa, exponent)) = unsigned.split_once(['e', 'E']) else {
        return Ok(None);
    };
    let Some((first, decimals)) = mantissa.split_once(['.', ',']) else {
        return Ok(None);
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(exponent) = exponent
        .strip_prefix('+')
        .unwrap_or(exponent)
        .parse::<usize>()
        .ok()
        .filter(|_| first.len() == 1 && is_digits(first) && is_digits(decimals))
    else {
        return Ok(None);
    };
    /// Zeros at its end a number may have of its own.
    const OWN_ZEROS: usize = 2;
    let missing = exponent
        .checked_sub(decimals.len())
        .ok_or(DroppedValue::Rounded)?;
    if missing > OWN_ZEROS {
        return Err(DroppedValue::Rounded);
    }
    let mut digits = Digits::new();
    for part in [first, decimals, &"00"[..missing]] {
        digits.try_push_str(part).map_err(|_| DroppedValue::NotAPhone)?;
    }
    Ok(Some(digits))
}

/// The number before its extension: behind eight digits a word (`ramal`, `r.`, `x`, `ext`), a pause (`,`
/// `;`), `#` or `*` begins what is dialled later or is no part of it.
///
/// # Errors
/// More digits follow than an extension has: these are two numbers, and whose is which nobody knows.
fn without_extension(value: &str) -> Result<&str, DroppedValue> {
    const LEAST_DIGITS: usize = 8;
    const LONGEST_EXTENSION: usize = 6;
    let mut digits = 0;
    for (index, c) in value.char_indices() {
        if text::digit(c).is_some() {
            digits += 1;
        } else if digits >= LEAST_DIGITS && (c.is_alphabetic() || matches!(c, ',' | ';' | '#' | '*')) {
            let (number, behind) = value.split_at(index);
            let extension = behind.chars().filter(|c| text::digit(*c).is_some()).count();
            return if extension <= LONGEST_EXTENSION {
                Ok(number)
            } else {
                Err(DroppedValue::NotAPhone)
            };
        }
    }
    Ok(value)
}

struct Written {
    has_plus: bool,
    digits: Digits,
}

/// The digits, without a `(0)` behind the first of them: it marks the zero to leave out when dialling from
/// abroad.
fn read(value: &str) -> Result<Written, DroppedValue> {
    let mut written = Written {
        has_plus: false,
        digits: Digits::new(),
    };
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        if let Some(digit) = text::digit(c) {
            written
                .digits
                .try_push(digit)
                .map_err(|_| DroppedValue::NotAPhone)?;
        } else if written.digits.is_empty() {
            written.has_plus |= matches!(c, '+' | '\u{ff0b}');
        } else if c == '('
            && let Some(after) = rest.as_str().trim_start().strip_prefix('0')
            && let Some(after) = after.trim_start().strip_prefix(')')
        {
            rest = after.chars();
        }
    }
    Ok(written)
}

/// An international number without a trunk zero behind its country code, where the plan leaves no room for
/// one.
fn without_trunk(number: &str) -> Text {
    if let Some(national) = number.strip_prefix(BRAZIL)
        && let Some(complete) = brazilian_with_trunk(national)
    {
        return complete;
    }
    for (_, code, length) in PLANS {
        if let Some(national) = number.strip_prefix(code)
            && let Some(national) = national.strip_prefix('0')
            && national.len() == length
        {
            return joined(code, national);
        }
    }
    text::of(number)
}

fn of_plan(number: &str, country: &str) -> Text {
    match PLANS
        .iter()
        .find(|(of, _, length)| *of == country && *length == number.len())
    {
        Some((_, code, _)) => joined(code, number),
        None => text::of(number),
    }
}

/// A number written in Brazil, without its trunk zero. Length decides, not the prefix: 55 is also an area
/// code (DDD).
///
/// Landlines have ten digits with their area code, mobiles eleven, of which the third is a 9; eleven other
/// digits are a foreign number whose `+` was lost. An eight-digit mobile number from before the ninth digit
/// came (2012 to 2016) stays as it is: trunked radio numbers kept eight digits, and a 9 that we guess would
/// turn them into somebody else's.
fn brazilian(number: &str, has_trunk: bool) -> Result<Text, DroppedValue> {
    let national = if has_trunk {
        without_carrier(number)
    } else {
        number
    };
    match national.len() {
        10 => Ok(joined(BRAZIL, national)),
        11 if is_mobile(national) => Ok(joined(BRAZIL, national)),
        7..=9 => Err(DroppedValue::NoAreaCode),
        _ => {
            let complete = national.strip_prefix(BRAZIL).and_then(brazilian_with_trunk);
            Ok(complete.unwrap_or_else(|| text::of(national)))
        }
    }
}

/// What stands behind 55, if it starts with a trunk zero: no area code does.
fn brazilian_with_trunk(national: &str) -> Option<Text> {
    let national = without_carrier(national.strip_prefix('0')?.trim_start_matches('0'));
    (national.len() == 10 || is_mobile(national)).then(|| joined(BRAZIL, national))
}

/// Behind the trunk zero may stand the two digits of the long-distance carrier: `0 15 11 91234-5678`. They
/// are dropped if a full number follows; 55 in that place is the country.
fn without_carrier(number: &str) -> &str {
    match number.get(2..) {
        Some(national) if !number.starts_with(BRAZIL) && (is_mobile(national) || is_landline(national)) => {
            national
        }
        _ => number,
    }
}

fn is_mobile(national: &str) -> bool {
    national.len() == 11 && has_area_code(national) && national.as_bytes()[2] == b'9'
}

fn is_landline(national: &str) -> bool {
    national.len() == 10 && has_area_code(national) && matches!(national.as_bytes()[2], b'2'..=b'5')
}

/// Brazil's area codes have two digits, neither of them a zero.
fn has_area_code(national: &str) -> bool {
    !national.as_bytes()[..2].contains(&b'0')
}

fn joined(code: &str, national: &str) -> Text {
    let mut text = text::of(code);
    text.push_str(national);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in(raw: &str, country: &str) -> Result<String, DroppedValue> {
        phone(raw, CountryCode::parse(country)).map(|text| text.to_string())
    }

    #[test]
    fn every_way_of_writing_a_brazilian_mobile_number_is_the_same_number() {
        for raw in [
            "(11) 91234-5678",
            "11912345678",
            "011 91234-5678",
            "(011) 91234-5678",
            "(0xx11) 91234-5678",
            "0 15 11 91234-5678",
            "01511912345678",
            "015 (11) 91234.5678",
            "5511912345678",
            "55 11 91234 5678",
            "055 11 91234-5678",
            "+55 (11) 91234-5678",
            "+55 (0)11 91234-5678",
            "55 ( 0 ) 11 91234-5678",
            "+55 011 91234-5678",
            "+55 0 15 11 91234-5678",
            "55 011 91234-5678",
            "005511912345678",
            "0055 11 91234-5678",
            "(+55) 11 91234-5678",
            "tel:+55-11-91234-5678",
            "＋５５ １１ ９１２３４ ５６７８",
            "\u{202a}+55 11 91234\u{2011}5678\u{202c}",
        ] {
            assert_eq!(read_in(raw, "br").as_deref(), Ok("5511912345678"), "{raw}");
        }
        for raw in [
            "+55 (0)11 91234-5678",
            "+55 011 91234-5678",
            "0055 11 91234-5678",
            "5511912345678",
        ] {
            for country in ["", "us", "pt"] {
                assert_eq!(
                    read_in(raw, country).as_deref(),
                    Ok("5511912345678"),
                    "{raw} in {country:?}"
                );
            }
        }
    }

    #[test]
    fn the_length_of_a_brazilian_number_tells_the_area_code_55_from_the_country_55() {
        for (raw, expected) in [
            ("(55) 3222-1234", "555532221234"),
            ("(55) 99123-4567", "5555991234567"),
            ("055 3222-1234", "555532221234"),
            ("55 11 3222-1234", "551132221234"),
            ("+55 55 3222-1234", "555532221234"),
            ("5555991234567", "5555991234567"),
            ("0 21 55 3222-1234", "555532221234"),
        ] {
            assert_eq!(read_in(raw, "br").as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn a_mobile_number_from_before_the_ninth_digit_is_not_rewritten() {
        assert_eq!(read_in("(11) 8123-4567", "br").as_deref(), Ok("551181234567"));
        assert_eq!(read_in("+55 11 7812-3456", "br").as_deref(), Ok("551178123456"));
    }

    #[test]
    fn a_brazilian_number_without_its_area_code_is_dropped() {
        for raw in ["91234-5678", "3222-1234", "222-1234", "0 91234-5678"] {
            assert_eq!(read_in(raw, "br"), Err(DroppedValue::NoAreaCode), "{raw}");
        }
    }

    #[test]
    fn a_foreign_number_given_to_a_brazilian_business_stays_foreign() {
        for (raw, expected) in [
            ("1 (650) 555-1212", "16505551212"),
            ("+1 650 555 1212", "16505551212"),
            ("+351 912 345 678", "351912345678"),
            ("351 912 345 678", "351912345678"),
            ("00 351 912 345 678", "351912345678"),
            ("15 11 91234-5678", "1511912345678"), // a carrier code without its zero could be anything
        ] {
            assert_eq!(read_in(raw, "br").as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn national_numbers_of_plans_with_one_length_get_their_country_code() {
        for (raw, country, expected) in [
            ("(650) 555-1212", "us", "16505551212"),
            ("1 650 555 1212", "ca", "16505551212"),
            ("912 345 678", "pt", "351912345678"),
            ("020 7946 0958", "gb", "442079460958"),
            ("06 12 34 56 78", "fr", "33612345678"),
            ("+33 06 12 34 56 78", "", "33612345678"),
            ("+44 (0)20 7946 0958", "", "442079460958"),
            ("+39 06 698 12345", "", "390669812345"), // Italy dials its zero from abroad too
            ("55 1234 5678", "mx", "525512345678"),
            ("030 12345678", "de", "3012345678"),
        ] {
            assert_eq!(
                read_in(raw, country).as_deref(),
                Ok(expected),
                "{raw} in {country}"
            );
        }
    }

    #[test]
    fn an_extension_is_no_part_of_the_number() {
        for raw in [
            "(11) 3222-1234 ramal 45",
            "(11) 3222-1234 r. 45",
            "(11) 3222-1234 r 4512",
            "11 3222-1234 x45",
            "11 3222-1234 ext. 45",
            "+55 11 3222-1234;ext=45",
            "tel:+55-11-3222-1234;ext=45",
            "11 3222 1234 #45",
            "1132221234,,45",
            "(11) 3222-1234 (ramal 45)",
            "(11) 3222-1234 apto 102",
            "(11) 3222-1234 falar com Ana",
            "551132221234 anexo 12",
        ] {
            assert_eq!(read_in(raw, "br").as_deref(), Ok("551132221234"), "{raw}");
        }
        for two in [
            "11 3222-1234 ou 11 3222-4321",
            "1132221234;1132224321",
            "3222-1234, 3222-4321",
        ] {
            assert_eq!(read_in(two, "br"), Err(DroppedValue::NotAPhone), "{two}");
        }
    }

    #[test]
    fn a_number_that_went_through_a_spreadsheet_is_the_same_or_is_dropped() {
        for raw in [
            "5511912345678.0",
            "5511912345678,0",
            "5511912345678.00",
            "11912345678.0",
            "5.511912345678E+12",
            "5,511912345678E+12",
            "5.511912345678e12",
            "+5.511912345678E+12",
            "1.1912345678E+10",
        ] {
            assert_eq!(read_in(raw, "br").as_deref(), Ok("5511912345678"), "{raw}");
        }
        assert_eq!(read_in("5.5119123456E+12", "br").as_deref(), Ok("5511912345600"));
        for rounded in [
            "5.5119E+12",
            "5,51191E+12",
            "5.51191234E+12",
            "5.5119123456789E+12",
        ] {
            assert_eq!(read_in(rounded, "br"), Err(DroppedValue::Rounded), "{rounded}");
        }
        // A dot between groups is no decimal point.
        assert_eq!(read_in("11.3222.0000", "br").as_deref(), Ok("551132220000"));
    }

    #[test]
    fn what_no_phone_can_have_dialled_is_dropped() {
        let long = "1".repeat(100);
        for raw in [
            "abc",
            "+",
            "000000000",
            "12345",
            "123456",
            "1234567890123456",
            "11912345678/1132221234",
            &long,
        ] {
            for country in ["", "us", "br"] {
                assert_eq!(
                    read_in(raw, country),
                    Err(DroppedValue::NotAPhone),
                    "{raw} in {country:?}"
                );
            }
        }
        assert_eq!(read_in("1234567", "").as_deref(), Ok("1234567"));
        assert_eq!(read_in("123456789012345", "").as_deref(), Ok("123456789012345"));
    }
}
