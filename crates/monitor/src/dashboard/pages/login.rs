//! Entrar: an API key opens a session. The name that is typed signs every order, because keys are shared.

use maud::{Markup, html};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::dashboard::layout::{self, Frame};
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;
use crate::dashboard::visitor::{self, SESSION_COOKIE};

/// What is wrong with what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    Nothing,
    Key,
    /// A key that sends events opens nothing here.
    Name,
}

/// The form. `back`: where to go on.
pub fn render(frame: &Frame, wrong: Wrong, name: &str, back: &str) -> Markup {
    let lang = frame.lang;
    html! {
        div.narrow { section.card {
            h1 { (lang.t("Entrar", "Sign in")) }
            p.sub { (lang.t("Veja se tudo chega à Meta, e o que fazer quando não chega.", "See whether everything reaches Meta, and what to do if not.")) }
            form.form method="post" action="/entrar" {
                (frame.form_fields())
                input type="hidden" name="volta" value=(back);
                label.wrong[wrong == Wrong::Key] { (lang.t("Chave", "Key"))
                    input #key type="password" name="key" required autocomplete="current-password" spellcheck="false"
                        aria-describedby="key-help" autofocus[wrong != Wrong::Name];
                    small.why #key-help {
                        @if wrong == Wrong::Key {
                            (lang.t("Esta chave não abre o painel: vale uma chave de operação (ak_…) ou de leitura (vk_…).",
                                "This key does not open the dashboard: use an admin key (ak_…) or a viewer key (vk_…)."))
                        } @else {
                            (lang.t("De operação (ak_…) ou de leitura (vk_…). Não fica guardada.", "An admin key (ak_…) or a viewer key (vk_…). It is not stored."))
                        }
                    }
                }
                label.wrong[wrong == Wrong::Name] { (lang.t("Seu nome", "Your name"))
                    input #name type="text" name="name" value=(name) required maxlength="80" autocomplete="name" aria-describedby="name-help";
                    small.why #name-help { (lang.t("Assina as ordens que você der.", "It signs what you order.")) }
                }
                div.row { button.btn.primary { (lang.t("Entrar", "Sign in")) } }
            }
        } }
    }
}

pub fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let title = layout::Page::Login.title(cx.lang());
    if cx.visitor.is_some() {
        return Ok(Reply::Redirect(cx.frame.link("/", "")));
    }
    Reply::page(
        title,
        render(&cx.frame, Wrong::Nothing, "", back(cx.asked("volta"))),
    )
}

pub async fn sign_in(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let app = cx.app;
    let address = visitor::address(&app.config, cx.request);
    if !app.door.may_try(address) {
        return Err(Failed::TooManyTries);
    }
    let title = layout::Page::Login.title(cx.lang());
    let (key, back) = (cx.field("key"), back(cx.field("volta")));
    let name: String = cx
        .field("name")
        .chars()
        .filter(|c| !c.is_control())
        .take(80)
        .collect();
    if name.is_empty() {
        return Reply::wrong(title, render(&cx.frame, Wrong::Name, "", back));
    }
    let secret = visitor::random_hex();
    let hash = Sha256::digest(key).into();
    let Some(session) = app
        .store
        .begin_session(&visitor::session_hash(&secret), &hash, &name)
        .await?
    else {
        app.door.failed(address);
        warn!("a wrong key was tried at the dashboard from {address}");
        return Reply::wrong(title, render(&cx.frame, Wrong::Key, &name, back));
    };
    info!("{name} signed in as {:?}", session.role);
    let to = match back {
        "" => cx.frame.link("/", ""),
        back => back.to_owned(),
    };
    Ok(Reply::WithSession(to, Some(secret)))
}

pub async fn sign_out(cx: &Cx<'_>) -> Result<Reply, Failed> {
    if let Some(cookie) = visitor::cookie_of(&cx.app.config, cx.request, SESSION_COOKIE) {
        let hash = visitor::session_hash(&cookie);
        cx.app.door.forget(&hash);
        cx.app.store.end_session(&hash).await?;
    }
    Ok(Reply::WithSession(
        if cx.lang() == crate::dashboard::words::Lang::En {
            "/entrar?lang=en"
        } else {
            "/entrar"
        }
        .into(),
        None,
    ))
}

/// Only to a page of ours: a path, and no other host by two slashes or a backslash. Browsers leave out tabs
/// and ends of lines (https://url.spec.whatwg.org/#url-parsing), so that `/<tab>/host` is two slashes to them.
fn back(to: &str) -> &str {
    let is_plain = !to.contains(|letter: char| letter == '\\' || letter.is_control());
    let own = to.starts_with('/') && !to.starts_with("//") && is_plain && to.len() <= 2_000;
    if own { to } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_signs_in_is_led_to_our_own_pages_only() {
        assert_eq!(back("/alertas/41?lang=en"), "/alertas/41?lang=en");
        for other in [
            "https://mal.example",
            "//mal.example",
            "/\\mal.example",
            "javascript:1",
            "/a\r\nSet-Cookie: x",
            // Browsers leave a tab out, and what is left are two slashes.
            "/\t/mal.example",
            "/\u{b}/mal.example",
        ] {
            assert_eq!(back(other), "", "{other:?}");
        }
    }
}
