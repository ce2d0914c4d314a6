//! Orders and what pays for them: payments of the Orders API, which have two numbers and one amount of money.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::time::Duration;

use attribution::reconcile;
use chrono::{DateTime, Days, SecondsFormat};
use common::{DAY, FBC, HOUR, SELLER, Shop, USER_AGENT};
use rastro_core::attribution::Model;
use rastro_sandbox::mercado_pago::{ApiFault, Charge, Method, WebhookFault};
use rastro_service::shutdown::Shutdown;
use rastro_store::{RevenueFilter, Unsigned};
use rastro_test_support::{Key, eventually};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const ORDER: &str = "ORD01JQ4S4KY8HWQ6NA5PXB65B3D3";
const OWN: &str = "PAY01JQ4S4KY8HWQ6NA5PXB65B3D4";
const OTHER: &str = "PAY01JQ4S4KY8HWQ6NA5PXB65B3D5";
const WAITING: (&str, &str) = ("action_required", "waiting_transfer");
const PAID: (&str, &str) = ("processed", "accredited");
/// Approvals, fees and what is left, of all payments.
const BOOKS: &str =
    "SELECT concat_ws(' ', count(*) FILTER (WHERE kind = 'approval'), sum(amount_minor), sum(fee_minor))
    FROM purchase_movements";

/// A payment of an order, as the order tells of it.
fn part(id: &str, number: Option<&str>, (status, detail): (&str, &str)) -> Value {
    json!({ "id": id, "reference_id": number, "amount": "50.00", "paid_amount": "50.00", "status": status,
        "status_detail": detail, "payment_method": { "id": "visa", "type": "credit_card", "installments": 1 } })
}

impl Shop {
    async fn of_orders() -> Self {
        Shop::with(|account| account.unsigned = Unsigned::Hint).await
    }

    /// Puts the order there, changed so many seconds from now.
    fn put(&self, reference: &str, ahead: i64, parts: &[Value]) {
        let at = |seconds| {
            let time = DateTime::from_timestamp(self.world.now() + seconds, 0).unwrap();
            time.to_rfc3339_opts(SecondsFormat::Millis, true)
        };
        let order = json!({ "id": ORDER, "user_id": SELLER.to_string(), "currency": "BRL", "external_reference": reference,
            "created_date": at(0), "last_updated_date": at(ahead), "transactions": { "payments": parts } });
        self.mercado_pago.put_order(SELLER, ORDER, order);
    }

    /// The order is told of, for the first time or again.
    async fn tell_of_order(&self) {
        self.mercado_pago.send_ipn(SELLER, "order", ORDER).await.unwrap();
        let again = "UPDATE payment_notifications SET state = 'pending', finished_at = NULL, attempts = 0, due_at = rastro_now()
            WHERE topic = 'order'";
        self.world.database.execute(again).await;
    }

    /// A worker of its own takes the one resource that is due.
    fn worker(&self) -> JoinHandle<()> {
        let (payments, config) = (self.payments.clone(), self.config.payments.clone());
        tokio::spawn(async move {
            payments.round(&config).await.unwrap();
        })
    }

    async fn compare(&self) -> String {
        reconcile::compare_now(&self.payments, &self.account, 35, &Shutdown::new())
            .await
            .unwrap();
        let sums =
            "SELECT concat_ws(' ', state, remote_minor, local_minor, after_minor) FROM reconciliation_runs
            ORDER BY run_id DESC LIMIT 1";
        self.value(sums).await
    }

    /// Waits until so many sessions wait for a lock.
    async fn stuck(&self, sessions: &str) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("sessions wait for a lock", async || {
            (self.value(waiting).await == sessions).then_some(())
        })
        .await;
    }

    /// Keeps everybody from recording orders until it is dropped.
    async fn lock_purchases(&self) -> Locked {
        let (client, connection) = tokio_postgres::connect(self.world.database.url(), tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
            .batch_execute("BEGIN; LOCK TABLE purchases IN SHARE MODE")
            .await
            .unwrap();
        Locked(client)
    }
}

