//! Spend as Google Ads tells it, read from the sandbox's account.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use attribution::config::Config;
use attribution::google_spend::GoogleSpend;
use rastro_boot::testing;
use rastro_sandbox::google_ads::{
    CLIENT_ID, CLIENT_SECRET, GoogleAccount, GoogleAdsSandbox, GoogleDay, GoogleFault, REFRESH_TOKEN,
};
use rastro_store::{SpendChange, Store};
use rastro_test_support::TestDatabase;

const DATASET: i64 = 111;
const ACCOUNT: &str = "1234567890";
const MANAGER: &str = "9998887777";

struct Reading {
    google: GoogleAdsSandbox,
    database: TestDatabase,
    /// The account's own.
    today: chrono::NaiveDate,
}

fn day(day: chrono::NaiveDate, campaign_id: u64, cost_micros: i64) -> GoogleDay {
    GoogleDay {
        day: day.to_string(),
        campaign_id,
        campaign_name: "Verão \"50%\" ]}".to_owned(),
        cost_micros,
        impressions: 10,
        clicks: 2,
    }
}

impl Reading {
    async fn new() -> Self {
        let google = GoogleAdsSandbox::start().await.unwrap();
        let database = TestDatabase::create().await;
        database
            .execute(&format!(
                "INSERT INTO datasets (dataset_id, name, access_token_sealed) VALUES ({DATASET}, 'shop', '')"
            ))
            .await;
        let today = database
            .value("SELECT (rastro_now() AT TIME ZONE 'Pacific/Kiritimati')::date::text")
            .await;
        Reading {
            google,
            database,
            today: today.parse().unwrap(),
        }
    }

    fn ago(&self, days: u64) -> chrono::NaiveDate {
        self.today - chrono::Days::new(days)
    }

    fn put(&self, days: Vec<GoogleDay>) {
        let account = GoogleAccount {
            currency: "BRL".to_owned(),
            // A day ahead of the reporting zone for most of the day.
            time_zone: "Pacific/Kiritimati".to_owned(),
            manager: Some(MANAGER.to_owned()),
            days,
        };
        self.google.put_account(ACCOUNT, account);
    }

    fn reader(&self, changes: &[(&str, &str)]) -> GoogleSpend {
        let (url, token_url) = (self.google.url(), self.google.token_url());
        let mut variables = vec![
            ("RASTRO__GOOGLE_ADS__CUSTOMER_ID", "123-456-7890"),
            ("RASTRO__GOOGLE_ADS__LOGIN_CUSTOMER_ID", "999-888-7777"),
            ("RASTRO__GOOGLE_ADS__DATASET_ID", "111"),
            ("RASTRO__GOOGLE_ADS__CLIENT_ID", CLIENT_ID),
            ("RASTRO__GOOGLE_ADS__CLIENT_SECRET", CLIENT_SECRET),
            ("RASTRO__GOOGLE_ADS__REFRESH_TOKEN", REFRESH_TOKEN),
            ("RASTRO__GOOGLE_ADS__RETRY_MILLISECONDS", "1"),
            ("RASTRO__GOOGLE_ADS__URL", &url),
            ("RASTRO__GOOGLE_ADS__TOKEN_URL", &token_url),
        ];
        for &(name, value) in changes {
            variables.retain(|(other, _)| *other != name);
            variables.push((name, value));
        }
        let config: Config = testing::config(&variables).unwrap();
        let store = Store::new(&self.database.config(), "test").unwrap();
        config.google_ads.reader(&store).unwrap().unwrap()
    }

    async fn stored(&self) -> String {
        let sums =
            "SELECT concat_ws(' ', count(*), sum(cost_micros), sum(impressions), sum(clicks), min(source),
            min(channel), min(account_id), min(account_time_zone), min(currency)) FROM ad_spend";
        self.database.value(sums).await
    }
}

fn counts(change: &SpendChange) -> (usize, usize, usize, usize) {
    (change.added, change.changed, change.unchanged, change.removed)
}

