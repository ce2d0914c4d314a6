//! Comparisons with Mercado Pago: every way in which two sets of books differ, and that the account adds up.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::time::Duration;

use attribution::reconcile;
use common::{DAY, HOUR, OTHER_SELLER, SELLER, Shop};
use rastro_sandbox::mercado_pago::{ApiFault, Charge, Method, WebhookFault};
use rastro_service::shutdown::Shutdown;
use rastro_store::PaymentAccount;
use rastro_test_support::{DATASET_ID, eventually};
use serde_json::json;

async fn compare(shop: &Shop) {
    reconcile::compare_now(&shop.payments, &shop.account, 35, &Shutdown::new())
        .await
        .unwrap();
}

/// What the newest comparison found: payment, kind, difference and what was done, sorted.
async fn findings(shop: &Shop) -> Vec<(String, String)> {
    let rows = shop
        .world
        .database
        .query(
            "SELECT payment_id, finding || ' ' || (remote_minor - local_minor) || ' ' || action FROM reconciliation_findings
             WHERE run_id = (SELECT max(run_id) FROM reconciliation_runs) ORDER BY 1, 2",
        )
        .await;
    rows.into_iter()
        .map(|row| match &row[..] {
            [Some(id), Some(line)] => (id.clone(), line.clone()),
            other => panic!("{other:?}"),
        })
        .collect()
}

async fn of(shop: &Shop, id: &str) -> Vec<String> {
    let found = findings(shop).await;
    found
        .into_iter()
        .filter(|(payment, _)| payment == id)
        .map(|(_, line)| line)
        .collect()
}

/// The newest comparison: state, payments and sums there, before and after.
async fn sums(shop: &Shop) -> String {
    shop.value(
        "SELECT concat_ws(' ', state, remote_count, remote_minor, local_count, local_minor, after_minor, difference_minor)
         FROM reconciliation_runs ORDER BY run_id DESC LIMIT 1",
    )
    .await
}

fn pix(cents: i64, reference: &str) -> Charge {
    Charge::new(Method::Pix, cents)
        .reference(reference)
        .by("ana@example.com")
}

