//! E-mail over SMTP, always with TLS except to this machine. A mail says its state in subject and first line,
//! because mail programs file "opened" and "resolved" into one thread; and it is one table with styles
//! inline, because some of them know no more HTML.

use std::time::Duration;

use anyhow::{Context, ensure};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use maud::{DOCTYPE, Markup, html};
use rastro_core::alert::Severity;
use rastro_service::config::ExposeSecret;
use reqwest::Url;

use super::bundle::{Bundle, BundleKind, LISTED};
use super::{SendError, hash};
use crate::config::NotifyConfig;
use crate::words::{self, Language};

/// Some people's addresses.
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    pub(super) language: Language,
    pub(super) config_hash: [u8; 32],
}

impl Email {
    /// `None`: it is not configured. Inside an async runtime, to which the connections belong.
    ///
    /// # Errors
    /// When an address is none, or a password could be sent in plain text.
    pub fn new(config: &NotifyConfig) -> anyhow::Result<Option<Self>> {
        let Some(Checked { builder, from, to }) = Checked::read(config)? else {
            return Ok(None);
        };
        let email = &config.email;
        Ok(Some(Email {
            transport: builder
                .timeout(Some(Duration::from_secs(email.timeout_seconds)))
                .build(),
            from,
            to,
            language: config.email_language,
            config_hash: hash(&[email.smtp_url.expose_secret(), &email.from, &email.to.join(",")]),
        }))
    }

    /// Whether the configuration can be meant, without connecting anything.
    pub(super) fn check(config: &NotifyConfig) -> anyhow::Result<()> {
        Checked::read(config).map(drop)
    }

    pub(super) fn recipients(&self) -> Vec<[u8; 32]> {
        self.to.iter().map(|to| hash(&[to.email.as_ref()])).collect()
    }

    /// To one address by itself: one that is refused keeps no other from it. Returns its `Message-ID`.
    pub(super) async fn send(&self, bundle: &Bundle, recipient: usize) -> Result<String, SendError> {
        let id = format!("<{}@{}>", bundle.key, self.host());
        let nobody = || SendError::Refused("there is no such recipient".to_owned());
        let mail = self.mail(bundle, self.to.get(recipient).ok_or_else(nobody)?, &id)?;
        match self.transport.send(mail).await {
            Ok(_) => Ok(id),
            Err(error) => Err(refusal(&error)),
        }
    }

    fn host(&self) -> &str {
        self.from.email.domain()
    }

    fn mail(&self, bundle: &Bundle, to: &Mailbox, id: &str) -> Result<Message, SendError> {
        let language = self.language;
        let subject = format!("[Rastro] {}", bundle.first_line(language));
        let subject: String = subject
            .chars()
            .map(|char| if char.is_control() { ' ' } else { char })
            .collect();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(to.clone())
            .subject(subject)
            .message_id(Some(id.to_owned()))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Rastro-Severity", bundle.severity.as_str()))
            .raw_header(header("List-Id", &format!("<rastro.{}>", self.host())));
        if let Some(item) = bundle.items.first() {
            builder = builder.raw_header(header("X-Rastro-Rule", item.rule.as_str()));
        }
        if bundle.kind != BundleKind::Daily {
            let thread = format!("<{}@{}>", bundle.thread, self.host());
            builder = builder.in_reply_to(thread.clone()).references(thread);
        }
        let parts =
            MultiPart::alternative_plain_html(plain(bundle, language), page(bundle, language).into_string());
        builder
            .multipart(parts)
            .map_err(|error| SendError::Refused(format!("the mail could not be written: {error}")))
    }
}

