//! The whole demo through real processes: the account balances, and nobody's personal data is left anywhere.

#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_core::dataset::{Currency, DatasetDefaults};
use rastro_core::match_keys::CountryCode;
use rastro_lab::demo::Run;
use rastro_lab::demo::landing::forms;
use rastro_lab::demo::people::personal_values;
use rastro_lab::demo::stream::{Origin, stream};
use rastro_lab::demo::visitors::Keys;
use rastro_store::DatasetSettings;
use rastro_test_support::process::Process;
use rastro_test_support::{DATASET_ID, Key, World};

const SEED: u64 = 2026;
/// Everything that our own code can say.
const VERBOSE: &str = "info,ingest_gateway=trace,capi_forwarder=trace,rastro_core=trace,rastro_store=trace,rastro_graph_api=trace";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_personal_value_of_the_demo_is_in_the_database_or_in_any_log_line() {
    let settings = DatasetSettings {
        name: "test".into(),
        defaults: DatasetDefaults {
            country: CountryCode::parse("br"),
            currency: Currency::parse("BRL"),
        },
        ..Default::default()
    };
    let world = World::with(settings, |_| {}).await;
    let verbose = ("RASTRO__TELEMETRY__LOG_FILTER", VERBOSE);
    let gateway = Process::gateway(&world.database, &[verbose]);
    let forwarder = Process::forwarder(&world.database, &world.sandbox.url(), &[verbose]);
    let run = Run {
        gateway: gateway.address_after("\"listening on ").await.parse().unwrap(),
        sandbox: world
            .sandbox
            .url()
            .strip_prefix("http://")
            .unwrap()
            .parse()
            .unwrap(),
        store: world.store.clone(),
        dataset_id: DATASET_ID.to_owned(),
        keys: Keys {
            publishable: Key::Publishable.as_str().to_owned(),
            secret: Key::Secret.as_str().to_owned(),
        },
        page: None,
    };
    let origin = Origin {
        seed: SEED,
        run: "privacy",
        now: world.now(),
    };
    let account = run.account_for(&stream(&origin), &forms(&origin)).await.unwrap();
    assert!(account.leads.kept > 0);
    assert_eq!(account.problems(), Vec::<String>::new());

    let mut places = Vec::new();
    let tables = world
        .database
        .query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        .await;
    for table in tables.into_iter().flatten().flatten() {
        let rows = world
            .database
            .query(&format!("SELECT t::text FROM {table} AS t"))
            .await;
        places.extend(
            rows.into_iter()
                .flatten()
                .flatten()
                .map(|row| (table.clone(), row)),
        );
    }
    // The row of each event and of each refused duplicate, which stands in its table and in its partition.
    let least = 2 * account.expected.accepted + 2 * account.expected.duplicate;
    assert!(
        places.len() as u64 > least,
        "the demo left only {} rows of {least}",
        places.len()
    );
    let delivered = "SELECT count(*) FROM meta_events_log WHERE outcome = 'success'";
    assert_eq!(
        world.database.value(delivered).await,
        account.expected.accepted.to_string()
    );
    for (name, process) in [("gateway log", gateway), ("forwarder log", forwarder)] {
        let log = process.terminate().await.1;
        assert!(!log.is_empty());
        places.extend(log.into_iter().map(|line| (name.to_owned(), line)));
    }
    let values = personal_values(SEED);
    assert!(
        values.len() > 400,
        "the demo has only {} personal values",
        values.len()
    );
    // As it is, and as a column of bytes shows it.
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    // Shorter ones stand in a random key by chance.
    let as_bytes = values.iter().filter(|value| value.len() >= 8);
    let as_bytes = as_bytes.flat_map(|value| [(value, hex(value)), (value, hex(&value.to_lowercase()))]);
    let forms = values
        .iter()
        .map(|value| (value, value.to_lowercase()))
        .chain(as_bytes);
    let forms: Vec<(&String, String)> = forms.collect();
    for (place, text) in places {
        let text = text.to_lowercase();
        for (value, form) in &forms {
            assert!(!text.contains(form), "{value:?} stands in {place}: {text}");
        }
    }
}
