//! The landing page of an invented clinic, served as its owner would serve it: from an address of its own, so
//! that its script speaks to the gateway across origins; and what its form sends.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix_web::http::header::ContentType;
use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::ensure;
use rastro_test_support::http;
use serde_json::{Value, json};

use crate::demo::people::people;
use crate::demo::stream::Origin;
use crate::demo::visitors::{Keys, PATIENCE};

/// How many people fill in the form.
const FORMS: usize = 6;

macro_rules! built {
    ($file:literal, $type:expr) => {
        (
            $file,
            $type,
            include_bytes!(concat!("../../../ingest-gateway/web/dist/landing/", $file)).as_slice(),
        )
    };
}

/// The files as the build left them. In the two pages the gateway's address and the key are put in.
static FILES: [(&str, &str, &[u8]); 8] = [
    built!("index.html", "text/html; charset=utf-8"),
    built!("obrigado.html", "text/html; charset=utf-8"),
    built!("app.js", "text/javascript; charset=utf-8"),
    built!("react.js", "text/javascript; charset=utf-8"),
    built!("styles.css", "text/css; charset=utf-8"),
    built!("fonts/bricolage.woff2", "font/woff2"),
    built!("fonts/figtree.woff2", "font/woff2"),
    built!("fonts/OFL.txt", "text/plain; charset=utf-8"),
];

/// Where the page's script sends to, and with which key.
#[derive(Clone)]
struct Given {
    endpoint: String,
    key: String,
}

/// Serves the page until it is told to stop.
pub fn serve(listen: &str, endpoint: &str, key: &str) -> anyhow::Result<()> {
    let given = Given {
        endpoint: endpoint.to_owned(),
        key: key.to_owned(),
    };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(given.clone()))
            .route("/{file:.*}", web::get().to(file))
    });
    let server = server.workers(1).bind(listen)?;
    actix_web::rt::System::new().block_on(async { server.run().await })?;
    Ok(())
}

async fn file(given: Data<Given>, path: Path<String>) -> HttpResponse {
    let name = match path.as_str() {
        "" => "index.html",
        "obrigado" => "obrigado.html",
        other => other,
    };
    let Some((_, kind, content)) = FILES.iter().find(|(known, ..)| *known == name) else {
        return HttpResponse::NotFound().finish();
    };
    let content = match name.ends_with(".html") {
        true => Bytes::from(page(&String::from_utf8_lossy(content), &given)),
        false => Bytes::from_static(content),
    };
    HttpResponse::Ok()
        .insert_header(ContentType(kind.parse().expect("a media type")))
        .body(content)
}

fn page(html: &str, given: &Given) -> String {
    html.replace("__RASTRO_ENDPOINT__", &given.endpoint)
        .replace("__RASTRO_KEY__", &given.key)
        .replace("__RASTRO_PIXEL__", "")
}

/// A form as the page's script sends it.
#[derive(Clone, Debug)]
pub struct Form {
    pub event_id: String,
    body: Value,
}

/// The forms of a run. Some of those who fill them in are in the stream, too.
pub fn forms(origin: &Origin<'_>) -> Vec<Form> {
    let granted = json!({"ad_storage": "granted", "ad_user_data": "granted", "source": "banner"});
    let people = people(origin.seed).into_iter().take(FORMS).enumerate();
    let form = |(number, person): (usize, crate::demo::people::Person)| {
        let event_id = format!("form-{}-{number}", origin.run);
        let clicked_at = (origin.now - 90) * 1_000;
        let body = json!({
            "sent_at": origin.now * 1_000,
            "consent": granted,
            "attribution": {"last": {
                "utm_source": "instagram", "utm_medium": "paid_social", "utm_campaign": "sorriso_novo",
                "fbclid": format!("IwAR0form{number}"), "landing": "/", "at": clicked_at
            }},
            "lead": {
                "name": format!("{} {}", person.first_name, person.last_name), "email": person.email,
                "phone": person.phones[number % person.phones.len()], "message": "Quero agendar uma avaliação",
            },
            "event": {
                "event_name": "Lead", "event_id": event_id, "event_time": origin.now - 5, "action_source": "website",
                "event_source_url": "https://www.clinica.example/?utm_source=instagram",
                "user_data": {"fbp": format!("fb.1.{clicked_at}.10000000{number}"), "external_id": format!("visitante-{number}")}
            }
        });
        Form { event_id, body }
    };
    people.map(form).collect()
}

impl Form {
    /// Sends it across origins, as the page does: JSON announced as text, the key in the address. Whether it
    /// is new.
    pub async fn submit(
        &self,
        gateway: SocketAddr,
        keys: &Keys,
        page: Option<SocketAddr>,
    ) -> anyhow::Result<bool> {
        let path = format!("/api/leads/capture?key={}", keys.publishable);
        let mut headers = vec![
            ("Content-Type", "text/plain;charset=UTF-8"),
            ("X-Forwarded-For", "203.0.113.77"),
            (
                "User-Agent",
                "Mozilla/5.0 (Linux; Android 14; SM-A546E) Chrome/131.0.0.0 Mobile Safari/537.36",
            ),
        ];
        let origin = page.map(|page| format!("http://{page}"));
        if let Some(origin) = &origin {
            headers.push(("Origin", origin));
        }
        let request = http::request("POST", &path, &headers, &self.body.to_string());
        let mut connection = http::Connection::open(gateway).await?;
        // The page's key may have sent as much as it may in a second; its script waits, too.
        let began = Instant::now();
        while connection.exchange(&request).await?.status == 429 && began.elapsed() < PATIENCE.answer_within {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let answer = connection.answer();
        let told = String::from_utf8_lossy(answer.body);
        ensure!(
            matches!(answer.status, 202 | 409),
            "the gateway answered a lead with {}: {told}",
            answer.status
        );
        Ok(answer.status == 202)
    }
}

/// How a person submits the same by hand.
pub fn by_hand(gateway: SocketAddr, page: SocketAddr, key: &str) -> String {
    format!(
        "curl -s 'http://{gateway}/api/leads/capture?key={key}' -H 'Origin: http://{page}' -H 'Content-Type: text/plain' \
         -d '{{\"lead\":{{\"name\":\"Ana de Souza\",\"email\":\"ana@example.com\"}}}}'"
    )
}

/// The script tag for a page of one's own (README.md, "Paste the tag").
pub fn tag(gateway: SocketAddr, key: &str) -> String {
    format!("<script async src='http://{gateway}/sdk.js' data-key='{key}'></script>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_pages_know_where_to_send_and_nothing_is_left_to_put_in() {
        let given = Given {
            endpoint: "http://127.0.0.1:8080".to_owned(),
            key: "pk_1".to_owned(),
        };
        for (name, _, content) in FILES.iter().filter(|(name, ..)| name.ends_with(".html")) {
            let html = page(&String::from_utf8_lossy(content), &given);
            assert!(
                html.contains("http://127.0.0.1:8080") && html.contains("pk_1"),
                "{name}"
            );
            assert!(!html.contains("__RASTRO"), "{name}");
        }
    }

    #[test]
    fn each_form_is_an_event_of_its_own() {
        let origin = Origin {
            seed: 1,
            run: "r",
            now: 1_790_000_000,
        };
        let ids: std::collections::BTreeSet<String> =
            forms(&origin).into_iter().map(|form| form.event_id).collect();
        assert_eq!(ids.len(), FORMS);
    }
}
