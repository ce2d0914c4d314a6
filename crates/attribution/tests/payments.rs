//! From a payment at Mercado Pago to the books and to Meta: once, with the right value, whatever happens on
//! the way.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::time::Duration;

use attribution::matching;
use common::{DAY, FBC, HOUR, OTHER_SELLER, SELLER, Shop, USER_AGENT};
use rastro_core::payment::{ConversionValue, Margin};
use rastro_sandbox::mercado_pago::{ApiFault, Charge, Method, WebhookFault};
use rastro_service::telemetry::{self, LogFormat, TelemetryConfig};
use rastro_service::testing::{OtlpReceiver, tree};
use rastro_store::Unsigned;
use rastro_test_support::process::Process;
use rastro_test_support::{DATASET_ID, Key};
use serde_json::{Value, json};

/// printf ana@example.com | sha256sum
const EMAIL_SHA256: &str = "8e43ca37701228e74983efdbd0cff5c16b3b1e5d4e29a7c05626d4d25a018e11";

#[tokio::test]
async fn a_lead_that_pays_by_pix_is_a_purchase_at_meta_with_its_value_and_its_click() {
    let mut shop = Shop::start().await;
    let lead = shop.lead("lead-1", "ana@example.com").await;
    let charge = Charge::new(Method::Pix, 12_990)
        .reference("1042")
        .metadata(json!({ "lead_id": lead }));
    let pix = shop.mercado_pago.create(SELLER, &charge);
    shop.deliver().await;
    assert_eq!(shop.of(&pix, "status").await, "pending");
    assert!(shop.book(&pix).await.is_empty());

    shop.advance(Duration::from_secs(90)).await;
    shop.mercado_pago.pay(&pix);
    shop.deliver().await;
    // 0.99 % of 129.90 is 1.29.
    assert_eq!(shop.book(&pix).await, ["approval 12990 129"]);
    assert_eq!(
        (
            shop.of(&pix, "match_method").await,
            shop.of(&pix, "match_confidence").await
        ),
        ("lead_id".into(), "100".into())
    );

    // Whatever tells of it again: the webhook, the page, a comparison.
    shop.mercado_pago.edit(&pix, |_| {});
    shop.deliver().await;
    let claim = json!({ "purchase": { "order_id": "1042", "value": 1.0, "email": "ana@example.com" } });
    assert_eq!(
        shop.post("/api/purchases/record", Key::Secret, &claim)
            .await
            .status,
        409
    );

    let approved_at = shop.mercado_pago.payment(&pix).unwrap()["date_approved"].clone();
    let purchases = shop.purchases_at_meta().await;
    let [purchase] = &purchases[..] else {
        panic!("one purchase: {purchases:?}")
    };
    assert_eq!(
        (&purchase["event_id"], &purchase["custom_data"]["order_id"]),
        (&json!("1042"), &json!("1042"))
    );
    assert_eq!(
        (
            &purchase["custom_data"]["value"],
            &purchase["custom_data"]["currency"]
        ),
        (&json!(129.9), &json!("BRL"))
    );
    assert_eq!(
        (
            &purchase["user_data"]["fbc"],
            &purchase["user_data"]["client_user_agent"]
        ),
        (&json!(FBC), &json!(USER_AGENT))
    );
    assert_eq!(purchase["user_data"]["em"], json!(EMAIL_SHA256));
    let seconds = chrono::DateTime::parse_from_rfc3339(approved_at.as_str().unwrap())
        .unwrap()
        .timestamp();
    assert_eq!(purchase["event_time"], json!(seconds));
    assert_eq!(
        shop.value("SELECT status || ' ' || amount_minor || ' ' || match_method FROM purchases")
            .await,
        "approved 12990 lead_id"
    );
}

#[tokio::test]
async fn a_pages_claim_gives_the_purchase_its_browser_and_the_payment_its_value() {
    let mut shop = Shop::start().await;
    let claim = json!({
        "purchase": { "order_id": "7", "value": 1.0 },
        "event": { "event_time": shop.world.now(), "action_source": "website",
            "event_source_url": "https://www.clinica.example/checkout", "user_data": { "fbc": FBC } }
    });
    let answer = shop.post("/api/purchases/record", Key::Publishable, &claim).await;
    assert_eq!(
        (answer.status, &answer.json["forwarding"]),
        (202, &json!("none")),
        "{answer:?}"
    );
    let pix = shop
        .mercado_pago
        .create(SELLER, &Charge::new(Method::Pix, 50_000).reference("7"));
    shop.mercado_pago.pay(&pix);
    shop.deliver().await;
    let purchases = shop.purchases_at_meta().await;
    let [purchase] = &purchases[..] else {
        panic!("one purchase: {purchases:?}")
    };
    assert_eq!(
        (&purchase["custom_data"]["value"], &purchase["user_data"]["fbc"]),
        (&json!(500.0), &json!(FBC))
    );
    assert_eq!(
        purchase["event_source_url"],
        json!("https://www.clinica.example/checkout")
    );
}

