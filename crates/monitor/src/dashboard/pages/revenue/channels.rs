//! From lead to revenue, what each channel brought back, and the campaigns one by one.

use maud::{Markup, html};
use rastro_core::metrics::{per_shared, ratio};
use rastro_store::{CampaignRevenue, ChannelRevenue, Funnel};

use super::data::CAMPAIGNS_SHOWN;
use super::terms::{Cash, campaign_name, channel_name, shared, times};
use super::totals::{Totals, cost};
use super::view::Drawn;
use crate::dashboard::charts::{self, meter, pct};
use crate::dashboard::layout::{Page, card, missing};
use crate::dashboard::words::{Lang, NONE};

/// Fewer leads than this are told in numbers only.
const LEAST_LEADS: i64 = 30;

/// A step of the funnel: its name, how many, and the words for the rate at which the step before led to it.
struct Step {
    name: &'static str,
    count: String,
    number: i64,
    verb: &'static str,
}

pub(super) fn funnel(drawn: &Drawn<'_>) -> Markup {
    let lang = drawn.lang();
    let title = lang.t("Do lead à receita", "From lead to revenue");
    match drawn.request.is_of_a_part() {
        true => card(
            "c7",
            "funnel",
            title,
            lang.t(
                "a parte que cabe ao que foi escolhido",
                "the share of what was chosen",
            ),
            &credited(drawn),
        ),
        false => card(
            "c7",
            "funnel",
            title,
            lang.t(
                "quem virou lead no período, até agora",
                "who became a lead in the period, until now",
            ),
            &people(drawn),
        ),
    }
}

fn people(drawn: &Drawn<'_>) -> Markup {
    let (lang, Some(found)) = (drawn.lang(), drawn.data.funnel) else {
        return missing(drawn.lang());
    };
    let Funnel {
        leads,
        qualified,
        ordered,
        paid,
        paid_again,
        open_payments,
    } = found;
    if leads == 0 {
        return html! {
            p.empty { (lang.t("Nenhum lead neste período.", "No lead in this period.")) }
            (foot(drawn, None))
        };
    }
    let step = |name, number, verb| Step {
        name,
        count: lang.count(number),
        number,
        verb,
    };
    let steps = [
        step("Leads", leads, ""),
        step(
            lang.t("Qualificados", "Qualified"),
            qualified,
            lang.t("se qualificam", "qualify"),
        ),
        step(
            lang.t("Pagamento iniciado", "Payment started"),
            ordered,
            lang.t("dos leads começam a pagar", "of leads begin to pay"),
        ),
        step(
            lang.t("Pagaram", "Paid"),
            paid,
            lang.t("dos que começam pagam", "of those who begin pay"),
        ),
        step(
            lang.t("Pagaram de novo", "Paid again"),
            paid_again,
            lang.t("dos que pagam voltam", "of those who pay come back"),
        ),
    ];
    let before = [0, leads, leads, ordered, paid];
    let open = (open_payments > 0).then(|| {
        let n = lang.plural(
            open_payments,
            ("Pix ou boleto em aberto", "Pix or boleto open"),
            ("Pix e boletos em aberto", "Pix and boletos open"),
        );
        format!("; {n}")
    });
    html! {
        ul.funnel { @for (at, step) in steps.iter().enumerate() {
            @if at > 0 { li.drop {
                @if before[at] >= LEAST_LEADS { (lang.share(step.number, before[at], 0)) " " (step.verb) }
                @else { (step.count) " " (lang.t("de", "of")) " " (lang.count(before[at])) }
                @if at == 3 { @if let Some(open) = &open { (open) } }
            } }
            li { span { (step.name) } (meter(charts::f(step.number) / charts::f(leads), "f-ok")) b { (step.count) } }
        } }
        (foot(drawn, Some((paid, leads))))
    }
}

/// Of a channel or campaign: what happened in the period, in shares. A step may exceed the one before.
fn credited(drawn: &Drawn<'_>) -> Markup {
    let (lang, Some(totals)) = (drawn.lang(), drawn.totals()) else {
        return missing(drawn.lang());
    };
    let steps = [
        ("Leads", totals.leads),
        (lang.t("Qualificados", "Qualified"), totals.qualified),
        (lang.t("Pedidos pagos", "Paid orders"), totals.orders),
        (lang.t("Clientes novos", "New customers"), totals.new_customers),
    ];
    let most = steps.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    html! {
        ul.funnel { @for (name, count) in steps {
            li { span { (name) } (meter(charts::f(count) / charts::f(most), "f-ok")) b { (shared(lang, count)) } }
        } }
        p.note { (lang.t("Contado no período, não pelas mesmas pessoas: um passo pode passar do anterior.",
            "Counted in the period, not of the same people: a step can exceed the one before.")) }
        (foot(drawn, None))
    }
}

