//! The webhook's address at the gateway, as Mercado Pago and as somebody else see it.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use common::{SECRET, SELLER, Shop, webhooks};
use hmac::{Hmac, KeyInit, Mac};
use rastro_sandbox::mercado_pago::{ApiFault, Charge, Method, WebhookFault};
use rastro_store::Unsigned;
use rastro_test_support::{DATASET_ID, World};
use serde_json::json;
use sha2::Sha256;

const RID: &str = "2066ca19-c6f1-498a-be75-1923005edd06";

fn signature(secret: &str, manifest: &str, ts: i64) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    hmac.update(manifest.as_bytes());
    let hex: String = hmac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("ts={ts},v1={hex}")
}

async fn post(shop: &Shop, path: &str, signature: Option<&str>, body: &str) -> u16 {
    let mut request = shop
        .world
        .client
        .post(format!("{}/{path}", webhooks(&shop.world)))
        .header("x-request-id", RID)
        .header("content-type", "application/json")
        .body(body.to_owned());
    if let Some(signature) = signature {
        request = request.header("x-signature", signature);
    }
    World::answer(request).await.status
}

async fn stored(shop: &Shop) -> String {
    shop.value("SELECT count(*)::text FROM payment_notifications")
        .await
}

#[tokio::test]
async fn a_signed_webhook_is_stored_before_it_is_answered_and_a_forged_one_is_not() {
    let shop = Shop::start().await;
    let ts = shop.world.now();
    let body = json!({ "id": 1, "type": "payment", "action": "payment.created", "data": { "id": "999" } })
        .to_string();
    let good = signature(SECRET, &format!("id:999;request-id:{RID};ts:{ts};"), ts);
    let path = format!("{SELLER}?data.id=999&type=payment");
    assert_eq!(post(&shop, &path, Some(&good), &body).await, 200);
    assert_eq!(stored(&shop).await, "1");
    // Of what the body says nothing is kept but ids.
    let row = shop
        .value("SELECT payment_notifications::text FROM payment_notifications")
        .await;
    assert!(row.contains("payment.created") && row.contains("999"), "{row}");

    let other = signature("somebody-elses", &format!("id:999;request-id:{RID};ts:{ts};"), ts);
    let other_id = format!("{SELLER}?data.id=998&type=payment");
    let ahead = signature(
        SECRET,
        &format!("id:999;request-id:{RID};ts:{};", ts + 3_600),
        ts + 3_600,
    );
    for (path, signature) in [(&path, &other), (&other_id, &good), (&path, &ahead)] {
        assert_eq!(post(&shop, path, Some(signature), &body).await, 401);
    }
    assert_eq!(
        post(
            &shop,
            &format!("{SELLER}?data.id=999&data.id=998&type=payment"),
            Some(&good),
            &body
        )
        .await,
        401
    );
    for unknown in ["1?data.id=999&type=payment", "x?data.id=999&type=payment"] {
        assert_eq!(post(&shop, unknown, Some(&good), &body).await, 404);
    }
    assert_eq!(post(&shop, &path, Some(&good), &"x".repeat(70_000)).await, 413);
    assert_eq!(stored(&shop).await, "1");
    let got = shop
        .world
        .client
        .get(format!("{}/{SELLER}", webhooks(&shop.world)));
    assert_eq!(World::answer(got).await.status, 405);
}

#[tokio::test]
async fn an_id_of_letters_is_kept_as_it_came_whichever_case_was_signed() {
    let shop = Shop::start().await;
    let (id, ts) = ("ORD01JQ4S4KY8HWQ6NA5PXB65B3D3", shop.world.now());
    for (number, signed) in [id.to_owned(), id.to_ascii_lowercase()].iter().enumerate() {
        let signature = signature(SECRET, &format!("id:{signed};request-id:{RID};ts:{ts};"), ts);
        let body = json!({ "id": number, "type": "order", "action": "order.processed" }).to_string();
        assert_eq!(
            post(
                &shop,
                &format!("{SELLER}?data.id={id}&type=order"),
                Some(&signature),
                &body
            )
            .await,
            200
        );
    }
    assert_eq!(
        shop.value("SELECT count(*) || min(resource_id) FROM payment_notifications")
            .await,
        format!("2{id}")
    );
}

