//! The pages, one file each: what it reads, the sentence that answers, and how it is drawn.

pub mod alerts;
pub mod breaker;
pub mod cause;
pub mod datasets;
pub mod dead_letters;
pub mod event;
pub mod login;
pub mod method;
pub mod overview;
pub mod quality;
pub mod refusals;
pub mod revenue;
pub mod runbook;

use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;
use crate::dashboard::routes::Action;
use crate::dashboard::words::Lang;

/// Where events are sent to, in what a reader copies; a name to be replaced, if the settings do not say it.
pub(crate) fn gateway(lang: Lang, url: &str) -> &str {
    match url.trim_end_matches('/') {
        "" => lang.t("https://SEU-GATEWAY", "https://YOUR-GATEWAY"),
        url => url,
    }
}

/// Does what a route says.
///
/// # Errors
/// Says why there is no page.
pub async fn act(action: Action, cx: &Cx<'_>) -> Result<Reply, Failed> {
    match action {
        Action::Login => login::show(cx),
        Action::SignIn => login::sign_in(cx).await,
        Action::SignOut => login::sign_out(cx).await,
        Action::Overview => overview::show(cx).await,
        Action::DeadLetters => dead_letters::show(cx).await,
        Action::Replay => dead_letters::replay(cx).await,
        Action::Event => event::show(cx).await,
        Action::Revenue => revenue::show(cx).await,
        Action::RevenueFile => revenue::export(cx).await,
        Action::Breaker => breaker::show(cx).await,
        Action::OrderBreaker => breaker::order(cx).await,
        Action::Quality => quality::show(cx).await,
        Action::AskQuality => quality::ask(cx).await,
        Action::Alerts => alerts::show(cx).await,
        Action::Alert => alerts::show_one(cx).await,
        Action::Snooze => alerts::snooze(cx).await,
        Action::Acknowledge => alerts::acknowledge(cx).await,
        Action::Silence => alerts::silence(cx).await,
        Action::EndSilence => alerts::end_silence(cx).await,
        Action::TestMessage => alerts::test_message(cx).await,
        Action::Method => method::show(cx),
        Action::Runbook => Reply::page(runbook::TITLE, runbook::body(cx.lang())),
        Action::Datasets => datasets::list(cx).await,
        Action::NewDataset => datasets::new(cx),
        Action::CreateDataset => datasets::create(cx).await,
        Action::Dataset => datasets::show(cx).await,
        Action::EnterToken => datasets::enter_token(cx).await,
        Action::SetOrigins => datasets::set_origins(cx).await,
        Action::SetTestCode => datasets::set_test_code(cx).await,
        Action::SetLeadValue => datasets::set_lead_value(cx).await,
        Action::SendTestEvent => datasets::send_test_event(cx).await,
        Action::CreateKey => datasets::create_key(cx).await,
        Action::RevokeKey => datasets::revoke_key(cx).await,
    }
}

/// An event name as people say it: Meta's standard names translated, others as they are.
pub(crate) fn event_name(lang: Lang, name: &str) -> String {
    let (pt, en) = match name {
        "Purchase" => ("Compra", "Purchase"),
        "Lead" => ("Lead", "Lead"),
        "PageView" => ("Visita", "Page view"),
        "ViewContent" => ("Conteúdo visto", "Content view"),
        "AddToCart" => ("Carrinho", "Add to cart"),
        "InitiateCheckout" => ("Início de compra", "Checkout"),
        "AddPaymentInfo" => ("Dados de pagamento", "Payment info"),
        "CompleteRegistration" => ("Cadastro", "Registration"),
        "Schedule" => ("Agendamento", "Appointment"),
        "Contact" => ("Contato", "Contact"),
        "Search" => ("Busca", "Search"),
        _ => return super::words::cut(name, 60),
    };
    lang.t(pt, en).to_owned()
}