#[tokio::test]
async fn the_value_is_the_net_one_where_the_account_says_so() {
    let mut shop = Shop::with(|account| account.conversion_value = ConversionValue::Net).await;
    let charge = Charge::new(Method::Card, 10_000)
        .reference("9")
        .by("ana@example.com");
    let card = shop.mercado_pago.create(SELLER, &charge);
    shop.deliver().await;
    // 4.98 % of 100.00.
    assert_eq!(shop.book(&card).await, ["approval 10000 498"]);
    let purchases = shop.purchases_at_meta().await;
    assert_eq!(purchases[0]["custom_data"]["value"], json!(95.02));
    assert_eq!(
        shop.value("SELECT amount_minor::text FROM purchases").await,
        "10000"
    );
}

#[tokio::test]
async fn the_value_is_the_margin_where_the_account_says_so_and_the_books_have_the_price() {
    let margin = ConversionValue::Margin(Margin::from_percent(35.5).unwrap());
    let mut shop = Shop::with(|account| account.conversion_value = margin).await;
    let charge = Charge::new(Method::Pix, 19_990)
        .reference("9")
        .by("ana@example.com");
    let pix = shop.mercado_pago.create(SELLER, &charge);
    shop.mercado_pago.pay(&pix);
    shop.deliver().await;
    let purchases = shop.purchases_at_meta().await;
    // 199.90 * 0.355 = 70.9645
    let data = &purchases[0]["custom_data"];
    assert_eq!(
        (&data["value"], &data["currency"]),
        (&json!(70.96), &json!("BRL"))
    );
    assert_eq!(
        shop.value("SELECT amount_minor::text FROM purchases").await,
        "19990"
    );
}

#[tokio::test]
async fn webhooks_that_are_late_doubled_lost_or_out_of_order_change_nothing() {
    let mut shop = Shop::start().await;
    shop.lead("lead-1", "ana@example.com").await;
    let charge = |reference: &str| {
        Charge::new(Method::Pix, 1_000)
            .reference(reference)
            .by("ana@example.com")
    };
    let one = shop.mercado_pago.create(SELLER, &charge("one"));
    shop.mercado_pago.pay(&one);
    shop.mercado_pago.refund(&one, 300);
    shop.mercado_pago.fail_webhooks(WebhookFault::Doubled, 3);
    let sent = shop.mercado_pago.deliver_due(true).await.unwrap();
    assert_eq!(sent.iter().map(|sent| sent.status).collect::<Vec<_>>(), [200; 6]);
    assert_eq!(
        shop.value("SELECT count(*)::text || ' ' || sum(deliveries) FROM payment_notifications")
            .await,
        "3 6"
    );
    // The update of the approval is lost for good; the one after it brings both.
    let two = shop.mercado_pago.create(SELLER, &charge("two"));
    shop.deliver().await;
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 1);
    shop.mercado_pago.pay(&two);
    shop.deliver().await;
    assert!(shop.book(&two).await.is_empty());
    shop.mercado_pago.refund(&two, 1_000);
    shop.deliver().await;

    assert_eq!(shop.book(&one).await, ["approval 1000 10", "refund -300 0"]);
    assert_eq!(shop.book(&two).await, ["approval 1000 10", "refund -1000 0"]);
    // The second was given back before we knew of it: Meta is not told of a sale that is none.
    assert_eq!(shop.of(&two, "conversion").await, "refunded_first");
    let ids: Vec<Value> = shop
        .purchases_at_meta()
        .await
        .iter()
        .map(|event| event["event_id"].clone())
        .collect();
    assert_eq!(ids, [json!("one")]);
}

#[tokio::test]
async fn refunds_and_chargebacks_stay_in_the_books_and_meta_has_one_purchase() {
    let mut shop = Shop::start().await;
    shop.lead("lead-1", "ana@example.com").await;
    let charge = Charge::new(Method::Card, 20_000)
        .reference("5")
        .by("ana@example.com");
    let card = shop.mercado_pago.create(SELLER, &charge);
    shop.deliver().await;
    assert_eq!(shop.purchases_at_meta().await.len(), 1);
    shop.advance(20 * DAY).await;
    shop.mercado_pago.refund(&card, 5_000);
    shop.deliver().await;
    shop.mercado_pago.set_status(&card, "in_mediation", "pending");
    shop.deliver().await;
    shop.mercado_pago.charge_back(&card);
    shop.deliver().await;
    shop.mercado_pago.set_status(&card, "charged_back", "reimbursed");
    shop.deliver().await;
    shop.mercado_pago.refund(&card, 15_000);
    shop.deliver().await;
    assert_eq!(
        shop.book(&card).await,
        [
            "approval 20000 996",
            "refund -5000 0",
            "chargeback:1 -15000 0",
            "reimbursement:1 15000 0",
            "refund -15000 0"
        ]
    );
    assert_eq!(shop.value("SELECT status FROM purchases").await, "refunded");
    assert_eq!(shop.of(&card, "match_method").await, "email");
    assert_eq!(shop.purchases_at_meta().await.len(), 1);
    // The books are added to, never changed.
    let changed = tokio::spawn({
        let url = shop.world.database.url().to_owned();
        async move {
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            client
                .batch_execute("UPDATE purchase_movements SET amount_minor = 1")
                .await
        }
    });
    let refused = changed.await.unwrap().unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("append-only"));
}

