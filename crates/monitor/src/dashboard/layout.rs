//! What every page has around its content: head, navigation, the one sentence that answers, banners, foot.

use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};

use crate::dashboard::assets;
use crate::dashboard::charts::patterns;
use crate::dashboard::frame::Checked;
use crate::dashboard::words::{Lang, Zone};

/// The pages of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Login,
    Overview,
    DeadLetters,
    Event,
    Revenue,
    Alerts,
    Quality,
    Datasets,
    Breaker,
    Method,
}

impl Page {
    pub fn path(self) -> &'static str {
        match self {
            Page::Login => "/entrar",
            Page::Overview => "/",
            Page::DeadLetters => "/parados",
            Page::Event => "/evento",
            Page::Revenue => "/receita",
            Page::Alerts => "/alertas",
            Page::Quality => "/qualidade",
            Page::Datasets => "/conjuntos",
            Page::Breaker => "/disjuntor",
            Page::Method => "/metodo",
        }
    }

    pub fn title(self, lang: Lang) -> &'static str {
        match self {
            Page::Login => lang.t("Entrar", "Sign in"),
            Page::Overview => lang.t("Visão geral", "Overview"),
            Page::DeadLetters => lang.t("Eventos parados", "Stopped events"),
            Page::Event => lang.t("Um evento", "One event"),
            Page::Revenue => lang.t("Receita", "Revenue"),
            Page::Alerts => lang.t("Alertas", "Alerts"),
            Page::Quality => lang.t("Qualidade", "Quality"),
            Page::Datasets => lang.t("Conjuntos", "Datasets"),
            Page::Breaker => lang.t("Disjuntor", "Circuit breaker"),
            Page::Method => lang.t("Como é calculado", "How it is calculated"),
        }
    }
}

const NAVIGATION: [Page; 7] = [
    Page::Overview,
    Page::DeadLetters,
    Page::Event,
    Page::Revenue,
    Page::Alerts,
    Page::Quality,
    Page::Datasets,
];

/// How it stands, by shape and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    Good,
    Neutral,
    Watch,
    Bad,
}

/// Who looks.
#[derive(Clone, Debug)]
pub struct Viewer {
    pub name: String,
    pub is_operator: bool,
    /// Goes into every form; of this session alone.
    pub form_token: String,
    /// They came through a proxy: there is nothing to sign out of.
    pub by_proxy: bool,
}

/// What is said above everything, on every page, while it is so.
#[derive(Clone, Debug)]
pub struct Banner {
    pub tone: Tone,
    pub text: String,
}

/// What the frame of a page is made of.
#[derive(Clone, Debug)]
pub struct Frame {
    pub lang: Lang,
    pub page: Page,
    /// Path and query of this page without `lang`, to link to its other language.
    pub address: String,
    pub viewer: Option<Viewer>,
    /// Those that this visitor may see: number and name.
    pub datasets: Vec<(i64, String)>,
    /// The one that is looked at; `None`: all.
    pub dataset: Option<i64>,
    /// The visitor is of one dataset and cannot choose.
    pub one_dataset_only: bool,
    pub dead_letters: Option<i64>,
    pub banners: Vec<Banner>,
    pub now: DateTime<Utc>,
    pub zone: Zone,
    /// Chosen by the visitor; the system's otherwise.
    pub theme: Option<&'static str>,
    pub checked: Checked,
    pub counted_since: Option<DateTime<Utc>>,
    /// Reload by itself every so often.
    pub live: bool,
    /// From where it was read, if that is not the primary.
    pub read_from: Option<String>,
}

impl Frame {
    /// A link to one of our pages that keeps language and dataset. `more` is a query without `?`.
    pub fn link(&self, path: &str, more: &str) -> String {
        let mut query = String::new();
        let mut add = |part: &str| {
            if !part.is_empty() {
                query.push(if query.is_empty() { '?' } else { '&' });
                query.push_str(part);
            }
        };
        if let Some(dataset) = self.dataset.filter(|_| !more.contains("dataset=")) {
            add(&format!("dataset={dataset}"));
        }
        add(more);
        if self.lang == Lang::En {
            add("lang=en");
        }
        format!("{path}{query}")
    }

