//! How the datasets, a new one and one of them are drawn.

use maud::{Markup, html};
use rastro_core::lead_value::LeadValue;
use rastro_store::{KeyRole, KnownDataset};

use super::{DatasetData, NewForm};
use crate::dashboard::layout::{self, Frame, Tone, card, pill};
use crate::dashboard::pages::{self, event_name};
use crate::dashboard::words::{Lang, cut};

pub fn render_list(frame: &Frame, datasets: &[KnownDataset]) -> Markup {
    let lang = frame.lang;
    let n = i64::try_from(datasets.len()).unwrap_or(i64::MAX);
    let answer = match n {
        0 => lang
            .t(
                "Vamos cadastrar o primeiro conjunto",
                "Let us add the first dataset",
            )
            .to_owned(),
        n => lang.plural(
            n,
            ("conjunto de dados", "dataset"),
            ("conjuntos de dados", "datasets"),
        ),
    };
    let more = html! { (lang.t("Um conjunto (pixel) é onde a Meta guarda os eventos de um site.", "A dataset (pixel) is where Meta files the events of a site.")) };
    html! {
        (layout::verdict(if n == 0 { Tone::Neutral } else { Tone::Good }, &html! { (answer) }, &more, &html! {}))
        @if n > 0 { section.card aria-label=(lang.t("Conjuntos", "Datasets")) { div.scroll tabindex="0" role="region" aria-label=(lang.t("Lista", "List")) { table {
            thead { tr { th scope="col" { (lang.t("Nome e número", "Name and number")) } th scope="col" { (lang.t("Token", "Token")) } th scope="col" { (lang.t("Código de teste", "Test code")) } } }
            tbody { @for dataset in datasets { tr {
                td { a href={ "/conjuntos/" (dataset.id) (if lang == Lang::En { "?lang=en" } else { "" }) } { (cut(&dataset.settings.name, 60)) }
                    @if dataset.retired_at.is_some() { " " (pill(Tone::Neutral, lang.t("aposentado", "retired"))) }
                    br; code.sub { (dataset.id) } }
                td { @match (&dataset.token_checked_at, &dataset.meta_name) {
                    (Some(at), _) => (pill(Tone::Good, &format!("{} {}", lang.t("conferido", "checked"), lang.day(frame.zone.day_of(*at))))),
                    _ => (pill(Tone::Neutral, lang.t("só envio", "send only"))),
                } }
                td { @match &dataset.settings.test_event_code {
                    Some((code, until)) if *until > frame.now => (pill(Tone::Watch, &format!("{} {} {}", cut(code, 20), lang.t("até", "until"), frame.zone.short(lang, *until, frame.now)))),
                    _ => { (crate::dashboard::words::NONE) },
                } }
            } } }
        } } } }
        @if frame.is_operator() { p { a.btn.primary href=(frame.link("/conjuntos/novo", "")) { (lang.t("Cadastrar um conjunto", "Add a dataset")) } } }
        @else if n == 0 { p.empty { (lang.t("Peça a quem opera que cadastre um.", "Ask an operator to add one.")) } }
    }
}

pub fn render_new(frame: &Frame, form: &NewForm) -> Markup {
    let lang = frame.lang;
    let field = |name: &'static str, title: &str, help: &str, input: Markup| {
        let wrong = form.wrong.as_ref().filter(|(field, _)| *field == name);
        html! { label.wrong[wrong.is_some()] { (title) (input)
        small.why id={ "help-" (name) } { @match wrong { Some((_, why)) => { (why) }, None => { (help) } } } } }
    };
    html! {
        (layout::verdict(Tone::Neutral, &html! { (lang.t("Um conjunto novo", "A new dataset")) },
            &html! { (lang.t("Dois campos da Meta, e pronto: as chaves e a tag saem em seguida.", "Two fields of Meta's and you are done: keys and tag come next.")) }, &html! {}))
        div.grid { (card("c7", "new", lang.t("Da Meta", "From Meta"), lang.t("Gerenciador de Eventos, Configurações", "Events Manager, Settings"), &html! {
            form.form method="post" action="/conjuntos/novo" {
                (frame.form_fields())
                (field("numero", lang.t("Número do conjunto (pixel)", "Number of the dataset (pixel)"), lang.t("15 ou 16 dígitos.", "15 or 16 digits."),
                    html! { input name="numero" inputmode="numeric" required maxlength="20" value=(form.number) aria-describedby="help-numero"; }))
                (field("acesso", lang.t("Token de acesso", "Access token"), lang.t("Da API de Conversões. É conferido com a Meta e guardado selado.", "Of the Conversions API. It is checked with Meta and stored sealed."),
                    html! { input name="acesso" type="password" required autocomplete="off" maxlength="1000" aria-describedby="help-acesso"; }))
                (field("nome", lang.t("Como você o chama", "What you call it"), lang.t("Aparece nas páginas e nos alertas.", "It is on pages and in alerts."),
                    html! { input name="nome" required maxlength="100" value=(form.name) aria-describedby="help-nome"; }))
                (field("origens", lang.t("Páginas que podem enviar", "Pages that may send"), lang.t("Uma por linha: https://loja.exemplo.com.br ou https://*.exemplo.com.br. Pode ficar para depois.", "One a line: https://shop.example.com or https://*.example.com. It can wait."),
                    html! { textarea name="origens" rows="2" aria-describedby="help-origens" { (form.origins) } }))
                div.row { button.btn.primary { (lang.t("Conferir com a Meta e cadastrar", "Check with Meta and add")) } }
            }
        })) }
    }
}

