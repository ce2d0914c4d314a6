//! The page as a whole: the sentence that answers, what can be chosen, the six numbers, and the order of the
//! rest.

use maud::{Markup, html};
use rastro_core::attribution::Model;

use super::data::RevenueData;
use super::payback::{self, Payback};
use super::request::{PERIODS, Request};
use super::terms::{Cash, campaign_name, channel_name, model_name, model_words, shared, span, times};
use super::totals::Totals;
use super::{books, channels, cohorts, forecast, trends};
use crate::dashboard::layout::{self, Frame, Page, Tone, missing};
use crate::dashboard::words::{Lang, NONE, cut};

/// What every part of the page is drawn with.
#[derive(Clone, Copy)]
pub(super) struct Drawn<'d> {
    pub frame: &'d Frame,
    pub request: &'d Request,
    pub data: &'d RevenueData,
    pub cash: Cash<'d>,
}

impl Drawn<'_> {
    pub(super) fn lang(&self) -> Lang {
        self.frame.lang
    }

    /// Of the part that was asked for; `None`: it did not come.
    pub(super) fn totals(&self) -> Option<Totals> {
        self.data.own.as_deref().map(Totals::of)
    }

    /// For what cannot be told of a part: that it is of all.
    pub(super) fn of_all(&self, words: &str) -> String {
        match self.request.is_of_a_part() {
            true => format!(
                "{words} · {}",
                self.lang().t("do conjunto inteiro", "of the whole dataset")
            ),
            false => words.to_owned(),
        }
    }
}

pub(super) fn render(frame: &Frame, request: &Request, data: &RevenueData) -> Markup {
    let cash = Cash {
        lang: frame.lang,
        currency: &request.filter.currency,
    };
    let drawn = Drawn {
        frame,
        request,
        data,
        cash,
    };
    html! {
        (sentence(&drawn))
        (choices(&drawn))
        @for note in &request.notes { div.banner.warn role="status" { p { (note) } } }
        (tiles(&drawn))
        div.grid {
            (channels::funnel(&drawn))
            (channels::returns(&drawn))
            (trends::days(&drawn))
            (trends::cost_per_customer(&drawn))
            (trends::payback(&drawn))
            (channels::campaigns(&drawn))
            (cohorts::table(&drawn))
            (forecast::card_of(&drawn))
            (books::accuracy(&drawn))
            (books::compared(&drawn))
        }
        (definitions(&drawn))
    }
}

fn sentence(drawn: &Drawn<'_>) -> Markup {
    let (lang, request) = (drawn.lang(), drawn.request);
    let filter = &request.filter;
    let totals = drawn.totals();
    let (tone, answer) = match totals {
        None => (
            Tone::Neutral,
            lang.t(
                "A receita não respondeu a tempo",
                "Revenue did not answer in time",
            )
            .to_owned(),
        ),
        Some(totals) => verdict(&totals, drawn),
    };
    let aside = html! {
        div.when {
            div.seg role="group" aria-label=(lang.t("Período", "Period")) {
                @for (at, (word, days)) in PERIODS.iter().enumerate() {
                    a href=(request.link(drawn.frame, Page::Revenue.path(), &[("p", word), ("de", ""), ("ate", "")]))
                        aria-current=[(request.period == Some(at)).then_some("true")] {
                        @if *days == 365 { (lang.t("1 ano", "1 year")) } @else { (days) " d" }
                    }
                }
            }
            small { (lang.t("modelo", "model")) " " (model_name(lang, filter.model)) }
        }
    };
    let more = html! {
        @if drawn.frame.dataset.is_none() && drawn.frame.datasets.len() > 1 {
            b { (drawn.frame.dataset_name(filter.dataset.as_i64())) } " · "
        }
        (span(lang, filter.from, filter.until)) ", "
        (lang.t("pelo dia da compra, líquido de devoluções, só ", "by the day of the order, net of refunds, in ")) (filter.currency)
        @if lang == Lang::En { " only" }
        @if filter.until >= request.moving_from() {
            " · " b { (lang.t("os últimos 5 dias ainda sobem", "the last 5 days still rise")) } " (Pix, boleto)"
        }
        @if let Some(totals) = totals.filter(|totals| totals.gross_minor > 0 && !request.is_of_a_part()) {
            " · " (lang.share(totals.unmatched_gross_minor, totals.gross_minor, 0)) " "
            (lang.t("da receita sem origem conhecida", "of revenue without a known origin"))
        }
        @for other in &request.other_currencies {
            " · " a href=(request.link(drawn.frame, Page::Revenue.path(), &[("moeda", other)])) {
                (lang.t("há também em ", "there is also ")) (other) }
        }
    };
    layout::verdict(tone, &html! { (answer) }, &more, &aside)
}