    pub fn dataset_name(&self, id: i64) -> String {
        let known = self.datasets.iter().find(|(other, _)| *other == id);
        known.map_or_else(|| id.to_string(), |(_, name)| super::words::cut(name, 60))
    }

    fn other_language(&self) -> String {
        let joint = if self.address.contains('?') { '&' } else { '?' };
        match self.lang {
            Lang::Pt => format!("{}{joint}lang=en", self.address),
            Lang::En => format!("{}{joint}lang=pt", self.address),
        }
    }

    /// Hidden fields of every form that changes something.
    pub fn form_fields(&self) -> Markup {
        html! {
            @if let Some(viewer) = &self.viewer { input type="hidden" name="token" value=(viewer.form_token); }
            @if self.lang == Lang::En { input type="hidden" name="lang" value="en"; }
        }
    }

    /// Whether the navigation leads here. What has no place in it counts as of the first page, and is not it.
    fn is_at(&self, page: Page) -> bool {
        let path = self.address.split('?').next().unwrap_or_default();
        page == self.page && (page != Page::Overview || path == page.path())
    }

    pub fn is_operator(&self) -> bool {
        self.viewer.as_ref().is_some_and(|viewer| viewer.is_operator)
    }
}

/// The whole page.
pub fn page(frame: &Frame, title: &str, content: &Markup) -> Markup {
    let lang = frame.lang;
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) data-theme=[frame.theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Rastro" }
                link rel="icon" href=(assets::ICON.address) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE.address);
                @if frame.page == Page::Revenue { link rel="stylesheet" href=(assets::REVENUE_STYLE.address); }
                script src=(assets::SCRIPT.address) defer {}
            }
            body data-live=[frame.live.then_some("15")] {
                (patterns())
                a.skip href="#main" { (lang.t("Ir para o conteúdo", "Skip to content")) }
                (top(frame))
                main #main.wrap tabindex="-1" {
                    @if frame.live { (stale_note(lang)) }
                    @for banner in &frame.banners {
                        div class={ "banner " (tone_class(banner.tone)) } role="status" {
                            (small_icon(match banner.tone { Tone::Bad => "bang", Tone::Good => "check", _ => "eye" }))
                            p { (banner.text) }
                        }
                    }
                    (content)
                }
                (foot(frame))
                div #tip.tip hidden role="presentation" {}
            }
        }
    }
}

/// What a page that refreshes itself says once it did not; `{}` is for how many minutes. The script shows it.
fn stale_note(lang: Lang) -> Markup {
    let text = lang.t(
        "Dados de há {} min: a página não se atualizou desde então.",
        "Data from {} min ago: the page has not refreshed since.",
    );
    html! {
        div #stamp.banner.warn role="status" hidden data-stale=(text) { (icon("clock", 18)) p {} }
    }
}

