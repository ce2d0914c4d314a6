//! Runs tests of the browser's side against everything that is real: a gateway as a program, PostgreSQL, a
//! forwarder, and the sandbox in Meta's place.

use std::process::Command;

use rastro_store::DatasetSettings;
use rastro_test_support::process::{Process, free_address};
use rastro_test_support::{Key, World};

use crate::clients_support::interpreter;

const WEB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/web");

/// What a publishable key may send by itself, and what the tests make up, so that no two are confused.
const NAMES: &str = "AddToCart,Contact,InitiateCheckout,Lead,PageView,Schedule,Search,ViewContent,After,Agendou,Blocked,Blocked too,\
    Circle,Clock,Crash,Donate,First,Granted,Half,Held,Id,Late,Leave,Meanwhile,Old,One,Patience,Portal,Purchase,Refused,Second,\
    Storage,Subscribe,Third,Two,View";

fn event_names() -> String {
    let states = ["granted", "denied", "pending"];
    let changes = states
        .iter()
        .flat_map(|from| states.map(|to| format!("{from} {to}")));
    let many = (0..200).map(|number| format!("Big{number}"));
    let tabs = (1..=5).map(|number| format!("Tab{number}"));
    let names = NAMES.split(',').map(str::to_owned);
    let names: Vec<String> = names.chain(changes).chain(many).chain(tabs).collect();
    format!("'{}'", names.join("','"))
}

/// Runs one file of tests, and then looks that nothing that a page was told is stored got lost on the way to
/// Meta.
pub(crate) async fn run(file: &str, more: &[(&str, &str)]) {
    let page = free_address(0).unwrap();
    let settings = DatasetSettings {
        name: "test".into(),
        allowed_origins: vec![format!("http://*.example.com.br:{}", page.port())],
        cookie_domain: Some("example.com.br".into()),
        ..DatasetSettings::default()
    };
    let world = World::with(settings, |_| {}).await;
    let names = event_names();
    let widen = format!("UPDATE api_keys SET event_names = ARRAY[{names}] WHERE kind = 'publishable'");
    world.database.execute(&widen).await;
    let gateway = Process::gateway(&world.database, &[]);
    let forwarder = Process::forwarder(&world.database, &world.sandbox.url(), &[]);
    let url = gateway.conversions_url().await;
    let (url, _) = url.split_once("/api/").unwrap();

    let mut tests = Command::new(interpreter("RASTRO_TEST_NODE"));
    tests
        .current_dir(WEB)
        .args(["--test", "--test-concurrency=1", file])
        .env("RASTRO_GATEWAY_URL", url)
        .env("RASTRO_KEY", Key::Publishable.as_str())
        .env("RASTRO_SECRET_KEY", Key::Secret.as_str())
        .env("RASTRO_PAGE_PORT", page.port().to_string())
        .env("no_proxy", "127.0.0.1,.example.com.br")
        .envs(more.iter().copied());
    let output = tokio::task::spawn_blocking(move || tests.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", gateway.log().join("\n"));

    let census = world.settle().await;
    assert_eq!(
        census.accepted,
        census.delivered + census.withheld,
        "{census:?}\n{said}"
    );
    drop((gateway, forwarder));
}