struct Locked(tokio_postgres::Client);

impl Locked {
    async fn release(self) {
        self.0.batch_execute("COMMIT").await.unwrap();
    }
}

/// A card that the Payments API knows too, of which one webhook is on its way.
fn card(shop: &Shop, reference: &str) -> String {
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 1);
    let charge = Charge::new(Method::Card, 5_000).reference(reference);
    shop.mercado_pago.create(SELLER, &charge)
}

#[tokio::test]
async fn an_order_and_its_payment_that_are_read_at_once_are_booked_once() {
    for order_first in [true, false] {
        let mut shop = Shop::of_orders().await;
        // A lead may buy twice: each payment is an order of its own.
        let lead = format!("ld_{}", shop.lead("lead-1", "ana@example.com").await);
        shop.put(&lead, 0, &[part(OWN, None, WAITING)]);
        shop.tell_of_order().await;
        shop.follow().await;
        assert_eq!(shop.of(OWN, "status").await, "pending");

        let number = card(&shop, &lead);
        shop.put(&lead, 0, &[part(OWN, Some(&number), PAID)]);
        let mut held = shop.mercado_pago.hold(&number);
        shop.mercado_pago.deliver_due(false).await.unwrap();
        let of_payment = shop.worker();
        let payment_is_read = held.arrived().await;
        shop.tell_of_order().await;
        let of_order = shop.worker();
        let order_is_read = held.arrived().await;
        let turns = match order_first {
            true => [(order_is_read, of_order), (payment_is_read, of_payment)],
            false => [(payment_is_read, of_payment), (order_is_read, of_order)],
        };
        for (read, worker) in turns {
            drop(read);
            worker.await.unwrap();
        }
        drop(held);
        shop.follow().await;
        // 4.98 % of 50.00.
        assert_eq!(
            shop.value(BOOKS).await,
            "1 5000 249",
            "order first: {order_first}"
        );
        assert_eq!(shop.purchases_at_meta().await.len(), 1);
        assert_eq!(shop.compare().await, "complete 5000 5000 5000");
    }
}

#[tokio::test]
async fn an_order_waits_for_its_payment_that_is_being_booked() {
    let mut shop = Shop::of_orders().await;
    let lead = format!("ld_{}", shop.lead("lead-1", "ana@example.com").await);
    shop.put(&lead, 0, &[part(OWN, None, WAITING)]);
    shop.tell_of_order().await;
    shop.follow().await;
    let number = card(&shop, &lead);
    shop.put(&lead, 0, &[part(OWN, Some(&number), PAID)]);
    shop.mercado_pago.deliver_due(false).await.unwrap();
    let locked = shop.lock_purchases().await;
    let of_payment = shop.worker();
    shop.stuck("1").await;
    shop.tell_of_order().await;
    let of_order = shop.worker();
    shop.stuck("2").await;
    locked.release().await;
    of_payment.await.unwrap();
    of_order.await.unwrap();
    assert_eq!(shop.value(BOOKS).await, "1 5000 249");
    assert_eq!(shop.book(&number).await, ["approval 5000 249"]);
    assert_eq!(shop.purchases_at_meta().await.len(), 1);
}

