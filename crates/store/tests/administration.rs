//! Datasets and keys as people keep them: every change leaves its entry in the log, or neither is there.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use common::{Queue, dataset, dataset_id};
use rastro_core::lead_status::{LeadEvents, LeadStatus};
use rastro_store::{DatasetChange, Identity, KeyOrder, KeyRefused, KeyRole, TokenCheck};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn renamed(name: &str) -> DatasetChange {
    DatasetChange {
        name: Some(name.to_owned()),
        ..DatasetChange::default()
    }
}

fn order(role: KeyRole, dataset: Option<i64>) -> KeyOrder {
    KeyOrder {
        role,
        dataset_id: dataset.map(dataset_id),
        label: "site".into(),
        event_names: None,
    }
}

impl Queue {
    /// Who did what, the oldest first.
    async fn log(&self) -> Vec<(String, String, Value)> {
        let mut entries = self.store.admin_log(None, None, 100).await.unwrap();
        entries.reverse();
        let entry = |entry: rastro_store::AdminLogEntry| (entry.who, entry.action, entry.detail);
        entries.into_iter().map(entry).collect()
    }
}

#[tokio::test]
async fn every_change_of_a_dataset_is_logged_with_what_was_and_what_is() {
    let queue = Queue::empty().await;
    let (id, store) = (dataset_id(2), &queue.store);
    let check = TokenCheck {
        meta_name: Some("Clínica".into()),
    };
    let created = store
        .add_dataset(&dataset(2), &check, "ana")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(created.meta_name.as_deref(), Some("Clínica"));
    assert!(created.token_checked_at.is_some() && created.retired_at.is_none());
    assert_eq!(store.add_dataset(&dataset(2), &check, "ana").await.unwrap(), None);

    let change = DatasetChange {
        cookie_domain: Some(Some("example.com.br".into())),
        lead_events: Some(LeadEvents::read([("customer", "Subscribe")]).unwrap()),
        ..renamed("Clínica Boa")
    };
    let changed = store.change_dataset(id, &change, "bia").await.unwrap().unwrap();
    assert_eq!(
        changed.settings.lead_events.of(LeadStatus::Customer),
        Some("Subscribe")
    );
    // The same again changes nothing, and a stranger's dataset is not there.
    assert_eq!(
        store.change_dataset(id, &change, "bia").await.unwrap().unwrap(),
        changed
    );
    assert_eq!(
        store.change_dataset(dataset_id(9), &change, "bia").await.unwrap(),
        None
    );

    let none = TokenCheck::default();
    let token = store
        .enter_token(id, &"EAAnew".to_owned().into(), &none, "bia")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (token.meta_name, token.token_checked_at),
        (None, None),
        "of the token before"
    );
    assert_eq!(
        store.access_token(id).await.unwrap().unwrap().expose_secret(),
        "EAAnew"
    );
    assert!(
        store
            .retire_dataset(id, "bia")
            .await
            .unwrap()
            .unwrap()
            .retired_at
            .is_some()
    );
    store.retire_dataset(id, "bia").await.unwrap().unwrap();
    assert!(
        store
            .restore_dataset(id, "ana")
            .await
            .unwrap()
            .unwrap()
            .retired_at
            .is_none()
    );

    let log = queue.log().await;
    let told: Vec<(&str, &str)> = log
        .iter()
        .map(|(who, action, _)| (who.as_str(), action.as_str()))
        .collect();
    let expected = [
        ("ana", "dataset.create"),
        ("bia", "dataset.change"),
        ("bia", "dataset.token"),
        ("bia", "dataset.retire"),
        ("ana", "dataset.restore"),
    ];
    assert_eq!(told, expected);
    let detail = json!({
        "name": {"from": "test", "to": "Clínica Boa"},
        "cookie_domain": {"from": null, "to": "example.com.br"},
        "lead_events": {"from": {"scheduled": "Schedule"}, "to": {"customer": "Subscribe"}},
    });
    assert_eq!(log[1].2, detail);
    assert!(!format!("{log:?}").contains("EAA"), "no token: {log:?}");
    let of_one = store.admin_log(Some(dataset_id(1)), None, 10).await.unwrap();
    assert!(of_one.is_empty());
}

