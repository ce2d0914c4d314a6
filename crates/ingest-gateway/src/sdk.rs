//! `GET /sdk.js`: the script that pages load, as `web/dist` has it. It is part of the program, so that a
//! gateway and its script always fit.

use actix_web::http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE,
    CROSS_ORIGIN_RESOURCE_POLICY, ETAG, IF_NONE_MATCH, VARY,
};
use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::problem::Problem;

const SCRIPT: &[u8] = include_bytes!("../web/dist/sdk.js");
/// As the build compressed it, better than the compressor that this program has.
const COMPRESSED: &[u8] = include_bytes!("../web/dist/sdk.js.gz");
/// An hour, and a day in which an old one is better than waiting.
const NEWEST: &str = "public, max-age=3600, stale-while-revalidate=86400";
/// What is at an address with its hash never changes.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// The script's version. Clones share it.
#[derive(Clone)]
pub(crate) struct Sdk {
    /// 16 hex digits of its SHA-256.
    hash: String,
}

impl Sdk {
    pub(crate) fn new() -> Self {
        let hash: String = Sha256::digest(SCRIPT)[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Sdk { hash }
    }
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/sdk.js")
                .route(web::get().to(newest))
                .route(web::head().to(newest))
                .default_service(web::to(async || crate::app::only(Uuid::now_v7(), "GET, HEAD"))),
        )
        .service(
            web::resource("/sdk/{file}")
                .route(web::get().to(by_hash))
                .route(web::head().to(by_hash))
                .default_service(web::to(async || crate::app::only(Uuid::now_v7(), "GET, HEAD"))),
        );
}

/// The script as it is now.
#[utoipa::path(
    get,
    path = "/sdk.js",
    tag = "browser",
    operation_id = "script",
    summary = "The script for pages",
    responses(
        (status = 200, description = "The script. Any page may load it; it is compressed if the browser takes gzip.",
            body = String, content_type = "text/javascript"),
        (status = 304, description = "The browser has it already (If-None-Match)."),
    )
)]
pub(crate) async fn newest(sdk: Data<Sdk>, request: HttpRequest) -> HttpResponse {
    script(&sdk, &request, NEWEST)
}

/// The script of one version, for pages that name its `integrity`.
#[utoipa::path(
    get,
    path = "/sdk/{hash}.js",
    tag = "browser",
    operation_id = "scriptByHash",
    summary = "The script of one version",
    params(("hash" = String, Path, description = "The first 16 hex digits of its SHA-256, as its ETag says")),
    responses(
        (status = 200, description = "The script. It never changes.", body = String, content_type = "text/javascript"),
        (status = 304, description = "The browser has it already (If-None-Match)."),
        (status = 404, description = "This gateway has another version.", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn by_hash(sdk: Data<Sdk>, file: Path<String>, request: HttpRequest) -> HttpResponse {
    match file.strip_suffix(".js") {
        Some(hash) if hash == sdk.hash => script(&sdk, &request, FOREVER),
        _ => Problem::not_found().into_response(Uuid::now_v7()),
    }
}

fn script(sdk: &Sdk, request: &HttpRequest, cache_control: &'static str) -> HttpResponse {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let takes_gzip = header(ACCEPT_ENCODING).is_some_and(takes_gzip);
    let has_it = header(IF_NONE_MATCH).is_some_and(|tags| tags.contains(&sdk.hash));
    let mut response = match has_it {
        true => HttpResponse::NotModified(),
        false => HttpResponse::Ok(),
    };
    // Two representations, two tags.
    let suffix = if takes_gzip { "-gzip" } else { "" };
    response
        .insert_header((ETAG, format!("\"{}{suffix}\"", sdk.hash)))
        .insert_header((CACHE_CONTROL, cache_control))
        .insert_header((VARY, "Accept-Encoding"))
        .insert_header((CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
    if has_it {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"));
    match takes_gzip {
        true => response
            .insert_header((CONTENT_ENCODING, "gzip"))
            .body(Bytes::from_static(COMPRESSED)),
        false => response.body(Bytes::from_static(SCRIPT)),
    }
}

fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && !parts.any(|weight| weight.trim_end_matches(['0', '.']) == "q=")
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn the_script_is_small_and_both_its_forms_are_the_same() {
        assert!(COMPRESSED.len() <= 4_200, "{} bytes", COMPRESSED.len());
        let mut script = Vec::new();
        GzDecoder::new(COMPRESSED).read_to_end(&mut script).unwrap();
        assert!(script == SCRIPT, "web/dist is out of date: npm run build");
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (accepted, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5, br", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("br", false),
            ("x-gzip-like", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(accepted), expected, "{accepted}");
        }
    }
}