fn foot(drawn: &Drawn<'_>, bought: Option<(i64, i64)>) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let Some(totals) = drawn.totals() else {
        return html! {};
    };
    html! {
        div.sum { span {
            (lang.t("Receita líquida ", "Net revenue ")) b { (cash.full(totals.net_minor)) }
            @if let Some(order) = per_shared(totals.net_minor, totals.orders) {
                " · " (lang.t("por pedido ", "per order ")) (cash.full(order)) }
            @if let Some((paid, leads)) = bought.filter(|(_, leads)| *leads >= LEAST_LEADS) {
                " · " (lang.t("de lead a cliente ", "from lead to customer ")) b { (lang.share(paid, leads, 1)) } }
        } }
    }
}

/// One line of the return by channel.
struct Return {
    name: String,
    note: String,
    ratio: Option<f64>,
    fill: &'static str,
}

pub(super) fn returns(drawn: &Drawn<'_>) -> Markup {
    let lang = drawn.lang();
    let content = match drawn.data.channels.as_deref() {
        Some(channels) => by_channel(drawn, channels),
        None => missing(lang),
    };
    let note = lang.t("ROAS, receita líquida ÷ gasto", "ROAS, net revenue ÷ spend");
    card(
        "c5",
        "channels",
        lang.t("Retorno por canal", "Return by channel"),
        note,
        &content,
    )
}

fn by_channel(drawn: &Drawn<'_>, channels: &[ChannelRevenue]) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let totals = Totals::of(channels);
    let mut lines = Vec::new();
    let mut paid: Vec<&ChannelRevenue> = channels.iter().filter(|row| row.spend_micros > 0).collect();
    paid.sort_by_key(|row| std::cmp::Reverse(row.spend_micros));
    for row in paid.iter().take(4) {
        let name = channel_name(lang, &row.channel);
        lines.push(Return {
            note: cash.short(cash.of_micros(row.spend_micros)),
            ratio: roas(cash, row),
            fill: "f-ok",
            name: name.clone(),
        });
        if row.claimed_micros > 0 {
            let platform = name.strip_suffix(" Ads").unwrap_or(&name);
            lines.push(Return {
                note: match (lang, platform) {
                    (Lang::Pt, "Meta") => "segundo a Meta".to_owned(),
                    (Lang::Pt, other) => format!("segundo {other}"),
                    (Lang::En, other) => format!("says {other}"),
                },
                ratio: ratio(row.claimed_micros, row.spend_micros),
                fill: "#p-dup",
                name,
            });
        }
    }
    if totals.spend_micros == 0 {
        return html! {
            p.empty { (lang.t("Nenhum gasto neste período e nesta moeda.", "Nothing spent in this period and currency.")) }
            (channel_table(drawn, channels))
        };
    }
    lines.push(Return {
        name: lang.t("Tudo (MER)", "All (MER)").to_owned(),
        note: lang.t("com o que não é anúncio", "with what is no ad").to_owned(),
        ratio: totals.mer(cash),
        fill: "f-ok",
    });
    let top = lines.iter().filter_map(|line| line.ratio).fold(1.5, f64::max);
    html! {
        ul.rows.returns { @for line in &lines {
            li {
                span { (line.name) br; small { (line.note) } }
                svg.chart.meter height="16" aria-hidden="true" {
                    rect x="0" y="3" width="100%" height="10" rx="3" class="f-grid" {}
                    @let wide = pct(line.ratio.unwrap_or(0.0).max(0.0) / top * 100.0);
                    @match line.fill.strip_prefix('#') {
                        Some(pattern) => rect x="0" y="3" width=(wide) height="10" rx="3" fill={ "url(#" (pattern) ")" } {},
                        None => rect x="0" y="3" width=(wide) height="10" rx="3" class=(line.fill) {},
                    }
                    line.s-ink x1=(pct(100.0 / top)) x2=(pct(100.0 / top)) y1="0" y2="16" stroke-width="1.6" {}
                }
                b { (times(lang, line.ratio)) }
            }
        } }
        p.note { (lang.t("O risco vertical é o empate (1,0x). As plataformas contam também quem só viu o anúncio e compras que outra reclama; nós dividimos cada compra pelos cliques que houve.",
            "The upright stroke is where it breaks even (1.0x). Platforms also count who only saw the ad, and orders that another one claims; we divide each order between the clicks there were.")) }
        (channel_table(drawn, channels))
    }
}