#[tokio::test]
async fn what_nobody_can_sign_is_answered_and_followed_only_where_the_account_says_so() {
    for (unsigned, expected) in [(Unsigned::Ignore, "0"), (Unsigned::Hint, "2")] {
        let shop = Shop::with(|account| account.unsigned = unsigned).await;
        let ipn = json!({ "resource": "96718866362", "topic": "payment" }).to_string();
        assert_eq!(
            post(
                &shop,
                &format!("{SELLER}?topic=payment&id=96718866362"),
                Some("ts=1,v1=00"),
                &ipn
            )
            .await,
            200
        );
        let qr = json!({ "type": "payment", "data": { "id": "5" } }).to_string();
        assert_eq!(
            post(&shop, &format!("{SELLER}?data.id=5&type=payment"), None, &qr).await,
            200
        );
        // Nothing that Mercado Pago would call an id.
        assert_eq!(
            post(
                &shop,
                &format!("{SELLER}?topic=payment&id=..%2Fusers"),
                None,
                "{}"
            )
            .await,
            200
        );
        assert_eq!(stored(&shop).await, expected);
        assert_eq!(
            shop.value("SELECT count(*)::text FROM payment_notifications WHERE source = 'webhook'")
                .await,
            "0"
        );
    }
}

#[tokio::test]
async fn signed_webhooks_come_before_hints_and_what_a_hint_does_not_find_is_asked_for_once() {
    let shop = Shop::with(|account| account.unsigned = Unsigned::Hint).await;
    // Somebody made two hundred numbers up, an hour ago.
    shop.world
        .database
        .execute(&format!(
            "INSERT INTO payment_notifications (
                dataset_id, account_id, delivery_key, source, topic, resource_id, due_at, received_at, last_received_at
             )
             SELECT {DATASET_ID}, {SELLER}, sha256(n::text::bytea), 'hint', 'payment', n::text, now() - interval '1 hour', now(), now()
             FROM generate_series(1, 200) AS n"
        ))
        .await;
    let pix = shop.mercado_pago.create(SELLER, &Charge::new(Method::Pix, 1_000));
    shop.mercado_pago.pay(&pix);
    shop.mercado_pago.deliver_due(false).await.unwrap();
    // A hundred at once: the payment's two, then the oldest of the others.
    assert_eq!(shop.payments.round(&shop.config.payments).await.unwrap(), 100);
    assert_eq!(shop.book(&pix).await, ["approval 1000 10"]);
    assert_eq!(
        shop.ends().await,
        ["done/applied 2", "ignored/not_found 98", "pending/ 102"]
    );
}

#[tokio::test]
async fn a_hint_that_finds_nothing_ends_no_signed_webhook() {
    let shop = Shop::with(|account| account.unsigned = Unsigned::Hint).await;
    let pix = shop.mercado_pago.create(SELLER, &Charge::new(Method::Pix, 1_000));
    shop.mercado_pago.pay(&pix);
    for _ in 0..2 {
        shop.mercado_pago.fail_payment(&pix, ApiFault::NotFound);
    }
    // Too early, and then somebody who knows the number.
    shop.deliver().await;
    assert_eq!(shop.ends().await, ["pending/not_found 2"]);
    shop.mercado_pago.send_ipn(SELLER, "payment", &pix).await.unwrap();
    shop.follow().await;
    assert_eq!(shop.ends().await, ["ignored/not_found 1", "pending/not_found 2"]);
    shop.advance(std::time::Duration::from_secs(3)).await;
    shop.follow().await;
    assert_eq!(shop.book(&pix).await, ["approval 1000 10"]);
}

#[tokio::test]
async fn a_webhook_that_cannot_be_stored_comes_again() {
    let shop = Shop::start().await;
    let pix = shop.mercado_pago.create(SELLER, &Charge::new(Method::Pix, 1_000));
    // The account is known by then; only storing fails.
    assert_eq!(shop.mercado_pago.deliver_due(false).await.unwrap()[0].status, 200);
    shop.world
        .database
        .execute("ALTER TABLE payment_notifications RENAME TO away")
        .await;
    shop.mercado_pago.pay(&pix);
    assert_eq!(shop.mercado_pago.deliver_due(false).await.unwrap()[0].status, 503);
    shop.world
        .database
        .execute("ALTER TABLE away RENAME TO payment_notifications")
        .await;
    assert!(
        shop.mercado_pago.deliver_due(false).await.unwrap().is_empty(),
        "not before a quarter of an hour"
    );
    shop.advance(std::time::Duration::from_secs(900)).await;
    shop.deliver().await;
    assert_eq!(shop.book(&pix).await, ["approval 1000 10"]);

    // A forged one of the sandbox is refused, and comes again for as long as it is.
    shop.mercado_pago.fail_webhooks(WebhookFault::Forged, 1);
    shop.mercado_pago.refund(&pix, 1_000);
    assert_eq!(shop.mercado_pago.deliver_due(false).await.unwrap()[0].status, 401);
    shop.advance(std::time::Duration::from_secs(900)).await;
    shop.deliver().await;
    assert_eq!(shop.book(&pix).await, ["approval 1000 10", "refund -1000 0"]);
}
