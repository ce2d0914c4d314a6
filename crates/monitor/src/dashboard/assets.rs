//! The files beside the pages, built into the program. Their addresses carry a hash of what is in them, so a
//! browser may keep them for ever.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// A file of ours.
pub struct Asset {
    pub address: String,
    pub content_type: &'static str,
    pub content: &'static str,
}

pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "style",
        "css",
        "text/css; charset=utf-8",
        include_str!("assets/style.css"),
    )
});
/// What only the revenue page has.
pub static REVENUE_STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "revenue",
        "css",
        "text/css; charset=utf-8",
        include_str!("assets/revenue.css"),
    )
});
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "page",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("assets/page.js"),
    )
});
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")));

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, content: &'static str) -> Self {
        let hash = Sha256::digest(content);
        let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Asset {
            address: format!("/assets/{name}-{hash}.{extension}"),
            content_type,
            content,
        }
    }

    /// The file at an address.
    pub fn at(path: &str) -> Option<&'static Asset> {
        [&*STYLE, &*REVENUE_STYLE, &*SCRIPT, &*ICON]
            .into_iter()
            .find(|asset| asset.address == path)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// As it goes over the wire from a proxy that compresses.
    fn compressed(text: &str) -> usize {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap().len()
    }

    #[test]
    fn style_and_script_are_within_their_budgets() {
        assert!(STYLE.content.len() <= 25_000, "{}", STYLE.content.len());
        assert!(
            compressed(STYLE.content) <= 6_000,
            "{}",
            compressed(STYLE.content)
        );
        assert!(
            compressed(REVENUE_STYLE.content) <= 1_500,
            "{}",
            compressed(REVENUE_STYLE.content)
        );
        assert!(SCRIPT.content.len() <= 8_000, "{}", SCRIPT.content.len());
        assert!(
            compressed(SCRIPT.content) <= 2_000,
            "{}",
            compressed(SCRIPT.content)
        );
    }

    #[test]
    fn an_address_changes_with_what_is_behind_it() {
        assert!(Asset::at(&STYLE.address).is_some_and(|asset| asset.content == STYLE.content));
        assert!(Asset::at("/assets/style.css").is_none());
    }
}