#[tokio::test]
async fn an_order_that_the_shop_gave_up_and_its_buyer_paid_is_a_purchase() {
    let mut shop = Shop::start().await;
    let record = json!({ "purchase": { "order_id": "1042", "value": 90.0, "currency": "BRL", "status": "cancelled",
        "email": "ana@example.com" } });
    let answer = shop.post("/api/purchases/record", Key::Secret, &record).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let charge = Charge::new(Method::Pix, 10_000)
        .reference("1042")
        .by("ana@example.com");
    let pix = shop.mercado_pago.create(SELLER, &charge);
    shop.mercado_pago.pay(&pix);
    shop.deliver().await;
    let purchases = shop.purchases_at_meta().await;
    assert_eq!(purchases.len(), 1, "{purchases:?}");
    assert_eq!(purchases[0]["custom_data"]["value"], json!(100.0));
    let order = "SELECT status || ' ' || amount_minor FROM purchases";
    assert_eq!(shop.value(order).await, "approved 10000");
    // The shop's word for it stays behind what was paid.
    assert_eq!(
        shop.post("/api/purchases/record", Key::Secret, &record)
            .await
            .status,
        202
    );
    assert_eq!(shop.purchases_at_meta().await.len(), 1);
}

#[tokio::test]
async fn an_order_that_is_paid_at_the_second_try_is_one_purchase_and_what_nobody_pays_expires() {
    let mut shop = Shop::start().await;
    let lead = shop.lead("lead-1", "ana@example.com").await;
    let charge = |method| {
        Charge::new(method, 8_000)
            .reference("30")
            .metadata(json!({ "lead_id": lead.to_string() }))
    };
    let refused = shop.mercado_pago.create(SELLER, &charge(Method::RefusedCard));
    let boleto = shop.mercado_pago.create(SELLER, &charge(Method::Boleto));
    shop.deliver().await;
    shop.advance(3 * DAY + HOUR).await;
    shop.deliver().await;
    assert_eq!(shop.of(&boleto, "status_detail").await, "expired");
    let pix = shop.mercado_pago.create(SELLER, &charge(Method::Pix));
    shop.mercado_pago.pay(&pix);
    shop.deliver().await;
    assert!(shop.book(&refused).await.is_empty() && shop.book(&boleto).await.is_empty());
    assert_eq!(shop.book(&pix).await, ["approval 8000 79"]);
    assert_eq!(shop.purchases_at_meta().await.len(), 1);
}

#[tokio::test]
async fn a_reference_to_a_lead_is_no_order_and_the_lead_may_buy_twice() {
    let mut shop = Shop::start().await;
    let lead = shop.lead("lead-1", "ana@example.com").await;
    for _ in 0..2 {
        let charge = Charge::new(Method::Pix, 1_000).reference(&format!("ld_{lead}"));
        let pix = shop.mercado_pago.create(SELLER, &charge);
        shop.mercado_pago.pay(&pix);
        shop.deliver().await;
        assert_eq!(shop.of(&pix, "match_method").await, "external_reference");
    }
    assert_eq!(shop.purchases_at_meta().await.len(), 2);
}

#[tokio::test]
async fn an_order_whose_payer_is_known_later_gets_its_event_then_and_once() {
    let mut shop = Shop::start().await;
    let nobodys = |reference: &str| Charge::new(Method::Pix, 1_000).reference(reference);
    let pay = |charge: Charge| {
        let id = shop.mercado_pago.create(SELLER, &charge);
        shop.mercado_pago.pay(&id);
        id
    };
    let (told, other, back) = (pay(nobodys("told")), pay(nobodys("other")), pay(nobodys("back")));
    shop.deliver().await;
    for id in [&told, &other, &back] {
        assert_eq!(shop.of(id, "conversion").await, "invalid");
    }
    assert_eq!(
        shop.value("SELECT count(event_number) || ' of ' || count(*) FROM purchases")
            .await,
        "0 of 3"
    );
    // It is read again and nobody is known still.
    shop.mercado_pago.edit(&told, |_| {});
    shop.deliver().await;
    assert_eq!(shop.of(&told, "conversion").await, "invalid");

    // One payment tells of its payer, one order is paid once more, and one is given back first.
    shop.mercado_pago.refund(&back, 1_000);
    shop.deliver().await;
    let ana = json!("ana@example.com");
    for id in [&told, &back] {
        shop.mercado_pago
            .edit(id, |payment| payment["payer"]["email"] = ana.clone());
    }
    let again = pay(nobodys("other").by("ana@example.com"));
    shop.deliver().await;
    assert_eq!(shop.of(&told, "conversion").await, "sent");
    assert_eq!(shop.of(&again, "conversion").await, "sent");
    // Whatever tells of them from now on.
    shop.mercado_pago.edit(&told, |_| {});
    shop.mercado_pago
        .edit(&other, |payment| payment["payer"]["email"] = ana.clone());
    let third = pay(nobodys("told").by("ana@example.com"));
    shop.deliver().await;
    for id in [&other, &third] {
        assert_eq!(shop.of(id, "conversion").await, "duplicate");
    }
    assert_ne!(shop.of(&back, "conversion").await, "sent");
    let mut purchases = shop.purchases_at_meta().await;
    purchases.sort_by_key(|purchase| purchase["event_id"].to_string());
    let said: Vec<_> = purchases
        .iter()
        .map(|purchase| (&purchase["event_id"], &purchase["user_data"]["em"]))
        .collect();
    let em = json!(EMAIL_SHA256);
    assert_eq!(said, [(&json!("other"), &em), (&json!("told"), &em)]);
    assert_eq!(
        shop.value("SELECT count(event_number) || ' of ' || count(*) FROM purchases")
            .await,
        "2 of 3"
    );
}

