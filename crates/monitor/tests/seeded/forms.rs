//! Every form is taken out of the page that it stands in and posted as it is, with what a person types: what
//! a page sends is what the server reads.

use std::collections::BTreeSet;

use monitor::dashboard::routes::{Found, ROUTES, find};
use rastro_sandbox::slack::SlackSandbox;
use rastro_sandbox::{Sandbox, SandboxConfig};
use rastro_store::KeyRole;
use reqwest::Response;
use reqwest::header::{COOKIE, HOST, LOCATION, SET_COOKIE};

use crate::html::{Form, forms, unescape};
use crate::panel::{NAME, OTHER, OWN, Panel, Person};

const META: &str = "EAAtoken0of0a0new0shop0000001";
const META_TOO: &str = "EAAtoken0of0a0new0shop0000002";
const NEW: i64 = 333_333_333_333_333;

/// Somebody at a browser.
struct Desk {
    panel: Panel,
    person: Person,
    /// Patterns of the routes that were posted to.
    posted: BTreeSet<&'static str>,
}

/// What came back of a form.
struct Answer {
    status: u16,
    /// Where a redirect leads.
    to: String,
    page: String,
    cookie: Option<String>,
}

impl Desk {
    async fn forms(&self, page: &str) -> Vec<Form> {
        let text = match self.person.cookie.as_str() {
            "" => self.panel.get(page, None).await.text().await.unwrap(),
            _ => self.panel.page(page, &self.person).await,
        };
        forms(&text)
    }

    /// The one form of a page that leads there.
    async fn form(&self, page: &str, action: &str) -> Form {
        let all = self.forms(page).await;
        let actions: Vec<&str> = all.iter().map(|form| form.action.as_str()).collect();
        let found: Vec<&Form> = all.iter().filter(|form| form.action == action).collect();
        assert_eq!(found.len(), 1, "{page}: {action} in {actions:?}");
        found[0].clone()
    }

    /// Of several that lead there the one that says this.
    async fn form_with(&self, page: &str, action: &str, field: (&str, &str)) -> Form {
        let all = self.forms(page).await;
        let says = |form: &&Form| {
            let has = |(name, value): &(String, String)| (name.as_str(), value.as_str()) == field;
            form.action == action && form.fields.iter().any(has)
        };
        let found: Vec<&Form> = all.iter().filter(says).collect();
        assert_eq!(found.len(), 1, "{page}: {action} with {field:?} in {all:#?}");
        found[0].clone()
    }

    /// Posts a form with what was typed into fields that it has, or chosen of what it offers.
    async fn send(&mut self, form: &Form, typed: &[(&str, &str)], button: Option<&str>) -> Answer {
        assert_eq!(form.method, "post", "{form:?}");
        let mut fields = form.fields.clone();
        for (name, value) in typed {
            let field = fields.iter_mut().find(|(other, _)| other == name);
            let offered: Vec<&str> = { form.options.iter() }
                .filter(|(other, _)| other == name)
                .map(|(_, value)| value.as_str())
                .collect();
            assert!(
                offered.is_empty() || offered.contains(value),
                "{value} of {offered:?}"
            );
            field.unwrap_or_else(|| panic!("no field {name} in {form:?}")).1 = (*value).to_owned();
        }
        if let Some(value) = button {
            let pressed = form.buttons.iter().find(|(_, other)| other == value);
            fields.push(
                pressed
                    .unwrap_or_else(|| panic!("no button {value} in {form:?}"))
                    .clone(),
            );
        }
        let Found::Route(route, _) = find("POST", &form.action) else {
            panic!("{} leads nowhere", form.action)
        };
        self.posted.insert(route.path);
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&fields)
            .finish();
        let request = self
            .panel
            .client
            .post(format!("{}{}", self.panel.url, form.action))
            .header(HOST, NAME)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header(COOKIE, &self.person.cookie)
            .body(body);
        let answer: Response = request.send().await.unwrap();
        let header = |name| {
            let value = answer.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        Answer {
            status: answer.status().as_u16(),
            to: header(LOCATION).unwrap_or_default(),
            cookie: header(SET_COOKIE),
            page: answer.text().await.unwrap(),
        }
    }

