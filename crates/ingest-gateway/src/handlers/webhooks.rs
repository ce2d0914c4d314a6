//! `POST /api/webhooks/mercado-pago/{account}`: stored and answered at once; what it points at is read later,
//! elsewhere.

use std::sync::Arc;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use rastro_service::telemetry::{ErrorChain, trace_context};
use rastro_store::{NewNotification, Topic, Unsigned};
use sha2::{Digest, Sha256};
use tracing::{Instrument, Span, warn};
use uuid::Uuid;

use super::span;
use crate::app::App;
use crate::metrics::{RequestLabels, WebhookLabels, WebhookResult};
use crate::openapi::parts::problems;
use crate::problem::Problem;
use crate::webhook_accounts::WebhookAccount;
use crate::webhook_signature::{self, Refused, Signed};
use crate::wire::webhook::{Notification, WebhookQuery};

/// Mercado Pago's are a few hundred bytes, those of orders a few thousand.
const MOST_BODY_BYTES: usize = 64 * 1_024;
const LONGEST_REQUEST_ID: usize = 100;

problems! {
    /// How a notification can be refused.
    NotificationProblems {
        "404" => "There is no such account.",
        "408" => "The request did not arrive in time.",
        "413" => "The body is too large.",
        "503" => "It could not be stored. Send it again.",
    }
}

/// Takes a notification of Mercado Pago. Nothing that it says is believed: the payment is read again with the
/// account's own token. A signed one is stored before it is answered. One that nobody can sign (IPN, QR
/// codes) is answered and, if the account says so, a reason to look.
#[utoipa::path(
    post,
    path = "/api/webhooks/mercado-pago/{account}",
    tag = "payments",
    operation_id = "receiveMercadoPagoWebhook",
    summary = "Receive a notification of Mercado Pago",
    params(
        ("account" = i64, Path, description = "Mercado Pago's number of the user who is paid."),
        ("data.id" = Option<String>, Query, description = "What it is about. Signed."),
        ("type" = Option<String>, Query, description = "Its topic: payment, order, topic_chargebacks_wh, ... Unknown ones are taken too."),
        ("x-signature" = Option<String>, Header, description = "ts=...,v1=..., by one of the account's webhook secrets."),
        ("x-request-id" = Option<String>, Header, description = "Signed. Proxies must pass it on as it is.")
    ),
    request_body(content = String, content_type = "application/json", description = "As Mercado Pago sends it, at most 64 KiB."),
    responses(
        (status = 200, description = "It is stored, or nothing is to be done about it."),
        (status = 401, description = "It is signed by nobody that this account knows."),
        NotificationProblems,
    )
)]
pub(crate) async fn mercado_pago(
    app: Data<App>,
    request: HttpRequest,
    account: Path<String>,
    payload: Payload,
) -> HttpResponse {
    let request_id = Uuid::now_v7();
    let span = match app.traces {
        // Whoever sends it does not decide what is traced.
        true => span::of(&request, request_id, false),
        false => Span::none(),
    };
    let answering = answer(&app, &request, &account, payload).instrument(span.clone());
    let response = match answering.await {
        Ok(result) => {
            app.metrics
                .webhooks
                .get_or_create(&WebhookLabels { result })
                .inc();
            match result {
                // Why is for the log, not for whoever tries.
                WebhookResult::refused => HttpResponse::Unauthorized().finish(),
                _ => HttpResponse::Ok().finish(),
            }
        }
        Err(problem) => problem.into_response(request_id),
    };
    span::answered(&span, response.status());
    app.metrics
        .requests
        .get_or_create(&RequestLabels {
            status: response.status().as_u16(),
        })
        .inc();
    response
}

async fn answer(
    app: &App,
    request: &HttpRequest,
    account: &str,
    payload: Payload,
) -> Result<WebhookResult, Problem> {
    let number = account.parse().map_err(|_| Problem::unknown_account())?;
    let account = app.webhook_accounts.get(number).await.map_err(|error| {
        warn!(
            "a webhook's account could not be looked up: {}",
            ErrorChain(&error)
        );
        Problem::try_again("the notification could not be stored just now; send it again")
    })?;
    let account = account.ok_or_else(Problem::unknown_account)?;
    let body = app.memory.read(request, payload, MOST_BODY_BYTES).await?;
    let query = WebhookQuery::read(request.query_string());
    // Untouched: what a proxy changes of it no longer fits the signature.
    let request_id = header(request, "x-request-id");
    let notification = Notification::read(&query, &body, request_id);
    drop(body);

    let signed = Signed {
        header: header(request, "x-signature"),
        request_id,
        data_id: query.data_id.as_deref(),
    };
    let settings = &account.account;
    let now_ms = app.clock.now().timestamp_millis();
    let verdict = match query.is_ambiguous {
        true => Err(Refused::Malformed),
        false => webhook_signature::verify(
            &signed,
            &settings.webhook_secrets,
            now_ms,
            settings.signature_max_age_seconds,
        ),
    };
    match verdict {
        Ok(()) => keep(app, &account, notification, true, request_id).await,
        // These carry a signature that nobody can verify, or none; refused, they would come again for ever.
        Err(_) if query.is_ipn || settings.webhook_secrets.is_empty() => {
            hint(app, &account, notification, request_id).await
        }
        Err(Refused::Missing) => hint(app, &account, notification, request_id).await,
        Err(refused) => {
            let reason = refused.reason();
            let has_request_id = request_id.is_some();
            warn!(
                account.id = number,
                webhook.request_id = request_id.unwrap_or_default(),
                "a webhook was refused: {reason} (x-request-id present: {has_request_id})"
            );
            Ok(WebhookResult::refused)
        }
    }
}

/// Only a reason to look, and not a frequent one: anybody can send it.
async fn hint(
    app: &App,
    account: &Arc<WebhookAccount>,
    notification: Notification,
    request_id: Option<&str>,
) -> Result<WebhookResult, Problem> {
    let is_followed = account.account.unsigned == Unsigned::Hint
        && notification.topic != Topic::Other
        && notification.is_plausible()
        && account.takes_a_hint();
    match is_followed {
        true => keep(app, account, notification, false, request_id).await,
        false => Ok(WebhookResult::ignored),
    }
}

async fn keep(
    app: &App,
    account: &Arc<WebhookAccount>,
    notification: Notification,
    is_signed: bool,
    request_id: Option<&str>,
) -> Result<WebhookResult, Problem> {
    let new = NewNotification {
        dataset_id: account.account.dataset_id,
        account_id: account.account.account_id,
        delivery_key: match is_signed {
            true => notification.delivery_key,
            // What anybody may have sent never stands for what Mercado Pago sends.
            false => Sha256::digest([b"hint".as_slice(), &notification.delivery_key].concat()).into(),
        },
        is_signed,
        topic: notification.topic,
        resource_id: notification.resource_id,
        action: notification.action,
        remote_request_id: request_id.map(|id| id.chars().take(LONGEST_REQUEST_ID).collect()),
        traceparent: match app.traces {
            true => trace_context::traceparent(&Span::current()),
            false => None,
        },
    };
    let keeping = app.store.keep_notification(&new);
    let keeping = keeping.instrument(span::insert(app.traces, "payment_notifications"));
    match keeping.await {
        Ok(true) => Ok(WebhookResult::stored),
        Ok(false) => Ok(WebhookResult::repeated),
        Err(error) => {
            warn!("a webhook could not be stored: {}", ErrorChain(&error));
            Err(Problem::try_again(
                "the notification could not be stored just now; send it again",
            ))
        }
    }
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}
