//! The rules about money, on rows that look as their trouble does. The values are worked out by hand.

use rastro_core::alert::{Rule, Severity};

use crate::support::Scene;

/// A payment that was approved.
struct Paid {
    id: &'static str,
    approved_hours_ago: i64,
    cents: i64,
    conversion: &'static str,
}

impl Scene {
    async fn spend(&self, channel: &str, days_ago: i64, reais: i64) {
        self.execute(&format!(
            "INSERT INTO ad_spend (dataset_id, channel, account_id, day, campaign_key, campaign_name, name_key, currency,
                cost_micros, source, updated_at)
             VALUES (1, '{channel}', '', (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - {days_ago}, 'c1', 'Campanha', '',
                'BRL', {reais} * 1000000, 'csv', rastro_now())"
        ))
        .await;
    }

    /// The first day whose figures still move, as the views have it: four days ago in São Paulo.
    async fn first_moving_day(&self) {
        self.execute(
            "CREATE FUNCTION first_moving_day() RETURNS date LANGUAGE sql STABLE AS
             $$ SELECT (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - 4 $$",
        )
        .await;
    }

    async fn account(&self) {
        self.execute(
            "INSERT INTO payment_accounts (dataset_id, account_id, label, access_token_sealed) VALUES (1, 77, 'Loja', '')",
        )
        .await;
    }

    async fn payment(&self, paid: &Paid) {
        let Paid {
            id,
            approved_hours_ago,
            cents,
            conversion,
        } = paid;
        self.execute(&format!(
            "INSERT INTO payments (dataset_id, payment_id, account_id, status, status_detail, books, operation_type, currency,
                amount_minor, refunded_minor, payment_method, payment_type, order_id, conversion, created_at, approved_at, updated_at,
                discovered_by, first_seen_at, read_at)
             SELECT 1, '{id}', 77, 'approved', 'accredited', 'counted', 'regular_payment', 'BRL', {cents}, 0, 'pix', 'bank_transfer',
                'order-{id}', '{conversion}', t.at - interval '10 minutes', t.at, t.at, 'webhook', t.at, t.at
             FROM (SELECT rastro_now() - interval '{approved_hours_ago} hours' AS at) AS t"
        ))
        .await;
    }

    /// A comparison of the account's payments up to so many minutes ago.
    async fn comparison(&self, account: i64, kind: &str, state: &str, minutes_ago: i64) {
        self.execute(&format!(
            "INSERT INTO reconciliation_runs (dataset_id, account_id, kind, window_of, window_from, window_to, cursor_at, state,
                lease_until, started_at, finished_at)
             SELECT 1, {account}, '{kind}', 'date_created', t.until - interval '1 day', t.until, t.until, '{state}', t.until, t.until,
                CASE WHEN '{state}' <> 'running' THEN t.until END
             FROM (SELECT rastro_now() - interval '{minutes_ago} minutes' AS until) AS t"
        ))
        .await;
    }

    /// A day's sums, so many days before the first one that still moves.
    async fn day(&self, before_provisional: i64, spend: i64, paid_net: i64, new_customers: i64) {
        self.execute(&format!(
            "INSERT INTO campaign_daily (dataset_id, day, model, channel, campaign_key, currency, campaign_name, paid, spend_micros,
                impressions, clicks, claimed_purchases, claimed_micros, leads_millionths, qualified_millionths, orders_millionths,
                new_customers_millionths, gross_minor, net_minor, fee_minor)
             SELECT 1, first_moving_day() - {before_provisional}, model, channel, '', 'BRL', '', paid, spend * 1000000, 0, 0, 0, 0, 0, 0,
                0, customers * 1000000, net * 100, net * 100, 0
             FROM (VALUES ('linear', 'meta', true, {spend}, {paid_net}, {new_customers}), ('linear', 'direct', false, 0, 9000, 0),
                ('last', 'meta', true, {spend}, 0, 0)) AS v (model, channel, paid, spend, net, customers)"
        ))
        .await;
    }

    /// Paid orders of as many customers within the seven days.
    async fn customers(&self, from: i64, to: i64) {
        self.execute(&format!(
            "INSERT INTO credited_orders (dataset_id, order_id, placed_at, day, currency, gross_minor, net_minor, fee_minor,
                customer_id, person_known, fingerprint, rules_version, credited_at)
             SELECT 1, 'o' || n, rastro_now(), first_moving_day() - 2, 'BRL', 1000, 1000, 0, n, true, '', 1, rastro_now()
             FROM generate_series({from}, {to}) AS n"
        ))
        .await;
    }

    /// The states of a rule's alerts, the oldest first.
    async fn states(&self, rule: Rule) -> String {
        self.value(&format!(
            "SELECT coalesce(string_agg(state, ' ' ORDER BY alert_id), '') FROM alerts WHERE rule = '{}'",
            rule.as_str()
        ))
        .await
    }
}

