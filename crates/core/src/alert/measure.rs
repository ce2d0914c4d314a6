//! The arithmetic of the rules.

/// How far a window grows in search of enough volume: 5 and 15 minutes, an hour, six.
pub const WINDOWS_SECONDS: [i64; 4] = [300, 900, 3_600, 21_600];

/// Failures and attempts of events within a window, and the requests that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub window_seconds: i64,
    pub total: i64,
    pub bad: i64,
    /// Of a rule that asks for several failed requests, not several events of one.
    pub bad_requests: i64,
}

impl Tally {
    /// In percent. Meaningless without a total.
    pub fn percent(self) -> f64 {
        let (bad, total) = (self.bad as f64, self.total as f64);
        if self.total == 0 { 0.0 } else { 100.0 * bad / total }
    }
}

/// The shortest window that holds enough. Windows from short to long; `None`: not even the longest does.
pub fn enough(windows: &[Tally], minimum: u32) -> Option<Tally> {
    windows
        .iter()
        .copied()
        .find(|window| window.total >= i64::from(minimum))
}

/// The error rate of the shortest window with enough attempts. Three failed events in two failed requests are
/// the least that says anything: one batch that fails once and succeeds a second later is no outage.
pub fn error_rate(windows: &[Tally], minimum: u32) -> Option<Tally> {
    enough(windows, minimum).map(|window| match window.bad >= 3 && window.bad_requests >= 2 {
        true => window,
        false => Tally { bad: 0, ..window },
    })
}

/// Undelivered events of accepted ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    pub accepted: i64,
    pub undelivered: i64,
}

impl Budget {
    /// How many times faster than one in a thousand events fails to arrive.
    fn burn(self) -> f64 {
        let (accepted, undelivered) = (self.accepted as f64, self.undelivered as f64);
        if self.accepted == 0 {
            0.0
        } else {
            undelivered / accepted / 0.001
        }
    }
}

/// How fast the goal of 99.9 % is being spent, as a multiple of what is alarming: 14.4 times over an hour and
/// five minutes, or 6 times over six hours and thirty minutes. A long window with less than `minimum` says
/// nothing. (SRE workbook, chapter 5.)
pub fn burn(
    hour: Budget,
    five_minutes: Budget,
    six_hours: Budget,
    thirty_minutes: Budget,
    minimum: u32,
) -> f64 {
    let both = |long: Budget, short: Budget, limit: f64| match long.accepted >= i64::from(minimum) {
        true => (long.burn() / limit).min(short.burn() / limit),
        false => 0.0,
    };
    both(hour, five_minutes, 14.4).max(both(six_hours, thirty_minutes, 6.0))
}

/// A percentile of counts by bucket, interpolated inside its bucket. `limits` are the upper limits of all
/// buckets but the last, which is open; `slowest` comes after all of them (requests without an answer).
/// `None`: it lies in the open bucket or beyond.
pub fn percentile(counts: &[i64], slowest: i64, limits: &[i64], share: f64) -> Option<f64> {
    let total: i64 = counts.iter().sum::<i64>() + slowest;
    if total == 0 {
        return None;
    }
    let wanted = share * total as f64;
    let mut below = 0.0;
    for (bucket, &count) in counts.iter().enumerate() {
        let (count, from, to) = (
            count as f64,
            if bucket == 0 { 0 } else { limits[bucket - 1] } as f64,
            limits.get(bucket).map(|&limit| limit as f64),
        );
        if count > 0.0 && below + count >= wanted {
            return to.map(|to| from + (to - from) * ((wanted - below) / count));
        }
        below += count;
    }
    None
}