#[tokio::test]
async fn what_is_not_this_accounts_money_is_never_counted() {
    let mut shop = Shop::start().await;
    let charge = |reference: &str| {
        Charge::new(Method::Pix, 1_000)
            .reference(reference)
            .by("ana@example.com")
    };
    let test_mode = shop.mercado_pago.create(SELLER, &charge("test"));
    shop.mercado_pago
        .edit(&test_mode, |payment| payment["live_mode"] = json!(false));
    let transfer = Charge {
        operation_type: "money_transfer",
        ..charge("transfer")
    };
    let transfer = shop.mercado_pago.create(SELLER, &transfer);
    let dollars = Charge {
        currency: "USD",
        ..charge("usd")
    };
    let dollars = shop.mercado_pago.create(SELLER, &dollars);
    for id in [&test_mode, &transfer, &dollars] {
        shop.mercado_pago.pay(id);
    }
    // Another account's payment, told at our address.
    let others = shop.mercado_pago.create(OTHER_SELLER, &charge("other"));
    shop.mercado_pago.pay(&others);
    shop.deliver().await;
    assert_eq!(shop.of(&test_mode, "books").await, "test_mode");
    assert_eq!(shop.of(&transfer, "books").await, "not_a_sale");
    assert!(shop.book(&test_mode).await.is_empty() && shop.book(&transfer).await.is_empty());
    // Kept apart: in its own currency, and no conversion.
    assert_eq!(shop.of(&dollars, "conversion").await, "other_currency");
    assert_eq!(
        shop.value("SELECT string_agg(currency || ' ' || amount_minor, ', ') FROM purchase_movements")
            .await,
        "USD 1000"
    );
    assert_eq!(
        shop.value(&format!(
            "SELECT count(*)::text FROM payments WHERE payment_id = '{others}'"
        ))
        .await,
        "0"
    );
    assert!(shop.purchases_at_meta().await.is_empty());
}

#[tokio::test]
async fn a_payment_that_the_token_may_read_and_that_is_another_accounts_is_not_kept() {
    let shop = Shop::with(|account| account.account_id = 77_777).await;
    let address = format!("{}/77777", common::webhooks(&shop.world));
    shop.mercado_pago.register_webhook(SELLER, &address);
    let pix = shop
        .mercado_pago
        .create(SELLER, &Charge::new(Method::Pix, 1_000).reference("1"));
    shop.mercado_pago.pay(&pix);
    shop.deliver().await;
    assert_eq!(shop.ends().await, ["ignored/other_account 2"]);
    assert_eq!(shop.value("SELECT count(*)::text FROM payments").await, "0");
}

#[tokio::test]
async fn an_address_that_many_people_share_finds_nobody() {
    let shop = Shop::start().await;
    for person in 0..6 {
        let lead = json!({ "lead": { "name": "Ana", "email": "loja@example.com", "phone": format!("(11) 91234-560{person}") } });
        assert_eq!(
            shop.post("/api/leads/capture", Key::Secret, &lead).await.status,
            202
        );
        let charge = Charge::new(Method::Pix, 1_000).by("loja@example.com");
        let pix = shop.mercado_pago.create(SELLER, &charge);
        shop.mercado_pago.pay(&pix);
        shop.deliver().await;
        let method = shop.of(&pix, "coalesce(match_method, 'nobody')").await;
        assert_eq!(method, if person < 5 { "email" } else { "nobody" }, "{person}");
    }
}

#[tokio::test]
async fn an_amount_that_changes_after_the_approval_is_an_adjustment() {
    let shop = Shop::start().await;
    let card = shop
        .mercado_pago
        .create(SELLER, &Charge::new(Method::Card, 10_000).reference("1"));
    shop.deliver().await;
    shop.mercado_pago
        .edit(&card, |payment| payment["transaction_amount"] = json!(90.0));
    shop.deliver().await;
    assert_eq!(
        shop.book(&card).await,
        ["approval 10000 498", "adjustment:1 -1000 0"]
    );
}