#[tokio::test]
async fn spend_of_a_source_that_ended_more_than_36_hours_ago_is_told_until_it_goes_on() {
    let mut scene = Scene::start().await;
    // At noon of São Paulo: the day before yesterday ended 36 hours ago, the one before it 60, yesterday 12.
    scene.spend("meta", 3, 50).await;
    scene.spend("meta", 4, 50).await;
    scene.spend("google", 1, 50).await;
    scene.spend("google", 9, 50).await;
    let mut found = scene.finds(Rule::SpendStale).await;
    found.sort_by(|one, other| one.subject.group.cmp(&other.subject.group));
    let hours: Vec<(&str, i64)> = found
        .iter()
        .map(|found| (found.subject.group.as_str(), (found.value / 3_600.0) as i64))
        .collect();
    assert_eq!(hours, [("google", 12), ("meta", 60)]);
    assert_eq!(found[1].severity, Severity::Warning);

    scene.run().await;
    assert_eq!(scene.states(Rule::SpendStale).await, "firing");
    let day = scene
        .value("SELECT to_char((rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - 3, 'DD/MM/YYYY')")
        .await;
    let said = scene.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains(&format!("Gasto de meta parado em {day}")),
        "{said:?}"
    );

    scene.spend("meta", 1, 50).await;
    scene.minutes(10).await;
    assert_eq!(
        scene.states(Rule::SpendStale).await,
        "firing",
        "ten minutes of quiet"
    );
    scene.minutes(1).await;
    assert_eq!(scene.states(Rule::SpendStale).await, "resolved");
}

/// An API tells nothing of days on which no ad ran.
#[tokio::test]
async fn spend_that_is_read_and_is_none_is_not_stale() {
    let scene = Scene::start().await;
    scene.spend("meta", 9, 50).await;
    assert_eq!(scene.finds(Rule::SpendStale).await.len(), 1);
    scene
        .execute(
            "INSERT INTO spend_coverage (dataset_id, channel, account_id, first_day, last_day)
             SELECT 1, 'meta', 'act_1', today - 30, today
             FROM (SELECT (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date AS today) AS day",
        )
        .await;
    assert!(scene.finds(Rule::SpendStale).await.is_empty());
}

#[tokio::test]
async fn approved_payments_without_a_purchase_are_told_with_their_money_until_they_have_one() {
    let mut scene = Scene::start().await;
    scene.account().await;
    let payments = [
        // Two are a gap: nothing was made of one, and the site did not record the other.
        ("1", 2, 10_050, "none"),
        ("2", 3, 949, "not_verified"),
        // Not yet an hour; too long ago for Meta; has one; the person refused; undone first; the site
        // recorded it.
        ("3", 0, 1, "none"),
        ("4", 200, 1, "none"),
        ("5", 2, 1, "sent"),
        ("6", 2, 1, "duplicate"),
        ("7", 2, 1, "withheld"),
        ("8", 2, 1, "refunded_first"),
        ("9", 2, 1, "not_verified"),
        ("10", 2, 1, "none"),
        ("11", 2, 1, "none"),
    ];
    for (id, approved_hours_ago, cents, conversion) in payments {
        let paid = Paid {
            id,
            approved_hours_ago,
            cents,
            conversion,
        };
        scene.payment(&paid).await;
    }
    scene
        .execute(
            "UPDATE payments SET books = 'test_mode' WHERE payment_id = '10';
             UPDATE payments SET status = 'refunded' WHERE payment_id = '11';
             INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, ads_refused, request_id, created_at,
                updated_at)
             VALUES (1, 'order-9', 'approved', 1, 'BRL', '{}', false, gen_random_uuid(), rastro_now(), rastro_now())",
        )
        .await;
    let gap = scene.finds_one(Rule::Reconciliation).await;
    assert_eq!((gap.value, gap.severity), (2.0, Severity::Critical));
    assert_eq!(
        (
            gap.facts.money[0].amount.as_str(),
            gap.facts.money[0].currency.as_str()
        ),
        ("109.99", "BRL")
    );

    scene.run().await;
    let said = scene.said();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("Loja Aurora: 2 pagamentos aprovados sem compra (R$ 109,99)"),
        "{said:?}"
    );
    scene
        .execute(
            "UPDATE payments SET conversion = 'sent' WHERE payment_id = '1';
             INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, ads_refused, request_id, created_at,
                updated_at)
             VALUES (1, 'order-2', 'approved', 949, 'BRL', '{}', false, gen_random_uuid(), rastro_now(), rastro_now())",
        )
        .await;
    assert!(scene.finds(Rule::Reconciliation).await.is_empty());
    scene.minutes(11).await;
    assert_eq!(scene.states(Rule::Reconciliation).await, "resolved");
    assert!(scene.said()[1].starts_with("Resolvido"), "{:?}", scene.said());
}

