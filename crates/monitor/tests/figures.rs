//! Figures, printed and not judged: a machine that does other work would fail them. They are measured by
//! hand:
//!
//! `cargo nextest run -p monitor --test figures --run-ignored only --no-capture`, with
//! RASTRO_TEST_DATABASE_URL of a scratch cluster (`scripts/postgres.sh start FOLDER --scratch`). EVENTS=n: so
//! many real events of the last day instead of a million; each takes some 1.2 kB. For what users see, add
//! `--release`.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "what is measured is chosen by a variable, and told"
)]

use std::time::{Duration, Instant};

use monitor::config::Config;
use monitor::dashboard::Dashboard;
use rastro_sandbox::{Sandbox, SandboxConfig};
use rastro_service::clock::Clock;
use rastro_service::config::ExposeSecret as _;
use rastro_service::shutdown::Shutdown;
use rastro_store::{Dataset, DatasetSettings, KeyOrder, KeyRole, Store};
use rastro_test_support::TestDatabase;
use rastro_test_support::process::Process;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;

const TOKEN: &str = "EAAtest0token";
/// Looks at each page: so many, or as many as there is time for, which a debug build takes.
const LOOKS: usize = 40;
const FEW_LOOKS: usize = 10;
const TIME_FOR_A_PAGE: Duration = Duration::from_secs(15);
const DATASETS: i64 = 20;
const FIRST: i64 = 100_000_000_000_001;
/// Twenty datasets, ninety days, six names: a hundred million accepted events, and their requests.
const COUNTS: &str = "
    INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events)
    SELECT 100000000000000 + d, h, name, outcome, CASE outcome WHEN 'accepted' THEN 386 WHEN 'success' THEN 380 ELSE 9 END
    FROM generate_series(1, 20) AS d
    CROSS JOIN generate_series(date_trunc('hour', rastro_now()) - interval '90 days', date_trunc('hour', rastro_now())
        - interval '3 hours', interval '1 hour') AS h
    CROSS JOIN unnest(ARRAY['PageView', 'ViewContent', 'AddToCart', 'InitiateCheckout', 'Lead', 'Purchase']) AS name
    CROSS JOIN unnest(ARRAY['accepted', 'duplicate', 'success', 'error']) AS outcome;
    INSERT INTO request_counts (dataset_id, hour, bucket, requests, latency_ms)
    SELECT DISTINCT dataset_id, hour, bucket, 40, 40 * 250 FROM (SELECT DISTINCT dataset_id, hour FROM event_counts) AS h
    CROSS JOIN generate_series(1, 15) AS bucket;
    INSERT INTO counted_hours (hour, closed, counted_at, took_ms) SELECT DISTINCT hour, true, rastro_now(), 20 FROM event_counts;
    INSERT INTO event_counts_daily (dataset_id, day, event_name, outcome, events)
    SELECT dataset_id, (hour AT TIME ZONE 'America/Sao_Paulo')::date, event_name, outcome, sum(events) FROM event_counts
    GROUP BY 1, 2, 3, 4;";

/// Real events of the last day, delivered in batches of three but for the newest hundred, which are ready.
fn events(count: i64) -> String {
    let ready = count - 99;
    format!(
        "SELECT create_day_partition(parent, (rastro_now() AT TIME ZONE 'UTC')::date - back)
         FROM generate_series(0, 1) AS back CROSS JOIN unnest(day_tables()) AS parent;
         INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by, action_source,
            value, currency, test_event_code, request_id, payload)
         SELECT {FIRST} + n % {DATASETS}, (at AT TIME ZONE 'UTC')::date, n, (ARRAY['PageView', 'Lead', 'Purchase'])[1 + n % 3],
            'e' || n, at, at, at + interval '7 days', 'website', CASE n % 3 WHEN 2 THEN 129.90 END, CASE n % 3 WHEN 2 THEN 'BRL' END, '',
            gen_random_uuid(), json_build_object('event_name', 'Lead', 'event_id', 'e' || n, 'user_data', json_build_object('em',
                encode(sha256(n::text::bytea), 'hex'), 'ph', encode(sha256((n || 'p')::bytea), 'hex'), 'client_user_agent',
                'Mozilla/5.0 (Linux; Android 14; SM-A546E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0'))::text
         FROM (SELECT n, rastro_now() - ({count} - n) * interval '86000 seconds' / {count} AS at FROM generate_series(1, {count}) AS n) AS t;
         INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome, http_status,
            event_count, event_numbers, first_number, last_number, first_day, last_day)
         SELECT dataset_id, max(day), min(event_number), 1, '', max(received_at) + interval '400 milliseconds',
            200 + min(event_number) % 300, 'delivered', 200, count(*), array_agg(event_number), min(event_number), max(event_number),
            min(day), max(day)
         FROM events WHERE event_number < {ready} GROUP BY dataset_id, event_number / ({DATASETS} * 3), day;
         INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
         SELECT dataset_id, '', event_number, event_number, day, send_by FROM events WHERE event_number >= {ready};
         ANALYZE"
    )
}