#[tokio::test]
async fn days_of_campaigns_are_read_in_batches_and_what_google_corrects_is_corrected() {
    let reading = Reading::new().await;
    // 45 campaigns today, in batches of ten; one day of the first reading only, and one before it.
    let mut days: Vec<_> = (0..45)
        .map(|campaign| day(reading.today, 9_007_199_254_740_993 + campaign, 1_010_001))
        .collect();
    days.push(day(reading.ago(60), 5, 2_500_000));
    days.push(day(reading.ago(61), 5, 7_000_000));
    reading.google.set_batch_rows(10);
    reading.put(days.clone());
    let spend = reading.reader(&[]);
    let change = spend.read_again(60).await.unwrap();
    assert_eq!(counts(&change), (46, 0, 0, 0));
    // 45 * 1010001 + 2500000
    let of = "google_ads google 1234567890 Pacific/Kiritimati BRL";
    assert_eq!(reading.stored().await, format!("46 47950045 460 92 {of}"));
    let name = "SELECT min(campaign_key) || ' ' || min(campaign_name) FROM ad_spend WHERE day > rastro_now() - interval '3 days'";
    assert_eq!(
        reading.database.value(name).await,
        "9007199254740993 Verão \"50%\" ]}"
    );
    // Invalid clicks were taken back of one campaign, and another is gone; the day of two months ago is
    // final.
    days[0].cost_micros = 1_000_000;
    days.remove(1);
    days[44].cost_micros = 1;
    reading.put(days);
    let change = spend.read_again(60).await.unwrap();
    assert_eq!(counts(&change), (0, 1, 43, 1));
    assert_eq!(reading.stored().await, format!("45 46930043 450 90 {of}"));
    // The same again is the same.
    assert_eq!(counts(&spend.read_again(60).await.unwrap()), (0, 0, 44, 0));
    // One access token did for all of it.
    assert_eq!(reading.google.tokens(), 1);
}

#[tokio::test]
async fn a_token_that_is_over_is_renewed_and_one_that_is_revoked_changes_nothing() {
    let reading = Reading::new().await;
    reading.put(vec![day(reading.today, 5, 12_340_000)]);
    let spend = reading.reader(&[]);
    spend.read_again(30).await.unwrap();
    let stored = reading.stored().await;
    assert!(stored.starts_with("1 12340000 "), "{stored}");
    reading.google.expire_tokens();
    assert_eq!(counts(&spend.read_again(30).await.unwrap()), (0, 0, 1, 0));
    assert_eq!(reading.google.tokens(), 2);
    reading.put(Vec::new());
    reading.google.revoke();
    let error = format!("{:#}", spend.read_again(30).await.unwrap_err());
    assert!(error.contains("invalid_grant"), "{error}");
    assert!(
        !error.contains(REFRESH_TOKEN) && !error.contains(CLIENT_SECRET),
        "{error}"
    );
    assert_eq!(reading.stored().await, stored);
}

#[tokio::test]
async fn quotas_and_broken_streams_are_tried_again_and_no_part_of_a_stream_is_stored() {
    let reading = Reading::new().await;
    let days = |cost_micros| {
        (0..30)
            .map(|campaign| day(reading.today, 100 + campaign, cost_micros))
            .collect::<Vec<_>>()
    };
    reading.google.set_batch_rows(10);
    reading.put(days(1_000_000));
    let spend = reading.reader(&[]);
    let unavailable = || GoogleFault::Status {
        http: 503,
        status: "UNAVAILABLE".to_owned(),
    };
    // Of the query for the account, then of that for its days.
    for fault in [
        GoogleFault::Token { http: 503 },
        GoogleFault::Quota {
            retry_delay: "0.01s".to_owned(),
        },
        unavailable(),
    ] {
        reading.google.fail_with(fault);
    }
    let change = spend.read_again(30).await.unwrap();
    assert_eq!(counts(&change), (30, 0, 0, 0));
    assert_eq!(reading.google.searches().len(), 4);
    // The days break off after two batches of three or before the first, as often as they are tried.
    let stored = reading.stored().await;
    reading.put(days(2_000_000));
    for fault in [
        GoogleFault::FailsAfter { batches: 2 },
        GoogleFault::CutsOff { batches: 2 },
        GoogleFault::CutsOff { batches: 2 },
        GoogleFault::FailsAfter { batches: 2 },
        GoogleFault::CutsOff { batches: 0 },
        GoogleFault::FailsAfter { batches: 0 },
    ] {
        reading.google.fail_with(fault);
    }
    let searches = reading.google.searches().len();
    assert!(spend.read_again(30).await.is_err());
    assert_eq!(reading.google.searches().len(), searches + 7);
    assert_eq!(reading.stored().await, stored);
    // A quota of a day is not waited for within a reading: one request, and the error says so.
    let before = reading.google.searches().len();
    reading.google.fail_with(GoogleFault::Quota {
        retry_delay: "39600s".to_owned(),
    });
    let error = format!("{:#}", spend.read_again(30).await.unwrap_err());
    assert!(error.contains("RESOURCE_EXHAUSTED"), "{error}");
    assert_eq!(reading.google.searches().len(), before + 1);
}

