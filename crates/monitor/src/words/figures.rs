//! Numbers, amounts, shares and times as they are written: `1.234,5`, `R$ 1.234,56`, `12 %`, `1 h 08` in
//! Portuguese; `1,234.5`, `R$1,234.56`, `12%`, `1 h 08` in English. Blanks inside them do not break.

use chrono::{DateTime, Utc};
use rastro_core::alert::Amount;

use super::Language;

const NO_BREAK: char = '\u{a0}';
/// Where names of other people's are cut, in characters.
const LONGEST_NAME: usize = 60;

/// A whole number with its thousands apart.
pub fn count(number: i64, language: Language) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(language.pick('.', ','));
        }
        text.push(digit);
    }
    text
}

/// A number with so many decimals, cut and not rounded up: 99.99 % is never 100 %.
fn decimal(number: f64, decimals: usize, language: Language) -> String {
    let scale = 10f64.powi(i32::try_from(decimals).unwrap_or(0));
    // A binary 4.1 is a little less: what is as good as the next step is the next step.
    let floored = (number.abs() * scale + 1e-6).floor() / scale;
    let text = format!("{floored:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let whole = count(whole.parse().unwrap_or(i64::MAX), language);
    let sign = if number < 0.0 && floored > 0.0 { "-" } else { "" };
    match rest.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}{}{rest}", language.pick(',', '.')),
    }
}

/// A share in percent, with a decimal below 10 %.
pub fn percent(share: f64, language: Language) -> String {
    let number = decimal(share, usize::from(share.abs() < 10.0), language);
    language.pick(format!("{number}{NO_BREAK}%"), format!("{number}%"))
}

/// A score of 0 to 10.
pub fn score(score: f64, language: Language) -> String {
    decimal(score, 1, language)
}

/// An amount of one currency. `amount` is a decimal text in major units.
pub fn money(amount: &Amount, language: Language) -> String {
    let (whole, cents) = amount.amount.split_once('.').unwrap_or((&amount.amount, ""));
    let whole = whole
        .parse()
        .map_or_else(|_| whole.to_owned(), |whole| count(whole, language));
    let number = match cents {
        "" | "00" => whole,
        cents => format!("{whole}{}{cents}", language.pick(',', '.')),
    };
    match (amount.currency.as_str(), language) {
        ("BRL", Language::Portuguese) => format!("R${NO_BREAK}{number}"),
        ("BRL", Language::English) => format!("R${number}"),
        (currency, _) => format!("{currency}{NO_BREAK}{number}"),
    }
}

/// A stretch of time in its two largest units: `2 d 6 h`, `1 h 08`, `12 min`, `40 s`.
pub fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds % 86_400 / 3_600, seconds % 3_600 / 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}{NO_BREAK}s"),
        (0, 0, minutes) => format!("{minutes}{NO_BREAK}min"),
        (0, hours, minutes) => format!("{hours}{NO_BREAK}h{NO_BREAK}{minutes:02}"),
        (days, 0, _) => format!("{days}{NO_BREAK}d"),
        (days, hours, _) => format!("{days}{NO_BREAK}d{NO_BREAK}{hours}{NO_BREAK}h"),
    }
}

/// A window that was looked at: `5 min`, `1 h`.
pub fn span(seconds: i64) -> String {
    match seconds {
        seconds if seconds >= 3_600 && seconds % 3_600 == 0 => format!("{}{NO_BREAK}h", seconds / 3_600),
        seconds => duration(seconds),
    }
}

/// How long until then; nothing is negative.
pub fn until(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    duration((then - now).num_seconds())
}

/// Somebody else's name for something, on one line and cut.
pub fn name(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        // Marks that reorder what is around them.
        .filter(|char| !matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .collect();
    match clean.chars().count() > LONGEST_NAME {
        true => clean.chars().take(LONGEST_NAME - 1).chain(['…']).collect(),
        false => clean,
    }
}

/// A match key as people call it, in Portuguese and in English: by Meta's name of it, or by its field's.
pub fn match_key(key: &str) -> Option<(&'static str, &'static str)> {
    Some(match key {
        "email" | "em" => ("e-mail", "e-mail"),
        "phone" | "ph" => ("telefone", "phone"),
        "click_id" | "fbc" => ("fbc (clique no anúncio)", "fbc (ad click)"),
        "browser_id" | "fbp" => ("fbp (navegador)", "fbp (browser)"),
        "external_id" => ("id externo", "external id"),
        "ip_address" | "client_ip_address" => ("IP", "IP address"),
        "user_agent" | "client_user_agent" => ("programa", "user agent"),
        "first_name" | "fn" => ("nome", "first name"),
        "last_name" | "ln" => ("sobrenome", "last name"),
        "date_of_birth" | "db" => ("nascimento", "birth date"),
        "city" | "ct" => ("cidade", "city"),
        "zip_code" | "zp" => ("CEP", "postal code"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{English, Portuguese};

    #[test]
    fn figures_are_written_as_people_write_them() {
        assert_eq!(count(11_334, Portuguese), "11.334");
        assert_eq!(count(1_234_567, English), "1,234,567");
        assert_eq!(count(-452, Portuguese), "-452");
        assert_eq!(percent(12.0, Portuguese), "12\u{a0}%");
        assert_eq!(percent(7.25, Portuguese), "7,2\u{a0}%");
        assert_eq!(percent(7.25, English), "7.2%");
        assert_eq!(score(6.2, Portuguese), "6,2");
        assert_eq!(score(10.0, English), "10");
        let amount = |currency: &str, amount: &str| Amount {
            currency: currency.into(),
            amount: amount.into(),
        };
        assert_eq!(money(&amount("BRL", "2310.00"), Portuguese), "R$\u{a0}2.310");
        assert_eq!(money(&amount("BRL", "1234.56"), Portuguese), "R$\u{a0}1.234,56");
        assert_eq!(money(&amount("BRL", "1234.56"), English), "R$1,234.56");
        assert_eq!(money(&amount("EUR", "10.50"), English), "EUR\u{a0}10.50");
    }

    #[test]
    fn a_share_is_never_a_hundred_percent_when_one_failed() {
        assert_eq!(percent(99.999, Portuguese), "99\u{a0}%");
        assert_eq!(percent(100.0, Portuguese), "100\u{a0}%");
    }

    #[test]
    fn times_are_two_units() {
        let plain = |seconds| duration(seconds).replace('\u{a0}', " ");
        assert_eq!(plain(40), "40 s");
        assert_eq!(plain(720), "12 min");
        assert_eq!(plain(4_080), "1 h 08");
        assert_eq!(plain(194_400), "2 d 6 h");
        assert_eq!(plain(86_400), "1 d");
        assert_eq!(span(3_600).replace('\u{a0}', " "), "1 h");
        assert_eq!(span(300).replace('\u{a0}', " "), "5 min");
    }

    #[test]
    fn names_of_others_are_cut_and_cannot_break_a_line() {
        assert_eq!(name("a\r\nBcc: b"), "a  Bcc: b");
        assert_eq!(name("\u{202e}abc"), "abc");
        assert_eq!(name(&"x".repeat(61)).chars().count(), 60);
    }
}
