//! `ingest-gateway dataset|key|log|set-aside ...`: the admin API's operations for whoever sits at the machine, with the
//! same checks and the same log.
//!
//! Options are the API's fields with hyphens: `--allowed-origins` is `allowed_origins`. Secrets are read from
//! a file or from standard input, never from arguments, which everybody on the machine can read.

use std::io::Read;

use anyhow::{Context, bail, ensure};
use rastro_core::dataset::DatasetId;
use rastro_graph_api::GraphApi;
use rastro_service::clock::Clock;
use rastro_store::Store;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::administration::Administration;
use crate::config::Config;
use crate::problem::Problem;
use crate::set_aside::set_aside;
use crate::wire::admin::{
    DatasetList, DatasetReceipt, DatasetView, KeyList, KeyReceipt, KeyView, LogEntry, LogPage,
};

pub const USAGE: &str = "\
usage: ingest-gateway dataset list
       ingest-gateway dataset show ID
       ingest-gateway dataset create ID [--token-file FILE] [SETTINGS]    the access token comes from FILE, else from standard input
       ingest-gateway dataset set ID SETTINGS
       ingest-gateway dataset token ID [--token-file FILE]
       ingest-gateway dataset retire ID | restore ID                      its keys open nothing | open again
       ingest-gateway key list [--dataset-id ID]
       ingest-gateway key create --kind publishable|secret|admin|viewer --label WHERE [--dataset-id ID] [--event-names A,B]
       ingest-gateway key revoke NUMBER
       ingest-gateway log [--dataset-id ID] [--before ENTRY] [--limit N]
       ingest-gateway set-aside ID --received-before 2026-12-31T23:59:59Z [--dry-run]
                                     after a restore: makes dead letters of what was due then (proto-docs/operation.md)
settings (an empty value takes one away):
       --name NAME --default-country br --default-currency BRL --time-zone America/Sao_Paulo --purchase-source recorded|verified
       --allowed-origins ORIGIN,ORIGIN --cookie-domain DOMAIN --lead-events scheduled=Schedule,customer=Subscribe
       --remember-clicks true|false
       --lead-value none|predicted --lead-value-minimum-orders 30
       --test-event-code CODE --test-event-code-until 2026-12-31T23:59:59Z
with all: --json (what the API answers), --as NAME (for the log; by default your user name)";

/// The longest access token file read, in bytes.
const LONGEST_SECRET: u64 = 16 * 1024;
/// These fields are lists, written with commas.
const LISTS: [&str; 2] = ["allowed_origins", "event_names"];

/// What was typed, taken apart.
#[derive(Debug, Default, PartialEq)]
struct Typed<'a> {
    /// What stands without a name, in its order.
    words: Vec<&'a str>,
    /// By the API's names of the fields.
    fields: Map<String, Value>,
    token_file: Option<&'a str>,
    json: bool,
    dry_run: bool,
    who: Option<&'a str>,
}

impl<'a> Typed<'a> {
    fn read(arguments: &[&'a str]) -> anyhow::Result<Self> {
        let mut typed = Typed::default();
        let mut arguments = arguments.iter().copied();
        while let Some(argument) = arguments.next() {
            let Some(option) = argument.strip_prefix("--") else {
                typed.words.push(argument);
                continue;
            };
            match option {
                "json" => {
                    typed.json = true;
                    continue;
                }
                "dry-run" => {
                    typed.dry_run = true;
                    continue;
                }
                _ => {}
            }
            let (option, value) = match option.split_once('=') {
                Some(both) => both,
                None => (
                    option,
                    arguments
                        .next()
                        .with_context(|| format!("--{option} needs a value"))?,
                ),
            };
            match option.replace('_', "-").as_str() {
                "as" => typed.who = Some(value),
                "token-file" => typed.token_file = Some(value),
                "access-token" => bail!(
                    "an access token does not go into arguments, which everybody can read; use --token-file"
                ),
                _ => {
                    let name = option.replace('-', "_");
                    let value = field(&name, value)?;
                    ensure!(
                        typed.fields.insert(name, value).is_none(),
                        "--{option} is there twice"
                    );
                }
            }
        }
        Ok(typed)
    }

    /// The fields as the body of a request, with more of them.
    fn body(&self, more: &[(&str, &str)]) -> String {
        let mut fields = self.fields.clone();
        fields.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), Value::from(*value))),
        );
        Value::Object(fields).to_string()
    }

    /// The fields as a query.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.fields {
            query.append_pair(name, value.as_str().unwrap_or_default());
        }
        query.finish()
    }
}

/// The value of an option, as the API takes it.
fn field(name: &str, value: &str) -> anyhow::Result<Value> {
    if name == "lead_events" {
        let pairs = value.split(',').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (status, event) = pair
                .split_once('=')
                .context("--lead-events is written scheduled=Schedule,...")?;
            Ok((status.trim().to_owned(), Value::from(event.trim())))
        };
        return pairs
            .map(pair)
            .collect::<anyhow::Result<Map<_, _>>>()
            .map(Value::Object);
    }
    if name == "remember_clicks" {
        return Ok(value.parse().map_or_else(|_| Value::from(value), Value::Bool));
    }
    if name == "lead_value_minimum_orders" {
        let orders: u32 = value
            .parse()
            .context("--lead-value-minimum-orders is a whole number")?;
        return Ok(Value::from(orders));
    }
    if LISTS.contains(&name) {
        return Ok(value
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect());
    }
    Ok(match value {
        "" => Value::Null,
        value => Value::from(value),
    })
}

