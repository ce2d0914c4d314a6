//! A person who asks to see what is kept, and then to be forgotten.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::time::Duration;

use attribution::crediting::Crediting;
use attribution::{privacy, reconcile};
use common::{DAY, FBC, SELLER, Shop};
use rastro_sandbox::mercado_pago::{Charge, Method};
use rastro_service::shutdown::Shutdown;
use rastro_test_support::{DATASET_ID, Key, eventually};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

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

/// printf ana@example.com | sha256sum
const SHA256: &str = "8e43ca37701228e74983efdbd0cff5c16b3b1e5d4e29a7c05626d4d25a018e11";

/// A shop that Ana wrote to and paid, with the webhook waiting to be followed: her payment.
async fn paid_by_ana() -> (Shop, String) {
    let shop = Shop::start().await;
    shop.lead("of-ana", "Ana@Example.com").await;
    let id = shop
        .mercado_pago
        .create(SELLER, &pix(1_000, "1", "ana@example.com"));
    shop.mercado_pago.pay(&id);
    shop.mercado_pago.deliver_due(false).await.unwrap();
    (shop, id)
}

/// Waits until so many transactions are held back by another's lock, or this work is done without.
async fn held_back<T>(shop: &Shop, count: &str, work: &JoinHandle<T>) {
    eventually("the transactions wait", || async {
        (work.is_finished() || shop.waiting().await == count).then_some(())
    })
    .await;
}

fn erase_ana(shop: &Shop) -> JoinHandle<String> {
    let store = shop.world.store.clone();
    spawn_local(async move {
        let person = ["email=ana@example.com"];
        privacy::erase(&store, DATASET_ID.parse().unwrap(), &person, "bia")
            .await
            .unwrap()
    })
}

fn follow(shop: &Shop) -> JoinHandle<usize> {
    let (payments, config) = (shop.payments.clone(), shop.config.payments.clone());
    spawn_local(async move { payments.round(&config).await.unwrap() })
}

/// Nothing of Ana is left, and the money of her payment is.
async fn only_money_is_left(shop: &Shop, id: &str) {
    let left = everything(shop).await;
    let hmac = shop
        .value("SELECT encode(hmac, 'hex') FROM suppressed_people")
        .await;
    for trace in [SHA256, FBC, hmac.as_str()] {
        assert!(!left.contains(trace), "{trace} in {left}");
    }
    assert_eq!(shop.of(id, "(lead_id IS NULL)").await, "true");
    assert_eq!(shop.book(id).await, ["approval 1000 10"]);
}

#[tokio::test]
async fn an_erasure_waits_for_a_payment_that_is_being_booked_and_finds_it() {
    LocalSet::new()
        .run_until(async {
            let (shop, id) = paid_by_ana().await;
            let booking = shop.hold("LOCK TABLE purchase_movements IN EXCLUSIVE MODE").await;
            let followed = follow(&shop);
            held_back(&shop, "1", &followed).await;
            let erased = erase_ana(&shop);
            held_back(&shop, "2", &erased).await;
            booking.batch_execute("COMMIT").await.unwrap();
            followed.await.unwrap();
            let receipt: Value = serde_json::from_str(&erased.await.unwrap()).unwrap();
            // Her lead's event and her Purchase.
            assert_eq!(
                (&receipt["payments"], &receipt["events"]),
                (&json!(1), &json!(2)),
                "{receipt}"
            );
            only_money_is_left(&shop, &id).await;
        })
        .await;
}

#[tokio::test]
async fn a_payment_that_was_read_before_its_payer_was_erased_is_read_again_and_is_nobodys() {
    LocalSet::new()
        .run_until(async {
            let (shop, id) = paid_by_ana().await;
            // The erasure is about to begin; the payment is looked up meanwhile.
            let lead = shop.hold("SELECT FROM leads FOR UPDATE").await;
            let erased = erase_ana(&shop);
            held_back(&shop, "1", &erased).await;
            let followed = follow(&shop);
            held_back(&shop, "2", &followed).await;
            lead.batch_execute("COMMIT").await.unwrap();
            erased.await.unwrap();
            assert!(followed.await.unwrap() > 0);
            assert!(shop.ends().await.iter().all(|end| end.starts_with("done/")));
            only_money_is_left(&shop, &id).await;
            assert_eq!(shop.of(&id, "conversion").await, "withheld");
        })
        .await;
}