fn role_words(lang: Lang, role: KeyRole) -> &'static str {
    match role {
        KeyRole::Publishable => lang.t("pública, para páginas", "publishable, for pages"),
        KeyRole::Secret => lang.t("secreta, para servidores", "secret, for servers"),
        KeyRole::Viewer => lang.t("de leitura, para este painel", "viewer, for this dashboard"),
        KeyRole::Admin => lang.t("de operação", "admin"),
    }
}

pub fn render(frame: &Frame, data: &DatasetData) -> Markup {
    let (lang, dataset) = (frame.lang, &data.dataset);
    let settings = &dataset.settings;
    let test = settings
        .test_event_code
        .as_ref()
        .filter(|(_, until)| *until > frame.now);
    let seen = data
        .test_event
        .as_ref()
        .and_then(|id| data.events.iter().find(|event| event.event_id == *id));
    let has_events = !data.events.is_empty();
    let more = html! { code { (dataset.id) } @if let Some(name) = &dataset.meta_name { " · " (lang.t("na Meta: ", "at Meta: ")) (cut(name, 80)) } };
    html! {
        (layout::verdict(if has_events { Tone::Good } else { Tone::Neutral }, &html! { (cut(&settings.name, 60)) }, &more, &html! {}))
        @if let Some(wrong) = &data.wrong { div.banner.err role="alert" { (layout::icon("bang", 18)) p { (wrong) } } }
        @if let Some(at) = dataset.retired_at { div.banner role="status" { (layout::icon("pause", 18)) p {
            (lang.t("Aposentado desde ", "Retired since ")) (frame.zone.full(lang, at)) ". "
            (lang.t("As chaves dele não abrem mais nada: quem ainda envia recebe 403. O que já foi aceito segue para a Meta.",
                "Its keys open nothing any more: whoever still sends is answered 403. What was accepted still goes to Meta.")) } } }
        div.grid {
            (card("c7", "steps", lang.t("Do zero ao primeiro evento", "From nothing to the first event"), "", &html! {
                ol.steps {
                    li.done { h3 { (lang.t("Conjunto e token", "Dataset and token")) }
                        p { @match dataset.token_checked_at {
                            Some(at) => { (lang.t("A Meta confirmou o token em ", "Meta confirmed the token on ")) (frame.zone.full(lang, at)) "." },
                            None => { (lang.t("O token pode só enviar: a Meta não deixa conferir antes do primeiro evento.", "The token may only send: Meta does not let it be checked before the first event.")) },
                        } }
                        @if frame.is_operator() { details { summary.sub { (lang.t("Trocar o token…", "Replace the token…")) }
                            form.acts method="post" action={ "/conjuntos/" (dataset.id) "/token" } { (frame.form_fields())
                                label { span.sr { (lang.t("Token de acesso", "Access token")) } input.btn name="acesso" type="password" required autocomplete="off" maxlength="1000"; }
                                button.btn.small { (lang.t("Conferir com a Meta e gravar", "Check with Meta and save")) } } } } }
                    li.done[!data.keys.is_empty()] { h3 { (lang.t("Chaves", "Keys")) }
                        @if data.fresh.is_empty() { p { (lang.t("Já foram mostradas uma vez. Perdeu? Faça outra e revogue a antiga.", "They were shown once. Lost? Make another and revoke the old one.")) } }
                        @else { p { b { (lang.t("Guarde agora: não aparecem de novo.", "Keep them now: they are not shown again.")) } } }
                        @for (role, key) in &data.fresh { div.secret { code { (key) }
                            button.btn.mini type="button" hidden data-copy=(key) aria-label={ (lang.t("Copiar a chave ", "Copy the key ")) (role_words(lang, *role)) } { (lang.t("copiar", "copy")) }
                            small.sub { (role_words(lang, *role)) } } } }
                    li { h3 { (lang.t("A tag nas páginas", "The tag on the pages")) } (tag(frame, data)) }
                    li.done[test.is_some()] { h3 { (lang.t("Código de teste", "Test code")) }
                        p { @match test {
                            Some((code, until)) => { code { (cut(code, 40)) } " " (lang.t("até ", "until ")) (frame.zone.short(lang, *until, frame.now)) ". " (lang.t("Enquanto dura, todos os eventos levam o código.", "While it lasts, all events carry the code.")) },
                            None => { (lang.t("Gerenciador de Eventos, Testar eventos. Termina sozinho em 24 h.", "Events Manager, Test events. It ends by itself in 24 h.")) },
                        } }
                        @if frame.is_operator() { form.acts method="post" action={ "/conjuntos/" (dataset.id) "/codigo" } { (frame.form_fields())
                            label { span.sr { (lang.t("Código de teste", "Test code")) } input.btn name="codigo" placeholder="TEST12345" maxlength="40" size="12" value=(test.map_or("", |(code, _)| code.as_str())); }
                            button.btn.small { (lang.t("Gravar", "Save")) } } } }
                    li.done[seen.is_some()] { h3 { (lang.t("Um evento de teste", "A test event")) }
                        @match (&data.test_event, seen) {
                            (Some(_), Some(event)) => p { (lang.t("Gravado. ", "Stored. ")) a href=(pages::event::address(frame, event.dataset_id, event.day, event.event_number)) { (lang.t("Acompanhar até a Meta", "Follow it to Meta")) } },
                            (Some(_), None) => p { (lang.t("A caminho…", "On its way…")) },
                            (None, _) => p { (lang.t("Um Lead inventado, com o código de teste: aparece em Testar eventos em segundos.", "An invented Lead under the test code: it shows in Test events within seconds.")) },
                        }
                        @if frame.is_operator() { form.acts method="post" action={ "/conjuntos/" (dataset.id) "/teste" } { (frame.form_fields())
                            button.btn.small.primary { (lang.t("Mandar um evento de teste", "Send a test event")) } } } }
                }
            }))
            div.c5.stack {
                (card("", "newest", lang.t("Chegando", "Arriving"), lang.t("últimas 24 h", "last 24 h"), &html! {
                    @if data.events.is_empty() { p.empty { (lang.t("Nada ainda. Esta página se atualiza sozinha.", "Nothing yet. This page refreshes by itself.")) } }
                    ul.feed { @for event in &data.events { li {
                        (layout::badge(Tone::Good))
                        span { a href=(pages::event::address(frame, event.dataset_id, event.day, event.event_number)) { (event_name(lang, &event.event_name)) }
                            small { code { (cut(&event.event_id, 40)) } } }
                        time { (frame.zone.exact(lang, event.received_at)) }
                    } } }
                }))
                @if !data.refusals.is_empty() { (card("", "refused", lang.t("Recusados na entrada", "Refused at the door"),
                    lang.t("respondidos 422, últimos 7 dias", "answered 422, last 7 days"), &pages::refusals::list(frame, &data.refusals))) }
                (card("", "origins", lang.t("Páginas que podem enviar", "Pages that may send"), "", &html! {
                    @if settings.allowed_origins.is_empty() { p.empty { (lang.t("Nenhuma: só páginas do próprio gateway.", "None: only pages of the gateway itself.")) } }
                    @if frame.is_operator() { form.form method="post" action={ "/conjuntos/" (dataset.id) "/origens" } { (frame.form_fields())
                        label { (lang.t("Uma por linha", "One a line")) textarea name="origens" rows="3" { (settings.allowed_origins.join("\n")) } }
                        div.row { button.btn.small { (lang.t("Gravar", "Save")) } } } }
                    @else { ul.chips { @for origin in &settings.allowed_origins { li { (cut(origin, 80)) } } } }
                }))
                (card("", "lead-value", lang.t("Valor do lead", "Value of a lead"), "", &lead_value(frame, data)))
                (card("", "keys", lang.t("Chaves", "Keys"), lang.t("só o fim é guardado", "only their end is kept"), &keys(frame, data)))
            }
        }
    }
}

