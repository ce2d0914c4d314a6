//! Conjuntos: from nothing to the first event without SQL. Number and token, which Meta is asked about; keys, shown once; the
//! script tag to copy; a test event, watched as it arrives. Then origins, keys and the test code of what is there.

use chrono::{Datelike as _, TimeDelta};
use futures_util::join;
use maud::{Markup, html};
use rastro_core::dataset::DatasetId;
use rastro_core::event::{Event, Intake};
use rastro_core::json::Json;
use rastro_core::origin;
use rastro_service::config::{ExposeSecret as _, SecretString};
use rastro_service::telemetry::trace_context;
use rastro_store::dashboard::{EventFinding, RefusedAtDoor};
use rastro_store::{
    Dataset, DatasetChange, DatasetSettings, KeyOrder, KeyRole, KnownApiKey, KnownDataset, NewEvent, Origin,
    TokenCheck,
};
use tracing::{Instrument as _, info};
use uuid::Uuid;

use crate::dashboard::layout::{self, Frame, Page, Tone, card, pill};
use crate::dashboard::pages::event_name;
use crate::dashboard::pages::overview::part;
use crate::dashboard::server::{Cx, Failed, Reply};
use crate::dashboard::words::cut;

/// A test code ends by itself, or real events would stay marked.
const TEST_CODE_HOURS: i64 = 24;

/// A form as it was typed, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct NewForm {
    pub number: String,
    pub name: String,
    pub origins: String,
    /// The field, and why.
    pub wrong: Option<(&'static str, String)>,
}

/// A dataset with all that its page shows.
#[derive(Clone, Debug)]
pub struct DatasetData {
    pub dataset: KnownDataset,
    pub keys: Vec<KnownApiKey>,
    pub events: Vec<EventFinding>,
    /// At the door, within a week.
    pub refusals: Vec<RefusedAtDoor>,
    /// Keys that were made just now: role and key. Never again.
    pub fresh: Vec<(KeyRole, String)>,
    pub gateway_url: String,
    pub wrong: Option<String>,
    /// The test event that was sent from here.
    pub test_event: Option<String>,
}

pub async fn list(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let mut datasets = cx.app.store.datasets().await?;
    datasets.retain(|dataset| cx.frame.datasets.iter().any(|(id, _)| *id == dataset.id.as_i64()));
    Reply::page(Page::Datasets.title(cx.lang()), render_list(&cx.frame, &datasets))
}

pub fn new(cx: &Cx<'_>) -> Result<Reply, Failed> {
    Reply::page(
        Page::Datasets.title(cx.lang()),
        render_new(&cx.frame, &NewForm::default()),
    )
}

fn id_at(cx: &Cx<'_>) -> Result<DatasetId, Failed> {
    DatasetId::try_from(cx.dataset_at(0)?).map_err(|_| Failed::NotFound)
}

async fn load(cx: &Cx<'_>, id: DatasetId) -> Result<DatasetData, Failed> {
    let store = &cx.app.store;
    let ids = [id.as_i64()];
    let (dataset, keys, events, refusals) = join!(
        store.dataset(id),
        store.api_keys(Some(id)),
        store.newest_events(&ids, cx.frame.now - TimeDelta::hours(24), 8),
        store.refused_at_door(&ids, cx.frame.now - TimeDelta::days(7), None, 8)
    );
    Ok(DatasetData {
        dataset: dataset?.ok_or(Failed::NotFound)?,
        keys: part("keys", keys).unwrap_or_default(),
        events: part("events", events).unwrap_or_default(),
        refusals: part("refusals", refusals).unwrap_or_default(),
        fresh: Vec::new(),
        gateway_url: cx.app.config.gateway_url.clone(),
        wrong: None,
        test_event: Some(cx.asked("teste").to_owned()).filter(|id| !id.is_empty() && id.len() < 100),
    })
}