#[tokio::test]
async fn a_low_return_is_judged_on_seven_days_that_no_longer_move_and_from_ten_customers_on() {
    let mut scene = Scene::start().await;
    scene.first_moving_day().await;
    scene.config.alerts.roas_low.enabled = true;
    scene.config.alerts.roas_low.fires = 2.0;
    scene.config.alerts.roas_low.clears = 2.2;
    // 100 spent and 150 of paid channels a day; what still moves, what is older, what came by itself and
    // other models would be 50 times that.
    for day in 1..=7 {
        scene.day(day, 100, 150, 0).await;
    }
    for day in [0, -1, -4, 8, 9] {
        scene.day(day, 100, 5_000, 0).await;
    }
    scene.customers(1, 9).await;
    scene.spend("meta", 1, 100).await;
    assert!(
        scene.finds(Rule::RoasLow).await.is_empty(),
        "nine customers are too few"
    );
    scene.customers(10, 10).await;
    let low = scene.finds_one(Rule::RoasLow).await;
    assert_eq!(
        (low.value, low.severity, low.subject.group.as_str()),
        (1.5, Severity::Info, "BRL")
    );
    scene.run().await;
    assert_eq!(scene.states(Rule::RoasLow).await, "firing");
    assert!(scene.said().is_empty(), "it is for the daily mail");

    // Between the thresholds nothing changes.
    scene
        .execute("UPDATE campaign_daily SET net_minor = 21000 WHERE paid AND model = 'linear' AND day < first_moving_day()")
        .await;
    scene.minutes(1).await;
    assert_eq!(scene.states(Rule::RoasLow).await, "firing");
    scene
        .execute("UPDATE campaign_daily SET net_minor = 30000 WHERE paid AND model = 'linear' AND day < first_moving_day()")
        .await;
    scene.minutes(1).await;
    assert_eq!(scene.states(Rule::RoasLow).await, "resolved");

    // Where spend of those days is not told, there is nothing to divide by.
    scene.execute("UPDATE ad_spend SET day = day - 20").await;
    assert!(scene.finds(Rule::RoasLow).await.is_empty());
}

