//! Settlement reports: final fees become corrections in the books, to the cent and once.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::path::Path;
use std::time::Duration;

use attribution::config::ReportsConfig;
use attribution::reports::{Orders, import, round};
use chrono::{DateTime, SecondsFormat};
use common::{SELLER, Shop};
use rastro_sandbox::mercado_pago::{Charge, Method};
use rastro_test_support::eventually;
use rastro_test_support::process::Process;
use serde_json::json;

const HEADER: &str = "SOURCE_ID;TRANSACTION_TYPE;TRANSACTION_AMOUNT;TRANSACTION_CURRENCY;SETTLEMENT_NET_AMOUNT;\
    SETTLEMENT_CURRENCY;SETTLEMENT_DATE";
const FINDINGS: &str =
    "SELECT coalesce(string_agg(concat_ws(' ', finding, payment_id, remote_minor, local_minor, action), ', '
    ORDER BY finding), '') FROM reconciliation_findings";
const RUNS: &str = "SELECT coalesce(string_agg(concat_ws(' ', kind, remote_count, remote_minor, local_minor, difference_minor), ', '
    ORDER BY run_id), '') FROM reconciliation_runs";

/// The tables that an import writes, in the order in which it does.
const WRITTEN: [&str; 5] = [
    "settlement_reports",
    "payment_settlements",
    "reconciliation_runs",
    "reconciliation_findings",
    "purchase_movements",
];

fn config() -> ReportsConfig {
    ReportsConfig {
        enabled: true,
        interval_seconds: 60,
        first_days: 30,
    }
}

fn row(shop: &Shop, id: &str, word: &str, gross: &str, net: &str) -> String {
    let at = DateTime::from_timestamp(shop.world.now() - 60, 0).unwrap();
    let at = at.to_rfc3339_opts(SecondsFormat::Millis, false);
    format!("{id};{word};{gross};BRL;{net};BRL;{at}\r\n")
}

impl Shop {
    async fn card(&self, cents: i64) -> String {
        let id = self
            .mercado_pago
            .create(SELLER, &Charge::new(Method::Card, cents).reference("9"));
        self.deliver().await;
        id
    }

    async fn import(&self, name: &str, rows: &[String]) -> anyhow::Result<Option<rastro_store::Settled>> {
        let text = format!("{HEADER}\r\n{}", rows.concat());
        import(&self.world.store, &self.account, name, text.as_bytes()).await
    }
}

#[tokio::test]
async fn a_final_fee_is_ordered_listed_fetched_and_booked_to_the_cent() {
    let shop = Shop::start().await;
    let id = shop.card(10_000).await;
    // 4.98 % of 100.00 was told; 5.12 was kept.
    shop.mercado_pago.settle_fee(&id, 512);
    assert_eq!(shop.book(&id).await, ["approval 10000 498"]);
    shop.world.advance(Duration::from_secs(86_400)).await;
    let mut orders = Orders::new();
    // Configures, finds nothing and orders; it is not made yet; then it is imported.
    for expected in [1, 1, 1] {
        round(&shop.payments, &config(), &shop.account, &mut orders)
            .await
            .unwrap();
        assert_eq!(shop.mercado_pago.reports_ordered(), expected);
    }
    assert_eq!(shop.book(&id).await, ["approval 10000 498", "settled:1 0 14"]);
    assert_eq!(
        shop.value(FINDINGS).await,
        format!("fee_drift {id} 10000 10000 applied")
    );
    assert_eq!(shop.value(RUNS).await, "report 1 10000 10000 0");
    // Read again by another process that knows of no order: nothing changes.
    round(&shop.payments, &config(), &shop.account, &mut Orders::new())
        .await
        .unwrap();
    // What the payment tells later is an estimate all the same; a refund moves revenue and no fee.
    shop.mercado_pago.refund(&id, 2_500);
    shop.deliver().await;
    assert_eq!(
        shop.book(&id).await,
        ["approval 10000 498", "settled:1 0 14", "refund -2500 0"]
    );
    assert_eq!(shop.value("SELECT count(*) FROM settlement_reports").await, "1");
}

