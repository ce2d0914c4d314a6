//! Five failures to practise on: what goes wrong at businesses, each with what its owner would know of it.
//! Where the cause stands in the dashboard is in `proto-docs/guide.md`, and a test walks there.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use rastro_core::circuit_breaker::Reason;
use rastro_core::dataset::DatasetId;
use rastro_service::config::ExposeSecret as _;
use rastro_store::{Dataset, DatasetSettings, KeyOrder, KeyRole, Store};
use rastro_test_support::http::{Connection, call, request};
use serde_json::{Value, json};

use crate::until;

/// How long Meta's stand-in may take to be asked.
const PATIENCE: Duration = Duration::from_secs(60);
/// Beyond the demo's own dataset and those that only have a history.
const FIRST_OF_OURS: i64 = 10;

/// What is there already.
pub struct Surroundings<'s> {
    pub gateway: SocketAddr,
    pub sandbox: SocketAddr,
    pub store: &'s Store,
    pub dataset_id: i64,
    pub secret_key: &'s str,
    /// Unix seconds: of the events.
    pub now: i64,
}

/// The failures, by what somebody would ask with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    /// The dataset whose access token Meta refuses, and an event of it.
    pub wrong_token: (String, String),
    /// The `request_id` of the answer to an event whose only e-mail is none.
    pub no_email: String,
    /// An order that was sent twice.
    pub twice: String,
    /// A dataset that was retired, and goes on being sent to.
    pub retired: String,
    /// The dataset that Meta told to wait, and an event of it.
    pub throttled: (String, String),
}

impl Failures {
    /// For people at a terminal.
    pub fn report(&self) -> String {
        let Failures {
            wrong_token,
            no_email,
            twice,
            retired,
            throttled,
        } = self;
        format!(
            "\nFive failures: find out why, with the dashboard alone (proto-docs/guide.md has the ways)\n  \
             1  nothing of {} reaches Meta, such as {}\n  \
             2  the gateway answered 422; its request_id is {no_email}\n  \
             3  the shop sent order {twice}, and something was answered 409\n  \
             4  since today the site of {retired} is answered 403\n  \
             5  {} is late, such as {}\n",
            wrong_token.0, wrong_token.1, throttled.0, throttled.1
        )
    }
}

/// Makes all five, and waits until each can be seen.
///
/// # Errors
/// When one does not go wrong as it has to.
pub async fn prepare(around: &Surroundings<'_>) -> anyhow::Result<Failures> {
    let marker = around.now;
    let wrong_token = around.dataset(0, "Loja sem acesso (demo)").await?;
    let throttled = around.dataset(1, "Loja em espera (demo)").await?;
    let retired = around.dataset(2, "Loja antiga (demo)").await?;
    around
        .store
        .retire_dataset(retired.id, "demo")
        .await?
        .context("the dataset is there")?;
    let fault = json!({
        "kind": "error", "http_status": 400, "code": 80004, "is_transient": true, "dataset_id": throttled.id.to_string(),
        "retry_after": 3600,
    });
    let (status, said) = call(around.sandbox, "POST", "/sandbox/faults", &fault.to_string()).await?;
    ensure!(
        (200..300).contains(&status),
        "the stand-in for Meta: {status} {said}"
    );

    let token_event = format!("sem-acesso-{marker}");
    around
        .send(&wrong_token.key, &lead(&token_event, marker), 202)
        .await?;
    let late_event = format!("em-espera-{marker}");
    around
        .send(&throttled.key, &lead(&late_event, marker), 202)
        .await?;
    let mut nobody = lead(&format!("sem-email-{marker}"), marker);
    nobody["user_data"] = json!({ "em": "ana.souza" });
    let refused = around.send(around.secret_key, &nobody, 422).await?;
    let no_email = refused["request_id"]
        .as_str()
        .context("the answer has a request_id")?;
    let twice = format!("pedido-{marker}");
    let order = json!({
        "event_name": "Purchase", "event_time": marker - 60, "event_id": twice, "action_source": "system_generated",
        "user_data": { "em": "ana.souza@example.com" }, "custom_data": { "value": 129.9, "currency": "BRL", "order_id": twice },
    });
    around.send(around.secret_key, &order, 202).await?;
    around.send(around.secret_key, &order, 409).await?;
    around
        .send(&retired.key, &lead(&format!("antiga-{marker}"), marker), 403)
        .await?;

    for (dataset, reason) in [(&wrong_token, Reason::Blocked), (&throttled, Reason::Throttled)] {
        around.stopped(dataset.id, reason).await?;
    }
    Ok(Failures {
        wrong_token: (wrong_token.name, token_event),
        no_email: no_email.to_owned(),
        twice,
        retired: retired.name,
        throttled: (throttled.name, late_event),
    })
}

/// A dataset of this, and a key that sends to it.
struct Prepared {
    id: DatasetId,
    name: String,
    key: String,
}

impl Surroundings<'_> {
    async fn dataset(&self, place: i64, name: &str) -> anyhow::Result<Prepared> {
        let id: DatasetId = (self.dataset_id + FIRST_OF_OURS + place).try_into()?;
        let settings = DatasetSettings {
            name: name.to_owned(),
            ..DatasetSettings::default()
        };
        let dataset = Dataset {
            id,
            settings,
            access_token: "EAAdemo0that0Meta0does0not0know".to_owned().into(),
        };
        // An earlier run's is taken as it is.
        self.store.create_dataset(&dataset).await?;
        self.store.restore_dataset(id, "demo").await?;
        let order = KeyOrder {
            role: KeyRole::Secret,
            dataset_id: Some(id),
            label: "site".to_owned(),
            event_names: None,
        };
        let issued = self.store.issue_api_key(&order, "demo").await?;
        let (_, key) = issued.ok().context("a key can be issued")?;
        Ok(Prepared {
            id,
            name: name.to_owned(),
            key: key.expose_secret().to_owned(),
        })
    }

    /// Sends an event; what was answered. A gateway knows a key that was made just now within a second.
    async fn send(&self, key: &str, event: &Value, expected: u16) -> anyhow::Result<Value> {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let request = request("POST", "/api/meta/conversions", &headers, &event.to_string());
        until(PATIENCE, async || {
            let mut connection = Connection::open(self.gateway).await?;
            let answer = connection.exchange(&request).await?;
            let said = String::from_utf8_lossy(answer.body).into_owned();
            if answer.status == expected {
                return Ok(Ok(serde_json::from_str(&said)?));
            }
            let unexpected = format!("{} instead of {expected}: {said}", answer.status);
            // The gateway reads new keys every few seconds.
            ensure!(answer.status == 401, unexpected);
            Ok(Err(unexpected))
        })
        .await
    }

    /// Waits until the dataset is left alone, for this reason.
    async fn stopped(&self, id: DatasetId, reason: Reason) -> anyhow::Result<()> {
        until(PATIENCE, async || {
            let (breaker, _, _) = self.store.breaker(id).await?;
            let is_stopped = (breaker.reason == Some(reason)).then_some(());
            Ok(is_stopped.ok_or_else(|| format!("dataset {id} was not stopped: {reason:?}")))
        })
        .await
    }
}

fn lead(id: &str, now: i64) -> Value {
    json!({
        "event_name": "Lead", "event_time": now - 60, "event_id": id, "action_source": "website",
        "event_source_url": "https://www.casaviva.example/contato",
        "user_data": { "em": "ana.souza@example.com", "client_user_agent": "Mozilla/5.0" },
    })
}
