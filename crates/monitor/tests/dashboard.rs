//! The dashboard as a browser meets it, with a real database behind: who may see and do what, and what stays
//! when a part fails.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod panel;

use monitor::dashboard::routes::{Access, ROUTES};
use panel::{NAME, OTHER, OWN, Panel, Person, TOKEN};
use rastro_core::alert::Rule;
use rastro_sandbox::{Sandbox, SandboxConfig};
use rastro_service::clock::Clock;
use rastro_store::KeyRole;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};

#[tokio::test]
async fn every_route_is_for_whom_the_table_says() {
    let panel = Panel::start().await;
    let operator = panel.sign_in(&panel.key(KeyRole::Admin, None).await).await;
    let viewer = panel.sign_in(&panel.key(KeyRole::Viewer, None).await).await;
    let one = panel.sign_in(&panel.key(KeyRole::Viewer, Some(OWN)).await).await;
    for route in ROUTES.iter().filter(|route| route.path != "/sair") {
        let name = format!("{} {}", route.method, route.path);
        let nobody = panel.request(route, None).await;
        let (viewer, one, operator) = (
            panel.request(route, Some(&viewer)).await,
            panel.request(route, Some(&one)).await,
            panel.request(route, Some(&operator)).await,
        );
        match route.access {
            Access::Anyone => assert_ne!(nobody, 403, "{name}"),
            // A page leads to the entrance; a form is refused.
            _ if route.method == "GET" => assert_eq!(nobody, 303, "{name}"),
            _ => assert_eq!(nobody, 403, "{name}"),
        }
        match route.access {
            Access::Operator => assert_eq!((viewer, one), (403, 403), "{name}"),
            _ => assert!(viewer != 403 && one != 403, "{name}: {viewer} {one}"),
        }
        // What is asked for may not exist, or the form may lack a field; but nobody else decides.
        assert!(![403, 405, 500, 503].contains(&operator), "{name}: {operator}");
    }
}