#[tokio::test]
async fn every_kind_of_difference_is_found_named_and_brought_into_the_books() {
    let mut shop = Shop::start().await;
    let market = &shop.mercado_pago;
    shop.lead("lead-1", "ana@example.com").await;
    let paid = |charge: &Charge| {
        let id = market.create(SELLER, charge);
        market.pay(&id);
        id
    };
    // In the books as they are there.
    let fine = paid(&pix(1_000, "fine"));
    let drifts = paid(&pix(2_000, "drifts"));
    let refunded = paid(&pix(3_000, "refunded"));
    let dearer = paid(&pix(4_000, "dearer"));
    let vanishes = paid(&pix(5_000, "vanishes"));
    let nobodys = paid(&Charge::new(Method::Pix, 600).reference("nobodys"));
    let (twice, again) = (paid(&pix(700, "twice")), paid(&pix(700, "twice")));
    shop.deliver().await;

    // And then nothing of what happens is told.
    market.fail_webhooks(WebhookFault::Lost, 1_000);
    market.charge_back(&drifts);
    market.refund(&refunded, 1_000);
    market.edit(&dearer, |payment| {
        payment["fee_details"][0]["amount"] = json!(1.5);
        payment["transaction_details"]["net_received_amount"] = json!(38.5);
    });
    market.forget(&vanishes);
    let missed = paid(&pix(8_000, "missed"));
    let waiting = market.create(SELLER, &pix(9_000, "waiting"));
    let dollars = paid(&Charge {
        currency: "USD",
        ..pix(10_000, "usd")
    });
    let test_mode = paid(&pix(11_000, "test"));
    market.edit(&test_mode, |payment| payment["live_mode"] = json!(false));
    let transfer = paid(&Charge {
        operation_type: "money_transfer",
        ..pix(12_000, "transfer")
    });
    let others = market.create(OTHER_SELLER, &pix(13_000, "other"));
    shop.mercado_pago.deliver_due(false).await.unwrap();

    compare(&shop).await;
    assert_eq!(of(&shop, &fine).await, Vec::<String>::new());
    assert_eq!(of(&shop, &drifts).await, ["status_drift -2000 applied"]);
    assert_eq!(
        of(&shop, &refunded).await,
        ["amount_drift -1000 applied", "status_drift 0 applied"]
    );
    assert_eq!(of(&shop, &dearer).await, ["fee_drift 0 applied"]);
    assert_eq!(of(&shop, &vanishes).await, ["missing_remote -5000 listed"]);
    assert_eq!(
        of(&shop, &nobodys).await,
        ["conversion_gap 0 listed", "unattributed 0 listed"]
    );
    assert_eq!(of(&shop, &twice).await, ["duplicate_reference 0 listed"]);
    assert_eq!(of(&shop, &again).await, ["duplicate_reference 0 listed"]);
    assert_eq!(of(&shop, &missed).await, ["missing_local 8000 applied"]);
    assert_eq!(of(&shop, &waiting).await, ["missing_local 0 applied"]);
    assert_eq!(of(&shop, &dollars).await, ["currency 0 listed"]);
    assert_eq!(of(&shop, &test_mode).await, ["test_mode 0 listed"]);
    for unseen in [&transfer, &others] {
        assert_eq!(of(&shop, unseen).await, Vec::<String>::new());
    }
    // There: 1000 + 0 + 2000 + 4000 + 600 + 700 + 700 + 8000 + 0 of nine payments; here before: 1000 + 2000 +
    // 3000 + 4000 + 5000 + 600 + 700 + 700 of eight; the books keep what vanished.
    assert_eq!(sums(&shop).await, "complete 9 17000 8 17000 22000 0");
    assert_eq!(
        shop.book(&drifts).await,
        ["approval 2000 20", "chargeback:1 -2000 0"]
    );
    assert_eq!(shop.book(&refunded).await, ["approval 3000 30", "refund -1000 0"]);
    assert_eq!(shop.book(&dearer).await, ["approval 4000 40", "fee:1 0 110"]);
    assert_eq!(shop.book(&missed).await, ["approval 8000 79"]);
    assert_eq!(shop.book(&vanishes).await, ["approval 5000 50"]);
    assert_eq!(shop.of(&missed, "discovered_by").await, "sweep");

    // A second look finds only what is for a person.
    compare(&shop).await;
    assert_eq!(sums(&shop).await, "complete 9 17000 10 22000 22000 -5000");
    let kinds: Vec<String> = findings(&shop).await.into_iter().map(|(_, line)| line).collect();
    assert!(kinds.iter().all(|line| line.ends_with("listed")), "{kinds:?}");

    // What was missed became a Purchase all the same, and nothing else twice.
    let purchases = shop.purchases_at_meta().await;
    let mut ids: Vec<&str> = purchases
        .iter()
        .map(|event| event["event_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        [
            "dearer", "drifts", "fine", "missed", "refunded", "twice", "vanishes"
        ]
    );
}

#[tokio::test]
async fn what_is_found_too_late_for_meta_is_in_the_books_and_shown_as_a_gap() {
    let mut shop = Shop::start().await;
    shop.lead("lead-1", "ana@example.com").await;
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 1_000);
    let late = shop.mercado_pago.create(SELLER, &pix(1_000, "late"));
    shop.mercado_pago.pay(&late);
    shop.deliver().await;
    shop.advance(8 * DAY).await;
    compare(&shop).await;
    assert_eq!(
        of(&shop, &late).await,
        ["conversion_gap 0 listed", "missing_local 1000 applied"]
    );
    assert_eq!(shop.of(&late, "conversion").await, "too_old");
    assert_eq!(shop.value("SELECT status FROM purchases").await, "approved");
    assert!(shop.purchases_at_meta().await.is_empty());
}

