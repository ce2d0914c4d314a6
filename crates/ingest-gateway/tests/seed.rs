//! What the configuration seeds, beside the keys that every test uses.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use ingest_gateway::config::{DatasetSeed, Seed};
use rastro_core::circuit_breaker::{Breaker, BreakerSettings, Reason, State};
use rastro_core::dataset::{Currency, DatasetId};
use rastro_core::payment::ConversionValue;
use rastro_store::{DatabaseConfig, PaymentAccount, Store, StoreError, TokenCheck, Unsigned};
use rastro_test_support::process::Process;
use rastro_test_support::{ACCESS_TOKEN, DATASET_ID, Key, TestDatabase, World, eventually};
use secrecy::ExposeSecret;

const ADMIN_KEY: &str = "ak_0123456789abcdef0123456789abcdef";
const ANOTHER_DATASET: &str = "987654321098765";
/// `openssl rand -base64 32`, once; not the one of the tests' databases.
const ANOTHER_SEALING_KEY: &str = "7eLZqtXk5hX8q0n3H0m0GqE9wqkR5mXk3Jw0gq8b1Zk=";

fn dataset() -> DatasetId {
    DATASET_ID.parse().unwrap()
}

async fn sees_failed(world: &World) -> bool {
    let url = world.conversions_url().replace("conversions", "failed");
    World::answer(world.client.get(url).bearer_auth(ADMIN_KEY))
        .await
        .status
        == 200
}

async fn stop(world: &World, reason: Reason) {
    let settings = BreakerSettings::default();
    let stopped = |breaker: &Breaker, now_ms| breaker.stop(reason, None, now_ms, &settings, 0.0);
    assert!(
        world
            .store
            .update_breaker(dataset(), None, stopped)
            .await
            .unwrap()
    );
}

fn seed_of(dataset: &str, token: &str) -> DatasetSeed {
    DatasetSeed {
        allowed_origins: Vec::new(),
        cookie_domain: None,
        test_event_code: None,
        dataset_id: dataset.parse().unwrap(),
        name: "test".into(),
        access_token: token.to_owned().into(),
        secret_key: None,
        publishable_key: None,
        publishable_event_names: None,
        defaults: Default::default(),
    }
}

fn only(dataset: DatasetSeed) -> Seed {
    Seed {
        dataset: Some(dataset),
        admin_key: None,
    }
}

async fn reseed(world: &World, token: &str) -> State {
    let seed = only(seed_of(DATASET_ID, token));
    ingest_gateway::reseed(&world.store, &seed).await.unwrap();
    world.store.breaker(dataset()).await.unwrap().0.state
}

#[tokio::test]
async fn a_start_with_an_older_configuration_puts_nothing_back() {
    let world = World::start().await;
    let row = "SELECT md5(d::text) FROM datasets d";
    let before = world.database.value(row).await;
    let mut older = seed_of(DATASET_ID, "EAAolder");
    older.name = "the name of before".into();
    ingest_gateway::seed(&world.store, &only(older)).await.unwrap();
    assert_eq!(world.database.value(row).await, before);
    let token = world.store.access_token(dataset()).await.unwrap().unwrap();
    assert_eq!(token.expose_secret(), ACCESS_TOKEN);
}

#[tokio::test]
async fn what_is_not_there_yet_is_created() {
    let world = World::start().await;
    let mut new = seed_of(ANOTHER_DATASET, "EAAnew");
    new.secret_key = Some("sk_of_another_dataset".to_owned().into());
    new.publishable_key = Some("pk_of_another_dataset".to_owned().into());
    new.publishable_event_names = Some(vec!["PageView".to_owned()]);
    let new = only(new);
    for _ in 0..2 {
        ingest_gateway::seed(&world.store, &new).await.unwrap();
    }
    let keys = format!(
        "SELECT string_agg(kind || coalesce(event_names::text, ''), ' ' ORDER BY kind) FROM api_keys
         WHERE dataset_id = {ANOTHER_DATASET}"
    );
    assert_eq!(world.database.value(&keys).await, "publishable{PageView} secret");
    let token = world.store.access_token(ANOTHER_DATASET.parse().unwrap()).await;
    assert_eq!(token.unwrap().unwrap().expose_secret(), "EAAnew");
}

