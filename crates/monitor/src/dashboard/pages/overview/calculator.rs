//! What a customer costs: the visitor's numbers, and ours where there are none.

use maud::{Markup, html};
use rastro_store::dashboard::Calculator;

use super::data::{Numbers, OverviewData, Period};
use crate::dashboard::charts;
use crate::dashboard::layout::{self, Frame, missing};
use crate::dashboard::words::{Lang, NONE};

pub(super) fn card(frame: &Frame, period: Period, data: &OverviewData) -> Markup {
    let title = frame
        .lang
        .t("Quanto custa um cliente?", "What does a customer cost?");
    let note = frame
        .lang
        .t("com os seus números de 30 dias", "with your numbers of 30 days");
    layout::card("c5", "calc", title, note, &draw(frame, period, data))
}

/// What the numbers come to; `None`: one of them is missing, or would be divided by.
struct Figures {
    spend: Option<f64>,
    leads: Option<f64>,
    /// Leads that buy, in percent.
    rate: Option<f64>,
    ticket: Option<f64>,
    cost_per_lead: Option<f64>,
    cost_per_customer: Option<f64>,
    /// Revenue for each unit of money that was spent.
    back: Option<f64>,
    /// The rate at which revenue and spend are even, in percent.
    rate_to_break_even: Option<f64>,
}

impl Figures {
    fn of(numbers: Numbers, known: &Calculator) -> Self {
        let Numbers {
            spend,
            leads,
            rate,
            ticket,
        } = numbers;
        let leads = leads.or((known.leads > 0).then(|| charts::f(known.leads)));
        let rate = rate.or((known.leads > 0 && known.orders > 0)
            .then(|| (charts::f(known.orders) / charts::f(known.leads) * 100.0).min(100.0)));
        let ticket = ticket.or((known.orders > 0 && known.currencies == 1)
            .then(|| known.revenue.unwrap_or_default() / charts::f(known.orders)));
        let over = |part: Option<f64>, whole: Option<f64>| {
            let both = part.zip(whole).filter(|(_, whole)| *whole > 0.0);
            both.map(|(part, whole)| part / whole)
        };
        let times = |one: Option<f64>, other: Option<f64>| one.zip(other).map(|(one, other)| one * other);
        let customers = times(leads, rate).map(|hundredfold| hundredfold / 100.0);
        Figures {
            spend,
            leads,
            rate,
            ticket,
            cost_per_lead: over(spend, leads),
            cost_per_customer: over(spend, customers),
            back: over(times(customers, ticket), spend),
            rate_to_break_even: over(spend, times(leads, ticket)).map(|share| share * 100.0),
        }
    }
}

fn draw(frame: &Frame, period: Period, data: &OverviewData) -> Markup {
    let lang = frame.lang;
    let Some(known) = &data.calculator else {
        return missing(lang);
    };
    let currency = known.currency.as_deref().unwrap_or("BRL");
    let figures = Figures::of(data.numbers, known);
    html! {
        (form(frame, period, &figures, currency))
        (results(lang, &figures, currency))
        p.note {
            @match figures.rate_to_break_even {
                Some(rate) => {
                    (lang.t("Para empatar, ", "To break even, ")) (lang.percent(rate, 1))
                    (lang.t(
                        " dos leads precisam comprar. Leads e compras vêm do que foi recebido; o gasto, de \
                         você.",
                        " of the leads have to buy. Leads and orders come from what was received; the spend \
                         from you.",
                    ))
                },
                None => { (lang.t(
                    "Leads e compras vêm do que foi recebido em 30 dias. Escreva o gasto, e o que faltar.",
                    "Leads and orders come from what was received in 30 days. Type the spend, and what is \
                     missing.",
                )) },
            }
        }
    }
}

fn form(frame: &Frame, period: Period, figures: &Figures, currency: &str) -> Markup {
    let lang = frame.lang;
    let shown =
        |value: Option<f64>, places| value.map_or_else(String::new, |value| lang.decimal(value, places));
    let in_money = |label: &str| format!("{label} ({currency})");
    let fields = [
        (
            "gasto",
            in_money(lang.t("Gasto com anúncios", "Ad spend")),
            shown(figures.spend, 2),
        ),
        ("leads", "Leads".to_owned(), shown(figures.leads, 0)),
        (
            "taxa",
            lang.t("Leads que compram (%)", "Leads that buy (%)").to_owned(),
            shown(figures.rate, 2),
        ),
        (
            "ticket",
            in_money(lang.t("Compra média", "Average order")),
            shown(figures.ticket, 2),
        ),
    ];
    html! {
        form.form.two action="/" method="get" {
            input type="hidden" name="p" value=(period.tag());
            @if let Some(dataset) = frame.dataset { input type="hidden" name="dataset" value=(dataset); }
            @if lang == Lang::En { input type="hidden" name="lang" value="en"; }
            @for (name, label, value) in &fields {
                label { (label) input name=(name) value=(value) inputmode="decimal" autocomplete="off"; }
            }
            div.row.whole { button.btn.small { (lang.t("Calcular", "Calculate")) } }
        }
    }
}

fn results(lang: Lang, figures: &Figures, currency: &str) -> Markup {
    let money = |value: Option<f64>| {
        value.map_or_else(|| NONE.to_owned(), |value| lang.money(value, currency, false))
    };
    let line = |name: &str, value: &str| html! { li { span { (name) } b { (value) } } };
    let back = figures
        .back
        .map_or_else(|| NONE.to_owned(), |back| format!("{}x", lang.decimal(back, 1)));
    html! {
        ul.rows.facts.what {
            (line(lang.t("Custo por lead", "Cost per lead"), &money(figures.cost_per_lead)))
            (line(lang.t("Custo por cliente", "Cost per customer"), &money(figures.cost_per_customer)))
            (line(lang.t("Retorno por real gasto", "Return per unit spent"), &back))
            @if let (Some(cost), Some(rate)) = (figures.cost_per_customer, figures.rate) {
                (line(lang.t("… com +2 pontos na taxa", "… with +2 points of rate"),
                    &money(Some(cost * rate / (rate + 2.0)))))
                (line(lang.t("… com o lead 15 % mais barato", "… with leads 15% cheaper"),
                    &money(Some(cost * 0.85))))
            }
        }
    }
}
