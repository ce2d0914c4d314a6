//! Every query of the page: what it answers was written here before it was asked.

use chrono::NaiveDate;
use rastro_core::attribution::Model;
use rastro_store::{Funnel, RevenueFilter, RevenuePart};

use crate::HISTORY;
use crate::support::{OTHER, OWN, Panel};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn filter(currency: &str, model: Model) -> RevenueFilter {
    RevenueFilter {
        dataset: OWN.try_into().unwrap(),
        currency: currency.into(),
        model,
        from: day("2026-05-17"),
        until: day("2026-06-15"),
    }
}

const ZONE: &str = "America/Sao_Paulo";

#[tokio::test]
async fn each_query_says_what_was_reckoned_by_hand() {
    let panel = Panel::start(HISTORY).await;
    let (store, all) = (&panel.store, RevenuePart::default());
    let (own, brl) = (OWN.try_into().unwrap(), filter("BRL", Model::Linear));
    let scope = store.revenue_scope(own).await.unwrap().unwrap();
    assert_eq!(scope.today, day("2026-06-15"));
    assert_eq!(
        (scope.currencies.as_slice(), scope.has_account),
        (["BRL".to_owned(), "USD".to_owned()].as_slice(), true)
    );
    assert_eq!(scope.spent_until, Some(day("2026-06-14")));
    assert_eq!(store.datasets_with_revenue().await.unwrap(), [OWN, OTHER]);

    let channels = store.revenue_by_channel(&brl, &all).await.unwrap();
    let told: Vec<_> = channels
        .iter()
        .map(|row| {
            (
                row.channel.as_str(),
                row.paid,
                row.spend_micros,
                row.clicks,
                row.gross_minor,
                row.net_minor,
                row.claimed_micros,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("meta", true, 150_000_000, 70, 55_000, 50_000, 300_000_000),
            ("google", true, 80_000_000, 30, 10_000, 6_400, 0),
            ("unmatched", false, 0, 0, 5_000, 5_000, 0),
        ]
    );
    // Another model, another currency, another's dataset.
    let first = store
        .revenue_by_channel(&filter("BRL", Model::First), &all)
        .await
        .unwrap();
    assert_eq!((first.len(), first[0].net_minor), (1, 50_000));
    let usd = store
        .revenue_by_channel(&filter("USD", Model::Linear), &all)
        .await
        .unwrap();
    assert_eq!(
        (usd.len(), usd[0].net_minor, usd[0].spend_micros),
        (1, 7_000, 10_000_000)
    );

    let google = RevenuePart {
        channel: Some("google".into()),
        campaign: None,
    };
    let campaigns = store.revenue_by_campaign(&brl, &all, 10).await.unwrap();
    let told: Vec<_> = campaigns
        .iter()
        .map(|row| {
            (
                row.campaign_key.as_str(),
                row.impressions,
                row.leads_millionths,
                row.orders_millionths,
                row.fee_minor,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("120", 1_500, 12_000_000, 4_500_000, 2_750),
            ("77", 700, 5_000_000, 1_000_000, 500),
            ("", 0, 0, 1_000_000, 250)
        ]
    );
    assert_eq!(store.revenue_by_campaign(&brl, &all, 1).await.unwrap().len(), 1);
    let of_google = store.revenue_by_campaign(&brl, &google, 10).await.unwrap();
    assert_eq!((of_google.len(), of_google[0].campaign_key.as_str()), (1, "77"));

    let days = store.revenue_days(&brl, &all).await.unwrap();
    let told: Vec<_> = days
        .iter()
        .map(|row| (row.day.to_string(), row.spend_micros, row.net_minor))
        .collect();
    assert_eq!(
        told,
        [
            ("2026-06-01".to_owned(), 100_000_000, 35_000),
            ("2026-06-02".to_owned(), 80_000_000, 11_400),
            ("2026-06-14".to_owned(), 50_000_000, 15_000),
        ]
    );
    assert_eq!(store.revenue_days(&brl, &google).await.unwrap().len(), 1);

    let weeks = store.campaign_weeks(&brl, &all).await.unwrap();
    let told: Vec<_> = weeks
        .iter()
        .map(|row| {
            (
                row.week.to_string(),
                row.campaign_key.as_str(),
                row.spend_micros,
                row.new_customers_millionths,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("2026-06-01".to_owned(), "77", 80_000_000, 1_000_000),
            ("2026-06-01".to_owned(), "120", 100_000_000, 2_000_000),
            ("2026-06-08".to_owned(), "120", 50_000_000, 10_000_000),
        ]
    );
    // Of all its spend, 999 + 100 + 50; profit 280, then 280 + 1,240.
    let ages = store.campaign_ages(&brl, &all).await.unwrap();
    let told: Vec<_> = ages
        .iter()
        .filter(|row| row.campaign_key == "120")
        .map(|row| (row.age_months, row.spend_micros, row.profit_minor))
        .collect();
    assert_eq!(told, [(0, 1_149_000_000, 28_000), (1, 1_149_000_000, 152_000)]);
}

#[tokio::test]
async fn months_people_and_books_are_those_of_the_history() {
    let panel = Panel::start(HISTORY).await;
    let (store, own, brl) = (
        &panel.store,
        OWN.try_into().unwrap(),
        filter("BRL", Model::Linear),
    );
    let today = day("2026-06-15");
    let cohorts = store.cohort_ages(own, "BRL", today, 24).await.unwrap();
    let told: Vec<_> = cohorts
        .iter()
        .map(|row| {
            (
                row.cohort.to_string(),
                row.age_months,
                row.customers,
                row.spend_micros / 1_000_000,
                row.profit_minor,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("2026-04-01".to_owned(), 0, 40, 400, 20_000),
            ("2026-04-01".to_owned(), 1, 40, 400, 12_000),
            ("2026-04-01".to_owned(), 2, 40, 400, 10_000),
            ("2026-05-01".to_owned(), 0, 10, 200, 10_000),
            ("2026-05-01".to_owned(), 1, 10, 200, 4_000),
            ("2026-06-01".to_owned(), 0, 25, 230, 57_900),
        ]
    );
    assert_eq!(store.cohort_ages(own, "BRL", today, 2).await.unwrap().len(), 3);

    let months = store.revenue_months(own, "BRL", today).await.unwrap();
    let told: Vec<_> = months
        .iter()
        .map(|row| {
            (
                row.month.to_string(),
                row.net_minor,
                row.actual_minor,
                row.forecast_minor,
                row.lower_minor,
                row.upper_minor,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("2026-05-01".to_owned(), 28_000, None, None, None, None),
            (
                "2026-06-01".to_owned(),
                42_000,
                Some(42_000),
                Some(80_000),
                Some(70_000),
                Some(90_000)
            ),
            (
                "2026-07-01".to_owned(),
                0,
                Some(0),
                Some(100_000),
                Some(85_000),
                Some(120_000)
            ),
        ]
    );

    let funnel = store.lead_funnel(&brl, ZONE).await.unwrap();
    let expected = Funnel {
        leads: 3,
        qualified: 1,
        ordered: 2,
        paid: 1,
        paid_again: 1,
        open_payments: 1,
    };
    assert_eq!(funnel, expected);
    // In Tokyo the first had written on 17 May.
    assert_eq!(store.lead_funnel(&brl, "Asia/Tokyo").await.unwrap().leads, 4);

    let places = store.purchase_places(&brl, ZONE).await.unwrap();
    let mut told: Vec<_> = places
        .iter()
        .map(|row| (row.place.as_str(), row.payments, row.amount_minor))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("accepted", 1, 10_000),
            ("on_its_way", 1, 4_000),
            ("stopped", 1, 5_000),
            ("too_old", 1, 2_000),
            ("withheld", 1, 3_000)
        ]
    );
    let accounts = store.reconciled_accounts(own).await.unwrap();
    let told: Vec<_> = accounts
        .iter()
        .map(|row| {
            (
                row.kind.as_str(),
                row.run_id,
                row.remote_minor,
                row.after_minor,
                row.problem.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("hourly", Some(3), Some(9_000), Some(4_000), Some("no answer")),
            ("nightly", Some(2), Some(24_000), Some(24_000), None),
            ("weekly", None, None, None, None),
        ]
    );
    let totals = store.finding_totals(&brl, ZONE).await.unwrap();
    let told: Vec<_> = totals
        .iter()
        .map(|row| {
            (
                row.finding.as_str(),
                row.action.as_str(),
                row.findings,
                row.payments,
                row.difference_minor,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("amount_drift", "listed", 1, 1, 5_000),
            ("missing_local", "applied", 1, 1, 2_000),
            ("unattributed", "listed", 2, 1, 0)
        ]
    );
    let recent = store.recent_findings(&brl, ZONE, 2).await.unwrap();
    let told: Vec<_> = recent
        .iter()
        .map(|row| (row.payment_id.as_str(), row.kind.as_str()))
        .collect();
    assert_eq!(told, [("p9", "hourly"), ("p3", "nightly")]);
    // The account is of another currency.
    assert!(
        store
            .finding_totals(&filter("USD", Model::Linear), ZONE)
            .await
            .unwrap()
            .is_empty()
    );
}

/// `purchase_source` is `recorded`: the site or its server tells of each order, and payments are only
/// compared.
#[tokio::test]
async fn purchases_that_the_site_tells_of_are_found_too() {
    let panel = Panel::start(HISTORY).await;
    panel
        .database
        .execute(&format!(
            "UPDATE payments SET conversion = 'not_verified' WHERE conversion <> 'other_currency';
             INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, ads_refused, request_id,
                 created_at, updated_at)
             VALUES ({OWN}, 'o3', 'approved', 3000, 'BRL', '{{}}', true, gen_random_uuid(), rastro_now(), rastro_now()),
                 ({OWN}, 'o4', 'pending', 2000, 'BRL', '{{}}', false, gen_random_uuid(), rastro_now(), rastro_now())"
        ))
        .await;
    let places = panel
        .store
        .purchase_places(&filter("BRL", Model::Linear), ZONE)
        .await
        .unwrap();
    let mut told: Vec<_> = places
        .iter()
        .map(|row| (row.place.as_str(), row.payments, row.amount_minor))
        .collect();
    told.sort_unstable();
    // Their orders' events: one was delivered, one stopped, one is in the queue, one person refused; of the
    // last the site said only that it was begun.
    assert_eq!(
        told,
        [
            ("accepted", 1, 10_000),
            ("not_verified", 1, 2_000),
            ("on_its_way", 1, 4_000),
            ("stopped", 1, 5_000),
            ("withheld", 1, 3_000)
        ]
    );
}
