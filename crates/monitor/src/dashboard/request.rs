//! One request, as pages see it: who asks, and what for.

use actix_web::HttpRequest;
use actix_web::web::Payload;
use futures_util::StreamExt as _;

use crate::dashboard::app::App;
use crate::dashboard::layout::Frame;
use crate::dashboard::reply::Failed;
use crate::dashboard::visitor::Visitor;
use crate::dashboard::words::Lang;

/// The largest form.
const MOST_FORM_BYTES: usize = 64 * 1024;
/// The most fields of a form, or of an address.
const MOST_PAIRS: usize = 200;

pub struct Cx<'a> {
    pub app: &'a App,
    pub frame: Frame,
    pub visitor: Option<Visitor>,
    /// What stands at the places of the path.
    pub places: Vec<String>,
    pub query: Vec<(String, String)>,
    pub form: Vec<(String, String)>,
    pub request: &'a HttpRequest,
}

impl Cx<'_> {
    pub fn lang(&self) -> Lang {
        self.frame.lang
    }

    pub fn asked(&self, name: &str) -> &str {
        value(&self.query, name)
    }

    pub fn field(&self, name: &str) -> &str {
        value(&self.form, name).trim()
    }

    /// Who goes into the log.
    pub fn signature(&self) -> String {
        self.visitor
            .as_ref()
            .map(|visitor| visitor.name.clone())
            .unwrap_or_default()
    }

    /// The dataset in a path, if this visitor may see it. One that they may not see does not exist.
    pub fn dataset_at(&self, place: usize) -> Result<i64, Failed> {
        let text = self.places.get(place).ok_or(Failed::NotFound)?;
        self.dataset(text)
    }

    /// The dataset of a form, if there is such a one.
    pub fn dataset_in_form(&self, name: &str) -> Result<Option<i64>, Failed> {
        match self.field(name) {
            "" => Ok(None),
            text => self.dataset(text).map(Some),
        }
    }

    fn dataset(&self, text: &str) -> Result<i64, Failed> {
        let id: i64 = text.parse().map_err(|_| Failed::NotFound)?;
        let is_known = self.frame.datasets.iter().any(|(known, _)| *known == id);
        is_known.then_some(id).ok_or(Failed::NotFound)
    }
}

/// The first of that name; empty: there is none.
pub(super) fn value<'v>(pairs: &'v [(String, String)], name: &str) -> &'v str {
    pairs
        .iter()
        .find(|(other, _)| other == name)
        .map_or("", |(_, value)| value)
}

pub(super) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .take(MOST_PAIRS)
        .collect()
}

/// The fields of a form; `None`: it is too large, or did not come whole.
pub(super) async fn read_form(mut payload: Payload) -> Option<Vec<(String, String)>> {
    let mut text = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.ok()?;
        if text.len() + chunk.len() > MOST_FORM_BYTES {
            return None;
        }
        text.extend_from_slice(&chunk);
    }
    Some(pairs(&text))
}