#[tokio::test]
async fn what_cannot_be_read_at_first_is_read_later_and_what_does_not_exist_ends_as_ignored() {
    let shop = Shop::start().await;
    let pix = shop
        .mercado_pago
        .create(SELLER, &Charge::new(Method::Pix, 1_000).reference("1"));
    shop.mercado_pago.pay(&pix);
    // Four tries each: the whole service is away, then asks for patience, then is behind.
    let status = |status, retry_after| ApiFault::Status { status, retry_after };
    shop.mercado_pago.fail_with(status(503, None), 4);
    shop.deliver().await;
    assert!(
        shop.ends()
            .await
            .iter()
            .all(|end| end.starts_with("pending/unreadable")),
        "{:?}",
        shop.ends().await
    );
    shop.advance(Duration::from_secs(3)).await;
    shop.mercado_pago.fail_with(ApiFault::Reset, 1);
    shop.mercado_pago.fail_with(status(429, Some(0)), 1);
    shop.follow().await;
    assert_eq!(shop.book(&pix).await, ["approval 1000 10"]);

    // An answer that is behind changes nothing, and is not the last.
    shop.mercado_pago.refund(&pix, 1_000);
    shop.mercado_pago.fail_with(ApiFault::Stale, 1);
    shop.deliver().await;
    assert_eq!(shop.book(&pix).await, ["approval 1000 10"]);
    shop.advance(Duration::from_secs(3)).await;
    shop.follow().await;
    assert_eq!(shop.book(&pix).await, ["approval 1000 10", "refund -1000 0"]);

    let gone = shop.mercado_pago.create(SELLER, &Charge::new(Method::Pix, 1_000));
    shop.mercado_pago.deliver_due(false).await.unwrap();
    shop.mercado_pago.forget(&gone);
    for _ in 0..7 {
        shop.follow().await;
        shop.advance(2 * HOUR).await;
    }
    assert!(
        shop.ends().await.contains(&"ignored/not_found 1".to_owned()),
        "{:?}",
        shop.ends().await
    );
    assert_eq!(
        shop.value("SELECT count(*)::text FROM payment_notifications WHERE state = 'pending'")
            .await,
        "0"
    );
}

#[tokio::test]
async fn a_revoked_token_costs_time_and_no_payment() {
    let mut shop = Shop::start().await;
    shop.lead("lead-1", "ana@example.com").await;
    let charge = Charge::new(Method::Pix, 1_000)
        .reference("1")
        .by("ana@example.com");
    let pix = shop.mercado_pago.create(SELLER, &charge);
    shop.mercado_pago.pay(&pix);
    shop.mercado_pago.change_token(SELLER, "APP_USR-new");
    shop.deliver().await;
    let requests = shop.mercado_pago.requests();
    assert_eq!(
        shop.value("SELECT (blocked_reason IS NOT NULL)::text FROM payment_accounts")
            .await,
        "true"
    );
    // Nothing is asked while it is blocked, however long its notifications wait.
    shop.advance(Duration::from_secs(300)).await;
    shop.follow().await;
    assert_eq!(shop.mercado_pago.requests(), requests);
    shop.account.access_token = "APP_USR-new".into();
    shop.world.store.put_payment_account(&shop.account).await.unwrap();
    shop.advance(HOUR).await;
    shop.follow().await;
    assert_eq!(shop.book(&pix).await, ["approval 1000 10"]);
    assert_eq!(shop.purchases_at_meta().await.len(), 1);
}

#[tokio::test]
async fn ten_thousand_notifications_of_one_payment_are_one_read() {
    let mut shop = Shop::start().await;
    shop.lead("lead-1", "ana@example.com").await;
    let charge = Charge::new(Method::Pix, 1_000)
        .reference("1")
        .by("ana@example.com");
    let pix = shop.mercado_pago.create(SELLER, &charge);
    shop.mercado_pago.pay(&pix);
    shop.mercado_pago.deliver_due(false).await.unwrap();
    shop.world
        .database
        .execute(&format!(
            "INSERT INTO payment_notifications (
                dataset_id, account_id, delivery_key, source, topic, resource_id, due_at, received_at, last_received_at
             )
             SELECT {DATASET_ID}, {SELLER}, sha256(n::text::bytea), 'webhook', 'payment', '{pix}', now(), now(), now()
             FROM generate_series(1, 10000) AS n"
        ))
        .await;
    let before = shop.mercado_pago.requests();
    shop.follow().await;
    assert!(shop.mercado_pago.requests() - before <= 2);
    assert_eq!(shop.ends().await, ["done/applied 10002"]);
    assert_eq!(shop.book(&pix).await, ["approval 1000 10"]);
    assert_eq!(shop.purchases_at_meta().await.len(), 1);
}