/// What the pages of the site load. It is to be copied only while its key is shown, which is once.
fn tag(frame: &Frame, data: &DatasetData) -> Markup {
    let lang = frame.lang;
    let host = pages::gateway(lang, &data.gateway_url);
    let script = |key: &str| format!("<script async src=\"{host}/sdk.js\" data-key=\"{key}\"></script>");
    let is_public = |role: KeyRole| role == KeyRole::Publishable;
    let fresh = data.fresh.iter().find(|(role, _)| is_public(*role));
    let known = || {
        data.keys
            .iter()
            .find(|key| is_public(key.role) && key.revoked_at.is_none())
    };
    let placeholder = lang.t("SUA-CHAVE-PÚBLICA", "YOUR-PUBLISHABLE-KEY");
    let end = |shown: &str| shown.rsplit("...").next().unwrap_or_default().to_owned();
    html! {
        p { (lang.t("Antes de ", "Before ")) code { "</head>" } (lang.t(", em todas as páginas:", ", on every page:")) }
        @if let Some((_, key)) = fresh {
            pre { code { (script(key)) } }
            button.btn.mini type="button" hidden data-copy=(script(key)) { (lang.t("copiar a tag", "copy the tag")) }
        } @else {
            pre { code { (script(placeholder)) } }
            p.note {
                @match known() {
                    Some(key) => {
                        (lang.t("No lugar de ", "In place of ")) code { (placeholder) }
                        (lang.t(", ponha a chave pública “", ", put the publishable key “")) (cut(&key.label, 40)) "”"
                        @if let Some(shown) = &key.shown { (lang.t(", que termina em ", ", which ends in ")) code { "…" (end(shown)) } }
                        (lang.t(". Perdeu? Faça outra em Chaves.", ". Lost? Make another under Keys."))
                    },
                    None => { (lang.t("Falta uma chave pública: faça uma em Chaves, e a tag aparece pronta.",
                        "A publishable key is missing: make one under Keys, and the tag is shown complete.")) },
                }
            }
        }
        @if data.gateway_url.is_empty() { p.note {
            (lang.t("Ponha o endereço do gateway no lugar de SEU-GATEWAY (dashboard.gateway_url o põe aqui).",
                "Put the gateway's address in place of YOUR-GATEWAY (dashboard.gateway_url puts it here)."))
        } }
    }
}

