//! From a request to its answer: finds the route, finds out who asks, and puts the frame around what the page
//! says.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use rastro_store::StoreError;

use crate::dashboard::app::App;
use crate::dashboard::assets::Asset;
use crate::dashboard::away::KeptPage;
use crate::dashboard::layout::{Frame, Viewer};
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::{Cx, pairs, read_form, value};
use crate::dashboard::routes::{self, Access, Found, Route};
use crate::dashboard::visitor::{self, Role, Visitor};
use crate::dashboard::words::Lang;
use crate::dashboard::{frame, pages, responses};

const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(super) async fn serve(app: Data<App>, request: HttpRequest, payload: Payload) -> HttpResponse {
    if let Some(asset) = Asset::at(request.path()) {
        return HttpResponse::Ok()
            .content_type(asset.content_type)
            .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(asset.content);
    }
    let (Ok(mut response) | Err(mut response)) = answer(&app, &request, payload).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The steps of an answer. Each of them goes on, or ends the request with an answer of its own.
async fn answer(app: &App, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, HttpResponse> {
    let query = pairs(request.query_string().as_bytes());
    let lang = Lang::parse(value(&query, "lang"));
    let mut frame = frame::bare(app, request, lang, &query);
    let (route, places) = match routes::find(request.method().as_str(), request.path()) {
        Found::Route(route, places) => (route, places),
        Found::OtherMethod(allowed) => {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let mut response = refuse(app, request, &query, &mut frame, status, &Failed::NotFound).await;
            if let Ok(allowed) = HeaderValue::from_str(allowed) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
            return Err(response);
        }
        Found::Nothing => {
            let status = StatusCode::NOT_FOUND;
            return Err(refuse(app, request, &query, &mut frame, status, &Failed::NotFound).await);
        }
    };
    // Before the database is asked anything: it is read most of all when that is away.
    if route.action == routes::Action::Runbook {
        let (title, body) = (pages::runbook::TITLE, pages::runbook::body(lang));
        return Ok(responses::page(request, &frame, StatusCode::OK, title, &body));
    }
    let form = match form_of(app, request, payload, &route, lang).await {
        Ok(form) => form,
        Err((status, why)) => return Err(refuse(app, request, &query, &mut frame, status, &why).await),
    };
    // A form says its language in a field.
    if value(&form, "lang") == "en" {
        frame.lang = Lang::En;
    }
    let visitor = admit(app, request, &route, &form, &mut frame).await?;
    let key = format!(
        "{} {} {}",
        visitor.as_ref().map_or("", |visitor| visitor.form_token.as_str()),
        frame.lang.tag(),
        request.uri()
    );
    let mut reading = app;
    if visitor.is_some() {
        reading = fill(app, &route, visitor.as_ref(), &query, &mut frame)
            .await
            .map_err(|why| responses::no_page(app, &mut frame, &key, &why))?;
    }
    let new_cookie = visitor
        .as_ref()
        .and_then(|visitor| visitor.new_form_cookie.clone());
    let mut cx = Cx {
        app: reading,
        frame,
        visitor,
        places,
        query,
        form,
        request,
    };
    let mut reply = pages::act(route.action, &cx).await;
    if let Err(Failed::Store(error)) = &reply
        && !std::ptr::eq(reading, app)
    {
        cx.app = app.leave_replica(&mut cx.frame, error);
        reply = pages::act(route.action, &cx).await;
    }
    let mut response = respond(app, request, &route, cx.frame, key, reply);
    if let Some(secret) = new_cookie {
        let cookie = visitor::cookie(&app.config, request, visitor::FORM_COOKIE, secret);
        responses::add_cookie(&mut response, &cookie);
    }
    Ok(response)
}

/// A page with one sentence, in the frame of whoever asks.
async fn refuse(
    app: &App,
    request: &HttpRequest,
    query: &[(String, String)],
    frame: &mut Frame,
    status: StatusCode,
    why: &Failed,
) -> HttpResponse {
    let visitor = app.door.visitor(&app.store, &app.config, request).await;
    let completed = match &visitor {
        Ok(Some(visitor)) => {
            frame.viewer = Some(viewer(visitor));
            frame::complete(app, frame, Some(visitor), query).await
        }
        Ok(None) => Ok(()),
        Err(error) => {
            app.note(Some(error));
            Ok(())
        }
    };
    // The refusal stands, with less around it.
    if let Err(Failed::Store(error)) = &completed {
        app.note(Some(error));
    }
    responses::plain(frame, status, why)
}

fn viewer(visitor: &Visitor) -> Viewer {
    Viewer {
        name: visitor.name.clone(),
        is_operator: visitor.role == Role::Operator,
        form_token: visitor.form_token.clone(),
        by_proxy: visitor.by_proxy,
    }
}

/// The fields of a form that came from one of our pages; none, where nothing is posted.
async fn form_of(
    app: &App,
    request: &HttpRequest,
    payload: Payload,
    route: &Route,
    lang: Lang,
) -> Result<Vec<(String, String)>, (StatusCode, Failed)> {
    if route.method != "POST" {
        return Ok(Vec::new());
    }
    if !visitor::is_from_our_page(&app.config, request) {
        let why = Failed::Forbidden(
            "Este formulário não veio de uma página deste painel.",
            "This form did not come from a page of this dashboard.",
        );
        return Err((StatusCode::FORBIDDEN, why));
    }
    read_form(payload).await.ok_or_else(|| {
        let why = lang.t(
            "O formulário passa de 64 kB, ou não chegou inteiro. Por favor, escreva menos e tente de novo.",
            "The form is over 64 kB, or did not come whole. Please write less and try again.",
        );
        (StatusCode::PAYLOAD_TOO_LARGE, Failed::Invalid(why.to_owned()))
    })
}

/// Who asks, if they may.
async fn admit(
    app: &App,
    request: &HttpRequest,
    route: &Route,
    form: &[(String, String)],
    frame: &mut Frame,
) -> Result<Option<Visitor>, HttpResponse> {
    let visitor = app.door.visitor(&app.store, &app.config, request).await;
    // Whoever is remembered, or named by a proxy, says nothing of the database.
    if !matches!(&visitor, Ok(Some(visitor)) if visitor.from_memory || visitor.by_proxy) {
        app.note(visitor.as_ref().err());
    }
    let visitor = visitor.map_err(|error| responses::unavailable(app, frame, &error))?;
    // Also around a refusal: who is signed in finds the way on.
    frame.viewer = visitor.as_ref().map(viewer);
    let role = visitor.as_ref().map(|visitor| visitor.role);
    if !route.access.allows(role) {
        return Err(match role {
            None => responses::to_login(frame, request, route),
            Some(_) => forbidden(
                frame,
                "Só quem opera pode fazer isto: entre com uma chave de operação.",
                "Only operators can do this: sign in with an admin key.",
            ),
        });
    }
    let Some(visitor) = visitor else { return Ok(None) };
    let is_posted = route.method == "POST";
    let token = value(form, "token");
    if is_posted && route.access != Access::Anyone && !visitor::same(token, &visitor.form_token) {
        return Err(forbidden(
            frame,
            "Este formulário é de uma sessão que já terminou. Recarregue a página e tente de novo.",
            "This form is of a session that has ended. Reload the page and try again.",
        ));
    }
    if is_posted && visitor.from_memory {
        return Err(responses::unavailable(app, frame, &StoreError::TimedOut));
    }
    Ok(Some(visitor))
}

/// Fills the frame of somebody who signed in, and says from where the page is to be read.
async fn fill<'a>(
    app: &'a App,
    route: &Route,
    visitor: Option<&Visitor>,
    query: &[(String, String)],
    frame: &mut Frame,
) -> Result<&'a App, Failed> {
    let mut reading = app.reading(route, frame);
    let mut completed = frame::complete(reading, frame, visitor, query).await;
    if let Err(Failed::Store(error)) = &completed
        && !std::ptr::eq(reading, app)
    {
        reading = app.leave_replica(frame, error);
        completed = frame::complete(reading, frame, visitor, query).await;
    }
    completed?;
    if std::ptr::eq(reading, app) {
        app.note(None);
    } else if app.away.since().is_some() {
        frame.banners.push(responses::away_banner(app, frame));
    }
    Ok(reading)
}

