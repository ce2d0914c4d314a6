//! What is left of a run: the report on the terminal and the JSON file.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use rastro_demo::account::Account;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use crate::options::Options;

#[expect(clippy::print_stdout, reason = "the report is this program's output")]
pub(crate) fn print(text: &str) {
    print!("{text}");
}

/// The account, whether it adds up, and where to look next.
pub(crate) fn report(options: &Options, account: &Account) -> String {
    let problems = account.problems();
    let mut text = format!("\nWhat became of the events\n{}\n", account.to_text());
    if problems.is_empty() {
        text.push_str("Every accepted event reached Meta, each of them once.\n");
    } else {
        text.push_str("This is not as it has to be:\n");
        for problem in &problems {
            writeln!(text, "  - {problem}").expect("writing to memory cannot fail");
        }
    }
    text.push_str("\nLook further\n");
    let mut line =
        |what: &str, at: &str| writeln!(text, "  {what:<22}{at}").expect("writing to memory cannot fail");
    line("what reached \"Meta\"", &format!("{} (a page)", options.sandbox));
    for (service, health) in [
        ("gateway", &options.gateway_health),
        ("forwarder", &options.forwarder_health),
    ] {
        if let Some(health) = health {
            line(service, &format!("{health}/readyz, {health}/metrics"));
        }
    }
    line("account as JSON", &options.out.display().to_string());
    line("database", &format!("psql \"{}\"", options.psql));
    line(
        "",
        "SELECT event_name, outcome, count(*) FROM meta_events_log GROUP BY 1, 2 ORDER BY 1, 2;",
    );
    line(
        "",
        "SELECT event_number, event_name, event_id, received_at FROM events ORDER BY event_number DESC LIMIT 3;",
    );
    text
}

/// Writes the account as JSON, with what a program needs to go on from here. The file holds keys: only its owner may
/// read it, and nobody ever sees half of it.
pub(crate) fn write(options: &Options, account: &Account) -> anyhow::Result<()> {
    let mut json = account.to_json();
    let urls: Map<String, Value> = places(options)
        .into_iter()
        .map(|(name, url)| (name.to_owned(), url.into()))
        .collect();
    json["urls"] = Value::Object(urls);
    json["demo_key"] = json!(options.publishable_key.expose_secret());
    json["demo_secret_key"] = json!(options.secret_key.expose_secret());
    json["dataset_id"] = json!(options.dataset_id);
    replace(&options.out, &format!("{json:#}\n"))
        .with_context(|| format!("{} could not be written", options.out.display()))
}

/// Addresses by name.
fn places(options: &Options) -> Vec<(&'static str, String)> {
    let at = |base: &str, path: &str| format!("{}{path}", base.trim_end_matches('/'));
    let mut places = vec![
        ("sandbox", at(&options.sandbox, "")),
        ("gateway", at(&options.gateway, "")),
        ("conversions", at(&options.gateway, "/api/meta/conversions")),
    ];
    if let Some(health) = &options.gateway_health {
        places.push(("gateway_health", at(health, "/readyz")));
        places.push(("gateway_metrics", at(health, "/metrics")));
    }
    if let Some(health) = &options.forwarder_health {
        places.push(("forwarder_health", at(health, "/readyz")));
        places.push(("forwarder_metrics", at(health, "/metrics")));
    }
    places
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path
        .file_name()
        .ok_or(std::io::ErrorKind::InvalidInput)?
        .to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let write = || {
        // A leftover of a process that had this id would keep its own mode.
        if new.exists() {
            fs::remove_file(&new)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    let written = write();
    if written.is_err() {
        // The reason is on its way to the user; that a fragment stays behind would add nothing.
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::options::tests::options;

    #[test]
    fn the_file_is_for_its_owner_alone_and_replaces_what_was_there() {
        let folder = std::env::temp_dir().join(format!("rastro-demo-{:016x}", rand::random::<u64>()));
        fs::create_dir(&folder).unwrap();
        let out = folder.join("account.json");
        fs::write(&out, "old, and for all to read").unwrap();
        let options = Options {
            out: out.clone(),
            ..options()
        };
        write(&options, &Account::default()).unwrap();

        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
        let json: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
        assert_eq!(json["demo_key"], "value of RASTRO_DEMO_PUBLISHABLE_KEY");
        assert_eq!(json["demo_secret_key"], "value of RASTRO_DEMO_SECRET_KEY");
        assert_eq!(json["dataset_id"], "42");
        assert_eq!(json["urls"]["gateway"], "http://g");
        assert_eq!(json["urls"]["gateway_metrics"], "http://gh/metrics");
        assert_eq!(json["sent"], 0);
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            1,
            "a temporary file was left behind"
        );
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_report_says_what_does_not_add_up() {
        let mut account = Account::default();
        assert!(report(&options(), &account).contains("Every accepted event reached Meta"));
        account.answers.accepted = 1;
        let report = report(&options(), &account);
        assert!(report.contains("This is not as it has to be:\n"), "{report}");
        assert!(report.contains("  - Lost events: 1.\n"), "{report}");
        assert!(!report.contains("Every accepted event"), "{report}");
    }

    #[test]
    fn the_report_shows_no_key() {
        let report = report(&options(), &Account::default());
        assert!(!report.contains("_KEY"), "{report}");
    }
}
