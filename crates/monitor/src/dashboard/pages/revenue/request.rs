//! What the address asks for. What cannot be is left out and said, never an error page: a link that somebody
//! was sent still shows something.

use chrono::{Datelike, NaiveDate, TimeDelta};
use rastro_core::attribution::Model;
use rastro_core::dataset::DatasetId;
use rastro_store::{RevenueFilter, RevenuePart, RevenueScope};

use super::terms::{model_name, span};
use crate::dashboard::layout::Frame;
use crate::dashboard::words::{Lang, cut};

/// Two years and a leap day: what is kept of a day is little, but a page is read by people.
const MOST_DAYS: i64 = 731;
/// The periods that one click leads to: the word in the address, and days until today.
pub(super) const PERIODS: [(&str, i64); 4] = [("7d", 7), ("30d", 30), ("90d", 90), ("365d", 365)];
const USUAL: usize = 1;
/// Longer than any campaign's name that is stored.
const MOST_BYTES: usize = 600;

/// A request that can be answered.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub filter: RevenueFilter,
    pub part: RevenuePart,
    /// Of [`PERIODS`]; `None`: from day to day.
    pub period: Option<usize>,
    /// Others that there is something in.
    pub other_currencies: Vec<String>,
    /// The one that is shown unasked.
    pub usual_currency: String,
    pub today: NaiveDate,
    pub time_zone: String,
    /// The Markov model had the volume to learn from.
    pub has_effects: bool,
    /// What was asked and is not so.
    pub notes: Vec<String>,
}

impl Request {
    /// `asked`: what the address says under a name, or nothing. `scope` has at least one currency.
    pub(super) fn read(
        lang: Lang,
        dataset: DatasetId,
        scope: &RevenueScope,
        asked: &dyn Fn(&str) -> String,
    ) -> Self {
        let mut notes = Vec::new();
        let today = scope.today;
        let (period, from, until) = days(lang, asked, today, &mut notes);
        let usual = scope
            .default_currency
            .as_ref()
            .filter(|currency| scope.currencies.contains(currency))
            .or(scope.currencies.first())
            .cloned()
            .unwrap_or_else(|| "BRL".to_owned());
        let currency = match asked("moeda").to_ascii_uppercase() {
            wanted if wanted.is_empty() => usual.clone(),
            wanted if scope.currencies.contains(&wanted) => wanted,
            wanted => {
                let wanted = cut(&wanted, 12);
                notes.push(match lang {
                    Lang::Pt => format!("Não há nada em “{wanted}”: mostrado em {usual}."),
                    Lang::En => format!("There is nothing in “{wanted}”: shown in {usual}."),
                });
                usual.clone()
            }
        };
        let model = match asked("modelo").as_str() {
            "" => Model::Linear,
            word => Model::parse(word).unwrap_or_else(|| {
                let (word, linear) = (cut(word, 30), model_name(lang, Model::Linear));
                notes.push(match lang {
                    Lang::Pt => format!("Não há modelo “{word}”: mostrado no {linear}."),
                    Lang::En => format!("There is no model “{word}”: shown under {linear}."),
                });
                Model::Linear
            }),
        };
        let part = RevenuePart {
            channel: text(lang, &asked("canal"), &mut notes),
            campaign: text(lang, &asked("campanha"), &mut notes),
        };
        Request {
            other_currencies: scope
                .currencies
                .iter()
                .filter(|other| **other != currency)
                .cloned()
                .collect(),
            filter: RevenueFilter {
                dataset,
                currency,
                model,
                from,
                until,
            },
            usual_currency: usual,
            part,
            period,
            today,
            time_zone: scope.time_zone.clone(),
            has_effects: scope.has_effects,
            notes,
        }
    }

    /// Pix and boletos are paid days after the order: from this day on figures still move.
    pub(super) fn moving_from(&self) -> NaiveDate {
        self.today - TimeDelta::days(4)
    }