#[tokio::test]
async fn a_day_that_begins_elsewhere_at_another_hour_is_no_difference() {
    let shop = Shop::start().await;
    let pix = shop.mercado_pago.create(SELLER, &pix(1_000, "edge"));
    // 23:30 at Mercado Pago's offset is the next day in Sao Paulo and in UTC.
    shop.mercado_pago.edit(&pix, |payment| {
        let day = payment["date_created"].as_str().unwrap()[..10].to_owned();
        let before = day.parse::<chrono::NaiveDate>().unwrap().pred_opt().unwrap();
        payment["date_created"] = json!(format!("{before}T23:30:00.000-04:00"));
    });
    shop.mercado_pago.pay(&pix);
    shop.deliver().await;
    compare(&shop).await;
    assert_eq!(sums(&shop).await, "complete 1 1000 1 1000 1000 0");
}

#[tokio::test]
async fn long_lists_are_compared_in_slices_and_an_interrupted_comparison_goes_on_with_the_same_sums() {
    let shop = Shop::start().await;
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 10_000);
    let mut total = 0;
    for order in 0..60 {
        let cents = 1_000 + order;
        let card = shop.mercado_pago.create(
            SELLER,
            &Charge::new(Method::Card, cents).reference(&order.to_string()),
        );
        if order % 3 == 0 {
            shop.mercado_pago.refund(&card, 500);
        }
        total += if order % 3 == 0 { cents - 500 } else { cents };
    }
    // Refused again and again in the middle of it, and killed, and taken over.
    for step in 0..12_u64 {
        let status = ApiFault::Status {
            status: 500,
            retry_after: None,
        };
        let (payments, account) = (shop.payments.clone(), shop.account.clone());
        let comparing =
            tokio::spawn(
                async move { reconcile::compare_now(&payments, &account, 35, &Shutdown::new()).await },
            );
        tokio::time::sleep(Duration::from_millis(3 * step)).await;
        shop.mercado_pago.fail_with(status, 4);
        tokio::time::sleep(Duration::from_millis(5)).await;
        comparing.abort();
        let _ = comparing.await;
        shop.world
            .database
            .execute("UPDATE reconciliation_runs SET lease_until = rastro_now() WHERE state = 'running'")
            .await;
    }
    shop.mercado_pago.clear_faults();
    compare(&shop).await;
    let first = shop
        .value(
            "SELECT concat_ws(' ', state, remote_count, remote_minor, after_minor, difference_minor = remote_minor - local_minor)
             FROM reconciliation_runs WHERE local_minor = 0 ORDER BY run_id LIMIT 1",
        )
        .await;
    assert_eq!(first, format!("complete 60 {total} {total} t"));
    assert_eq!(
        shop.value("SELECT sum(amount_minor)::text FROM purchase_movements")
            .await,
        total.to_string()
    );
    assert_eq!(
        shop.value("SELECT count(*)::text FROM purchase_movements WHERE kind = 'approval'")
            .await,
        "60"
    );
}

/// Makes every comparison stop at this payment, until [`go_on`].
async fn stop_at(shop: &Shop, id: &str) {
    let stop = format!(
        "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'interrupted'; END $$;
         CREATE TRIGGER stop BEFORE INSERT OR UPDATE ON payments FOR EACH ROW WHEN (new.payment_id = '{id}')
            EXECUTE FUNCTION stop()"
    );
    shop.world.database.execute(&stop).await;
}

async fn go_on(shop: &Shop) {
    let go_on = "DROP TRIGGER stop ON payments; DROP FUNCTION stop();
         UPDATE reconciliation_runs SET lease_until = rastro_now() WHERE state = 'running'";
    shop.world.database.execute(go_on).await;
}

