//! How often a rule would have fired with another number.

use maud::{Markup, html};
use rastro_core::alert::AlertRules;
use rastro_store::dashboard::HourRow;

use super::{AlertsData, rule_title};
use crate::dashboard::charts::f;
use crate::dashboard::layout::{Frame, missing};
use crate::dashboard::words::Lang;

/// Rules that counts say something about, with their three numbers to try.
#[derive(Clone, Debug)]
pub struct Tried {
    pub rule: &'static str,
    pub now: f64,
    /// Each threshold and how often it would have fired in thirty days.
    pub fired: Vec<(f64, usize)>,
    /// What somebody typed.
    pub typed: Option<(f64, usize)>,
}

/// Over whole hours, so the shortest episodes are not seen: it compares numbers, it does not foretell.
pub fn try_thresholds(
    rules: &AlertRules,
    hours: &[HourRow],
    typed: impl Fn(&str) -> Option<f64>,
) -> Vec<Tried> {
    type Share = fn(&HourRow) -> (i64, i64);
    let all: [(&'static str, f64, i64, Share); 3] = [
        ("error_rate", rules.error_rate.fires, 20, |hour| {
            (hour.failed, hour.failed + hour.succeeded)
        }),
        ("latency", rules.latency.fires, 20, |hour| {
            (hour.slow, hour.requests)
        }),
        ("duplicates", rules.duplicates.fires, 50, |hour| {
            (hour.duplicates, hour.duplicates + hour.accepted)
        }),
    ];
    all.into_iter()
        .map(|(rule, now, least, share)| {
            let fired = |threshold: f64| episodes(hours, threshold, least, share);
            let steps = [now * 0.5, now, now * 1.6, now * 3.0];
            Tried {
                rule,
                now,
                fired: steps.into_iter().map(|step| (step, fired(step))).collect(),
                typed: typed(rule).map(|threshold| (threshold, fired(threshold))),
            }
        })
        .collect()
}

/// How many times in a row of hours a share was above the threshold. Hours with too little in them change
/// nothing.
fn episodes(hours: &[HourRow], threshold: f64, least: i64, share: fn(&HourRow) -> (i64, i64)) -> usize {
    let (mut count, mut above, mut dataset) = (0, false, 0);
    for hour in hours {
        if hour.dataset_id != dataset {
            (dataset, above) = (hour.dataset_id, false);
        }
        let (part, whole) = share(hour);
        if whole < least {
            continue;
        }
        let now_above = f(part) / f(whole) * 100.0 > threshold;
        count += usize::from(now_above && !above);
        above = now_above;
    }
    count
}

pub(super) fn draw(frame: &Frame, data: &AlertsData) -> Markup {
    let lang = frame.lang;
    let Some(tried) = &data.tried else {
        return missing(lang);
    };
    let times = |n: usize| {
        lang.plural(
            i64::try_from(n).unwrap_or(i64::MAX),
            ("vez", "time"),
            ("vezes", "times"),
        )
    };
    html! {
        form.form action="/alertas" {
            @if let Some(dataset) = frame.dataset { input type="hidden" name="dataset" value=(dataset); }
            @if lang == Lang::En { input type="hidden" name="lang" value="en"; }
            @for rule in tried {
                label { (rule_title(lang, rule.rule)) " (%)"
                    input name=(rule.rule) inputmode="decimal" maxlength="5" value=(rule.typed.map(|(value, _)| lang.decimal(value, 1)).unwrap_or_default()) placeholder=(lang.decimal(rule.now, 0)) aria-describedby={ "w-" (rule.rule) };
                    small id={ "w-" (rule.rule) } {
                        @if let Some((value, fired)) = rule.typed { b { (lang.t("com ", "with ")) (lang.percent(value, 1)) ": " (times(fired)) } ". " }
                        @for (at, (value, fired)) in rule.fired.iter().enumerate() {
                            @if at > 0 { " · " } (lang.percent(*value, usize::from(value.fract() > 0.05))) @if at == 1 { " (" (lang.t("hoje", "now")) ")" } ": " (times(*fired))
                        }
                    }
                }
            }
            div.row { button.btn.small { (lang.t("Experimentar", "Try")) } }
        }
        p.note { (lang.t("Refaz a regra sobre as contagens; o que dura menos de uma hora pode não aparecer. Para mudar: ",
            "Runs the rule over the counts; what lasts less than an hour may not show. To change it: ")) code { "RASTRO__ALERTS__…__FIRES" } }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn hour(dataset_id: i64, hour: i64, failed: i64, succeeded: i64) -> HourRow {
        HourRow {
            dataset_id,
            hour: DateTime::from_timestamp(hour * 3_600, 0).unwrap(),
            accepted: 0,
            duplicates: 0,
            succeeded,
            failed,
            requests: 0,
            slow: 0,
        }
    }

    #[test]
    fn hours_in_a_row_are_one_episode_and_an_hour_with_little_in_it_is_none() {
        let share: fn(&HourRow) -> (i64, i64) = |hour| (hour.failed, hour.failed + hour.succeeded);
        let hours = [
            hour(1, 0, 10, 90),
            hour(1, 1, 20, 80),
            hour(1, 2, 0, 100),
            hour(1, 3, 6, 94),
            // One failure of one attempt.
            hour(1, 4, 0, 100),
            hour(1, 5, 1, 0),
            hour(2, 0, 50, 50),
        ];
        assert_eq!(episodes(&hours, 5.0, 20, share), 3);
        assert_eq!(episodes(&hours, 8.0, 20, share), 2);
        assert_eq!(episodes(&hours, 60.0, 20, share), 0);
    }
}