/// Runs one command, and returns what it answers. `user`: who is logged unless `--as` says it.
///
/// # Errors
/// When the command is not one, was refused, or could not be done: with every field that is wrong.
pub async fn run(config: &Config, store: Store, arguments: &[&str], user: &str) -> anyhow::Result<String> {
    let typed = Typed::read(arguments)?;
    let office = Administration {
        store,
        graph_api: GraphApi::new(&config.graph_api)?,
        clock: Clock::system(),
    };
    ensure!(
        !typed.dry_run || typed.words.first() == Some(&"set-aside"),
        "--dry-run goes with set-aside"
    );
    let who = typed.who.unwrap_or(user);
    ensure!(
        !who.trim().is_empty() || only_looks(&typed.words),
        "say who you are with --as NAME: every change is logged"
    );
    match typed.words.as_slice() {
        ["dataset", "list"] => {
            let list = refused(office.datasets().await)?;
            typed.show(&list, || dataset_table(&list))
        }
        ["dataset", "show", id] => {
            let dataset = refused(office.dataset(id_of(id)?).await)?;
            typed.show(&dataset, || lines(&dataset))
        }
        ["dataset", "create", id] => {
            let token = typed.secret()?;
            let body = typed.body(&[("dataset_id", *id), ("access_token", token.as_str())]);
            let created = refused(office.create_dataset(body.as_bytes(), who).await)?;
            typed.show(&created, || receipt(&created))
        }
        ["dataset", "set", id] => {
            ensure!(
                !typed.fields.is_empty(),
                "nothing to set; settings are options, such as --name NAME"
            );
            let changed = refused(
                office
                    .change_dataset(id_of(id)?, typed.body(&[]).as_bytes(), who)
                    .await,
            )?;
            typed.show(&changed, || lines(&changed))
        }
        ["dataset", "token", id] => {
            let token = typed.secret()?;
            let body = typed.body(&[("access_token", token.as_str())]);
            let entered = refused(office.enter_token(id_of(id)?, body.as_bytes(), who).await)?;
            typed.show(&entered, || receipt(&entered))
        }
        ["dataset", "retire", id] => {
            let retired = refused(office.retire_dataset(id_of(id)?, who).await)?;
            typed.show(&retired, || {
                format!("dataset {id} is retired: its keys open nothing within seconds")
            })
        }
        ["dataset", "restore", id] => {
            let restored = refused(office.restore_dataset(id_of(id)?, who).await)?;
            typed.show(&restored, || format!("dataset {id} is active again"))
        }
        ["key", "list"] => {
            let list = refused(office.keys(&typed.query()).await)?;
            typed.show(&list, || key_table(&list))
        }
        ["key", "create"] => {
            let made: KeyReceipt = refused(office.create_key(typed.body(&[]).as_bytes(), who).await)?;
            typed.show(&made, || made.api_key.clone())
        }
        ["key", "revoke", number] => {
            let number: i64 = number
                .parse()
                .context("a key is revoked by its number (`key list`)")?;
            let revoked = refused(office.revoke_key(number, who).await)?;
            typed.show(&revoked, || {
                format!("key {number} ({}) opens nothing within seconds", revoked.label)
            })
        }
        ["log"] => {
            let page = refused(office.log(&typed.query()).await)?;
            typed.show(&page, || log_table(&page))
        }
        ["set-aside", id] => {
            let body = typed.body(&[]);
            let done = set_aside(&office, id_of(id)?, body.as_bytes(), who, typed.dry_run).await;
            let done = refused(done)?;
            typed.show(&done, || done.to_string())
        }
        [_, "help"] => Ok(USAGE.to_owned()),
        _ => bail!(USAGE),
    }
}

fn dataset_table(list: &DatasetList) -> String {
    let row = |dataset: &DatasetView| {
        let state = if dataset.retired_at.is_some() {
            "retired"
        } else {
            "active"
        };
        [
            dataset.dataset_id.to_string(),
            dataset.name.clone(),
            state.to_owned(),
            dataset.allowed_origins.join(" "),
        ]
    };
    table(
        ["DATASET", "NAME", "STATE", "ORIGINS"],
        list.datasets.iter().map(row),
    )
}

fn key_table(list: &KeyList) -> String {
    let row = |key: &KeyView| {
        let state = if key.revoked_at.is_some() {
            "revoked"
        } else {
            "active"
        };
        [
            key.key_id.to_string(),
            key.kind.to_owned(),
            key.dataset_id
                .map_or("all".to_owned(), |dataset| dataset.to_string()),
            key.shown.clone().unwrap_or_default(),
            state.to_owned(),
            key.label.clone(),
        ]
    };
    table(
        ["KEY", "KIND", "DATASET", "SHOWN AS", "STATE", "LABEL"],
        list.keys.iter().map(row),
    )
}