pub async fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let data = load(cx, id_at(cx)?).await?;
    Reply::live(cut(&data.dataset.settings.name, 60), render(&cx.frame, &data))
}

/// Lines or commas between them; every one as browsers write it.
fn parse_origins(text: &str) -> Result<Vec<String>, String> {
    let mut origins = Vec::new();
    for line in text
        .split(['\n', ',', ' '])
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        match origin::is_pattern(line) {
            true => origins.push(line.to_owned()),
            false => return Err(cut(line, 80)),
        }
    }
    Ok(origins)
}

pub async fn create(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let (lang, who) = (cx.lang(), cx.signature());
    let title = Page::Datasets.title(lang);
    let token = SecretString::from(cx.field("token").to_owned());
    let mut form = NewForm {
        number: cx.field("numero").to_owned(),
        name: cx.field("nome").to_owned(),
        origins: cx.field("origens").to_owned(),
        wrong: None,
    };
    let mut refuse = |field: &'static str, why: String| {
        form.wrong = Some((field, why));
        Reply::wrong(title, render_new(&cx.frame, &form))
    };
    let Ok(id) = cx.field("numero").parse::<DatasetId>() else {
        return refuse(
            "numero",
            lang.t(
                "O número tem só algarismos, como 123456789012345.",
                "The number has digits only, such as 123456789012345.",
            )
            .to_owned(),
        );
    };
    let name = cx.field("nome");
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return refuse(
            "nome",
            lang.t("Um nome de 1 a 100 letras.", "A name of 1 to 100 characters.")
                .to_owned(),
        );
    }
    if token.expose_secret().len() < 20 || token.expose_secret().chars().any(|c| !c.is_ascii_graphic()) {
        return refuse(
            "token",
            lang.t(
                "O token é a linha inteira que a Meta mostra, sem espaços.",
                "The token is the whole line that Meta shows, without spaces.",
            )
            .to_owned(),
        );
    }
    let origins = match parse_origins(cx.field("origens")) {
        Ok(origins) => origins,
        Err(line) => {
            return refuse(
                "origens",
                format!(
                    "“{line}”: {}",
                    lang.t(
                        "escreva https://loja.exemplo.com.br",
                        "write https://shop.example.com"
                    )
                ),
            );
        }
    };
    // A token that may send but not read is refused for want of a permission: that says nothing against it.
    let check = match cx.app.graph_api.dataset_name(id, &token).await {
        Ok(meta_name) => TokenCheck {
            meta_name: Some(meta_name),
        },
        Err(failure) if failure.is_about_the_token() => {
            return refuse(
                "token",
                format!(
                    "{} {}",
                    lang.t("A Meta recusa este token:", "Meta refuses this token:"),
                    cut(&failure.message, 160)
                ),
            );
        }
        Err(failure) => match failure.error.as_ref().and_then(|error| error.code) {
            Some(10 | 200..=299) => TokenCheck { meta_name: None },
            Some(_) => {
                return refuse(
                    "numero",
                    format!(
                        "{} {}",
                        lang.t(
                            "A Meta não mostra este conjunto ao token:",
                            "Meta does not show this dataset to the token:"
                        ),
                        cut(&failure.message, 160)
                    ),
                );
            }
            None => {
                return refuse(
                    "token",
                    lang.t(
                        "A Meta não respondeu; nada foi gravado. Tente de novo.",
                        "Meta did not answer; nothing was stored. Try again.",
                    )
                    .to_owned(),
                );
            }
        },
    };
    let settings = DatasetSettings {
        name: name.to_owned(),
        allowed_origins: origins,
        ..Default::default()
    };
    let dataset = Dataset {
        id,
        settings,
        access_token: token,
    };
    if cx
        .app
        .writing
        .add_dataset(&dataset, &check, &who)
        .await?
        .is_none()
    {
        return refuse(
            "numero",
            lang.t("Este conjunto já está aqui.", "This dataset is here already.")
                .to_owned(),
        );
    }
    info!(dataset_id = %id, "{who} added a dataset");
    let mut fresh = Vec::new();
    for role in [KeyRole::Publishable, KeyRole::Secret] {
        let order = KeyOrder {
            role,
            dataset_id: Some(id),
            label: lang.t("primeira", "first").to_owned(),
            event_names: None,
        };
        if let Ok((known, key)) = cx.app.writing.issue_api_key(&order, &who).await? {
            fresh.push((known.role, key.expose_secret().to_owned()));
        }
    }
    let mut data = load(cx, id).await?;
    data.fresh = fresh;
    Reply::page(cut(name, 60), render(&cx.frame, &data))
}

