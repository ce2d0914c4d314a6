//! What leads of a campaign are worth, against a calculation by hand.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_store::Store;
use rastro_test_support::TestDatabase;

const DATASET: i64 = 111;

/// Leads 1 to 100 came by campaign 777 (the newest paid touch; an older one names 888) 30 days ago, 101 to
/// 110 without any touch, and 201 to 220 by 777 yesterday. Of the first hundred, 20 bought 25 times for 99.99
/// each, of which one was refunded in full; those of yesterday have all bought already.
const HISTORY: &str = "
    INSERT INTO datasets (dataset_id, name, access_token_sealed, default_currency, purchase_source)
        VALUES (111, 'shop', '', 'BRL', 'recorded');
    CREATE TEMP TABLE people AS
        SELECT n, decode(lpad(to_hex(n), 64, '0'), 'hex') AS hmac,
            rastro_now() - CASE WHEN n > 200 THEN interval '1 day' ELSE interval '30 days' END AS at
        FROM generate_series(1, 220) AS n WHERE n <= 110 OR n > 200;
    INSERT INTO leads (dataset_id, lead_id, contact, visitor_hmac, ads_refused, event_day, event_id, request_id, created_at,
            updated_at)
        SELECT 111, n, '', hmac, false, at::date, n::text, gen_random_uuid(), at, at FROM people;
    INSERT INTO touchpoints (dataset_id, visitor_hmac, touched_at, channel, utm_source, utm_id, gclid, created_at)
        SELECT 111, hmac, at - interval '9 days', 'paid_social', 'facebook', '888', NULL, at FROM people WHERE n NOT BETWEEN 101 AND 110
        UNION ALL
        SELECT 111, hmac, at - interval '1 hour', 'paid_search', 'google', '777', 'Cj', at FROM people WHERE n NOT BETWEEN 101 AND 110
        UNION ALL
        SELECT 111, hmac, at - interval '5 minutes', 'email', 'news', '', NULL, at FROM people WHERE n NOT BETWEEN 101 AND 110;
    CREATE TEMP TABLE bought AS
        SELECT 'o-' || n AS order_id, n AS lead, n FROM generate_series(1, 20) AS n
        UNION ALL SELECT 'again-' || n, n, n FROM generate_series(1, 5) AS n
        UNION ALL SELECT 'new-' || n, n, n FROM generate_series(201, 220) AS n;
    INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, lead_id, match_method, ads_refused,
            request_id, created_at, updated_at)
        SELECT 111, order_id, 'approved', 9999, 'BRL', '{}', lead, 'lead_id', false, gen_random_uuid(), rastro_now(), rastro_now()
        FROM bought;
    INSERT INTO credited_orders (dataset_id, order_id, placed_at, day, currency, gross_minor, net_minor, fee_minor, person_known,
            fingerprint, rules_version, credited_at)
        SELECT 111, order_id, rastro_now(), rastro_now()::date, 'BRL', 9999, CASE order_id WHEN 'o-20' THEN 0 ELSE 9999 END, 0,
            true, '', 1, rastro_now()
        FROM bought";

#[tokio::test]
async fn the_settled_leads_of_a_campaign_say_what_the_next_is_worth() {
    let database = TestDatabase::create().await;
    database.execute(HISTORY).await;
    let store = Store::new(&database.config(), "test").unwrap();
    let dataset = DATASET.try_into().unwrap();
    // Off, as it is unless somebody wants it.
    assert_eq!(store.make_due_lead_values(dataset).await.unwrap(), None);
    database
        .execute("UPDATE datasets SET lead_value = 'predicted'")
        .await;
    assert_eq!(store.make_due_lead_values(dataset).await.unwrap(), Some(1));
    let values = store.lead_values().await.unwrap();
    let [value] = &values[..] else {
        panic!("one campaign: {values:?}")
    };
    assert_eq!(
        (&*value.channel, &*value.campaign_key, value.currency.as_str()),
        ("google", "777", "BRL")
    );
    let sales = value.sales;
    // 24 x 99.99.
    assert_eq!(
        (sales.leads, sales.buyers, sales.orders, sales.net_minor),
        (100, 20, 25, 239_976)
    );
    // 20/100 x 2,399.76/25 = 0.2 x 95.9904 = 19.198.
    assert_eq!(sales.predicted_minor(25), Some(1_920));
    assert_eq!(sales.predicted_minor(26), None);
    // Made once; nothing is shown of a dataset that wants none, nor what is a week old.
    assert_eq!(store.make_due_lead_values(dataset).await.unwrap(), None);
    database.execute("UPDATE datasets SET lead_value = 'none'").await;
    assert!(store.lead_values().await.unwrap().is_empty());
    database
        .execute(
            "UPDATE datasets SET lead_value = 'predicted';
             UPDATE campaign_lead_values SET made_at = made_at - interval '8 days'",
        )
        .await;
    assert!(store.lead_values().await.unwrap().is_empty());
}
