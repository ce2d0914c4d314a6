//! A payment as Mercado Pago tells it, what of it is revenue, and which movements the books lack.
//!
//! Source: Mercado Pago, "Payments API", payment status and status detail; "Cancellations and refunds".

mod movements;

use chrono::{DateTime, Utc};

use crate::dataset::Currency;
use crate::person::PersonKeys;
use crate::personal_data;

pub use movements::{Booked, Movement, MovementKind, SETTLED, movements_due};

/// The value of a conversion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConversionValue {
    /// The price of the goods.
    #[default]
    Gross,
    /// What the seller is credited, after the provider's fees.
    Net,
    /// A share of the price.
    Margin(Margin),
}

/// A seller's margin: a share of the price, from a hundredth to all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margin {
    millionths: u32,
}

impl Margin {
    /// `None`: less than a hundredth, or more than all.
    pub fn from_millionths(millionths: i64) -> Option<Self> {
        let millionths = u32::try_from(millionths).ok()?;
        (10_000..=1_000_000)
            .contains(&millionths)
            .then_some(Margin { millionths })
    }

    /// From hundredths, as people say it: 35.5. Digits beyond the fourth are rounded.
    pub fn from_percent(percent: f64) -> Option<Self> {
        let millionths = (percent * 10_000.0).round();
        (10_000.0..=1_000_000.0).contains(&millionths).then_some(Margin {
            millionths: millionths as u32,
        })
    }

    pub fn millionths(self) -> i64 {
        i64::from(self.millionths)
    }

    /// The share of an amount that is not negative, half a unit rounded up.
    fn of(self, minor: i64) -> i64 {
        let share = (i128::from(minor.max(0)) * i128::from(self.millionths) + 500_000) / 1_000_000;
        // A share of an amount is no more than it.
        i64::try_from(share).unwrap_or(minor)
    }
}

impl ConversionValue {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            ConversionValue::Gross => "gross",
            ConversionValue::Net => "net",
            ConversionValue::Margin(_) => "margin",
        }
    }

    /// Of a margin, and only of one.
    pub fn margin(self) -> Option<Margin> {
        match self {
            ConversionValue::Margin(margin) => Some(margin),
            ConversionValue::Gross | ConversionValue::Net => None,
        }
    }

    /// From the word that is stored, and the margin beside it.
    pub fn parse(word: &str, margin: Option<Margin>) -> Option<Self> {
        match (word, margin) {
            ("gross", None) => Some(ConversionValue::Gross),
            ("net", None) => Some(ConversionValue::Net),
            ("margin", Some(margin)) => Some(ConversionValue::Margin(margin)),
            _ => None,
        }
    }
}

/// Money given back by the seller, the buyer protection programme or an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    pub id: String,
    pub amount_minor: i64,
    pub at: DateTime<Utc>,
}

/// A payment as it was read. Amounts are in the smallest unit of its currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    pub id: String,
    /// The user who is paid (`collector_id`).
    pub account_id: i64,
    /// Mercado Pago's words, an open set.
    pub status: String,
    pub status_detail: String,
    pub live_mode: bool,
    pub operation_type: String,
    pub currency: Currency,
    /// The price of the goods.
    pub amount_minor: i64,
    pub refunded_minor: i64,
    /// What the seller is credited; `None` where it is not told, or nothing was credited yet.
    pub net_minor: Option<i64>,
    /// What the seller pays for it.
    pub fee_minor: Option<i64>,
    /// What the buyer paid, with interest and shipping.
    pub total_paid_minor: Option<i64>,
    pub payment_method: String,
    pub payment_type: String,
    pub installments: Option<i32>,
    /// The merchant's own reference. `None` also where it holds personal data, which is not kept.
    pub external_reference: Option<String>,
    /// `metadata.lead_id`.
    pub lead_id: Option<i64>,
    /// The order of the Orders API or the commercial order.
    pub remote_order_id: Option<String>,
    /// Those that were really given back.
    pub refunds: Vec<Refund>,
    /// By what the payer is found.
    pub payer: PersonKeys,
    pub created_at: DateTime<Utc>,
    pub approved_at: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub money_release_at: Option<DateTime<Utc>>,
    /// An order of the Orders API tells of it, and `updated_at` is the order's: another clock than the
    /// payment's own.
    pub told_by_order: bool,
}