#[tokio::test]
async fn a_payment_that_moves_while_its_comparison_is_interrupted_is_in_the_sums_as_it_was_found() {
    let shop = Shop::start().await;
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 1_000);
    let (config, shutdown) = (shop.config.reconcile.clone(), Shutdown::new());
    let first = shop.mercado_pago.create(SELLER, &pix(1_000, "1"));
    shop.mercado_pago.pay(&first);
    shop.advance(HOUR).await;
    let second = shop.mercado_pago.create(SELLER, &pix(2_000, "2"));
    shop.mercado_pago.pay(&second);
    shop.advance(HOUR).await;
    stop_at(&shop, &second).await;
    reconcile::round(&shop.payments, &config, &shutdown)
        .await
        .unwrap();
    assert_eq!(shop.book(&first).await, ["approval 1000 10"]);
    assert_eq!(sums(&shop).await, "running 0 0 0 0 0 0", "the newest: weekly");

    // The refund is later than the window: the hourly comparison does not see the payment again.
    shop.mercado_pago.refund(&first, 400);
    go_on(&shop).await;
    reconcile::round(&shop.payments, &config, &shutdown)
        .await
        .unwrap();
    let runs =
        "SELECT string_agg(concat_ws(' ', kind, state, remote_count, remote_minor, local_count, local_minor,
        after_minor, difference_minor), ', ' ORDER BY run_id) FROM reconciliation_runs";
    assert_eq!(
        shop.value(runs).await,
        "hourly complete 2 3000 0 0 3000 3000, nightly complete 2 2600 2 3000 2600 -400, \
         weekly complete 2 2600 2 2600 2600 0"
    );
}

#[tokio::test]
async fn a_difference_that_comes_up_while_its_comparison_is_interrupted_is_found() {
    let shop = Shop::start().await;
    let first = shop.mercado_pago.create(SELLER, &pix(1_000, "1"));
    shop.deliver().await;
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 1_000);
    shop.advance(HOUR).await;
    let second = shop.mercado_pago.create(SELLER, &pix(2_000, "2"));
    shop.mercado_pago.pay(&second);
    shop.mercado_pago
        .set_status(&first, "in_process", "pending_contingency");
    stop_at(&shop, &second).await;
    reconcile::compare_now(&shop.payments, &shop.account, 35, &Shutdown::new())
        .await
        .unwrap_err();
    assert_eq!(of(&shop, &first).await, ["status_drift 0 applied"]);

    shop.mercado_pago.pay(&first);
    go_on(&shop).await;
    compare(&shop).await;
    assert_eq!(
        of(&shop, &first).await,
        ["status_drift 1000 applied", "unattributed 0 listed"]
    );
    assert_eq!(sums(&shop).await, "complete 2 3000 1 0 3000 3000");
}

#[tokio::test]
async fn the_hourly_sweep_brings_in_what_no_webhook_told_and_goes_on_from_where_it_was() {
    let mut shop = Shop::start().await;
    shop.lead("lead-1", "ana@example.com").await;
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 1_000);
    let (config, shutdown) = (shop.config.reconcile.clone(), Shutdown::new());
    let runs = "SELECT string_agg(kind || ' ' || state, ', ' ORDER BY run_id) FROM reconciliation_runs";
    reconcile::round(&shop.payments, &config, &shutdown)
        .await
        .unwrap();
    assert_eq!(
        shop.value(runs).await,
        "hourly complete, nightly complete, weekly complete"
    );

    let pix = shop.mercado_pago.create(SELLER, &pix(1_000, "1"));
    shop.mercado_pago.pay(&pix);
    reconcile::round(&shop.payments, &config, &shutdown)
        .await
        .unwrap();
    assert!(shop.book(&pix).await.is_empty(), "not due yet");
    shop.advance(2 * HOUR).await;
    reconcile::round(&shop.payments, &config, &shutdown)
        .await
        .unwrap();
    assert_eq!(shop.book(&pix).await, ["approval 1000 10"]);
    assert_eq!(
        shop.value(runs).await,
        "hourly complete, nightly complete, weekly complete, hourly complete"
    );
    // An account whose token is refused is left alone, and so is its watermark.
    shop.mercado_pago.change_token(SELLER, "APP_USR-new");
    shop.advance(2 * HOUR).await;
    reconcile::round(&shop.payments, &config, &shutdown)
        .await
        .unwrap();
    assert!(shop.value(runs).await.ends_with("hourly running"));
    assert_eq!(
        shop.value("SELECT (retry_at IS NOT NULL)::text FROM payment_accounts")
            .await,
        "true"
    );
    assert_eq!(shop.purchases_at_meta().await.len(), 1);
}

