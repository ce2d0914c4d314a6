//! The models: how much each touch of a path weighs.

use super::markov::RemovalEffects;

/// A way to divide an order between the touches before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Model {
    /// The same to each. What is shown unless something else was asked for.
    Linear,
    First,
    Last,
    /// The last one that came by some way that can be named.
    LastNonDirect,
    /// Half as much for each week between touch and order.
    TimeDecay,
    /// 40 % to the first, 40 % to the last, the rest to those between.
    Position,
    /// By how many conversions would be missed without the channel. Needs volume.
    Markov,
}

impl Model {
    pub const ALL: [Model; 7] = [
        Model::Linear,
        Model::First,
        Model::Last,
        Model::LastNonDirect,
        Model::TimeDecay,
        Model::Position,
        Model::Markov,
    ];

    /// The word that is stored and shown in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Model::Linear => "linear",
            Model::First => "first",
            Model::Last => "last",
            Model::LastNonDirect => "last_non_direct",
            Model::TimeDecay => "time_decay",
            Model::Position => "position",
            Model::Markov => "markov",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Model::ALL.into_iter().find(|model| model.as_str() == word)
    }
}

/// A touch of a path, as the models see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step<'a> {
    /// From the touch to the order, in milliseconds, not negative.
    pub before_ms: i64,
    pub channel: &'a str,
}

const DIRECT: &str = "direct";
/// After so many days a touch weighs half.
const HALF_LIFE_DAYS: f64 = 7.0;
const DAY_MS: f64 = 86_400_000.0;
/// What a weight of one is as an integer.
const ONE: f64 = 4_294_967_296.0;

/// How much each touch weighs, the oldest first. Only the proportions mean something. `effects`: for
/// [`Model::Markov`]; without them there was not the volume for it, and the weights are those of
/// [`Model::Position`].
pub fn weights(model: Model, steps: &[Step<'_>], effects: Option<&RemovalEffects>) -> Vec<u64> {
    let count = steps.len();
    let only = |chosen: usize| (0..count).map(|index| u64::from(index == chosen)).collect();
    match (model, effects) {
        (Model::Linear, _) => vec![1; count],
        (Model::First, _) => only(0),
        (Model::Last, _) => only(count.saturating_sub(1)),
        (Model::LastNonDirect, _) => {
            let named = steps.iter().rposition(|step| step.channel != DIRECT);
            only(named.unwrap_or(count.saturating_sub(1)))
        }
        (Model::TimeDecay, _) => steps.iter().map(|step| decayed(step.before_ms)).collect(),
        (Model::Markov, Some(effects)) => steps.iter().map(|step| by_effect(step, steps, effects)).collect(),
        (Model::Position | Model::Markov, _) => position(count),
    }
}

/// 0.4, 0.2 divided by those between, 0.4: in whole numbers.
fn position(count: usize) -> Vec<u64> {
    if count < 3 {
        return vec![1; count];
    }
    let end = 2 * (count as u64 - 2);
    (0..count)
        .map(|index| if index == 0 || index == count - 1 { end } else { 1 })
        .collect()
}

fn decayed(before_ms: i64) -> u64 {
    let days = before_ms.max(0) as f64 / DAY_MS;
    fixed((-days / HALF_LIFE_DAYS).exp2())
}

/// A channel's effect is its own once, however often a path came by it.
fn by_effect(step: &Step<'_>, steps: &[Step<'_>], effects: &RemovalEffects) -> u64 {
    let same = steps.iter().filter(|other| other.channel == step.channel).count();
    fixed(effects.of(step.channel) / same as f64)
}

/// At least one: no touch of a path is worth nothing at all.
fn fixed(weight: f64) -> u64 {
    ((weight * ONE).round() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::allocate;
    use super::*;

    fn steps(days: &[f64]) -> Vec<Step<'static>> {
        let step = |days: &f64| Step {
            before_ms: (days * DAY_MS) as i64,
            channel: "meta",
        };
        days.iter().map(step).collect()
    }

    fn split(total: i64, model: Model, days: &[f64]) -> Vec<i64> {
        allocate(total, &weights(model, &steps(days), None))
    }

    /// Printed in the reference, 6.4.
    #[test]
    fn reference_vectors_by_model() {
        assert_eq!(split(10_000, Model::Linear, &[9.0, 5.0, 1.0]), [3334, 3333, 3333]);
        assert_eq!(
            split(19_990, Model::Position, &[9.0, 5.0, 2.0, 1.0]),
            [7996, 1999, 1999, 7996]
        );
        assert_eq!(
            split(9_999, Model::Position, &[9.0, 5.0, 1.0]),
            [4000, 2000, 3999]
        );
        assert_eq!(split(9_999, Model::Position, &[9.0, 5.0]), [5000, 4999]);
        assert_eq!(
            split(14_990, Model::TimeDecay, &[14.0, 7.0, 0.0]),
            [2141, 4283, 8566]
        );
    }

    #[test]
    fn one_touch_takes_all_under_every_model() {
        for model in Model::ALL {
            assert_eq!(split(9_999, model, &[3.0]), [9_999], "{model:?}");
            assert_eq!(Model::parse(model.as_str()), Some(model));
        }
    }

    #[test]
    fn first_last_and_last_non_direct_choose_one() {
        let mut path = steps(&[9.0, 5.0, 1.0]);
        path[2].channel = "direct";
        let of = |model| allocate(500, &weights(model, &path, None));
        assert_eq!(of(Model::First), [500, 0, 0]);
        assert_eq!(of(Model::Last), [0, 0, 500]);
        assert_eq!(of(Model::LastNonDirect), [0, 500, 0]);
        let direct = [
            Step {
                before_ms: 2,
                channel: "direct",
            },
            Step {
                before_ms: 1,
                channel: "direct",
            },
        ];
        assert_eq!(weights(Model::LastNonDirect, &direct, None), [0, 1]);
    }

    #[test]
    fn a_touch_of_half_a_year_ago_still_weighs_something() {
        assert_eq!(
            weights(Model::TimeDecay, &steps(&[9_000.0, 0.0]), None),
            [1, 1 << 32]
        );
    }
}
