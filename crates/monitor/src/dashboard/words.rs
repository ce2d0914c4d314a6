//! The two languages, and how each writes numbers, money, shares, times and durations.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, NaiveDate, TimeZone, Timelike, Utc, Weekday};
use chrono_tz::Tz;

/// Brazilian Portuguese is what an advertiser sees first; `?lang=en` is for everybody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    #[default]
    Pt,
    En,
}

/// A space at which no line breaks.
pub const NBSP: char = '\u{a0}';
/// Stands for a number that there is none of.
pub const NONE: &str = "–";

impl Lang {
    pub fn parse(word: &str) -> Self {
        match word {
            "en" => Lang::En,
            _ => Lang::Pt,
        }
    }

    /// As HTML and `?lang=` write it.
    pub fn tag(self) -> &'static str {
        self.t("pt-BR", "en")
    }

    /// One text in the page's language. Every text of the dashboard goes through here, so none exists in one
    /// language only.
    pub fn t<'a>(self, pt: &'a str, en: &'a str) -> &'a str {
        match self {
            Lang::Pt => pt,
            Lang::En => en,
        }
    }

    /// The noun for so many: `one` for 1 only. French-like rules (0 is singular) hold in neither language
    /// here.
    pub fn plural(self, n: i64, one: (&str, &str), many: (&str, &str)) -> String {
        format!("{}{NBSP}{}", self.count(n), self.verb(n, one, many))
    }

    /// The same word without its number, where that stands elsewhere.
    pub fn verb<'a>(self, n: i64, one: (&'a str, &'a str), many: (&'a str, &'a str)) -> &'a str {
        let (pt, en) = if n == 1 { one } else { many };
        self.t(pt, en)
    }

    /// `1.234` or `1,234`.
    pub fn count(self, n: i64) -> String {
        let digits = n.unsigned_abs().to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
        if n < 0 {
            text.push('−');
        }
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(self.t(".", ",").chars().next().unwrap_or('.'));
            }
            text.push(digit);
        }
        text
    }

    /// With so many places after the comma.
    pub fn decimal(self, value: f64, places: usize) -> String {
        if !value.is_finite() {
            return NONE.to_owned();
        }
        let text = format!("{:.places$}", value.abs());
        let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
        let mut out = String::new();
        if value < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
            out.push('−');
        }
        out.push_str(
            &whole
                .parse()
                .map_or_else(|_| whole.to_owned(), |whole| self.count(whole)),
        );
        if places > 0 {
            out.push_str(self.t(",", "."));
            out.push_str(rest);
        }
        out
    }

    /// A share, rounded down: never 100 % when one failed.
    pub fn share(self, part: i64, whole: i64, places: usize) -> String {
        if whole <= 0 {
            return NONE.to_owned();
        }
        let unit = 10_i128.pow(u32::try_from(places).unwrap_or(0));
        let scaled = i128::from(part) * 100 * unit / i128::from(whole);
        #[expect(clippy::cast_precision_loss, reason = "a share has a few digits")]
        let value = scaled as f64 / unit as f64;
        self.percent(value, places)
    }

    /// `5,4 %` or `5.4%`.
    pub fn percent(self, value: f64, places: usize) -> String {
        let number = self.decimal(value, places);
        match self {
            Lang::Pt => format!("{number}{NBSP}%"),
            Lang::En => format!("{number}%"),
        }
    }

    /// `R$ 1.234,56` or `R$1,234.56`; without cents from a hundred on if `short`.
    pub fn money(self, amount: f64, currency: &str, short: bool) -> String {
        let places = if short && amount.abs() >= 100.0 { 0 } else { 2 };
        self.in_currency(&self.decimal(amount, places), currency)
    }

    /// A number that is written already, with its currency.
    pub fn in_currency(self, number: &str, currency: &str) -> String {
        let symbol = match (currency, self) {
            ("BRL", _) => "R$",
            ("USD", Lang::Pt) => "US$",
            ("USD", Lang::En) => "$",
            ("EUR", _) => "€",
            _ => return format!("{currency}{NBSP}{number}"),
        };
        match self {
            Lang::Pt => format!("{symbol}{NBSP}{number}"),
            Lang::En => format!("{symbol}{number}"),
        }
    }

    /// Sums of several currencies are never added up.
    pub fn moneys(self, amounts: &[(String, f64)], short: bool) -> String {
        let texts: Vec<String> = amounts
            .iter()
            .map(|(currency, amount)| self.money(*amount, currency, short))
            .collect();
        texts.join(" + ")
    }

    /// `589 ms`, `1,03 s`.
    pub fn milliseconds(self, ms: f64) -> String {
        if ms < 1000.0 {
            format!("{}{NBSP}ms", self.decimal(ms, 0))
        } else {
            format!("{}{NBSP}s", self.decimal(ms / 1000.0, 2))
        }
    }

    /// The two largest units: `3,4 s`, `41 s`, `12 min`, `1 h 08`, `2 d 6 h`.
    pub fn duration(self, ms: i64) -> String {
        let ms = ms.max(0);
        let (seconds, minutes, hours) = (ms / 1000, ms / 60_000, ms / 3_600_000);
        #[expect(clippy::cast_precision_loss, reason = "below ten seconds")]
        let precise = ms as f64 / 1000.0;
        match () {
            () if ms < 10_000 => format!("{}{NBSP}s", self.decimal(precise, 1)),
            () if seconds < 120 => format!("{seconds}{NBSP}s"),
            () if minutes < 60 => format!("{minutes}{NBSP}min"),
            () if hours < 48 && minutes % 60 == 0 => format!("{hours}{NBSP}h"),
            () if hours < 48 => format!("{hours}{NBSP}h{NBSP}{:02}", minutes % 60),
            () if hours % 24 == 0 => format!("{}{NBSP}d", hours / 24),
            () => format!("{}{NBSP}d{NBSP}{}{NBSP}h", hours / 24, hours % 24),
        }
    }

    /// `há 12 s`, `12 s ago`.
    pub fn ago(self, ms: i64) -> String {
        let duration = match ms {
            ..60_000 => format!("{}{NBSP}s", ms.max(0) / 1000),
            _ => self.duration(ms),
        };
        match self {
            Lang::Pt => format!("há {duration}"),
            Lang::En => format!("{duration} ago"),
        }
    }

    pub fn weekday(self, day: Weekday) -> &'static str {
        let (pt, en) = match day {
            Weekday::Mon => ("seg", "Mon"),
            Weekday::Tue => ("ter", "Tue"),
            Weekday::Wed => ("qua", "Wed"),
            Weekday::Thu => ("qui", "Thu"),
            Weekday::Fri => ("sex", "Fri"),
            Weekday::Sat => ("sáb", "Sat"),
            Weekday::Sun => ("dom", "Sun"),
        };
        self.t(pt, en)
    }

    fn month(month: u32) -> &'static str {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        MONTHS[month.saturating_sub(1).min(11) as usize]
    }

    /// `26/11` or `Nov 26`.
    pub fn day(self, day: NaiveDate) -> String {
        match self {
            Lang::Pt => format!("{:02}/{:02}", day.day(), day.month()),
            Lang::En => format!("{} {}", Lang::month(day.month()), day.day()),
        }
    }

    /// `qui, 26/11`.
    pub fn weekday_and_day(self, day: NaiveDate) -> String {
        format!("{}, {}", self.weekday(day.weekday()), self.day(day))
    }
}