fn top(frame: &Frame) -> Markup {
    let lang = frame.lang;
    html! {
        header.top { div.wrap.bar {
            a.brand href=(frame.link("/", "")) { (logo()) span { "Rastro" } }
            @if frame.viewer.is_some() {
                nav.main aria-label=(lang.t("Páginas", "Pages")) {
                    @for page in NAVIGATION {
                        a href=(frame.link(page.path(), "")) aria-current=[frame.is_at(page).then_some("page")] {
                            (page.title(lang))
                            @if let (Page::DeadLetters, Some(n @ 1..)) = (page, frame.dead_letters) { b { (lang.count(n)) } }
                        }
                    }
                }
            }
            div.tools {
                @if frame.viewer.is_some() && frame.datasets.len() > 1 && !frame.one_dataset_only {
                    form.choose action=(frame.page.chooser_path()) {
                        label.select-wrap { span.sr { (lang.t("Conjunto de dados", "Dataset")) }
                            select.btn name="dataset" data-submit="1" {
                                option value="" selected[frame.dataset.is_none()] {
                                    (lang.t("Todos os", "All")) " " (frame.datasets.len()) " " (lang.t("conjuntos", "datasets"))
                                }
                                @for (id, name) in &frame.datasets {
                                    option value=(id) selected[frame.dataset == Some(*id)] { (super::words::cut(name, 60)) }
                                }
                            }
                        }
                        @if lang == Lang::En { input type="hidden" name="lang" value="en"; }
                        button.btn.go { (lang.t("Ver", "Show")) }
                    }
                }
                a.btn href=(frame.other_language()) hreflang=(lang.t("en", "pt-BR")) lang=(lang.t("en", "pt-BR"))
                    aria-label=(lang.t("EN, English", "PT, Português")) { (lang.t("EN", "PT")) }
                button.btn.icon #theme type="button" hidden aria-label=(lang.t("Claro ou escuro", "Light or dark")) { (icon("moon", 18)) }
                @if let Some(viewer) = &frame.viewer {
                    @if !viewer.by_proxy {
                        form.out-form method="post" action="/sair" {
                            (frame.form_fields())
                            button.btn.icon title=(lang.t("Sair", "Sign out")) aria-label={ (lang.t("Sair", "Sign out")) ", " (viewer.name) } {
                                (icon("leave", 18))
                            }
                        }
                    }
                }
            }
        } }
    }
}

impl Page {
    /// Where choosing a dataset leads: to this page if it can show one.
    fn chooser_path(self) -> &'static str {
        match self {
            Page::Breaker | Page::Login => "/",
            page => page.path(),
        }
    }
}

fn foot(frame: &Frame) -> Markup {
    let lang = frame.lang;
    html! {
        footer.wrap {
            span { "Rastro " (env!("CARGO_PKG_VERSION")) }
            @if frame.viewer.is_some() {
                span {
                    (lang.t("Horário de ", "Times of ")) (frame.zone.name())
                    @if let Some(since) = frame.counted_since {
                        " · " (lang.t("contagens desde ", "counts since ")) (lang.day(frame.zone.day_of(since)))
                    }
                    @match frame.checked {
                        Checked::Ago(ms) => { " · " (lang.t("verificado ", "checked ")) (lang.ago(ms)) },
                        Checked::Never => { " · " (lang.t("ainda não verificado", "not checked yet")) },
                        Checked::Unknown => {},
                    }
                    @if let Some(source) = &frame.read_from { " · " (source) }
                }
                a href=(frame.link("/metodo", "")) { (lang.t("Como cada número é calculado", "How each number is calculated")) }
                a href=(frame.link("/runbook", "")) { (lang.t("O que fazer em cada alerta", "What to do at each alert")) }
            }
        }
    }
}

/// The sentence with which a page begins. `answer` and `more` may hold markup.
pub fn verdict(tone: Tone, answer: &Markup, more: &Markup, aside: &Markup) -> Markup {
    html! {
        div.verdict #verdict {
            (shape(tone))
            div { h1 { (answer) } p { (more) } }
            (aside)
        }
    }
}

/// A period to look at.
pub fn periods(frame: &Frame, path: &str, chosen: &str) -> Markup {
    let lang = frame.lang;
    let all = [
        ("1d", lang.t("Hoje", "Today")),
        ("7d", "7 d"),
        ("30d", "30 d"),
        ("90d", "90 d"),
    ];
    html! {
        div.seg role="group" aria-label=(lang.t("Período", "Period")) {
            @for (value, name) in all {
                a href=(frame.link(path, &format!("p={value}"))) aria-current=[(value == chosen).then_some("true")] { (name) }
            }
        }
    }
}

/// A card with its heading. `note` is its definition in five words.
pub fn card(class: &str, id: &str, title: &str, note: &str, content: &Markup) -> Markup {
    html! {
        section class={ "card " (class) } id=(id) aria-labelledby={ "t-" (id) } {
            header { h2 id={ "t-" (id) } { (title) } @if !note.is_empty() { small { (note) } } }
            (content)
        }
    }
}

