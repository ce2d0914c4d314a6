//! Conjuntos: from nothing to the first event without SQL. Number and token, which Meta is asked about; keys,
//! shown once; the script tag to copy; a test event, watched as it arrives. Then origins, keys and the test
//! code of what is there.

mod view;

use chrono::{Datelike as _, TimeDelta};
use futures_util::join;
use rastro_core::dataset::DatasetId;
use rastro_core::event::{Event, Intake};
use rastro_core::json::Json;
use rastro_core::lead_value::LeadValue;
use rastro_core::origin;
use rastro_service::config::{ExposeSecret as _, SecretString};
use rastro_service::telemetry::trace_context;
use rastro_store::dashboard::{EventFinding, RefusedAtDoor};
use rastro_store::{
    Dataset, DatasetChange, DatasetSettings, KeyOrder, KeyRefused, KeyRole, KnownApiKey, KnownDataset,
    NewEvent, NewRequest, Origin, TokenCheck,
};
use tracing::{Instrument as _, error, info};
use uuid::Uuid;

use crate::dashboard::layout::Page;
use crate::dashboard::pages::overview::part;
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;
use crate::dashboard::words::{Lang, cut};

pub use view::{render, render_list, render_new};

/// A test code ends by itself, or real events would stay marked.
const TEST_CODE_HOURS: i64 = 24;
/// Below how many orders of a campaign nothing is predicted; as the admin API takes it.
const ORDERS_TO_PREDICT: std::ops::RangeInclusive<u32> = 1..=1_000_000;

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
    let refuse = |(field, why): Wrong| {
        let form = NewForm {
            number: cx.field("numero").to_owned(),
            name: cx.field("nome").to_owned(),
            origins: cx.field("origens").to_owned(),
            wrong: Some((field, why)),
        };
        Reply::wrong(Page::Datasets.title(lang), render_new(&cx.frame, &form))
    };
    let dataset = match read_new(cx) {
        Ok(dataset) => dataset,
        Err(wrong) => return refuse(wrong),
    };
    let check = match check_token(cx, dataset.id, &dataset.access_token).await {
        Ok(check) => check,
        Err(wrong) => return refuse(wrong),
    };
    let added = cx.app.writing.add_dataset(&dataset, &check, &who).await?;
    if added.is_none() {
        let why = lang.t("Este conjunto já está aqui.", "This dataset is here already.");
        return refuse(("numero", why.to_owned()));
    }
    let id = dataset.id;
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
    Reply::page(cut(&dataset.settings.name, 60), render(&cx.frame, &data))
}

/// A field of the form, and what is wrong with it.
type Wrong = (&'static str, String);

/// The dataset as the form says it.
fn read_new(cx: &Cx<'_>) -> Result<Dataset, Wrong> {
    let lang = cx.lang();
    let wrong = |field, pt, en| (field, lang.t(pt, en).to_owned());
    let id = cx.field("numero").parse().map_err(|_| {
        wrong(
            "numero",
            "O número tem só dígitos, como 123456789012345.",
            "The number has digits only, such as 123456789012345.",
        )
    })?;
    let name = cx.field("nome");
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(wrong(
            "nome",
            "Um nome de 1 a 100 caracteres.",
            "A name of 1 to 100 characters.",
        ));
    }
    let access_token = read_token(cx)?;
    let allowed_origins = read_origins(cx)?;
    Ok(Dataset {
        id,
        settings: DatasetSettings {
            name: name.to_owned(),
            allowed_origins,
            ..Default::default()
        },
        access_token,
    })
}

fn read_origins(cx: &Cx<'_>) -> Result<Vec<String>, Wrong> {
    parse_origins(cx.field("origens")).map_err(|line| {
        let how = cx.lang().t(
            "escreva https://loja.exemplo.com.br",
            "write https://shop.example.com",
        );
        ("origens", format!("“{line}”: {how}"))
    })
}

fn read_token(cx: &Cx<'_>) -> Result<SecretString, Wrong> {
    let token = cx.field("acesso");
    if token.len() < 20 || token.chars().any(|c| !c.is_ascii_graphic()) {
        let why = cx.lang().t(
            "O token é a linha inteira que a Meta mostra, sem espaços.",
            "The token is the whole line that Meta shows, without spaces.",
        );
        return Err(("acesso", why.to_owned()));
    }
    Ok(SecretString::from(token.to_owned()))
}

/// What Meta says of the token.
async fn check_token(cx: &Cx<'_>, id: DatasetId, token: &SecretString) -> Result<TokenCheck, Wrong> {
    let lang = cx.lang();
    let failure = match cx.app.graph_api.dataset_name(id, token).await {
        Ok(meta_name) => {
            return Ok(TokenCheck {
                meta_name: Some(meta_name),
            });
        }
        Err(failure) => failure,
    };
    let said = |words: &str| format!("{words} {}", cut(&failure.message, 160));
    if failure.is_about_the_token() {
        let words = lang.t("A Meta recusa este token:", "Meta refuses this token:");
        return Err(("acesso", said(words)));
    }
    match failure.error.as_ref().and_then(|error| error.code) {
        // A token that may send but not read is refused for want of a permission: that says nothing against it.
        Some(10 | 200..=299) => Ok(TokenCheck { meta_name: None }),
        Some(_) => {
            let words = lang.t(
                "A Meta não mostra este conjunto ao token:",
                "Meta does not show this dataset to the token:",
            );
            Err(("numero", said(words)))
        }
        None => {
            let words = lang.t(
                "A Meta não respondeu; nada foi gravado. Tente de novo.",
                "Meta did not answer; nothing was stored. Try again.",
            );
            Err(("acesso", words.to_owned()))
        }
    }
}

