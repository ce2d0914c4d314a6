//! How this page writes money, ratios, months, channels and models.

use chrono::{Datelike, NaiveDate};
use rastro_core::attribution::{Model, UNPAID_CHANNELS};
use rastro_core::dataset::Currency;
use rastro_core::metrics::minor_of_micros;

use crate::dashboard::words::{Lang, NONE, cut};

/// Writes amounts of one currency.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cash<'c> {
    pub lang: Lang,
    pub currency: &'c str,
}

impl Cash<'_> {
    fn decimals(self) -> u32 {
        Currency::parse(self.currency).map_or(2, Currency::decimals)
    }

    /// In whole units of the currency, to be drawn or divided.
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact to the cent up to ninety trillion"
    )]
    pub(super) fn major(self, minor: i64) -> f64 {
        minor as f64 / 10_f64.powi(self.decimals().try_into().unwrap_or(2))
    }

    pub(super) fn of_micros(self, micros: i64) -> i64 {
        minor_of_micros(micros, self.decimals())
    }

    /// `R$ 1.234,56`.
    pub(super) fn full(self, minor: i64) -> String {
        let places = self.decimals() as usize;
        self.lang
            .in_currency(&self.lang.decimal(self.major(minor), places), self.currency)
    }

    /// `R$ 1.235`, and `R$ 12,34` below a hundred.
    pub(super) fn short(self, minor: i64) -> String {
        match self.major(minor).abs() {
            100.0.. => self
                .lang
                .in_currency(&self.lang.decimal(self.major(minor), 0), self.currency),
            _ => self.full(minor),
        }
    }

    /// `R$ 54,8 mil`, `R$ 1,2 mi`, `R$ 437`, `R$ 43,70`, of an amount in whole units.
    pub(super) fn compact(self, major: f64) -> String {
        match major.abs() {
            1_000.0.. => self.lang.in_currency(&self.scaled(major), self.currency),
            // A mark of a scale is a round number.
            size if size >= 100.0 || size.fract() == 0.0 => {
                self.lang.in_currency(&self.lang.decimal(major, 0), self.currency)
            }
            _ => self
                .lang
                .in_currency(&self.lang.decimal(major, self.decimals() as usize), self.currency),
        }
    }

    /// The same without the currency.
    pub(super) fn scaled(self, major: f64) -> String {
        let (value, unit) = match major.abs() {
            1_000_000.0.. => (major / 1e6, self.lang.t("\u{a0}mi", "M")),
            1_000.0.. => (major / 1e3, self.lang.t("\u{a0}mil", "k")),
            _ => (major, ""),
        };
        let places = usize::from((value - value.round()).abs() > 0.049 && value.abs() < 1000.0);
        format!("{}{unit}", self.lang.decimal(value, places))
    }

    /// For a file that a program reads: `1234,56` or `1234.56`, all digits, nothing else.
    pub(super) fn plain(self, minor: i64) -> String {
        let (unit, places) = (10_u64.pow(self.decimals()), self.decimals() as usize);
        let (whole, rest) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
        let sign = if minor < 0 { "-" } else { "" };
        match places {
            0 => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}{}{rest:0places$}", self.lang.t(",", ".")),
        }
    }
}

/// `4,2x`: how often a real came back.
pub(super) fn times(lang: Lang, ratio: Option<f64>) -> String {
    ratio.map_or_else(|| NONE.to_owned(), |ratio| format!("{}x", lang.decimal(ratio, 1)))
}

/// Customers, orders and leads that several campaigns share: `12` or `12,5`.
pub(super) fn shared(lang: Lang, millionths: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "to be read")]
    let value = millionths as f64 / 1e6;
    let places = usize::from((value - value.round()).abs() >= 0.05);
    lang.decimal(value, places)
}

/// `27/10 a 25/11`, with the years if they are two.
pub(super) fn span(lang: Lang, from: NaiveDate, until: NaiveDate) -> String {
    if from == until {
        return lang.day(from);
    }
    let dated = |day: NaiveDate| match from.year() == until.year() {
        true => lang.day(day),
        false => match lang {
            Lang::Pt => format!("{}/{}", lang.day(day), day.year()),
            Lang::En => format!("{}, {}", lang.day(day), day.year()),
        },
    };
    format!("{} {} {}", dated(from), lang.t("a", "to"), dated(until))
}

