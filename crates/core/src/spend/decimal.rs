//! Amounts as files write them, in millionths, digit by digit.

/// How a file writes amounts. `1.234` is one thing or another; only who wrote it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimals {
    /// `1234.56`
    Point,
    /// `1234,56`
    Comma,
    /// `1,234.56`, as English interfaces do.
    PointWithGroups,
    /// `1.234,56`, as Portuguese interfaces do.
    CommaWithGroups,
}

impl Decimals {
    fn point(self) -> char {
        match self {
            Decimals::Point | Decimals::PointWithGroups => '.',
            Decimals::Comma | Decimals::CommaWithGroups => ',',
        }
    }

    /// Between thousands.
    pub(super) fn separator(self) -> Option<char> {
        match self {
            Decimals::Point | Decimals::Comma => None,
            Decimals::PointWithGroups => Some(','),
            Decimals::CommaWithGroups => Some('.'),
        }
    }
}

/// Millionths of an amount that is not negative and has at most six decimals.
///
/// # Errors
/// What is wrong with it, for whoever wrote the file.
pub fn micros(text: &str, decimals: Decimals) -> Result<i64, &'static str> {
    const NOT_AN_AMOUNT: &str = "must be an amount such as 1234.56";
    const NOT_WITH_COMMA: &str = "must be an amount such as 1234,56";
    let wrong = if decimals.point() == '.' {
        NOT_AN_AMOUNT
    } else {
        NOT_WITH_COMMA
    };
    if text.starts_with('-') {
        return Err("must not be negative");
    }
    let (whole, fraction) = text
        .split_once(decimals.point())
        .map_or((text, None), |(whole, part)| (whole, Some(part)));
    let whole = match decimals.separator() {
        Some(separator) => without_groups(whole, separator).ok_or(wrong)?,
        None => whole.to_owned(),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(&whole) || !fraction.is_none_or(is_digits) {
        return Err(wrong);
    }
    let fraction = fraction.unwrap_or_default();
    if fraction.len() > 6 {
        return Err("has more than six decimals");
    }
    let digits = format!("{whole}{fraction:0<6}");
    digits.parse().map_err(|_| "is too large")
}

/// `None`: the separators are not between groups of three.
pub(super) fn without_groups(text: &str, separator: char) -> Option<String> {
    if !text.contains(separator) {
        return Some(text.to_owned());
    }
    let groups: Vec<&str> = text.split(separator).collect();
    let (first, rest) = groups.split_first()?;
    let is_grouped = (1..=3).contains(&first.len()) && rest.iter().all(|group| group.len() == 3);
    is_grouped.then(|| groups.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_the_file_writes_them_and_not_otherwise() {
        for (text, decimals, expected) in [
            ("12.9", Decimals::Point, Some(12_900_000)),
            ("0.000001", Decimals::Point, Some(1)),
            ("7", Decimals::Point, Some(7_000_000)),
            ("1,5", Decimals::Point, None),
            ("1.234", Decimals::Point, Some(1_234_000)),
            ("1.234", Decimals::CommaWithGroups, Some(1_234_000_000)),
            ("1.234,56", Decimals::CommaWithGroups, Some(1_234_560_000)),
            ("1.234,56", Decimals::Comma, None),
            ("1234,56", Decimals::Comma, Some(1_234_560_000)),
            ("1,234,567.8", Decimals::PointWithGroups, Some(1_234_567_800_000)),
            ("12,34.5", Decimals::PointWithGroups, None),
            ("1.23.456", Decimals::CommaWithGroups, None),
            ("0.0000001", Decimals::Point, None),
            ("-1", Decimals::Point, None),
            ("", Decimals::Point, None),
            (".5", Decimals::Point, None),
            ("5.", Decimals::Point, None),
            ("1e3", Decimals::Point, None),
            ("R$ 5", Decimals::Point, None),
            ("99999999999999999999", Decimals::Point, None),
        ] {
            assert_eq!(micros(text, decimals).ok(), expected, "{text} {decimals:?}");
        }
    }
}