#[tokio::test]
async fn a_key_that_is_known_for_something_else_stops_the_start_and_nothing_is_created() {
    let world = World::start().await;
    let secret = || Some(Key::Secret.as_str().to_owned().into());
    let moved = DatasetSeed {
        secret_key: secret(),
        ..seed_of(ANOTHER_DATASET, "EAAnew")
    };
    let exposed = DatasetSeed {
        publishable_key: secret(),
        ..seed_of(DATASET_ID, ACCESS_TOKEN)
    };
    let promoted = Seed {
        dataset: None,
        admin_key: secret(),
    };
    for seed in [only(moved), only(exposed), promoted] {
        let error = ingest_gateway::seed(&world.store, &seed).await.unwrap_err();
        assert!(matches!(error, StoreError::KeyTaken { .. }), "{error:?}");
        let error = error.to_string();
        assert!(
            error.contains(&format!("a secret key of dataset {DATASET_ID}")),
            "{error}"
        );
    }
    let counts = "SELECT (SELECT count(*) FROM datasets) || ' ' || (SELECT count(*) FROM api_keys)";
    assert_eq!(world.database.value(counts).await, "1 2");
}

#[tokio::test]
async fn a_gateway_whose_key_is_another_datasets_ends_and_says_why() {
    let world = World::start().await;
    let gateway = Process::gateway(&world.database, &[("RASTRO__SEED__DATASET_ID", ANOTHER_DATASET)]);
    let reason = gateway.logged("is already known for something else").await;
    assert!(
        reason.starts_with("Error: ") && reason.contains("seed.secret_key"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_revoked_key_stays_revoked() {
    let world = World::start().await;
    world
        .database
        .execute("UPDATE api_keys SET revoked_at = now() WHERE kind = 'secret'")
        .await;
    let again = DatasetSeed {
        secret_key: Some(Key::Secret.as_str().to_owned().into()),
        ..seed_of(DATASET_ID, ACCESS_TOKEN)
    };
    ingest_gateway::seed(&world.store, &only(again)).await.unwrap();
    let valid = "SELECT count(*)::text FROM api_keys WHERE kind = 'secret' AND revoked_at IS NULL";
    assert_eq!(world.database.value(valid).await, "0");
}

#[tokio::test]
async fn a_service_with_another_sealing_key_does_not_start() {
    let world = World::start().await;
    let wrong = [("RASTRO__DATABASE__SEALING_KEY", ANOTHER_SEALING_KEY)];
    let sandbox = world.sandbox.url();
    let services = [
        Process::gateway(&world.database, &wrong),
        Process::forwarder(&world.database, &sandbox, &wrong),
        Process::retry_worker(&world.database, &wrong),
    ];
    for service in &services {
        let reason = service.logged("open none of the access tokens").await;
        assert!(reason.starts_with("Error: "), "{reason}");
    }
    // One forwarder with the wrong key must not stop the whole fleet.
    let breakers = "SELECT count(*)::text FROM circuit_breakers WHERE state <> 'closed'";
    assert_eq!(world.database.value(breakers).await, "0");
}

#[tokio::test]
async fn a_sealing_key_can_be_changed_without_entering_the_tokens_again() {
    let database = TestDatabase::create().await;
    let old_key = database.config().sealing_key;
    let with = |sealing_keys: &[&str]| DatabaseConfig {
        sealing_keys: sealing_keys.iter().map(|key| (*key).into()).collect(),
        sealing_key: "".into(),
        ..database.config()
    };
    let seed = only(seed_of(DATASET_ID, ACCESS_TOKEN));
    ingest_gateway::seed(&Store::new(&database.config(), "test").unwrap(), &seed)
        .await
        .unwrap();

    let both = with(&[ANOTHER_SEALING_KEY, old_key.expose_secret()]);
    let changing = Store::new(&both, "test").unwrap();
    changing.check_sealing_keys().await.unwrap();
    let token = changing.access_token(dataset()).await.unwrap().unwrap();
    assert_eq!(token.expose_secret(), ACCESS_TOKEN);

    let new = Store::new(&with(&[ANOTHER_SEALING_KEY]), "test").unwrap();
    assert!(matches!(
        new.check_sealing_keys().await,
        Err(StoreError::SealingKey)
    ));
    assert_eq!(changing.reseal().await.unwrap().access_tokens, 1);
    new.check_sealing_keys().await.unwrap();
    let token = new.access_token(dataset()).await.unwrap().unwrap();
    assert_eq!(token.expose_secret(), ACCESS_TOKEN);
}

/// The database's store with these sealing keys, the first of which seals.
fn with_keys(database: &TestDatabase, keys: &[&str]) -> Store {
    let config = DatabaseConfig {
        sealing_keys: keys.iter().map(|key| (*key).into()).collect(),
        sealing_key: "".into(),
        pepper: "the same pepper whatever the keys".into(),
        ..database.config()
    };
    Store::new(&config, "test").unwrap()
}

#[tokio::test]
async fn no_lead_is_lost_with_the_old_sealing_key() {
    let world = World::start().await;
    let capture = |body: serde_json::Value| {
        let url = world
            .conversions_url()
            .replace("meta/conversions", "leads/capture");
        World::answer(
            world
                .client
                .post(url)
                .bearer_auth(Key::Secret.as_str())
                .json(&body),
        )
    };
    for name in ["Ana", "Bia", "Caio"] {
        let answer = capture(serde_json::json!({ "lead": { "name": name, "email": "a@example.com" } })).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    // One was erased, and has no contact.
    let erased = "UPDATE leads SET contact = '' WHERE lead_id = (SELECT max(lead_id) FROM leads)";
    world.database.execute(erased).await;
    let leads: Vec<i64> = world
        .database
        .query("SELECT lead_id FROM leads ORDER BY lead_id")
        .await
        .into_iter()
        .map(|row| row[0].as_ref().unwrap().parse().unwrap())
        .collect();
    let updated = "SELECT string_agg(updated_at::text, ' ' ORDER BY lead_id) FROM leads";
    let before = world.database.value(updated).await;

    let old_key = world.database.config().sealing_key;
    let changing = with_keys(&world.database, &[ANOTHER_SEALING_KEY, old_key.expose_secret()]);
    // What the old key sealed is not taken for done by a store that lacks it.
    let new = with_keys(&world.database, &[ANOTHER_SEALING_KEY]);
    let left = new.reseal().await;
    assert!(
        matches!(
            left,
            Err(StoreError::Unopened {
                tokens: 1,
                accounts: 0,
                leads: 2
            })
        ),
        "{left:?}"
    );
    let resealed = changing.reseal().await.unwrap();
    assert_eq!((resealed.access_tokens, resealed.leads), (1, 2));
    assert_eq!(changing.reseal().await.unwrap().leads, 0, "all of it is done");

    new.check_sealing_keys().await.unwrap();
    let contact = new.lead_contact(dataset(), leads[1]).await.unwrap().unwrap();
    assert!(contact.expose_secret().contains("Bia"));
    assert!(new.lead_contact(dataset(), leads[2]).await.unwrap().is_none());
    // Nothing happened to the leads: when they are forgotten is as before.
    assert_eq!(world.database.value(updated).await, before);
}

#[tokio::test]
async fn an_account_whose_secrets_are_sealed_anew_is_in_nothing_else_another() {
    let database = TestDatabase::create().await;
    let old_key = database.config().sealing_key;
    let old = with_keys(&database, &[old_key.expose_secret()]);
    ingest_gateway::seed(&old, &only(seed_of(DATASET_ID, ACCESS_TOKEN)))
        .await
        .unwrap();
    let account = PaymentAccount {
        dataset_id: dataset(),
        account_id: 44_444,
        label: "clinic".into(),
        access_token: "APP_USR-before".into(),
        webhook_secrets: vec!["first".into(), "second".into()],
        unsigned: Unsigned::Hint,
        signature_max_age_seconds: Some(600),
        live_mode: true,
        currency: Currency::parse("BRL").unwrap(),
        conversion_value: ConversionValue::Net,
        was_blocked: false,
    };
    old.put_payment_account(&account).await.unwrap();
    old.block_payment_account(44_444, Some("revoked"), 3_600)
        .await
        .unwrap();
    let all_else = "SELECT (to_jsonb(a) - 'access_token_sealed' - 'webhook_secrets_sealed')::text FROM payment_accounts a";
    let before = database.value(all_else).await;
    let changing = with_keys(&database, &[ANOTHER_SEALING_KEY, old_key.expose_secret()]);
    let new = with_keys(&database, &[ANOTHER_SEALING_KEY]);
    assert!(matches!(
        new.payment_account(44_444).await,
        Err(StoreError::Sealed { .. })
    ));
    assert_eq!(changing.reseal().await.unwrap().payment_accounts, 1);
    let read = new.payment_account(44_444).await.unwrap().unwrap();
    assert_eq!(read.access_token.expose_secret(), "APP_USR-before");
    let secrets: Vec<&str> = read
        .webhook_secrets
        .iter()
        .map(ExposeSecret::expose_secret)
        .collect();
    assert_eq!(secrets, ["first", "second"]);
    // It is still blocked, and its time to try again is the same.
    assert!(read.was_blocked);
    assert_eq!(database.value(all_else).await, before);
}

#[tokio::test]
async fn a_service_that_opens_the_tokens_and_none_of_the_leads_does_not_start() {
    let world = World::start().await;
    let url = world
        .conversions_url()
        .replace("meta/conversions", "leads/capture");
    let body = serde_json::json!({ "lead": { "name": "Ana", "email": "a@example.com" } });
    let capture = world
        .client
        .post(url)
        .bearer_auth(Key::Secret.as_str())
        .json(&body);
    assert_eq!(World::answer(capture).await.status, 202);
    let new = with_keys(&world.database, &[ANOTHER_SEALING_KEY]);
    let said = TokenCheck { meta_name: None };
    let token = "EAAnew".to_owned().into();
    new.enter_token(dataset(), &token, &said, "ana").await.unwrap();
    assert!(matches!(
        new.check_sealing_keys().await,
        Err(StoreError::SealingKeyOfLeads)
    ));
}

#[tokio::test]
async fn a_blocked_dataset_is_probed_at_once_when_its_token_is_a_new_one() {
    let world = World::start().await;
    stop(&world, Reason::Blocked).await;
    assert_eq!(
        reseed(&world, ACCESS_TOKEN).await,
        State::Open,
        "the same token opens nothing"
    );
    assert_eq!(reseed(&world, "EAAnew").await, State::HalfOpen);
    let world = World::start().await;
    stop(&world, Reason::Throttled).await;
    assert_eq!(
        reseed(&world, "EAAnew").await,
        State::Open,
        "Meta itself asked for the wait"
    );
    let token = world.store.access_token(dataset()).await.unwrap().unwrap();
    assert_eq!(token.expose_secret(), "EAAnew");
}

#[tokio::test]
async fn what_a_configuration_is_written_over_is_logged_and_meta_said_nothing_of_its_token() {
    let world = World::start().await;
    let said = TokenCheck {
        meta_name: Some("Clínica".to_owned()),
    };
    let old = ACCESS_TOKEN.to_owned().into();
    world
        .store
        .enter_token(dataset(), &old, &said, "ana")
        .await
        .unwrap();
    let log = "SELECT coalesce(string_agg(who || ' ' || action || ' ' || detail, ', ' ORDER BY entry_id), '')
        FROM admin_log WHERE who <> 'ana'";
    let meta = "SELECT concat_ws(' ', meta_name, (token_checked_at IS NOT NULL)::text) FROM datasets";

    // The same token: what Meta said of it still holds, and nothing is changed.
    reseed(&world, ACCESS_TOKEN).await;
    assert_eq!(world.database.value(meta).await, "Clínica true");
    assert_eq!(world.database.value(log).await, "");

    let mut other = seed_of(DATASET_ID, "EAAnew");
    other.name = "Clínica Boa".to_owned();
    ingest_gateway::reseed(&world.store, &only(other)).await.unwrap();
    assert_eq!(world.database.value(meta).await, "false");
    assert_eq!(
        world.database.value(log).await,
        "reseed dataset.token {\"meta_name\": null}, \
         reseed dataset.change {\"name\": {\"to\": \"Clínica Boa\", \"from\": \"test\"}}"
    );
    let token = world.store.access_token(dataset()).await.unwrap().unwrap();
    assert_eq!(token.expose_secret(), "EAAnew");
}

#[tokio::test]
async fn an_admin_key_can_be_seeded_without_a_dataset() {
    let world = World::start().await;
    let seed = Seed {
        dataset: None,
        admin_key: Some(ADMIN_KEY.to_owned().into()),
    };
    for _ in 0..2 {
        ingest_gateway::seed(&world.store, &seed).await.unwrap();
    }
    eventually("the seeded key works", || async {
        sees_failed(&world).await.then_some(())
    })
    .await;
    assert_eq!(
        world.database.value("SELECT count(*)::text FROM datasets").await,
        "1"
    );
}
