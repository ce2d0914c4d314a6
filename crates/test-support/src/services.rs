//! The services as programs, each with the variables that it must have. Whoever starts one adds its own. An
//! older build, which the benchmark compares with, refuses to start with a variable that it does not know: so
//! none is here that is new.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use rastro_service::clock::Clock;
use serde_json::json;

use crate::http;
use crate::process::{Process, Program, beside};

/// What all services over one database have in common.
#[derive(Clone, Debug)]
pub struct Services {
    /// Where the built programs are.
    pub programs: PathBuf,
    pub database_url: String,
    pub sealing_key: String,
}

/// What a gateway writes into an empty database.
#[derive(Clone, Copy, Debug)]
pub struct Seed<'s> {
    pub dataset_id: &'s str,
    pub access_token: &'s str,
    pub secret_key: &'s str,
    pub publishable_key: &'s str,
}

impl Seed<'_> {
    /// Sends a lead to this gateway with the secret key; the status of what it answers.
    pub async fn send_lead(&self, gateway: &Process, id: &str) -> anyhow::Result<u16> {
        let address = gateway.address_after("\"listening on ").await.parse()?;
        let bearer = format!("Bearer {}", self.secret_key);
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let event = json!({
            "event_name": "Lead",
            "event_time": Clock::system().now().timestamp(),
            "event_id": id,
            "action_source": "system_generated",
            "user_data": { "em": "ana.souza@example.com" },
        });
        let request = http::request("POST", "/api/meta/conversions", &headers, &event.to_string());
        let mut connection = http::Connection::open(address).await?;
        Ok(connection.exchange(&request).await?.status)
    }
}

impl Services {
    /// The services that were built beside the running program.
    pub fn beside_this_program(database_url: &str, sealing_key: &str) -> Self {
        Services {
            programs: beside(),
            database_url: database_url.to_owned(),
            sealing_key: sealing_key.to_owned(),
        }
    }

    /// The same programs from another folder.
    pub fn from(mut self, programs: &Path) -> Self {
        self.programs = programs.to_owned();
        self
    }

    /// A gateway on a free port.
    pub fn gateway(&self, seed: &Seed<'_>) -> Program {
        self.service("ingest-gateway").with(&[
            ("RASTRO__GATEWAY__LISTEN", "127.0.0.1:0"),
            ("RASTRO__SEED__DATASET_ID", seed.dataset_id),
            ("RASTRO__SEED__ACCESS_TOKEN", seed.access_token),
            ("RASTRO__SEED__SECRET_KEY", seed.secret_key),
            ("RASTRO__SEED__PUBLISHABLE_KEY", seed.publishable_key),
        ])
    }

    /// A forwarder that sends to this address in Meta's place.
    pub fn forwarder(&self, graph_api: &str) -> Program {
        self.service("capi-forwarder")
            .with(&[("RASTRO__GRAPH_API__URL", graph_api)])
    }

    pub fn retry_worker(&self) -> Program {
        self.service("retry-worker")
    }

    /// Follows payments at this address in Mercado Pago's place, and reads spend from the one in Meta's.
    pub fn attribution(&self, mercado_pago: &str, graph_api: &str) -> Program {
        self.service("attribution").with(&[
            ("RASTRO__MERCADO_PAGO__URL", mercado_pago),
            ("RASTRO__GRAPH_API__URL", graph_api),
        ])
    }

    /// With no account of anybody, so that it credits what is there and asks nobody.
    pub fn attribution_without_accounts(&self) -> Program {
        self.service("attribution")
    }

    /// Whoever starts it says what it does: `check` or `dashboard`.
    pub fn monitor(&self) -> Program {
        self.service("monitor")
    }

    /// Brings the database to the newest schema.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        let migrating = self.program("ingest-gateway").arguments(&["migrate"]).start()?;
        let (status, log) = migrating.ended().await?;
        ensure!(status.success(), "the migration failed: {}", log.join("\n"));
        Ok(())
    }

    fn service(&self, name: &str) -> Program {
        self.program(name).with(&[
            ("RASTRO__HEALTH__LISTEN", "127.0.0.1:0"),
            ("RASTRO__TELEMETRY__LOG_FORMAT", "json"),
        ])
    }

    fn program(&self, name: &str) -> Program {
        Program::new(&self.programs, name).with(&[
            ("RASTRO__DATABASE__URL", &self.database_url),
            ("RASTRO__DATABASE__SEALING_KEY", &self.sealing_key),
        ])
    }
}