/// The reporting zone. All days and times of the dashboard are its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(pub Tz);

impl Zone {
    pub fn day_of(self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.0).date_naive()
    }

    /// The first moment of a day. A zone may skip midnight (daylight saving): then the first that exists.
    pub fn start_of(self, day: NaiveDate) -> DateTime<Utc> {
        (0..=3)
            .filter_map(|hour| day.and_hms_opt(hour, 0, 0))
            .find_map(|local| self.0.from_local_datetime(&local).earliest())
            .map_or_else(
                || day.and_hms_opt(0, 0, 0).unwrap_or_default().and_utc(),
                |at| at.to_utc(),
            )
    }

    /// The moment that a local `2026-11-26T14:32` means, as a browser's field writes it.
    pub fn parse_local(self, text: &str) -> Option<DateTime<Utc>> {
        let local = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").ok()?;
        Some(self.0.from_local_datetime(&local).earliest()?.to_utc())
    }

    /// `14:32`.
    pub fn time(self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.0).format("%H:%M").to_string()
    }

    /// `21:47:03,112`.
    pub fn exact(self, lang: Lang, at: DateTime<Utc>) -> String {
        let local = at.with_timezone(&self.0);
        let mut text = local.format("%H:%M:%S").to_string();
        let _ = write!(
            text,
            "{}{:03}",
            lang.t(",", "."),
            local.nanosecond() / 1_000_000 % 1000
        );
        text
    }

    /// `26/11 14:32`; the time alone if it is the day of `now`.
    pub fn short(self, lang: Lang, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        match self.day_of(at) == self.day_of(now) {
            true => self.time(at),
            false => format!("{} {}", lang.day(self.day_of(at)), self.time(at)),
        }
    }

    /// `26/11/2026 14:32`.
    pub fn full(self, lang: Lang, at: DateTime<Utc>) -> String {
        let local = at.with_timezone(&self.0);
        match lang {
            Lang::Pt => local.format("%d/%m/%Y %H:%M").to_string(),
            Lang::En => format!(
                "{} {}, {}",
                Lang::month(local.month()),
                local.day(),
                local.format("%Y %H:%M")
            ),
        }
    }

    /// The city, for people: `São Paulo`.
    pub fn name(self) -> String {
        match self.0.name() {
            "America/Sao_Paulo" => "São Paulo".to_owned(),
            name => name.rsplit('/').next().unwrap_or(name).replace('_', " "),
        }
    }
}

