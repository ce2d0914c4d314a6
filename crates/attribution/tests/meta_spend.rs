//! Spend as Meta tells it, read from the sandbox's ad account.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::time::Duration;

use attribution::meta_spend::MetaSpend;
use rastro_graph_api::{AdAccount, GraphApi, GraphApiConfig};
use rastro_sandbox::{MarketingFault, Sandbox, SandboxClock, SandboxConfig};
use rastro_store::Store;
use rastro_test_support::TestDatabase;
use serde_json::{Map, Value, json};

const DATASET: i64 = 111;
const TOKEN: &str = "EAAads";

struct Reading {
    sandbox: Sandbox,
    database: TestDatabase,
    spend: MetaSpend,
}

fn row(day: &str, campaign: &str, spend: &str) -> Map<String, Value> {
    let row = json!({
        "campaign_id": campaign, "campaign_name": "Verão", "spend": spend, "impressions": "10", "clicks": "2",
        "date_start": day, "actions": [{ "action_type": "purchase", "value": "3" }],
        "action_values": [{ "action_type": "purchase", "value": "99.9" }],
    });
    row.as_object().unwrap().clone()
}

impl Reading {
    async fn new(rows: Vec<Map<String, Value>>) -> Self {
        let config = SandboxConfig {
            // 28 November 2026: Meta tells of 37 months before now.
            clock: SandboxClock::from_fn(|| 1_795_824_000_000),
            ..Default::default()
        };
        let sandbox = Sandbox::start(config).await.unwrap();
        let database = TestDatabase::create().await;
        database
            .execute(&format!(
                "INSERT INTO datasets (dataset_id, name, access_token_sealed) VALUES ({DATASET}, 'shop', '')"
            ))
            .await;
        let config = GraphApiConfig {
            url: sandbox.url(),
            allow_insecure_http: false,
            version: "v24.0".to_owned(),
            connect_timeout_seconds: 5,
            request_timeout_seconds: 30,
            partner_agent: String::new(),
        };
        let spend = MetaSpend {
            store: Store::new(&database.config(), "test").unwrap(),
            graph_api: GraphApi::new(&config).unwrap(),
            dataset: DATASET.try_into().unwrap(),
            account: AdAccount::parse("42").unwrap(),
            access_token: TOKEN.to_owned().into(),
            poll: Duration::from_millis(1),
        };
        let reading = Reading {
            sandbox,
            database,
            spend,
        };
        reading.put(rows);
        reading
    }

    fn put(&self, rows: Vec<Map<String, Value>>) {
        let account = rastro_sandbox::AdAccount {
            access_token: TOKEN.to_owned(),
            currency: "BRL".to_owned(),
            time_zone: "America/Manaus".to_owned(),
            rows,
        };
        self.sandbox.marketing().put_account("42", account);
    }

    async fn read(&self) -> anyhow::Result<rastro_store::SpendChange> {
        self.spend
            .read("2026-10-01".parse().unwrap(), "2026-11-05".parse().unwrap())
            .await
    }

    async fn stored(&self) -> String {
        let sums =
            "SELECT concat_ws(' ', count(*), sum(cost_micros), sum(claimed_purchases), sum(claimed_micros),
            min(account_time_zone), min(account_id)) FROM ad_spend";
        self.database.value(sums).await
    }
}

#[tokio::test]
async fn reports_are_read_page_by_page_and_what_meta_corrects_is_corrected() {
    // More than a page, over two reports.
    let mut rows: Vec<_> = (0..450)
        .map(|campaign| row("2026-10-03", &format!("{}", 1_000 + campaign), "1.01"))
        .collect();
    rows.push(row("2026-11-05", "1000", "0.5"));
    rows.push(row("2026-11-06", "1000", "7"));
    let reading = Reading::new(rows.clone()).await;
    let change = reading.read().await.unwrap();
    assert_eq!((change.added, change.changed, change.removed), (451, 0, 0));
    assert_eq!(
        reading.stored().await,
        "451 455000000 1353 45054900000 America/Manaus act_42"
    );
    // One day was billed less, one campaign's not at all, and all the others as before.
    rows[0] = row("2026-10-03", "1000", "1.00");
    rows.remove(1);
    reading.put(rows);
    let change = reading.read().await.unwrap();
    assert_eq!(
        (change.added, change.changed, change.unchanged, change.removed),
        (0, 1, 449, 1)
    );
    assert_eq!(
        reading.stored().await,
        "450 453980000 1350 44955000000 America/Manaus act_42"
    );
    let due = "SELECT string_agg(day::text, ' ' ORDER BY day) FROM campaign_days_due";
    assert_eq!(reading.database.value(due).await, "2026-10-03 2026-11-05");
}

