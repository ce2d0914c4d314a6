//! Dates of birth, whole and in parts.

use std::fmt::{self, Write};
use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate};

use super::text::{self, Text};
use super::{DroppedValue, Reading};

/// Nobody alive was born earlier; an older year is a placeholder (`1800-01-01`) or a slip.
const FIRST_YEAR: i32 = 1900;

/// A date as `yyyymmdd`, read from three groups of digits or from eight digits in a row. Which group is which
/// is found as Meta's parameter builder does: the one above 31 is the year, else the last; a first group
/// above 12 is the day. What remains open (`1/2/2000`) is month first in the USA and where no country is
/// known, day first elsewhere. Unlike there, the day must exist in its month.
pub(super) fn birth_date(value: &str, reading: &Reading) -> Result<Text, DroppedValue> {
    groups(value)
        .and_then(|groups| date(&groups, reading))
        .map(written)
        .ok_or(DroppedValue::NotADate)
}

/// The three groups of digits a date consists of.
fn groups(value: &str) -> Option<[Text; 3]> {
    let mut groups = [Text::new(); 3];
    let mut count = 0;
    let mut inside = false;
    for c in day_of(value).chars() {
        let digit = text::digit(c);
        if let Some(digit) = digit {
            if !inside {
                count += 1;
            }
            groups.get_mut(count - 1)?.try_push(digit).ok()?;
        }
        inside = digit.is_some();
    }
    (count == 3 || count == 1 && groups[0].len() == 8).then_some(groups)
}

/// A timestamp without its time of day.
fn day_of(value: &str) -> &str {
    match value.split_once(['T', 't', ' ']) {
        Some((day, time)) if time.contains(':') => day,
        _ => value,
    }
}

fn date([first, second, third]: &[Text; 3], reading: &Reading) -> Option<NaiveDate> {
    if second.is_empty() {
        // Eight digits: `yyyymmdd`, or, where that is no date, the year last, as in `16021997`.
        return in_order(&first[..4], &first[4..6], &first[6..], true, reading).or_else(|| {
            in_order(
                &first[4..],
                &first[..2],
                &first[2..4],
                month_first(reading),
                reading,
            )
        });
    }
    let is_year = |group: &str| group.parse::<u32>().is_ok_and(|number| number > 31);
    if is_year(first) {
        in_order(first, second, third, true, reading) // ISO 8601, in every country
    } else if is_year(second) {
        in_order(second, first, third, month_first(reading), reading)
    } else {
        in_order(third, first, second, month_first(reading), reading)
    }
}

fn month_first(reading: &Reading) -> bool {
    reading.country.is_none_or(|country| country.as_str() == "us")
}

/// The date in the expected order or, if there is no such date, in the other one.
fn in_order(year: &str, one: &str, other: &str, month_first: bool, reading: &Reading) -> Option<NaiveDate> {
    let year = year_in(year, reading)?;
    let (one, other) = (part(one)?, part(other)?);
    let (month, day) = if month_first { (one, other) } else { (other, one) };
    NaiveDate::from_ymd_opt(year, month, day).or_else(|| NaiveDate::from_ymd_opt(year, day, month))
}

fn part(digits: &str) -> Option<u32> {
    if digits.len() > 2 {
        None
    } else {
        digits.parse().ok()
    }
}

/// A year in four digits in which a person alive can have been born. The next year is allowed, as Meta's
/// builder does: it has begun already in some time zone.
fn year_in(digits: &str, reading: &Reading) -> Option<i32> {
    let year = if digits.len() == 4 {
        digits.parse().ok()?
    } else {
        return None;
    };
    (FIRST_YEAR..=reading.current_year.saturating_add(1))
        .contains(&year)
        .then_some(year)
}

fn written(date: NaiveDate) -> Text {
    filled(format_args!(
        "{:04}{:02}{:02}",
        date.year(),
        date.month(),
        date.day()
    ))
}

fn filled(digits: fmt::Arguments<'_>) -> Text {
    let mut text = Text::new();
    text.write_fmt(digits).expect("a date fits into any text");
    text
}

/// `dobd` and `dobm`: a number in two digits.
pub(super) fn two_digits(value: &str, range: RangeInclusive<u32>) -> Result<Text, DroppedValue> {
    let number = number(value)
        .and_then(|digits| part(&digits))
        .filter(|number| range.contains(number));
    number
        .map(|number| filled(format_args!("{number:02}")))
        .ok_or(DroppedValue::NotADatePart)
}

/// `doby`: a year in four digits.
pub(super) fn year(value: &str, reading: &Reading) -> Result<Text, DroppedValue> {
    let digits = number(value).filter(|digits| year_in(digits, reading).is_some());
    digits.ok_or(DroppedValue::NotADatePart)
}

