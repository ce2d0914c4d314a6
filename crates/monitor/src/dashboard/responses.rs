//! The HTTP answers of the dashboard: pages in their frame, redirects, files, and what is said when there
//! is none.

use actix_web::cookie::Cookie;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, PreEscaped, html};
use rastro_service::telemetry::ErrorChain;
use rastro_store::StoreError;
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::dashboard::app::App;
use crate::dashboard::away;
use crate::dashboard::layout::{self, Banner, Frame, Tone};
use crate::dashboard::reply::{Download, Failed};
use crate::dashboard::routes::Route;
use crate::dashboard::visitor;
use crate::dashboard::words::Lang;

/// A page, or 304 if the browser has it already.
pub(super) fn page(
    request: &HttpRequest,
    frame: &Frame,
    status: StatusCode,
    title: &str,
    body: &Markup,
) -> HttpResponse {
    let text = layout::page(frame, title, body).into_string();
    let hash = Sha256::digest(&text);
    let etag = format!("\"{}\"", visitor::hex(&hash[..12]));
    let known = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    if status == StatusCode::OK && known == Some(etag.as_str()) {
        return HttpResponse::NotModified()
            .insert_header((header::ETAG, etag))
            .finish();
    }
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((header::ETAG, etag))
        .body(text)
}

/// A file to be kept.
pub(super) fn file(file: Download) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(file.content_type)
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", file.name),
        ))
        .body(file.body)
}

pub(super) fn see_other(to: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, to))
        .finish()
}

pub(super) fn add_cookie(response: &mut HttpResponse, cookie: &Cookie<'_>) {
    if let Err(error) = response.add_cookie(cookie) {
        warn!("a cookie could not be written: {error}");
    }
}

/// Whoever only looks may sign in and comes back; an order is not made twice.
pub(super) fn to_login(frame: &Frame, request: &HttpRequest, route: &Route) -> HttpResponse {
    if route.method != "GET" {
        return failed(
            frame,
            &Failed::Forbidden(
                "Entre de novo: a sessão terminou.",
                "Sign in again: the session has ended.",
            ),
        );
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    if request.uri().path() != "/" || !request.query_string().is_empty() {
        query.append_pair("volta", &request.uri().to_string());
    }
    if frame.lang == Lang::En {
        query.append_pair("lang", "en");
    }
    match query.finish().as_str() {
        "" => see_other("/entrar"),
        query => see_other(&format!("/entrar?{query}")),
    }
}

pub(super) fn failed(frame: &Frame, why: &Failed) -> HttpResponse {
    let status = match why {
        Failed::NotFound => StatusCode::NOT_FOUND,
        Failed::Forbidden(..) => StatusCode::FORBIDDEN,
        Failed::TooManyTries => StatusCode::TOO_MANY_REQUESTS,
        Failed::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Failed::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    plain(frame, status, why)
}

/// A page with one sentence.
pub(super) fn plain(frame: &Frame, status: StatusCode, why: &Failed) -> HttpResponse {
    let lang = frame.lang;
    let (answer, more) = match why {
        Failed::NotFound => (
            lang.t("Esta página não existe", "There is no such page")
                .to_owned(),
            lang.t("Ou você não pode vê-la.", "Or you may not see it.")
                .to_owned(),
        ),
        Failed::Forbidden(pt, en) => (
            lang.t("Isto não foi feito", "This was not done").to_owned(),
            lang.t(pt, en).to_owned(),
        ),
        Failed::TooManyTries => (
            lang.t("Tentativas demais", "Too many tries").to_owned(),
            lang.t(
                "Espere um minuto e tente de novo.",
                "Wait a minute and try again.",
            )
            .to_owned(),
        ),
        Failed::Invalid(text) => (
            lang.t("Não foi possível", "That cannot be").to_owned(),
            text.clone(),
        ),
        Failed::Store(_) => (
            lang.t("O banco não respondeu", "The database did not answer")
                .to_owned(),
            String::new(),
        ),
    };
    let body = html! {
        (layout::verdict(Tone::Watch, &html! { (answer) }, &html! { (more) }, &html! {}))
        p { a.btn href=(frame.link("/", "")) { (lang.t("Ir para a visão geral", "Go to the overview")) } }
    };
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(layout::page(frame, &answer, &body).into_string())
}

/// There is no page. While the database is away the last one is better than none.
pub(super) fn no_page(app: &App, frame: &mut Frame, key: &str, why: &Failed) -> HttpResponse {
    match why {
        Failed::Store(error) => {
            app.note(Some(error));
            kept_or_away(app, frame, key, error)
        }
        other => failed(frame, other),
    }
}

/// The page as it last was, under a banner; without one, the banner alone.
fn kept_or_away(app: &App, frame: &mut Frame, key: &str, error: &StoreError) -> HttpResponse {
    let Some(kept) = app.kept.get(key) else {
        return unavailable(app, frame, error);
    };
    let (lang, zone) = (frame.lang, frame.zone);
    frame.banners.push(away_banner(app, frame));
    let at = zone.short(lang, kept.at, app.clock.now());
    let text = match lang {
        Lang::Pt => format!("A página abaixo é de {at}."),
        Lang::En => format!("The page below is of {at}."),
    };
    frame.banners.push(Banner {
        tone: Tone::Watch,
        text,
    });
    frame.live = true;
    let body = PreEscaped(kept.content);
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(layout::page(frame, &kept.title, &body).into_string())
}

/// No page, and none that was kept. It tries again by itself.
pub(super) fn unavailable(app: &App, frame: &mut Frame, error: &StoreError) -> HttpResponse {
    let lang = frame.lang;
    let is_away = matches!(error, StoreError::Unreachable(_) | StoreError::TimedOut);
    if is_away {
        frame.banners.push(away_banner(app, frame));
    } else {
        warn!("a page could not be made: {}", ErrorChain(error));
    }
    frame.live = true;
    let answer = match is_away {
        true => lang.t("Sem banco, sem números", "No database, no numbers"),
        false => lang.t("Esta página não pôde ser feita", "This page could not be made"),
    };
    let more = html! {
        (lang.t("A página tenta de novo sozinha. Enquanto isso: ", "The page tries again by itself. Meanwhile: "))
        a href={ (frame.link("/runbook", "")) "#database-down" } { (lang.t("o que fazer sem banco", "what to do without a database")) } "."
    };
    let body = layout::verdict(Tone::Bad, &html! { (answer) }, &more, &html! {});
    HttpResponse::ServiceUnavailable()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::RETRY_AFTER, "15"))
        .body(layout::page(frame, answer, &body).into_string())
}

/// What is said while the database is away.
pub(super) fn away_banner(app: &App, frame: &Frame) -> Banner {
    away::banner(app.away.since(), app.clock.now(), frame.lang, frame.zone)
}
