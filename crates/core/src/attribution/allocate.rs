//! Splits an amount without losing a cent: the largest-remainder method.

/// Splits `total` in proportion to `weights`. The parts add up to `total`; what does not divide goes, a unit
/// each, to the largest remainders, and of equal ones to the earliest. A negative total is split as its
/// amount, and negated.
///
/// Weights that are all zero count as equal. No weights: no parts.
pub fn allocate(total: i64, weights: &[u64]) -> Vec<i64> {
    let amount = u128::from(total.unsigned_abs());
    let sum: u128 = weights.iter().copied().map(u128::from).sum();
    if sum == 0 {
        return match weights.len() {
            0 => Vec::new(),
            count => allocate(total, &vec![1; count]),
        };
    }
    let mut parts: Vec<u128> = Vec::with_capacity(weights.len());
    let mut remainders: Vec<(u128, usize)> = Vec::with_capacity(weights.len());
    for (index, weight) in weights.iter().enumerate() {
        // At most 2^64 x 2^64: a u128 holds it.
        let share = amount * u128::from(*weight);
        parts.push(share / sum);
        remainders.push((share % sum, index));
    }
    let rest = amount - parts.iter().sum::<u128>();
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, index) in remainders
        .iter()
        .take(usize::try_from(rest).unwrap_or(usize::MAX))
    {
        parts[*index] += 1;
    }
    let signed = |part: u128| {
        let part = i128::try_from(part).unwrap_or(i128::MAX) * i128::from(total.signum());
        // No part is beyond the whole.
        i64::try_from(part).unwrap_or(total)
    };
    parts.into_iter().map(signed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed in the reference of this product, 6.4; computed there by hand.
    #[test]
    fn reference_vectors_of_splitting_cents() {
        assert_eq!(allocate(10_000, &[1, 1, 1]), [3334, 3333, 3333]);
        assert_eq!(allocate(100, &[1; 7]), [15, 15, 14, 14, 14, 14, 14]);
        assert_eq!(allocate(19_990, &[4, 1, 1, 4]), [7996, 1999, 1999, 7996]);
        assert_eq!(allocate(9_999, &[2, 1, 2]), [4000, 2000, 3999]);
        assert_eq!(allocate(9_999, &[1, 1]), [5000, 4999]);
        assert_eq!(allocate(14_990, &[1 << 30, 1 << 31, 1 << 32]), [2141, 4283, 8566]);
        assert_eq!(allocate(-5_000, &[1, 1, 1]), [-1667, -1667, -1666]);
    }

    #[test]
    fn a_refund_is_the_difference_to_the_allocation_of_what_remains() {
        let before = allocate(10_000, &[1, 1, 1]);
        let after = allocate(5_000, &[1, 1, 1]);
        assert_eq!(after, [1667, 1667, 1666]);
        let posted: Vec<i64> = after.iter().zip(&before).map(|(new, old)| new - old).collect();
        assert_eq!(posted, [-1667, -1666, -1667]);
        assert_eq!(allocate(0, &[1, 1, 1]), [0, 0, 0]);
    }

    #[test]
    fn nothing_to_weigh_by_is_no_reason_to_lose_money() {
        assert_eq!(allocate(7, &[0, 0]), [4, 3]);
        assert_eq!(allocate(7, &[]), Vec::<i64>::new());
        assert_eq!(allocate(i64::MIN, &[1]), [i64::MIN]);
        assert_eq!(
            allocate(i64::MAX, &[u64::MAX, u64::MAX])
                .iter()
                .map(|part| i128::from(*part))
                .sum::<i128>(),
            i128::from(i64::MAX)
        );
    }
}