    /// Posts it, is led on, and says where to.
    async fn done(&mut self, form: &Form, typed: &[(&str, &str)], button: Option<&str>) -> String {
        let answer = self.send(form, typed, button).await;
        assert_eq!(answer.status, 303, "{form:?}: {}", answer.page);
        answer.to
    }

    async fn value(&self, sql: &str) -> String {
        self.panel.database.value(sql).await
    }

    async fn page(&self, path: &str) -> String {
        self.panel.page(path, &self.person).await.replace('\u{a0}', " ")
    }
}

#[tokio::test]
async fn every_form_does_what_it_says_when_it_is_posted_as_it_stands() {
    let sandbox = SandboxConfig::default()
        .with_token_for_any_dataset(META)
        .with_token_for_any_dataset(META_TOO);
    let sandbox = Sandbox::start(sandbox).await.unwrap();
    let slack = SlackSandbox::start().await.unwrap();
    let panel = Panel::start_with(|config| {
        config.graph_api.url = sandbox.url();
        config.notify.slack.webhook_url = slack.webhook_url().into();
    })
    .await;
    panel.seed().await;
    let key = panel.key(KeyRole::Admin, None).await;
    let mut desk = Desk {
        panel,
        person: Person {
            cookie: String::new(),
            token: String::new(),
        },
        posted: BTreeSet::new(),
    };
    sign_in(&mut desk, &key).await;
    send_again(&mut desk).await;
    order_the_breaker(&mut desk).await;
    ask_meta(&mut desk).await;
    see_to_alerts(&mut desk).await;
    silence(&mut desk).await;
    set_up(&mut desk).await;
    make_and_revoke_a_key(&mut desk).await;
    sign_out(&mut desk).await;
    let all: BTreeSet<&str> = { ROUTES.iter() }
        .filter(|route| route.method == "POST")
        .map(|route| route.path)
        .collect();
    assert_eq!(desk.posted, all, "every form stands in a page, and was posted");
}

async fn sign_in(desk: &mut Desk, key: &str) {
    let form = desk.form("/entrar?volta=%2Falertas", "/entrar").await;
    let answer = desk.send(&form, &[("key", key), ("name", "Ana")], None).await;
    assert_eq!((answer.status, answer.to.as_str()), (303, "/alertas"));
    let cookie = answer.cookie.unwrap();
    desk.person.cookie = cookie.split(';').next().unwrap().to_owned();
}

async fn send_again(desk: &mut Desk) {
    let stopped = |dataset: i64| {
        format!(
            "SELECT coalesce(string_agg(event_number::text, ' ' ORDER BY 1), '') FROM meta_retry_queue
             WHERE status = 'failed' AND dataset_id = {dataset}"
        )
    };
    let action = "/parados/reenviar";
    // One of those that a filter shows, in English.
    let page = format!("/parados?lang=en&evento=pedido-2003&grupo={OTHER}.refused.100.2804019");
    let form = desk.form(&page, action).await;
    let to = desk.done(&form, &[], None).await;
    for part in ["lang=en", "feitos=1", "velhos=0", "evento=pedido-2003"] {
        assert!(to.contains(part), "{to}");
    }
    assert!(desk.page(&to).await.contains("1 event went back"));
    assert_eq!(desk.value(&stopped(OTHER)).await, "2002");
    assert_eq!(desk.value(&stopped(OWN)).await, "1002 1003");
    // All of one cause of one dataset.
    let page = format!("/parados?dataset={OWN}&grupo={OWN}.refused.100.2804019");
    let one = desk.form_with(&page, action, ("quantos", "1")).await;
    let all = desk.form_with(&page, action, ("quantos", "todos")).await;
    let to = desk.done(&all, &[], None).await;
    assert!(
        to.contains("feitos=2") && to.contains(&format!("dataset={OWN}")),
        "{to}"
    );
    assert_eq!(desk.value(&stopped(OWN)).await, "");
    assert_eq!(desk.value(&stopped(OTHER)).await, "2002");
    let page = desk.page(&to).await;
    assert!(
        page.contains("2 eventos voltaram") && page.contains("Reenviado por Ana"),
        "{page}"
    );
    // Pressing again what an old page still shows sends nothing twice.
    let to = desk.done(&one, &[], None).await;
    assert!(to.contains("feitos=0"), "{to}");
    let asked = "SELECT count(*) || ' ' || count(DISTINCT request_id) FROM event_outcomes
                 WHERE outcome = 'retried' AND detail = 'retried by Ana'";
    assert_eq!(desk.value(asked).await, "3 2");
}