/// The `status_detail` of a payment that turned out to be booked under another number, too.
const SAME_AS_ANOTHER: &str = "same_as_another";

/// What a payment is in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Books {
    Counted,
    /// Of the other mode than its account's.
    TestMode,
    /// A transfer, a top-up or the like.
    NotASale,
}

impl Books {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Books::Counted => "counted",
            Books::TestMode => "test_mode",
            Books::NotASale => "not_a_sale",
        }
    }
}

/// What is sold, by Mercado Pago's words; the others move money between accounts.
const SALES: [&str; 3] = ["regular_payment", "recurring_payment", "pos_payment"];

impl Payment {
    /// Whether it counts, in an account of this mode.
    pub fn books(&self, live_mode: bool) -> Books {
        if self.live_mode != live_mode {
            Books::TestMode
        } else if SALES.contains(&self.operation_type.as_str()) {
            Books::Counted
        } else {
            Books::NotASale
        }
    }

    /// Money is credited and still there, or at least part of it.
    pub fn is_paid(&self) -> bool {
        matches!(self.status.as_str(), "approved" | "in_mediation")
    }

    /// It was paid at some time, whatever became of it.
    pub fn was_paid(&self) -> bool {
        self.is_paid() || matches!(self.status.as_str(), "refunded" | "charged_back")
    }

    /// Whether it is of before a state with this status and so much given back, for all that can be told
    /// without a clock.
    pub fn is_behind(&self, status: &str, refunded_minor: i64) -> bool {
        stage(&self.status) < stage(status) || self.refunded_minor < refunded_minor
    }

    /// What takes the books of this number back to nothing: the same money is booked under another one.
    #[must_use]
    pub fn taken_back(self, id: String) -> Self {
        Payment {
            id,
            status: "cancelled".to_owned(),
            status_detail: SAME_AS_ANOTHER.to_owned(),
            refunds: Vec::new(),
            refunded_minor: 0,
            net_minor: None,
            fee_minor: Some(0),
            ..self
        }
    }

    /// See [`Payment::taken_back`].
    pub fn is_taken_back(&self) -> bool {
        self.status_detail == SAME_AS_ANOTHER
    }

    /// What of it is revenue now, in the smallest unit.
    pub fn recognised_minor(&self) -> i64 {
        let rest = self.amount_minor - self.refunded_minor;
        match (self.status.as_str(), self.status_detail.as_str()) {
            ("approved" | "in_mediation", _) | ("charged_back", "reimbursed") => rest,
            _ => 0,
        }
    }

    /// The value of its conversion. Gross where the net is asked for and not told.
    pub fn conversion_minor(&self, value: ConversionValue) -> i64 {
        match (value, self.net_minor) {
            (ConversionValue::Net, Some(net)) if net > 0 => net,
            (ConversionValue::Margin(margin), _) => margin.of(self.amount_minor),
            _ => self.amount_minor,
        }
    }
}

/// How far a payment with this status is on its way.
fn stage(status: &str) -> u8 {
    match status {
        "in_mediation" | "refunded" | "charged_back" => 2,
        "approved" | "rejected" | "cancelled" => 1,
        _ => 0,
    }
}

/// How a merchant's reference to one of our leads begins, so that numbers of its own cannot be taken for one.
const LEAD_REFERENCE: &str = "ld_";
/// How the id of an order begins that has no number but its payment's.
const PAYMENT_ORDER: &str = "mp_";
const LONGEST_REFERENCE: usize = 200;

/// A merchant's reference as it may be kept. `None`: it is none, or holds personal data.
pub fn reference(text: String) -> Option<String> {
    let text = text.trim();
    let is_kept = (1..=LONGEST_REFERENCE).contains(&text.len())
        && !text.contains(char::is_control)
        && !personal_data::holds_personal_data(text);
    is_kept.then(|| text.to_owned())
}

