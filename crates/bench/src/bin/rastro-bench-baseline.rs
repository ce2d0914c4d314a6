//! `rastro-bench-baseline`: one of the servers that the gateway is measured against.

use anyhow::{Context, bail};
use rastro_bench::baseline::{self, Mode};

const USAGE: &str = "usage: rastro-bench-baseline naive|statement|no-database ADDRESS DATASET_ID
The database is named by RASTRO_BENCH_DATABASE_URL.";

/// The gateway's own, so that what is compared is how events are stored.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
#[expect(
    clippy::disallowed_methods,
    reason = "the one variable of this program, a secret"
)]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, listen, dataset] = arguments.as_slice() else {
        bail!(USAGE);
    };
    let mode = Mode::parse(mode).context(USAGE)?;
    let url = std::env::var("RASTRO_BENCH_DATABASE_URL").unwrap_or_default();
    baseline::serve(mode, listen, &url, dataset.parse()?).await
}