/// Other people's text: without control characters, at most so many characters long.
pub fn cut(text: &str, most: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut out: String = clean.clone().take(most).collect();
    if clean.count() > most {
        out.pop();
        out.push('…');
    }
    out
}

/// An id as people compare it: its beginning and its end.
pub fn shorten(id: &str) -> String {
    let characters: Vec<char> = id.chars().collect();
    if characters.len() <= 14 {
        return id.to_owned();
    }
    let (head, tail) = (&characters[..8], &characters[characters.len() - 4..]);
    format!(
        "{}…{}",
        head.iter().collect::<String>(),
        tail.iter().collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_are_written_as_each_language_does() {
        let (pt, en) = (Lang::Pt, Lang::En);
        assert_eq!(pt.count(1_234_567), "1.234.567");
        assert_eq!(en.count(-12_345), "−12,345");
        assert_eq!(pt.count(999), "999");
        assert_eq!(pt.decimal(1234.5, 1), "1.234,5");
        assert_eq!(pt.money(1234.56, "BRL", false), "R$\u{a0}1.234,56");
        assert_eq!(en.money(1234.56, "BRL", false), "R$1,234.56");
        assert_eq!(pt.money(2310.0, "BRL", true), "R$\u{a0}2.310");
        assert_eq!(pt.money(5.0, "CLP", false), "CLP\u{a0}5,00");
        assert_eq!(pt.decimal(f64::NAN, 1), "–");
        assert_eq!(pt.decimal(-0.04, 1), "0,0");
    }

    #[test]
    fn a_share_is_never_a_hundred_percent_when_one_failed() {
        assert_eq!(Lang::Pt.share(999_999, 1_000_000, 2), "99,99\u{a0}%");
        assert_eq!(Lang::En.share(3, 3, 2), "100.00%");
        assert_eq!(Lang::Pt.share(1, 0, 2), "–");
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        let plain = |ms| Lang::Pt.duration(ms).replace(NBSP, " ");
        assert_eq!(plain(8_600), "8,6 s");
        assert_eq!(plain(41_000), "41 s");
        assert_eq!(plain(12 * 60_000 + 5_000), "12 min");
        assert_eq!(plain(68 * 60_000), "1 h 08");
        assert_eq!(plain(54 * 3_600_000), "2 d 6 h");
        assert_eq!(plain(3 * 86_400_000), "3 d");
        assert_eq!(plain(-5), "0,0 s");
    }

    #[test]
    fn plurals_of_none_one_and_two() {
        let events = |n| {
            Lang::Pt
                .plural(n, ("evento", "event"), ("eventos", "events"))
                .replace(NBSP, " ")
        };
        assert_eq!(
            (events(0), events(1), events(2)),
            ("0 eventos".into(), "1 evento".into(), "2 eventos".into())
        );
    }

    #[test]
    fn a_day_begins_where_the_zone_says() {
        let zone = Zone(Tz::America__Sao_Paulo);
        assert_eq!(
            zone.day_of(at("2026-11-26T02:59:59Z")),
            "2026-11-25".parse().unwrap()
        );
        assert_eq!(
            zone.start_of("2026-11-26".parse().unwrap()),
            at("2026-11-26T03:00:00Z")
        );
        // 4 November 2018 had no midnight in São Paulo: it began at 01:00 summer time.
        assert_eq!(
            zone.start_of("2018-11-04".parse().unwrap()),
            at("2018-11-04T03:00:00Z")
        );
        assert_eq!(
            zone.exact(Lang::Pt, at("2026-11-26T00:47:03.112Z")),
            "21:47:03,112"
        );
        assert_eq!(
            zone.parse_local("2026-11-26T00:00"),
            Some(at("2026-11-26T03:00:00Z"))
        );
    }

    #[test]
    fn other_peoples_text_is_cut_and_has_no_control_characters() {
        assert_eq!(cut("a\nb", 10), "a b");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(shorten("8f2b1c0011223344556677889900aabb"), "8f2b1c00…aabb");
        assert_eq!(shorten("pedido-47873"), "pedido-47873");
    }
}