fn roas(cash: Cash<'_>, row: &ChannelRevenue) -> Option<f64> {
    ratio(row.net_minor, cash.of_micros(row.spend_micros))
}

fn channel_table(drawn: &Drawn<'_>, channels: &[ChannelRevenue]) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let heads = [
        lang.t("Canal", "Channel"),
        lang.t("Gasto", "Spend"),
        lang.t("Líquida", "Net"),
        "ROAS",
        lang.t("Segundo a plataforma", "Says the platform"),
        lang.t("Pedidos", "Orders"),
        lang.t("Clientes novos", "New customers"),
    ];
    let rows: Vec<Vec<String>> = channels
        .iter()
        .map(|row| {
            let spent = cash.of_micros(row.spend_micros);
            let claimed = (row.claimed_micros > 0).then(|| ratio(row.claimed_micros, row.spend_micros));
            vec![
                channel_name(lang, &row.channel),
                cash.full(spent),
                cash.full(row.net_minor),
                times(lang, roas(cash, row)),
                times(lang, claimed.flatten()),
                shared(lang, row.orders_millionths),
                shared(lang, row.new_customers_millionths),
            ]
        })
        .collect();
    charts::table(lang, &heads, &rows)
}

pub(super) fn campaigns(drawn: &Drawn<'_>) -> Markup {
    let lang = drawn.lang();
    let content = match drawn.data.campaigns.as_deref() {
        None => missing(lang),
        Some([]) => {
            html! { p.empty { (lang.t("Nada neste período, moeda e canal.", "Nothing in this period, currency and channel.")) } }
        }
        Some(rows) => campaign_table(drawn, rows),
    };
    let note = lang.t("as que mais custaram primeiro", "those that cost most first");
    card(
        "c12",
        "campaigns",
        lang.t("Campanhas", "Campaigns"),
        note,
        &content,
    )
}

fn campaign_table(drawn: &Drawn<'_>, rows: &[CampaignRevenue]) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(lang.t("Tabela das campanhas", "Table of campaigns")) { table.figures {
            thead { tr {
                th scope="col" { (lang.t("Campanha", "Campaign")) }
                @for head in [lang.t("Gasto", "Spend"), "Leads", lang.t("Pedidos", "Orders"), lang.t("Novos", "New"),
                    lang.t("Líquida", "Net"), "ROAS", lang.t("Por cliente", "Per customer")] { th.r scope="col" { (head) } }
            } }
            tbody { @for row in rows.iter().take(CAMPAIGNS_SHOWN) {
                @let spent = cash.of_micros(row.spend_micros);
                tr {
                    th scope="row" {
                        @if row.campaign_key.is_empty() { (channel_name(lang, &row.channel)) } @else {
                            a href=(drawn.request.link(drawn.frame, Page::Revenue.path(), &[("canal", &row.channel), ("campanha", &row.campaign_key)])) {
                                (campaign_name(lang, &row.campaign_name, &row.campaign_key, 60)) }
                            small.sub { br; (channel_name(lang, &row.channel)) }
                        }
                    }
                    td.r { (if row.paid { cash.full(spent) } else { NONE.to_owned() }) }
                    td.r { (shared(lang, row.leads_millionths)) }
                    td.r { (shared(lang, row.orders_millionths)) }
                    td.r { (shared(lang, row.new_customers_millionths)) }
                    td.r { (cash.full(row.net_minor)) }
                    td.r { b { (times(lang, ratio(row.net_minor, spent))) } }
                    td.r { (cost(cash, row.spend_micros, row.new_customers_millionths).map_or_else(|| NONE.to_owned(), |cost| cash.full(cost))) }
                }
            } }
        } }
        p.note {
            @if rows.len() > CAMPAIGNS_SHOWN { (lang.t("As 12 primeiras; as outras estão no arquivo CSV. ", "The first 12; the others are in the CSV file. ")) }
            (lang.t("Custo por cliente só a partir de 10 clientes novos.", "Cost per customer only from 10 new customers on."))
        }
    }
}