async fn order_the_breaker(desk: &mut Desk) {
    let page = format!("/disjuntor/{OWN}");
    let order = format!(
        "SELECT concat_ws('|', manual, note, round(extract(epoch FROM manual_until - rastro_now()) / 3600))
         FROM circuit_breakers WHERE dataset_id = {OWN}"
    );
    let form = desk.form(&page, &page).await;
    let refused = desk.send(&form, &[], Some("parar")).await;
    assert_eq!(refused.status, 422, "without a reason");
    assert_eq!(desk.value(&order).await, "forced_closed|aurora: nota|1");
    let typed = [("motivo", "troca & teste: 50 %"), ("horas", "3")];
    desk.done(&form, &typed, Some("parar")).await;
    assert_eq!(desk.value(&order).await, "forced_open|Ana: troca & teste: 50 %|3");
    let form = desk.form(&page, &page).await;
    desk.done(&form, &[], Some("automatico")).await;
    assert!(desk.value(&order).await.starts_with("automatic|"));
    desk.done(&form, &[("motivo", "x"), ("horas", "sem fim")], Some("enviar"))
        .await;
    assert_eq!(desk.value(&order).await, "forced_closed|Ana: x");
}

async fn ask_meta(desk: &mut Desk) {
    let due = |dataset: i64| {
        format!("SELECT next_at <= rastro_now() FROM dataset_quality_fetches WHERE dataset_id = {dataset}")
    };
    let form = desk
        .form("/qualidade", &format!("/qualidade/{OWN}/perguntar"))
        .await;
    desk.done(&form, &[], None).await;
    assert_eq!(desk.value(&due(OWN)).await, "t");
    assert_eq!(desk.value(&due(OTHER)).await, "f");
}

