//! Figures, printed: `cargo test --release -p attribution --test figures -- --ignored --nocapture`. They are
//! no tests, since a busy machine would fail them. PAYMENTS=100000 and TOUCHES=1000000 are the sizes that are
//! promised; the defaults are a tenth.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use rastro_core::dataset::Currency;
use rastro_core::payment::ConversionValue;
use rastro_sandbox::mercado_pago::{Charge, MercadoPago, Method, Seller};
use rastro_store::{PaymentAccount, Unsigned};
use rastro_test_support::http::{self, Connection};
use rastro_test_support::process::Process;
use rastro_test_support::{DATASET_ID, Key, World};
use sha2::Sha256;

const SELLER: i64 = 44_444;
const TOKEN: &str = "APP_USR-test-token";
const SECRET: &str = "mp_whsec_test_0123456789abcdef0123456789abcdef";

#[expect(clippy::disallowed_methods, reason = "how large a figure's data is")]
fn size(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn account() -> PaymentAccount {
    PaymentAccount {
        dataset_id: DATASET_ID.parse().unwrap(),
        account_id: SELLER,
        label: "figures".into(),
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

/// Runs a command of the program to its end: seconds, and its peak memory in megabytes.
async fn measured(world: &World, mercado_pago: &str, arguments: &[&str]) -> (f64, f64) {
    let began = Instant::now();
    let process = Process::attribution_command(
        &world.database,
        mercado_pago,
        arguments,
        &[
            ("RASTRO__MERCADO_PAGO__REQUESTS_PER_SECOND", "100000"),
            ("RASTRO__MERCADO_PAGO__REQUEST_TIMEOUT_SECONDS", "60"),
            ("RASTRO__DATABASE__STATEMENT_TIMEOUT_SECONDS", "600"),
            ("RASTRO__PAYMENTS__LEASE_SECONDS", "900"),
        ],
    );
    let status = format!("/proc/{}/status", process.pid());
    let mut peak = 0.0_f64;
    // The kernel's own high-water mark, looked at until the process is gone.
    while let Ok(text) = std::fs::read_to_string(&status) {
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let Some(line) = line else { break };
        peak = peak.max(line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_024.0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let (status, log) = process.ended().await.unwrap();
    assert!(status.success(), "{}", log.join("\n"));
    (seconds, peak)
}

/// Requests answered with this status each second, over sixteen connections for five seconds.
async fn per_second(
    address: &str,
    status: u16,
    request: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
) -> f64 {
    let (request, numbers) = (Arc::new(request), Arc::new(AtomicU64::new(0)));
    let (began, length) = (Instant::now(), Duration::from_secs(5));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (request, numbers, address) = (request.clone(), numbers.clone(), address.parse().unwrap());
        clients.spawn(async move {
            let mut connection = Connection::open(address).await.unwrap();
            while began.elapsed() < length {
                let bytes = request(numbers.fetch_add(1, Ordering::Relaxed));
                let answer = connection.exchange(&bytes).await.unwrap();
                assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(answer.body));
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    numbers.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a figure: it proves nothing on a busy machine"]
async fn webhooks_accepted() {
    let world = World::start().await;
    world.store.put_payment_account(&account()).await.unwrap();
    let gateway = Process::gateway(&world.database, &[]);
    let address = gateway.address_after("\"listening on ").await;
    let bearer = format!("Bearer {}", Key::Secret.as_str());
    let now = world.now();
    let event = move |number: u64| {
        let body = format!(
            r#"{{"event_name":"Lead","event_id":"figure-{number}","event_time":{now},"action_source":"website",
            "event_source_url":"https://www.clinica.example/","user_data":{{"em":"ana@example.com",
            "client_user_agent":"Mozilla/5.0"}}}}"#
        );
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        http::request("POST", "/api/meta/conversions", &headers, &body)
    };
    // The body takes no part in the signature.
    let mut hmac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    hmac.update(b"id:123456789012;request-id:figures;ts:1742505638;");
    let sum: String = hmac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let signature = format!("ts=1742505638,v1={sum}");
    let webhook = move |number: u64| {
        let path = format!("/api/webhooks/mercado-pago/{SELLER}?data.id=123456789012&type=payment");
        let body = format!(
            r#"{{"id":{},"type":"payment","action":"payment.updated","data":{{"id":"123456789012"}}}}"#,
            900_000_000_000 + number
        );
        let headers = [
            ("Content-Type", "application/json"),
            ("x-request-id", "figures"),
            ("x-signature", signature.as_str()),
        ];
        http::request("POST", &path, &headers, &body)
    };
    let events = per_second(&address, 202, event).await;
    let webhooks = per_second(&address, 200, webhook).await;
    let kept = world
        .database
        .value("SELECT count(*) FROM payment_notifications")
        .await;
    eprintln!(
        "plain events {events:.0}/s, webhooks {webhooks:.0}/s ({kept} kept): ratio {:.2}",
        webhooks / events
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a figure: it takes minutes, and proves nothing on a busy machine"]
async fn payments_reconciled() {
    let most = size("PAYMENTS", 10_000);
    for payments in [most / 2, most] {
        let world = World::start().await;
        let seller = Seller {
            user_id: SELLER,
            access_token: TOKEN.into(),
            webhook_secret: SECRET.into(),
            webhook_url: None,
            live_mode: true,
        };
        let mercado_pago = MercadoPago::start(world.sandbox.clock().clone(), vec![seller])
            .await
            .unwrap();
        world.store.put_payment_account(&account()).await.unwrap();
        // Spread over thirty days.
        let clock = world.sandbox.clock();
        let span = 30 * 86_400;
        for number in 0..payments {
            if number % 100 == 0 {
                clock.set_offset_seconds((number as i64 * span) / payments as i64 - span);
            }
            let charge =
                Charge::new(Method::Card, 1_000 + number as i64).reference(&format!("order-{number}"));
            mercado_pago.create(SELLER, &charge);
        }
        clock.set_offset_seconds(0);
        let url = mercado_pago.url();
        let (first, first_peak) = measured(&world, &url, &["reconcile"]).await;
        let (second, second_peak) = measured(&world, &url, &["reconcile"]).await;
        eprintln!(
            "{payments} payments: read and booked in {first:.1} s, peak {first_peak:.0} MB; \
             compared again, all alike, in {second:.1} s, peak {second_peak:.0} MB"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a figure: it takes minutes, and proves nothing on a busy machine"]
async fn credits_recomputed() {
    let most = size("TOUCHES", 100_000);
    for touches in [most / 2, most] {
        let world = World::start().await;
        let (leads, orders) = (touches / 5, touches / 5);
        // Each lead has five touches of the month before, and one order.
        let fill = format!(
            "INSERT INTO leads (dataset_id, lead_id, contact, email_hmac, visitor_hmac, ads_refused, event_day, event_id,
                request_id, created_at, updated_at)
             SELECT {DATASET_ID}, n, 'x', sha256(('e' || n)::bytea), sha256(('v' || n)::bytea), false, current_date,
                'lead-' || n, gen_random_uuid(), at, at
             FROM generate_series(1, {leads}) AS n, LATERAL (SELECT now() - (n % 300) * interval '1 day' AS at) AS times;
             INSERT INTO touchpoints (dataset_id, visitor_hmac, touched_at, channel, utm_source, utm_medium, utm_campaign,
                fbclid, created_at)
             SELECT {DATASET_ID}, sha256(('v' || n)::bytea), at, 'paid_social', 'ig', 'paid_social', 'campaign_' || (n + t) % 40,
                'IwAR0' || n, at
             FROM generate_series(1, {leads}) AS n, generate_series(1, 5) AS t,
                LATERAL (SELECT now() - (n % 300) * interval '1 day' - t * interval '31 hours' AS at) AS times;
             INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, lead_id, match_method,
                ads_refused, request_id, created_at, updated_at)
             SELECT {DATASET_ID}, 'order-' || n, 'approved', 1000 + n % 9000, 'BRL', '{{}}', n, 'lead_id', false,
                gen_random_uuid(), at, at
             FROM generate_series(1, {orders}) AS n,
                LATERAL (SELECT now() - (n % 300) * interval '1 day' + interval '1 hour' AS at) AS times;
             ANALYZE leads; ANALYZE touchpoints; ANALYZE purchases;"
        );
        world.database.execute(&fill).await;
        let nowhere = "http://127.0.0.1:9";
        let (seconds, peak) = measured(&world, nowhere, &["recompute", "--days", "400"]).await;
        let credits = "SELECT count(*) FROM attribution_credits";
        let credits = world.database.value(credits).await;
        eprintln!(
            "{touches} touches, {orders} orders: {credits} credits in {seconds:.1} s, peak {peak:.0} MB"
        );
    }
}