#[tokio::test]
async fn a_dear_customer_is_judged_on_seven_days_that_no_longer_move_and_from_ten_new_ones_on() {
    let mut scene = Scene::start().await;
    scene.first_moving_day().await;
    scene.config.alerts.cac_high.enabled = true;
    scene.config.alerts.cac_high.fires = 60.0;
    scene.config.alerts.cac_high.clears = 50.0;
    // 700 spent on 9 new customers; the days that still move and older ones would make them cheap.
    for day in 1..=7 {
        scene.day(day, 100, 0, if day == 1 { 3 } else { 1 }).await;
    }
    for day in [0, -4, 8] {
        scene.day(day, 1, 0, 1_000).await;
    }
    scene.spend("meta", 1, 100).await;
    assert!(scene.finds(Rule::CacHigh).await.is_empty(), "nine are too few");
    scene
        .execute(
            "UPDATE campaign_daily SET new_customers_millionths = 4000000
             WHERE day = first_moving_day() - 1 AND channel = 'meta' AND model = 'linear'",
        )
        .await;
    let dear = scene.finds_one(Rule::CacHigh).await;
    assert_eq!((dear.value, dear.severity), (70.0, Severity::Info));
    assert_eq!(dear.facts.money[0].amount, "70.00");
    assert_eq!(dear.facts.count, Some(10));
    scene.run().await;
    assert_eq!(scene.states(Rule::CacHigh).await, "firing");
    scene
        .execute(
            "UPDATE campaign_daily SET new_customers_millionths = 9000000
             WHERE day = first_moving_day() - 1 AND channel = 'meta' AND model = 'linear'",
        )
        .await;
    scene.minutes(1).await;
    assert_eq!(scene.states(Rule::CacHigh).await, "resolved", "700 / 15 = 46.67");
}

#[tokio::test]
async fn an_account_that_nobody_compares_is_told_with_what_mercado_pago_says_until_one_is_made() {
    let mut scene = Scene::start().await;
    scene.account().await;
    scene
        .execute(
            "INSERT INTO payment_accounts (dataset_id, account_id, label, access_token_sealed) VALUES (1, 78, ' ', '');
             UPDATE payment_accounts SET created_at = rastro_now() - interval '170 minutes'",
        )
        .await;
    // Nobody had the time yet.
    scene.run().await;
    assert_eq!(scene.states(Rule::PaymentsUnread).await, "");

    // Only an hourly comparison of the account, in whole, says that what was lost is found.
    scene
        .execute("UPDATE payment_accounts SET created_at = rastro_now() - interval '9 days'")
        .await;
    scene.comparison(77, "hourly", "complete", 500).await;
    scene.comparison(77, "hourly", "complete", 240).await;
    scene.comparison(77, "hourly", "running", 1).await;
    scene.comparison(77, "nightly", "complete", 1).await;
    scene.comparison(78, "hourly", "complete", 10).await;
    scene
        .execute(
            "UPDATE payment_accounts SET blocked_reason = 'status 401, invalid access token', retry_at = rastro_now()
             WHERE account_id = 77",
        )
        .await;
    let mut found = scene.finds(Rule::PaymentsUnread).await;
    found.sort_by(|one, other| one.subject.group.cmp(&other.subject.group));
    let minutes: Vec<(&str, i64, Option<&str>)> = found
        .iter()
        .map(|found| {
            let facts = &found.facts;
            (
                found.subject.group.as_str(),
                (found.value / 60.0) as i64,
                facts.name.as_deref(),
            )
        })
        .collect();
    assert_eq!(minutes, [("77", 240, Some("Loja")), ("78", 10, Some("78"))]);
    assert_eq!(found[0].severity, Severity::Critical);
    assert_eq!(
        found[0].facts.error.as_deref(),
        Some("status 401, invalid access token")
    );
    scene.run().await;
    let said = scene.said();
    let expected = "Loja Aurora: os pagamentos de Loja não são conferidos há 4 h 0";
    let is_said = said.len() == 1 && said[0].contains(expected);
    assert!(
        is_said && said[0].contains("; o Mercado Pago recusa o token."),
        "{said:?}"
    );

    scene
        .execute(
            "UPDATE reconciliation_runs SET state = 'complete', finished_at = rastro_now() WHERE state = 'running';
             UPDATE payment_accounts SET blocked_reason = NULL, retry_at = NULL",
        )
        .await;
    scene.minutes(10).await;
    assert_eq!(
        scene.states(Rule::PaymentsUnread).await,
        "firing",
        "ten minutes of quiet"
    );
    scene.minutes(1).await;
    assert_eq!(scene.states(Rule::PaymentsUnread).await, "resolved");
}

