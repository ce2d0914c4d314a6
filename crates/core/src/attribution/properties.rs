//! What holds of every path and every amount.

use proptest::prelude::*;

use super::markov::Transitions;
use super::{Model, Step, allocate, weights};

const CHANNELS: [&str; 5] = ["meta", "google", "email", "direct", "organic_search"];

fn paths() -> impl Strategy<Value = Vec<(i64, usize)>> {
    prop::collection::vec((0..40_i64 * 86_400_000, 0..CHANNELS.len()), 1..40)
}

fn steps(path: &[(i64, usize)]) -> Vec<Step<'static>> {
    let step = |(before_ms, channel): &(i64, usize)| Step {
        before_ms: *before_ms,
        channel: CHANNELS[*channel],
    };
    path.iter().map(step).collect()
}

proptest! {
    #[test]
    fn the_credits_of_an_order_are_the_order(total in any::<i64>(), path in paths()) {
        let steps = steps(&path);
        let mut seen = Transitions::default();
        seen.add(steps.iter().map(|step| step.channel), true);
        let effects = seen.removal_effects();
        for model in Model::ALL {
            let parts = allocate(total, &weights(model, &steps, effects.as_ref()));
            prop_assert_eq!(parts.len(), steps.len());
            prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(total));
            prop_assert!(parts.iter().all(|part| *part == 0 || part.signum() == total.signum()));
        }
    }

    #[test]
    fn equal_weights_differ_by_a_cent_at_most(total in any::<i64>(), count in 1..50_usize) {
        let parts = allocate(total, &vec![1; count]);
        let (least, most) = (parts.iter().min().unwrap(), parts.iter().max().unwrap());
        prop_assert!(i128::from(*most) - i128::from(*least) <= 1);
    }

    /// However a full refund came about, in one step or in many, nothing of the order stays anywhere.
    #[test]
    fn refunds_in_steps_end_where_one_refund_does(
        total in 1..10_000_000_i64,
        shares in prop::collection::vec(0..100_i64, 0..6),
        path in paths(),
    ) {
        let weights = weights(Model::Linear, &steps(&path), None);
        let mut posted = allocate(total, &weights);
        for left in shares.iter().map(|share| total * share / 100).chain([0]) {
            let target = allocate(left, &weights);
            let deltas: Vec<i64> = target.iter().zip(&posted).map(|(new, old)| new - old).collect();
            for (sum, delta) in posted.iter_mut().zip(deltas) {
                *sum += delta;
            }
        }
        prop_assert!(posted.iter().all(|part| *part == 0));
    }

    #[test]
    fn no_part_is_a_cent_away_from_its_share(total in 0..1_000_000_000_i64, weights in prop::collection::vec(1..1000_u64, 1..30)) {
        let sum: u64 = weights.iter().sum();
        for (part, weight) in allocate(total, &weights).iter().zip(&weights) {
            let exact = total as f64 * *weight as f64 / sum as f64;
            prop_assert!((*part as f64 - exact).abs() < 1.000_001, "{part} is not {exact}");
        }
    }
}