/// A value of nothing but digits.
fn number(value: &str) -> Option<Text> {
    let mut digits = Text::new();
    for c in text::without_decimals(value).chars() {
        digits.try_push(text::digit(c)?).ok()?;
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::match_keys::CountryCode;

    fn reading(country: &str) -> Reading {
        Reading {
            country: CountryCode::parse(country),
            current_year: 2026,
            variants: true,
        }
    }

    fn read(raw: &str, country: &str) -> Option<String> {
        birth_date(raw, &reading(country))
            .ok()
            .map(|text| text.to_string())
    }

    #[test]
    fn the_country_decides_whether_the_day_or_the_month_comes_first() {
        for (country, expected) in [
            ("br", "20000201"),
            ("pt", "20000201"),
            ("us", "20000102"),
            ("", "20000102"),
        ] {
            assert_eq!(read("1/2/2000", country).as_deref(), Some(expected), "{country}");
            assert_eq!(
                read("01.02.2000", country).as_deref(),
                Some(expected),
                "{country}"
            );
            assert_eq!(read("1 2000 2", country).as_deref(), Some(expected), "{country}");
        }
    }

    #[test]
    fn a_date_that_has_only_one_reading_has_it_in_every_country() {
        for country in ["br", "us", ""] {
            for raw in [
                "1997-02-16",
                "1997/2/16",
                "16/02/1997",
                "2/16/1997",
                "19970216",
                "16021997",
                "02161997",
                "1997-02-16T03:00:00.000Z",
                "1997-02-16 00:00:00",
                "16/02/1997 10:30",
                "١٦/٠٢/١٩٩٧",
                "nascido em 16.02.1997",
            ] {
                assert_eq!(
                    read(raw, country).as_deref(),
                    Some("19970216"),
                    "{raw} in {country:?}"
                );
            }
            assert_eq!(
                read("1997-02-03", country).as_deref(),
                Some("19970203"),
                "ISO 8601 in {country:?}"
            );
        }
        assert_eq!(read("01022000", "br").as_deref(), Some("20000201"));
        assert_eq!(read("01022000", "us").as_deref(), Some("20000102"));
    }

    #[test]
    fn days_that_no_calendar_has_are_dropped() {
        for raw in [
            "31/04/1997",
            "29/02/1997",
            "1997-13-13",
            "00/01/1990",
            "10/00/1990",
            "19970230",
            "00000000",
        ] {
            assert_eq!(read(raw, "br"), None, "{raw}");
        }
        assert_eq!(read("29/02/2000", "br").as_deref(), Some("20000229"));
        assert_eq!(read("29/02/1900", "br"), None);
    }

    #[test]
    fn years_must_have_four_digits_and_be_those_of_the_living() {
        for raw in [
            "16/02/97",
            "31/12/1899",
            "1800-01-01",
            "01/01/2028",
            "016/02/1997",
            "1/2/02000",
            "16/02/1e03",
        ] {
            assert_eq!(read(raw, "br"), None, "{raw}");
        }
        assert_eq!(read("01/01/1900", "br").as_deref(), Some("19000101"));
        assert_eq!(read("01/01/2027", "br").as_deref(), Some("20270101"));
    }

    #[test]
    fn what_is_not_three_groups_of_digits_is_no_date() {
        let long = "1".repeat(400);
        for raw in [
            "",
            "1997",
            "02/1997",
            "1/2/3/2000",
            "1997021",
            "199702160",
            "March 5, 1990",
            &long,
            "16:02:1997:1",
        ] {
            assert_eq!(read(raw, "br"), None, "{raw}");
        }
    }

    #[test]
    fn parts_of_a_date_are_padded_and_checked() {
        assert_eq!(two_digits("1", 1..=31).unwrap().as_str(), "01");
        assert_eq!(two_digits("1.0", 1..=31).unwrap().as_str(), "01"); // by way of a spreadsheet
        assert_eq!(two_digits("31", 1..=31).unwrap().as_str(), "31");
        for raw in ["0", "32", "001", "1a", "-1", "", "1.5"] {
            assert_eq!(two_digits(raw, 1..=31), Err(DroppedValue::NotADatePart), "{raw}");
        }
        assert_eq!(two_digits("13", 1..=12), Err(DroppedValue::NotADatePart));
        assert_eq!(year("1990", &reading("br")).unwrap().as_str(), "1990");
        for raw in ["90", "1899", "2028", "19900", "+1990", "199x"] {
            assert_eq!(
                year(raw, &reading("br")),
                Err(DroppedValue::NotADatePart),
                "{raw}"
            );
        }
    }
}
