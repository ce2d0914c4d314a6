//! How long the page takes with two years behind it. Prints; asserts no time, since machines differ.
//!
//! ```text
//! cargo nextest run -p monitor --test revenue --run-ignored only --no-capture two_years
//! ```

use std::time::{Duration, Instant};

use crate::support::{OTHER, OWN, Panel};

const REQUESTS: usize = 60;

fn percentile(sorted: &[Duration], share: usize) -> Duration {
    sorted[(sorted.len() * share).div_ceil(100).clamp(1, sorted.len()) - 1]
}

#[tokio::test]
#[ignore = "a measurement, not a test: it prints"]
async fn two_years_of_two_shops() {
    let sql = include_str!("two_years.sql").replace("$DATASETS", &format!("{OWN}, {OTHER}"));
    let panel = Panel::start(&sql).await;
    for dataset in [OWN, OTHER] {
        let dataset = dataset.try_into().unwrap();
        let today = panel.store.revenue_scope(dataset).await.unwrap().unwrap().today;
        panel.store.make_cohorts(dataset, today).await.unwrap();
    }
    panel.database.execute("VACUUM ANALYZE").await;
    let rows = "SELECT count(*) FROM campaign_daily";
    println!("{} rows in campaign_daily", panel.database.value(rows).await);
    let viewer = panel.viewer(None).await;
    for query in [
        "",
        "&p=7d",
        "&p=90d",
        "&p=365d",
        "&canal=meta",
        "&canal=meta&campanha=23850000001",
    ] {
        let path = format!("/receita?dataset={OWN}{query}");
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..REQUESTS {
            let began = Instant::now();
            // Resolves with the head of the answer.
            let answer = panel.get(&path, &viewer).await;
            times.push(began.elapsed());
            let text = answer.text().await.unwrap();
            assert!(!text.contains("não respondeu em 2 s"), "{path}");
            bytes = text.len();
        }
        times.sort_unstable();
        println!(
            "{path}: first byte P50 {:?}, P95 {:?}, slowest {:?}; {bytes} bytes",
            percentile(&times, 50),
            percentile(&times, 95),
            times.last().unwrap(),
        );
    }
}
