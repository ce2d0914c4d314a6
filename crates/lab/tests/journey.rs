//! One person's way through everything: an ad, the landing page in a real browser, a Pix, its webhook, the
//! Purchase at Meta with the value that was paid and the click that led there, and what the campaign brought
//! for each real.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_core::dataset::{Currency, DatasetDefaults};
use rastro_core::match_keys::CountryCode;
use rastro_core::payment::ConversionValue;
use rastro_core::purchase::PurchaseSource;
use rastro_lab::demo::landing;
use rastro_sandbox::mercado_pago::{Charge, MercadoPago, Method, Seller, WebhookFault};
use rastro_sandbox::{AdAccount, EventFilter};
use rastro_store::{DatasetSettings, PaymentAccount, Unsigned};
use rastro_test_support::process::{Process, free_address};
use rastro_test_support::{DATASET_ID, Key, World, eventually};
use serde_json::{Value, json};

const SELLER: i64 = 44_444;
const TOKEN: &str = "APP_USR-test-token";
const SECRET: &str = "mp_whsec_test_0123456789abcdef0123456789abcdef";
const CLICK: &str = "IwAR0journey-1";
const AD_ACCOUNT: &str = "1016734500123456";
const ADS_TOKEN: &str = "EAAads0token";
const VISIT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../ingest-gateway/web/tests/support/visit-landing.mjs"
);

#[expect(
    clippy::disallowed_methods,
    reason = "`make test` says here which interpreter runs the script"
)]
fn node() -> String {
    std::env::var("RASTRO_TEST_NODE").expect("RASTRO_TEST_NODE must be set: run through `make test`")
}

