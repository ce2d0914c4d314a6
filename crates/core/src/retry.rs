//! When a failed event is tried again, and when no more.
//!
//! Only failures that may pass by themselves spend a retry. The events of a throttled or blocked dataset are
//! parked until its [circuit breaker](crate::circuit_breaker) may let them through, with the retries they
//! have: an outage of minutes would spend every retry of every event.

use std::time::Duration;

use serde::Deserialize;

/// How long a failed event waits before each of its retries. In a configuration: `delays_ms = [1000, 5000,
/// 30000]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Delays")]
pub struct RetrySchedule {
    delays: Vec<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delays {
    delays_ms: Vec<u64>,
}

impl TryFrom<Delays> for RetrySchedule {
    type Error = InvalidSchedule;

    fn try_from(Delays { delays_ms }: Delays) -> Result<Self, InvalidSchedule> {
        RetrySchedule::new(delays_ms.into_iter().map(Duration::from_millis).collect())
    }
}

/// Why a list of delays is no schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    #[error("a retry schedule has 1 to {most} delays, not {0}", most = RetrySchedule::MOST_RETRIES)]
    Length(usize),
    /// Counted from 1, as a person reads the list.
    #[error("delay {0} of the retry schedule is zero")]
    NoWait(usize),
}

impl RetrySchedule {
    /// The longest schedule. Events are worth less each hour and nothing after seven days, when Meta refuses
    /// them.
    pub const MOST_RETRIES: usize = 20;

    /// A schedule of one retry for each delay, 1 to 20 of them, none zero.
    pub fn new(delays: Vec<Duration>) -> Result<Self, InvalidSchedule> {
        if !(1..=Self::MOST_RETRIES).contains(&delays.len()) {
            return Err(InvalidSchedule::Length(delays.len()));
        }
        match delays.iter().position(Duration::is_zero) {
            Some(index) => Err(InvalidSchedule::NoWait(index + 1)),
            None => Ok(RetrySchedule { delays }),
        }
    }

    /// How often an event is tried again, after the first try.
    pub fn retries(&self) -> u16 {
        u16::try_from(self.delays.len()).expect("a schedule has at most 20 delays")
    }

    /// How long the event waits now, or `None` when no retry is left.
    ///
    /// `retries_spent`: the retries made already. `asked`: Meta's Retry-After, a floor. `chance`, drawn from
    /// 0 to 1, adds up to a fifth, so that events that failed together do not come back together.
    pub fn next_delay(&self, retries_spent: u16, asked: Option<Duration>, chance: f64) -> Option<Duration> {
        let delay = *self.delays.get(usize::from(retries_spent))?;
        let least = delay.max(asked.unwrap_or_default());
        Some(least.saturating_add(up_to_a_fifth(least, chance)))
    }
}

impl Default for RetrySchedule {
    /// 1 s, 5 s, 30 s.
    fn default() -> Self {
        RetrySchedule {
            delays: [1, 5, 30].map(Duration::from_secs).to_vec(),
        }
    }
}

/// How long an event is parked whose dataset is left alone for `wait`: a little longer, by up to a fifth and
/// at most 10 s, so that the breaker comes first and the events do not all come back together. Never shorter
/// than `least`, whatever is left of the breaker's wait.
pub fn parked_for(wait: Duration, least: Duration, chance: f64) -> Duration {
    const LONGEST_EXTRA: Duration = Duration::from_secs(10);
    let wait = wait.max(least);
    wait.saturating_add(up_to_a_fifth(wait.min(5 * LONGEST_EXTRA), chance))
}