pub fn tone_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "ok",
        Tone::Neutral => "mute",
        Tone::Watch => "warn",
        Tone::Bad => "err",
    }
}

pub fn pill(tone: Tone, text: &str) -> Markup {
    let name = match tone {
        Tone::Good => "check",
        Tone::Neutral => "dot",
        Tone::Watch => "pause",
        Tone::Bad => "cross",
    };
    html! { span class={ "pill " (tone_class(tone)) } { (icon(name, 13)) (text) } }
}

pub fn badge(tone: Tone) -> Markup {
    let name = match tone {
        Tone::Good => "check",
        Tone::Neutral => "dot",
        Tone::Watch | Tone::Bad => "bang",
    };
    html! { span class={ "badge " (tone_class(tone)) } aria-hidden="true" { (icon(name, 14)) } }
}

fn small_icon(name: &str) -> Markup {
    icon(name, 18)
}

/// The large shape of a verdict: tick, triangle, octagon. Its colour says nothing that its form does not.
fn shape(tone: Tone) -> Markup {
    html! {
        svg width="40" height="40" viewBox="0 0 40 40" aria-hidden="true" {
            @match tone {
                Tone::Good => {
                    circle cx="20" cy="20" r="20" class="f-ok" {}
                    path d="M11 21l6 6 12-13" class="s-card" fill="none" stroke-width="3.4" stroke-linecap="round" stroke-linejoin="round" {}
                },
                Tone::Neutral => {
                    circle cx="20" cy="20" r="18.5" class="f-none s-dup" stroke-width="3" {}
                    path d="M20 12v9l6 4" class="f-none s-dup" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" {}
                },
                Tone::Watch => {
                    path d="M20 2l18 34H2z" class="f-warn" stroke-linejoin="round" {}
                    path d="M20 15v10M20 30v.5" class="on-warn" stroke-width="3.4" stroke-linecap="round" {}
                },
                Tone::Bad => {
                    path d="M12 1h16l11 11v16L28 39H12L1 28V12z" class="f-err" {}
                    path d="M20 10v13M20 29v.5" class="s-card" stroke-width="3.8" stroke-linecap="round" {}
                },
            }
        }
    }
}

pub fn logo() -> Markup {
    html! {
        svg width="34" height="22" viewBox="0 0 34 22" aria-hidden="true" {
            circle cx="3.4" cy="18" r="2.4" class="f-ok" opacity=".45" {}
            circle cx="10.5" cy="15" r="2.9" class="f-ok" opacity=".65" {}
            circle cx="18.6" cy="11" r="3.6" class="f-ok" opacity=".85" {}
            circle cx="28.4" cy="6" r="5" class="f-ok" {}
        }
    }
}

/// A line drawing on a grid of 18.
pub fn icon(name: &str, size: u32) -> Markup {
    let path = match name {
        "tray" => "M3 10l2-6h8l2 6v4H3zM3 10h3.5l1 2h3l1-2H15",
        "shield" => "M9 3l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V5z",
        "list" => "M4 5h10M4 9h10M4 13h6",
        "plane" => "M3 9l12-5-4 11-2.5-4.5z",
        "again" => "M14 6a6 6 0 1 0 .8 5M14 3v3.4h-3.4",
        "pause" => "M6.5 5v8M11.5 5v8",
        "check" => "M4 9.5l3.4 3.5L14 5.5",
        "cross" => "M5.5 5.5l7 7m0-7l-7 7",
        "bang" => "M9 4v6M9 13.6v.1",
        "dot" => "M9 8.9v.2",
        "moon" => "M14 11a6 6 0 1 1-7-8 5 5 0 0 0 7 8z",
        "leave" => "M7 3H4v12h3M10 6l3 3-3 3M13 9H7",
        "key" => "M11 7a3 3 0 1 0-2.4 2.9L6 12.5V15h2.5l3.6-5",
        "eye" => "M2 9c2-3.3 4.3-5 7-5s5 1.7 7 5c-2 3.3-4.3 5-7 5s-5-1.7-7-5zM9 7.6v2.8",
        "clock" => "M9 3a6 6 0 1 0 .01 0zM9 6v3.2l2 1.3",
        _ => "",
    };
    html! {
        svg width=(size) height=(size) viewBox="0 0 18 18" class="icon" aria-hidden="true" { path d=(path) {} }
    }
}

