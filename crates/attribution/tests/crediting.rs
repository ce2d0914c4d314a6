//! What crediting learns of how people come, and when; and sums of a day, reckoned by hand.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use attribution::config::Config;
use attribution::crediting::Crediting;
use common::{commits_again, fail_commits};
use rastro_core::dataset::DatasetId;
use rastro_service::shutdown::Shutdown;
use rastro_store::{Store, StoreError};
use rastro_test_support::TestDatabase;

const DATASET: i64 = 123_456_789_012_345;
/// A Saturday.
const NOW: &str = "2026-11-28";

const PEOPLE: &str = "
    CREATE FUNCTION came(number bigint, at timestamptz, channels text[]) RETURNS void LANGUAGE sql AS $$
        INSERT INTO leads (dataset_id, lead_id, status, contact, visitor_hmac, ads_refused, event_day, event_id, request_id,
            created_at, updated_at)
        VALUES (123456789012345, number, 'new', 'x', sha256(number::text::bytea), false, at::date, number::text,
            '00000000-0000-7000-8000-000000000000', at, at);
        INSERT INTO touchpoints (dataset_id, visitor_hmac, touched_at, channel, created_at)
        SELECT 123456789012345, sha256(number::text::bytea), at - (10 - place) * interval '1 hour', channel, at
        FROM unnest(channels) WITH ORDINALITY AS touch (channel, place)
    $$;
    CREATE FUNCTION paid(number bigint, lead bigint, at timestamptz, in_currency text, buyer bytea) RETURNS void
    LANGUAGE sql AS $$
        INSERT INTO payments (dataset_id, payment_id, account_id, status, status_detail, books, operation_type, currency,
            amount_minor, refunded_minor, payment_method, payment_type, order_id, lead_id, match_method, match_confidence,
            payer_email_hmac, created_at, approved_at, updated_at, discovered_by, first_seen_at, read_at)
        VALUES (123456789012345, number::text, 44444, 'approved', '', 'counted', 'regular_payment', in_currency, 1000, 0,
            'pix', 'bank_transfer', number::text, lead, CASE WHEN lead > 0 THEN 'email' END, CASE WHEN lead > 0 THEN 70 END,
            buyer, at, at, at, 'webhook', at, at);
        INSERT INTO purchase_movements (dataset_id, payment_id, movement_key, kind, amount_minor, fee_minor, currency,
            occurred_at, recorded_at)
        VALUES (123456789012345, number::text, 'approval', 'approval', 1000, 0, in_currency, at, at)
    $$;";
/// Of those who are known 200 came by a link and then by a search and bought, 100 by a search alone and
/// bought, and 100 by a link and did not buy.
const HISTORY: &str = "
    SELECT came(n, '2026-11-20 12:00Z', ARRAY['referral', 'organic_search']) FROM generate_series(1, 200) AS n;
    SELECT came(n, '2026-11-20 12:00Z', ARRAY['organic_search']) FROM generate_series(201, 300) AS n;
    SELECT paid(n, n, '2026-11-20 13:00Z', 'BRL', NULL) FROM generate_series(1, 300) AS n;
    SELECT came(n, '2026-11-20 12:00Z', ARRAY['referral']) FROM generate_series(1001, 1100) AS n;
    -- Of these the first touch is deleted for its age: that they came by a search alone is not known.
    INSERT INTO retention_marks VALUES ('touchpoints', '2026-10-01 00:00Z');
    SELECT came(n, '2026-10-10 12:00Z', ARRAY['organic_search']) FROM generate_series(2001, 2300) AS n;
    -- Nor how these came, who were erased.
    SELECT came(n, '2026-11-20 12:00Z', ARRAY[]::text[]) FROM generate_series(3001, 3050) AS n;
    UPDATE leads SET erased = true, contact = '', visitor_hmac = NULL WHERE lead_id BETWEEN 3001 AND 3050;
    -- These bought, and nobody knows who they are.
    SELECT paid(n, NULL, '2026-11-20 13:00Z', 'BRL', NULL) FROM generate_series(4001, 4005) AS n;";

/// Of four ways three lead to an order, two by a link and all by a search: without the link one is left, and
/// without the search none. Nobody came directly.
const EFFECTS: &str = "organic_search 100.00, referral 66.67";
/// In the relation of the effects; before they are known, by position.
const BY_EFFECTS: &str = "referral 400000, organic_search 600000";
const BY_POSITION: &str = "referral 500000, organic_search 500000";

struct Clinic {
    database: TestDatabase,
    crediting: Crediting,
}

impl Clinic {
    async fn with(history: &str) -> Self {
        let database = TestDatabase::create().await;
        database
            .execute(&format!(
                "INSERT INTO datasets (dataset_id, name, access_token_sealed, default_currency, purchase_source)
                 VALUES ({DATASET}, 'clinic', '', 'BRL', 'verified')"
            ))
            .await;
        let store = Store::new(&database.config(), "test").unwrap();
        let config: Config = rastro_boot::testing::config(&[]).unwrap();
        let clinic = Clinic {
            crediting: Crediting::new(store, &config.crediting).unwrap(),
            database,
        };
        clinic.it_is(NOW).await;
        clinic.database.execute(PEOPLE).await;
        clinic.database.execute(history).await;
        clinic
    }

