//! A shop: a world with a Mercado Pago account, and the service that follows its payments.
#![allow(dead_code, reason = "each test uses some of it")]

use std::time::Duration;

use attribution::AttributionMetrics;
use attribution::config::Config;
use attribution::mercado_pago::MercadoPago as Client;
use attribution::payments::Payments;
use rastro_core::dataset::{Currency, DatasetDefaults};
use rastro_core::match_keys::CountryCode;
use rastro_core::payment::ConversionValue;
use rastro_core::purchase::PurchaseSource;
use rastro_sandbox::EventFilter;
use rastro_sandbox::mercado_pago::{MercadoPago, Seller};
use rastro_service::metrics::Metrics;
use rastro_store::{DatasetSettings, PaymentAccount, Unsigned};
use rastro_test_support::{Answer, DATASET_ID, Key, TestDatabase, World};
use serde_json::{Value, json};

pub(crate) const SELLER: i64 = 44_444;
pub(crate) const OTHER_SELLER: i64 = 55_555;
pub(crate) const TOKEN: &str = "APP_USR-test-token";
pub(crate) const SECRET: &str = "mp_whsec_test_0123456789abcdef0123456789abcdef";
pub(crate) const FBC: &str = "fb.1.1790000000000.IwAR0click";
pub(crate) const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64)";

pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) mercado_pago: MercadoPago,
    pub(crate) payments: Payments,
    pub(crate) config: Config,
    pub(crate) account: PaymentAccount,
}

impl Shop {
    pub(crate) async fn start() -> Self {
        Shop::with(|_| {}).await
    }

    /// With an account that `configure` changes.
    pub(crate) async fn with(configure: impl FnOnce(&mut PaymentAccount)) -> Self {
        let settings = DatasetSettings {
            name: "test".into(),
            defaults: DatasetDefaults {
                country: CountryCode::parse("br"),
                currency: Currency::parse("BRL"),
            },
            purchase_source: PurchaseSource::Verified,
            ..DatasetSettings::default()
        };
        let world = World::with(settings, |_| {}).await;
        let seller = |user_id, access_token: &str| Seller {
            user_id,
            access_token: access_token.into(),
            webhook_secret: SECRET.into(),
            webhook_url: Some(format!("{}/{SELLER}", webhooks(&world))),
            live_mode: true,
        };
        let sellers = vec![seller(SELLER, TOKEN), seller(OTHER_SELLER, "APP_USR-other")];
        let mercado_pago = MercadoPago::start(world.sandbox.clock().clone(), sellers)
            .await
            .unwrap();
        let mut account = PaymentAccount {
            dataset_id: DATASET_ID.parse().unwrap(),
            account_id: SELLER,
            label: "test".into(),
            access_token: TOKEN.into(),
            webhook_secrets: vec!["the-next-secret".into(), SECRET.into()],
            unsigned: Unsigned::Ignore,
            signature_max_age_seconds: None,
            live_mode: true,
            currency: Currency::parse("BRL").unwrap(),
            conversion_value: ConversionValue::Gross,
            was_blocked: false,
        };
        configure(&mut account);
        world.store.put_payment_account(&account).await.unwrap();
        let url = mercado_pago.url();
        let config: Config = rastro_boot::testing::config(&[
            ("RASTRO__MERCADO_PAGO__URL", url.as_str()),
            ("RASTRO__MERCADO_PAGO__RETRY_MILLISECONDS", "1"),
            ("RASTRO__MERCADO_PAGO__REQUESTS_PER_SECOND", "10000"),
        ])
        .unwrap();
        let (_, metrics) = Metrics::new("attribution", "test", AttributionMetrics::register);
        let payments = Payments::new(
            world.store.clone(),
            Client::new(&config.mercado_pago).unwrap(),
            metrics,
        );
        Shop {
            world,
            mercado_pago,
            payments,
            config,
            account,
        }
    }

    /// Sends the webhooks that are due, and follows them.
    pub(crate) async fn deliver(&self) {
        self.mercado_pago.deliver_due(false).await.unwrap();
        self.follow().await;
    }

    /// Follows notifications until none is due.
    pub(crate) async fn follow(&self) {
        while self.payments.round(&self.config.payments).await.unwrap() > 0 {}
    }

    pub(crate) async fn post(&self, path: &str, key: Key, body: &Value) -> Answer {
        let url = self
            .world
            .conversions_url()
            .replace("/api/meta/conversions", path);
        let request = self
            .world
            .client
            .post(url)
            .bearer_auth(key.as_str())
            .header("user-agent", USER_AGENT)
            .json(body);
        World::answer(request).await
    }