/// A configuration that can be meant.
struct Checked {
    builder: AsyncSmtpTransportBuilder,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Checked {
    fn read(config: &NotifyConfig) -> anyhow::Result<Option<Self>> {
        let email = &config.email;
        let url = email.smtp_url.expose_secret();
        if url.is_empty() {
            return Ok(None);
        }
        check_url(url)?;
        let from = email
            .from
            .parse()
            .ok()
            .context("notify.email.from must look like Rastro <rastro@exemplo.com.br>")?;
        ensure!(
            !email.to.is_empty(),
            "notify.email.to is empty: nobody would read the mails"
        );
        let to = email
            .to
            .iter()
            .map(|address| {
                address
                    .parse()
                    .ok()
                    .context("notify.email.to must be addresses, split at commas")
            })
            .collect::<anyhow::Result<Vec<Mailbox>>>()?;
        ensure!(
            email.timeout_seconds > 0,
            "notify.email.timeout_seconds must be at least 1"
        );
        // lettre's own error may quote the address, which holds the password.
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .ok()
            .context("notify.email.smtp_url is no address of an SMTP server")?;
        Ok(Some(Checked { builder, from, to }))
    }
}

/// A bare `smtp://` means plain text, and `tls=opportunistic` falls back to it.
fn check_url(url: &str) -> anyhow::Result<()> {
    const RULE: &str = "notify.email.smtp_url must be smtps://..., or smtp://...?tls=required: anything else could send \
                        the password in plain text";
    let url = Url::parse(url).ok().context(RULE)?;
    let host = url.host_str().unwrap_or_default();
    let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let is_required = url
        .query_pairs()
        .any(|(name, value)| name == "tls" && value == "required");
    ensure!(!host.is_empty(), RULE);
    ensure!(
        url.scheme() == "smtps" || (url.scheme() == "smtp" && (is_required || is_here)),
        RULE
    );
    Ok(())
}

/// 5xx of the server is final; anything else may be better later. Wrong credentials switch the channel off.
fn refusal(error: &lettre::transport::smtp::Error) -> SendError {
    let code = error.status().map(|code| code.to_string());
    let said = words::name(&error.to_string());
    match code.as_deref() {
        Some("530" | "534" | "535" | "538") => SendError::Off(format!("SMTP: {said}")),
        _ if error.is_permanent() => SendError::Refused(format!("SMTP: {said}")),
        None => SendError::Away(format!("SMTP: {said}")),
        _ => SendError::Later {
            message: format!("SMTP: {said}"),
            wait: None,
        },
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// The text part.
fn plain(bundle: &Bundle, language: Language) -> String {
    let mut lines = vec![bundle.first_line(language), String::new()];
    if bundle.items.len() > 1 {
        lines.extend(
            bundle
                .items
                .iter()
                .take(LISTED)
                .map(|item| format!("- {}", item.whole_sentence())),
        );
        lines.extend(bundle.rest(language));
        lines.push(String::new());
    }
    lines.extend(bundle.note.clone());
    if let Some(daily) = &bundle.daily {
        lines.extend(
            daily
                .figures
                .iter()
                .map(|(name, value)| format!("{name}: {value}")),
        );
        for (heading, sentences) in daily_parts(bundle, language) {
            lines.extend([String::new(), heading.to_owned()]);
            lines.extend(sentences.iter().map(|sentence| format!("- {sentence}")));
        }
    }
    if let Some(first) = bundle
        .items
        .first()
        .filter(|_| bundle.kind != BundleKind::Resolved)
    {
        if first.is_unstable {
            lines.push(Bundle::unstable_note(language).to_owned());
        }
        let what = language.pick("O que fazer", "What to do");
        lines.push(format!(
            "{what}: {}",
            words::advice(first.rule).in_language(language)
        ));
    }
    lines.extend(
        facts(bundle, language)
            .iter()
            .map(|(name, value)| format!("{name}: {value}")),
    );
    lines.extend([bundle.alert_url(), bundle.runbook_url()].into_iter().flatten());
    lines.extend([String::new(), why(language).to_owned(), String::new()]);
    lines.join("\r\n")
}

/// What a reader asks next: since when; and of what is over, for how long it was, how bad, and what stopped.
fn facts(bundle: &Bundle, language: Language) -> Vec<(&'static str, String)> {
    let Some(first) = bundle.items.first() else {
        return Vec::new();
    };
    let mut facts = vec![(language.pick("Desde", "Since"), bundle.local_since.clone())];
    if bundle.items.len() == 1 {
        let lasted = first.lasted_seconds.map(words::duration);
        facts.extend(lasted.map(|lasted| (language.pick("Durou", "Lasted"), lasted)));
        let worst = first.worst.clone();
        facts.extend(worst.map(|worst| (language.pick("Pior valor", "Worst value"), worst)));
        let stopped = first.stopped.clone();
        facts.extend(stopped.map(|stopped| (language.pick("Perdas", "Losses"), stopped)));
    }
    facts
}

fn daily_parts(bundle: &Bundle, language: Language) -> Vec<(&'static str, &Vec<String>)> {
    let Some(daily) = &bundle.daily else {
        return Vec::new();
    };
    [
        (language.pick("Em aberto", "Open"), &daily.open),
        (language.pick("Para saber", "For information"), &daily.information),
    ]
    .into_iter()
    .filter(|(_, sentences)| !sentences.is_empty())
    .collect()
}

fn why(language: Language) -> &'static str {
    language.pick(
        "Você recebe isto porque seu endereço está em notify.email.to do Rastro.",
        "You receive this because your address is in notify.email.to of Rastro.",
    )
}

const TEXT: &str = "padding:0 24px 16px 24px;font-family:Arial,Helvetica,sans-serif;font-size:16px;line-height:24px;color:#2b2620";
const SMALL: &str = "padding:0 24px 16px 24px;font-family:Arial,Helvetica,sans-serif;font-size:13px;line-height:20px;color:#6b6259";

/// The HTML part: one table, styles inline, nothing from elsewhere.
fn page(bundle: &Bundle, language: Language) -> Markup {
    let (bar, ink) = match (bundle.kind, bundle.severity) {
        (BundleKind::Resolved | BundleKind::Daily | BundleKind::Test, _) => ("#1f6fb2", "#ffffff"),
        (_, Severity::Critical) => ("#c84e00", "#ffffff"),
        (_, Severity::Warning) => ("#f0b429", "#2b2620"),
        (_, Severity::Info) => ("#e5ded4", "#2b2620"),
    };
    let state = match bundle.kind {
        BundleKind::Resolved => language.pick("RESOLVIDO", "RESOLVED"),
        BundleKind::Daily => language.pick("BOM DIA", "GOOD MORNING"),
        BundleKind::Test => language.pick("TESTE", "TEST"),
        _ => words::severity(bundle.severity, language),
    };
    let head = format!(
        "background-color:{bar};color:{ink};padding:12px 24px;font-family:Arial,Helvetica,sans-serif;font-size:14px;font-weight:bold"
    );
    let first_line = bundle.first_line(language);
    html! {
        (DOCTYPE)
        html lang=(language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (first_line) }
            }
            body bgcolor="#f6f2ec" {
                div style="display:none;font-size:1px;line-height:1px;color:#f6f2ec" { (first_line) }
                table role="presentation" width="600" cellpadding="0" cellspacing="0" border="0" align="center" bgcolor="#ffffff" {
                    tr { td style=(head) { (state) } }
                    tr { td style=(TEXT.replace("padding:0", "padding:20px")) { b { (first_line) } } }
                    @if bundle.items.len() > 1 {
                        @for item in bundle.items.iter().take(LISTED) {
                            tr { td style=(TEXT) { (item.whole_sentence()) } }
                        }
                        @if let Some(rest) = bundle.rest(language) {
                            tr { td style=(TEXT) { (rest) } }
                        }
                    }
                    @if let Some(note) = &bundle.note {
                        tr { td style=(TEXT) { (note) } }
                    }
                    @if let Some(daily) = &bundle.daily {
                        @for (name, value) in &daily.figures {
                            tr { td style=(TEXT) { (name) ": " b { (value) } } }
                        }
                        @for (heading, sentences) in daily_parts(bundle, language) {
                            tr { td style=(TEXT) { b { (heading) } } }
                            @for sentence in sentences {
                                tr { td style=(TEXT) { (sentence) } }
                            }
                        }
                    }
                    @if let Some(first) = bundle.items.first().filter(|_| bundle.kind != BundleKind::Resolved) {
                        @if first.is_unstable {
                            tr { td style=(TEXT) { (Bundle::unstable_note(language)) } }
                        }
                        tr { td style=(TEXT) {
                            b { (language.pick("O que fazer", "What to do")) }
                            br;
                            (words::advice(first.rule).in_language(language))
                        } }
                    }
                    @for (name, value) in facts(bundle, language) {
                        tr { td style=(TEXT) { (name) ": " b { (value) } } }
                    }
                    @if let Some(url) = bundle.alert_url() {
                        tr { td style=(TEXT) {
                            a href=(url) style="color:#1f6fb2" { (language.pick("Ver no painel", "Open dashboard")) }
                            @if let Some(runbook) = bundle.runbook_url() {
                                " · "
                                a href=(runbook) style="color:#1f6fb2" { (language.pick("O que fazer", "What to do")) }
                            }
                        } }
                    }
                    tr { td style=(SMALL) { (why(language)) } }
                }
            }
        }
    }
}
