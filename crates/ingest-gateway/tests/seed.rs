//! What the configuration seeds, beside the keys that every test uses.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use ingest_gateway::config::{DatasetSeed, Seed};
use rastro_core::circuit_breaker::{Breaker, BreakerSettings, Reason, State};
use rastro_core::dataset::DatasetId;
use rastro_test_support::{ACCESS_TOKEN, DATASET_ID, World, eventually};

const ADMIN_KEY: &str = "ak_0123456789abcdef0123456789abcdef";

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

async fn seed(world: &World, token: &str) -> State {
    let dataset_seed = DatasetSeed {
        test_event_code: None,
        dataset_id: dataset(),
        name: "test".into(),
        access_token: token.to_owned().into(),
        secret_key: None,
        publishable_key: None,
        defaults: Default::default(),
    };
    let seed = Seed {
        dataset: Some(dataset_seed),
        admin_key: None,
    };
    ingest_gateway::seed(&world.store, &seed).await.unwrap();
    world.store.breaker(dataset()).await.unwrap().0.state
}

#[tokio::test]
async fn a_blocked_dataset_is_probed_at_once_when_its_token_is_a_new_one() {
    let world = World::start().await;
    stop(&world, Reason::Blocked).await;
    assert_eq!(
        seed(&world, ACCESS_TOKEN).await,
        State::Open,
        "the same token opens nothing"
    );
    assert_eq!(seed(&world, "EAAnew").await, State::HalfOpen);
    let world = World::start().await;
    stop(&world, Reason::Throttled).await;
    assert_eq!(
        seed(&world, "EAAnew").await,
        State::Open,
        "Meta itself asked for the wait"
    );
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
