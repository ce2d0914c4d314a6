//! Figures about money as they are defined: ratios of sums, never means of ratios, and nothing where the
//! divisor is zero.

use crate::attribution::WHOLE;

/// An amount for each of a number, in the same unit, rounded half away from zero. `None`: divided by nothing.
pub fn per(amount_minor: i64, count: i64) -> Option<i64> {
    divided(i128::from(amount_minor), i128::from(count))
}

/// [`per`], of a number in millionths: customers, leads and orders that are shared between campaigns.
pub fn per_shared(amount_minor: i64, count_millionths: i64) -> Option<i64> {
    divided(
        i128::from(amount_minor) * i128::from(WHOLE),
        i128::from(count_millionths),
    )
}

/// One sum over another: ROAS (attributed net revenue, spend), MER (all net revenue, all spend), refund rate
/// (refunded orders, approved orders of the same cohort). `None`: divided by nothing.
pub fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

/// Micros of a currency in its smallest unit, rounded half away from zero. For sums: rounding each row first
/// loses money.
pub fn minor_of_micros(micros: i64, decimals: u32) -> i64 {
    let unit = 10_i128.pow(6_u32.saturating_sub(decimals));
    divided(i128::from(micros), unit).unwrap_or(0)
}

fn divided(amount: i128, by: i128) -> Option<i64> {
    if by == 0 {
        return None;
    }
    let (amount, by) = if by < 0 { (-amount, -by) } else { (amount, by) };
    let half_up = (2 * amount.abs() + by) / (2 * by);
    i64::try_from(half_up * amount.signum()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_half_away_from_zero_to_the_cent() {
        assert_eq!(per(10_000, 3), Some(3_333));
        assert_eq!(per(5, 2), Some(3));
        assert_eq!(per(-5, 2), Some(-3));
        assert_eq!(per(-10_000, 3), Some(-3_333));
        assert_eq!(per(10_000, 0), None);
        // R$ 500.00 of spend for two and a half customers.
        assert_eq!(per_shared(50_000, 2_500_000), Some(20_000));
        assert_eq!(per_shared(i64::MAX, 1), None);
    }

    #[test]
    fn a_ratio_of_nothing_is_nothing_and_not_infinite() {
        assert_eq!(ratio(32_000, 10_000), Some(3.2));
        assert_eq!(ratio(1, 0), None);
    }

    #[test]
    fn micros_become_cents_after_summing() {
        // Google's "costMicros":"12340000" is 12.34.
        assert_eq!(minor_of_micros(12_340_000, 2), 1_234);
        assert_eq!(minor_of_micros(5_000, 2), 1);
        assert_eq!(minor_of_micros(4_999, 2), 0);
        assert_eq!(minor_of_micros(-5_000, 2), -1);
        assert_eq!(minor_of_micros(12_340_000, 0), 12);
        // Three rows of 4,000 micros: together 1 cent, apart none.
        assert_eq!(minor_of_micros(12_000, 2), 1);
    }
}
