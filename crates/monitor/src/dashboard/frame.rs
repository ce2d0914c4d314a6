//! The frame around a page: what is known of it before anybody signs in, and what the database adds.

use actix_web::HttpRequest;
use rastro_store::dashboard::FrameFacts;

use crate::dashboard::app::App;
use crate::dashboard::layout::{Banner, Frame, Page, Tone};
use crate::dashboard::reply::Failed;
use crate::dashboard::request::value;
use crate::dashboard::visitor::Visitor;
use crate::dashboard::words::{Lang, Zone};

/// A check that went well longer ago than this is worth a word on every page.
const SILENT_AFTER_MS: i64 = 5 * 60 * 1000;

/// When `monitor check` last went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The database was not asked, or did not answer.
    Unknown,
    Never,
    /// In milliseconds before the page.
    Ago(i64),
}

impl Checked {
    fn of(facts: &FrameFacts) -> Self {
        facts.checked_at.map_or(Checked::Never, |at| {
            Checked::Ago((facts.now - at).num_milliseconds())
        })
    }

    /// For how many milliseconds it says nothing, if that is too long to go by what it said.
    pub fn silent_for(self) -> Option<i64> {
        match self {
            Checked::Ago(silent @ SILENT_AFTER_MS..) => Some(silent),
            _ => None,
        }
    }
}

/// The frame before anything is known.
pub(super) fn bare(app: &App, request: &HttpRequest, lang: Lang, query: &[(String, String)]) -> Frame {
    let kept: Vec<(&str, &str)> = query
        .iter()
        .filter(|(name, _)| name != "lang")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .finish();
    let address = match query.as_str() {
        "" => request.path().to_owned(),
        query => format!("{}?{query}", request.path()),
    };
    let theme = request.cookie("theme").and_then(|cookie| match cookie.value() {
        "dark" => Some("dark"),
        "light" => Some("light"),
        _ => None,
    });
    let mut banners = Vec::new();
    if app.config.demo {
        let text = lang.t(
            "Dados de demonstração: nada aqui aconteceu de verdade.",
            "Demonstration data: nothing of this really happened.",
        );
        banners.push(Banner {
            tone: Tone::Neutral,
            text: text.to_owned(),
        });
    }
    Frame {
        lang,
        page: page_of(request.path()),
        address,
        viewer: None,
        datasets: Vec::new(),
        dataset: None,
        one_dataset_only: false,
        dead_letters: None,
        banners,
        now: app.clock.now(),
        zone: app.zone,
        theme,
        checked: Checked::Unknown,
        counted_since: None,
        live: false,
        read_from: None,
    }
}

fn page_of(path: &str) -> Page {
    let pages = [
        Page::Login,
        Page::DeadLetters,
        Page::Event,
        Page::Revenue,
        Page::Alerts,
        Page::Quality,
        Page::Datasets,
        Page::Breaker,
        Page::Method,
    ];
    pages
        .into_iter()
        .find(|page| path.starts_with(page.path()))
        .unwrap_or(Page::Overview)
}

/// What the frame of somebody who signed in shows.
pub(super) async fn complete(
    app: &App,
    frame: &mut Frame,
    visitor: Option<&Visitor>,
    query: &[(String, String)],
) -> Result<(), Failed> {
    let own = visitor.and_then(|visitor| visitor.dataset);
    let asked: Option<i64> = match value(query, "dataset") {
        "" => None,
        text => Some(text.parse().map_err(|_| Failed::NotFound)?),
    };
    // Another's dataset does not exist.
    let dataset = match (own, asked) {
        (Some(own), Some(asked)) if own != asked => return Err(Failed::NotFound),
        (own, asked) => own.or(asked),
    };
    let (facts, mut datasets) = app.store.frame_facts(dataset).await?;
    if let Some(own) = own {
        datasets.retain(|(id, _)| *id == own);
    }
    if dataset.is_some_and(|dataset| !datasets.iter().any(|(id, _)| *id == dataset)) {
        return Err(Failed::NotFound);
    }
    frame.now = facts.now;
    frame.datasets = datasets;
    frame.dataset = dataset;
    frame.one_dataset_only = own.is_some();
    frame.dead_letters = Some(facts.dead_letters);
    frame.checked = Checked::of(&facts);
    frame.counted_since = facts.counted_since;
    frame.banners.extend(banners(frame.lang, frame.zone, &facts));
    Ok(())
}

/// What is said on every page while it is so.
fn banners(lang: Lang, zone: Zone, facts: &FrameFacts) -> Vec<Banner> {
    let mut banners = Vec::new();
    let checked = Checked::of(facts);
    match checked.silent_for() {
        Some(silent) => {
            let long = lang.duration(silent);
            banners.push(Banner {
                tone: Tone::Bad,
                text: match lang {
                    Lang::Pt => format!(
                        "O monitor não verifica nada há {long}: contagens e alertas estão parados."
                    ),
                    Lang::En => format!(
                        "The monitor has checked nothing for {long}: counts and alerts stand still."
                    ),
                },
            });
        }
        None if checked == Checked::Never => banners.push(Banner {
            tone: Tone::Watch,
            text: lang
                .t(
                    "O monitor ainda não verificou nada: rode `monitor check` a cada minuto, ou não há \
                     contagens nem alertas.",
                    "The monitor has not checked anything yet: run `monitor check` every minute, or there are \
                     no counts and no alerts.",
                )
                .to_owned(),
        }),
        None => {}
    }
    if let (Some(counted), Some(all)) = (facts.history_counted, facts.history_days)
        && counted < all
    {
        banners.push(Banner {
            tone: Tone::Neutral,
            text: match lang {
                Lang::Pt => format!("Histórico sendo contado: {counted} de {all} dias."),
                Lang::En => format!("History is being counted: {counted} of {all} days."),
            },
        });
    }
    if facts.silences > 0 {
        let until = facts
            .silenced_until
            .map(|at| zone.short(lang, at, facts.now))
            .unwrap_or_default();
        banners.push(Banner {
            tone: Tone::Watch,
            text: match lang {
                Lang::Pt => format!("Alertas em silêncio por ordem, até {until}."),
                Lang::En => format!("Alerts are silenced by order, until {until}."),
            },
        });
    }
    banners
}