/// The most memory that a process has had, in MB, read until it ends; and how long that took.
async fn watched(check: Process) -> (f64, Duration) {
    let began = Instant::now();
    let status = format!("/proc/{}/status", check.pid());
    let mut peak = 0.0_f64;
    let mut ended = std::pin::pin!(check.ended());
    loop {
        if let Ok(text) = std::fs::read_to_string(&status)
            && let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        {
            let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
            peak = peak.max(kilobytes / 1_024.0);
        }
        tokio::select! {
            result = &mut ended => {
                let (status, log) = result.unwrap();
                assert!(status.success(), "{log:#?}");
                return (peak, began.elapsed());
            }
            () = tokio::time::sleep(Duration::from_millis(2)) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, and judges nothing"]
async fn figures() {
    let count: i64 = std::env::var("EVENTS").map_or(1_000_000, |text| text.parse().unwrap());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    store.create_partitions_ahead(2).await.unwrap();
    for id in 0..DATASETS {
        let dataset = Dataset {
            id: (FIRST + id).try_into().unwrap(),
            settings: DatasetSettings {
                name: format!("Loja {id}"),
                ..Default::default()
            },
            access_token: TOKEN.to_owned().into(),
        };
        store.put_dataset(&dataset).await.unwrap();
    }
    let began = Instant::now();
    database.execute(COUNTS).await;
    let counted = database
        .value("SELECT sum(events) FROM event_counts WHERE outcome = 'accepted'")
        .await;
    println!(
        "counts of {counted} accepted events: made in {:?}",
        began.elapsed()
    );
    let began = Instant::now();
    database.execute(&events(count)).await;
    let size = database
        .value("SELECT pg_size_pretty(pg_database_size(current_database()))")
        .await;
    println!(
        "{count} real events of the last day: made in {:?}; the database has {size}",
        began.elapsed()
    );

    let sandbox = SandboxConfig::default().with_token_for_any_dataset(TOKEN);
    let sandbox = Sandbox::start(sandbox).await.unwrap();
    let meta = sandbox.url();
    for run in 1..=3 {
        let meta = [("RASTRO__GRAPH_API__URL", meta.as_str())];
        let (peak, took) = watched(Process::monitor(&database, &["check"], &meta)).await;
        println!("monitor check, run {run}: {took:?}, peak {peak:.0} MB");
    }

    let mut config: Config = rastro_boot::testing::config(&[]).unwrap();
    config.common.database = database.config();
    config.dashboard.listen = ([127, 0, 0, 1], 0).into();
    let listening = Dashboard::new(&config, Clock::system())
        .unwrap()
        .listen(Shutdown::new())
        .unwrap();
    let url = format!("http://{}", listening.address());
    let order = KeyOrder {
        role: KeyRole::Admin,
        dataset_id: None,
        label: "test".into(),
        event_names: None,
    };
    let (_, key) = store.issue_api_key(&order, "test").await.unwrap().unwrap();
    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .build()
        .unwrap();
    let entering = client
        .post(format!("{url}/entrar"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(format!("key={}&name=Ana", key.expose_secret()));
    let answer = entering.send().await.unwrap();
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap();
    for path in [
        "/",
        "/?p=30d",
        "/?p=90d",
        "/parados",
        "/qualidade",
        "/alertas",
        "/conjuntos",
    ] {
        let mut first_bytes = Vec::new();
        let mut size = 0;
        let page = Instant::now();
        while first_bytes.len() < FEW_LOOKS || (first_bytes.len() < LOOKS && page.elapsed() < TIME_FOR_A_PAGE)
        {
            let began = Instant::now();
            let answer = client
                .get(format!("{url}{path}"))
                .header(COOKIE, cookie)
                .send()
                .await
                .unwrap();
            first_bytes.push(began.elapsed());
            assert_eq!(answer.status(), 200, "{path}");
            size = answer.bytes().await.unwrap().len();
        }
        first_bytes.sort();
        println!(
            "{path}: first byte P50 {:?}, P95 {:?} of {} looks, {size} bytes",
            first_bytes[first_bytes.len() / 2],
            first_bytes[first_bytes.len() * 95 / 100],
            first_bytes.len()
        );
    }
    listening.stop().await.unwrap();
}
