//! Sessions of the dashboard.
#![expect(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use common::{Queue, dataset_id};
use rastro_store::{ApiKeyKind, Identity, Role};

#[tokio::test]
async fn a_session_is_begun_with_a_key_that_may_look_and_ends_with_it() {
    let queue = Queue::empty().await;
    let (admin, secret, viewer) = ([1; 32], [2; 32], [3; 32]);
    queue.store.put_admin_key(admin, "Ana").await.unwrap();
    queue
        .store
        .put_api_key(secret, dataset_id(1), ApiKeyKind::Secret, "shop")
        .await
        .unwrap();
    queue
        .store
        .put_viewer_key(viewer, Some(dataset_id(1)), "client")
        .await
        .unwrap();
    let operator = queue
        .store
        .begin_session(&[11; 32], &admin, "Ana")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((operator.role, operator.name.as_str()), (Role::Operator, "Ana"));
    let client = queue
        .store
        .begin_session(&[13; 32], &viewer, "Beto")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(client.role, Role::Viewer(Some(dataset_id(1))));
    assert_eq!(
        queue.store.begin_session(&[12; 32], &secret, "x").await.unwrap(),
        None,
        "it sends, and sees nothing"
    );
    assert_eq!(
        queue.store.begin_session(&[12; 32], &[9; 32], "x").await.unwrap(),
        None
    );

    let identities = queue.store.identities().await.unwrap();
    assert!(
        matches!(identities.known[&viewer], Identity::Viewer) && identities.skipped.is_empty(),
        "it opens nothing else"
    );

    assert_eq!(queue.store.session(&[13; 32]).await.unwrap(), Some(client));
    assert_eq!(queue.store.session(&[14; 32]).await.unwrap(), None);
    queue
        .database
        .execute("UPDATE api_keys SET revoked_at = now() WHERE label = 'client'")
        .await;
    assert_eq!(
        queue.store.session(&[13; 32]).await.unwrap(),
        None,
        "its key is revoked"
    );
    assert_eq!(queue.store.session(&[11; 32]).await.unwrap(), Some(operator));
    queue.store.end_session(&[11; 32]).await.unwrap();
    assert_eq!(queue.store.session(&[11; 32]).await.unwrap(), None);
}

#[tokio::test]
async fn a_session_lives_twelve_hours_after_it_was_used_and_a_week_at_most() {
    let queue = Queue::empty().await;
    queue.store.put_admin_key([1; 32], "Ana").await.unwrap();
    queue
        .store
        .begin_session(&[11; 32], &[1; 32], "Ana")
        .await
        .unwrap();
    let later = async |hours: i64| {
        queue
            .database
            .execute(&format!(
                "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
                 AS 'SELECT now() + interval ''{hours} hours'''"
            ))
            .await;
        queue.store.session(&[11; 32]).await.unwrap().is_some()
    };
    for hours in (11..=165).step_by(11) {
        assert!(
            later(hours).await,
            "{hours} hours after it began, and 11 after it was used"
        );
    }
    assert!(!later(169).await, "a week");
    queue
        .store
        .begin_session(&[12; 32], &[1; 32], "Ana")
        .await
        .unwrap();
    let left = "SELECT expires_at - created_at FROM dashboard_sessions WHERE session_hash = decode(repeat('0c', 32), 'hex')";
    assert_eq!(queue.database.value(left).await, "12:00:00");
}