const MONTHS: [(&str, &str); 12] = [
    ("janeiro", "January"),
    ("fevereiro", "February"),
    ("março", "March"),
    ("abril", "April"),
    ("maio", "May"),
    ("junho", "June"),
    ("julho", "July"),
    ("agosto", "August"),
    ("setembro", "September"),
    ("outubro", "October"),
    ("novembro", "November"),
    ("dezembro", "December"),
];

/// `dezembro`, `December`.
pub(super) fn month(lang: Lang, day: NaiveDate) -> &'static str {
    let (pt, en) = MONTHS[day.month0() as usize % 12];
    lang.t(pt, en)
}

/// `dez`, `Dec`.
pub(super) fn short_month(lang: Lang, day: NaiveDate) -> String {
    month(lang, day).chars().take(3).collect()
}

/// `dez/26`, `Dec 26`.
pub(super) fn dated_month(lang: Lang, day: NaiveDate) -> String {
    let joint = lang.t("/", " ");
    format!(
        "{}{joint}{:02}",
        short_month(lang, day),
        day.year().rem_euclid(100)
    )
}

/// With a capital, as a heading.
pub(super) fn titled(text: &str) -> String {
    let mut rest = text.chars();
    rest.next()
        .map(|first| first.to_uppercase().chain(rest).collect())
        .unwrap_or_default()
}

/// A channel as people call it.
pub(super) fn channel_name(lang: Lang, channel: &str) -> String {
    let (pt, en) = match channel {
        "meta" => ("Meta Ads", "Meta Ads"),
        "google" => ("Google Ads", "Google Ads"),
        "tiktok" => ("TikTok Ads", "TikTok Ads"),
        "microsoft" | "bing" => ("Microsoft Ads", "Microsoft Ads"),
        "direct" => ("Direto", "Direct"),
        "unmatched" => ("Sem origem", "Without origin"),
        "organic_search" => ("Busca orgânica", "Organic search"),
        "organic_social" => ("Social orgânico", "Organic social"),
        "email" => ("E-mail", "E-mail"),
        "referral" => ("Indicação", "Referral"),
        "whatsapp" => ("WhatsApp", "WhatsApp"),
        "" => return NONE.to_owned(),
        other => {
            return match other
                .strip_suffix("_ads")
                .filter(|free| UNPAID_CHANNELS.contains(free))
            {
                Some(free) => format!("{} ({})", channel_name(lang, free), lang.t("pago", "paid")),
                None => cut(other, 40),
            };
        }
    };
    lang.t(pt, en).to_owned()
}

/// A campaign by its name, or its key where it has none.
pub(super) fn campaign_name(lang: Lang, name: &str, key: &str, most: usize) -> String {
    match (name.trim(), key.strip_prefix("name:").unwrap_or(key)) {
        ("", "") => lang.t("sem campanha", "no campaign").to_owned(),
        ("", key) => cut(key, most),
        (name, _) => cut(name, most),
    }
}

pub(super) fn model_name(lang: Lang, model: Model) -> &'static str {
    let (pt, en) = match model {
        Model::Linear => ("linear", "linear"),
        Model::First => ("primeiro toque", "first touch"),
        Model::Last => ("último toque", "last touch"),
        Model::LastNonDirect => ("último não direto", "last non-direct"),
        Model::TimeDecay => ("decaimento no tempo", "time decay"),
        Model::Position => ("por posição", "position"),
        Model::Markov => ("Markov", "Markov"),
    };
    lang.t(pt, en)
}

