//! The books in the open: which payments Meta knows as a Purchase, and how Mercado Pago's sums and ours
//! compare.

use maud::{Markup, html};
use rastro_store::{FindingTotal, PurchasePlace, RecentFinding, ReconciledAccount};

use super::view::Drawn;
use crate::dashboard::charts::{self, meter};
use crate::dashboard::layout::{Tone, badge, card, missing};
use crate::dashboard::words::{Lang, NONE, cut};

/// Fewer payments than this are told in numbers only.
const LEAST_PAYMENTS: i64 = 20;

/// A place in words, and whether its payments are as they should be.
fn place_words(lang: Lang, place: &str) -> (String, bool) {
    let (pt, en, right) = match place {
        "accepted" => ("Aceitas pela Meta", "Accepted by Meta", true),
        "withheld" => (
            "Retidas: a pessoa recusou anúncios",
            "Withheld: the person refused ads",
            true,
        ),
        "on_its_way" => ("A caminho da Meta", "On their way to Meta", false),
        "stopped" => (
            "Paradas: veja Eventos parados",
            "Stopped: see Stopped events",
            false,
        ),
        "other_payment" => (
            "O pedido foi avisado com outro pagamento",
            "The order was told with another payment",
            false,
        ),
        "none" => ("Ainda não avisadas", "Not told yet", false),
        "too_old" => (
            "Velhas demais: a Meta aceita 7 dias",
            "Too old: Meta takes 7 days",
            false,
        ),
        "refunded_first" => (
            "Devolvidas antes do aviso",
            "Refunded before they were told",
            false,
        ),
        "other_currency" => (
            "Em outra moeda que a da conta",
            "In another currency than the account's",
            false,
        ),
        "not_verified" => (
            "Quem avisa é o site, e destas não avisou",
            "The site tells of them, and did not of these",
            false,
        ),
        "invalid" => (
            "Dados que a Meta não aceita",
            "Data that Meta does not take",
            false,
        ),
        other => return (cut(other, 40), false),
    };
    (lang.t(pt, en).to_owned(), right)
}

pub(super) fn accuracy(drawn: &Drawn<'_>) -> Markup {
    let lang = drawn.lang();
    let content = match drawn.data.places.as_deref() {
        None => missing(lang),
        Some([]) => {
            html! { p.empty { (lang.t("Nenhum pagamento aprovado neste período.", "No approved payment in this period.")) } }
        }
        Some(places) => found_places(drawn, places),
    };
    let note = drawn.of_all(lang.t(
        "pagamentos aprovados × Purchase na Meta",
        "approved payments × Purchase at Meta",
    ));
    card(
        "c5",
        "accuracy",
        lang.t("A Meta soube das compras?", "Does Meta know the purchases?"),
        &note,
        &content,
    )
}

fn found_places(drawn: &Drawn<'_>, places: &[PurchasePlace]) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let all: i64 = places.iter().map(|place| place.payments).sum();
    let money: i64 = places.iter().map(|place| place.amount_minor).sum();
    let right: i64 = places
        .iter()
        .filter(|place| place_words(lang, &place.place).1)
        .map(|place| place.payments)
        .sum();
    html! {
        div.big { @if all >= LEAST_PAYMENTS { (lang.share(right, all, 1)) } @else {
            (lang.count(right)) " " (lang.t("de", "of")) " " (lang.count(all)) } }
        p.sub { (lang.t("de ", "of ")) (lang.plural(all, ("pagamento", "payment"), ("pagamentos", "payments"))) ", " (cash.full(money))
            (lang.t(", aprovados há mais de meia hora", ", approved over half an hour ago")) }
        ul.rows.places { @for place in places {
            @let (words, right) = place_words(lang, &place.place);
            li {
                span { (words) br; small { (cash.full(place.amount_minor)) } }
                (meter(charts::f(place.payments) / charts::f(all.max(1)), if right { "f-ok" } else { "#p-err" }))
                b { (lang.count(place.payments)) }
            }
        } }
        p.note { (lang.t("Retidas de propósito contam como certas. O que falta está listrado, com o porquê.",
            "Withheld on purpose counts as right. What is missing is striped, with the reason.")) }
    }
}