#[tokio::test]
async fn a_report_read_twice_changes_nothing_and_one_bad_row_neither() {
    let shop = Shop::start().await;
    let (id, other) = (shop.card(10_000).await, shop.card(20_000).await);
    let good = row(&shop, &id, "SETTLEMENT", "100.00", "94.88");
    let bad = row(&shop, &other, "SETTLEMENT", "200.00", "1.234,5");
    let error = shop
        .import("bad.csv", &[good.clone(), bad])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("SETTLEMENT_NET_AMOUNT") && error.contains('3'),
        "{error}"
    );
    let stored = "SELECT (SELECT count(*) FROM settlement_reports) || ' ' || (SELECT count(*) FROM payment_settlements)";
    assert_eq!(shop.value(stored).await, "0 0");
    assert_eq!(shop.book(&id).await, ["approval 10000 498"]);

    let first = shop
        .import("one.csv", std::slice::from_ref(&good))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((first.corrected, first.fee_minor, first.listed), (1, 14, 0));
    assert_eq!(
        shop.import("renamed.csv", std::slice::from_ref(&good))
            .await
            .unwrap(),
        None
    );
    // The same row in the report of a longer window, in which half is given back with half of its fee.
    let back = row(&shop, &id, "REFUND", "-50.00", "-47.44");
    let second = shop.import("two.csv", &[good, back]).await.unwrap().unwrap();
    assert_eq!(
        (second.new_rows, second.corrected, second.fee_minor),
        (1, 1, -256)
    );
    assert_eq!(
        shop.book(&id).await,
        ["approval 10000 498", "settled:1 0 14", "settled:2 0 -256"]
    );
    let release =
        "DATE;SOURCE_ID;RECORD_TYPE;DESCRIPTION;NET_CREDIT_AMOUNT;NET_DEBIT_AMOUNT;GROSS_AMOUNT\r\n";
    let refused = import(
        &shop.world.store,
        &shop.account,
        "release.csv",
        release.as_bytes(),
    )
    .await;
    assert!(refused.unwrap_err().to_string().contains("other kind"));
}

#[tokio::test]
async fn what_else_differs_is_listed_and_a_payment_that_comes_late_gets_its_fee() {
    let shop = Shop::start().await;
    let dear = shop.card(10_000).await;
    let lost = shop
        .mercado_pago
        .create(SELLER, &Charge::new(Method::Card, 5_000).reference("10"));
    let rows = [
        row(&shop, &dear, "SETTLEMENT", "101.00", "96.02"),
        row(&shop, &lost, "SETTLEMENT", "50.00", "47.00"),
        row(&shop, "999", "WITHDRAWAL", "-10.00", "-10.00"),
    ];
    let settled = shop.import("one.csv", &rows).await.unwrap().unwrap();
    assert_eq!((settled.payments, settled.corrected, settled.listed), (2, 0, 2));
    assert_eq!(
        shop.value(FINDINGS).await,
        format!("amount_drift {dear} 10100 10000 listed, missing_local {lost} 5000 0 listed")
    );
    assert_eq!(shop.value(RUNS).await, "report 2 15100 10000 5100");
    shop.deliver().await;
    // 4.98 % of 50.00; then what the report had said.
    assert_eq!(shop.book(&lost).await, ["approval 5000 249"]);
    assert_eq!(shop.world.store.settle_due(&shop.account).await.unwrap(), 1);
    assert_eq!(shop.world.store.settle_due(&shop.account).await.unwrap(), 0);
    assert_eq!(shop.book(&lost).await, ["approval 5000 249", "settled:1 0 51"]);
}

#[tokio::test]
async fn a_sellers_own_configuration_is_left_alone_and_a_bad_file_keeps_no_other_back() {
    let shop = Shop::start().await;
    let id = shop.card(10_000).await;
    shop.mercado_pago.configure_reports(
        SELLER,
        json!({"columns": [{"key": "SOURCE_ID"}], "report_translation": "pt"}),
    );
    let error = round(&shop.payments, &config(), &shop.account, &mut Orders::new()).await;
    assert!(error.unwrap_err().to_string().contains("SETTLEMENT_NET_AMOUNT"));
    let columns: Vec<_> = HEADER.split(';').map(|key| json!({"key": key.trim()})).collect();
    shop.mercado_pago
        .configure_reports(SELLER, json!({"columns": columns}));
    shop.mercado_pago
        .put_report(SELLER, "a.csv", b"Data;Valor\r\n1;2\r\n");
    let good = format!("{HEADER}\r\n{}", row(&shop, &id, "SETTLEMENT", "100.00", "94.88"));
    shop.mercado_pago.put_report(SELLER, "b.csv", good.as_bytes());
    let error = round(&shop.payments, &config(), &shop.account, &mut Orders::new()).await;
    assert!(format!("{:#}", error.unwrap_err()).contains("a.csv"));
    assert_eq!(shop.book(&id).await, ["approval 10000 498", "settled:1 0 14"]);
}

