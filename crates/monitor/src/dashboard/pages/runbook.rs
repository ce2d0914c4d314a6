//! Runbook: `proto-docs/runbook.md` of this version, where messages lead. Whoever was called at night reads
//! it without a key and without a database: nothing in it is secret, and one of its headings is about a database
//! that is away.

use std::sync::LazyLock;

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use rastro_core::alert::Rule;

use crate::dashboard::layout::{self, Tone};
use crate::dashboard::words::Lang;
use crate::words::{self, Language};

pub const TITLE: &str = "Runbook";

const TEXT: &str = include_str!("../../../../../proto-docs/runbook.md");

static PORTUGUESE: LazyLock<String> = LazyLock::new(|| rendered(TEXT, Lang::Pt));
static ENGLISH: LazyLock<String> = LazyLock::new(|| rendered(TEXT, Lang::En));

/// The page. The text is English; in Portuguese each alert says first what it is called and what to do.
pub fn body(lang: Lang) -> Markup {
    let (text, language) = match lang {
        Lang::Pt => (&*PORTUGUESE, Language::Portuguese),
        Lang::En => (&*ENGLISH, Language::English),
    };
    let more = lang.t(
        "Cada mensagem de alerta leva ao seu título aqui. O texto está em inglês; o que fazer, também em português.",
        "Each alert's message leads to its heading here.",
    );
    html! {
        (layout::verdict(Tone::Neutral, &html! { (TITLE) }, &html! { (more) }, &html! {}))
        nav.card aria-label=(lang.t("Alertas", "Alerts")) { p.sub {
            @for (place, rule) in Rule::ALL.iter().enumerate() {
                @if place > 0 { " · " }
                a href={ "#" (rule.anchor()) } { (words::title(*rule, language)) }
            }
        } }
        section.card.prose lang="en" aria-label=(TITLE) { (PreEscaped(text)) }
    }
}

/// As HTML that the content policy takes: no style in place, no markup of the document's own, and links only
/// to its own headings and to other sites. Every heading has the anchor that GitHub gives it.
fn rendered(markdown: &str, lang: Lang) -> String {
    let events: Vec<Event<'_>> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let mut out: Vec<Event<'_>> = Vec::with_capacity(events.len());
    let mut events_left = events.iter();
    let (mut is_link, mut tables) = (false, 0);
    let mut rule = None;
    while let Some(event) = events_left.next() {
        match event {
            // The page says its title itself.
            Event::Start(Tag::Heading {
                level: HeadingLevel::H1,
                ..
            }) => {
                events_left
                    .by_ref()
                    .find(|event| matches!(event, Event::End(TagEnd::Heading(_))));
            }
            Event::Start(Tag::Heading { level, .. }) => {
                let id = anchor(events_left.as_slice());
                rule = Rule::ALL.iter().copied().find(|rule| rule.anchor() == id);
                out.push(Event::Start(Tag::Heading {
                    level: *level,
                    id: Some(CowStr::from(id)),
                    classes: Vec::new(),
                    attrs: Vec::new(),
                }));
            }
            Event::End(TagEnd::Heading(_)) => {
                out.push(event.clone());
                out.extend(rule.take().filter(|_| lang == Lang::Pt).map(advice));
            }
            Event::Start(Tag::Link { dest_url, .. }) => {
                is_link = dest_url.starts_with('#') || dest_url.starts_with("https://");
                out.extend(is_link.then(|| event.clone()));
            }
            Event::End(TagEnd::Link) => out.extend(is_link.then(|| event.clone())),
            // Columns are aligned by style in place; and what is wider than a phone scrolls by itself.
            Event::Start(Tag::Table(_)) => {
                tables += 1;
                let frame =
                    format!(r#"<div class="scroll" tabindex="0" role="region" aria-label="Table {tables}">"#);
                out.extend([Event::Html(frame.into()), Event::Start(Tag::Table(Vec::new()))]);
            }
            Event::End(TagEnd::Table) => out.extend([event.clone(), Event::Html("</div>".into())]),
            Event::Html(text) | Event::InlineHtml(text) => out.push(Event::Text(text.clone())),
            other => out.push(other.clone()),
        }
    }
    let mut html = String::with_capacity(markdown.len() * 2);
    pulldown_cmark::html::push_html(&mut html, out.into_iter());
    html
}

/// Of a heading whose content these events begin with: its words in lower case, joined by dashes.
fn anchor(events: &[Event<'_>]) -> String {
    let content = events
        .iter()
        .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    let mut id = String::new();
    for event in content {
        if let Event::Text(text) | Event::Code(text) = event {
            id.extend(text.to_lowercase().chars().filter_map(|letter| match letter {
                ' ' => Some('-'),
                letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => Some(letter),
                _ => None,
            }));
        }
    }
    id
}

fn advice(rule: Rule) -> Event<'static> {
    let advice = html! {
        p.sub lang="pt-BR" { b { (words::title(rule, Language::Portuguese)) } ". " (words::advice(rule).pt) }
    };
    Event::Html(advice.into_string().into())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use rastro_core::alert::Severity;

    use super::*;
    use crate::dashboard::routes::{self, Access, Action, Found};
    use crate::notify::{Bundle, BundleKind, Item};

    #[test]
    fn a_message_leads_to_a_heading_of_this_page() {
        for &rule in Rule::ALL {
            let item = Item {
                alert_id: 1,
                rule,
                sentence: String::new(),
                since: DateTime::UNIX_EPOCH,
                lasted_seconds: None,
                worst: None,
                stopped: None,
                is_unstable: false,
            };
            let message = Bundle {
                key: String::new(),
                thread: String::new(),
                kind: BundleKind::Opened,
                severity: Severity::Warning,
                items: vec![item],
                daily: None,
                note: None,
                opened_as: None,
                still_open: true,
                public_url: "https://painel.example/".into(),
                local_since: String::new(),
            };
            let url = message.runbook_url().unwrap();
            let (path, heading) = url
                .strip_prefix("https://painel.example")
                .and_then(|path| path.split_once('#'))
                .unwrap();
            let Found::Route(route, _) = routes::find("GET", path) else {
                panic!("{url}")
            };
            assert_eq!((route.action, route.access), (Action::Runbook, Access::Anyone));
            for lang in [Lang::Pt, Lang::En] {
                let heading = format!("<h3 id=\"{heading}\">");
                assert_eq!(body(lang).0.matches(&heading).count(), 1, "{heading}");
            }
        }
    }

    #[test]
    fn nothing_of_the_document_gets_around_the_content_policy() {
        let text = "# Gone\n\n## A `b`, or C-d\n\n|a|b|\n|:-:|-:|\n|1|<i>2</i>|\n\n<script>x</script>\n\n\
            [in](#a-b-or-c-d) [out](https://x.example/) [file](operation.md#restore) [bad](javascript:x)\n";
        let html = rendered(text, Lang::En);
        assert!(
            html.contains("<h2 id=\"a-b-or-c-d\">A <code>b</code>, or C-d</h2>"),
            "{html}"
        );
        assert!(
            html.contains("<a href=\"#a-b-or-c-d\">in</a> <a href=\"https://x.example/\">out</a> file bad"),
            "{html}"
        );
        for never in ["Gone", "style", "<script", "<i>", "javascript"] {
            assert!(!html.contains(never), "{never} in {html}");
        }
    }
}