/// Some proxies say in `Host` where they pass the request on to.
#[tokio::test]
async fn behind_a_proxy_that_says_127_0_0_1_cookies_are_as_safe_as_the_public_address() {
    let panel = Panel::start_with(|config| config.dashboard.public_url = format!("https://{NAME}")).await;
    let key = panel.key(KeyRole::Admin, None).await;
    let entering = panel
        .client
        .post(format!("{}/entrar", panel.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", format!("https://{NAME}"))
        .body(format!("key={key}&name=Ana"));
    let answer = entering.send().await.unwrap();
    assert_eq!(answer.status(), 303);
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(
        cookie.starts_with("__Host-rastro=") && cookie.contains("Secure"),
        "{cookie}"
    );
    // And it is known again by it.
    let session = cookie.split(';').next().unwrap();
    let request = panel.client.get(&panel.url).header(COOKIE, session);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_form_from_another_site_or_of_another_session_changes_nothing() {
    let panel = Panel::start().await;
    let operator = panel.sign_in(&panel.key(KeyRole::Admin, None).await).await;
    let path = format!("/disjuntor/{OWN}");
    let form = [("ordem", "parar"), ("motivo", "teste"), ("horas", "2")];
    for site in ["cross-site", "same-site", "none"] {
        assert_eq!(
            panel.post(&path, Some(&operator), &form, site).await.status(),
            403,
            "{site}"
        );
    }
    let stranger = Person {
        token: "0".repeat(64),
        ..operator.clone()
    };
    assert_eq!(
        panel
            .post(&path, Some(&stranger), &form, "same-origin")
            .await
            .status(),
        403
    );
    let orders = "SELECT count(*) FROM breaker_transitions";
    assert_eq!(panel.database.value(orders).await, "0");
    assert_eq!(
        panel
            .post(&path, Some(&operator), &form, "same-origin")
            .await
            .status(),
        303
    );
    assert_eq!(panel.database.value(orders).await, "1");
    assert_eq!(
        panel.database.value("SELECT note FROM breaker_transitions").await,
        "Ana: teste"
    );
}

#[tokio::test]
async fn the_predicted_value_of_leads_is_turned_on_and_off_on_the_page_of_the_dataset() {
    let panel = Panel::start().await;
    let operator = panel.sign_in(&panel.key(KeyRole::Admin, None).await).await;
    let path = format!("/conjuntos/{OWN}/valor-do-lead");
    let stored = async || {
        let set = format!(
            "SELECT lead_value || ' ' || lead_value_minimum_orders FROM datasets WHERE dataset_id = {OWN}"
        );
        panel.database.value(&set).await
    };
    assert_eq!(stored().await, "none 30", "off by default");
    for minimum in ["0", "muitos", "1000001", ""] {
        let form = [("valor", "predicted"), ("minimo", minimum)];
        let answer = panel.post(&path, Some(&operator), &form, "same-origin").await;
        assert_eq!(answer.status(), 422, "{minimum}");
        assert!(answer.text().await.unwrap().contains("de 1 a 1.000.000"));
    }
    assert_eq!(stored().await, "none 30");
    for (word, minimum) in [("predicted", "50"), ("none", "30")] {
        let form = [("valor", word), ("minimo", minimum)];
        let answer = panel.post(&path, Some(&operator), &form, "same-origin").await;
        assert_eq!(answer.status(), 303, "{word}");
        assert_eq!(stored().await, format!("{word} {minimum}"));
        let page = panel
            .get(&format!("/conjuntos/{OWN}"), Some(&operator))
            .await
            .text()
            .await
            .unwrap();
        assert!(
            page.contains(&format!("<option value=\"{word}\" selected>")),
            "{word}"
        );
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_its_sessions_and_keys_that_send_open_nothing() {
    let panel = Panel::start().await;
    let viewer = panel.sign_in(&panel.key(KeyRole::Viewer, None).await).await;
    panel
        .database
        .execute("UPDATE api_keys SET revoked_at = now() WHERE kind = 'viewer'")
        .await;
    let answer = panel.get("/alertas", Some(&viewer)).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()[LOCATION]),
        (303, &"/entrar?volta=%2Falertas".parse().unwrap())
    );
    let secret = panel.key(KeyRole::Secret, Some(OWN)).await;
    assert_eq!(panel.try_key(&secret).await.status(), 422);
    for _ in 0..4 {
        panel.try_key("ak_wrong").await;
    }
    assert_eq!(
        panel
            .try_key(&panel.key(KeyRole::Admin, None).await)
            .await
            .status(),
        429
    );
}

#[tokio::test]
async fn pages_have_their_headers_and_hold_no_secret() {
    let panel = Panel::start().await;
    let key = panel.key(KeyRole::Admin, None).await;
    let operator = panel.sign_in(&key).await;
    let answer = panel.get("/", Some(&operator)).await;
    let headers = answer.headers().clone();
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'")
            && policy.contains("style-src 'self'")
            && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["referrer-policy"], "same-origin");
    for route in ROUTES.iter().filter(|route| route.method == "GET") {
        let path = route.path.replace("{}", &OWN.to_string());
        for path in [path.clone(), format!("{path}?lang=en")] {
            let text = panel.get(&path, Some(&operator)).await.text().await.unwrap();
            assert!(!text.contains(TOKEN) && !text.contains(&key), "{path}");
            assert!(!text.contains(" style="), "{path} has a style attribute");
        }
    }
}

#[tokio::test]
async fn a_page_shows_everything_else_when_one_card_times_out() {
    let panel = Panel::start().await;
    let viewer = panel.sign_in(&panel.key(KeyRole::Viewer, None).await).await;
    // Nobody may read this table for now, as if its statement took too long.
    panel
        .database
        .execute("ALTER TABLE request_counts RENAME TO request_counts_away")
        .await;
    let page = panel.page("/", &viewer).await;
    assert!(page.contains("não respondeu em 2 s"), "the card says so");
    assert!(
        page.contains("O rastro de hoje") && page.contains("A conta fecha"),
        "the rest stays"
    );
}

#[tokio::test]
async fn without_a_database_the_page_says_so_and_keeps_what_it_knew() {
    let mut panel = Panel::start().await;
    let viewer = panel.sign_in(&panel.key(KeyRole::Viewer, None).await).await;
    panel.page("/metodo", &viewer).await;
    let name = panel.database.name().to_owned();
    panel
        .database
        .execute("ALTER TABLE dashboard_sessions RENAME TO gone")
        .await;
    let page = panel.get("/metodo", Some(&viewer)).await;
    assert_eq!(page.status(), 200, "{name}");
    assert!(page.text().await.unwrap().contains("Como é calculado"));
    let other = panel.get("/alertas", Some(&viewer)).await;
    assert_ne!(other.status(), 500);
    // What was remembered may be read, not ordered by.
    let order = panel.post("/sair", Some(&viewer), &[], "same-origin").await;
    assert_eq!(order.status(), 503);
    panel.listening.take().unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn the_runbook_opens_where_a_message_leads_also_without_a_database() {
    let panel = Panel::start().await;
    let viewer = panel.sign_in(&panel.key(KeyRole::Viewer, None).await).await;
    panel
        .database
        .execute("ALTER TABLE dashboard_sessions RENAME TO gone; ALTER TABLE datasets RENAME TO gone_too")
        .await;
    for path in ["/runbook", "/runbook?lang=en"] {
        for person in [None, Some(&viewer)] {
            let answer = panel.get(path, person).await;
            assert_eq!(answer.status(), 200, "{path}");
            let page = answer.text().await.unwrap();
            for &rule in Rule::ALL {
                let anchor = format!(" id=\"{}\"", rule.anchor());
                assert_eq!(page.matches(&anchor).count(), 1, "{anchor}");
            }
            // What it links to within itself is there.
            for link in page.split("href=\"#").skip(1) {
                let to = link.split('"').next().unwrap();
                assert!(page.contains(&format!(" id=\"{to}\"")), "{to}");
            }
            assert!(
                !page.contains(" style=") && !page.contains("operation.md#"),
                "{path}"
            );
        }
    }
    let page = panel.get("/runbook", None).await.text().await.unwrap();
    // Its commands are as they were written, and the advice is in the reader's language.
    assert!(page.contains("SELECT create_day_partitions(7)") && page.contains("<table"));
    assert!(page.contains("Confira se o capi-forwarder roda"), "{page}");
}

#[tokio::test]
async fn the_calculator_counts_in_units_that_a_currency_has() {
    let panel = Panel::start().await;
    panel
        .database
        .execute(&format!(
            "INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, ads_refused, request_id,
                 created_at, updated_at)
             SELECT dataset_id, order_id, status, amount_minor, currency, '{{}}', false, gen_random_uuid(), at, at
             FROM (VALUES ({OWN}, '1', 'approved', 45990, 'CLP', now()), ({OWN}, '2', 'approved', 30000, 'CLP', now()),
                 ({OWN}, '3', 'pending', 1, 'CLP', now()), ({OWN}, '4', 'approved', 1, 'CLP', now() - interval '31 days'),
                 ({OTHER}, '1', 'approved', 12345, 'KWD', now())
             ) AS o (dataset_id, order_id, status, amount_minor, currency, at)"
        ))
        .await;
    let since = Clock::system().now() - chrono::TimeDelta::days(30);
    // Pesos of Chile have no cents, dinars of Kuwait have a thousand fils.
    for (dataset, orders, revenue) in [(OWN, 2, 75_990.0), (OTHER, 1, 12.345)] {
        let told = panel.store.calculator(Some(dataset), since).await.unwrap();
        assert_eq!((told.orders, told.revenue), (orders, Some(revenue)), "{dataset}");
    }
    let all = panel.store.calculator(None, since).await.unwrap();
    assert_eq!((all.orders, all.currencies), (3, 2));
}

#[tokio::test]
async fn the_buckets_of_the_histogram_are_those_of_the_database() {
    let panel = Panel::start().await;
    let limits = panel
        .database
        .value("SELECT array_to_string(latency_limits(), ',')")
        .await;
    let ours: Vec<String> = monitor::dashboard::pages::overview::LATENCY_LIMITS
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(limits, ours.join(","));
}

#[tokio::test]
async fn a_dataset_is_set_up_and_seen_to_work_without_sql() {
    const META: &str = "EAAtoken0of0a0new0shop0000001";
    const NEW: &str = "333333333333333";
    let sandbox = SandboxConfig::default().with_token_for_any_dataset(META);
    let sandbox = Sandbox::start(sandbox).await.unwrap();
    let panel = Panel::start_with(|config| config.graph_api.url = sandbox.url()).await;
    let operator = panel.sign_in(&panel.key(KeyRole::Admin, None).await).await;
    let post = async |path: &str, form: &[(&str, &str)]| {
        let answer = panel.post(path, Some(&operator), form, "same-origin").await;
        let (status, to) = (answer.status().as_u16(), answer.headers().get(LOCATION).cloned());
        let to = to.map(|to| to.to_str().unwrap().to_owned()).unwrap_or_default();
        (status, to, answer.text().await.unwrap())
    };
    let of = |number, token| {
        [
            ("numero", number),
            ("acesso", token),
            ("nome", "Nova"),
            ("origens", "https://nova.example"),
        ]
    };
    let datasets = "SELECT count(*) FROM datasets";
    for (form, why) in [
        (of(NEW, "EAAwrong0wrong0wrong0wrong"), "A Meta recusa este token"),
        (of(NEW, "short"), "a linha inteira"),
        (of("12a", META), "só dígitos"),
    ] {
        let (status, _, page) = post("/conjuntos/novo", &form).await;
        assert!(status == 422 && page.contains(why), "{status} {page}");
        assert!(!page.contains(META) && !page.contains("EAAwrong"));
        assert_eq!(panel.database.value(datasets).await, "2");
    }

    // Keys, shown once, and the tag with the public one, to be copied.
    let (status, _, page) = post("/conjuntos/novo", &of(NEW, META)).await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("data-copy=\"&lt;script async"), "{page}");
    let shown = |prefix: &str| {
        let from = page.find(&format!("<code>{prefix}")).unwrap() + "<code>".len();
        page[from..].split('<').next().unwrap().to_owned()
    };
    let (public, secret) = (shown("pk_"), shown("sk_"));
    assert!(page.contains(&format!("data-key=&quot;{public}&quot;")), "{page}");
    let path = format!("/conjuntos/{NEW}");
    let again = panel.page(&path, &operator).await;
    // Nor a tag with half a key in it, which would be answered 401.
    assert!(
        !again.contains("data-copy=\"&lt;script") && !again.contains("data-key=&quot;pk_"),
        "{again}"
    );
    let end = &public[public.len() - 4..];
    assert!(
        again.contains("data-key=&quot;SUA-CHAVE-PÚBLICA&quot;"),
        "{again}"
    );
    assert!(
        again.contains(&format!("que termina em <code>…{end}</code>")),
        "{again}"
    );
    for hidden in [&public, &secret, META] {
        assert!(!again.contains(hidden), "{hidden}");
    }

    // Without a test code nothing is sent that Meta would count.
    assert_eq!(post(&format!("{path}/teste"), &[]).await.0, 422);
    assert_eq!(
        post(&format!("{path}/codigo"), &[("codigo", "TEST12345")])
            .await
            .0,
        303
    );
    let (status, to, _) = post(&format!("{path}/teste"), &[]).await;
    assert_eq!(status, 303);
    assert!(panel.page(&to, &operator).await.contains("Acompanhar até a Meta"));
    let event = "SELECT dataset_id || ' ' || event_name || ' ' || test_event_code FROM events";
    assert_eq!(panel.database.value(event).await, format!("{NEW} Lead TEST12345"));

    // A token that ended is replaced by one that Meta takes.
    let token = "SELECT access_token_sealed::text FROM datasets WHERE dataset_id = 333333333333333";
    let before = panel.database.value(token).await;
    let to_token = format!("{path}/token");
    let (status, _, page) = post(&to_token, &[("acesso", "EAAwrong0wrong0wrong0wrong")]).await;
    assert!(
        status == 422 && page.contains("A Meta recusa este token"),
        "{status}"
    );
    assert_eq!(panel.database.value(token).await, before);
    assert_eq!(post(&to_token, &[("acesso", META)]).await.0, 303);
    assert_ne!(panel.database.value(token).await, before);
    let logged =
        "SELECT string_agg(action, ' ' ORDER BY entry_id) FROM admin_log WHERE dataset_id = 333333333333333";
    assert!(panel.database.value(logged).await.ends_with("dataset.token"));
}

#[tokio::test]
async fn a_refusal_leaves_who_is_signed_in_the_way_on_and_claims_nothing_about_the_monitor() {
    let panel = Panel::start().await;
    let viewer = panel.sign_in(&panel.key(KeyRole::Viewer, None).await).await;
    let operator = panel.sign_in(&panel.key(KeyRole::Admin, None).await).await;
    let checked = "INSERT INTO monitor_runs (started_at, finished_at, ok, rules, transitions, messages_sent, hours_counted,
            history_days, history_counted)
         VALUES (rastro_now(), rastro_now(), true, 0, 0, 0, 0, 0, 0)";
    panel.database.execute(checked).await;
    let own = format!("/conjuntos/{OWN}");
    let stranger = Person {
        token: "0".repeat(64),
        ..operator.clone()
    };
    let path = format!("/disjuntor/{OWN}");
    let form = [("ordem", "parar"), ("motivo", "teste")];
    for (name, answer, status) in [
        ("nowhere", panel.get("/nada", Some(&viewer)).await, 404),
        (
            "another's dataset",
            panel.get("/?dataset=5", Some(&viewer)).await,
            404,
        ),
        (
            "another method",
            panel.post(&own, Some(&operator), &[], "same-origin").await,
            405,
        ),
        (
            "not for viewers",
            panel.get("/conjuntos/novo", Some(&viewer)).await,
            403,
        ),
        (
            "another session",
            panel.post(&path, Some(&stranger), &form, "same-origin").await,
            403,
        ),
        (
            "another site",
            panel.post(&path, Some(&operator), &form, "cross-site").await,
            403,
        ),
    ] {
        assert_eq!(answer.status(), status, "{name}");
        let page = answer.text().await.unwrap();
        assert!(page.contains("<nav class=\"main\""), "{name}: {page}");
        assert!(!page.contains("ainda não verificado"), "{name}: {page}");
    }
    // Whoever is not signed in learns nothing of what is here.
    let answer = panel.get("/nada", None).await;
    assert_eq!(answer.status(), 404);
    let page = answer.text().await.unwrap();
    assert!(
        !page.contains("<nav class=\"main\"") && !page.contains("Loja Aurora"),
        "{page}"
    );
}