/// What a lead without a value is told to be worth, and the form that turns it on and off.
fn lead_value(frame: &Frame, data: &DatasetData) -> Markup {
    let (lang, settings) = (frame.lang, &data.dataset.settings);
    let words = |value: LeadValue| match value {
        LeadValue::None => lang.t("só o que o site mandar", "only what the site sends"),
        LeadValue::Predicted => lang.t("previsto pela campanha", "predicted by its campaign"),
    };
    html! {
        p { (lang.t(
            "Um lead sem valor pode levar à Meta o valor previsto: conversão da campanha vezes o pedido líquido médio.",
            "A lead without a value can carry a predicted one to Meta: conversion of its campaign times the mean net order.")) }
        @if frame.is_operator() {
            form.form.two method="post" action={ "/conjuntos/" (data.dataset.id) "/valor-do-lead" } { (frame.form_fields())
                label { (lang.t("Valor", "Value")) select name="valor" {
                    @for value in [LeadValue::None, LeadValue::Predicted] {
                        option value=(value.as_str()) selected[value == settings.lead_value] { (words(value)) } } } }
                label { (lang.t("Mínimo de pedidos", "Minimum of orders"))
                    input name="minimo" type="number" min="1" max="1000000" required value=(settings.lead_value_minimum_orders); }
                div.row.whole { button.btn.small { (lang.t("Gravar", "Save")) } }
            }
        } @else { p { b { (words(settings.lead_value)) } } }
    }
}

fn keys(frame: &Frame, data: &DatasetData) -> Markup {
    let (lang, id) = (frame.lang, data.dataset.id);
    html! {
        ul.feed { @for key in data.keys.iter().filter(|key| key.revoked_at.is_none()) { li {
            span.badge.mute aria-hidden="true" { (layout::icon("key", 14)) }
            span { (cut(&key.label, 40)) " " code { (key.shown.as_deref().unwrap_or("…")) }
                small { (role_words(lang, key.role)) " · " (lang.t("desde ", "since ")) (lang.day(frame.zone.day_of(key.created_at))) }
                @if frame.is_operator() && key.dataset_id == Some(id) {
                    details { summary.sub { (lang.t("Revogar…", "Revoke…")) }
                        form.acts method="post" action={ "/conjuntos/" (id) "/chaves/" (key.key_id) "/revogar" } { (frame.form_fields())
                            button.btn.small.danger { (lang.t("Revogar para sempre", "Revoke for good")) } } }
                } }
        } } }
        @if frame.is_operator() { details.more { summary { (lang.t("Chave nova", "New key")) }
            form.form.two method="post" action={ "/conjuntos/" (id) "/chaves" } { (frame.form_fields())
                label { (lang.t("Para quê", "For what")) select name="tipo" {
                    @for role in [KeyRole::Secret, KeyRole::Publishable, KeyRole::Viewer] { option value=(role.as_str()) { (role_words(lang, role)) } } } }
                label { (lang.t("Nome", "Name")) input name="nome" required maxlength="80"; }
                div.row.whole { button.btn.small { (lang.t("Fazer", "Make")) } }
            } } }
    }
}