fn finding_words(lang: Lang, finding: &str) -> &'static str {
    let (pt, en) = match finding {
        "missing_local" => ("faltava aqui", "was missing here"),
        "missing_remote" => ("não está no Mercado Pago", "is not at Mercado Pago"),
        "status_drift" => ("estado diferente", "another state"),
        "amount_drift" => ("valor diferente", "another amount"),
        "unattributed" => ("sem lead conhecido", "no known lead"),
        "duplicate_reference" => ("dois pagos na mesma referência", "two paid under one reference"),
        "fee_drift" => ("taxa diferente", "another fee"),
        "conversion_gap" => ("a Meta não sabia", "Meta did not know"),
        "currency" => ("outra moeda, à parte", "another currency, kept apart"),
        "test_mode" => ("pagamento de teste", "a test payment"),
        "unreadable" => ("não pôde ser lido", "could not be read"),
        _ => ("outro", "other"),
    };
    lang.t(pt, en)
}

fn action_words(lang: Lang, action: &str) -> &'static str {
    match action {
        "applied" => lang.t("corrigido nos livros", "put right in the books"),
        "resent" => lang.t("reenviado à Meta", "sent to Meta again"),
        _ => lang.t("à espera de alguém", "waits for a person"),
    }
}

fn kind_words(lang: Lang, kind: &str) -> &'static str {
    match kind {
        "hourly" => lang.t("de hora em hora", "hourly"),
        "nightly" => lang.t("de noite, 35 dias", "nightly, 35 days"),
        "weekly" => lang.t("da semana, 180 dias", "weekly, 180 days"),
        _ => lang.t("pedida", "asked for"),
    }
}

pub(super) fn compared(drawn: &Drawn<'_>) -> Markup {
    let lang = drawn.lang();
    let content = match drawn.data.accounts.as_deref() {
        None => missing(lang),
        Some([]) => html! { p.empty {
        (lang.t("Nenhuma conta do Mercado Pago está ligada: a receita é a que o site registrou, e ninguém a conferiu.",
            "No Mercado Pago account is connected: revenue is what the site recorded, and nobody verified it.")) } },
        Some(accounts) => html! {
            (sums(drawn, accounts))
            (findings(drawn))
            (verdict(drawn, accounts))
        },
    };
    let note = drawn.of_all(lang.t(
        "o que está lá × o que está aqui",
        "Mercado Pago × us, as compared",
    ));
    card(
        "c7",
        "books",
        lang.t("Conferência com o Mercado Pago", "The books in the open"),
        &note,
        &content,
    )
}

fn sums(drawn: &Drawn<'_>, accounts: &[ReconciledAccount]) -> Markup {
    let (lang, frame) = (drawn.lang(), drawn.frame);
    let of = |row: &ReconciledAccount, minor: Option<i64>| {
        let cash = super::terms::Cash {
            lang,
            currency: &row.currency,
        };
        minor.map_or_else(|| NONE.to_owned(), |minor| cash.full(minor))
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label=(lang.t("Comparações com o Mercado Pago", "Comparisons with Mercado Pago")) { table.figures {
            thead { tr {
                th scope="col" { (lang.t("Comparação", "Comparison")) }
                @for head in [lang.t("No Mercado Pago", "At Mercado Pago"), lang.t("Aqui antes", "Here before"), lang.t("Aqui depois", "Here after"),
                    lang.t("Achados somam", "Findings sum to")] { th.r scope="col" { (head) } }
            } }
            tbody { @for row in accounts {
                tr {
                    th scope="row" {
                        (cut(&row.label, 40)) small.sub { br; (kind_words(lang, &row.kind))
                            @if let Some(at) = row.window_to { ", " (lang.t("até ", "until ")) (frame.zone.short(lang, at, frame.now)) } }
                    }
                    @match row.run_id {
                        Some(_) => {
                            td.r { (of(row, row.remote_minor)) small.sub { br; (lang.count(row.remote_count.unwrap_or(0))) } }
                            td.r { (of(row, row.local_minor)) small.sub { br; (lang.count(row.local_count.unwrap_or(0))) } }
                            td.r { b { (of(row, row.after_minor)) } }
                            td.r { (of(row, row.difference_minor)) }
                        },
                        None => td colspan="4" { (lang.t("ainda não comparado", "not compared yet")) },
                    }
                }
            } }
        } }
        @for row in accounts.iter().filter(|row| row.problem.is_some()) {
            p.note { b { (cut(&row.label, 40)) ", " (kind_words(lang, &row.kind)) ": " }
                (lang.t("a última não terminou: ", "the last one did not finish: ")) (cut(row.problem.as_deref().unwrap_or_default(), 160)) }
        }
        @for row in accounts.iter().filter(|row| row.blocked_reason.is_some() && row.kind == "hourly") {
            p.note { b { (cut(&row.label, 40)) ": " } (lang.t("parada até alguém agir: ", "stopped until somebody acts: "))
                (cut(row.blocked_reason.as_deref().unwrap_or_default(), 160)) }
        }
    }
}

