//! What several operations share in the description: parameters, and how a request is refused.

use std::collections::BTreeMap;

use utoipa::IntoParams;
use utoipa::openapi::response::{ResponseBuilder, ResponsesBuilder};
use utoipa::openapi::{Content, Ref, RefOr, Response};

/// Names the ways in which requests are refused, each with a problem document: a status, and when.
macro_rules! problems {
    ($(#[$meta:meta])* $vis:vis $name:ident { $($status:literal => $when:literal,)* }) => {
        $(#[$meta])*
        $vis struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                crate::openapi::parts::as_responses(&[$(($status, $when)),*])
            }
        }
    };
}
pub(crate) use problems;

pub(crate) fn as_responses(refusals: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let mut responses = ResponsesBuilder::new();
    for (status, when) in refusals {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new()
            .description(*when)
            .content("application/problem+json", problem);
        responses = responses.response(*status, response);
    }
    responses.build().into()
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct DatasetNumber {
    /// Meta's number of the dataset (pixel).
    dataset_id: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct OperatorName {
    /// Your name, for the log.
    #[param(rename = "X-Operator")]
    name: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IdempotencyKey {
    /// The same key and body again: the first answer again, for 48 hours. Also as idempotency_key in the body.
    #[param(rename = "X-Idempotency-Key")]
    key: Option<String>,
}