    /// Somebody clicked an ad and left a form: the lead's number.
    pub(crate) async fn lead(&self, id: &str, email: &str) -> i64 {
        self.lead_of(id, email, FBC, "fb.1.1596403881668.1116446470")
            .await
    }

    /// The same in a browser of its own.
    pub(crate) async fn lead_of(&self, id: &str, email: &str, fbc: &str, fbp: &str) -> i64 {
        let body = json!({
            "lead": { "name": "Ana", "email": email },
            "event": {
                "event_name": "Lead", "event_id": id, "event_time": self.world.now(), "action_source": "website",
                "event_source_url": "https://www.clinica.example/?utm_source=meta",
                "user_data": { "fbc": fbc, "fbp": fbp }
            }
        });
        let answer = self.post("/api/leads/capture", Key::Publishable, &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json["lead_id"].as_i64().unwrap()
    }

    /// The books of a payment: key, amount and fee, in the order they were booked.
    pub(crate) async fn book(&self, id: &str) -> Vec<String> {
        let sql = format!(
            "SELECT movement_key, amount_minor, fee_minor FROM purchase_movements WHERE payment_id = '{id}' ORDER BY movement_id"
        );
        let rows = self.world.database.query(&sql).await;
        let line = |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>().join(" ");
        // The ids of refunds are the sandbox's.
        rows.into_iter()
            .map(line)
            .map(|line| match line.split_once(' ') {
                Some((key, rest)) if key.starts_with("refund:") => format!("refund {rest}"),
                _ => line,
            })
            .collect()
    }

    /// One value of a payment's row, or of any query.
    pub(crate) async fn of(&self, id: &str, column: &str) -> String {
        self.value(&format!(
            "SELECT {column}::text FROM payments WHERE payment_id = '{id}'"
        ))
        .await
    }

    pub(crate) async fn value(&self, sql: &str) -> String {
        self.world.database.value(sql).await
    }

    /// A transaction that holds what this statement locks, until it ends.
    pub(crate) async fn hold(&self, lock: &str) -> tokio_postgres::Client {
        let url = self.world.database.url();
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("BEGIN; {lock}")).await.unwrap();
        client
    }

    /// From now on every transaction that does so with such a row fails, and only when it commits: as if the
    /// process died there. `row`: a condition, or nothing.
    pub(crate) async fn fail_commits(&self, doing: &str, table: &str, row: &str) {
        fail_commits(&self.world.database, doing, table, row).await;
    }

    pub(crate) async fn commits_again(&self, table: &str) {
        commits_again(&self.world.database, table).await;
    }

    /// How many transactions wait for what another one holds.
    pub(crate) async fn waiting(&self) -> String {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.value(waiting).await
    }

    /// How the notifications ended: `state/outcome count`, sorted.
    pub(crate) async fn ends(&self) -> Vec<String> {
        let rows = self
            .world
            .database
            .query(
                "SELECT state || '/' || coalesce(outcome, '') || ' ' || count(*) FROM payment_notifications
                 GROUP BY state, outcome ORDER BY 1",
            )
            .await;
        rows.into_iter().flatten().flatten().collect()
    }

    /// The Purchases that Meta has.
    pub(crate) async fn purchases_at_meta(&mut self) -> Vec<Value> {
        self.world.start_forwarder();
        self.world.settle().await;
        let events = self.world.sandbox.events(&EventFilter::default());
        assert!(
            events.iter().all(|event| !event.repeated),
            "nothing is sent twice"
        );
        let mut purchases: Vec<Value> = events
            .iter()
            .filter(|event| event.event_name == "Purchase")
            .map(|event| event.json())
            .collect();
        purchases.reverse();
        purchases
    }

    pub(crate) async fn advance(&self, by: Duration) {
        self.world.advance(by).await;
    }
}

pub(crate) async fn fail_commits(database: &TestDatabase, doing: &str, table: &str, row: &str) {
    let when = match row {
        "" => String::new(),
        row => format!("WHEN ({row})"),
    };
    database
        .execute(&format!(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN RAISE 'the commit fails'; END $$;
             CREATE CONSTRAINT TRIGGER fail AFTER {doing} ON {table} DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW {when} EXECUTE FUNCTION fail()"
        ))
        .await;
}

pub(crate) async fn commits_again(database: &TestDatabase, table: &str) {
    database.execute(&format!("DROP TRIGGER fail ON {table}")).await;
}

/// Where an account's webhooks go, without its number.
pub(crate) fn webhooks(world: &World) -> String {
    world
        .conversions_url()
        .replace("/api/meta/conversions", "/api/webhooks/mercado-pago")
}

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