#[tokio::test]
async fn an_order_paid_in_two_currencies_is_credited_in_the_accounts_own_and_the_other_is_named() {
    let shop = Shop::start().await;
    let pay = |cents: i64, currency: &'static str| {
        let charge = Charge {
            currency,
            ..pix(cents, "both")
        };
        let id = shop.mercado_pago.create(SELLER, &charge);
        shop.mercado_pago.pay(&id);
        id
    };
    // In the alphabet ARS comes before BRL.
    let (reais, pesos) = (pay(7_000, "BRL"), pay(900_000, "ARS"));
    shop.deliver().await;
    compare(&shop).await;
    let found = "SELECT payment_id || ' ' || detail FROM reconciliation_findings WHERE finding = 'currency'";
    assert_eq!(
        shop.value(found).await,
        format!("{pesos} ARS; its order is paid in BRL, too, and credited in one currency alone")
    );
    assert_eq!(shop.book(&reais).await, ["approval 7000 69"]);

    let crediting =
        attribution::crediting::Crediting::new(shop.world.store.clone(), &shop.config.crediting).unwrap();
    crediting.round(&Shutdown::new()).await.unwrap();
    let credited = "SELECT currency || ' ' || gross_minor FROM credited_orders";
    assert_eq!(shop.value(credited).await, "BRL 7000");
}

#[tokio::test]
async fn short_pages_lose_nothing_and_a_list_that_stays_incomplete_is_not_taken_for_compared() {
    let shop = Shop::start().await;
    for order in 0..70 {
        let charge = Charge::new(Method::Card, 1_000 + order).reference(&order.to_string());
        shop.mercado_pago.create(SELLER, &charge);
    }
    shop.mercado_pago.most_rows_a_page(30);
    compare(&shop).await;
    // 1,000 to 1,069 cents.
    assert_eq!(sums(&shop).await, "complete 70 72415 0 0 72415 72415");

    shop.mercado_pago.never_show(1);
    let shutdown = Shutdown::new();
    let again = || reconcile::compare_now(&shop.payments, &shop.account, 35, &shutdown);
    again().await.unwrap_err();
    let cursor = "SELECT concat_ws(' ', state, cursor_at = window_from) FROM reconciliation_runs ORDER BY run_id DESC LIMIT 1";
    assert_eq!(shop.value(cursor).await, "running t");
    shop.mercado_pago.never_show(0);
    shop.world
        .database
        .execute("UPDATE reconciliation_runs SET lease_until = rastro_now() WHERE state = 'running'")
        .await;
    again().await.unwrap();
    assert_eq!(sums(&shop).await, "complete 70 72415 70 72415 72415 0");
}

#[tokio::test]
async fn an_account_whose_comparison_is_held_up_keeps_no_other_waiting() {
    let shop = Shop::start().await;
    let other = PaymentAccount {
        account_id: OTHER_SELLER,
        access_token: "APP_USR-other".into(),
        ..shop.account.clone()
    };
    shop.world.store.put_payment_account(&other).await.unwrap();
    let stuck = shop.mercado_pago.create(SELLER, &pix(1_000, "1"));
    let theirs = shop.mercado_pago.create(OTHER_SELLER, &pix(2_000, "2"));
    shop.mercado_pago.pay(&theirs);
    shop.advance(HOUR).await;
    let mut held = shop.mercado_pago.hold(&stuck);
    let (payments, config) = (shop.payments.clone(), shop.config.reconcile.clone());
    let comparing = tokio::spawn(async move {
        reconcile::round(&payments, &config, &Shutdown::new())
            .await
            .unwrap();
    });
    let read = held.arrived().await;
    let complete = |account: i64| {
        format!(
            "SELECT count(*)::text FROM reconciliation_runs WHERE account_id = {account} AND state = 'complete'"
        )
    };
    eventually("the other account is compared", async || {
        (shop.value(&complete(OTHER_SELLER)).await == "3").then_some(())
    })
    .await;
    assert_eq!(shop.value(&complete(SELLER)).await, "0");
    assert_eq!(shop.book(&theirs).await, ["approval 2000 20"]);
    drop((read, held));
    comparing.await.unwrap();
    assert_eq!(shop.value(&complete(SELLER)).await, "3");
}

