//! Credits, sums, cohorts and forecasts, against a second implementation in plain Python that shares nothing
//! with this one.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::path::Path;
use std::process::Command;

use attribution::config::Config;
use attribution::crediting::Crediting;
use attribution::spend_import::{Import, import, summary};
use chrono::DateTime;
use futures_util::future::join_all;
use rastro_core::attribution::{Model, UNPAID_CHANNELS};
use rastro_core::dataset::{Currency, DatasetId};
use rastro_core::payment::{Payment, Refund};
use rastro_core::person::PersonKeys;
use rastro_core::spend::{Format, Reading};
use rastro_service::shutdown::Shutdown;
use rastro_store::{ConversionDue, Discovery, PaymentRead, PersonLookups, RevenueFilter, RevenuePart, Store};
use rastro_test_support::TestDatabase;
use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/truth/truth.py");
const DATASET: i64 = 123_456_789_012_345;
/// When the history ends.
const NOW: &str = "2026-11-28T15:00:00Z";

/// A shop's year in a database, and what must come of it.
struct Shop {
    database: TestDatabase,
    store: Store,
    crediting: Crediting,
    expected: Value,
    spend: Vec<u8>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "`make test` says here which interpreter it installed"
)]
fn interpreter() -> String {
    std::env::var("RASTRO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

impl Shop {
    async fn open(seed: u32) -> Self {
        let folder = std::env::temp_dir().join(format!("rastro-truth-{}-{seed}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut script = Command::new(interpreter());
        script
            .arg(SCRIPT)
            .arg(&folder)
            .arg(seed.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let output = tokio::task::spawn_blocking(move || script.output())
            .await
            .unwrap()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let read = |name: &str| std::fs::read(Path::join(&folder, name)).unwrap();
        let (history, spend, expected) = (read("history.sql"), read("spend.csv"), read("expected.json"));
        std::fs::remove_dir_all(&folder).unwrap();
        let database = TestDatabase::create().await;
        database
            .execute(&format!(
                "INSERT INTO datasets (dataset_id, name, access_token_sealed, default_currency, purchase_source)
                 VALUES ({DATASET}, 'shop', '', 'BRL', 'verified');
                 CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
                 AS 'SELECT timestamptz ''{NOW}'''"
            ))
            .await;
        database.execute(std::str::from_utf8(&history).unwrap()).await;
        let store = Store::new(&database.config(), "test").unwrap();
        let config: Config = rastro_boot::testing::config(&[]).unwrap();
        Shop {
            crediting: Crediting::new(store.clone(), &config.crediting).unwrap(),
            database,
            store,
            expected: serde_json::from_slice(&expected).unwrap(),
            spend,
        }
    }

    async fn import_spend(&self) {
        let order = Import {
            dataset: dataset(),
            format: Format::Rastro,
            reading: Reading {
                decimal_comma: false,
                day_first: false,
                account_id: String::new(),
                today: "2026-11-28".parse().unwrap(),
            },
            dry_run: false,
        };
        import(&self.store, &self.spend, &order).await.unwrap();
    }

    /// Returns how many orders are credited otherwise than before.
    async fn recompute(&self) -> i64 {
        let done = self
            .crediting
            .recompute(dataset(), 365, &Shutdown::new(), &mut |_| {})
            .await;
        done.unwrap().expect("nobody stopped it").changed
    }

    /// By model, what the revenue page says that ads brought: net revenue, and new customers in millionths.
    async fn of_ads(&self) -> Vec<String> {
        let mut told = Vec::new();
        for model in Model::ALL {
            let filter = RevenueFilter {
                dataset: dataset(),
                currency: "BRL".into(),
                model,
                from: "2025-11-28".parse().unwrap(),
                until: "2026-11-28".parse().unwrap(),
            };
            let channels = self
                .store
                .revenue_by_channel(&filter, &RevenuePart::default())
                .await;
            let (mut net, mut customers) = (0, 0);
            for channel in channels.unwrap().iter().filter(|channel| channel.paid) {
                net += channel.net_minor;
                customers += channel.new_customers_millionths;
            }
            told.push(json!([model.as_str(), net, customers]));
        }
        sorted(told)
    }

    /// What else the page asks, by the name that the second implementation has for it.
    async fn of_page(&self) -> Vec<(&'static str, Vec<String>)> {
        let day = |day: &str| day.parse().unwrap();
        let mut filter = RevenueFilter {
            dataset: dataset(),
            currency: "BRL".into(),
            model: Model::Linear,
            from: day("2025-11-28"),
            until: day("2026-11-28"),
        };
        let part = RevenuePart::default();
        let weeks = self.store.campaign_weeks(&filter, &part).await.unwrap();
        let weeks = weeks.iter().map(|week| {
            json!([
                week.week,
                week.channel,
                week.campaign_key,
                week.spend_micros,
                week.new_customers_millionths
            ])
        });
        let ages = self.store.campaign_ages(&filter, &part).await.unwrap();
        let ages = ages.iter().map(|age| {
            json!([
                age.channel,
                age.campaign_key,
                age.age_months,
                age.customers_millionths,
                age.spend_micros,
                age.profit_minor
            ])
        });
        let cohorts = self
            .store
            .cohort_ages(dataset(), "BRL", filter.until, 24)
            .await
            .unwrap();
        let cohorts = cohorts.iter().map(|age| {
            json!([
                age.cohort,
                age.age_months,
                age.customers,
                age.spend_micros,
                age.profit_minor
            ])
        });
        (filter.from, filter.until) = (day("2026-08-31"), day("2026-11-20"));
        let zone = "America/Sao_Paulo";
        let funnel = self.store.lead_funnel(&filter, zone).await.unwrap();
        let funnel = json!([
            funnel.leads,
            funnel.qualified,
            funnel.ordered,
            funnel.paid,
            funnel.paid_again,
            funnel.open_payments
        ]);
        let places = self.store.purchase_places(&filter, zone).await.unwrap();
        let places = places
            .iter()
            .map(|place| json!([place.place, place.payments, place.amount_minor]));
        vec![
            ("weeks", sorted(weeks.collect())),
            ("ages", sorted(ages.collect())),
            ("cohort_ages", sorted(cohorts.collect())),
            ("funnel", sorted(vec![funnel])),
            ("places", sorted(places.collect())),
        ]
    }

    /// The rows of a query, each as one text of JSON, sorted.
    async fn rows(&self, columns: &str, rest: &str) -> Vec<String> {
        let rows = self
            .database
            .query(&format!("SELECT json_build_array({columns})::text {rest}"))
            .await;
        sorted(
            rows.into_iter()
                .map(|row| serde_json::from_str(row[0].as_deref().unwrap()).unwrap())
                .collect(),
        )
    }

    #[track_caller]
    fn agrees(&self, what: &str, rows: &[String]) {
        let expected = sorted(self.expected[what].as_array().unwrap().clone());
        assert!(!expected.is_empty(), "{what}");
        if rows == expected {
            return;
        }
        let only_here: Vec<_> = rows
            .iter()
            .filter(|row| !expected.contains(row))
            .take(5)
            .collect();
        let only_there: Vec<_> = expected
            .iter()
            .filter(|row| !rows.contains(row))
            .take(5)
            .collect();
        panic!(
            "{what}: {} rows, expected {}; only here {only_here:#?}, only in the second implementation {only_there:#?}",
            rows.len(),
            expected.len()
        );
    }
}

fn dataset() -> DatasetId {
    DATASET.try_into().unwrap()
}

fn sorted(rows: Vec<Value>) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    rows.sort_unstable();
    rows
}

/// A payment as the second implementation says that it was read.
fn payment(read: &Value) -> Payment {
    let text = |of: &Value| of.as_str().unwrap().to_owned();
    let time = |of: &Value| DateTime::from_timestamp_millis(of.as_i64()?);
    let refund = |refund: &Value| Refund {
        id: text(&refund["id"]),
        amount_minor: refund["amount"].as_i64().unwrap(),
        at: time(&refund["at"]).unwrap(),
    };
    Payment {
        id: text(&read["id"]),
        account_id: 44_444,
        status: text(&read["status"]),
        status_detail: text(&read["detail"]),
        live_mode: true,
        operation_type: "regular_payment".into(),
        currency: Currency::parse("BRL").unwrap(),
        amount_minor: read["amount"].as_i64().unwrap(),
        refunded_minor: read["refunded"].as_i64().unwrap(),
        net_minor: None,
        fee_minor: read["fee"].as_i64(),
        total_paid_minor: None,
        payment_method: "visa".into(),
        payment_type: "credit_card".into(),
        installments: None,
        external_reference: None,
        lead_id: None,
        remote_order_id: None,
        refunds: read["refunds"].as_array().unwrap().iter().map(refund).collect(),
        payer: PersonKeys::default(),
        created_at: time(&read["created"]).unwrap(),
        approved_at: time(&read["approved"]),
        updated_at: time(&read["updated"]).unwrap(),
        expires_at: None,
        money_release_at: None,
        told_by_order: false,
    }
}

#[tokio::test]
async fn the_second_implementation_books_the_same_movements() {
    for seed in [7, 2026] {
        let script = SCRIPT.replace("truth.py", "movements.py");
        let mut script = {
            let mut command = Command::new(interpreter());
            command.arg("-B").arg(script).arg(seed.to_string());
            command
        };
        let output = tokio::task::spawn_blocking(move || script.output())
            .await
            .unwrap()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let database = TestDatabase::create().await;
        database
            .execute(&format!(
                "INSERT INTO datasets (dataset_id, name, access_token_sealed) VALUES ({DATASET}, 'shop', '')"
            ))
            .await;
        let store = Store::new(&database.config(), "test").unwrap();
        let reads = told["reads"].as_array().unwrap();
        assert!(reads.len() > 300, "{}", reads.len());
        for read in reads {
            let payment = payment(read);
            let read = PaymentRead {
                dataset_id: dataset(),
                payment: &payment,
                books: payment.books(true),
                order_id: payment.order_id(),
                lead: None,
                payer: PersonLookups::default(),
                read_at: store.erasure_epoch(dataset()).await.unwrap(),
                discovered_by: Discovery::Webhook,
                conversion: ConversionDue::Nothing,
                answered: None,
                findings: Vec::new(),
            };
            store.apply_payment(&read).await.unwrap();
        }
        let rows = database
            .query(
                "SELECT json_build_array(payment_id, movement_key, kind, amount_minor, fee_minor,
                    (extract(epoch FROM occurred_at) * 1000)::bigint)::text FROM purchase_movements",
            )
            .await;
        let rows = rows
            .iter()
            .map(|row| serde_json::from_str(row[0].as_deref().unwrap()).unwrap());
        let (here, there) = (
            sorted(rows.collect()),
            sorted(told["books"].as_array().unwrap().clone()),
        );
        let differs: Vec<_> = here
            .iter()
            .zip(&there)
            .find(|(here, there)| here != there)
            .into_iter()
            .collect();
        assert!(
            here == there,
            "{} and {} movements, the first that differs: {differs:?}",
            here.len(),
            there.len()
        );
    }
}

const CREDITS: &str =
    "order_id, model, position, channel, campaign_key, order_millionths, gross_minor, net_minor, fee_minor";
const CURRENT: &str = "FROM attribution_credits WHERE superseded_at IS NULL";

#[tokio::test]
async fn the_second_implementation_agrees_to_the_cent() {
    for seed in [7, 2026] {
        let shop = Shop::open(seed).await;
        shop.import_spend().await;
        assert!(shop.recompute().await > 0);
        shop.agrees("of_ads", &shop.of_ads().await);
        shop.agrees("credits", &shop.rows(CREDITS, CURRENT).await);
        let columns = "day, model, channel, campaign_key, currency, spend_micros, impressions, clicks, leads_millionths,
            qualified_millionths, orders_millionths, new_customers_millionths, gross_minor, net_minor, fee_minor";
        shop.agrees("daily", &shop.rows(columns, "FROM campaign_daily").await);
        let columns = "day, currency, gross_minor, net_minor, fee_minor";
        shop.agrees("revenue", &shop.rows(columns, "FROM revenue_daily").await);
        // However many make them at the same moment.
        let today = NOW[..10].parse().unwrap();
        let at_once = (0..8).map(|_| shop.store.make_cohorts(dataset(), today));
        assert!(join_all(at_once).await.iter().all(Result::is_ok));
        let columns = "currency, cohort, age_months, customers, orders,
            (coalesce(acquisition_spend, 0) * 1000000)::bigint, (cumulative_profit * 100)::bigint,
            (lifetime_value * 100)::bigint";
        let cohorts = "FROM bi.cohorts_by_month";
        shop.agrees("cohorts", &shop.rows(columns, cohorts).await);
        let columns = "day, model, channel, currency, (net_revenue * 100)::bigint, (spend * 1000000)::bigint,
            to_char(roas, 'FM9999990.000000')";
        shop.agrees("roas", &shop.rows(columns, "FROM bi.roas_by_channel_day").await);
        let columns = "week, model, channel, campaign, currency, (cac * 100)::bigint";
        shop.agrees("cac", &shop.rows(columns, "FROM bi.cac_by_campaign_week").await);
        let columns = "channel, campaign, (max(customers) * 1000000)::bigint,
            min(age_months) FILTER (WHERE paid_back_share >= 1)";
        let payback = "FROM bi.payback_by_campaign WHERE spend > 0 GROUP BY channel, campaign";
        shop.agrees("payback", &shop.rows(columns, payback).await);
        let columns = "currency, month, method, (forecast * 100)::bigint, (lower_80 * 100)::bigint, (upper_80 * 100)::bigint";
        shop.agrees("forecast", &shop.rows(columns, "FROM bi.revenue_forecast").await);
        for (what, rows) in shop.of_page().await {
            shop.agrees(what, &rows);
        }
        // Under every model all of the money is credited, and no cent more.
        let totals =
            "SELECT json_build_array((sum(order_millionths) / 1000000)::bigint, sum(gross_minor), sum(net_minor))::text
            FROM attribution_credits WHERE superseded_at IS NULL GROUP BY model";
        for row in shop.database.query(totals).await {
            let total: Value = serde_json::from_str(row[0].as_deref().unwrap()).unwrap();
            assert_eq!(total, shop.expected["totals"]);
        }
    }
}

#[tokio::test]
async fn what_stays_the_same_is_not_written_again_and_a_refund_is_a_new_version() {
    let shop = Shop::open(7).await;
    for channel in UNPAID_CHANNELS {
        let known =
            format!("SELECT is_unpaid_channel('{channel}') AND NOT is_unpaid_channel('{channel}_ads')");
        assert_eq!(shop.database.value(&known).await, "t", "{channel}");
    }
    shop.recompute().await;
    let before = shop.rows(CREDITS, CURRENT).await;
    assert_eq!(shop.recompute().await, 0);
    let count = "SELECT count(*) FROM attribution_credits WHERE superseded_at IS NOT NULL";
    assert_eq!(shop.database.value(count).await, "0");
    let order = "SELECT order_id FROM credited_orders WHERE net_minor = gross_minor AND order_id IN
        (SELECT order_id FROM attribution_credits WHERE model = 'linear' GROUP BY order_id HAVING count(*) = 3)
        ORDER BY order_id LIMIT 1";
    let order = shop.database.value(order).await;
    shop.database
        .execute(&format!(
            "INSERT INTO purchase_movements (dataset_id, payment_id, movement_key, kind, amount_minor, currency, occurred_at,
                 recorded_at)
             SELECT dataset_id, payment_id, 'refund:late', 'refund', -amount_minor, currency, rastro_now(), rastro_now()
             FROM purchase_movements WHERE kind = 'approval' AND payment_id IN
                 (SELECT payment_id FROM payments WHERE order_id = '{order}')"
        ))
        .await;
    // Found by what was booked, without anybody asking.
    shop.store
        .note_followed(dataset(), NOW.parse().unwrap())
        .await
        .unwrap();
    shop.crediting.round(&Shutdown::new()).await.unwrap();
    let left = format!(
        "SELECT sum(abs(net_minor)) FROM attribution_credits WHERE order_id = '{order}' AND superseded_at IS NULL"
    );
    assert_eq!(shop.database.value(&left).await, "0");
    let versions = format!(
        "SELECT count(*) FILTER (WHERE superseded_at IS NOT NULL), count(*) FILTER (WHERE version = 2)
        FROM attribution_credits WHERE order_id = '{order}' AND model = 'linear'"
    );
    assert_eq!(
        shop.database.query(&versions).await,
        [[Some("3".to_owned()), Some("3".to_owned())]]
    );
    let after = shop.rows(CREDITS, CURRENT).await;
    let others = |rows: &[String]| -> Vec<String> {
        rows.iter()
            .filter(|row| !row.contains(&format!("\"{order}\"")))
            .cloned()
            .collect()
    };
    assert_eq!(others(&after), others(&before));
}

#[tokio::test]
async fn a_run_that_is_stopped_goes_on_where_it_was() {
    let shop = Shop::open(7).await;
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let stopped = shop
        .crediting
        .recompute(dataset(), 365, &shutdown, &mut |_| stop.trigger())
        .await
        .unwrap();
    assert_eq!(stopped, None);
    let open =
        "SELECT cursor_order_id <> '' AND orders_seen > 0 FROM attribution_runs WHERE finished_at IS NULL";
    assert_eq!(shop.database.value(open).await, "t");
    let done = shop
        .crediting
        .recompute(dataset(), 365, &Shutdown::new(), &mut |_| {})
        .await
        .unwrap()
        .unwrap();
    let orders = shop
        .database
        .value("SELECT count(DISTINCT order_id) FROM payments")
        .await;
    assert_eq!(
        (done.seen, done.total),
        (orders.parse().unwrap(), orders.parse().unwrap())
    );
    shop.agrees("credits", &shop.rows(CREDITS, CURRENT).await);
    let runs = "SELECT count(*), count(finished_at) FROM attribution_runs";
    assert_eq!(
        shop.database.query(runs).await,
        [[Some("1".to_owned()), Some("1".to_owned())]]
    );
}

#[tokio::test]
async fn who_is_erased_takes_nothing_from_the_books_of_campaigns() {
    let shop = Shop::open(7).await;
    shop.recompute().await;
    let before = shop.rows(CREDITS, CURRENT).await;
    shop.database
        .execute("DELETE FROM touchpoints; DELETE FROM leads; DELETE FROM customers")
        .await;
    shop.database.execute("UPDATE payments SET lead_id = NULL, match_method = NULL, match_confidence = NULL, payer_email_hmac = NULL, payer_cpf_hmac = NULL").await;
    let customers = "SELECT count(DISTINCT customer_id) FROM credited_orders";
    let known = shop.database.value(customers).await;
    shop.recompute().await;
    assert_eq!(shop.rows(CREDITS, CURRENT).await, before);
    assert_eq!(shop.database.value(customers).await, known);
}

#[tokio::test]
async fn an_order_stays_with_the_campaigns_that_brought_it_after_their_touches_are_forgotten() {
    let shop = Shop::open(7).await;
    shop.recompute().await;
    // While none is forgotten a touch that is told late counts, also of the first order there is.
    shop.database
        .execute(
            "INSERT INTO touchpoints (dataset_id, visitor_hmac, touched_at, channel, utm_source, created_at)
             SELECT o.dataset_id, l.visitor_hmac, o.placed_at - interval '2 hours', 'referral', 'late', rastro_now()
             FROM credited_orders o JOIN payments p USING (dataset_id, order_id) JOIN leads l USING (dataset_id, lead_id)
             WHERE p.books = 'counted' ORDER BY o.placed_at LIMIT 1",
        )
        .await;
    assert_ne!(shop.recompute().await, 0);
    let before = shop.rows(CREDITS, CURRENT).await;
    let columns = "day, model, channel, campaign_key, leads_millionths, qualified_millionths";
    let leads = "FROM campaign_daily WHERE leads_millionths > 0 AND day < '2026-11-28'";
    let leads_before = shop.rows(columns, leads).await;
    assert!(shop.store.forget_touchpoints(1, 1_000_000).await.unwrap() > 0);
    assert_eq!(shop.recompute().await, 0);
    assert_eq!(shop.rows(CREDITS, CURRENT).await, before);
    assert_eq!(shop.rows(columns, leads).await, leads_before);
    // A chargeback of an order of three touches, long after.
    let order = "SELECT order_id FROM credited_orders WHERE net_minor = gross_minor AND order_id IN
        (SELECT order_id FROM attribution_credits WHERE model = 'linear' AND superseded_at IS NULL
        GROUP BY order_id HAVING count(*) = 3) ORDER BY order_id LIMIT 1";
    let order = shop.database.value(order).await;
    let path = format!(
        "SELECT string_agg(channel || ' ' || campaign_key, ', ' ORDER BY position) FROM attribution_credits
        WHERE order_id = '{order}' AND model = 'linear' AND superseded_at IS NULL"
    );
    let known = shop.database.value(&path).await;
    shop.database
        .execute(&format!(
            "INSERT INTO purchase_movements (dataset_id, payment_id, movement_key, kind, amount_minor, currency, occurred_at,
                 recorded_at)
             SELECT dataset_id, payment_id, 'chargeback:late', 'chargeback', -amount_minor, currency, rastro_now(), rastro_now()
             FROM purchase_movements WHERE kind = 'approval' AND payment_id IN
                 (SELECT payment_id FROM payments WHERE order_id = '{order}')"
        ))
        .await;
    assert_eq!(shop.recompute().await, 1);
    assert_eq!(shop.database.value(&path).await, known);
    let left = format!(
        "SELECT sum(abs(net_minor)) FROM attribution_credits WHERE order_id = '{order}' AND superseded_at IS NULL"
    );
    assert_eq!(shop.database.value(&left).await, "0");
}

#[tokio::test]
async fn one_bad_row_changes_nothing_and_a_dry_run_neither() {
    let shop = Shop::open(7).await;
    let mut order = Import {
        dataset: dataset(),
        format: Format::Rastro,
        reading: Reading {
            decimal_comma: false,
            day_first: false,
            account_id: String::new(),
            today: "2026-11-28".parse().unwrap(),
        },
        dry_run: false,
    };
    let text = String::from_utf8(shop.spend.clone()).unwrap();
    let bad = format!("{text}2026-11-27,meta,act_1,1,x,12.3.4,BRL,1,1\n");
    let error = import(&shop.store, bad.as_bytes(), &order)
        .await
        .unwrap_err()
        .to_string();
    let line = bad.lines().count();
    assert!(error.contains(&format!("line {line}, column spend")), "{error}");
    order.dry_run = true;
    let would = import(&shop.store, text.as_bytes(), &order).await.unwrap();
    assert_eq!(
        shop.database
            .value("SELECT (SELECT count(*) FROM ad_spend) + (SELECT count(*) FROM spend_imports)")
            .await,
        "0"
    );
    order.dry_run = false;
    let did = import(&shop.store, text.as_bytes(), &order).await.unwrap();
    assert_eq!(did, would);
    assert_eq!(
        (did.change.added, did.change.changed, did.left_out),
        (text.lines().count() - 1, 0, 0)
    );
    // A later file replaces the days that it is about, and nothing else.
    let first_line = text.lines().nth(1).unwrap();
    let cost = first_line.split(',').nth(5).unwrap();
    let corrected = text.replacen(first_line, &first_line.replace(cost, "1.00"), 1);
    let again = import(&shop.store, corrected.as_bytes(), &order).await.unwrap();
    assert_eq!(
        (again.change.added, again.change.changed, again.change.unchanged),
        (0, 1, did.change.added - 1)
    );
    // An export of Google's has titles and sums. Somebody who counts lines finds them again.
    let export = "Campaign report\nCampaign,Day,Currency code,Cost\nTotal Clareamento,2026-11-27,BRL,12.50\n\
        Total: Account,--,BRL,12.50\n";
    order.format = Format::GoogleAds;
    let imported = import(&shop.store, export.as_bytes(), &order).await.unwrap();
    assert_eq!(
        summary(&imported, false),
        "1 rows were added, 0 changed, 0 stay as they are; 2026-11-27 to 2026-11-27; BRL 12.500000; \
         2 lines left out: titles and sums"
    );
    order.format = Format::Rastro;
    let days = "SELECT count(*) FROM campaign_days_due";
    assert_ne!(shop.database.value(days).await, "0");
    order.dataset = 1.try_into().unwrap();
    assert!(import(&shop.store, text.as_bytes(), &order).await.is_err());
}

/// What a page of a day shows: leads, orders in cents as placed, and money in cents as it came.
async fn day_of_the_page(database: &TestDatabase, store: &Store, day: &str) -> [String; 3] {
    let scope = store.revenue_scope(dataset()).await.unwrap().unwrap();
    let filter = RevenueFilter {
        dataset: dataset(),
        currency: "BRL".into(),
        model: Model::Linear,
        from: day.parse().unwrap(),
        until: day.parse().unwrap(),
    };
    let funnel = store.lead_funnel(&filter, &scope.time_zone).await.unwrap();
    let days = store
        .revenue_days(&filter, &RevenuePart::default())
        .await
        .unwrap();
    let placed: i64 = days.iter().map(|day| day.net_minor).sum();
    let leads = database
        .value(&format!(
            "SELECT coalesce(sum(leads_millionths), 0)::bigint / 1000000 FROM campaign_daily
             WHERE model = 'linear' AND day = '{day}'"
        ))
        .await;
    assert_eq!(
        funnel.leads.to_string(),
        leads,
        "the funnel and the sums of {day}"
    );
    let came = database
        .value(&format!(
            "SELECT coalesce(sum(net_minor), 0)::bigint FROM revenue_daily WHERE day = '{day}'"
        ))
        .await;
    [leads, placed.to_string(), came]
}

#[tokio::test]
async fn a_day_begins_where_the_business_is_and_is_filed_anew_when_that_changes() {
    let database = TestDatabase::create().await;
    // In Tokyo it is the 21st from 15:00 on. In São Paulo, three hours behind UTC, it is the 20th all the
    // time.
    let (lead, order, money) = ("15:30:00", "14:59:59", "15:00:00");
    database
        .execute(&format!(
            "INSERT INTO datasets (dataset_id, name, access_token_sealed, default_currency, purchase_source, time_zone)
             VALUES ({DATASET}, 'shop', '', 'BRL', 'verified', 'Asia/Tokyo');
             CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
             AS 'SELECT timestamptz ''{NOW}''';
             INSERT INTO leads (dataset_id, lead_id, status, contact, ads_refused, event_day, event_id, request_id,
                created_at, updated_at)
             SELECT {DATASET}, 1, 'new', 'x', false, at::date, '1', '00000000-0000-7000-8000-000000000000', at, at
             FROM (SELECT timestamptz '2026-11-20 {lead}Z' AS at) AS moment;
             INSERT INTO payments (dataset_id, payment_id, account_id, status, status_detail, books, operation_type,
                currency, amount_minor, refunded_minor, payment_method, payment_type, order_id, created_at, approved_at,
                updated_at, discovered_by, first_seen_at, read_at)
             SELECT {DATASET}, '1', 44444, 'approved', '', 'counted', 'regular_payment', 'BRL', 9990, 0, 'pix',
                'bank_transfer', '1', at, at, at, 'webhook', at, at
             FROM (SELECT timestamptz '2026-11-20 {order}Z' AS at) AS moment;
             INSERT INTO purchase_movements (dataset_id, payment_id, movement_key, kind, amount_minor, fee_minor, currency,
                occurred_at, recorded_at)
             SELECT {DATASET}, '1', 'approval', 'approval', 9990, 99, 'BRL', at, at
             FROM (SELECT timestamptz '2026-11-20 {money}Z' AS at) AS moment"
        ))
        .await;
    let store = Store::new(&database.config(), "test").unwrap();
    let config: Config = rastro_boot::testing::config(&[]).unwrap();
    let crediting = Crediting::new(store.clone(), &config.crediting).unwrap();
    crediting.round(&Shutdown::new()).await.unwrap();
    let page = async |day: &str| day_of_the_page(&database, &store, day).await;
    assert_eq!(page("2026-11-20").await, ["0", "9990", "0"]);
    assert_eq!(page("2026-11-21").await, ["1", "0", "9990"]);

    // The same day: it is not the nightly sweep that does it.
    database
        .execute("UPDATE datasets SET time_zone = 'America/Sao_Paulo'")
        .await;
    crediting.round(&Shutdown::new()).await.unwrap();
    assert_eq!(page("2026-11-20").await, ["1", "9990", "9990"]);
    assert_eq!(page("2026-11-21").await, ["0", "0", "0"]);
}