fn log_table(page: &LogPage) -> String {
    let row = |entry: &LogEntry| {
        [
            entry.entry_id.to_string(),
            entry.at.format("%Y-%m-%d %H:%M:%SZ").to_string(),
            entry.who.clone(),
            entry.action.clone(),
            entry
                .dataset_id
                .map_or("all".to_owned(), |dataset| dataset.to_string()),
            entry.detail.to_string(),
        ]
    };
    table(
        ["ENTRY", "AT", "WHO", "ACTION", "DATASET", "DETAIL"],
        page.entries.iter().map(row),
    )
}

/// Whether a command changes nothing.
fn only_looks(words: &[&str]) -> bool {
    matches!(words, ["log"] | [_, "list" | "show" | "help", ..])
}

impl Typed<'_> {
    /// The secret in the file that is named, else on standard input.
    fn secret(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        match self.token_file {
            None | Some("-") => std::io::stdin()
                .lock()
                .take(LONGEST_SECRET)
                .read_to_string(&mut text),
            Some(path) => std::fs::File::open(path)
                .with_context(|| format!("cannot open {path}"))?
                .take(LONGEST_SECRET)
                .read_to_string(&mut text),
        }
        .context("the access token cannot be read")?;
        Ok(text.trim().to_owned())
    }

    fn show(&self, answer: &impl Serialize, as_text: impl FnOnce() -> String) -> anyhow::Result<String> {
        match self.json {
            true => Ok(serde_json::to_string_pretty(answer)?),
            false => Ok(as_text()),
        }
    }
}

fn id_of(text: &str) -> anyhow::Result<DatasetId> {
    text.parse().with_context(|| format!("{text:?} is no dataset"))
}

fn refused<T>(result: Result<T, Problem>) -> anyhow::Result<T> {
    result.map_err(|problem| {
        anyhow::anyhow!(
            problem.as_text(|pointer| format!("--{}", pointer.trim_start_matches('/').replace('_', "-")))
        )
    })
}

/// Every field that says something, a line each.
fn lines(answer: &impl Serialize) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(answer) else {
        return String::new();
    };
    let said = fields
        .into_iter()
        .filter(|(_, value)| !value.is_null() && *value != Value::Array(Vec::new()));
    let row = |(name, value): (String, Value)| {
        let text = match value {
            Value::String(text) => text,
            Value::Array(items) => items
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(" "),
            other => other.to_string(),
        };
        [name, text]
    };
    columns(said.map(row).collect())
}

fn receipt(receipt: &DatasetReceipt) -> String {
    let token = &receipt.token;
    let said = match (&token.meta_name, &token.message) {
        (Some(name), _) => format!("Meta calls the dataset {name:?}: the access token opens it"),
        (None, Some(message)) if token.result == "not_readable" => {
            format!(
                "the access token is stored; Meta does not show the dataset for it (a token for sending only?): {message}"
            )
        }
        (None, message) => {
            let message = message.as_deref().unwrap_or("no answer");
            format!("the access token is stored, not checked: Meta was not reached: {message}")
        }
    };
    format!("{}\n{said}", lines(&receipt.dataset))
}

fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let head = std::iter::once(head.map(str::to_owned));
    columns(head.chain(rows).collect())
}

/// Rows under one another, each column as wide as its widest cell.
fn columns<const N: usize>(rows: Vec<[String; N]>) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_are_the_fields_of_the_api() {
        let typed = Typed::read(&[
            "dataset",
            "set",
            "1",
            "--name=Clínica Boa",
            "--allowed-origins",
            "https://a.example, https://b.example",
            "--cookie-domain",
            "",
            "--lead-events=scheduled=Schedule,customer=Subscribe",
            "--remember-clicks=false",
            "--lead-value-minimum-orders=50",
            "--json",
            "--as",
            "ana",
        ])
        .unwrap();
        assert_eq!(
            (typed.words.as_slice(), typed.json, typed.who),
            (["dataset", "set", "1"].as_slice(), true, Some("ana"))
        );
        let expected = json!({
            "name": "Clínica Boa",
            "allowed_origins": ["https://a.example", "https://b.example"],
            "cookie_domain": null,
            "lead_events": {"scheduled": "Schedule", "customer": "Subscribe"},
            "remember_clicks": false,
            "lead_value_minimum_orders": 50,
        });
        assert_eq!(Value::Object(typed.fields), expected);
        assert!(Typed::read(&["dataset", "--name"]).is_err());
        assert!(Typed::read(&["dataset", "--name", "a", "--name", "b"]).is_err());
        let refused = Typed::read(&["dataset", "token", "1", "--access-token", "EAAsecret"])
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("--token-file") && !refused.contains("EAAsecret"),
            "{refused}"
        );
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["1".to_owned(), "São Paulo".to_owned(), String::new()],
            ["22".to_owned(), "x".to_owned(), "y".to_owned()],
        ];
        assert_eq!(
            table(["ID", "NAME", "Z"], rows.into_iter()),
            "ID  NAME       Z\n1   São Paulo\n22  x          y"
        );
    }
}