#[tokio::test]
async fn a_payment_that_was_booked_twice_is_booked_once_when_its_order_is_read_again() {
    let shop = Shop::of_orders().await;
    shop.put("7", 0, &[part(OWN, None, PAID)]);
    shop.tell_of_order().await;
    shop.follow().await;
    let number = card(&shop, "7");
    shop.deliver().await;
    // As it was left by who looked for the other number too early.
    let alias = format!(
        "INSERT INTO payment_aliases SELECT dataset_id, '{number}', '{OWN}', now() FROM payment_accounts"
    );
    shop.world.database.execute(&alias).await;
    assert_eq!(shop.value(BOOKS).await, "2 10000 249");

    shop.put("7", 5, &[part(OWN, Some(&number), PAID)]);
    for _ in 0..2 {
        shop.tell_of_order().await;
        shop.follow().await;
        assert_eq!(shop.book(OWN).await, ["approval 5000 0", "fee:1 0 249"]);
        assert_eq!(
            shop.book(&number).await,
            ["approval 5000 249", "adjustment:1 -5000 0", "fee:1 0 -249"]
        );
    }
    assert_eq!(shop.of(&number, "status_detail").await, "same_as_another");
    assert_eq!(shop.compare().await, "complete 5000 5000 5000");
    // Nor did it come twice in the sums of its day.
    let crediting =
        attribution::crediting::Crediting::new(shop.world.store.clone(), &shop.config.crediting).unwrap();
    crediting.round(&Shutdown::new()).await.unwrap();
    let revenue =
        "SELECT concat_ws(' ', sum(gross_minor), sum(net_minor), sum(fee_minor)) FROM revenue_daily";
    assert_eq!(shop.value(revenue).await, "5000 5000 249");
    // What happens to it later happens once.
    shop.advance(HOUR).await;
    shop.mercado_pago.refund(&number, 1_000);
    shop.deliver().await;
    assert_eq!(shop.value(BOOKS).await, "2 4000 249");
    assert_eq!(shop.compare().await, "complete 4000 4000 4000");
}

#[tokio::test]
async fn an_order_whose_follower_dies_at_any_commit_is_followed_to_its_end() {
    // The two numbers become one payment, the books of one are taken back, and the other is as it was read.
    let deaths = [
        ("INSERT", "payment_aliases", String::new()),
        (
            "INSERT",
            "purchase_movements",
            "new.kind = 'adjustment'".to_owned(),
        ),
        ("UPDATE", "payments", format!("new.payment_id <> '{OWN}'")),
    ];
    for (doing, table, row) in &deaths {
        let shop = Shop::of_orders().await;
        shop.put("7", 0, &[part(OWN, None, PAID)]);
        shop.tell_of_order().await;
        shop.follow().await;
        let number = card(&shop, "7");
        shop.deliver().await;
        assert_eq!(shop.value(BOOKS).await, "2 10000 249");

        shop.put("7", 5, &[part(OWN, Some(&number), PAID)]);
        shop.fail_commits(doing, table, row).await;
        shop.tell_of_order().await;
        shop.follow().await;
        let of_order =
            "SELECT concat_ws(' ', state, outcome) FROM payment_notifications WHERE topic = 'order'";
        assert_eq!(shop.value(of_order).await, "pending not_stored", "{table}");

        shop.commits_again(table).await;
        shop.advance(HOUR).await;
        shop.follow().await;
        assert_eq!(shop.value(of_order).await, "done applied", "{table}");
        assert_eq!(shop.book(OWN).await, ["approval 5000 0", "adjustment:1 -5000 0"]);
        assert_eq!(shop.book(&number).await, ["approval 5000 249"]);
    }
}

#[tokio::test]
async fn a_fee_is_booked_though_the_orders_clock_is_ahead_and_an_older_state_is_not() {
    let shop = Shop::of_orders().await;
    let number = card(&shop, "7");
    shop.mercado_pago.deliver_due(false).await.unwrap();
    shop.world
        .database
        .execute("DELETE FROM payment_notifications")
        .await;
    shop.put("7", 30, &[part(OWN, None, PAID)]);
    shop.tell_of_order().await;
    shop.follow().await;
    assert_eq!(shop.book(OWN).await, ["approval 5000 0"]);
    shop.put("7", 30, &[part(OWN, Some(&number), PAID)]);
    // The payment's answer is behind the order, which says that it is paid.
    shop.mercado_pago.fail_payment(&number, ApiFault::Stale);
    shop.tell_of_order().await;
    shop.follow().await;
    assert_eq!(shop.of(OWN, "status").await, "approved");
    assert_eq!(shop.book(OWN).await, ["approval 5000 0"]);
    // Its own date is half a minute before the order's.
    assert_eq!(shop.compare().await, "complete 5000 5000 5000");
    assert_eq!(shop.book(OWN).await, ["approval 5000 0", "fee:1 0 249"]);
}

