//! Who sees what, and that looking changes nothing.

use monitor::dashboard::routes::{Access, ROUTES, Route};
use rastro_store::KeyRole;

use crate::panel::{OTHER, OWN, Panel, Person, TOKEN};
use crate::seed::{SECRET, Seeded};

/// A route's address with what exists at its places.
fn address(route: &Route, seeded: &Seeded) -> String {
    let place = match route.path {
        path if path.starts_with("/alertas/") => seeded.alert.to_string(),
        path if path.starts_with("/silencios/") => seeded.silence.to_string(),
        path if path.starts_with("/canais/") => "slack".to_owned(),
        _ => seeded.dataset.to_string(),
    };
    let path = route.path.replacen("{}", &place, 1);
    path.replacen("{}", &seeded.key.to_string(), 1)
}

/// Pages about something in particular, beside those of the routes.
fn about(seeded: &Seeded) -> Vec<String> {
    let dataset = seeded.dataset;
    let (first, day) = (seeded.first, &seeded.day);
    let mut pages = vec![
        format!("/evento?n={}&dia={day}&de={dataset}", first + 1),
        format!("/evento?n={}&dia={day}&de={dataset}", first + 2),
        format!("/parados?grupo={dataset}.refused.100.2804019"),
        format!("/parados?evento=pedido-{}", first + 2),
        "/?p=7d".to_owned(),
        format!("/receita?p=90d&dataset={dataset}"),
        format!("/receita/campanhas.csv?p=90d&dataset={dataset}"),
    ];
    pages.extend(seeded.names().map(|name| format!("/evento?q={name}")));
    pages
}

async fn text(panel: &Panel, path: &str, person: &Person) -> String {
    panel.get(path, Some(person)).await.text().await.unwrap()
}

fn in_english(path: &str) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}lang=en")
}

#[tokio::test]
async fn a_viewer_of_one_dataset_sees_no_other() {
    let panel = Panel::start().await;
    let [own, other] = panel.seed().await;
    let operator = panel.sign_in(&panel.key(KeyRole::Admin, None).await).await;
    let one = panel.sign_in(&panel.key(KeyRole::Viewer, Some(OWN)).await).await;
    let is_told = |page: &str| page.to_lowercase().contains(SECRET);

    let pages: Vec<&Route> = ROUTES
        .iter()
        .filter(|route| route.method == "GET" && route.access == Access::Viewer)
        .collect();
    for route in &pages {
        let path = address(route, &own);
        for path in [path.clone(), in_english(&path), format!("{path}?q={OTHER}")] {
            let page = text(&panel, &path, &one).await;
            assert!(!is_told(&page), "{path}");
        }
        let asked = format!("{path}?dataset={OTHER}");
        assert_eq!(panel.get(&asked, Some(&one)).await.status(), 404, "{asked}");
    }
    // Everything of the other that has an address of its own, or is found by a name: to an operator it says
    // something.
    let mut told = 0;
    for route in &pages {
        if route.path.contains("{}") {
            let path = address(route, &other);
            assert_eq!(panel.get(&path, Some(&one)).await.status(), 404, "{path}");
            assert!(is_told(&panel.page(&path, &operator).await), "{path}");
            told += 1;
        }
    }
    assert!(told >= 3, "breaker, alert and dataset");
    for path in about(&other) {
        let page = text(&panel, &path, &one).await;
        assert!(!is_told(&page), "{path}");
        let page = text(&panel, &path, &operator).await;
        assert!(is_told(&page), "an operator is told nothing by {path}");
    }
    // And the viewer sees what is their own.
    for path in about(&own) {
        let page = text(&panel, &path, &one).await;
        assert!(page.to_lowercase().contains("aurora"), "{path}");
    }
}

/// SHA-256 in hexadecimal digits, wherever one stands: a fingerprint of somebody, or of a key.
fn fingerprints(page: &str) -> Vec<&str> {
    page.split(|letter: char| !letter.is_ascii_hexdigit())
        .filter(|word| word.len() >= 64)
        .collect()
}