/// Puts the frame around what a page said, and keeps it for when the database is away.
fn respond(
    app: &App,
    request: &HttpRequest,
    route: &Route,
    mut frame: Frame,
    key: String,
    reply: Result<Reply, Failed>,
) -> HttpResponse {
    match reply {
        Ok(Reply::Page(content)) => {
            if route.method == "GET" && content.status == StatusCode::OK && app.away.since().is_none() {
                let page = KeptPage {
                    title: content.title.clone(),
                    content: content.body.0.clone(),
                    at: frame.now,
                };
                app.kept.keep(key, page);
            }
            frame.live = content.live;
            responses::page(request, &frame, content.status, &content.title, &content.body)
        }
        Ok(Reply::Redirect(to)) => responses::see_other(&to),
        Ok(Reply::File(file)) => responses::file(file),
        Ok(Reply::WithSession(to, session)) => {
            let mut response = responses::see_other(&to);
            let session = session.unwrap_or_default();
            let cookie = visitor::cookie(&app.config, request, visitor::SESSION_COOKIE, session);
            responses::add_cookie(&mut response, &cookie);
            response
        }
        Err(why) => responses::no_page(app, &mut frame, &key, &why),
    }
}

fn forbidden(frame: &Frame, pt: &'static str, en: &'static str) -> HttpResponse {
    responses::failed(frame, &Failed::Forbidden(pt, en))
}