#[tokio::test]
async fn a_payment_whose_number_leads_nowhere_is_booked_and_so_are_the_others_of_its_order() {
    let shop = Shop::of_orders().await;
    let number = card(&shop, "7");
    shop.mercado_pago.deliver_due(false).await.unwrap();
    shop.world
        .database
        .execute("DELETE FROM payment_notifications")
        .await;
    shop.put("7", 0, &[part(OWN, Some(&number), PAID), part(OTHER, None, PAID)]);
    shop.mercado_pago.fail_payment(&number, ApiFault::NotFound);
    shop.tell_of_order().await;
    shop.follow().await;
    assert_eq!(shop.book(OWN).await, ["approval 5000 0"]);
    assert_eq!(shop.book(OTHER).await, ["approval 5000 0"]);
    assert_eq!(shop.ends().await, ["done/applied 1"]);
    // Once it is there, it is the same payment.
    shop.mercado_pago.edit(&number, |_| {});
    shop.deliver().await;
    assert_eq!(shop.book(OWN).await, ["approval 5000 0", "fee:1 0 249"]);
    assert!(shop.book(&number).await.is_empty());
    // The list knows the one; the other is its order's alone.
    assert_eq!(shop.compare().await, "complete 5000 5000 5000");
}

#[tokio::test]
async fn one_payment_of_an_order_that_cannot_be_read_keeps_no_other_back() {
    let shop = Shop::of_orders().await;
    let number = card(&shop, "7");
    shop.mercado_pago.deliver_due(false).await.unwrap();
    shop.world
        .database
        .execute("DELETE FROM payment_notifications")
        .await;
    shop.put("7", 0, &[part(OWN, Some(&number), PAID), part(OTHER, None, PAID)]);
    for _ in 0..4 {
        let away = ApiFault::Status {
            status: 503,
            retry_after: None,
        };
        shop.mercado_pago.fail_payment(&number, away);
    }
    shop.tell_of_order().await;
    shop.follow().await;
    assert_eq!(shop.book(OTHER).await, ["approval 5000 0"]);
    assert!(shop.book(OWN).await.is_empty());
    // The order is told of as long as one of it is missing.
    assert!(
        shop.ends().await[0].starts_with("pending/"),
        "{:?}",
        shop.ends().await
    );
    shop.advance(Duration::from_secs(3)).await;
    shop.follow().await;
    assert_eq!(shop.book(&number).await, ["approval 5000 249"]);
}

#[tokio::test]
async fn a_payment_that_only_its_order_knows_is_followed_by_comparisons() {
    let shop = Shop::of_orders().await;
    let lead = format!("ld_{}", shop.lead("lead-1", "ana@example.com").await);
    shop.put(&lead, 0, &[part(OWN, None, WAITING)]);
    shop.tell_of_order().await;
    shop.follow().await;
    assert_eq!(shop.of(OWN, "status").await, "pending");
    // Nobody tells that it was paid.
    shop.advance(HOUR).await;
    shop.put(&lead, 0, &[part(OWN, None, PAID)]);
    shop.compare().await;
    assert_eq!(shop.book(OWN).await, ["approval 5000 0"]);
    assert_eq!(shop.of(OWN, "conversion").await, "sent");
    let findings = "SELECT string_agg(concat_ws(' ', payment_id, finding, action, detail), ', ') FROM reconciliation_findings";
    let found = format!("{OWN} status_drift applied approved/accredited");
    assert_eq!(shop.value(findings).await, found);
    // Nothing is found a second time, and one whose order is gone keeps no comparison from its end.
    shop.compare().await;
    assert_eq!(shop.value(findings).await, found);
    let gone = "UPDATE payments SET status = 'pending', remote_order_id = 'ORD0'";
    shop.world.database.execute(gone).await;
    assert!(shop.compare().await.starts_with("complete "));
    let found = "SELECT finding || ' ' || action FROM reconciliation_findings ORDER BY run_id DESC LIMIT 1";
    assert_eq!(shop.value(found).await, "unreadable listed");
}