/// A part of a page whose data did not come.
pub fn missing(lang: Lang) -> Markup {
    html! {
        p.gone { (icon("clock", 16)) " "
            (lang.t("Esta parte não respondeu em 2 s. O resto da página vale; ela tenta de novo sozinha.",
                "This part did not answer within 2 s. The rest of the page holds; it tries again by itself."))
        }
    }
}

#[cfg(test)]
impl Frame {
    /// An operator's, with two datasets, on 26 November 2026 at 14:32 in São Paulo.
    pub(crate) fn example(lang: Lang) -> Self {
        Frame {
            lang,
            page: Page::Overview,
            address: "/?p=30d".into(),
            viewer: Some(Viewer {
                name: "Ana".into(),
                is_operator: true,
                form_token: "f0".repeat(32),
                by_proxy: false,
            }),
            datasets: vec![(1, "Loja <Aurora>".into()), (2, "Clínica Vale".into())],
            dataset: None,
            one_dataset_only: false,
            dead_letters: Some(31),
            banners: Vec::new(),
            now: "2026-11-26T17:32:00Z".parse().unwrap(),
            zone: Zone(chrono_tz::America::Sao_Paulo),
            theme: None,
            checked: Checked::Ago(41_000),
            counted_since: None,
            live: true,
            read_from: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_peoples_text_is_escaped_and_nothing_is_styled_in_place() {
        let frame = Frame::example(Lang::Pt);
        let text = page(&frame, "<t>", &html! { p { "x" } }).into_string();
        assert!(
            text.contains("Loja &lt;Aurora&gt;") && !text.contains("<Aurora>"),
            "{text}"
        );
        assert!(!text.contains("style=") && text.contains("lang=\"pt-BR\""));
    }

    #[test]
    fn the_foot_says_of_the_check_what_is_known() {
        let mut frame = Frame::example(Lang::Pt);
        let text = |frame: &Frame| page(frame, "t", &html! {}).into_string().replace('\u{a0}', " ");
        assert!(text(&frame).contains("verificado há 41 s"));
        frame.checked = Checked::Never;
        assert!(text(&frame).contains("ainda não verificado"));
        frame.checked = Checked::Unknown;
        assert!(text(&frame).contains("Horário de São Paulo") && !text(&frame).contains("verificado"));
    }

    #[test]
    fn a_page_that_has_no_place_in_the_navigation_is_none_of_it() {
        let mut frame = Frame::example(Lang::Pt);
        let here = |frame: &Frame| {
            page(frame, "t", &html! {})
                .into_string()
                .contains("aria-current=\"page\"")
        };
        assert!(here(&frame));
        frame.address = "/nada".into();
        assert!(!here(&frame));
    }

    #[test]
    fn a_page_that_refreshes_itself_can_say_that_it_did_not() {
        let mut frame = Frame::example(Lang::Pt);
        let text = |frame: &Frame| page(frame, "t", &html! {}).into_string();
        assert!(text(&frame).contains("data-stale=\"Dados de há {} min"));
        frame.live = false;
        assert!(!text(&frame).contains("data-stale"));
    }

    #[test]
    fn a_link_keeps_dataset_and_language_and_the_other_language_is_one_click_away() {
        let mut frame = Frame::example(Lang::En);
        frame.dataset = Some(2);
        assert_eq!(frame.link("/parados", "p=7d"), "/parados?dataset=2&p=7d&lang=en");
        assert_eq!(
            frame.link("/evento", "dataset=1&n=7"),
            "/evento?dataset=1&n=7&lang=en"
        );
        assert_eq!(frame.other_language(), "/?p=30d&lang=pt");
    }
}
