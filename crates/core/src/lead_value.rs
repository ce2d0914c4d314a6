//! What a lead is likely worth: what the settled leads of its campaign brought, on average. Of a campaign
//! with few orders nothing is said, and nothing of a lead that no campaign is known to have brought.

use crate::attribution::{Origin, TouchWords};
use crate::dataset::Currency;
use crate::payment::major_units;
use crate::touchpoint::Touchpoint;

/// Touches before these many milliseconds bring nobody: 30 days.
const WINDOW_MS: i64 = 30 * 86_400_000;

/// Whether the event of a lead carries a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeadValue {
    /// Only one that its sender gives it.
    #[default]
    None,
    /// Where its sender gives none, [`CampaignSales::predicted_minor`].
    Predicted,
}

impl LeadValue {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            LeadValue::None => "none",
            LeadValue::Predicted => "predicted",
        }
    }

    /// From the word that is stored.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "none" => Some(LeadValue::None),
            "predicted" => Some(LeadValue::Predicted),
            _ => None,
        }
    }
}

/// What the leads that a campaign brought became, of those that have had the time to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CampaignSales {
    pub leads: i64,
    /// Leads that bought at least once.
    pub buyers: i64,
    pub orders: i64,
    /// What is left of these orders after refunds and chargebacks, in the smallest unit.
    pub net_minor: i64,
}

impl CampaignSales {
    /// The share of leads that bought times the mean net order, rounded half up to the smallest unit. `None`:
    /// there are fewer orders than `minimum_orders`, or what they brought is nothing.
    pub fn predicted_minor(&self, minimum_orders: u32) -> Option<i64> {
        let has_volume = self.orders >= i64::from(minimum_orders.max(1)) && self.leads > 0;
        if !has_volume || self.net_minor <= 0 {
            return None;
        }
        let (over, under) = (
            i128::from(self.buyers) * i128::from(self.net_minor),
            i128::from(self.leads) * i128::from(self.orders),
        );
        i64::try_from((2 * over + under) / (2 * under))
            .ok()
            .filter(|minor| *minor > 0)
    }
}

/// An amount of a currency, in its smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worth {
    pub minor: i64,
    pub currency: Currency,
}

impl Worth {
    /// With all decimals of the currency.
    pub fn major_units(&self) -> String {
        major_units(self.minor, self.currency)
    }
}

/// The campaign that brought a lead which came at `until_ms`: of the newest paid touch that names one.
pub fn campaign_of(touches: impl IntoIterator<Item = (i64, Origin)>, until_ms: i64) -> Option<Origin> {
    let named = touches.into_iter().filter(|(at_ms, origin)| {
        (until_ms - WINDOW_MS..=until_ms).contains(at_ms) && origin.paid && !origin.campaign_key.is_empty()
    });
    // Of two at once always the same one.
    named.max().map(|(_, origin)| origin)
}

/// When a contact was, and where it came from.
pub fn dated_origin(touch: &Touchpoint) -> (i64, Origin) {
    let has = |names: &[&str]| names.iter().any(|name| touch.get(name).is_some());
    let origin = Origin::of(&TouchWords {
        channel: touch.channel,
        utm_source: touch.get("utm_source"),
        utm_campaign: touch.get("utm_campaign"),
        utm_id: touch.get("utm_id"),
        has_google_click: has(&["gclid", "gbraid", "wbraid"]),
        has_microsoft_click: has(&["msclkid"]),
        has_tiktok_click: has(&["ttclid"]),
        has_meta_click: has(&["fbclid"]),
    });
    (touch.at_ms, origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_rate_times_the_mean_order_and_never_a_guess() {
        // 200 leads, 30 of them bought 40 times for 12,345.67: 30/200 x 12,345.67/40 = 46.296...
        let sales = CampaignSales {
            leads: 200,
            buyers: 30,
            orders: 40,
            net_minor: 1_234_567,
        };
        assert_eq!(sales.predicted_minor(40), Some(4_630));
        assert_eq!(sales.predicted_minor(41), None);
        assert_eq!(CampaignSales::default().predicted_minor(0), None);
        let refunded = CampaignSales {
            net_minor: 0,
            ..sales
        };
        assert_eq!(refunded.predicted_minor(1), None);
        // Half a cent is rounded up, and less than that is no value.
        let of = |net_minor| {
            CampaignSales {
                leads: 2,
                buyers: 1,
                orders: 1,
                net_minor,
            }
            .predicted_minor(1)
        };
        assert_eq!((of(3), of(1)), (Some(2), Some(1)));
        let thin = CampaignSales {
            leads: 300,
            buyers: 1,
            orders: 1,
            net_minor: 100,
        };
        assert_eq!(thin.predicted_minor(1), None);
    }

    #[test]
    fn the_newest_paid_touch_that_names_its_campaign_brought_the_lead() {
        let origin = |channel: &str, campaign_key: &str, paid| Origin {
            channel: channel.to_owned(),
            campaign_key: campaign_key.to_owned(),
            campaign_name: String::new(),
            paid,
        };
        const DAY: i64 = 86_400_000;
        let touches = vec![
            (70 * DAY, origin("meta", "1", true)),
            (80 * DAY, origin("google", "2", true)),
            (90 * DAY, origin("google", "", true)),
            (95 * DAY, origin("email", "news", false)),
            (101 * DAY, origin("meta", "3", true)),
        ];
        let of = |until| campaign_of(touches.clone(), until).map(|origin| origin.campaign_key);
        assert_eq!(of(100 * DAY).as_deref(), Some("2"));
        assert_eq!(of(100 * DAY + 10 * DAY + 1).as_deref(), Some("3"));
        assert_eq!(of(75 * DAY).as_deref(), Some("1"));
        assert_eq!(of(69 * DAY), None);
    }
}