/// How a model divides an order, in a sentence. `has_effects`: Markov had the volume to learn from.
pub(super) fn model_words(lang: Lang, model: Model, has_effects: bool) -> &'static str {
    let (pt, en) = match model {
        Model::Linear => (
            "cada toque antes da compra recebe o mesmo",
            "each touch before the order gets the same",
        ),
        Model::First => ("o primeiro toque recebe tudo", "the first touch gets all"),
        Model::Last => ("o último toque recebe tudo", "the last touch gets all"),
        Model::LastNonDirect => (
            "o último toque que não é direto recebe tudo",
            "the last touch that is not direct gets all",
        ),
        Model::TimeDecay => (
            "um toque vale a metade a cada 7 dias antes da compra",
            "a touch halves with each 7 days before the order",
        ),
        Model::Position => (
            "40 % ao primeiro, 40 % ao último, 20 % aos do meio",
            "40% to the first, 40% to the last, 20% to those between",
        ),
        Model::Markov if has_effects => (
            "cada canal recebe pelo que faltaria sem ele",
            "each channel gets by what would be missed without it",
        ),
        Model::Markov => (
            "ainda não há volume para Markov (300 pedidos, 30 de cada canal), então vale por posição: 40 % ao primeiro, 40 % ao último",
            "there is not the volume for Markov yet (300 orders, 30 of each channel), so it is by position: 40% to the first, 40% to the last",
        ),
    };
    lang.t(pt, en)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cash(lang: Lang, currency: &str) -> Cash<'_> {
        Cash { lang, currency }
    }

    #[test]
    fn amounts_are_written_as_their_currency_and_language_do() {
        let (brl, usd, jpy) = (
            cash(Lang::Pt, "BRL"),
            cash(Lang::En, "USD"),
            cash(Lang::Pt, "JPY"),
        );
        assert_eq!(brl.full(123_456), "R$\u{a0}1.234,56");
        assert_eq!(usd.full(123_456), "$1,234.56");
        assert_eq!(jpy.full(123_456), "JPY\u{a0}123.456");
        assert_eq!(brl.short(123_456), "R$\u{a0}1.235");
        assert_eq!(brl.short(1_234), "R$\u{a0}12,34");
        assert_eq!(brl.compact(54_812.0), "R$\u{a0}54,8\u{a0}mil");
        assert_eq!(usd.compact(2_000_000.0), "$2M");
        assert_eq!(brl.compact(437.2), "R$\u{a0}437");
        assert_eq!(brl.compact(43.7), "R$\u{a0}43,70");
        assert_eq!(brl.compact(40.0), "R$\u{a0}40");
        assert_eq!(brl.scaled(40_000.0), "40\u{a0}mil");
        assert_eq!(brl.of_micros(12_345_000), 1_235);
        assert_eq!(
            (brl.plain(-5), usd.plain(123_456), jpy.plain(-7)),
            ("-0,05".into(), "1234.56".into(), "-7".into())
        );
    }

    #[test]
    fn ratios_of_nothing_and_parts_of_people() {
        assert_eq!(
            (times(Lang::Pt, Some(4.21)), times(Lang::En, None)),
            ("4,2x".into(), "–".into())
        );
        assert_eq!(
            (shared(Lang::Pt, 12_500_000), shared(Lang::En, 12_000_000)),
            ("12,5".into(), "12".into())
        );
    }

    #[test]
    fn days_and_months_have_their_year_where_it_is_not_plain() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert_eq!(
            span(Lang::Pt, day("2026-10-27"), day("2026-11-25")),
            "27/10 a 25/11"
        );
        assert_eq!(
            span(Lang::En, day("2025-12-01"), day("2026-01-02")),
            "Dec 1, 2025 to Jan 2, 2026"
        );
        assert_eq!(dated_month(Lang::Pt, day("2026-12-01")), "dez/26");
        assert_eq!(
            (titled("março"), short_month(Lang::En, day("2026-05-01"))),
            ("Março".into(), "May".into())
        );
    }

    #[test]
    fn a_campaign_without_a_name_is_called_by_its_key_and_none_by_a_word() {
        assert_eq!(campaign_name(Lang::Pt, "", "name:verão", 40), "verão");
        assert_eq!(campaign_name(Lang::Pt, "", "", 40), "sem campanha");
        assert_eq!(campaign_name(Lang::En, "A\u{7}bcdef", "1", 4), "A b…");
    }
}