#[tokio::test]
async fn what_google_refuses_for_good_is_asked_once_and_named() {
    let reading = Reading::new().await;
    reading.put(vec![day(reading.today, 5, 1)]);
    for (change, code) in [
        (("RASTRO__GOOGLE_ADS__VERSION", "v22"), "UNSUPPORTED_VERSION"),
        (
            ("RASTRO__GOOGLE_ADS__LOGIN_CUSTOMER_ID", ""),
            "USER_PERMISSION_DENIED",
        ),
        (("RASTRO__GOOGLE_ADS__CUSTOMER_ID", "1"), "USER_PERMISSION_DENIED"),
        (("RASTRO__GOOGLE_ADS__CLIENT_SECRET", "other"), "invalid_client"),
        // Of a project that only test accounts are open to.
        (
            // One that Google still takes, and looks at no more.
            ("RASTRO__GOOGLE_ADS__DEVELOPER_TOKEN", "of earlier days"),
            "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION",
        ),
    ] {
        if code.starts_with("CLOUD_PROJECT") {
            reading.google.fail_with(GoogleFault::Refused {
                http: 403,
                status: "PERMISSION_DENIED".to_owned(),
                family: "authorizationError".to_owned(),
                code: code.to_owned(),
            });
        }
        let before = reading.google.searches().len();
        let error = reading.reader(&[change]).read_again(30).await.unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(code), "{error}");
        let asked = reading.google.searches().len() - before;
        assert!(asked <= 1, "{code}: {asked}");
    }
    assert_eq!(
        reading
            .database
            .value("SELECT count(*)::text FROM ad_spend")
            .await,
        "0"
    );
}

#[tokio::test]
async fn days_that_nobody_read_while_the_service_was_away_are_read_when_it_is_back() {
    let reading = Reading::new().await;
    let mut days = vec![
        day(reading.ago(80), 5, 1_000_000),
        day(reading.ago(50), 5, 2_000_000),
    ];
    reading.put(days.clone());
    let spend = reading.reader(&[]);
    assert_eq!(counts(&spend.read_again(90).await.unwrap()), (2, 0, 0, 0));
    // Nobody has read for fifty days. What is older stays as it was read.
    reading
        .database
        .execute("UPDATE spend_coverage SET last_day = last_day - 50")
        .await;
    days.push(day(reading.ago(40), 5, 3_000_000));
    days[0].cost_micros = 9;
    reading.put(days.clone());
    assert_eq!(counts(&spend.read_again(90).await.unwrap()), (1, 0, 0, 0));
    // A day on which nothing was spent was read all the same.
    days.push(day(reading.ago(35), 5, 7_000_000));
    reading.put(days.clone());
    assert_eq!(counts(&spend.read_again(90).await.unwrap()), (0, 0, 0, 0));
    let sum = "SELECT sum(cost_micros)::text FROM ad_spend";
    assert_eq!(reading.database.value(sum).await, "6000000");
}