#[tokio::test]
async fn a_report_settles_a_payment_by_either_of_its_numbers() {
    let shop = Shop::of_orders().await;
    shop.put("7", 0, &[part(OWN, None, PAID)]);
    shop.tell_of_order().await;
    shop.follow().await;
    let number = card(&shop, "7");
    shop.put("7", 0, &[part(OWN, Some(&number), PAID)]);
    shop.tell_of_order().await;
    shop.follow().await;
    shop.deliver().await;
    assert_eq!(shop.book(OWN).await, ["approval 5000 0", "fee:1 0 249"]);
    let at = DateTime::from_timestamp(shop.world.now() - 60, 0).unwrap();
    let report = |net: &str| {
        format!(
            "SOURCE_ID;TRANSACTION_TYPE;TRANSACTION_AMOUNT;TRANSACTION_CURRENCY;SETTLEMENT_NET_AMOUNT;SETTLEMENT_CURRENCY;\
             SETTLEMENT_DATE\r\n{number};SETTLEMENT;50.00;BRL;{net};BRL;{}\r\n",
            at.to_rfc3339_opts(SecondsFormat::Millis, false)
        )
    };
    let (store, account) = (&shop.world.store, &shop.account);
    let settled = attribution::reports::import(store, account, "one.csv", report("47.40").as_bytes())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((settled.payments, settled.corrected, settled.listed), (1, 1, 0));
    assert_eq!(
        shop.book(OWN).await,
        ["approval 5000 0", "fee:1 0 249", "settled:1 0 11"]
    );
    assert_eq!(shop.world.store.settle_due(&shop.account).await.unwrap(), 0);
}

#[tokio::test]
async fn every_charge_of_a_subscription_is_a_purchase_of_its_own() {
    let mut shop = Shop::start().await;
    shop.lead("lead-1", "ana@example.com").await;
    let charge = Charge {
        operation_type: "recurring_payment",
        ..Charge::new(Method::Card, 5_000)
            .reference("plan-7")
            .by("ana@example.com")
    };
    let first = shop.mercado_pago.create(SELLER, &charge);
    shop.deliver().await;
    shop.advance(DAY).await;
    let second = shop.mercado_pago.create(SELLER, &charge);
    shop.deliver().await;
    for id in [&first, &second] {
        assert_eq!(
            (shop.of(id, "conversion").await, shop.of(id, "order_id").await),
            ("sent".into(), format!("mp_{id}"))
        );
    }
    assert_eq!(shop.purchases_at_meta().await.len(), 2);
}