#[tokio::test]
async fn a_service_that_is_killed_anywhere_loses_nothing_and_does_nothing_twice() {
    let mut shop = Shop::start().await;
    shop.lead("lead-1", "ana@example.com").await;
    let ids: Vec<String> = (0..12)
        .map(|order| {
            let charge = Charge::new(Method::Pix, 1_000 + order)
                .reference(&format!("order-{order}"))
                .by("ana@example.com");
            let pix = shop.mercado_pago.create(SELLER, &charge);
            shop.mercado_pago.pay(&pix);
            shop.mercado_pago.refund(&pix, 100);
            pix
        })
        .collect();
    shop.mercado_pago.deliver_due(true).await.unwrap();
    // Ever later into the work: in the claim, in the read, in the transaction, between two payments.
    let mut killed = 0;
    for step in 0..40_u64 {
        let (payments, config) = (shop.payments.clone(), shop.config.payments.clone());
        let working = tokio::spawn(async move { payments.round(&config).await });
        tokio::time::sleep(Duration::from_micros(500 * step)).await;
        working.abort();
        killed += u32::from(working.await.is_err());
        // What it held is free again.
        shop.world
            .database
            .execute("UPDATE payment_notifications SET due_at = rastro_now() WHERE state = 'pending'")
            .await;
    }
    assert!(killed > 5, "{killed} of 40 were at work when they were killed");
    shop.follow().await;
    for (order, id) in ids.iter().enumerate() {
        assert_eq!(
            shop.book(id).await,
            [
                format!("approval {} 10", 1_000 + order),
                "refund -100 0".to_owned()
            ]
        );
    }
    assert_eq!(shop.ends().await, ["done/applied 36"]);
    assert_eq!(shop.purchases_at_meta().await.len(), ids.len());
}

#[tokio::test]
async fn commercial_orders_chargebacks_and_orders_lead_to_their_payments() {
    let shop = Shop::with(|account| account.unsigned = Unsigned::Hint).await;
    let pix = shop
        .mercado_pago
        .create(SELLER, &Charge::new(Method::Pix, 1_000).reference("1"));
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 2);
    shop.mercado_pago.pay(&pix);
    shop.mercado_pago.deliver_due(false).await.unwrap();
    let order = shop.mercado_pago.merchant_order(&[&pix]);
    assert_eq!(
        shop.mercado_pago
            .send_ipn(SELLER, "merchant_order", &order)
            .await
            .unwrap(),
        200
    );
    shop.follow().await;
    assert_eq!(shop.book(&pix).await, ["approval 1000 10"]);
    assert_eq!(shop.of(&pix, "discovered_by").await, "hint");

    // The payment's own webhook is lost, the chargeback's comes.
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 1);
    shop.mercado_pago.charge_back(&pix);
    shop.deliver().await;
    assert_eq!(
        shop.book(&pix).await,
        ["approval 1000 10", "chargeback:1 -1000 0"]
    );

    // An order of the other API: one payment that the Payments API knows, which is counted there, and one
    // that only the order knows.
    let known = shop
        .mercado_pago
        .create(SELLER, &Charge::new(Method::Card, 5_000).reference("2"));
    shop.deliver().await;
    let id = "ORD01JQ4S4KY8HWQ6NA5PXB65B3D3";
    let part = |id: &str, reference: Option<&str>, amount: &str| {
        json!({ "id": id, "reference_id": reference, "amount": amount, "paid_amount": amount, "status": "processed",
            "status_detail": "accredited", "payment_method": { "id": "visa", "type": "credit_card", "installments": 1 } })
    };
    let now = chrono::DateTime::from_timestamp(shop.world.now(), 0)
        .unwrap()
        .to_rfc3339();
    shop.mercado_pago.put_order(
        SELLER,
        id,
        json!({ "id": id, "user_id": SELLER.to_string(), "currency": "BRL", "external_reference": "3", "created_date": now,
            "last_updated_date": now, "transactions": { "payments": [
                part("PAY01JQ4S4KY8HWQ6NA5PXB65B3D4", Some(&known), "50.00"),
                part("PAY01JQ4S4KY8HWQ6NA5PXB65B3D5", None, "70.00") ] } }),
    );
    assert_eq!(
        shop.mercado_pago.send_ipn(SELLER, "order", id).await.unwrap(),
        200
    );
    shop.follow().await;
    assert_eq!(shop.book(&known).await, ["approval 5000 249"]);
    assert_eq!(
        shop.book("PAY01JQ4S4KY8HWQ6NA5PXB65B3D4").await,
        Vec::<String>::new()
    );
    assert_eq!(
        shop.book("PAY01JQ4S4KY8HWQ6NA5PXB65B3D5").await,
        ["approval 7000 0"]
    );
}

