//! The stand-in for Meta, as the benchmark sees it: counts, and how long it takes to answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, ensure};
use rastro_bench::http;
use serde::Deserialize;
use serde_json::json;

pub(crate) struct Sandbox {
    pub(crate) address: SocketAddr,
}

/// What arrived since its start.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Counts {
    /// Events that Meta would keep.
    pub(crate) unique: u64,
    /// Events that Meta would drop as repeats.
    pub(crate) repeated: u64,
    /// Requests refused, by error code.
    pub(crate) refused: BTreeMap<String, u64>,
    datasets: BTreeMap<String, DatasetCounts>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct DatasetCounts {
    unique: u64,
}

impl Counts {
    pub(crate) fn unique_of(&self, dataset: &str) -> u64 {
        self.datasets.get(dataset).map_or(0, |counts| counts.unique)
    }
}

impl Sandbox {
    pub(crate) async fn counts(&self) -> anyhow::Result<Counts> {
        let (_, text) = http::get(self.address, "/sandbox/counts").await?;
        serde_json::from_str(&text).context("the sandbox's counts cannot be read")
    }

    /// From now on every request is answered after this time, as Meta's distance would have it.
    pub(crate) async fn answer_after(&self, milliseconds: u64) -> anyhow::Result<()> {
        let fault = json!({ "kind": "latency", "ms": milliseconds }).to_string();
        let (status, body) = http::call(self.address, "POST", "/sandbox/faults", &fault).await?;
        ensure!(status == 201, "the sandbox refused a latency: {body}");
        Ok(())
    }

    pub(crate) async fn answer_at_once(&self) -> anyhow::Result<()> {
        http::call(self.address, "DELETE", "/sandbox/faults", "").await?;
        Ok(())
    }
}