fn verdict(totals: &Totals, drawn: &Drawn<'_>) -> (Tone, String) {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let spent = cash.of_micros(totals.spend_micros);
    if totals.nothing_was() {
        let words = lang.t("Nada neste período", "Nothing in this period");
        return (Tone::Neutral, words.to_owned());
    }
    let Some(roas) = totals.roas(cash) else {
        let (net, pt, en) = (
            cash.full(totals.net_minor),
            "de receita, sem gasto com anúncios",
            "of revenue, nothing spent on ads",
        );
        return (Tone::Neutral, format!("{net} {}", lang.t(pt, en)));
    };
    if totals.net_minor == 0 {
        let spent = cash.full(spent);
        let words = match lang {
            Lang::Pt => format!("{spent} em anúncios, e nenhuma receita ainda"),
            Lang::En => format!("{spent} spent on ads, and no revenue yet"),
        };
        return (Tone::Watch, words);
    }
    let back = lang.money(roas, cash.currency, false);
    let tone = if roas < 1.0 { Tone::Watch } else { Tone::Good };
    let words = match (lang, cash.currency) {
        (Lang::Pt, "BRL") => format!("Cada real em anúncios trouxe {back} de volta"),
        (Lang::En, "BRL") => format!("Each real spent on ads brought {back} back"),
        (Lang::Pt, other) => format!(
            "Cada {} em anúncios trouxe {back} de volta",
            lang.in_currency("1", other)
        ),
        (Lang::En, other) => format!(
            "Each {} spent on ads brought {back} back",
            lang.in_currency("1", other)
        ),
    };
    (tone, words)
}

/// A form that needs no script: what it does not ask for stays as it is.
fn choices(drawn: &Drawn<'_>) -> Markup {
    let (lang, request, frame) = (drawn.lang(), drawn.request, drawn.frame);
    let filter = &request.filter;
    let channels = drawn.data.channels.as_deref().unwrap_or_default();
    let chosen = request.part.channel.as_deref();
    let campaign = request.part.campaign.as_deref();
    let known = drawn.data.campaigns.as_deref().unwrap_or_default();
    let of_campaign = campaign.map(|key| {
        let row = known.iter().find(|row| row.campaign_key == key);
        campaign_name(lang, row.map_or("", |row| row.campaign_name.as_str()), key, 60)
    });
    html! {
        form.filters.choices action=(Page::Revenue.path()) {
            @if frame.datasets.len() > 1 && !frame.one_dataset_only {
                label { (lang.t("Conjunto", "Dataset"))
                    select.btn name="dataset" { @for (id, name) in &frame.datasets {
                        option value=(id) selected[*id == filter.dataset.as_i64()] { (cut(name, 60)) }
                    } }
                }
            }
            label { (lang.t("Canal", "Channel"))
                select.btn name="canal" {
                    option value="" { (lang.t("todos", "all")) }
                    @if let Some(chosen) = chosen.filter(|chosen| !channels.iter().any(|row| row.channel == **chosen)) {
                        option value=(chosen) selected { (channel_name(lang, chosen)) }
                    }
                    @for row in channels {
                        option value=(row.channel) selected[chosen == Some(row.channel.as_str())] { (channel_name(lang, &row.channel)) }
                    }
                }
            }
            label { (lang.t("Modelo", "Model"))
                select.btn name="modelo" { @for model in Model::ALL {
                    option value=(model.as_str()) selected[model == filter.model] { (model_name(lang, model)) }
                } }
            }
            @if !request.other_currencies.is_empty() {
                label { (lang.t("Moeda", "Currency"))
                    select.btn name="moeda" {
                        option value=(filter.currency) selected { (filter.currency) }
                        @for other in &request.other_currencies { option value=(other) { (other) } }
                    }
                }
            }
            label { (lang.t("De", "From")) input type="date" name="de" value=(filter.from) max=(request.today); }
            label { (lang.t("até", "to")) input type="date" name="ate" value=(filter.until) max=(request.today); }
            @if let Some(campaign) = campaign { input type="hidden" name="campanha" value=(campaign); }
            @if lang == Lang::En { input type="hidden" name="lang" value="en"; }
            button.btn { (lang.t("Ver", "Show")) }
            a.btn href=(request.link(frame, "/receita/campanhas.csv", &[])) download { (lang.t("Baixar CSV", "Download CSV")) }
        }
        @if let Some(name) = of_campaign {
            p.part { (lang.t("Só a campanha ", "Only the campaign ")) b { (name) } " · "
                a href=(request.link(frame, Page::Revenue.path(), &[("campanha", ""), ("canal", "")])) { (lang.t("ver todas", "see all")) } }
        }
    }
}