#[tokio::test]
async fn the_purchase_of_a_payment_reaches_meta_in_the_trace_of_the_payment() {
    let shop = Shop::start().await;
    let collector = OtlpReceiver::start();
    let config = TelemetryConfig {
        log_format: LogFormat::Json,
        log_filter: "off".into(),
        otlp_endpoint: Some(collector.endpoint()),
        sample_ratio: 0.0,
    };
    let (dispatch, telemetry) = telemetry::dispatch("attribution", &config, std::io::sink).unwrap();
    let lead = shop.lead("lead-1", "ana@example.com").await;
    let charge = Charge::new(Method::Pix, 12_990)
        .reference("1042")
        .metadata(json!({ "lead_id": lead }));
    // A gateway that traces everything; attribution and forwarder sample nothing by themselves.
    let variables = |ratio| {
        [
            ("RASTRO__TELEMETRY__OTLP_ENDPOINT", collector.endpoint()),
            ("RASTRO__TELEMETRY__SAMPLE_RATIO", ratio),
        ]
    };
    let traced = variables("1".to_owned());
    let traced = traced.each_ref().map(|(name, value)| (*name, value.as_str()));
    let gateway = Process::gateway(&shop.world.database, &traced);
    let webhooks = gateway.conversions_url().await;
    let webhooks = webhooks.replace("/meta/conversions", "/webhooks/mercado-pago");
    shop.mercado_pago
        .register_webhook(SELLER, &format!("{webhooks}/{SELLER}"));
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 1);
    let pix = shop.mercado_pago.create(SELLER, &charge);
    shop.mercado_pago.pay(&pix);
    {
        let _this_service = tracing::dispatcher::set_default(&dispatch);
        shop.deliver().await;
    }
    telemetry.flush();
    let untraced = variables("0".to_owned());
    let untraced = untraced.each_ref().map(|(name, value)| (*name, value.as_str()));
    let _forwarder = Process::forwarder(&shop.world.database, &shop.world.sandbox.url(), &untraced);
    let spans = collector.wait_for(|spans| spans.len() >= 4).await;
    let sent: Vec<_> = spans
        .iter()
        .filter(|span| span.service == "capi-forwarder")
        .collect();
    let [sent] = sent[..] else {
        panic!("one event: {spans:#?}")
    };
    let paid: Vec<_> = spans
        .iter()
        .filter(|span| span.span_id == sent.parent_span_id)
        .collect();
    let [paid] = paid[..] else {
        panic!("its parent is here: {spans:#?}")
    };
    assert_eq!(
        (paid.service.as_str(), paid.name.as_str(), &paid.trace_id),
        ("attribution", "process payment_notifications", &sent.trace_id)
    );
    assert_eq!(
        tree(&spans, &paid.trace_id),
        [
            "ingest-gateway server POST /api/webhooks/mercado-pago/{account}",
            "  attribution consumer process payment_notifications",
            "    capi-forwarder client POST /{version}/{dataset_id}/events",
            "  ingest-gateway client INSERT payment_notifications",
        ]
    );
    assert_eq!(paid.attributes["payment.id"], pix);
    assert_eq!(paid.attributes["messaging.operation.type"], "process");
    // Its page links to it.
    let stored = "SELECT trace_id FROM events WHERE event_name = 'Purchase'";
    assert_eq!(shop.value(stored).await, sent.trace_id);
}

#[tokio::test]
async fn an_orders_payment_that_gets_its_number_later_is_booked_once() {
    let mut shop = Shop::with(|account| account.unsigned = Unsigned::Hint).await;
    // Who paid is only known by the lead: an order of this API tells no payer.
    let lead = format!("ld_{}", shop.lead("lead-1", "ana@example.com").await);
    let id = "ORD01JQ4S4KY8HWQ6NA5PXB65B3D3";
    let own = "PAY01JQ4S4KY8HWQ6NA5PXB65B3D4";
    let put = |reference: Option<&str>| {
        let now = chrono::DateTime::from_timestamp(shop.world.now(), 0)
            .unwrap()
            .to_rfc3339();
        shop.mercado_pago.put_order(
            SELLER,
            id,
            json!({ "id": id, "user_id": SELLER.to_string(), "currency": "BRL", "external_reference": lead,
                "created_date": now, "last_updated_date": now, "transactions": { "payments": [{ "id": own, "reference_id": reference,
                "amount": "50.00", "paid_amount": "50.00", "status": "processed", "status_detail": "accredited",
                "payment_method": { "id": "visa", "type": "credit_card", "installments": 1 } }] } }),
        );
    };
    put(None);
    shop.mercado_pago.send_ipn(SELLER, "order", id).await.unwrap();
    shop.follow().await;
    assert_eq!(shop.book(own).await, ["approval 5000 0"]);

    // The Payments API knows it by now, and its own webhook is lost. The order tells both numbers.
    shop.advance(HOUR).await;
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 2);
    let known = shop
        .mercado_pago
        .create(SELLER, &Charge::new(Method::Card, 5_000).reference(&lead));
    shop.mercado_pago.deliver_due(false).await.unwrap();
    put(Some(&known));
    let again = "UPDATE payment_notifications SET state = 'pending', finished_at = NULL, due_at = now()";
    shop.world.database.execute(again).await;
    shop.follow().await;
    // Under the number that it is booked under, with the fee that is known now.
    assert_eq!(shop.book(own).await, ["approval 5000 0", "fee:1 0 249"]);
    assert_eq!(shop.book(&known).await, Vec::<String>::new());

    // Whatever tells of it later, by either number.
    shop.advance(HOUR).await;
    shop.mercado_pago.refund(&known, 1_000);
    shop.deliver().await;
    attribution::reconcile::compare_now(
        &shop.payments,
        &shop.account,
        35,
        &rastro_service::shutdown::Shutdown::new(),
    )
    .await
    .unwrap();
    assert_eq!(
        shop.book(own).await,
        ["approval 5000 0", "fee:1 0 249", "refund -1000 0"]
    );
    assert_eq!(shop.book(&known).await, Vec::<String>::new());
    let sums =
        "SELECT concat_ws(' ', state, remote_minor, local_minor, after_minor) FROM reconciliation_runs";
    assert_eq!(shop.value(sums).await, "complete 4000 4000 4000");
    assert_eq!(shop.purchases_at_meta().await.len(), 1);
}