fn to(cx: &Cx<'_>, id: DatasetId, more: &str) -> Result<Reply, Failed> {
    Ok(Reply::Redirect(cx.frame.link(&format!("/conjuntos/{id}"), more)))
}

async fn refused(cx: &Cx<'_>, id: DatasetId, why: String) -> Result<Reply, Failed> {
    let mut data = load(cx, id).await?;
    data.wrong = Some(why);
    Reply::wrong(Page::Datasets.title(cx.lang()), render(&cx.frame, &data))
}

pub async fn set_origins(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let (id, lang) = (id_at(cx)?, cx.lang());
    let origins = match parse_origins(cx.field("origens")) {
        Ok(origins) => origins,
        Err(line) => {
            return refused(
                cx,
                id,
                format!(
                    "“{line}”: {}",
                    lang.t(
                        "escreva https://loja.exemplo.com.br",
                        "write https://shop.example.com"
                    )
                ),
            )
            .await;
        }
    };
    let change = DatasetChange {
        allowed_origins: Some(origins),
        ..Default::default()
    };
    cx.app
        .writing
        .change_dataset(id, &change, &cx.signature())
        .await?
        .ok_or(Failed::NotFound)?;
    to(cx, id, "")
}

pub async fn set_test_code(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let (id, lang) = (id_at(cx)?, cx.lang());
    let code = match cx.field("codigo") {
        "" => None,
        code if code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Some(code.to_owned())
        }
        _ => {
            return refused(
                cx,
                id,
                lang.t(
                    "O código tem letras e algarismos, como TEST12345.",
                    "The code has letters and digits, such as TEST12345.",
                )
                .to_owned(),
            )
            .await;
        }
    };
    let until = cx.frame.now + TimeDelta::hours(TEST_CODE_HOURS);
    let change = DatasetChange {
        test_event_code: Some(code.map(|code| (code, until))),
        ..Default::default()
    };
    cx.app
        .writing
        .change_dataset(id, &change, &cx.signature())
        .await?
        .ok_or(Failed::NotFound)?;
    to(cx, id, "")
}

/// Stores one event under the dataset's test code, as if a server had sent it; a forwarder sends it as any other.
pub async fn send_test_event(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let (id, lang, now) = (id_at(cx)?, cx.lang(), cx.frame.now);
    let dataset = cx.app.store.dataset(id).await?.ok_or(Failed::NotFound)?;
    let Some((code, _)) = dataset.settings.test_event_code.filter(|(_, until)| *until > now) else {
        return refused(
            cx,
            id,
            lang.t(
                "Ponha antes o código de teste, que está no Gerenciador de Eventos da Meta.",
                "Set the test code first; it is in Meta's Events Manager.",
            )
            .to_owned(),
        )
        .await;
    };
    let event_id = format!("teste-{}", Uuid::now_v7().simple());
    let text = serde_json::json!({
        "event_name": "Lead", "event_time": now.timestamp(), "event_id": event_id, "action_source": "website",
        "event_source_url": "https://example.com/teste", "user_data": { "em": "teste@example.com", "client_user_agent": "Rastro" },
    })
    .to_string();
    let json = Json::parse(text.as_bytes()).map_err(|_| Failed::Invalid("event".to_owned()))?;
    let intake = Intake {
        now_ms: now.timestamp_millis(),
        current_year: now.year(),
        ..Default::default()
    };
    let (event, _) =
        Event::read(json, &intake).map_err(|findings| Failed::Invalid(format!("{findings:?}")))?;
    let request_id = Uuid::now_v7();
    let span = tracing::info_span!(
        "test_event",
        otel.kind = "server",
        otel.name = "POST /conjuntos/{id}/teste",
        http.request.method = "POST",
        http.route = "/conjuntos/{id}/teste",
        request.id = %request_id,
    );
    let origin = Origin {
        dataset_id: id,
        test_event_code: code,
        key_id: None,
        request_id,
        traceparent: trace_context::traceparent(&span),
        withheld: false,
    };
    let stored = NewEvent::new(&event, origin);
    cx.app
        .writing
        .event_writer()
        .await?
        .accept(&[&stored], &[])
        .instrument(span)
        .await?;
    to(cx, id, &format!("teste={event_id}"))
}