    pub(super) fn is_of_a_part(&self) -> bool {
        self.part != RevenuePart::default()
    }

    pub(super) fn days(&self) -> i64 {
        (self.filter.until - self.filter.from).num_days() + 1
    }

    /// The address of `path` with what was asked, changed by `changes`; an empty value takes a name away.
    pub(super) fn link(&self, frame: &Frame, path: &str, changes: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let dataset = self.filter.dataset.to_string();
        for (name, value) in self.fields() {
            let changed = changes.iter().find(|(changed, _)| *changed == name);
            let value = changed.map_or(value.as_str(), |(_, value)| value);
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        frame.link(
            path,
            format!("dataset={dataset}&{}", query.finish()).trim_end_matches('&'),
        )
    }

    /// What differs from what would be shown unasked, under the names of the address; the others are empty.
    pub(super) fn fields(&self) -> [(&'static str, String); 7] {
        let word = match self.filter.model {
            Model::Linear => String::new(),
            model => model.as_str().to_owned(),
        };
        let currency = match self.filter.currency == self.usual_currency {
            true => String::new(),
            false => self.filter.currency.clone(),
        };
        let (from, until) = (self.filter.from.to_string(), self.filter.until.to_string());
        let (p, from, until) = match self.period {
            Some(USUAL) => (String::new(), String::new(), String::new()),
            Some(period) => (PERIODS[period].0.to_owned(), String::new(), String::new()),
            None => (String::new(), from, until),
        };
        [
            ("p", p),
            ("de", from),
            ("ate", until),
            ("moeda", currency),
            ("modelo", word),
            ("canal", self.part.channel.clone().unwrap_or_default()),
            ("campanha", self.part.campaign.clone().unwrap_or_default()),
        ]
    }
}

/// The days to look at, both included.
fn days(
    lang: Lang,
    asked: &dyn Fn(&str) -> String,
    today: NaiveDate,
    notes: &mut Vec<String>,
) -> (Option<usize>, NaiveDate, NaiveDate) {
    let usual = |period: usize| {
        (
            Some(period),
            today - TimeDelta::days(PERIODS[period].1 - 1),
            today,
        )
    };
    let (from, until, word) = (asked("de"), asked("ate"), asked("p"));
    if from.is_empty() && until.is_empty() {
        let known = PERIODS.iter().position(|(known, _)| *known == word);
        if let (None, false) = (known, word.is_empty()) {
            let word = cut(&word, 20);
            notes.push(match lang {
                Lang::Pt => format!("Não há período “{word}”: mostrados os últimos 30 dias."),
                Lang::En => format!("There is no period “{word}”: the last 30 days are shown."),
            });
        }
        return usual(known.unwrap_or(USUAL));
    }
    let day = |text: &str, otherwise: NaiveDate| match text {
        "" => Some(otherwise),
        text => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok(),
    };
    let last = day(&until, today);
    let first = last.and_then(|last| day(&from, last.checked_sub_signed(TimeDelta::days(29))?));
    match first.zip(last) {
        Some((first, last)) if is_readable(first, last, today) => {
            if last > today {
                let shown = span(lang, first, today);
                notes.push(match lang {
                    Lang::Pt => format!("O futuro ainda não foi contado: mostrado {shown}."),
                    Lang::En => format!("The future is not counted yet: {shown} is shown."),
                });
            }
            (None, first, last.min(today))
        }
        _ => {
            let text = lang.t(
                "Este período não vale: de um dia até outro depois dele, no máximo dois anos. Mostrados os últimos 30 dias.",
                "That period cannot be: from a day to one after it, two years at most. The last 30 days are shown.",
            );
            notes.push(text.to_owned());
            usual(USUAL)
        }
    }
}

fn is_readable(first: NaiveDate, last: NaiveDate, today: NaiveDate) -> bool {
    (2000..3000).contains(&first.year())
        && first <= last
        && first <= today
        && (last - first).num_days() < MOST_DAYS
}

/// A channel or campaign, as it is stored.
fn text(lang: Lang, asked: &str, notes: &mut Vec<String>) -> Option<String> {
    if asked.is_empty() {
        return None;
    }
    if asked.len() > MOST_BYTES || asked.chars().any(char::is_control) {
        let asked = cut(asked, 30);
        notes.push(match lang {
            Lang::Pt => format!("Não há canal nem campanha “{asked}”: mostrado tudo."),
            Lang::En => format!("There is no channel or campaign “{asked}”: all is shown."),
        });
        return None;
    }
    Some(asked.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn scope() -> RevenueScope {
        RevenueScope {
            time_zone: "America/Sao_Paulo".into(),
            default_currency: Some("BRL".into()),
            today: "2026-11-26".parse().unwrap(),
            currencies: vec!["BRL".into(), "USD".into()],
            spent_until: None,
            has_account: true,
            has_effects: false,
        }
    }

    /// A request as an address writes it.
    pub(crate) fn request(lang: Lang, query: &str) -> Request {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let asked = |name: &str| {
            let pair = pairs.iter().find(|(other, _)| other == name);
            pair.map_or_else(String::new, |(_, value)| value.clone())
        };
        Request::read(lang, 7_i64.try_into().unwrap(), &scope(), &asked)
    }

    #[test]
    fn nothing_asked_is_thirty_days_of_the_datasets_currency_under_the_linear_model() {
        let read = request(Lang::Pt, "");
        assert_eq!(read.filter.from.to_string(), "2026-10-28");
        assert_eq!(read.filter.until.to_string(), "2026-11-26");
        assert_eq!(
            (read.days(), read.moving_from().to_string().as_str()),
            (30, "2026-11-22")
        );
        assert_eq!(
            (read.filter.currency.as_str(), read.filter.model),
            ("BRL", Model::Linear)
        );
        assert_eq!(read.other_currencies, ["USD"]);
        assert!(read.notes.is_empty() && !read.is_of_a_part());
    }

    #[test]
    fn what_cannot_be_is_said_and_something_is_shown_all_the_same() {
        for query in [
            "p=5y",
            "de=2026-11-27&ate=2026-11-20",
            "de=ontem",
            "de=2020-01-01",
            "de=2027-01-01&ate=2027-02-01",
            "ate=-262143-01-01",
            "moeda=XXX",
            "modelo=magic",
            "canal=a%00b",
            "campanha=%0a",
        ] {
            for lang in [Lang::Pt, Lang::En] {
                let read = request(lang, query);
                assert_eq!(read.notes.len(), 1, "{query}: {:?}", read.notes);
                assert_eq!((read.days(), read.period), (30, Some(1)), "{query}");
                assert_eq!(
                    (read.filter.currency.as_str(), read.filter.model),
                    ("BRL", Model::Linear)
                );
                assert!(!read.is_of_a_part(), "{query}");
            }
        }
        let read = request(Lang::Pt, "de=2026-11-01&ate=2026-12-31");
        assert_eq!((read.filter.until, read.notes.len()), (read.today, 1));
    }

    #[test]
    fn a_link_keeps_all_that_was_asked_and_other_peoples_words_are_escaped_in_it() {
        let frame = Frame::example(Lang::En);
        let read = request(
            Lang::En,
            "p=90d&modelo=first&moeda=usd&campanha=name%3Aa%26b%3D%22c",
        );
        assert_eq!(
            read.link(&frame, "/receita", &[("canal", "meta"), ("p", "7d")]),
            "/receita?dataset=7&p=7d&moeda=USD&modelo=first&canal=meta&campanha=name%3Aa%26b%3D%22c&lang=en"
        );
        let read = request(Lang::Pt, "de=2026-11-01");
        assert_eq!(
            read.link(&Frame::example(Lang::Pt), "/receita", &[("moeda", "")]),
            "/receita?dataset=7&de=2026-11-01&ate=2026-11-26"
        );
    }
}
