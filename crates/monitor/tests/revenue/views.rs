//! The views for other tools: which days still move is a matter of each dataset's own time zone.

use crate::HISTORY;
use crate::support::{OTHER, OWN, Panel};

#[tokio::test]
async fn each_dataset_has_days_of_its_own_time_zone() {
    let panel = Panel::start(HISTORY).await;
    // 15 June, noon in São Paulo: in Tokyo it is 16 June.
    panel
        .database
        .execute(&format!(
            "UPDATE datasets SET time_zone = 'Asia/Tokyo' WHERE dataset_id = {OTHER};
             INSERT INTO campaign_daily
             SELECT d, day::date, 'linear', 'x', 'x', 'BRL', 'x', true, 0, 0, 0, 0, 0, 1000000, 0, 0, 0, 0, 0, 0
             FROM unnest(ARRAY[{OWN}, {OTHER}]::bigint[]) AS d, generate_series(date '2026-06-08', '2026-06-13', '1 day') AS day"
        ))
        .await;
    let first = async |view: &str, dataset: i64| {
        panel
            .database
            .value(&format!(
                "SET ROLE bi_reader; SELECT min(day) FROM bi.{view} WHERE provisional AND dataset = '{dataset}'"
            ))
            .await
    };
    for view in ["leads_by_day", "roas_by_channel_day"] {
        assert_eq!(first(view, OWN).await, "2026-06-11", "{view}");
        assert_eq!(first(view, OTHER).await, "2026-06-12", "{view}");
    }
    let scope = panel
        .store
        .revenue_scope(OTHER.try_into().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (scope.today.to_string().as_str(), scope.time_zone.as_str()),
        ("2026-06-16", "Asia/Tokyo")
    );
    let viewer = panel.viewer(Some(OTHER)).await;
    let page = panel.page("/receita", &viewer).await;
    assert!(
        page.contains("18/05 a 16/06") && page.contains("Dias de Asia/Tokyo"),
        "{page}"
    );
}

#[tokio::test]
async fn a_month_is_over_where_the_business_is() {
    let panel = Panel::start(HISTORY).await;
    // The last noon of June in São Paulo is the first midnight of July in Tokyo.
    panel
        .database
        .execute(&format!(
            "UPDATE datasets SET time_zone = 'Asia/Tokyo' WHERE dataset_id = {OTHER};
             INSERT INTO cohort_monthly SELECT {OTHER}, currency, cohort, age, customers, orders, net_minor, fee_minor FROM cohort_monthly;
             CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
                 AS 'SELECT timestamptz ''2026-06-30 15:00:00+00'''"
        ))
        .await;
    for (dataset, moving) in [(OWN, "3"), (OTHER, "0")] {
        let count = format!(
            "SET ROLE bi_reader; SELECT count(*) FROM bi.cohorts_by_month WHERE provisional AND dataset = '{dataset}'"
        );
        assert_eq!(panel.database.value(&count).await, moving, "{dataset}");
    }
    // A dataset that is gone has the zone that a new one would have, and its rows stay.
    let gone =
        "SET ROLE bi_reader; SELECT count(*) FROM bi.revenue_by_day WHERE dataset = '333' AND provisional";
    panel
        .database
        .execute("INSERT INTO revenue_daily VALUES (333, '2026-06-26', 'BRL', 1, 1, 0), (333, '2026-06-25', 'BRL', 1, 1, 0)")
        .await;
    assert_eq!(panel.database.value(gone).await, "1");
}