#[tokio::test]
async fn an_order_that_was_made_of_what_is_erased_meanwhile_is_refused_and_may_be_sent_again() {
    LocalSet::new()
        .run_until(async {
            let (shop, _) = paid_by_ana().await;
            let claim = json!({ "purchase": { "order_id": "7", "value": 1.0, "email": "ana@example.com" } });
            let lead = shop.hold("SELECT FROM leads FOR UPDATE").await;
            let erased = erase_ana(&shop);
            held_back(&shop, "1", &erased).await;
            let recording = shop.post("/api/purchases/record", Key::Secret, &claim);
            let releasing = async {
                held_back(&shop, "2", &spawn_local(std::future::pending::<()>())).await;
                lead.batch_execute("COMMIT").await.unwrap();
            };
            let (answer, ()) = tokio::join!(recording, releasing);
            assert_eq!(answer.status, 503, "{answer:?}");
            erased.await.unwrap();
            assert_eq!(shop.value("SELECT count(*)::text FROM purchases").await, "0");
            // What she does from now on is new, and nothing of before is with it.
            let answer = shop.post("/api/purchases/record", Key::Secret, &claim).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            let claimed = shop
                .value(
                    "SELECT concat_ws(' ', coalesce(lead_id::text, 'nobody'), claimed_event) FROM purchases",
                )
                .await;
            assert!(
                claimed.starts_with("nobody {") && claimed.contains(SHA256),
                "{claimed}"
            );
            assert!(!claimed.contains(FBC), "{claimed}");
        })
        .await;
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

/// How each of the places at which an erasure may die is met: what commits there, and a condition on its row.
const DEATHS: [(&str, &str, &str); 3] = [
    ("INSERT", "erasures", ""),
    ("UPDATE", "events", ""),
    ("UPDATE", "erasures", ""),
];

#[tokio::test]
async fn an_erasure_that_dies_at_any_of_its_commits_is_finished_when_it_is_asked_for_again() {
    for (doing, table, row) in DEATHS {
        let (shop, id) = paid_by_ana().await;
        shop.follow().await;
        let (store, person) = (&shop.world.store, ["email=ana@example.com"]);
        let dataset = DATASET_ID.parse().unwrap();
        shop.fail_commits(doing, table, row).await;
        privacy::erase(store, dataset, &person, "bia").await.unwrap_err();
        // All or nothing of the beginning; and from then on nobody is found by her lead.
        let begun = "SELECT concat_ws(' ', (SELECT count(*) FROM erasures WHERE finished_at IS NULL),
            (SELECT count(*) FROM suppressed_people), (SELECT count(*) FROM leads WHERE erased))";
        let expected = match doing {
            "INSERT" => "0 0 0",
            _ => "1 1 1",
        };
        assert_eq!(shop.value(begun).await, expected, "{doing} {table}");

        shop.commits_again(table).await;
        let receipt = privacy::erase(store, dataset, &person, "bia").await.unwrap();
        let receipt: Value = serde_json::from_str(&receipt).unwrap();
        assert!(receipt["finished_at"].is_string(), "{receipt}");
        only_money_is_left(&shop, &id).await;
        let emptied = "SELECT count(*) FROM events WHERE payload = ''";
        assert_eq!(
            shop.value(emptied).await,
            "2",
            "her lead's event and her Purchase"
        );
    }
}

const OFFICE: &str = "naotem@clinica.com.br";