/// The lead that a reference such as `ld_1042` names.
pub fn lead_of_reference(reference: &str) -> Option<i64> {
    let number = reference.strip_prefix(LEAD_REFERENCE)?;
    number.parse().ok().filter(|id| *id > 0)
}

impl Payment {
    /// The lead that the merchant says paid.
    pub fn named_lead(&self) -> Option<i64> {
        self.lead_id
            .or_else(|| lead_of_reference(self.external_reference.as_deref()?))
    }

    /// The order that it says it pays for: the merchant's number of it, or one made of the payment's own. A
    /// reference to a lead is no order: a lead may buy twice. Nor is one of a subscription, which every charge
    /// of it carries.
    pub fn order_id(&self) -> String {
        let is_charge_of_subscription = self.operation_type == "recurring_payment";
        match &self.external_reference {
            Some(reference) if lead_of_reference(reference).is_none() && !is_charge_of_subscription => {
                reference.clone()
            }
            _ => self.own_order_id(),
        }
    }

    /// An order that nothing else pays for.
    pub fn own_order_id(&self) -> String {
        format!("{PAYMENT_ORDER}{}", self.id)
    }
}

/// An amount as a provider writes it, such as `58.8` or `"58.80"`, in the smallest unit. `None`: it is no
/// amount, or has more decimals than the currency.
pub fn minor_units(text: &str, currency: Currency) -> Option<i64> {
    let decimals = currency.decimals() as usize;
    let (digits, sign) = match text.strip_prefix('-') {
        Some(digits) => (digits, -1),
        None => (text, 1),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || whole.len() > 12 || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    if fraction.len() > decimals {
        return None;
    }
    let minor: i64 = format!("{whole}{fraction:0<decimals$}").parse().ok()?;
    Some(sign * minor)
}

/// As [`minor_units`] is written: with all decimals of the currency.
pub fn major_units(minor: i64, currency: Currency) -> String {
    let (decimals, sign) = (currency.decimals(), if minor < 0 { "-" } else { "" });
    let (minor, unit) = (minor.unsigned_abs(), 10_u64.pow(decimals));
    match decimals {
        0 => format!("{sign}{minor}"),
        _ => format!(
            "{sign}{}.{:0width$}",
            minor / unit,
            minor % unit,
            width = decimals as usize
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn brl() -> Currency {
        Currency::parse("BRL").unwrap()
    }

    #[test]
    fn a_margin_is_a_share_of_the_price_rounded_to_the_smallest_unit() {
        // By hand: 199.90 * 35.5 % = 70.9645, 0.01 * 50 % = half a cent, 3 * 33.3333 % = 0.999999.
        let margin = |percent| Margin::from_percent(percent).unwrap();
        assert_eq!(margin(35.5).of(19_990), 7_096);
        assert_eq!(margin(50.0).of(1), 1);
        assert_eq!(margin(33.3333).of(3), 1);
        assert_eq!(margin(1.0).of(49), 0);
        assert_eq!(margin(100.0).of(i64::MAX), i64::MAX);
        assert_eq!(margin(35.0).of(-100), 0);
        for wrong in [0.0, 0.99, 100.01, -35.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Margin::from_percent(wrong), None, "{wrong}");
        }
        assert_eq!(Margin::from_millionths(355_000), Margin::from_percent(35.5));
        assert_eq!(ConversionValue::parse("margin", None), None);
        assert_eq!(ConversionValue::parse("gross", Margin::from_percent(35.0)), None);
    }

    #[test]
    fn references_name_orders_or_leads_and_hold_no_personal_data() {
        let kept = |text: &str| reference(text.to_owned());
        assert_eq!(kept(" 1042 ").as_deref(), Some("1042"));
        for text in ["", "ana@example.com", "a\u{0}", &"x".repeat(201)] {
            assert_eq!(kept(text), None, "{text}");
        }
        assert_eq!(lead_of_reference("ld_77"), Some(77));
        for text in ["77", "ld_", "ld_-1", "ld_x", "lead_77"] {
            assert_eq!(lead_of_reference(text), None, "{text}");
        }
    }

    fn payment(status: &str, reference: Option<&str>) -> Payment {
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        Payment {
            id: "7".into(),
            account_id: 44_444,
            status: status.into(),
            status_detail: "accredited".into(),
            live_mode: true,
            operation_type: "regular_payment".into(),
            currency: brl(),
            amount_minor: 5_000,
            refunded_minor: 0,
            net_minor: None,
            fee_minor: None,
            total_paid_minor: None,
            payment_method: "pix".into(),
            payment_type: "bank_transfer".into(),
            installments: None,
            external_reference: reference.map(Into::into),
            lead_id: None,
            remote_order_id: None,
            refunds: Vec::new(),
            payer: PersonKeys::default(),
            created_at: at,
            approved_at: Some(at),
            updated_at: at,
            expires_at: None,
            money_release_at: None,
            told_by_order: false,
        }
    }

    #[test]
    fn a_reference_is_an_order_but_not_a_leads_and_not_a_subscriptions() {
        let order = |reference, operation: &str| {
            let payment = Payment {
                operation_type: operation.into(),
                ..payment("approved", reference)
            };
            payment.order_id()
        };
        assert_eq!(order(Some("1042"), "regular_payment"), "1042");
        assert_eq!(order(Some("1042"), "pos_payment"), "1042");
        assert_eq!(order(Some("1042"), "recurring_payment"), "mp_7");
        assert_eq!(order(Some("ld_9"), "regular_payment"), "mp_7");
        assert_eq!(order(None, "regular_payment"), "mp_7");
    }

    #[test]
    fn a_payment_goes_on_and_its_refunds_grow() {
        for (read, known, is_behind) in [
            ("pending", "pending", false),
            ("pending", "approved", true),
            ("approved", "pending", false),
            ("approved", "approved", false),
            // Paid at the last moment: the order had given it up.
            ("approved", "cancelled", false),
            ("approved", "refunded", true),
            ("charged_back", "approved", false),
        ] {
            let payment = payment(read, None);
            assert_eq!(payment.is_behind(known, 0), is_behind, "{read} after {known}");
        }
        assert!(payment("approved", None).is_behind("approved", 1));
    }

    #[test]
    fn a_payment_that_is_taken_back_brings_nothing_and_costs_nothing() {
        let taken_back = payment("approved", None).taken_back("PAY7".into());
        assert!(taken_back.is_taken_back() && !taken_back.was_paid());
        assert_eq!(
            (taken_back.id.as_str(), taken_back.recognised_minor()),
            ("PAY7", 0)
        );
        assert_eq!(taken_back.fee_minor, Some(0));
    }

    #[test]
    fn amounts_are_read_digit_by_digit() {
        for (text, minor) in [
            ("58.8", 5_880),
            ("12.34", 1_234),
            ("0.62", 62),
            ("11.72", 1_172),
            ("150.00", 15_000),
            ("150", 15_000),
            ("0", 0),
            ("-43.04", -4_304),
            ("1019.990", 101_999),
        ] {
            assert_eq!(minor_units(text, brl()), Some(minor), "{text}");
        }
        for text in [
            "",
            ".5",
            "1,50",
            "1e2",
            "0.001",
            "abc",
            "1.2.3",
            "+1",
            "--1",
            "9999999999999",
        ] {
            assert_eq!(minor_units(text, brl()), None, "{text}");
        }
        assert_eq!(minor_units("5", Currency::parse("CLP").unwrap()), Some(5));
        assert_eq!(minor_units("5.5", Currency::parse("CLP").unwrap()), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same_amount(minor in -1_000_000_000_i64..1_000_000_000) {
            prop_assert_eq!(minor_units(&major_units(minor, brl()), brl()), Some(minor));
        }
    }
}
