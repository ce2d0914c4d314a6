//! Which touches an order is credited to.

use std::collections::BTreeMap;

use serde::Serialize;

/// Of one origin within so long after the first: one visit.
pub const SAME_VISIT_MS: i64 = 30 * 60 * 1000;
/// The newest so many of a path count. Nobody has as many by hand.
pub const MOST_STEPS: usize = 200;
const DAY_MS: i64 = 86_400_000;

/// How long before the order a touch still counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lookback {
    days: u16,
    by_channel: BTreeMap<String, u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a look-back window is 1 to 90 days, not {days} ({channel})")]
pub struct LookbackError {
    pub days: u16,
    pub channel: String,
}

impl Lookback {
    pub fn new(days: u16, by_channel: BTreeMap<String, u16>) -> Result<Self, LookbackError> {
        let every = by_channel.iter().map(|(channel, days)| (channel.as_str(), *days));
        for (channel, days) in every.chain([("all channels", days)]) {
            if !(1..=90).contains(&days) {
                return Err(LookbackError {
                    days,
                    channel: channel.to_owned(),
                });
            }
        }
        Ok(Lookback { days, by_channel })
    }

    pub fn ms(&self, channel: &str) -> i64 {
        i64::from(self.by_channel.get(channel).copied().unwrap_or(self.days)) * DAY_MS
    }

    /// The longest of all windows, in days.
    pub fn longest_days(&self) -> u16 {
        self.by_channel
            .values()
            .copied()
            .max()
            .unwrap_or(0)
            .max(self.days)
    }

    pub fn days(&self) -> u16 {
        self.days
    }
}

impl Default for Lookback {
    fn default() -> Self {
        Lookback {
            days: 30,
            by_channel: BTreeMap::new(),
        }
    }
}

/// The touches that count for an order at `order_ms`, the oldest first.
///
/// `facts` says of a touch when it was, its channel, and its campaign. Those after the order or before the
/// window are left out; what follows a touch of the same channel and campaign within half an hour is the same
/// visit; direct ones count only where nothing else does.
pub fn path<'t, T>(
    touches: &'t [T],
    order_ms: i64,
    lookback: &Lookback,
    facts: impl Fn(&'t T) -> (i64, &'t str, &'t str),
) -> Vec<&'t T> {
    let mut within: Vec<&T> = touches
        .iter()
        .filter(|touch| {
            let (at_ms, channel, _) = facts(touch);
            at_ms <= order_ms && at_ms >= order_ms - lookback.ms(channel)
        })
        .collect();
    within.sort_by_key(|touch| facts(touch));
    let mut visits: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    within.retain(|touch| {
        let (at_ms, channel, campaign) = facts(touch);
        let began = visits.entry((channel, campaign)).or_insert(i64::MIN);
        let is_new = at_ms.saturating_sub(*began) > SAME_VISIT_MS;
        if is_new {
            *began = at_ms;
        }
        is_new
    });
    if within.iter().any(|touch| facts(touch).1 != "direct") {
        within.retain(|touch| facts(touch).1 != "direct");
    }
    within.split_off(within.len().saturating_sub(MOST_STEPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    type Touch = (i64, &'static str, &'static str);

    fn of(touches: &[Touch], order_ms: i64, lookback: &Lookback) -> Vec<Touch> {
        path(touches, order_ms, lookback, |touch| *touch)
            .into_iter()
            .copied()
            .collect()
    }

    #[test]
    fn the_window_has_both_its_ends_and_nothing_beyond_them() {
        let order = 100 * DAY_MS;
        let edge = order - 30 * DAY_MS;
        let touches = [
            (edge - 1, "meta", "a"),
            (edge, "meta", "b"),
            (order, "google", "c"),
            (order + 1, "google", "d"),
        ];
        let counted = of(&touches, order, &Lookback::default());
        assert_eq!(counted, [(edge, "meta", "b"), (order, "google", "c")]);
        let short = Lookback::new(30, BTreeMap::from([("meta".to_owned(), 7)])).unwrap();
        assert_eq!(of(&touches, order, &short), [(order, "google", "c")]);
        assert_eq!((short.longest_days(), short.days()), (30, 30));
        for days in [0, 91] {
            assert!(Lookback::new(days, BTreeMap::new()).is_err());
            assert!(Lookback::new(30, BTreeMap::from([("meta".to_owned(), days)])).is_err());
        }
    }

    #[test]
    fn one_visit_is_one_touch_and_another_campaign_another() {
        let touches = [
            (0, "meta", "a"),
            (10 * MINUTE, "meta", "b"),
            (30 * MINUTE, "meta", "a"),
            (30 * MINUTE + 1, "meta", "a"),
        ];
        let counted = of(&touches, DAY_MS, &Lookback::default());
        assert_eq!(
            counted,
            [
                (0, "meta", "a"),
                (10 * MINUTE, "meta", "b"),
                (30 * MINUTE + 1, "meta", "a")
            ]
        );
    }

    #[test]
    fn direct_counts_only_alone_and_the_order_of_arrival_does_not_matter() {
        let touches = [(5 * DAY_MS, "direct", ""), (DAY_MS, "email", "news")];
        assert_eq!(
            of(&touches, 6 * DAY_MS, &Lookback::default()),
            [(DAY_MS, "email", "news")]
        );
        let direct = [(5 * DAY_MS, "direct", ""), (DAY_MS, "direct", "")];
        let counted = of(&direct, 6 * DAY_MS, &Lookback::default());
        assert_eq!(counted, [(DAY_MS, "direct", ""), (5 * DAY_MS, "direct", "")]);
        assert_eq!(of(&[], 6 * DAY_MS, &Lookback::default()), []);
    }

    #[test]
    fn a_path_without_end_is_cut_to_the_newest() {
        let touches: Vec<Touch> = (0..300).map(|hour| (hour * 60 * MINUTE, "meta", "a")).collect();
        let counted = of(&touches, 13 * DAY_MS, &Lookback::default());
        assert_eq!(counted.len(), MOST_STEPS);
        assert_eq!(counted.last(), touches.last());
    }
}