#[tokio::test]
async fn no_page_holds_a_fingerprint_an_address_a_token_or_a_key() {
    let panel = Panel::start().await;
    let seeded = panel.seed().await;
    let admin = panel.key(KeyRole::Admin, None).await;
    let operator = panel.sign_in(&admin).await;
    let viewer = panel.sign_in(&panel.key(KeyRole::Viewer, None).await).await;
    for (person, sees_payloads) in [(&operator, true), (&viewer, false)] {
        let mut payloads = 0;
        for one in &seeded {
            let routes = ROUTES.iter().filter(|route| route.method == "GET");
            let paths = routes.map(|route| address(route, one)).chain(about(one));
            for path in paths.flat_map(|path| [in_english(&path), path]) {
                let answer = panel.get(&path, Some(person)).await;
                let cookies = format!("{:?}", answer.headers());
                let page = answer.text().await.unwrap();
                payloads += usize::from(page.contains("client_ip_address"));
                for secret in [TOKEN, &admin, &one.hash, one.ip] {
                    assert!(
                        !page.contains(secret) && !cookies.contains(secret),
                        "{path}: {secret}"
                    );
                }
                let found = fingerprints(&page);
                let strange: Vec<&&str> = found.iter().filter(|word| **word != person.token).collect();
                assert!(strange.is_empty(), "{path}: {strange:?}");
                assert!(!page.contains(" style="), "{path} has a style attribute");
            }
        }
        // They were there to be cut.
        assert_eq!(payloads > 0, sees_payloads, "{payloads} payloads");
    }
}

impl Panel {
    /// Of every table: how many rows it has, and what they say. Sessions note when they were last used.
    async fn everything(&self) -> Vec<(String, String)> {
        let tables = self
            .database
            .query(
                "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
                    AND c.relname <> 'dashboard_sessions' ORDER BY 1",
            )
            .await;
        let tables: Vec<String> = tables.into_iter().map(|mut row| row[0].take().unwrap()).collect();
        let of = |table: &String| {
            format!(
                "SELECT '{table}', count(*) || ' ' || coalesce(sum(hashtext(t::text)::bigint), 0) FROM {table} AS t"
            )
        };
        let all: Vec<String> = tables.iter().map(of).collect();
        let rows = self.database.query(&all.join(" UNION ALL ")).await;
        rows.into_iter()
            .map(|mut row| (row[0].take().unwrap(), row[1].take().unwrap()))
            .collect()
    }
}

#[tokio::test]
async fn no_get_changes_anything() {
    let panel = Panel::start().await;
    let seeded = panel.seed().await;
    let operator = panel.sign_in(&panel.key(KeyRole::Admin, None).await).await;
    let before = panel.everything().await;
    let has_rows = |table: &str| {
        let of = before.iter().find(|(name, _)| name == table);
        of.is_some_and(|(_, rows)| !rows.starts_with("0 "))
    };
    for table in [
        "events",
        "meta_retry_queue",
        "alerts",
        "alert_silences",
        "api_keys",
        "circuit_breakers",
    ] {
        assert!(has_rows(table), "{table} is empty");
    }
    // As an eager browser or a scanner of mails would: every link, and every form's address with its fields.
    let fields =
        "quantos=todos&ate=1h&ordem=parar&motivo=x&horas=2&tipo=secret&nome=x&valor=predicted&minimo=5";
    for one in &seeded {
        let group = format!("grupo={}.refused.100.2804019", one.dataset);
        for route in &ROUTES {
            let path = address(route, one);
            for path in [
                path.clone(),
                format!("{path}?{group}&{fields}&token={}", operator.token),
            ] {
                let answer = panel.get(&path, Some(&operator)).await;
                assert!(answer.status().as_u16() < 500, "{path}: {}", answer.status());
            }
        }
        for path in about(one) {
            assert_eq!(panel.get(&path, Some(&operator)).await.status(), 200, "{path}");
        }
    }
    let after = panel.everything().await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
}