/// Whoever wrote at the counter: with the office's address, by its tablet, and with a phone of their own.
async fn at_the_counter(shop: &Shop, person: i64) -> i64 {
    let body = json!({
        "lead": { "name": "Ana", "email": OFFICE, "phone": format!("+55 11 98765-43{person:02}") },
        "event": {
            "event_name": "Lead", "event_id": format!("counter-{person}"), "event_time": shop.world.now(),
            "action_source": "website", "event_source_url": "https://www.clinica.example/?utm_source=meta",
            "user_data": { "fbc": FBC, "fbp": "fb.1.1596403881668.1116446470", "external_id": "tablet" }
        },
        "attribution": { "last": { "fbclid": "IwAR0click", "landing": "/", "at": shop.world.now() * 1_000 } }
    });
    let answer = shop.post("/api/leads/capture", Key::Publishable, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json["lead_id"].as_i64().unwrap()
}

#[tokio::test]
async fn what_an_office_types_for_everybody_leads_from_nobody_to_the_others() {
    let shop = Shop::start().await;
    let (store, dataset) = (&shop.world.store, DATASET_ID.parse().unwrap());
    let mut leads = Vec::new();
    for person in 0..7 {
        leads.push(at_the_counter(&shop, person).await);
    }
    let id = shop.mercado_pago.create(SELLER, &pix(1_000, "1", OFFICE));
    shop.mercado_pago.pay(&id);
    shop.deliver().await;
    let touches = "SELECT count(*) FROM touchpoints";
    let touches_before = shop.value(touches).await;
    assert_ne!(touches_before, "0");

    let phone = |person: i64| format!("phone=+55 11 98765-43{person:02}");
    let first = phone(0);
    let shown = privacy::export(store, dataset, &[&first], false, "bia")
        .await
        .unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let numbers = |of: &Value| of.as_array().unwrap().len();
    assert_eq!(shown["leads"][0]["lead_id"], leads[0]);
    let told = ["leads", "events", "payments", "contacts_with_ads"].map(|what| numbers(&shown[what]));
    assert_eq!(told, [1, 1, 0, 0], "{shown}");
    let dry = privacy::would_erase(store, dataset, &[&first]).await.unwrap();
    let dry: Value = serde_json::from_str(&dry).unwrap();
    // The address, the tablet, and Meta's two ids of its browser.
    assert_eq!(
        (&dry["leads"], &dry["shared_keys"]),
        (&json!(1), &json!(4)),
        "{dry}"
    );

    // One after the other. After the second, five are left who share them.
    for person in 0..3 {
        let receipt = privacy::erase(store, dataset, &[&phone(person)], "bia")
            .await
            .unwrap();
        let receipt: Value = serde_json::from_str(&receipt).unwrap();
        assert_eq!(
            (&receipt["leads"], &receipt["events"]),
            (&json!(1), &json!(1)),
            "{receipt}"
        );
    }
    let open = "SELECT count(*) FROM leads WHERE contact <> '' AND email_hmac IS NOT NULL AND NOT erased";
    assert_eq!(shop.value(open).await, "4");
    let full = "SELECT count(*) FROM events WHERE event_name = 'Lead' AND payload <> ''";
    assert_eq!(shop.value(full).await, "4");
    let buried = "SELECT string_agg(kind, ' ') FROM suppressed_people";
    assert_eq!(shop.value(buried).await, "phone phone phone");
    assert_eq!(shop.value(touches).await, touches_before);
    assert_eq!(shop.of(&id, "(payer_email_hmac IS NOT NULL)").await, "true");

    // Whoever is named by it answers for it.
    let office = format!("email={OFFICE}");
    let receipt = privacy::erase(store, dataset, &[&office], "bia").await.unwrap();
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!((&receipt["leads"], &receipt["payments"]), (&json!(4), &json!(1)));
}

#[tokio::test]
async fn what_is_no_longer_kept_of_a_payment_takes_nothing_from_the_books() {
    let (shop, id) = paid_by_ana().await;
    shop.follow().await;
    let crediting = Crediting::new(shop.world.store.clone(), &shop.config.crediting).unwrap();
    let (store, database) = (&shop.world.store, &shop.world.database);
    let recompute = async |days| {
        let dataset = DATASET_ID.parse().unwrap();
        let done = crediting
            .recompute(dataset, days, &Shutdown::new(), &mut |_| {})
            .await;
        done.unwrap().unwrap()
    };
    assert_eq!(recompute(2).await.changed, 1);
    let books = "SELECT concat_ws(' ', (SELECT string_agg(m::text, ' ') FROM purchase_movements m),
        (SELECT string_agg(concat_ws(' ', order_id, model, channel, order_millionths, gross_minor, net_minor, fee_minor),
            ', ' ORDER BY model, position) FROM attribution_credits WHERE superseded_at IS NULL),
        (SELECT string_agg(concat_ws(' ', order_id, customer_id, net_minor), ', ') FROM credited_orders))";
    let before = shop.value(books).await;
    assert!(before.contains("markov"), "{before}");
    let told = "CREATE TABLE told AS SELECT * FROM payment_notifications";
    database.execute(told).await;

    // Nothing of today is old.
    assert_eq!(store.forget_notifications(90, 100).await.unwrap(), 0);
    assert_eq!(store.forget_payers(730, 100).await.unwrap(), 0);
    shop.advance(91 * DAY).await;
    assert_eq!(store.forget_notifications(90, 1).await.unwrap(), 1);
    assert_eq!(store.forget_notifications(90, 100).await.unwrap(), 1);
    assert_eq!(shop.ends().await, Vec::<String>::new());
    // It may be told again even now.
    let columns = "dataset_id, account_id, delivery_key, source, topic, resource_id, action, received_at, last_received_at";
    database
        .execute(&format!(
            "INSERT INTO payment_notifications ({columns}, due_at) SELECT {columns}, rastro_now() FROM told"
        ))
        .await;
    shop.follow().await;
    // Nothing of the payment is new, so that it is looked at twice more.
    for _ in 0..2 {
        shop.advance(Duration::from_secs(10)).await;
        shop.follow().await;
    }
    assert_eq!(shop.ends().await, ["done/applied 2"]);
    assert_eq!(recompute(93).await.changed, 0);
    assert_eq!(shop.value(books).await, before);

    // A key that a lead has is in use, and so is one that a payment has.
    shop.advance(640 * DAY).await;
    assert_eq!(store.forget_customers(730, None, 100).await.unwrap().0, 0);
    assert_eq!(store.forget_leads(730, 100).await.unwrap(), 1);
    assert_eq!(store.forget_customers(730, None, 100).await.unwrap().0, 0);
    assert_eq!(store.forget_payers(730, 100).await.unwrap(), 1);
    let hmacs = "num_nonnulls(payer_email_hmac, payer_phone_hmac, payer_cpf_hmac)";
    assert_eq!(shop.of(&id, hmacs).await, "0");
    let keys = shop.value("SELECT count(*) FROM customers").await;
    let (forgotten, last) = store.forget_customers(730, None, 1).await.unwrap();
    assert_eq!(forgotten, 1);
    let rest = store.forget_customers(730, last.as_ref(), 100).await.unwrap();
    assert_eq!((rest.0 + 1).to_string(), keys);
    assert_eq!(store.forget_customers(730, None, 100).await.unwrap(), (0, None));
    assert_eq!(recompute(733).await.changed, 0);
    assert_eq!(shop.value(books).await, before);
}