fn to(cx: &Cx<'_>, id: DatasetId, more: &str) -> Result<Reply, Failed> {
    Ok(Reply::Redirect(cx.frame.link(&format!("/conjuntos/{id}"), more)))
}

async fn store(cx: &Cx<'_>, id: DatasetId, change: &DatasetChange) -> Result<Reply, Failed> {
    let stored = cx.app.writing.change_dataset(id, change, &cx.signature()).await?;
    stored.ok_or(Failed::NotFound)?;
    to(cx, id, "")
}

async fn refused(cx: &Cx<'_>, id: DatasetId, why: String) -> Result<Reply, Failed> {
    let mut data = load(cx, id).await?;
    data.wrong = Some(why);
    Reply::wrong(Page::Datasets.title(cx.lang()), render(&cx.frame, &data))
}

/// Another token in place of one that ended or was revoked. One that Meta refuses is not stored.
pub async fn enter_token(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let id = id_at(cx)?;
    let token = match read_token(cx) {
        Ok(token) => token,
        Err((_, why)) => return refused(cx, id, why).await,
    };
    let check = match check_token(cx, id, &token).await {
        Ok(check) => check,
        Err((_, why)) => return refused(cx, id, why).await,
    };
    cx.app
        .writing
        .enter_token(id, &token, &check, &cx.signature())
        .await?
        .ok_or(Failed::NotFound)?;
    to(cx, id, "")
}

pub async fn set_origins(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let id = id_at(cx)?;
    let origins = match read_origins(cx) {
        Ok(origins) => origins,
        Err((_, why)) => return refused(cx, id, why).await,
    };
    let change = DatasetChange {
        allowed_origins: Some(origins),
        ..Default::default()
    };
    store(cx, id, &change).await
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
                    "O código tem letras e números, como TEST12345.",
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
    store(cx, id, &change).await
}

/// Whether leads carry a predicted value, and from how many orders of a campaign on.
pub async fn set_lead_value(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let (id, lang) = (id_at(cx)?, cx.lang());
    let lead_value = LeadValue::parse(cx.field("valor")).ok_or(Failed::NotFound)?;
    let minimum = cx.field("minimo").parse().ok();
    let Some(minimum) = minimum.filter(|orders| ORDERS_TO_PREDICT.contains(orders)) else {
        let why = lang.t(
            "O mínimo de pedidos é um número de 1 a 1.000.000, como 30.",
            "The minimum of orders is a number from 1 to 1,000,000, such as 30.",
        );
        return refused(cx, id, why.to_owned()).await;
    };
    let change = DatasetChange {
        lead_value: Some(lead_value),
        lead_value_minimum_orders: Some(minimum),
        ..Default::default()
    };
    store(cx, id, &change).await
}

/// Stores one event under the dataset's test code, as if a server had sent it; a forwarder sends it as any
/// other.
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
    let broken = |why: String| {
        error!("the test event of the dashboard is not valid: {why}");
        let text = lang.t(
            "O evento de teste não pôde ser feito: é um defeito do painel, que ficou no registro dele.",
            "The test event could not be made: a defect of the dashboard, which is in its log.",
        );
        Failed::Invalid(text.to_owned())
    };
    let json = Json::parse(text.as_bytes()).map_err(|why| broken(format!("{why:?}")))?;
    let intake = Intake {
        now_ms: now.timestamp_millis(),
        current_year: now.year(),
        ..Default::default()
    };
    let (event, _) = Event::read(json, &intake).map_err(|findings| broken(format!("{findings:?}")))?;
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
    let request = NewRequest {
        events: vec![NewEvent::new(&event, origin)],
        ..NewRequest::default()
    };
    cx.app
        .writing
        .event_writer()
        .await?
        .accept_requests(&[&request])
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
        Err(why) => refused(cx, id, why_no_key(lang, why).to_owned()).await,
    }
}

fn why_no_key(lang: Lang, why: KeyRefused) -> &'static str {
    match why {
        KeyRefused::RetiredDataset => lang.t(
            "Este conjunto foi aposentado: não recebe mais chaves.",
            "This dataset is retired: it gets no more keys.",
        ),
        KeyRefused::UnknownDataset => lang.t(
            "Este conjunto não existe mais.",
            "There is no such dataset any more.",
        ),
        KeyRefused::NeedsDataset | KeyRefused::TakesNoDataset | KeyRefused::SendsNothing => lang.t(
            "“Para quê”: uma chave deste tipo não se faz aqui.",
            "“For what”: a key of this kind is not made here.",
        ),
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