#[tokio::test]
async fn a_change_that_cannot_be_logged_is_not_made() {
    let queue = Queue::empty().await;
    queue
        .database
        .execute("ALTER TABLE admin_log ADD CHECK (who <> 'nobody')")
        .await;
    let store = &queue.store;
    store
        .change_dataset(dataset_id(1), &renamed("other"), "nobody")
        .await
        .unwrap_err();
    store.retire_dataset(dataset_id(1), "nobody").await.unwrap_err();
    store
        .enter_token(
            dataset_id(1),
            &"EAAnew".to_owned().into(),
            &TokenCheck::default(),
            "nobody",
        )
        .await
        .unwrap_err();
    store
        .issue_api_key(&order(KeyRole::Secret, Some(1)), "nobody")
        .await
        .unwrap_err();
    let known = store.dataset(dataset_id(1)).await.unwrap().unwrap();
    assert_eq!((known.settings.name.as_str(), known.retired_at), ("test", None));
    let token = store.access_token(dataset_id(1)).await.unwrap().unwrap();
    assert_eq!(token.expose_secret(), "EAAtest");
    assert!(store.api_keys(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn changes_at_once_are_all_made_one_after_another() {
    let queue = Queue::empty().await;
    let names: Vec<String> = (0..10).map(|number| format!("name {number}")).collect();
    let changes = names.iter().map(async |name| {
        queue
            .store
            .change_dataset(dataset_id(1), &renamed(name), name)
            .await
    });
    futures_util::future::join_all(changes)
        .await
        .into_iter()
        .for_each(|changed| drop(changed.unwrap().unwrap()));
    // Each began where the one before it ended.
    let mut name = json!("test");
    let log = queue.log().await;
    assert_eq!(log.len(), 10);
    for (who, _, detail) in log {
        assert_eq!(detail["name"]["from"], name, "{who}");
        name = detail["name"]["to"].clone();
    }
}

#[tokio::test]
async fn a_key_is_told_once_opens_its_dataset_and_ends_when_revoked() {
    let queue = Queue::empty().await;
    let store = &queue.store;
    let (key, secret) = store
        .issue_api_key(&order(KeyRole::Secret, Some(1)), "ana")
        .await
        .unwrap()
        .unwrap();
    let secret = secret.expose_secret();
    // 32 random bytes in base64 without padding are 43 characters.
    assert!(
        secret.starts_with("sk_") && secret.len() == 46,
        "{}",
        secret.len()
    );
    assert_eq!(
        key.shown.as_deref(),
        Some(format!("sk_...{}", &secret[42..]).as_str())
    );
    let hash = Sha256::digest(secret).into();
    assert_eq!(store.api_key_of(hash).await.unwrap(), Some(key.clone()));
    assert!(matches!(
        store.identities().await.unwrap().known[&hash],
        Identity::Caller(_)
    ));
    let stored = queue
        .rows("SELECT to_jsonb(k)::text FROM api_keys k UNION ALL SELECT to_jsonb(l)::text FROM admin_log l")
        .await;
    assert!(stored.len() == 2 && !format!("{stored:?}").contains(&secret[..42]));

    store.retire_dataset(dataset_id(1), "ana").await.unwrap();
    assert!(matches!(
        store.identities().await.unwrap().known[&hash],
        Identity::Retired
    ));
    assert_eq!(store.api_key_of(hash).await.unwrap(), None);
    let refused = store
        .issue_api_key(&order(KeyRole::Secret, Some(1)), "ana")
        .await
        .unwrap();
    assert_eq!(refused.unwrap_err(), KeyRefused::RetiredDataset);
    store.restore_dataset(dataset_id(1), "ana").await.unwrap();
    assert!(store.api_key_of(hash).await.unwrap().is_some());

    let revoked = store.revoke_api_key(key.key_id, "bia").await.unwrap().unwrap();
    assert!(revoked.revoked_at.is_some());
    assert_eq!(
        store.revoke_api_key(key.key_id, "bia").await.unwrap(),
        Some(revoked.clone())
    );
    assert_eq!(store.revoke_api_key(key.key_id + 1, "bia").await.unwrap(), None);
    assert!(!store.identities().await.unwrap().known.contains_key(&hash));
    assert_eq!(store.api_keys(Some(dataset_id(1))).await.unwrap(), [revoked]);
    let actions: Vec<String> = queue
        .log()
        .await
        .into_iter()
        .map(|(_, action, _)| action)
        .collect();
    assert_eq!(
        actions,
        ["key.create", "dataset.retire", "dataset.restore", "key.revoke"]
    );
}

#[tokio::test]
async fn admin_and_viewer_keys_send_nothing() {
    let queue = Queue::empty().await;
    let store = &queue.store;
    for (role, dataset) in [
        (KeyRole::Admin, None),
        (KeyRole::Viewer, None),
        (KeyRole::Viewer, Some(1)),
    ] {
        let (key, secret) = store
            .issue_api_key(&order(role, dataset), "ana")
            .await
            .unwrap()
            .unwrap();
        assert_eq!((key.role, key.dataset_id), (role, dataset.map(dataset_id)));
        let identities = store.identities().await.unwrap();
        let hash: rastro_store::KeyHash = Sha256::digest(secret.expose_secret()).into();
        match (role, &identities.known[&hash]) {
            (KeyRole::Admin, Identity::Operator { .. }) | (KeyRole::Viewer, Identity::Viewer) => {}
            (role, other) => panic!("{role:?} is {other:?}"),
        }
        assert!(identities.skipped.is_empty());
    }
    let refusal = async |order: KeyOrder| store.issue_api_key(&order, "ana").await.unwrap().unwrap_err();
    assert_eq!(
        refusal(order(KeyRole::Admin, Some(1))).await,
        KeyRefused::TakesNoDataset
    );
    assert_eq!(
        refusal(order(KeyRole::Publishable, None)).await,
        KeyRefused::NeedsDataset
    );
    assert_eq!(
        refusal(order(KeyRole::Secret, Some(9))).await,
        KeyRefused::UnknownDataset
    );
    let sends = KeyOrder {
        event_names: Some(vec!["Lead".into()]),
        ..order(KeyRole::Viewer, Some(1))
    };
    assert_eq!(refusal(sends).await, KeyRefused::SendsNothing);
}

#[tokio::test]
async fn time_zones_are_those_of_the_database() {
    let queue = Queue::empty().await;
    for (name, known) in [
        ("America/Sao_Paulo", true),
        ("UTC", true),
        ("Brasil", false),
        ("", false),
        ("X5", false),
    ] {
        assert_eq!(queue.store.knows_time_zone(name).await.unwrap(), known, "{name}");
    }
}