pub async fn create_key(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let (id, lang) = (id_at(cx)?, cx.lang());
    let role = KeyRole::parse(cx.field("tipo"))
        .filter(|role| *role != KeyRole::Admin)
        .ok_or(Failed::NotFound)?;
    let label: String = cx
        .field("nome")
        .chars()
        .filter(|c| !c.is_control())
        .take(80)
        .collect();
    if label.is_empty() {
        return refused(
            cx,
            id,
            lang.t(
                "Dê um nome à chave: onde ela é usada.",
                "Give the key a name: where it is used.",
            )
            .to_owned(),
        )
        .await;
    }
    let order = KeyOrder {
        role,
        dataset_id: Some(id),
        label,
        event_names: None,
    };
    match cx.app.writing.issue_api_key(&order, &cx.signature()).await? {
        Ok((known, key)) => {
            let mut data = load(cx, id).await?;
            data.fresh = vec![(known.role, key.expose_secret().to_owned())];
            Reply::page(Page::Datasets.title(lang), render(&cx.frame, &data))
        }
        Err(why) => refused(cx, id, why.to_string()).await,
    }
}

pub async fn revoke_key(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let id = id_at(cx)?;
    let key: i64 = cx
        .places
        .get(1)
        .and_then(|text| text.parse().ok())
        .ok_or(Failed::NotFound)?;
    let known = cx.app.store.api_keys(Some(id)).await?;
    if !known
        .iter()
        .any(|known| known.key_id == key && known.dataset_id == Some(id))
    {
        return Err(Failed::NotFound);
    }
    cx.app.writing.revoke_api_key(key, &cx.signature()).await?;
    to(cx, id, "")
}

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
            thead { tr { th scope="col" { (lang.t("Nome", "Name")) } th scope="col" { (lang.t("Número", "Number")) }
                th scope="col" { (lang.t("Token", "Token")) } th scope="col" { (lang.t("Código de teste", "Test code")) } } }
            tbody { @for dataset in datasets { tr {
                td { a href={ "/conjuntos/" (dataset.id) (if lang == crate::dashboard::words::Lang::En { "?lang=en" } else { "" }) } { (cut(&dataset.settings.name, 60)) }
                    @if dataset.retired_at.is_some() { " " (pill(Tone::Neutral, lang.t("aposentado", "retired"))) } }
                td { code { (dataset.id) } }
                td { @match (&dataset.token_checked_at, &dataset.meta_name) {
                    (Some(at), _) => (pill(Tone::Good, &format!("{} {}", lang.t("conferido", "checked"), lang.day(frame.zone.day_of(*at))))),
                    _ => (pill(Tone::Neutral, lang.t("só envio", "send only"))),
                } }
                td { @match &dataset.settings.test_event_code {
                    Some((code, until)) if *until > frame.now => (pill(Tone::Watch, &format!("{} {} {}", cut(code, 20), lang.t("até", "until"), frame.zone.short(lang, *until, frame.now)))),
                    _ => { (super::super::words::NONE) },
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
                (field("numero", lang.t("Número do conjunto (pixel)", "Number of the dataset (pixel)"), lang.t("15 ou 16 algarismos.", "15 or 16 digits."),
                    html! { input name="numero" inputmode="numeric" required maxlength="20" value=(form.number) aria-describedby="help-numero"; }))
                (field("token", lang.t("Token de acesso", "Access token"), lang.t("Da API de Conversões. É conferido com a Meta e guardado selado.", "Of the Conversions API. It is checked with Meta and stored sealed."),
                    html! { input name="token" type="password" required autocomplete="off" maxlength="1000" aria-describedby="help-token"; }))
                (field("nome", lang.t("Como você o chama", "What you call it"), lang.t("Aparece nas páginas e nos alertas.", "It is on pages and in alerts."),
                    html! { input name="nome" required maxlength="100" value=(form.name) aria-describedby="help-nome"; }))
                (field("origens", lang.t("Páginas que podem enviar", "Pages that may send"), lang.t("Uma por linha: https://loja.exemplo.com.br ou https://*.exemplo.com.br. Pode ficar para depois.", "One a line: https://shop.example.com or https://*.example.com. It can wait."),
                    html! { textarea name="origens" rows="2" aria-describedby="help-origens" { (form.origins) } }))
                div.row { button.btn.primary { (lang.t("Conferir com a Meta e cadastrar", "Check with Meta and add")) } }
            }
        })) }
    }
}

