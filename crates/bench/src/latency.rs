//! Latencies, kept as counts in buckets that are at most 1/64 wide: a million of them cost 30 kB.

use std::time::Duration;

/// Buckets in which the values of one octave are kept.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Of microseconds: the last octave ends after half an hour. Longer values count as that.
const OCTAVES: u64 = 26;

/// How long things took.
#[derive(Clone, Debug)]
pub struct Latencies {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Latencies {
            counts: vec![0; usize::try_from(OCTAVES * STEPS).expect("a few thousand")],
            total: 0,
        }
    }
}

impl Latencies {
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket_of(micros).min(self.counts.len() - 1);
        self.counts[bucket] += 1;
        self.total += 1;
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The latency that the given share of all (0 to 1) did not exceed, in milliseconds: the upper edge of its bucket.
    /// 0 when nothing was recorded.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_edge(bucket) as f64 / 1_000.0;
            }
        }
        0.0
    }
}

/// Values under `STEPS` have a bucket each; above, an octave has `STEPS` of them.
fn bucket_of(micros: u64) -> usize {
    let octave = micros.max(STEPS).ilog2() - STEP_BITS;
    let bucket = match octave {
        0 => micros,
        octave => u64::from(octave) * STEPS + (micros >> octave),
    };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn upper_edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let octave = bucket / STEPS - 1;
    ((STEPS + bucket % STEPS + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_no_bucket_is_wider_than_a_64th() {
        for micros in (0..10_000).chain((10_000..50_000_000).step_by(7_919)) {
            let bucket = bucket_of(micros);
            let below = bucket.checked_sub(1).map(upper_edge);
            assert!(below.is_none_or(|below| below < micros), "{micros}");
            assert!(micros <= upper_edge(bucket), "{micros}");
            let width = upper_edge(bucket) - below.map_or(0, |below| below + 1);
            assert!(width * STEPS <= micros, "{micros}: {width}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile_ms(0.99), 0.0);
        for micros in (1..=1_000).rev() {
            latencies.record(Duration::from_micros(micros * 100));
        }
        // The 500th, 990th and 1000th of 0.1 ms, 0.2 ms ... 100 ms.
        for (share, milliseconds) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = latencies.quantile_ms(share);
            assert!(
                (milliseconds..milliseconds * 65.0 / 64.0).contains(&found),
                "{share}: {found}"
            );
        }
        latencies.record(Duration::from_secs(100_000));
        assert_eq!(latencies.count(), 1_001);
    }
}