#[tokio::test]
async fn a_long_comparison_is_made_in_turns_and_the_hourly_one_goes_first() {
    let shop = Shop::start().await;
    let mut config = shop.config.reconcile.clone();
    config.turn_seconds = 0;
    // More than one slice may hold, of what is no sale: nothing of it is read.
    for _ in 0..2 {
        for _ in 0..501 {
            let transfer = Charge {
                operation_type: "money_transfer",
                ..Charge::new(Method::Pix, 100)
            };
            shop.mercado_pago.create(SELLER, &transfer);
        }
        shop.advance(HOUR).await;
    }
    let states = "SELECT coalesce(string_agg(concat_ws(' ', kind, state, lease_until <= rastro_now()), ', ' ORDER BY run_id), '')
        FROM reconciliation_runs";
    let mut rounds = Vec::new();
    let shutdown = Shutdown::new();
    while reconcile::round(&shop.payments, &config, &shutdown)
        .await
        .unwrap()
    {
        rounds.push(shop.value(states).await);
    }
    assert_eq!(rounds[0], "hourly running t");
    assert!(rounds.len() > 1, "{rounds:?}");
    let ended =
        "SELECT string_agg(concat_ws(' ', kind, state), ', ' ORDER BY run_id) FROM reconciliation_runs";
    assert_eq!(
        shop.value(ended).await,
        "hourly complete, nightly complete, weekly complete"
    );
}

#[tokio::test]
async fn a_purchase_that_could_not_be_made_is_sent_by_the_comparison_that_learns_who_paid() {
    let mut shop = Shop::start().await;
    shop.lead("lead-1", "ana@example.com").await;
    let charge = Charge::new(Method::Pix, 1_000).reference("1");
    let pix = shop.mercado_pago.create(SELLER, &charge);
    shop.mercado_pago.pay(&pix);
    shop.deliver().await;
    assert_eq!(shop.of(&pix, "conversion").await, "invalid");
    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 1_000);
    shop.mercado_pago.edit(&pix, |payment| {
        payment["payer"]["email"] = json!("ana@example.com");
    });
    compare(&shop).await;
    assert_eq!(of(&shop, &pix).await, ["conversion_gap 0 resent"]);
    assert_eq!(sums(&shop).await, "complete 1 1000 1 1000 1000 0");
    assert_eq!(shop.purchases_at_meta().await.len(), 1);
}

#[tokio::test]
async fn what_is_captured_is_revenue_and_what_a_late_boleto_costs_its_buyer_is_not() {
    let mut shop = Shop::start().await;
    shop.lead("lead-1", "ana@example.com").await;
    let held = shop.mercado_pago.create(SELLER, &pix(5_000, "1"));
    shop.mercado_pago.edit(&held, |payment| {
        payment["status"] = json!("authorized");
        payment["status_detail"] = json!("pending_capture");
        payment["captured"] = json!(false);
    });
    shop.deliver().await;
    assert_eq!(shop.of(&held, "status").await, "authorized");
    assert_eq!(shop.book(&held).await, Vec::<String>::new());

    shop.mercado_pago.fail_webhooks(WebhookFault::Lost, 1_000);
    shop.mercado_pago
        .edit(&held, |payment| payment["transaction_amount"] = json!(40.0));
    shop.mercado_pago.pay(&held);
    let boleto = shop
        .mercado_pago
        .create(SELLER, &Charge::new(Method::Boleto, 1_000));
    shop.mercado_pago.pay(&boleto);
    // With a fine of 2 %.
    shop.mercado_pago.edit(&boleto, |payment| {
        payment["transaction_details"]["total_paid_amount"] = json!(10.2);
    });
    compare(&shop).await;
    assert_eq!(
        of(&shop, &held).await,
        ["amount_drift 4000 applied", "status_drift 0 applied"]
    );
    // 0.99 % of 40.00, and 3.49.
    assert_eq!(shop.book(&held).await, ["approval 4000 40"]);
    assert_eq!(shop.book(&boleto).await, ["approval 1000 349"]);
    assert_eq!(shop.of(&boleto, "total_paid_minor").await, "1020");
    assert_eq!(sums(&shop).await, "complete 2 5000 1 0 5000 5000");
    let purchases = shop.purchases_at_meta().await;
    assert_eq!(purchases.len(), 1);
    assert_eq!(purchases[0]["custom_data"]["value"], 40.0);
}