async fn see_to_alerts(desk: &mut Desk) {
    let of = |what: &str, dataset: i64| {
        format!("SELECT {what} FROM alerts WHERE state = 'firing' AND dataset_id = {dataset}")
    };
    let id = desk.value(&of("alert_id", OWN)).await;
    let (later, seen) = (format!("/alertas/{id}/adiar"), format!("/alertas/{id}/ciente"));
    let until = "snoozed_by || round(extract(epoch FROM snoozed_until - rastro_now()) / 60)";
    for (choice, minutes) in [("1h", "Ana60"), ("4h", "Ana240")] {
        let form = desk.form_with("/alertas", &later, ("ate", choice)).await;
        desk.done(&form, &[], None).await;
        assert_eq!(desk.value(&of(until, OWN)).await, minutes);
    }
    // On the alert's own page.
    let page = format!("/alertas/{id}");
    let form = desk.form_with(&page, &later, ("ate", "amanha")).await;
    desk.done(&form, &[], None).await;
    let local = "to_char(snoozed_until AT TIME ZONE 'America/Sao_Paulo', 'HH24:MI') || ' '
                 || (snoozed_until AT TIME ZONE 'America/Sao_Paulo')::date - (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date";
    assert_eq!(desk.value(&of(local, OWN)).await, "09:00 1");
    let form = desk.form(&page, &seen).await;
    desk.done(&form, &[], None).await;
    assert_eq!(desk.value(&of("acknowledged_by", OWN)).await, "Ana");
    let left = desk.forms(&page).await;
    assert!(left.iter().all(|form| form.action != seen), "it was said");
    let others = "coalesce(acknowledged_by, snoozed_by, 'nobody')";
    assert_eq!(desk.value(&of(others, OTHER)).await, "nobody");

    let form = desk.form("/alertas", "/canais/slack/teste").await;
    let to = desk.done(&form, &[], None).await;
    assert!(desk.page(&to).await.contains("A mensagem de teste sai"));
    let message =
        "SELECT channel || ' ' || state || ' ' || (facts ->> 'note') FROM alert_messages WHERE kind = 'test'";
    assert_eq!(desk.value(message).await, "slack waiting Ana");
}

async fn silence(desk: &mut Desk) {
    let newest = "SELECT concat_ws('|', rule, dataset_id, extract(epoch FROM ends_at - starts_at)::bigint / 3600, created_by, reason)
                  FROM alert_silences ORDER BY silence_id DESC LIMIT 1";
    let before = desk.value(newest).await;
    let form = desk.form("/alertas", "/silencios").await;
    let refused = desk.send(&form, &[("motivo", "x")], None).await;
    assert!(
        refused.status == 422 && refused.page.contains("o silêncio de tudo não existe"),
        "{}",
        refused.page
    );
    assert_eq!(desk.value(newest).await, before);
    let other = OTHER.to_string();
    let typed = [
        ("regra", "dead_letters"),
        ("conjunto", other.as_str()),
        ("motivo", "promoção + frete"),
    ];
    desk.done(&form, &typed, None).await;
    let expected = format!("dead_letters|{OTHER}|2|Ana|promoção + frete");
    assert_eq!(desk.value(newest).await, expected, "two hours stand in the form");
    let id = desk.value("SELECT max(silence_id) FROM alert_silences").await;
    let form = desk.form("/alertas", &format!("/silencios/{id}/fim")).await;
    desk.done(&form, &[], None).await;
    let in_force = "SELECT count(*) FROM alert_silences WHERE ends_at > rastro_now()";
    assert_eq!(desk.value(in_force).await, "2", "those that were there before");
}

async fn set_up(desk: &mut Desk) {
    let form = desk.form("/conjuntos/novo", "/conjuntos/novo").await;
    let number = NEW.to_string();
    let typed = [
        ("numero", number.as_str()),
        ("acesso", META),
        ("nome", "Café & Cia"),
        ("origens", "https://nova.example\r\nhttps://*.outra.example"),
    ];
    let made = desk.send(&form, &typed, None).await;
    assert_eq!(made.status, 200, "{}", made.page);
    let page = format!("/conjuntos/{NEW}");
    let of = |what: &str| format!("SELECT {what} FROM datasets WHERE dataset_id = {NEW}");
    assert_eq!(desk.value(&of("name")).await, "Café & Cia");
    // The origins as they stand, and others.
    let origins = of("array_to_string(allowed_origins, ' ')");
    let before = desk.value(&origins).await;
    assert_eq!(before, "https://nova.example https://*.outra.example");
    let form = desk.form(&page, &format!("{page}/origens")).await;
    desk.done(&form, &[], None).await;
    assert_eq!(desk.value(&origins).await, before);
    desk.done(&form, &[("origens", "https://so.example")], None).await;
    assert_eq!(desk.value(&origins).await, "https://so.example");

    let token = of("access_token_sealed::text");
    let before = desk.value(&token).await;
    let form = desk.form(&page, &format!("{page}/token")).await;
    desk.done(&form, &[("acesso", META_TOO)], None).await;
    assert_ne!(desk.value(&token).await, before);

    let lead = of("lead_value || ' ' || lead_value_minimum_orders");
    let before = desk.value(&lead).await;
    let form = desk.form(&page, &format!("{page}/valor-do-lead")).await;
    desk.done(&form, &[], None).await;
    assert_eq!(desk.value(&lead).await, before);
    desk.done(&form, &[("valor", "predicted"), ("minimo", "40")], None)
        .await;
    assert_eq!(desk.value(&lead).await, "predicted 40");

    let code = of(
        "coalesce(test_event_code, '') || ' ' || coalesce(round(extract(epoch FROM test_event_code_expires_at - rastro_now()) / 3600), 0)",
    );
    let form = desk.form(&page, &format!("{page}/codigo")).await;
    desk.done(&form, &[("codigo", "TEST12345")], None).await;
    assert_eq!(desk.value(&code).await, "TEST12345 24");
    let form = desk.form(&page, &format!("{page}/teste")).await;
    let to = desk.done(&form, &[], None).await;
    assert!(desk.page(&to).await.contains("Acompanhar até a Meta"));
    let event = format!("SELECT event_name || ' ' || test_event_code FROM events WHERE dataset_id = {NEW}");
    assert_eq!(desk.value(&event).await, "Lead TEST12345");
    let who = format!("SELECT string_agg(DISTINCT who, ' ') FROM admin_log WHERE dataset_id = {NEW}");
    assert_eq!(desk.value(&who).await, "Ana");
}

async fn make_and_revoke_a_key(desk: &mut Desk) {
    let page = format!("/conjuntos/{OWN}");
    let form = desk.form(&page, &format!("{page}/chaves")).await;
    for (role, begin) in [("publishable", "pk_"), ("viewer", "vk_")] {
        let made = desk
            .send(&form, &[("tipo", role), ("nome", "caixa & loja")], None)
            .await;
        assert_eq!(made.status, 200, "{}", made.page);
        let key = made.page.split("<code>").find(|text| text.starts_with(begin));
        let key = unescape(key.unwrap().split('<').next().unwrap());
        let made = format!(
            "SELECT label || ' ' || dataset_id FROM api_keys WHERE kind = '{role}' AND key_hash = sha256('{key}')"
        );
        assert_eq!(desk.value(&made).await, format!("caixa & loja {OWN}"));
    }
    let id = format!("SELECT key_id FROM api_keys WHERE kind = 'publishable' AND dataset_id = {OWN}");
    let id = desk.value(&id).await;
    let form = desk.form(&page, &format!("{page}/chaves/{id}/revogar")).await;
    desk.done(&form, &[], None).await;
    let revoked = "SELECT string_agg(key_id::text, ' ') FROM api_keys WHERE revoked_at IS NOT NULL";
    assert_eq!(desk.value(revoked).await, id, "and no other");
}

async fn sign_out(desk: &mut Desk) {
    let sessions = "SELECT count(*) FROM dashboard_sessions";
    assert_eq!(desk.value(sessions).await, "1");
    let form = desk.form("/metodo", "/sair").await;
    assert_eq!(desk.done(&form, &[], None).await, "/entrar");
    assert_eq!(desk.value(sessions).await, "0");
    assert_eq!(desk.panel.get("/", Some(&desk.person)).await.status(), 303);
}

#[tokio::test]
async fn every_form_leads_somewhere_and_who_only_looks_is_offered_no_order() {
    let panel = Panel::start().await;
    let [own, _] = panel.seed().await;
    let operator = panel.sign_in(&panel.key(KeyRole::Admin, None).await).await;
    let viewer = panel.sign_in(&panel.key(KeyRole::Viewer, None).await).await;
    let mut orders = 0;
    for route in ROUTES.iter().filter(|route| route.method == "GET") {
        let place = match route.path {
            "/alertas/{}" => own.alert,
            _ => own.dataset,
        };
        let path = route.path.replace("{}", &place.to_string());
        for (person, is_operator) in [(&operator, true), (&viewer, false)] {
            let page = panel.get(&path, Some(person)).await.text().await.unwrap();
            for form in forms(&page) {
                let method = form.method.to_uppercase();
                let found = find(&method, &form.action);
                assert!(matches!(found, Found::Route(..)), "{path}: {form:?}");
                let is_order = method == "POST" && form.action != "/sair" && form.action != "/entrar";
                assert!(is_operator || !is_order, "{path}: {form:?}");
                orders += usize::from(is_order);
            }
        }
    }
    assert!(orders > 20, "{orders}");
}
