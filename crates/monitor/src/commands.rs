//! What the program does beside checking and serving: one answer on standard output.

use anyhow::{Context, ensure};
use rastro_core::dataset::DatasetId;
use rastro_graph_api::{Answer, DatasetQuality, EventsRequest, Failure, GraphApi};
use rastro_store::Store;
use serde_json::json;

use crate::config::Config;

/// Sends one test event to a dataset with its test code, and says what Meta answers: the production check.
///
/// # Errors
/// When it could not be sent, or Meta did not take it.
pub async fn verify(dataset: DatasetId) -> anyhow::Result<()> {
    let config: Config = rastro_boot::load()?;
    let store = Store::new(&config.common.database, "monitor")?;
    let graph_api = GraphApi::new(&config.graph_api)?;
    let verified = verify_with(&store, &graph_api, dataset).await?;
    print(&verified.text)?;
    ensure!(verified.went_well, "Meta did not take the test event");
    Ok(())
}

/// What `monitor verify` says.
#[derive(Clone, Debug)]
pub struct Verified {
    pub went_well: bool,
    pub text: String,
}

/// As [`verify`], with the parts given.
///
/// # Errors
/// When the dataset is unknown or has no test code in force.
pub async fn verify_with(
    store: &Store,
    graph_api: &GraphApi,
    dataset: DatasetId,
) -> anyhow::Result<Verified> {
    let settings = store
        .dataset_settings(dataset)
        .await?
        .with_context(|| format!("dataset {dataset} is not known here"))?;
    let token = store
        .access_token(dataset)
        .await?
        .context("it has no access token")?;
    let now = store.now().await?;
    let code = settings.test_event_code.as_ref().filter(|(_, until)| *until > now).map(|(code, _)| code.as_str()).context(
        "the dataset has no test event code in force: copy one from Events Manager, Test Events, and set it first; \
         without a code this event would count as a real one",
    )?;
    let id = format!("rastro-verify-{}", now.timestamp_millis());
    let event = json!({
        "event_name": "PageView",
        "event_time": now.timestamp(),
        "event_id": id,
        "action_source": "system_generated",
        "user_data": { "external_id": [VERIFY_EXTERNAL_ID] },
    })
    .to_string();
    let request = EventsRequest {
        events: &[&event],
        test_event_code: code,
    };
    let answer = graph_api.send_events(dataset, &token, &request).await;
    let quality = graph_api.dataset_quality(dataset, &token).await;
    Ok(Verified {
        went_well: answer.result.is_ok(),
        text: report(dataset, code, &id, &answer, &quality),
    })
}

/// `printf rastro-verify | sha256sum`: nobody's identifier.
const VERIFY_EXTERNAL_ID: &str = "ccb35053c31fe1d78696733c373f2f83429d469ff49e7ad199feb412f7c55c34";

fn report(
    dataset: DatasetId,
    code: &str,
    id: &str,
    answer: &Answer,
    quality: &Result<Vec<DatasetQuality>, Failure>,
) -> String {
    let mut lines = vec![format!(
        "dataset {dataset}, test event code {code}, event_id {id}"
    )];
    let status = answer
        .http_status
        .map_or("no answer".to_owned(), |status| format!("status {status}"));
    lines.push(format!(
        "Meta: {status} in {} ms, fbtrace_id {}",
        answer.latency.as_millis(),
        answer.fbtrace_id.as_deref().unwrap_or("none")
    ));
    match &answer.result {
        Ok(()) => lines.push(format!(
            "Meta took the event (events_received {})",
            answer
                .events_received
                .map_or("not said".to_owned(), |received| received.to_string())
        )),
        Err(failure) => lines.push(format!("Meta did not take it: {}", failure.message)),
    }
    lines.extend(
        answer
            .messages
            .iter()
            .map(|message| format!("Meta adds: {message}")),
    );
    match quality {
        Ok(names) if names.is_empty() => lines.push("EMQ: Meta gives no score yet".to_owned()),
        Ok(names) => lines.extend(names.iter().map(|name| {
            format!(
                "EMQ of {}: {}, freshness {}",
                name.event_name,
                name.score
                    .map_or("none".to_owned(), |score| format!("{score:.1}")),
                name.freshness.as_deref().unwrap_or("not said")
            )
        })),
        Err(failure) => lines.push(format!("EMQ cannot be read with this token: {}", failure.message)),
    }
    lines.push(
        "Now look in Events Manager: Data sources, this dataset, Test events. The event must appear there within a minute, \
         as received from the server."
            .to_owned(),
    );
    lines.join("\n")
}

/// Prints a text and a line break.
///
/// # Errors
/// Never; commands answer alike.
#[expect(clippy::print_stdout, reason = "the answer to a command typed at a terminal")]
pub fn print(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}