#[tokio::test]
async fn an_account_whose_secrets_do_not_open_keeps_no_other_from_being_compared() {
    let shop = Shop::start().await;
    // By the order of their numbers it is before and behind the other.
    for account_id in [1, OTHER_SELLER] {
        let unreadable = PaymentAccount {
            account_id,
            ..shop.account.clone()
        };
        shop.world.store.put_payment_account(&unreadable).await.unwrap();
    }
    let damage =
        format!("UPDATE payment_accounts SET access_token_sealed = '\\x00' WHERE account_id <> {SELLER}");
    shop.world.database.execute(&damage).await;
    reconcile::round(&shop.payments, &shop.config.reconcile, &Shutdown::new())
        .await
        .unwrap();
    let runs = "SELECT string_agg(concat_ws(' ', account_id, kind, state), ', ' ORDER BY run_id) FROM reconciliation_runs";
    assert_eq!(
        shop.value(runs).await,
        format!("{SELLER} hourly complete, {SELLER} nightly complete, {SELLER} weekly complete")
    );
}

#[tokio::test]
async fn a_token_that_is_entered_while_the_accounts_are_sealed_anew_stays() {
    let shop = Shop::start().await;
    let entering = shop.hold("SELECT FROM payment_accounts FOR UPDATE").await;
    let store = shop.world.store.clone();
    let sealing = tokio::spawn(async move { store.reseal().await });
    eventually("the old token is to be written", async || {
        (sealing.is_finished() || shop.waiting().await == "1").then_some(())
    })
    .await;
    entering
        .batch_execute("UPDATE payment_accounts SET access_token_sealed = '\\x01', label = 'entered'; COMMIT")
        .await
        .unwrap();
    sealing.await.unwrap().unwrap();
    let left = "SELECT concat_ws(' ', access_token_sealed, label) FROM payment_accounts";
    assert_eq!(shop.value(left).await, "\\x01 entered");
}

/// Why comparisons of the account are not finished, as the page of the books says it.
async fn problems(shop: &Shop) -> Vec<(String, String)> {
    let accounts = shop.world.store.reconciled_accounts(DATASET_ID.parse().unwrap());
    let told = accounts.await.unwrap().into_iter();
    told.filter_map(|row| Some((row.kind, row.problem?))).collect()
}

#[tokio::test]
async fn a_comparison_that_cannot_go_on_says_why_until_it_does() {
    let shop = Shop::start().await;
    let (config, shutdown) = (&shop.config.reconcile, Shutdown::new());
    let away = ApiFault::Status {
        status: 500,
        retry_after: None,
    };
    shop.mercado_pago.fail_with(away, 1_000);
    reconcile::round(&shop.payments, config, &shutdown).await.unwrap();
    let told = problems(&shop).await;
    assert_eq!(told.len(), 3, "{told:?}");
    for (_, problem) in told {
        assert!(problem.contains("Mercado Pago could not answer"), "{problem}");
    }

    shop.mercado_pago.clear_faults();
    shop.advance(HOUR).await;
    reconcile::round(&shop.payments, config, &shutdown).await.unwrap();
    assert_eq!(problems(&shop).await, []);
    // What was interrupted is what was finished.
    let left = "SELECT string_agg(DISTINCT concat_ws(' ', state, problem), ', ') FROM reconciliation_runs";
    assert_eq!(shop.value(left).await, "complete");
}