#[tokio::test]
async fn a_throttle_is_waited_for_and_a_revoked_token_changes_nothing() {
    let reading = Reading::new(vec![row("2026-10-03", "1000", "12.34")]).await;
    let throttled = MarketingFault {
        http_status: 400,
        code: 17,
        subcode: Some(2_446_079),
        headers: vec![("retry-after".to_owned(), "1".to_owned())],
    };
    reading.sandbox.marketing().fail_next(throttled);
    reading.read().await.unwrap();
    assert_eq!(
        reading.stored().await,
        "1 12340000 3 99900000 America/Manaus act_42"
    );
    let revoked = MarketingFault {
        http_status: 400,
        code: 190,
        subcode: Some(460),
        headers: Vec::new(),
    };
    reading.sandbox.marketing().fail_next(revoked);
    let calls = reading.sandbox.marketing().calls();
    let error = reading.read().await.unwrap_err().to_string();
    assert!(error.contains("190"), "{error}");
    assert_eq!(reading.sandbox.marketing().calls(), calls + 1);
    assert_eq!(
        reading.stored().await,
        "1 12340000 3 99900000 America/Manaus act_42"
    );
    // A row that cannot be read fails its report: a sum without it would look right.
    reading.put(vec![
        row("2026-10-03", "1000", "1.00"),
        row("2026-10-04", "1000", "1,00"),
    ]);
    assert!(reading.read().await.is_err());
    assert_eq!(
        reading.stored().await,
        "1 12340000 3 99900000 America/Manaus act_42"
    );
}

#[tokio::test]
async fn what_meta_does_not_tell_is_refused_by_the_sandbox_too() {
    let reading = Reading::new(Vec::new()).await;
    let too_old = reading
        .spend
        .read("2020-01-01".parse().unwrap(), "2020-01-02".parse().unwrap())
        .await;
    assert!(
        too_old
            .unwrap_err()
            .chain()
            .any(|cause| cause.to_string().contains("3018"))
    );
    let mut other = reading.spend.clone();
    other.account = AdAccount::parse("43").unwrap();
    assert!(
        other
            .read("2026-10-01".parse().unwrap(), "2026-10-02".parse().unwrap())
            .await
            .is_err()
    );
    other.access_token = "wrong".to_owned().into();
    let error = other
        .read("2026-10-01".parse().unwrap(), "2026-10-02".parse().unwrap())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("190"), "{error}");
}

#[tokio::test]
async fn a_first_reading_that_is_broken_off_is_completed_by_the_next() {
    // A day before what is asked for, one in each of its three reports, and one that may still move.
    let days = [
        "2026-09-05",
        "2026-09-06",
        "2026-10-05",
        "2026-11-01",
        "2026-11-28",
    ];
    let rows = days.map(|day| row(day, "1000", "1.00"));
    let reading = Reading::new(rows.to_vec()).await;
    reading
        .database
        .execute(
            "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
             AS 'SELECT timestamptz ''2026-11-28T15:00:00Z'''",
        )
        .await;
    let read_days = async || {
        let days = "SELECT coalesce(string_agg(day::text, ' ' ORDER BY day), '') FROM ad_spend";
        reading.database.value(days).await
    };
    // From 2026-09-06 to today are 84 days. Meta cannot make the second report; what it had told stays.
    reading.sandbox.marketing().fail_report(1);
    let error = reading.spend.catch_up(83).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("2026-10-04 to 2026-10-31"),
        "{error:#}"
    );
    assert_eq!(read_days().await, "2026-09-06");
    let revoked = MarketingFault {
        http_status: 400,
        code: 190,
        subcode: Some(460),
        headers: Vec::new(),
    };
    reading.sandbox.marketing().fail_next(revoked);
    reading.spend.catch_up(83).await.unwrap_err();
    assert_eq!(read_days().await, "2026-09-06");
    let change = reading.spend.catch_up(83).await.unwrap();
    assert_eq!((change.added, change.unchanged, change.removed), (3, 0, 0));
    assert_eq!(read_days().await, days[1..].join(" "));
    // From now on only what may move is read: 29 days, from 2026-10-31 on.
    let change = reading.spend.catch_up(83).await.unwrap();
    assert_eq!((change.added, change.unchanged), (0, 2));
    // The service was away for a month: nothing of it is left out.
    reading
        .database
        .execute("UPDATE spend_coverage SET last_day = '2026-10-04'; DELETE FROM ad_spend")
        .await;
    let change = reading.spend.catch_up(83).await.unwrap();
    assert_eq!((change.added, change.unchanged), (3, 0));
}
