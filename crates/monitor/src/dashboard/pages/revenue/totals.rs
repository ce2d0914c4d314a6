//! Sums of the period and the figures that are made from them: ratios of sums, never means of ratios.

use rastro_core::metrics::{per_shared, ratio};
use rastro_store::ChannelRevenue;

use super::terms::Cash;

/// Fewer new customers than this say nothing about what one costs.
pub(super) const LEAST_CUSTOMERS: i64 = 10_000_000;
pub(super) const UNMATCHED: &str = "unmatched";

/// Of some channels. Money in minor units, people and orders in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub spend_micros: i64,
    pub leads: i64,
    pub qualified: i64,
    pub orders: i64,
    pub new_customers: i64,
    pub gross_minor: i64,
    pub net_minor: i64,
    pub fee_minor: i64,
    /// Of paid channels alone.
    pub paid_net_minor: i64,
    pub paid_customers: i64,
    /// Of orders that nobody knows the way of.
    pub unmatched_gross_minor: i64,
}

impl Totals {
    pub(super) fn of(channels: &[ChannelRevenue]) -> Self {
        let mut sum = Totals::default();
        for channel in channels {
            sum.spend_micros += channel.spend_micros;
            sum.leads += channel.leads_millionths;
            sum.qualified += channel.qualified_millionths;
            sum.orders += channel.orders_millionths;
            sum.new_customers += channel.new_customers_millionths;
            sum.gross_minor += channel.gross_minor;
            sum.net_minor += channel.net_minor;
            sum.fee_minor += channel.fee_minor;
            if channel.paid {
                sum.paid_net_minor += channel.net_minor;
                sum.paid_customers += channel.new_customers_millionths;
            }
            if channel.channel == UNMATCHED {
                sum.unmatched_gross_minor += channel.gross_minor;
            }
        }
        sum
    }

    /// Net revenue that is credited to ads, over what ads cost.
    pub(super) fn roas(&self, cash: Cash<'_>) -> Option<f64> {
        ratio(self.paid_net_minor, cash.of_micros(self.spend_micros))
    }

    /// All net revenue, over what ads cost.
    pub(super) fn mer(&self, cash: Cash<'_>) -> Option<f64> {
        ratio(self.net_minor, cash.of_micros(self.spend_micros))
    }

    /// Spend over new customers that are credited to ads. `None`: nothing was spent, or there are too few of
    /// them.
    pub(super) fn cost_per_customer(&self, cash: Cash<'_>) -> Option<i64> {
        cost(cash, self.spend_micros, self.paid_customers)
    }

    /// Spend over all new customers.
    pub(super) fn blended_cost(&self, cash: Cash<'_>) -> Option<i64> {
        cost(cash, self.spend_micros, self.new_customers)
    }

    pub(super) fn nothing_was(&self) -> bool {
        *self == Totals::default()
    }
}

/// Spend over new customers, in minor units.
pub(super) fn cost(cash: Cash<'_>, spend_micros: i64, customers_millionths: i64) -> Option<i64> {
    if customers_millionths < LEAST_CUSTOMERS || spend_micros == 0 {
        return None;
    }
    per_shared(cash.of_micros(spend_micros), customers_millionths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::words::Lang;

    fn channel(name: &str, paid: bool, spend: i64, net: i64, customers: i64) -> ChannelRevenue {
        ChannelRevenue {
            channel: name.into(),
            paid,
            spend_micros: spend * 1_000_000,
            clicks: 0,
            leads_millionths: 0,
            qualified_millionths: 0,
            orders_millionths: customers * 1_000_000,
            new_customers_millionths: customers * 1_000_000,
            gross_minor: net * 100,
            net_minor: net * 100,
            fee_minor: 0,
            claimed_micros: 0,
        }
    }

    /// R$ 4,100 to Google brought R$ 17,220, R$ 7,520 to Meta R$ 21,056; R$ 4,000 came without origin and
    /// R$ 5,944 by other ways.
    #[test]
    fn a_period_is_what_was_reckoned_by_hand() {
        let channels = [
            channel("meta", true, 7_520, 21_056, 60),
            channel("google", true, 4_100, 17_220, 40),
            channel("unmatched", false, 0, 4_000, 8),
            channel("direct", false, 0, 5_944, 17),
        ];
        let (totals, cash) = (
            Totals::of(&channels),
            Cash {
                lang: Lang::Pt,
                currency: "BRL",
            },
        );
        // 38,276 / 11,620 = 3.29397...; 48,220 / 11,620 = 4.14974...
        assert!((totals.roas(cash).unwrap() - 3.293_975_9).abs() < 1e-6);
        assert!((totals.mer(cash).unwrap() - 4.149_741_8).abs() < 1e-6);
        // 11,620 / 100 and 11,620 / 125 = 92.96.
        assert_eq!(totals.cost_per_customer(cash), Some(11_620));
        assert_eq!(totals.blended_cost(cash), Some(9_296));
        assert_eq!(totals.unmatched_gross_minor, 400_000);
        // Yen have no cents: 11,620 yen over 3,827,600 yen of the same digits.
        let yen = Cash {
            lang: Lang::Pt,
            currency: "JPY",
        };
        assert!((totals.roas(yen).unwrap() - 329.397_59).abs() < 1e-4);
    }

    #[test]
    fn nine_customers_are_too_few_and_nothing_spent_is_no_ratio() {
        let cash = Cash {
            lang: Lang::Pt,
            currency: "BRL",
        };
        let few = Totals::of(&[channel("meta", true, 900, 1, 9)]);
        assert_eq!(few.cost_per_customer(cash), None);
        let free = Totals::of(&[channel("direct", false, 0, 100, 20)]);
        assert_eq!((free.roas(cash), free.blended_cost(cash)), (None, None));
        assert!(Totals::of(&[]).nothing_was());
    }
}
