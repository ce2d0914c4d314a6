//! A person who asks to see what is kept, and then to be forgotten.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use attribution::{privacy, reconcile};
use common::{SELLER, Shop};
use rastro_sandbox::mercado_pago::{Charge, Method};
use rastro_service::shutdown::Shutdown;
use rastro_test_support::{DATASET_ID, Key};
use serde_json::{Value, json};

fn pix(cents: i64, reference: &str, email: &str) -> Charge {
    Charge::new(Method::Pix, cents).reference(reference).by(email)
}

/// Every table as text, but for the tombstones and receipts.
async fn everything(shop: &Shop) -> String {
    let mut all = String::new();
    for table in [
        "leads",
        "touchpoints",
        "customers",
        "purchases",
        "payments",
        "payment_notifications",
        "events",
        "event_outcomes",
    ] {
        all += &shop
            .value(&format!(
                "SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} AS t"
            ))
            .await;
    }
    all
}

#[tokio::test]
async fn who_asks_to_be_forgotten_is_gone_stays_gone_and_the_money_stays() {
    let mut shop = Shop::start().await;
    let dataset = DATASET_ID.parse().unwrap();
    shop.lead("of-ana", "Ana@Example.com").await;
    let bob = shop
        .lead_of(
            "of-bob",
            "bob@example.com",
            "fb.1.1790000000000.another_click",
            "fb.1.1596403881668.222",
        )
        .await;
    let other = json!({ "event_name": "Contact", "event_id": "by-server", "event_time": shop.world.now(),
        "action_source": "system_generated", "user_data": { "em": "ana@example.com" } });
    assert_eq!(shop.world.post(Key::Secret, &other).await.status, 202);
    for (reference, email) in [("1", "ana@example.com"), ("2", "bob@example.com")] {
        let id = shop.mercado_pago.create(SELLER, &pix(1_000, reference, email));
        shop.mercado_pago.pay(&id);
    }
    shop.deliver().await;
    assert_eq!(shop.purchases_at_meta().await.len(), 2);

    // As they are when orders are credited.
    shop.world
        .database
        .execute("INSERT INTO customers SELECT dataset_id, email_hmac, lead_id, now() FROM leads")
        .await;

    let shown: Value = serde_json::from_str(
        &privacy::export(
            &shop.world.store,
            dataset,
            &["email=ana@example.com"],
            false,
            "bia",
        )
        .await
        .unwrap(),
    )
    .unwrap();
    assert_eq!(shown["leads"][0]["contact"]["email"], "Ana@Example.com");
    assert_eq!(shown["orders"], json!(["1"]));
    let names: Vec<&Value> = shown["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["event_name"])
        .collect();
    assert_eq!(names, ["Lead", "Contact", "Purchase"]);

    let before = everything(&shop).await;
    let person = ["email= ANA@example.com "];
    let dry: Value = serde_json::from_str(
        &privacy::would_erase(&shop.world.store, dataset, &person)
            .await
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        (&dry["leads"], &dry["purchases"], &dry["payments"], &dry["events"]),
        (&json!(1), &json!(1), &json!(1), &json!(3))
    );
    assert_eq!(everything(&shop).await, before, "a dry run changes nothing");

    let sums = "SELECT concat_ws(' ', count(*), sum(amount_minor), sum(fee_minor)) FROM purchase_movements";
    let money = shop.value(sums).await;
    let receipt: Value = serde_json::from_str(
        &privacy::erase(&shop.world.store, dataset, &person, "bia")
            .await
            .unwrap(),
    )
    .unwrap();
    assert_eq!((&receipt["leads"], &receipt["events"]), (&json!(1), &json!(3)));
    assert!(receipt["finished_at"].is_string());
    assert!(!receipt.to_string().contains("ana"));

    // printf ana@example.com | sha256sum
    let sha256 = "8e43ca37701228e74983efdbd0cff5c16b3b1e5d4e29a7c05626d4d25a018e11";
    let left = everything(&shop).await;
    assert!(before.contains(sha256) && !left.contains(sha256));
    let hmac = shop
        .value("SELECT encode(hmac, 'hex') FROM suppressed_people")
        .await;
    assert!(before.contains(&hmac) && !left.contains(&hmac));

    // Mercado Pago tells of her again, by webhook and by comparison.
    let hers = shop
        .value("SELECT payment_id FROM payments WHERE order_id = '1'")
        .await;
    shop.mercado_pago.refund(&hers, 100);
    shop.deliver().await;
    shop.world
        .database
        .execute("UPDATE payments SET updated_at = updated_at - interval '1 hour'")
        .await;
    reconcile::compare_now(&shop.payments, &shop.account, 35, &Shutdown::new())
        .await
        .unwrap();
    let left = everything(&shop).await;
    assert!(!left.contains(sha256) && !left.contains(&hmac));
    assert_eq!(shop.of(&hers, "(lead_id IS NULL)").await, "true");
    assert_eq!(shop.book(&hers).await, ["approval 1000 10", "refund -100 0"]);
    assert_ne!(shop.value(sums).await, money);

    // Nobody else is touched.
    assert_eq!(
        shop.value("SELECT lead_id::text FROM payments WHERE order_id = '2'")
            .await,
        bob.to_string()
    );
    assert_eq!(
        shop.value("SELECT count(*)::text FROM events WHERE payload = ''")
            .await,
        "3"
    );
    // Asked again there is nothing left; and what she does from now on is new.
    let again: Value = serde_json::from_str(
        &privacy::erase(&shop.world.store, dataset, &person, "bia")
            .await
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        (&again["leads"], &again["events"], &again["payments"]),
        (&json!(0), &json!(0), &json!(0))
    );
    shop.advance(common::HOUR).await;
    let anew = shop.lead("of-ana-again", "ana@example.com").await;
    let id = shop
        .mercado_pago
        .create(SELLER, &pix(2_000, "3", "ana@example.com"));
    shop.mercado_pago.pay(&id);
    shop.deliver().await;
    assert_eq!(shop.of(&id, "lead_id").await, anew.to_string());
}

#[tokio::test]
async fn a_person_is_named_rightly_or_nothing_is_done() {
    let shop = Shop::start().await;
    let dataset = DATASET_ID.parse().unwrap();
    for wrong in [
        &[][..],
        &["ana@example.com"],
        &["email=nobody"],
        &["lead=x"],
        &["name=Ana"],
    ] {
        let error = privacy::erase(&shop.world.store, dataset, wrong, "bia")
            .await
            .unwrap_err();
        assert!(!error.to_string().contains("nobody"), "{error}");
    }
    assert_eq!(shop.value("SELECT count(*)::text FROM erasures").await, "0");
}
