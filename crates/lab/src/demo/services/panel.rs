//! The demo's dashboard: thirty days of invented history, `monitor check` every minute, the page, a key, and
//! a picture of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context;
use rastro_store::{Dataset, DatasetSettings};
use rastro_test_support::process::free_address;
use sha2::{Digest, Sha256};

use super::{Running, folder, keep_as, say, services};
use crate::{books, heading};

/// Beside the demo's own dataset, so that there is something to choose from. Nothing is ever sent to them.
const OTHERS: [(&str, f64); 2] = [("Clínica Vale (demo)", 300.0), ("Curso Norte (demo)", 120.0)];
const OWN_WEIGHT: f64 = 1400.0;

/// Where it is, and what opens it.
pub struct Panel {
    pub address: SocketAddr,
    pub key: String,
    pub picture: Option<PathBuf>,
}

impl Running {
    /// Fills the history where there is none, and starts the pages. After the account: what is invented here
    /// is no event of the stream.
    pub async fn start_panel(&self) -> anyhow::Result<Panel> {
        heading("dashboard");
        let store = self.store()?;
        let key = format!("ak_{}", self.secrets.secret_key.trim_start_matches("sk_"));
        store.put_admin_key(Sha256::digest(&key).into(), "demo").await?;
        let own: i64 = self.secrets.dataset_id.parse().context("the demo's dataset")?;
        let mut rows = vec![format!("({own}::bigint, 1, {OWN_WEIGHT:.1}::numeric)")];
        for (place, (name, weight)) in (2..).zip(OTHERS) {
            let id = own + place - 1;
            let settings = DatasetSettings {
                name: name.into(),
                ..Default::default()
            };
            let dataset = Dataset {
                id: id.try_into()?,
                settings,
                access_token: "demo0never0sent".to_owned().into(),
            };
            store.create_dataset(&dataset).await?;
            rows.push(format!("({id}, {place}, {weight:.1})"));
        }
        let client = books::connect(&self.database_url).await?;
        let history = include_str!("history.sql");
        let rows = rows.join(", ");
        client
            .batch_execute(&format!(
                "BEGIN;
                 CREATE TEMP TABLE demo_datasets ON COMMIT DROP AS
                 SELECT * FROM (VALUES {rows}) AS d (dataset_id, place, weight);
                 {history}
                 COMMIT;"
            ))
            .await
            .context("the demo's history could not be written")?;
        say("thirty days of invented history are there");
        let (address, health, check) = (free_address(9180)?, free_address(9104)?, free_address(9106)?);
        let services = services(&self.database_url, &self.secrets);
        let every = services.monitor().arguments(&["check", "--every", "60s"]);
        let every = every.with(&[("RASTRO__HEALTH__LISTEN", &check.to_string())]);
        keep_as("monitor-check", every, check, "/readyz").await?;
        let page = services.monitor().arguments(&["dashboard"]).with(&[
            ("RASTRO__HEALTH__LISTEN", &health.to_string()),
            ("RASTRO__DASHBOARD__LISTEN", &address.to_string()),
            (
                "RASTRO__DASHBOARD__GATEWAY_URL",
                &format!("http://{}", self.gateway),
            ),
            ("RASTRO__DASHBOARD__DEMO", "true"),
            ("RASTRO__GRAPH_API__URL", &format!("http://{}", self.sandbox)),
        ]);
        keep_as("monitor-dashboard", page, health, "/readyz").await?;
        let picture = picture(address, &key);
        Ok(Panel {
            address,
            key,
            picture,
        })
    }
}

impl Panel {
    /// For people at a terminal. The key travels behind `#`, which no server sees.
    pub fn report(&self) -> String {
        let mut text = format!(
            "\nThe dashboard (its history is invented)\n  open                  http://{}/entrar#key={}\n",
            self.address, self.key
        );
        if let Some(picture) = &self.picture {
            text.push_str(&format!("  a picture of it       {}\n", picture.display()));
        }
        text
    }
}

/// A picture, where a Chromium and what drives it are installed, as for the tests. Nothing depends on it.
fn picture(address: SocketAddr, key: &str) -> Option<PathBuf> {
    let checkout = rastro_test_support::cluster::checkout();
    let packages = checkout.join("crates/ingest-gateway/web/node_modules");
    if !packages.join("axe-core").exists() {
        say("no picture: `scripts/install.sh node-tests chromium` installs what takes it");
        return None;
    }
    let taken = Command::new("node")
        .arg("check.mjs")
        .arg(folder())
        .arg("geral")
        .current_dir(checkout.join("crates/monitor/web"))
        .env("DASHBOARD_URL", format!("http://{address}"))
        .env("DASHBOARD_KEY", key)
        .stdin(Stdio::null())
        .output();
    let file = folder().join("geral-light-1360.png");
    match taken {
        Ok(_) if file.exists() => Some(file),
        Ok(output) => {
            say(&format!(
                "no picture: {}",
                String::from_utf8_lossy(&output.stderr)
                    .lines()
                    .last()
                    .unwrap_or_default()
            ));
            None
        }
        Err(error) => {
            say(&format!("no picture: {error}"));
            None
        }
    }
}