fn role_words(lang: crate::dashboard::words::Lang, role: KeyRole) -> &'static str {
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
    let host = if data.gateway_url.is_empty() {
        "https://SEU-GATEWAY"
    } else {
        data.gateway_url.trim_end_matches('/')
    };
    let fresh_public = data
        .fresh
        .iter()
        .find(|(role, _)| *role == KeyRole::Publishable)
        .map(|(_, key)| key.clone());
    let public = fresh_public.unwrap_or_else(|| {
        let known = data
            .keys
            .iter()
            .find(|key| key.role == KeyRole::Publishable && key.revoked_at.is_none());
        known
            .and_then(|key| key.shown.clone())
            .unwrap_or_else(|| "pk_…".to_owned())
    });
    let tag = format!("<script async src=\"{host}/sdk.js\" data-key=\"{public}\"></script>");
    let has_events = !data.events.is_empty();
    let more = html! { code { (dataset.id) } @if let Some(name) = &dataset.meta_name { " · " (lang.t("na Meta: ", "at Meta: ")) (cut(name, 80)) } };
    html! {
        (layout::verdict(if has_events { Tone::Good } else { Tone::Neutral }, &html! { (cut(&settings.name, 60)) }, &more, &html! {}))
        @if let Some(wrong) = &data.wrong { div.banner.err role="alert" { (layout::icon("bang", 18)) p { (wrong) } } }
        @if let Some(at) = dataset.retired_at { div.banner role="status" { (layout::icon("pause", 18)) p {
            (lang.t("Aposentado desde ", "Retired since ")) (frame.zone.full(lang, at)) ". "
            (lang.t("As chaves dele não abrem mais nada: quem ainda envia recebe 401. O que já foi aceito segue para a Meta.",
                "Its keys open nothing any more: whoever still sends is answered 401. What was accepted still goes to Meta.")) } } }
        div.grid {
            (card("c7", "steps", lang.t("Do zero ao primeiro evento", "From nothing to the first event"), "", &html! {
                ol.steps {
                    li.done { h3 { (lang.t("Conjunto e token", "Dataset and token")) }
                        p { @match dataset.token_checked_at {
                            Some(at) => { (lang.t("A Meta confirmou o token em ", "Meta confirmed the token on ")) (frame.zone.full(lang, at)) "." },
                            None => { (lang.t("O token pode só enviar: a Meta não deixa conferir antes do primeiro evento.", "The token may only send: Meta does not let it be checked before the first event.")) },
                        } } }
                    li.done[!data.keys.is_empty()] { h3 { (lang.t("Chaves", "Keys")) }
                        @if data.fresh.is_empty() { p { (lang.t("Já foram mostradas uma vez. Perdeu? Faça outra e revogue a antiga.", "They were shown once. Lost? Make another and revoke the old one.")) } }
                        @else { p { b { (lang.t("Guarde agora: não aparecem de novo.", "Keep them now: they are not shown again.")) } } }
                        @for (role, key) in &data.fresh { div.secret { code { (key) }
                            button.btn.mini type="button" hidden data-copy=(key) aria-label={ (lang.t("Copiar a chave ", "Copy the key ")) (role_words(lang, *role)) } { (lang.t("copiar", "copy")) }
                            small.sub { (role_words(lang, *role)) } } } }
                    li { h3 { (lang.t("A tag nas páginas", "The tag on the pages")) }
                        p { (lang.t("Antes de ", "Before ")) code { "</head>" } (lang.t(", em todas as páginas:", ", on every page:")) }
                        pre { code { (tag) } }
                        button.btn.mini type="button" hidden data-copy=(tag) { (lang.t("copiar a tag", "copy the tag")) }
                        @if data.gateway_url.is_empty() { p.note { (lang.t("Ponha o endereço do gateway no lugar de SEU-GATEWAY (dashboard.gateway_url o põe aqui).", "Put the gateway's address in place of SEU-GATEWAY (dashboard.gateway_url puts it here).")) } } }
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
                            (Some(_), Some(event)) => p { (lang.t("Gravado. ", "Stored. ")) a href=(super::event::address(frame, event.dataset_id, event.day, event.event_number)) { (lang.t("Acompanhar até a Meta", "Follow it to Meta")) } },
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
                        span { a href=(super::event::address(frame, event.dataset_id, event.day, event.event_number)) { (event_name(lang, &event.event_name)) }
                            small { code { (cut(&event.event_id, 40)) } } }
                        time { (frame.zone.exact(lang, event.received_at)) }
                    } } }
                }))
                @if !data.refusals.is_empty() { (card("", "refused", lang.t("Recusados na entrada", "Refused at the door"),
                    lang.t("respondidos 422, últimos 7 dias", "answered 422, last 7 days"), &super::refusals::list(frame, &data.refusals))) }
                (card("", "origins", lang.t("Páginas que podem enviar", "Pages that may send"), "", &html! {
                    @if settings.allowed_origins.is_empty() { p.empty { (lang.t("Nenhuma: só páginas do próprio gateway.", "None: only pages of the gateway itself.")) } }
                    @if frame.is_operator() { form.form method="post" action={ "/conjuntos/" (dataset.id) "/origens" } { (frame.form_fields())
                        label { (lang.t("Uma por linha", "One a line")) textarea name="origens" rows="3" { (settings.allowed_origins.join("\n")) } }
                        div.row { button.btn.small { (lang.t("Gravar", "Save")) } } } }
                    @else { ul.chips { @for origin in &settings.allowed_origins { li { (cut(origin, 80)) } } } }
                }))
                (card("", "keys", lang.t("Chaves", "Keys"), lang.t("só o fim é guardado", "only their end is kept"), &keys(frame, data)))
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_one_a_line_and_a_wrong_one_is_named() {
        assert_eq!(
            parse_origins("https://loja.example\n https://*.example.org , ")
                .unwrap()
                .len(),
            2
        );
        assert_eq!(parse_origins("").unwrap(), Vec::<String>::new());
        assert_eq!(parse_origins("https://loja.example\nloja").unwrap_err(), "loja");
    }
}
