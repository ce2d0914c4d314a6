//! The OpenAPI document, `proto-docs/openapi.yaml`, printed by `ingest-gateway openapi`.
//!
//! Answers describe themselves where they are defined, and what clients may send is described in `bodies`.
#![allow(dead_code, reason = "the types below are only read by the schema generator")]

mod bodies;
pub(crate) mod parts;

use anyhow::Context;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

pub(crate) use self::bodies::*;
use crate::problem::{FieldError, Problem};
use crate::wire::admin::{
    DatasetList, DatasetReceipt, DatasetView, KeyList, KeyReceipt, KeyView, LogEntry, LogPage, TokenReport,
};
use crate::wire::breaker::{BreakerEvidence, BreakerStatus, Probe};
use crate::wire::capture::{LeadReceipt, LeadStepReceipt, PurchaseReceipt};
use crate::wire::dead_letters::{FailedEvent, FailedEvents, FailedGroup, RetryReceipt};
use crate::wire::graph_answer::{GraphErrorBody, GraphErrorData, GraphErrorEnvelope, GraphReceipt};
use crate::wire::people::{ErasureList, ErasureView, ExportedLead, PersonExportView, PersonView};
use crate::wire::{BatchReceipt, ItemResult, Receipt};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rastro ingest-gateway",
        description = "Takes conversion events in for Meta's Conversions API. An answer of 202 means that the event is durable.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        crate::handlers::conversions::receive,
        crate::handlers::graph::receive,
        crate::handlers::leads::capture,
        crate::handlers::lead_status::change,
        crate::handlers::purchases::record,
        crate::handlers::webhooks::mercado_pago,
        crate::sdk::newest,
        crate::sdk::by_hash,
        crate::handlers::dead_letters::list,
        crate::handlers::dead_letters::retry,
        crate::handlers::breaker::show,
        crate::handlers::breaker::put,
        crate::handlers::admin::list_datasets,
        crate::handlers::admin::create_dataset,
        crate::handlers::admin::show_dataset,
        crate::handlers::admin::change_dataset,
        crate::handlers::admin::enter_token,
        crate::handlers::admin::retire_dataset,
        crate::handlers::admin::restore_dataset,
        crate::handlers::admin::list_keys,
        crate::handlers::admin::create_key,
        crate::handlers::admin::revoke_key,
        crate::handlers::admin::log,
        crate::handlers::people::find,
        crate::handlers::people::erase,
        crate::handlers::people::export,
        crate::handlers::people::erasures
    ),
    components(schemas(
        ConversionsBody, GraphBody, GraphForm, GraphReceipt, GraphErrorEnvelope<'static>, GraphErrorBody<'static>,
        GraphErrorData<'static>, ConsentRecord, LeadBody, LeadFields, LeadReceipt<'static>, LeadStepBody,
        LeadStepReceipt<'static>, PurchaseBody, PurchaseFields,
        PurchaseReceipt<'static>, ServerEvent, EventBatch, UserData, CustomData, Content, OneOrMany, Problem, FieldError,
        Receipt<'static>, BatchReceipt<'static>, ItemResult<'static>, RetryFailedBody, RetryReceipt,
        FailedEvents, FailedGroup, FailedEvent, BreakerBody, BreakerStatus, BreakerEvidence, Probe,
        NewDatasetBody, DatasetBody, TokenBody, NewKeyBody, DatasetView, DatasetList, DatasetReceipt, TokenReport, KeyView,
        KeyList, KeyReceipt, LogEntry, LogPage, PersonBody, ErasureBody, ExportBody, PersonView, ErasureView, ErasureList,
        PersonExportView, ExportedLead
    )),
    modifiers(&Keys),
    tags(
        (name = "events", description = "Conversion events"),
        (name = "drop-in", description = "Meta's own edge, for clients that speak to Meta: they change the host and the token. proto-docs/clients.md"),
        (name = "business", description = "Leads and orders, kept for the business itself, and the events they become"),
        (name = "payments", description = "What payment providers tell; read again before it counts"),
        (name = "browser", description = "The script for pages: web/README.md"),
        (name = "administration", description = "Datasets and keys, and who changed them; on the private listener as \
            what follows. The commands `ingest-gateway dataset` and `ingest-gateway key` do the same."),
        (name = "people", description = "What the law gives a person (LGPD, articles 18 and 16): to see what is kept, and to be \
            forgotten; on the private listener. The commands `attribution export` and `attribution erase` do the same."),
        (name = "operators", description = "What became of events, and a say in it; on the private listener (health.listen) \
            only, unless gateway.operators_on_public_listener is set. proto-docs/runbook.md says when to use which.")
    )
)]
struct Document;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(
            "A dataset's key. With a publishable key (browsers) the request tells the visitor's address and user agent; \
             with a secret key (servers) the event must. A publishable key sends page and lead events, or \
             those on its own list, of at most 64 KiB together, and no test_event_code."
                .to_owned(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("apiKey", SecurityScheme::Http(scheme));
        let in_query = ApiKeyValue::with_description(
            "key",
            "A publishable key, for pages. A page's origin must be among the dataset's allowed origins.",
        );
        components.add_security_scheme("keyInQuery", SecurityScheme::ApiKey(ApiKey::Query(in_query)));
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some("An operator's key, for all datasets. It sends no events.".to_owned());
        components.add_security_scheme("adminKey", SecurityScheme::Http(scheme));
    }
}

/// The document as YAML.
pub fn document() -> anyhow::Result<String> {
    Document::openapi()
        .to_yaml()
        .context("the OpenAPI document cannot be written as YAML")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_in_the_repository_is_the_one_that_the_code_describes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto-docs/openapi.yaml");
        let written = std::fs::read_to_string(path).expect("proto-docs/openapi.yaml can be read");
        let described = document().unwrap();
        let differing = written
            .lines()
            .zip(described.lines())
            .find(|(written, described)| written != described);
        assert_eq!(
            differing, None,
            "proto-docs/openapi.yaml is out of date: run `make openapi`"
        );
        assert_eq!(
            written.lines().count(),
            described.lines().count(),
            "proto-docs/openapi.yaml is cut or has more"
        );
    }
}
