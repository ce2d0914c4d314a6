//! An order and the touches before it become credits: its money, in parts, under each model.

use super::markov::RemovalEffects;
use super::{Lookback, Model, Origin, Step, WHOLE, allocate, path, weights};

/// What is split. Amounts in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderMoney {
    pub placed_ms: i64,
    /// Approved.
    pub gross_minor: i64,
    /// Left after refunds and chargebacks.
    pub net_minor: i64,
    /// Kept by the payment provider.
    pub fee_minor: i64,
}

/// A contact of the buyer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// `None`: there was none, and the origin says why.
    pub at_ms: Option<i64>,
    pub origin: Origin,
}

/// A part of an order under a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    pub model: Model,
    /// Of the touch in the path, from 1.
    pub position: i16,
    pub touch: Touch,
    pub order_millionths: i64,
    pub gross_minor: i64,
    pub net_minor: i64,
    pub fee_minor: i64,
}

/// By what orders are credited.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub lookback: Lookback,
    /// For Markov; `None`: there was not the volume, and it is as position is.
    pub effects: Option<RemovalEffects>,
}

/// The touches that count, never none: of a person without any it is a direct visit, and of nobody an
/// unmatched order.
pub fn chosen(touches: &[Touch], until_ms: i64, person_known: bool, lookback: &Lookback) -> Vec<Touch> {
    let chosen: Vec<Touch> = path(touches, until_ms, lookback, |touch| {
        (
            touch.at_ms.unwrap_or(until_ms),
            &*touch.origin.channel,
            &*touch.origin.campaign_key,
        )
    })
    .into_iter()
    .cloned()
    .collect();
    match chosen.is_empty() {
        false => chosen,
        true if person_known => vec![Touch {
            at_ms: None,
            origin: Origin::direct(),
        }],
        true => vec![Touch {
            at_ms: None,
            origin: Origin::unmatched(),
        }],
    }
}

/// How much of a conversion each touch of a path is, in millionths; they add up to [`WHOLE`].
pub fn shares(model: Model, path: &[Touch], until_ms: i64, effects: Option<&RemovalEffects>) -> Vec<i64> {
    allocate(WHOLE, &weights(model, &steps(path, until_ms), effects))
}

/// An order's credits under every model. Parts of nothing are left out, except under [`Model::Linear`], whose
/// parts are the path.
pub fn credits(order: &OrderMoney, path: &[Touch], rules: &Rules) -> Vec<Credit> {
    let steps = steps(path, order.placed_ms);
    let mut credits = Vec::new();
    for model in Model::ALL {
        let weights = weights(model, &steps, rules.effects.as_ref());
        let split = |total| allocate(total, &weights);
        let (orders, gross) = (split(WHOLE), split(order.gross_minor));
        let (net, fee) = (split(order.net_minor), split(order.fee_minor));
        for (index, touch) in path.iter().enumerate() {
            if weights[index] > 0 || model == Model::Linear {
                credits.push(Credit {
                    model,
                    position: i16::try_from(index + 1).unwrap_or(i16::MAX),
                    touch: touch.clone(),
                    order_millionths: orders[index],
                    gross_minor: gross[index],
                    net_minor: net[index],
                    fee_minor: fee[index],
                });
            }
        }
    }
    credits
}

fn steps(path: &[Touch], until_ms: i64) -> Vec<Step<'_>> {
    let step = |touch: &'_ Touch| until_ms - touch.at_ms.unwrap_or(until_ms);
    path.iter()
        .map(|touch| Step {
            before_ms: step(touch),
            channel: &touch.origin.channel,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn touch(day: i64, channel: &str) -> Touch {
        let origin = Origin {
            channel: channel.to_owned(),
            ..Origin::direct()
        };
        Touch {
            at_ms: Some(day * DAY),
            origin,
        }
    }

    fn order(net_minor: i64) -> OrderMoney {
        OrderMoney {
            placed_ms: 40 * DAY,
            gross_minor: 10_000,
            net_minor,
            fee_minor: 499,
        }
    }

    fn of(model: Model, credits: &[Credit]) -> Vec<(i16, i64)> {
        let own = credits.iter().filter(|credit| credit.model == model);
        own.map(|credit| (credit.position, credit.net_minor)).collect()
    }

    #[test]
    fn an_order_is_split_under_every_model_and_nothing_of_it_is_lost() {
        let touches = [
            touch(39, "google"),
            touch(20, "meta"),
            touch(30, "email"),
            touch(5, "meta"),
        ];
        let path = chosen(&touches, 40 * DAY, true, &Lookback::default());
        let credits = credits(&order(10_000), &path, &Rules::default());
        assert_eq!(of(Model::Linear, &credits), [(1, 3334), (2, 3333), (3, 3333)]);
        assert_eq!(of(Model::First, &credits), [(1, 10_000)]);
        assert_eq!(of(Model::Last, &credits), [(3, 10_000)]);
        assert_eq!(of(Model::Position, &credits), of(Model::Markov, &credits));
        for model in Model::ALL {
            let own: Vec<&Credit> = credits.iter().filter(|credit| credit.model == model).collect();
            assert_eq!(
                own.iter().map(|credit| credit.order_millionths).sum::<i64>(),
                WHOLE
            );
            assert_eq!(own.iter().map(|credit| credit.fee_minor).sum::<i64>(), 499);
        }
    }

    #[test]
    fn a_refund_in_full_leaves_no_cent_anywhere_and_the_path_as_it_was() {
        let path = [touch(20, "meta"), touch(30, "google"), touch(39, "email")];
        let credits = credits(&order(0), &path, &Rules::default());
        assert!(credits.iter().all(|credit| credit.net_minor == 0));
        assert_eq!(of(Model::Linear, &credits).len(), 3);
    }

    #[test]
    fn who_is_known_and_came_by_nothing_came_directly_and_who_is_not_is_unmatched() {
        let of = |known| {
            chosen(&[], DAY, known, &Lookback::default())[0]
                .origin
                .channel
                .clone()
        };
        assert_eq!(
            (of(true), of(false)),
            ("direct".to_owned(), "unmatched".to_owned())
        );
    }
}
