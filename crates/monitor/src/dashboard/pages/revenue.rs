//! Receita: what each real of advertising brought back, from lead to books. Until there is revenue or spend
//! it says what to set up.
//!
//! [`request`] reads the address, [`data`] the store; every other file draws one part of the page.

mod books;
mod channels;
mod cohorts;
mod data;
mod empty;
mod export;
mod forecast;
mod payback;
mod request;
mod terms;
mod totals;
mod trends;
mod view;

use rastro_core::dataset::DatasetId;

use crate::dashboard::layout::Page;
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;
use request::Request;

pub async fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let title = Page::Revenue.title(cx.lang());
    let Some(request) = asked(cx).await? else {
        return Reply::page(title, empty::render(cx).await?);
    };
    let data = data::load(&cx.app.store, &request).await;
    Reply::page(title, view::render(&cx.frame, &request, &data))
}

/// The campaigns of what is shown, as a file.
pub async fn export(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let request = asked(cx).await?;
    let file = match &request {
        Some(request) => export::file(&cx.app.store, cx.lang(), request).await?,
        None => export::nothing(cx.lang()),
    };
    Ok(Reply::File(file))
}

/// What is asked for; `None`: there is nothing to ask. Of several datasets one is shown at a time: money of
/// two businesses is no sum that anybody wants, and each has days of its own.
async fn asked(cx: &Cx<'_>) -> Result<Option<Request>, Failed> {
    let (store, frame) = (&cx.app.store, &cx.frame);
    let chosen = match frame.dataset {
        Some(dataset) => Some(dataset),
        None => {
            let full = store.datasets_with_revenue().await?;
            frame
                .datasets
                .iter()
                .map(|(id, _)| *id)
                .find(|id| full.contains(id))
        }
    };
    let Some(dataset) = chosen.and_then(|id| DatasetId::try_from(id).ok()) else {
        return Ok(None);
    };
    let Some(scope) = store.revenue_scope(dataset).await? else {
        return Ok(None);
    };
    let read = || Request::read(cx.lang(), dataset, &scope, &|name| cx.asked(name).to_owned());
    Ok((!scope.currencies.is_empty()).then(read))
}
