//! The dashboard over a real streaming replica: pages are read there, what writes goes to the primary, and a
//! replica that is late or away is said to be.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use monitor::config::Config;
use monitor::dashboard::Dashboard;
use monitor::dashboard::routes::ROUTES;
use rastro_service::clock::Clock;
use rastro_service::config::ExposeSecret as _;
use rastro_service::shutdown::Shutdown;
use rastro_store::{Dataset, DatasetSettings, KeyOrder, KeyRole, Store};
use rastro_test_support::TestDatabase;
use rastro_test_support::cluster::Cluster;
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use reqwest::redirect::Policy;
use tokio::task::spawn_blocking;

const DATASET: i64 = 111_111_111_111_111;
const FROM_REPLICA: &str = "read from a replica";

struct Page<'p> {
    client: &'p Client,
    url: &'p str,
    cookie: &'p str,
}

impl Page<'_> {
    async fn get(&self, path: &str) -> String {
        let request = self.client.get(format!("{}{path}", self.url));
        let answer = request
            .header(HOST, "painel.exemplo.com.br")
            .header(COOKIE, self.cookie)
            .send();
        answer.await.unwrap().text().await.unwrap()
    }

    /// Waits for a page that says this.
    async fn says(&self, path: &str, text: &str) -> String {
        let began = Instant::now();
        loop {
            let page = self.get(path).await;
            if page.contains(text) {
                return page;
            }
            assert!(
                began.elapsed() < Duration::from_secs(40),
                "never {text:?}: {page}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn post(&self, path: &str, body: String) -> u16 {
        let request = self.client.post(format!("{}{path}", self.url)).body(body);
        let request = request
            .header(HOST, "painel.exemplo.com.br")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header(COOKIE, self.cookie);
        request.send().await.unwrap().status().as_u16()
    }
}

fn dataset(name: &str) -> Dataset {
    Dataset {
        id: DATASET.try_into().unwrap(),
        settings: DatasetSettings {
            name: name.into(),
            ..Default::default()
        },
        access_token: "EAAtest0token".to_owned().into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_read_from_the_replica_and_orders_go_to_the_primary() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("replica");
    let (first, second) = (folder.join("primary"), folder.join("replica"));
    let primary = spawn_blocking(move || Cluster::fresh(&first, "--durable"))
        .await
        .unwrap()
        .unwrap();
    let database = TestDatabase::create_on(primary.url()).await;
    let (_primary, replica) = spawn_blocking(move || {
        let replica = Cluster::following(&second, &primary).unwrap();
        (primary, replica)
    })
    .await
    .unwrap();
    let replica_url = replica.url().rsplit_once('/').unwrap().0.to_owned() + "/" + database.name();
    let on_replica = async |sql: &str| {
        let (client, connection) = tokio_postgres::connect(&replica_url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    };

    let store = Store::new(&database.config(), "test").unwrap();
    store.create_partitions_ahead(2).await.unwrap();
    store.put_dataset(&dataset("Loja Aurora")).await.unwrap();
    let order = KeyOrder {
        role: KeyRole::Admin,
        dataset_id: None,
        label: "test".into(),
        event_names: None,
    };
    let (_, key) = store.issue_api_key(&order, "test").await.unwrap().unwrap();

    let mut config: Config = rastro_boot::testing::config(&[]).unwrap();
    config.common.database = database.config();
    config.common.database.connect_timeout_seconds = 2;
    config.dashboard.replica_url = replica_url.as_str().into();
    config.dashboard.listen = ([127, 0, 0, 1], 0).into();
    let listening = Dashboard::new(&config, Clock::system())
        .unwrap()
        .listen(Shutdown::new())
        .unwrap();
    let url = format!("http://{}", listening.address());
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let body = format!("key={}&name=Ana", key.expose_secret());
    let door = Page {
        client: &client,
        url: &url,
        cookie: "",
    };
    let answer = door
        .client
        .post(format!("{url}/entrar"))
        .body(body)
        .header(HOST, "painel.exemplo.com.br");
    let answer = answer
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 303, "the session is written to the primary");
    let cookie = answer.headers()[SET_COOKIE]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let page = Page {
        client: &client,
        url: &url,
        cookie: &cookie,
    };
    let text = page.says("/conjuntos?lang=en", FROM_REPLICA).await;
    assert!(text.contains("Loja Aurora"), "{text}");

    // None of the pages writes: on a replica it would fail.
    for route in ROUTES.iter().filter(|route| {
        route.method == "GET"
            && !["/entrar", "/runbook"].contains(&route.path)
            && !route.path.ends_with(".csv")
    }) {
        let path = route.path.replace("{}", &DATASET.to_string());
        let text = page.get(&format!("{path}?lang=en")).await;
        let is_nowhere = text.contains("There is nothing") || route.path == "/alertas/{}";
        assert!(text.contains(FROM_REPLICA) || is_nowhere, "{path}: {text}");
    }

    // What the replica has not heard of is not on the page, so the page is the replica's.
    on_replica("SELECT pg_wal_replay_pause()").await;
    store.put_dataset(&dataset("Loja Boreal")).await.unwrap();
    let text = page.get("/conjuntos?lang=en").await;
    assert!(
        text.contains("Loja Aurora") && !text.contains("Loja Boreal"),
        "{text}"
    );
    // Whoever orders something sees what came of it, on the primary.
    let token = text
        .split("name=\"token\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let body = format!("token={token}&minutes=60&reason=teste");
    assert!(page.post("/silencios", body).await < 500);
    let text = page.get("/conjuntos?lang=en").await;
    assert!(
        text.contains("Loja Boreal") && !text.contains(FROM_REPLICA),
        "{text}"
    );
    on_replica("SELECT pg_wal_replay_resume()").await;
    let text = page.says("/conjuntos?lang=en", FROM_REPLICA).await;
    assert!(text.contains("Loja Boreal"), "{text}");

    // A replica that goes away takes no page with it.
    let _replica = spawn_blocking(move || replica.stop().map(|()| replica))
        .await
        .unwrap()
        .unwrap();
    let text = page
        .says(
            "/conjuntos?lang=en",
            "The replica does not answer: pages are read from the primary",
        )
        .await;
    assert!(text.contains("Loja Boreal"), "{text}");
    listening.stop().await.unwrap();
    // Before the cluster that it is on.
    drop((store, database));
}