#[tokio::test]
async fn a_form_that_cannot_be_taken_says_why_in_the_language_of_its_page() {
    let panel = Panel::start().await;
    let operator = panel.sign_in(&panel.key(KeyRole::Admin, None).await).await;
    let retired = format!("UPDATE datasets SET retired_at = rastro_now() WHERE dataset_id = {OWN}");
    panel.database.execute(&retired).await;
    let keys = format!("/conjuntos/{OWN}/chaves");
    let long = "x".repeat(70_000);
    let key = [("tipo", "secret"), ("nome", "loja")];
    for (path, form, status, pt, en) in [
        (
            "/silencios",
            vec![("motivo", long.as_str())],
            413,
            "passa de 64 kB",
            "over 64 kB",
        ),
        (
            "/alertas/1/adiar",
            vec![("ate", "nunca")],
            422,
            "“Adiar” vai por 1 h",
            "“Snooze” is for 1 h",
        ),
        (keys.as_str(), key.to_vec(), 422, "foi aposentado", "is retired"),
    ] {
        for (lang, words) in [("pt", pt), ("en", en)] {
            let mut form = form.clone();
            form.push(("lang", lang));
            let path = format!("{path}?lang={lang}");
            let answer = panel.post(&path, Some(&operator), &form, "same-origin").await;
            assert_eq!(answer.status(), status, "{path}");
            let page = answer.text().await.unwrap();
            assert!(page.contains(words), "{path}: {page}");
        }
    }
}

#[tokio::test]
async fn an_address_that_nobody_set_is_named_in_the_language_of_the_page() {
    let panel = Panel::start().await;
    let viewer = panel.sign_in(&panel.key(KeyRole::Viewer, None).await).await;
    for path in [format!("/conjuntos/{OWN}"), "/".to_owned()] {
        let page = panel.page(&format!("{path}?lang=en"), &viewer).await;
        assert!(
            page.contains("https://YOUR-GATEWAY") && !page.contains("SEU-GATEWAY"),
            "{page}"
        );
        let page = panel.page(&path, &viewer).await;
        assert!(
            page.contains("https://SEU-GATEWAY") && !page.contains("YOUR-GATEWAY"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn what_a_number_is_made_of_can_be_looked_up_also_of_revenue() {
    let panel = Panel::start().await;
    let viewer = panel.sign_in(&panel.key(KeyRole::Viewer, None).await).await;
    let page = panel.page("/metodo", &viewer).await;
    assert!(
        page.contains("<dt>Receita</dt>") && page.contains("<a href=\"/receita\">Cada número"),
        "{page}"
    );
}