fn tiles(drawn: &Drawn<'_>) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let Some(totals) = drawn.totals() else {
        return html! { section.card { (missing(lang)) } };
    };
    let spent = cash.of_micros(totals.spend_micros);
    let back = totals.gross_minor - totals.net_minor;
    let amount = |minor: i64| cash.short(minor);
    html! {
        div.tiles.six #numbers {
            (tile(lang.t("Receita bruta", "Gross revenue"), &amount(totals.gross_minor), &html! {
                (shared(lang, totals.orders)) " " (lang.t("pedidos pagos", "paid orders")) }))
            (tile(lang.t("Receita líquida", "Net revenue"), &amount(totals.net_minor), &html! {
                (amount(back)) " " (lang.t("devolvidos; taxas", "given back; fees")) " " (amount(totals.fee_minor)) }))
            (tile(lang.t("Gasto com anúncios", "Ad spend"), &amount(spent), &html! {
                (lang.t("o que as contas cobraram", "what the accounts charged")) }))
            (tile("ROAS", &times(lang, totals.roas(cash)), &html! {
                (lang.t("líquida dos anúncios ÷ gasto; com o resto (MER)", "net of ads ÷ spend; with the rest (MER)")) " " (times(lang, totals.mer(cash))) }))
            (tile(lang.t("Custo por cliente", "Cost per customer"),
                &totals.cost_per_customer(cash).map_or_else(|| NONE.to_owned(), amount), &html! {
                    (shared(lang, totals.paid_customers)) " " (lang.t("novos por anúncios", "new ones from ads"))
                    @match totals.blended_cost(cash) {
                        Some(all) => { "; " (lang.t("de todos", "of all")) " " (amount(all)) },
                        None => { "; " (lang.t("poucos para dizer", "too few to say")) },
                    }
                }))
            (payback_tile(drawn))
        }
    }
}

fn payback_tile(drawn: &Drawn<'_>) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let found = match drawn.request.part.campaign {
        Some(_) => drawn.data.ages.as_deref().map(|ages| {
            let campaigns = payback::campaigns(ages, cash);
            campaigns
                .first()
                .map_or(Payback::Unknown, |campaign| campaign.payback)
        }),
        None => drawn
            .data
            .cohorts
            .as_deref()
            .map(|rows| payback::of_cohorts(rows, cohorts::month_of(drawn.request.today), cash)),
    };
    let value = found.map_or_else(|| NONE.to_owned(), |found| payback_words(lang, found));
    let note = match drawn.request.part.campaign {
        Some(_) => lang
            .t(
                "até o lucro cobrir o gasto da campanha",
                "until profit covers the campaign's cost",
            )
            .to_owned(),
        None => drawn.of_all(lang.t("até o lucro cobrir os anúncios", "until profit covers the ads")),
    };
    tile(
        lang.t("Cliente se paga", "Customer pays back"),
        &value,
        &html! { (note) },
    )
}

pub(super) fn payback_words(lang: Lang, payback: Payback) -> String {
    match payback {
        Payback::Month(age) => format!("{} {age}", lang.t("mês", "month")),
        Payback::NotYet => lang.t("ainda não", "not yet").to_owned(),
        Payback::TooFew => lang.t("poucos clientes", "few customers").to_owned(),
        Payback::Unknown => NONE.to_owned(),
    }
}

fn tile(name: &str, value: &str, note: &Markup) -> Markup {
    html! { section.card.tile { h2 { (name) } div.n { (value) } p { (note) } } }
}