#[tokio::test]
async fn each_buyer_of_a_payment_link_is_a_purchase_and_whoever_pays_twice_is_one() {
    let mut shop = Shop::start().await;
    let ana = shop.lead("lead-1", "ana@example.com").await;
    let bia = shop
        .lead_of(
            "lead-2",
            "bia@example.com",
            "fb.1.1790000000000.IwAR0bia",
            "fb.1.1596403881668.2",
        )
        .await;
    let pix = |cents, email: &str| {
        let charge = Charge::new(Method::Pix, cents).reference("link-1").by(email);
        shop.mercado_pago.create(SELLER, &charge)
    };
    let first = pix(5_000, "ana@example.com");
    shop.mercado_pago.pay(&first);
    shop.deliver().await;
    // Who pays is only told with the money.
    let second = pix(7_000, "bia@example.com");
    shop.deliver().await;
    assert_eq!(shop.of(&second, "order_id").await, "link-1");
    shop.mercado_pago.pay(&second);
    shop.deliver().await;
    let third = pix(2_000, "ana@example.com");
    shop.mercado_pago.pay(&third);
    shop.deliver().await;
    // A refund changes nobody's order.
    shop.mercado_pago.refund(&second, 1_000);
    shop.deliver().await;
    for (id, order, conversion, lead) in [
        (&first, "link-1", "sent", ana),
        (&second, &*format!("mp_{second}"), "sent", bia),
        (&third, "link-1", "duplicate", ana),
    ] {
        let columns = "concat_ws(' ', order_id, conversion, lead_id)";
        assert_eq!(shop.of(id, columns).await, format!("{order} {conversion} {lead}"));
    }
    let values = |purchases: &[Value]| {
        let values = purchases
            .iter()
            .map(|purchase| purchase["custom_data"]["value"].clone());
        values.collect::<Vec<_>>()
    };
    assert_eq!(
        values(&shop.purchases_at_meta().await),
        [json!(50.0), json!(70.0)]
    );
    // Meta knows nothing of the third, and nobody is told that it does.
    shop.advance(HOUR).await;
    let today = shop.world.database_now().await.date_naive();
    let filter = RevenueFilter {
        dataset: shop.account.dataset_id,
        currency: "BRL".into(),
        model: Model::Linear,
        from: today - Days::new(2),
        until: today,
    };
    let places = shop.world.store.purchase_places(&filter, "UTC").await.unwrap();
    let mut places: Vec<_> = places
        .iter()
        .map(|place| (place.place.as_str(), place.payments, place.amount_minor))
        .collect();
    places.sort_unstable();
    assert_eq!(places, [("accepted", 2, 12_000), ("other_payment", 1, 2_000)]);
}

#[tokio::test]
async fn two_buyers_who_pay_at_the_same_moment_are_two_purchases() {
    let mut shop = Shop::start().await;
    shop.lead("lead-1", "ana@example.com").await;
    for email in ["ana@example.com", "bia@example.com"] {
        let charge = Charge::new(Method::Card, 5_000).reference("link-1").by(email);
        shop.mercado_pago.create(SELLER, &charge);
    }
    shop.mercado_pago.deliver_due(false).await.unwrap();
    let locked = shop.lock_purchases().await;
    let both = shop.worker();
    shop.stuck("2").await;
    locked.release().await;
    both.await.unwrap();
    let conversions = "SELECT string_agg(conversion, ' ') FROM payments";
    assert_eq!(shop.value(conversions).await, "sent sent");
    assert_eq!(shop.purchases_at_meta().await.len(), 2);
}

#[tokio::test]
async fn a_claim_is_replaced_by_a_later_one_and_a_pages_never_replaces_a_servers() {
    let mut shop = Shop::start().await;
    let claim = |order: &str, fbc: &str, is_refused: bool| {
        let consent = if is_refused { "denied" } else { "granted" };
        json!({
            "purchase": { "order_id": order, "value": 1.0 },
            "consent": { "ad_storage": consent, "ad_user_data": consent, "source": "banner" },
            "event": { "event_time": shop.world.now(), "action_source": "website",
                "event_source_url": "https://www.clinica.example/checkout",
                "user_data": { "fbc": fbc, "client_user_agent": USER_AGENT } }
        })
    };
    let stranger = "fb.1.1790000000000.IwAR0stranger";
    let (page, server) = (Key::Publishable, Key::Secret);
    for (order, key, fbc, is_refused, status) in [
        // Numbers are guessed before the buyer comes.
        ("1001", page, stranger, true, 202),
        ("1001", page, FBC, false, 202),
        ("1002", page, stranger, true, 202),
        ("1002", server, FBC, false, 202),
        ("1003", server, FBC, false, 202),
        ("1003", page, stranger, true, 409),
        ("1003", page, stranger, false, 409),
        // Who changes their mind is heard.
        ("1004", page, FBC, false, 202),
        ("1004", page, FBC, true, 202),
    ] {
        let body = claim(order, fbc, is_refused);
        let answer = shop.post("/api/purchases/record", key, &body).await;
        assert_eq!(answer.status, status, "{order}: {answer:?}");
    }
    let paid: Vec<String> = ["1001", "1002", "1003", "1004"]
        .iter()
        .map(|order| {
            let charge = Charge::new(Method::Card, 5_000)
                .reference(order)
                .by("ana@example.com");
            shop.mercado_pago.create(SELLER, &charge)
        })
        .collect();
    shop.deliver().await;
    for (id, conversion) in paid.iter().zip(["sent", "sent", "sent", "withheld"]) {
        assert_eq!(shop.of(id, "conversion").await, conversion);
    }
    let purchases = shop.purchases_at_meta().await;
    assert_eq!(purchases.len(), 3);
    assert!(
        purchases
            .iter()
            .all(|purchase| purchase["user_data"]["fbc"] == FBC)
    );
}