/// What to add to `wait` so that waits which began together do not end together: up to a fifth of it, by
/// `chance` in 0..=1 (what lies outside counts as the nearer end). Never less than nothing: a jitter around
/// Meta's Retry-After would come back too soon half of the time.
pub(crate) fn up_to_a_fifth(wait: Duration, chance: f64) -> Duration {
    let chance = if chance.is_nan() {
        0.0
    } else {
        chance.clamp(0.0, 1.0)
    };
    (wait / 5).mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_event_is_tried_again_after_1_then_5_then_30_seconds_and_then_no_more() {
        let schedule = RetrySchedule::default();
        let delays = [0, 1, 2, 3, u16::MAX].map(|spent| schedule.next_delay(spent, None, 0.0));
        assert_eq!(
            delays,
            [Some(SECOND), Some(5 * SECOND), Some(30 * SECOND), None, None]
        );
        assert_eq!(schedule.retries(), 3);
    }

    #[test]
    fn what_meta_asks_for_is_a_floor_and_chance_still_spreads_it() {
        let schedule = RetrySchedule::default();
        let delay = |asked, chance| schedule.next_delay(1, Some(asked), chance);
        assert_eq!(delay(60 * SECOND, 0.0), Some(60 * SECOND));
        assert_eq!(delay(60 * SECOND, 0.5), Some(66 * SECOND));
        assert_eq!(delay(60 * SECOND, 1.0), Some(72 * SECOND));
        assert_eq!(
            delay(2 * SECOND, 0.0),
            Some(5 * SECOND),
            "the schedule waits longer"
        );
    }

    #[test]
    fn what_meta_asks_for_brings_no_spent_retry_back() {
        assert_eq!(RetrySchedule::default().next_delay(3, Some(SECOND), 0.0), None);
    }

    #[test]
    fn a_parked_event_waits_as_long_as_its_dataset_and_never_comes_back_at_once() {
        let parked = |wait, chance| parked_for(wait, 5 * SECOND, chance);
        assert_eq!(parked(60 * SECOND, 0.0), 60 * SECOND);
        assert_eq!(parked(30 * SECOND, 1.0), 36 * SECOND);
        assert_eq!(parked(3_600 * SECOND, 1.0), 3_610 * SECOND);
        assert_eq!(parked(Duration::ZERO, 0.0), 5 * SECOND);
        assert_eq!(parked(Duration::ZERO, f64::NAN), 5 * SECOND);
    }

    #[test]
    fn a_schedule_has_1_to_20_delays_and_none_is_zero() {
        assert_eq!(RetrySchedule::new(vec![]), Err(InvalidSchedule::Length(0)));
        assert_eq!(
            RetrySchedule::new(vec![SECOND; 21]),
            Err(InvalidSchedule::Length(21))
        );
        assert_eq!(
            RetrySchedule::new(vec![SECOND, Duration::ZERO]),
            Err(InvalidSchedule::NoWait(2))
        );
        assert_eq!(RetrySchedule::new(vec![SECOND; 20]).unwrap().retries(), 20);
        assert_eq!(
            InvalidSchedule::Length(21).to_string(),
            "a retry schedule has 1 to 20 delays, not 21"
        );
    }

    fn any_duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            (0..1_000_000u64).prop_map(Duration::from_millis),
            (any::<u64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        ]
    }

    proptest! {
        #[test]
        fn a_delay_is_never_below_schedule_or_floor_and_at_most_a_fifth_above(
            delays in prop::collection::vec(any_duration().prop_filter("zero", |delay| !delay.is_zero()), 1..=20),
            spent in 0..25u16,
            asked in prop::option::of(any_duration()),
            chance in prop_oneof![0.0..1.0, any::<f64>()],
        ) {
            let schedule = RetrySchedule::new(delays.clone()).unwrap();
            let delay = schedule.next_delay(spent, asked, chance);
            prop_assert_eq!(delay.is_some(), spent < schedule.retries());
            if let Some(delay) = delay {
                let least = delays[usize::from(spent)].max(asked.unwrap_or_default());
                prop_assert!(delay >= least, "{:?} < {:?}", delay, least);
                // Above 2^53 ns a float cannot name every nanosecond: a millionth of leeway.
                let most = least.saturating_add(least / 5).saturating_add(least / 1_000_000 + Duration::from_nanos(1));
                prop_assert!(delay <= most, "{:?} > {:?}", delay, most);
            }
        }
    }
}