#[tokio::test]
async fn a_report_made_by_hand_leaves_no_day_without_one() {
    let shop = Shop::start().await;
    let id = shop.card(10_000).await;
    shop.mercado_pago.settle_fee(&id, 512);
    shop.world.advance(10 * common::DAY).await;
    let columns: Vec<_> = HEADER.split(';').map(|key| json!({"key": key.trim()})).collect();
    shop.mercado_pago
        .configure_reports(SELLER, json!({"columns": columns}));
    // Of the last second alone, and one that is not what it should be.
    let empty = format!("{HEADER}\r\n");
    shop.mercado_pago
        .put_report(SELLER, "by-hand.csv", empty.as_bytes());
    let mut orders = Orders::new();
    for _ in 0..3 {
        round(&shop.payments, &config(), &shop.account, &mut orders)
            .await
            .unwrap();
        assert_eq!(shop.mercado_pago.reports_ordered(), 1);
    }
    assert_eq!(shop.book(&id).await, ["approval 10000 498", "settled:1 0 14"]);
    // All days have theirs by now.
    round(&shop.payments, &config(), &shop.account, &mut Orders::new())
        .await
        .unwrap();
    assert_eq!(shop.mercado_pago.reports_ordered(), 1);
}

/// `attribution report`, as a process.
fn importing(shop: &Shop, file: &Path) -> Process {
    let seller = SELLER.to_string();
    let arguments = ["report", file.to_str().unwrap(), "--account", &seller];
    let mercado_pago = shop.mercado_pago.url();
    Process::attribution_command(&shop.world.database, &mercado_pago, &arguments, &[])
}

#[tokio::test]
async fn an_import_that_is_killed_anywhere_leaves_nothing_and_the_next_does_all_of_it_once() {
    let shop = Shop::start().await;
    let (fee, price) = (shop.card(10_000).await, shop.card(20_000).await);
    let rows = [
        row(&shop, &fee, "SETTLEMENT", "100.00", "94.88"),
        row(&shop, &price, "SETTLEMENT", "201.00", "191.04"),
    ];
    let file = std::env::temp_dir().join(format!("rastro-report-{}.csv", std::process::id()));
    std::fs::write(&file, format!("{HEADER}\r\n{}", rows.concat())).unwrap();
    let counts = WRITTEN.map(|table| format!("(SELECT count(*) FROM {table})"));
    let counts = format!("SELECT concat_ws(' ', {})", counts.join(", "));
    // Two approvals are booked.
    assert_eq!(shop.value(&counts).await, "0 0 0 0 2");
    for table in WRITTEN {
        let held = shop.hold(&format!("LOCK TABLE {table} IN EXCLUSIVE MODE")).await;
        let process = importing(&shop, &file);
        eventually("it is about to write", || async {
            (shop.waiting().await == "1").then_some(())
        })
        .await;
        process.kill();
        held.batch_execute("COMMIT").await.unwrap();
        // The server does what it was last asked for, and then finds that nobody asks any more.
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND application_name LIKE '%attribution%' AND xact_start IS NOT NULL";
        eventually("its transaction is over", || async {
            (shop.value(open).await == "0").then_some(())
        })
        .await;
        assert_eq!(shop.value(&counts).await, "0 0 0 0 2", "killed at {table}");
    }
    shop.world
        .database
        .execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the commit fails'; END $$;
             CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON settlement_reports DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION fail()",
        )
        .await;
    let (status, _) = importing(&shop, &file).ended().await.unwrap();
    assert!(!status.success());
    assert_eq!(shop.value(&counts).await, "0 0 0 0 2", "the commit fails");
    shop.world
        .database
        .execute("DROP TRIGGER fail ON settlement_reports")
        .await;
    // The second time it was imported before.
    for _ in 0..2 {
        let (status, log) = importing(&shop, &file).ended().await.unwrap();
        assert!(status.success(), "{}", log.join("\n"));
        assert_eq!(shop.value(&counts).await, "1 2 1 2 3");
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(shop.book(&fee).await, ["approval 10000 498", "settled:1 0 14"]);
    assert_eq!(shop.book(&price).await, ["approval 20000 996"]);
    assert_eq!(
        shop.value(FINDINGS).await,
        format!("amount_drift {price} 20100 20000 listed, fee_drift {fee} 10000 10000 applied")
    );
}