#[tokio::test]
async fn nothing_of_a_retired_dataset_is_sent_and_what_was_told_of_it_waits() {
    let mut shop = Shop::start().await;
    let pix = |cents: i64, order: &str| {
        Charge::new(Method::Pix, cents)
            .reference(order)
            .by("ana@example.com")
    };
    let before = shop.mercado_pago.create(SELLER, &pix(1_000, "before"));
    shop.mercado_pago.pay(&before);
    shop.deliver().await;
    let retire = "UPDATE datasets SET retired_at = now()";
    shop.world.database.execute(retire).await;
    let after = shop.mercado_pago.create(SELLER, &pix(2_000, "after"));
    shop.mercado_pago.pay(&after);
    shop.mercado_pago.deliver_due(false).await.unwrap();
    // The gateway takes none of it any more, or it waits; a comparison does not look either.
    shop.follow().await;
    assert!(shop.world.store.open_payment_accounts().await.unwrap().is_empty());
    let row = "INSERT INTO payment_notifications (dataset_id, account_id, delivery_key, source, topic, resource_id, due_at,
            received_at, last_received_at)
        SELECT dataset_id, account_id, sha256('late'), 'webhook', 'payment', '";
    let row = format!("{row}{after}', now(), now(), now() FROM payment_accounts");
    shop.world.database.execute(&row).await;
    shop.follow().await;
    assert_eq!(shop.book(&after).await, Vec::<String>::new());
    assert_eq!(shop.book(&before).await, ["approval 1000 10"]);
    let waiting = "SELECT count(*) FROM payment_notifications WHERE state = 'pending' AND attempts = 0";
    assert_ne!(shop.value(waiting).await, "0");
    assert_eq!(
        shop.value("SELECT string_agg(event_id, ' ') FROM events").await,
        "before"
    );

    shop.world
        .database
        .execute("UPDATE datasets SET retired_at = NULL")
        .await;
    shop.follow().await;
    assert_eq!(shop.book(&after).await, ["approval 2000 20"]);
    assert_eq!(shop.purchases_at_meta().await.len(), 2);
}

#[tokio::test]
async fn a_payment_of_a_merchant_order_that_cannot_be_read_keeps_no_other_back() {
    let shop = Shop::with(|account| account.unsigned = Unsigned::Hint).await;
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 10);
    let gone = shop.mercado_pago.create(SELLER, &Charge::new(Method::Pix, 1_000));
    let paid = shop
        .mercado_pago
        .create(SELLER, &Charge::new(Method::Card, 2_000));
    let order = shop.mercado_pago.merchant_order(&[&gone, &paid]);
    shop.mercado_pago.forget(&gone);
    shop.mercado_pago
        .send_ipn(SELLER, "merchant_order", &order)
        .await
        .unwrap();
    shop.follow().await;
    assert_eq!(shop.book(&paid).await, ["approval 2000 100"]);
    assert_eq!(shop.ends().await, ["ignored/not_found 1"]);
}

#[tokio::test]
async fn a_payment_that_nobody_is_known_of_is_matched_by_hand_and_becomes_its_leads_purchase() {
    let mut shop = Shop::start().await;
    let lead = shop.lead("lead-1", "ana@example.com").await;
    let charge = Charge::new(Method::Pix, 12_990).reference("pedido-1");
    let pix = shop.mercado_pago.create(SELLER, &charge);
    shop.mercado_pago.pay(&pix);
    shop.deliver().await;
    assert_eq!(shop.of(&pix, "conversion").await, "invalid");
    let dataset = shop.account.dataset_id;
    for (payment, lead) in [(pix.as_str(), lead + 1), ("1", lead)] {
        let refused = matching::by_hand(&shop.payments, dataset, payment, lead, "bia").await;
        refused.unwrap_err();
    }
    assert_eq!(shop.value("SELECT count(*)::text FROM admin_log").await, "0");

    let said = matching::by_hand(&shop.payments, dataset, &pix, lead, "bia")
        .await
        .unwrap();
    assert_eq!(
        said,
        format!("payment {pix} is lead {lead}'s; its Purchase goes to Meta now")
    );
    let whose = "SELECT concat_ws(' ', lead_id, match_method) FROM purchases";
    assert_eq!(shop.value(whose).await, format!("{lead} manual"));
    assert_eq!(
        shop.value("SELECT who || ' ' || action || ' ' || detail FROM admin_log")
            .await,
        format!(r#"bia payment.match {{"lead_id": {{"to": {lead}, "from": null}}, "payment_id": "{pix}"}}"#)
    );
    let purchases = shop.purchases_at_meta().await;
    assert_eq!(purchases.len(), 1);
    assert_eq!(purchases[0]["user_data"]["fbc"], FBC);
    assert_eq!(purchases[0]["custom_data"]["value"], 129.9);

    // What is read later finds nobody, and changes nothing of it.
    shop.advance(HOUR).await;
    shop.mercado_pago.refund(&pix, 990);
    shop.deliver().await;
    let matched = shop
        .of(
            &pix,
            "concat_ws(' ', lead_id, match_method, match_confidence, refunded_minor)",
        )
        .await;
    assert_eq!(matched, format!("{lead} manual 100 990"));
}