/// Whether there was a browser to visit the page with.
async fn visit(page: &str) -> bool {
    let mut visiting = std::process::Command::new(node());
    visiting.args([VISIT, page]).env("no_proxy", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || visiting.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    found == json!({"lead": true})
}

fn account() -> PaymentAccount {
    PaymentAccount {
        dataset_id: DATASET_ID.parse().unwrap(),
        account_id: SELLER,
        label: "test".into(),
        access_token: TOKEN.into(),
        webhook_secrets: vec![SECRET.into()],
        unsigned: Unsigned::Ignore,
        signature_max_age_seconds: None,
        live_mode: true,
        currency: Currency::parse("BRL").unwrap(),
        conversion_value: ConversionValue::Gross,
        was_blocked: false,
    }
}

/// The service as a program.
fn attribution(world: &World, mercado_pago: &MercadoPago) -> Process {
    Process::attribution(
        &world.database,
        &mercado_pago.url(),
        &world.sandbox.url(),
        &[
            ("RASTRO__PAYMENTS__IDLE_POLL_MILLISECONDS", "50"),
            ("RASTRO__CREDITING__INTERVAL_SECONDS", "1"),
            ("RASTRO__META_SPEND__ACCOUNT_ID", AD_ACCOUNT),
            ("RASTRO__META_SPEND__DATASET_ID", DATASET_ID),
            ("RASTRO__META_SPEND__ACCESS_TOKEN", ADS_TOKEN),
            ("RASTRO__META_SPEND__POLL_MILLISECONDS", "20"),
            ("RASTRO__META_SPEND__FIRST_DAYS", "7"),
        ],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ad_a_form_a_pix_and_meta_has_one_purchase_and_the_campaign_its_return() {
    let page = free_address(0).unwrap();
    let settings = DatasetSettings {
        name: "test".into(),
        defaults: DatasetDefaults {
            country: CountryCode::parse("br"),
            currency: Currency::parse("BRL"),
        },
        purchase_source: PurchaseSource::Verified,
        allowed_origins: vec![format!("http://{page}")],
        ..DatasetSettings::default()
    };
    let mut world = World::with(settings, |_| {}).await;
    world.start_forwarder();
    let gateway = world.conversions_url().replace("/api/meta/conversions", "");
    let endpoint = gateway.clone();
    // It ends with the test's process.
    std::thread::spawn(move || landing::serve(&page.to_string(), &endpoint, Key::Publishable.as_str()));
    let seller = Seller {
        user_id: SELLER,
        access_token: TOKEN.into(),
        webhook_secret: SECRET.into(),
        webhook_url: Some(format!("{gateway}/api/webhooks/mercado-pago/{SELLER}")),
        live_mode: true,
    };
    let clock = world.sandbox.clock().clone();
    let mercado_pago = MercadoPago::start(clock, vec![seller]).await.unwrap();
    world.store.put_payment_account(&account()).await.unwrap();

    // The campaign cost 50 reais today, by the advertiser's calendar.
    let (_, today) = world.store.reporting_now("America/Sao_Paulo").await.unwrap();
    let day = json!({
        "campaign_id": "120210000000000101", "campaign_name": "sorriso_novo", "date_start": today.to_string(),
        "spend": "50.00", "impressions": "4000", "clicks": "60",
    });
    let ads = AdAccount {
        access_token: ADS_TOKEN.into(),
        currency: "BRL".into(),
        time_zone: "America/Sao_Paulo".into(),
        rows: vec![day.as_object().unwrap().clone()],
    };
    world.sandbox.marketing().put_account(AD_ACCOUNT, ads);
    let service = attribution(&world, &mercado_pago);

    let click = format!("utm_source=ig&utm_medium=paid_social&utm_campaign=sorriso_novo&fbclid={CLICK}");
    if !visit(&format!("http://{page}/?{click}")).await {
        return;
    }
    let lead = world.database.value("SELECT lead_id FROM leads").await;

    // The webhook comes twice.
    mercado_pago.fail_webhooks(WebhookFault::Doubled, 2);
    let charge = Charge::new(Method::Pix, 12_990)
        .reference("1042")
        .metadata(json!({ "lead_id": lead }));
    let pix = mercado_pago.create(SELLER, &charge);
    mercado_pago.pay(&pix);
    let delivered = mercado_pago.deliver_due(false).await.unwrap();
    assert_eq!(delivered.len(), 4, "{delivered:?}");
    assert!(
        delivered.iter().all(|webhook| webhook.status == 200),
        "{delivered:?}"
    );

    let purchases = async || -> Vec<(bool, Value)> {
        let events = world.sandbox.events(&EventFilter::default());
        let purchases = events.iter().filter(|event| event.event_name == "Purchase");
        purchases.map(|event| (event.repeated, event.json())).collect()
    };
    let sql = "SELECT string_agg(movement_key || ' ' || amount_minor, ',') FROM purchase_movements";
    eventually("the Pix is booked", || async {
        (world
            .database
            .value(&format!("SELECT coalesce(({sql}), '')"))
            .await
            == "approval 12990")
            .then_some(())
    })
    .await;
    world.settle().await;
    let at_meta = purchases().await;
    let [(false, purchase)] = &at_meta[..] else {
        panic!("one Purchase, once: {at_meta:?}")
    };
    assert_eq!(purchase["event_id"], json!("1042"));
    assert_eq!(purchase["custom_data"]["value"], json!(129.9));
    assert_eq!(purchase["custom_data"]["currency"], json!("BRL"));
    // 0: the page has an address and no domain.
    let fbc = purchase["user_data"]["fbc"].as_str().unwrap();
    assert!(
        fbc.starts_with("fb.0.") && fbc.ends_with(&format!(".{CLICK}")),
        "{fbc}"
    );
    // printf ana@example.com | sha256sum
    assert_eq!(
        purchase["user_data"]["em"],
        json!("8e43ca37701228e74983efdbd0cff5c16b3b1e5d4e29a7c05626d4d25a018e11")
    );

    // 129.90 for 50.00.
    let credited =
        "SELECT concat_ws(' ', campaign_name, sum(spend_micros), sum(net_minor), sum(orders_millionths))
        FROM campaign_daily WHERE model = 'linear' AND channel = 'meta' GROUP BY campaign_name";
    eventually("the campaign is credited", || async {
        let rows = world.database.query(credited).await;
        let rows: Vec<String> = rows.into_iter().flatten().flatten().collect();
        (rows == ["sorriso_novo 50000000 12990 1000000"]).then_some(())
    })
    .await;
    let roas = "SELECT round((sum(net_revenue) / sum(spend))::numeric, 3) FROM bi.roas_by_channel_day
        WHERE model = 'linear' AND channel = 'meta'";
    assert_eq!(world.database.value(roas).await, "2.598");
    drop(service);
}