#[tokio::test]
async fn payments_that_a_person_has_to_look_at_are_told_by_kind_and_day() {
    let scene = Scene::start().await;
    scene.account().await;
    scene
        .execute("UPDATE payment_accounts SET created_at = rastro_now() - interval '60 days'")
        .await;
    let paid = |id, approved_hours_ago, cents| Paid {
        id,
        approved_hours_ago,
        cents,
        conversion: "sent",
    };
    for payment in [
        // The second of its order is one too many, the third was the first and is not; the fourth's was paid
        // long ago.
        paid("1", 2, 1_000),
        paid("2", 1, 2_000),
        paid("3", 90, 4_000),
        paid("4", 90, 4_100),
        // Charged back today, and a week ago.
        paid("5", 200, 5_000),
        paid("6", 200, 6_000),
        // Disputed for three days.
        paid("7", 80, 7_000),
        // Mercado Pago warns of one of them.
        paid("8", 3, 8_000),
    ] {
        scene.payment(&payment).await;
    }
    for number in 0..6 {
        let id = ["90", "91", "92", "93", "94", "95"][number];
        scene.payment(&paid(id, 1, 100)).await;
    }
    scene
        .execute(
            "UPDATE payments SET order_id = 'twice' WHERE payment_id IN ('1', '2');
             UPDATE payments SET order_id = 'long-ago' WHERE payment_id IN ('3', '4');
             UPDATE payments SET status = 'charged_back', updated_at = rastro_now() WHERE payment_id IN ('5', '6');
             UPDATE payments SET status = 'in_mediation', updated_at = rastro_now() - interval '72 hours' WHERE payment_id = '7';
             UPDATE payments SET discovered_by = 'sweep' WHERE payment_id LIKE '9%' AND payment_id < '95';
             INSERT INTO purchase_movements (dataset_id, payment_id, movement_key, kind, amount_minor, currency, occurred_at, recorded_at)
             VALUES (1, '5', 'chargeback:1', 'chargeback', -5000, 'BRL', rastro_now(), rastro_now()),
                (1, '6', 'chargeback:1', 'chargeback', -6000, 'BRL', rastro_now(), rastro_now() - interval '7 days');
             INSERT INTO payment_notifications (dataset_id, account_id, delivery_key, source, topic, resource_id, due_at, received_at,
                last_received_at)
             SELECT 1, 77, sha256(key::bytea), source, topic, resource, rastro_now(), rastro_now(), rastro_now()
             FROM (VALUES ('a', 'webhook', 'fraud_alert', '8'), ('b', 'webhook', 'fraud_alert', '8'),
                ('c', 'hint', 'fraud_alert', '1'), ('d', 'webhook', 'payment', '2')) AS v (key, source, topic, resource)",
        )
        .await;
    let day = |days_ago: i64| {
        format!("SELECT ((rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - {days_ago})::text")
    };
    let (today, disputed) = (scene.value(&day(0)).await, scene.value(&day(3)).await);
    let told = async || {
        let mut found = scene.finds(Rule::PaymentsOdd).await;
        found.sort_by(|one, other| one.subject.group.cmp(&other.subject.group));
        let line = |found: rastro_core::alert::Measurement| {
            let money: Vec<String> = found
                .facts
                .money
                .iter()
                .map(|money| money.amount.clone())
                .collect();
            format!("{} {} {}", found.subject.group, found.value, money.join(" "))
        };
        found.into_iter().map(line).collect::<Vec<_>>()
    };
    let mut expected = vec![
        format!("chargeback/{today} 1 50.00"),
        format!("fraud_alert/{today} 1 80.00"),
        format!("mediation/{disputed} 1 70.00"),
        format!("paid_twice/{today} 1 20.00"),
    ];
    assert_eq!(
        told().await,
        expected,
        "five that no webhook told of are no trouble"
    );
    scene
        .execute("UPDATE payments SET discovered_by = 'sweep' WHERE payment_id = '95'")
        .await;
    expected.insert(3, format!("missing_local/{today} 6 6.00"));
    assert_eq!(told().await, expected);

    scene.run().await;
    assert_eq!(scene.states(Rule::PaymentsOdd).await, ["firing"; 5].join(" "));
    let said = scene.said().join("\n");
    assert!(
        said.contains("1 chargeback (R$ 50); o prazo para enviar provas já corre."),
        "{said}"
    );
}