fn findings(drawn: &Drawn<'_>) -> Markup {
    let (lang, cash) = (drawn.lang(), drawn.cash);
    let Some(totals) = drawn.data.findings.as_deref() else {
        return missing(lang);
    };
    if totals.is_empty() {
        return html! { p.note { (lang.t("Nenhum achado neste período.", "No finding in this period.")) } };
    }
    let recent = drawn.data.recent.as_deref().unwrap_or_default();
    html! {
        p.sub.next { (lang.t("Achados no período", "Findings in the period")) }
        ul.rows.facts.findings { @for FindingTotal { finding, action, payments, difference_minor, .. } in totals {
            li {
                span { (finding_words(lang, finding)) ", " (action_words(lang, action)) }
                b { (lang.plural(*payments, ("pagamento", "payment"), ("pagamentos", "payments")))
                    @if *difference_minor != 0 { ", " (cash.full(*difference_minor)) } }
            }
        } }
        @if !recent.is_empty() {
            @let heads = [lang.t("Quando", "When"), lang.t("Pagamento", "Payment"), lang.t("Achado", "Finding"), lang.t("No Mercado Pago", "At Mercado Pago"), lang.t("Aqui", "Here")];
            @let rows: Vec<Vec<String>> = recent.iter().map(|one| recent_row(drawn, one)).collect();
            (charts::table(lang, &heads, &rows))
        }
    }
}

fn recent_row(drawn: &Drawn<'_>, one: &RecentFinding) -> Vec<String> {
    let (lang, cash, frame) = (drawn.lang(), drawn.cash, drawn.frame);
    vec![
        frame.zone.short(lang, one.found_at, frame.now),
        cut(&one.payment_id, 40),
        format!(
            "{}, {}",
            finding_words(lang, &one.finding),
            action_words(lang, &one.action)
        ),
        cash.full(one.remote_minor),
        cash.full(one.local_minor),
    ]
}

/// Whether the widest comparison of each account closes.
fn verdict(drawn: &Drawn<'_>, accounts: &[ReconciledAccount]) -> Markup {
    let lang = drawn.lang();
    let newest = accounts.iter().filter(|row| row.run_id.is_some());
    let open: Vec<&ReconciledAccount> = newest
        .clone()
        .filter(|row| row.remote_minor != row.after_minor)
        .collect();
    if newest.count() == 0 {
        return html! {};
    }
    html! {
        div.sum {
            @match open.is_empty() {
                true => { (badge(Tone::Good)) span { (lang.t("A conta fecha: o que está no Mercado Pago está nos livros, centavo por centavo.",
                    "The account closes: what is at Mercado Pago is in the books, to the cent.")) } },
                false => { (badge(Tone::Watch)) span {
                    (lang.t("Ainda não fecha: ", "It does not close yet: "))
                    @for (at, row) in open.iter().enumerate() {
                        @let cash = super::terms::Cash { lang, currency: &row.currency };
                        @if at > 0 { "; " }
                        (kind_words(lang, &row.kind)) " " b { (cash.full(row.remote_minor.unwrap_or(0) - row.after_minor.unwrap_or(0))) }
                    }
                    (lang.t(". Os achados à espera de alguém dizem onde.", ". The findings that wait for a person say where."))
                } },
            }
        }
    }
}