    async fn it_is(&self, day: &str) {
        self.database
            .execute(&format!(
                "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
                 AS 'SELECT timestamptz ''{day} 15:00Z'''"
            ))
            .await;
    }

    async fn recompute(&self) -> Result<(), StoreError> {
        let dataset = DatasetId::try_from(DATASET).unwrap();
        let done = self
            .crediting
            .recompute(dataset, 30, &Shutdown::new(), &mut |_| {})
            .await?;
        assert!(done.is_some(), "nobody stopped it");
        Ok(())
    }

    async fn round(&self) {
        self.crediting.round(&Shutdown::new()).await.unwrap();
    }

    /// What was learnt: the effect of each channel, in percent.
    async fn effects(&self) -> String {
        let effects = "SELECT coalesce((
            SELECT string_agg(concat(key, ' ', round(value::numeric * 100, 2)), ', ' ORDER BY key)
            FROM attribution_state, jsonb_each_text(removal_effects)
        ), 'none')";
        self.database.value(effects).await
    }

    /// What Markov gives each channel of an order that was brought by both.
    async fn shares(&self) -> String {
        let shares = "SELECT string_agg(concat(channel, ' ', order_millionths), ', ' ORDER BY position)
            FROM attribution_credits WHERE order_id = '1' AND model = 'markov' AND superseded_at IS NULL";
        self.database.value(shares).await
    }

    async fn credits(&self) -> Vec<Vec<Option<String>>> {
        let credits =
            "SELECT order_id, model, version, position, channel, order_millionths, gross_minor, net_minor
            FROM attribution_credits WHERE superseded_at IS NULL ORDER BY order_id, model, position";
        self.database.query(credits).await
    }
}

#[tokio::test]
async fn markov_learns_from_those_whose_ways_are_known_and_from_nobody_else() {
    let clinic = Clinic::with(HISTORY).await;
    clinic.recompute().await.unwrap();
    assert_eq!(clinic.effects().await, EFFECTS);
    assert_eq!(clinic.shares().await, BY_EFFECTS);
}

#[tokio::test]
async fn markov_learns_by_itself_at_the_first_sweep_of_a_week() {
    let clinic = Clinic::with(HISTORY).await;
    clinic.round().await;
    assert_eq!(clinic.effects().await, EFFECTS);
    assert_eq!(clinic.shares().await, BY_EFFECTS, "and credits by it at once");

    let forget = "UPDATE attribution_state SET removal_effects = NULL";
    clinic.database.execute(forget).await;
    clinic.it_is("2026-11-29").await;
    clinic.round().await;
    assert_eq!(clinic.effects().await, "none", "on Sunday the week is the same");
    assert_eq!(clinic.shares().await, BY_POSITION);
    clinic.it_is("2026-11-30").await;
    clinic.round().await;
    assert_eq!(clinic.effects().await, EFFECTS);
    assert_eq!(clinic.shares().await, BY_EFFECTS);
}

#[tokio::test]
async fn a_recomputation_that_dies_after_it_learnt_ends_as_one_that_did_not() {
    let whole = Clinic::with(HISTORY).await;
    whole.recompute().await.unwrap();
    let expected = whole.credits().await;
    // Where it keeps what it learnt, and where it credits by that.
    for (doing, table, row) in [
        (
            "INSERT OR UPDATE",
            "attribution_state",
            "new.removal_effects IS NOT NULL",
        ),
        ("INSERT", "attribution_credits", "new.version = 2"),
    ] {
        let clinic = Clinic::with(HISTORY).await;
        fail_commits(&clinic.database, doing, table, row).await;
        clinic.recompute().await.unwrap_err();
        assert_eq!(clinic.shares().await, BY_POSITION);
        commits_again(&clinic.database, table).await;
        clinic.recompute().await.unwrap();
        assert_eq!(clinic.credits().await, expected, "{table}");
        assert_eq!(clinic.effects().await, EFFECTS);
    }
}

#[tokio::test]
async fn who_bought_in_another_currency_before_is_a_new_customer_of_this_one() {
    let history = "SELECT paid(1, NULL, '2026-11-20 13:00Z', 'USD', sha256('ana'));
        SELECT paid(2, NULL, '2026-11-21 13:00Z', 'BRL', sha256('ana'));
        SELECT paid(3, NULL, '2026-11-22 13:00Z', 'BRL', sha256('ana'));";
    let clinic = Clinic::with(history).await;
    clinic.recompute().await.unwrap();
    let customers = "SELECT count(DISTINCT customer_id) FROM credited_orders";
    assert_eq!(clinic.database.value(customers).await, "1");
    let new = "SELECT string_agg(concat_ws(' ', day, currency, new_customers_millionths / 1000000), ', ' ORDER BY day)
        FROM campaign_daily WHERE model = 'linear'";
    let expected = "2026-11-20 USD 1, 2026-11-21 BRL 1, 2026-11-22 BRL 0";
    assert_eq!(clinic.database.value(new).await, expected);
    // Cohorts say the same.
    let cohorts = "SELECT string_agg(concat_ws(' ', currency, customers, orders), ', ' ORDER BY currency)
        FROM cohort_monthly";
    assert_eq!(clinic.database.value(cohorts).await, "BRL 1 2, USD 1 1");
}