/// How each number is made, on the page that shows it.
fn definitions(drawn: &Drawn<'_>) -> Markup {
    let (lang, model) = (drawn.lang(), drawn.request.filter.model);
    let all = [
        (
            "Receita bruta e líquida",
            "Gross and net revenue",
            "Pagamentos aprovados; menos devoluções e contestações, mais o que foi reembolsado. Contados no dia em que o pedido foi feito, não no que o dinheiro entrou. As taxas do Mercado Pago ficam à parte.",
            "Approved payments; less refunds and chargebacks, plus reimbursements. Counted on the day the order was placed, not the day money came. Mercado Pago's fees are kept apart.",
        ),
        (
            "ROAS e MER",
            "ROAS and MER",
            "Receita líquida atribuída a anúncios ÷ gasto; toda a receita líquida ÷ gasto. Razões de somas, na mesma moeda e nos mesmos dias. Sem gasto: –.",
            "Net revenue credited to ads ÷ spend; all net revenue ÷ spend. Ratios of sums, in one currency and over the same days. Nothing spent: –.",
        ),
        (
            "Segundo a Meta",
            "Says Meta",
            "O valor de compras que a plataforma diz ter trazido ÷ gasto, pelas regras dela: conta também quem só viu, e compras que outro canal reclama.",
            "The value of purchases that the platform says it brought ÷ spend, by its own rules: it also counts who only saw the ad, and orders that another channel claims.",
        ),
        (
            "Custo por cliente novo",
            "Cost per new customer",
            "Gasto ÷ clientes cuja primeira compra paga cabe a anúncios. Com menos de 10 não se diz. “De todos” divide por todos os clientes novos.",
            "Spend ÷ customers whose first paid order is credited to ads. Not said below 10. “Of all” divides by all new customers.",
        ),
        (
            "Cliente se paga",
            "Customer pays back",
            "O primeiro mês desde a primeira compra em que o lucro somado (líquida menos taxas) cobre o gasto. Dos grupos contam só os que já viveram esse mês. Com menos de 30 clientes não se diz.",
            "The first month since the first order in which cumulative profit (net less fees) covers the spend. Of cohorts only those that have lived through that month count. Not said below 30 customers.",
        ),
        (
            "Previsão",
            "Forecast",
            "Da receita líquida por dia como o dinheiro entrou e saiu, pelo método que errou menos ao prever o passado. O intervalo é o que conteve 8 de 10 meses testados.",
            "From net revenue by day as money came and went, by the method that erred least in forecasting the past. The interval is what held 8 of 10 months tested.",
        ),
        (
            "Sem origem",
            "Without origin",
            "Pedidos de quem não é nenhum lead conhecido: por e-mail, telefone, CPF ou visita. Ficam no total e em nenhum canal.",
            "Orders of nobody who is a known lead: by e-mail, phone, CPF or visit. They are in the total and in no channel.",
        ),
    ];
    html! {
        section.card aria-label=(lang.t("Como é calculado", "How it is calculated")) {
            details.more.first { summary { (lang.t("Como é calculado", "How it is calculated")) }
                dl.method {
                    dt { (lang.t("Modelo", "Model")) " " (model_name(lang, model)) }
                    dd { (lang.t("De cada pedido, ", "Of each order, ")) (model_words(lang, model, drawn.request.has_effects)) ". "
                        (lang.t("Contam cliques dos últimos 30 dias, ou como o serviço attribution foi configurado. Dias de ",
                            "Clicks of the last 30 days count, or as the attribution service is configured. Days of ")) (drawn.request.time_zone) "." }
                    @for (pt, en, what_pt, what_en) in all { dt { (lang.t(pt, en)) } dd { (lang.t(what_pt, what_en)) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pages::revenue::request::tests::request;

    #[test]
    fn each_part_that_does_not_come_leaves_a_gap_of_its_own_in_both_languages() {
        for lang in [Lang::Pt, Lang::En] {
            for query in ["", "canal=meta&campanha=1"] {
                let page = render(
                    &Frame::example(lang),
                    &request(lang, query),
                    &RevenueData::default(),
                )
                .0;
                let gap = lang.t("não respondeu em 2 s", "did not answer within 2 s");
                assert!(page.matches(gap).count() >= 10, "{page}");
                assert!(!page.contains("style=") && !page.contains("NaN"));
            }
        }
    }

    #[test]
    fn a_period_without_anything_says_so_and_draws_nothing_that_is_not_there() {
        let empty = RevenueData {
            channels: Some(Vec::new()),
            own: Some(Vec::new()),
            campaigns: Some(Vec::new()),
            days: Some(Vec::new()),
            weeks: Some(Vec::new()),
            ages: Some(Vec::new()),
            cohorts: Some(Vec::new()),
            months: Some(Vec::new()),
            places: Some(Vec::new()),
            accounts: Some(Vec::new()),
            findings: Some(Vec::new()),
            recent: Some(Vec::new()),
            ..Default::default()
        };
        for query in ["p=7d", "p=90d", "p=365d"] {
            let page = render(&Frame::example(Lang::Pt), &request(Lang::Pt, query), &empty).0;
            assert!(
                page.contains("Nada neste período") && page.contains("Nenhuma conta do Mercado Pago"),
                "{page}"
            );
            assert!(!page.contains("NaN") && !page.contains("inf%"), "{page}");
        }
    }
}
