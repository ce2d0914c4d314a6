//! What every service's program answers besides serving.

use rastro_service::probe;

use crate::config::{ServiceConfig, load_unchecked};

/// The commit that was built, when the build said so, as that of an image does (`RASTRO_REVISION`).
pub const REVISION: &str = match option_env!("RASTRO_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Answers `--version`, and for images, which hold no other program, `healthcheck` (the process lives) and
/// `healthcheck ready` (it can do its work), as its configuration says where it listens. Whether it was one
/// of these; `main` is then over. `version` is `env!("CARGO_PKG_VERSION")`.
///
/// # Errors
/// When the configuration cannot be read, or the service is not alive or not ready; the error says why.
pub fn answered<C: ServiceConfig>(name: &str, version: &str) -> anyhow::Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let path = match arguments.as_slice() {
        ["--version" | "-V"] => {
            print(&format!("{name} {version} ({REVISION})"));
            return Ok(true);
        }
        ["healthcheck"] => "/healthz",
        ["healthcheck", "ready"] => "/readyz",
        _ => return Ok(false),
    };
    let config: C = load_unchecked()?;
    print(&probe::ask(config.common().health.listen, path)?);
    Ok(true)
}

#[expect(clippy::print_stdout, reason = "the answer to a command typed at a terminal")]
fn print(text: &str) {
    println!("{text}");
}