#[tokio::test]
async fn a_paid_order_that_has_no_number_yet_is_waited_for_and_is_one_purchase() {
    let mut shop = Shop::of_orders().await;
    let lead = format!("ld_{}", shop.lead("lead-1", "ana@example.com").await);
    let signed = "UPDATE payment_notifications SET source = 'webhook' WHERE topic = 'order'";
    shop.put(&lead, 0, &[part(OWN, None, PAID)]);
    shop.tell_of_order().await;
    shop.world.database.execute(signed).await;
    shop.follow().await;
    assert_eq!(shop.ends().await, ["pending/no_number 1"]);
    let charge = Charge::new(Method::Card, 5_000).reference(&lead);
    let number = shop.mercado_pago.create(SELLER, &charge);
    shop.put(&lead, 0, &[part(OWN, Some(&number), PAID)]);
    shop.deliver().await;
    shop.advance(Duration::from_secs(3)).await;
    shop.follow().await;
    assert_eq!(shop.value(BOOKS).await, "1 5000 249");
    assert_eq!(shop.book(OWN).await, Vec::<String>::new());
    assert_eq!(shop.purchases_at_meta().await.len(), 1);

    // One that never gets a number is booked all the same.
    shop.put("7", 0, &[part(OTHER, None, PAID)]);
    shop.tell_of_order().await;
    for seconds in [0, 3, 11] {
        shop.advance(Duration::from_secs(seconds)).await;
        shop.follow().await;
        assert_eq!(shop.book(OTHER).await, Vec::<String>::new());
    }
    shop.advance(Duration::from_secs(61)).await;
    shop.follow().await;
    assert_eq!(shop.book(OTHER).await, ["approval 5000 0"]);
}

#[tokio::test]
async fn a_payment_that_only_its_order_tells_of_is_found_though_no_webhook_came() {
    let mut shop = Shop::of_orders().await;
    let lead = format!("ld_{}", shop.lead("lead-1", "ana@example.com").await);
    // The Payments API knows no such number. The other one is in the list of payments, and compared with it.
    let number = card(&shop, "7");
    let parts = [part(OWN, Some("999"), PAID), part(OTHER, Some(&number), PAID)];
    shop.put(&lead, 0, &parts);
    assert_eq!(shop.compare().await, "complete 5000 0 5000");
    assert_eq!(shop.book(OWN).await, ["approval 5000 0"]);
    assert_eq!(shop.book(&number).await, ["approval 5000 249"]);
    let found = "SELECT string_agg(concat_ws(' ', payment_id, remote_minor, local_minor, action), ', ' ORDER BY payment_id DESC)
        FROM reconciliation_findings WHERE finding = 'missing_local'";
    let expected = format!("{OWN} 0 0 applied, {number} 5000 0 applied");
    assert_eq!(shop.value(found).await, expected);
    assert_eq!(shop.compare().await, "complete 5000 5000 5000");
    assert_eq!(shop.value(found).await, expected);
    assert_eq!(shop.value(BOOKS).await, "2 10000 249");
    let purchases = shop.purchases_at_meta().await;
    assert_eq!(purchases.len(), 1, "{purchases:?}");
}
