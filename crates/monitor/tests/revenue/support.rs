//! A dashboard over a database of its own, with two datasets, and people who signed in.

use monitor::config::Config;
use monitor::dashboard::Dashboard;
use monitor::dashboard::server::Listening;
use rastro_service::clock::Clock;
use rastro_service::config::ExposeSecret as _;
use rastro_service::shutdown::Shutdown;
use rastro_store::{Dataset, DatasetSettings, KeyOrder, KeyRole, Store};
use rastro_test_support::TestDatabase;
use reqwest::header::{COOKIE, HOST, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

pub(crate) const OWN: i64 = 111_111_111_111_111;
pub(crate) const OTHER: i64 = 222_222_222_222_222;
/// As a proxy with HTTPS passes it on.
const NAME: &str = "painel.exemplo.com.br";

pub(crate) struct Panel {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    url: String,
    client: Client,
    _listening: Listening,
}

/// The cookie of a session.
pub(crate) struct Person(String);

impl Panel {
    /// With what `sql` makes in its database.
    pub(crate) async fn start(sql: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = TestDatabase::create().await;
        let store = Store::new(&database.config(), "test").unwrap();
        for (id, name) in [(OWN, "Loja Aurora"), (OTHER, "Segredo de Outro")] {
            let settings = DatasetSettings {
                name: name.into(),
                ..Default::default()
            };
            let dataset = Dataset {
                id: id.try_into().unwrap(),
                settings,
                access_token: "EAAx".to_owned().into(),
            };
            store.put_dataset(&dataset).await.unwrap();
        }
        if !sql.is_empty() {
            database.execute(sql).await;
        }
        let mut config: Config = rastro_boot::testing::config(&[]).unwrap();
        config.common.database = database.config();
        config.dashboard.listen = ([127, 0, 0, 1], 0).into();
        let listening = Dashboard::new(&config, Clock::system())
            .unwrap()
            .listen(Shutdown::new())
            .unwrap();
        Panel {
            url: format!("http://{}", listening.address()),
            client: Client::builder().redirect(Policy::none()).build().unwrap(),
            database,
            store,
            _listening: listening,
        }
    }

    /// Of all datasets, or of one.
    pub(crate) async fn viewer(&self, dataset: Option<i64>) -> Person {
        let order = KeyOrder {
            role: KeyRole::Viewer,
            dataset_id: dataset.map(|id| id.try_into().unwrap()),
            label: "test".into(),
            event_names: None,
        };
        let (_, key) = self.store.issue_api_key(&order, "test").await.unwrap().unwrap();
        let answer = self
            .client
            .post(format!("{}/entrar", self.url))
            .header(HOST, NAME)
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("key={}&name=Ana", key.expose_secret()))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 303);
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        Person(cookie.split(';').next().unwrap().to_owned())
    }

    pub(crate) async fn get(&self, path: &str, person: &Person) -> Response {
        let request = self.client.get(format!("{}{path}", self.url));
        let request = request.header(HOST, NAME).header(COOKIE, &person.0);
        request.send().await.unwrap()
    }

    /// What a page says, with plain spaces.
    pub(crate) async fn page(&self, path: &str, person: &Person) -> String {
        let answer = self.get(path, person).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap().replace('\u{a0}', " ")
    }
}
