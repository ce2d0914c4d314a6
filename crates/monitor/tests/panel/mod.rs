//! A dashboard over its own database, with two datasets, and a browser's part of talking to it.
#![allow(dead_code, reason = "each program of tests uses a part of it")]

use monitor::config::Config;
use monitor::dashboard::Dashboard;
use monitor::dashboard::routes::Route;
use monitor::dashboard::server::Listening;
use rastro_service::clock::Clock;
use rastro_service::config::ExposeSecret as _;
use rastro_service::shutdown::Shutdown;
use rastro_store::{Dataset, DatasetSettings, KeyOrder, KeyRole, Store};
use rastro_test_support::TestDatabase;
use reqwest::header::{COOKIE, HOST, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};

pub(crate) const OWN: i64 = 111_111_111_111_111;
/// As a proxy with HTTPS passes it on.
pub(crate) const NAME: &str = "painel.exemplo.com.br";
pub(crate) const OTHER: i64 = 222_222_222_222_222;
pub(crate) const TOKEN: &str = "EAAthe0token0that0nobody0may0see";

/// A dashboard over its own database, with two datasets.
pub(crate) struct Panel {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) listening: Option<Listening>,
}

/// Somebody who signed in.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) cookie: String,
    pub(crate) token: String,
}

impl Panel {
    pub(crate) async fn start() -> Self {
        Panel::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = TestDatabase::create().await;
        let store = Store::new(&database.config(), "test").unwrap();
        store.create_partitions_ahead(2).await.unwrap();
        for (id, name) in [(OWN, "Loja Aurora"), (OTHER, "Segredo de Outro")] {
            let settings = DatasetSettings {
                name: name.into(),
                ..Default::default()
            };
            let dataset = Dataset {
                id: id.try_into().unwrap(),
                settings,
                access_token: TOKEN.to_owned().into(),
            };
            store.put_dataset(&dataset).await.unwrap();
        }
        let mut config: Config = rastro_boot::testing::config(&[]).unwrap();
        config.common.database = database.config();
        config.dashboard.listen = ([127, 0, 0, 1], 0).into();
        change(&mut config);
        let listening = Dashboard::new(&config, Clock::system())
            .unwrap()
            .listen(Shutdown::new())
            .unwrap();
        let url = format!("http://{}", listening.address());
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        Panel {
            database,
            store,
            url,
            client,
            listening: Some(listening),
        }
    }

    pub(crate) async fn key(&self, role: KeyRole, dataset: Option<i64>) -> String {
        let order = KeyOrder {
            role,
            dataset_id: dataset.map(|id| id.try_into().unwrap()),
            label: "test".into(),
            event_names: None,
        };
        let (_, key) = self.store.issue_api_key(&order, "test").await.unwrap().unwrap();
        key.expose_secret().to_owned()
    }

    pub(crate) async fn try_key(&self, key: &str) -> Response {
        let form = [("key", key), ("name", "Ana")];
        self.post("/entrar", None, &form, "same-origin").await
    }

    pub(crate) async fn sign_in(&self, key: &str) -> Person {
        let answer = self.try_key(key).await;
        assert_eq!(answer.status(), 303);
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        for part in ["__Host-rastro=", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let person = Person {
            cookie,
            token: String::new(),
        };
        let page = self.get("/", Some(&person)).await.text().await.unwrap();
        let token = page
            .split("name=\"token\" value=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        Person {
            token: token.to_owned(),
            ..person
        }
    }

    pub(crate) async fn get(&self, path: &str, person: Option<&Person>) -> Response {
        let mut request = self.client.get(format!("{}{path}", self.url)).header(HOST, NAME);
        if let Some(person) = person {
            request = request.header(COOKIE, &person.cookie);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn page(&self, path: &str, person: &Person) -> String {
        let answer = self.get(path, Some(person)).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        person: Option<&Person>,
        form: &[(&str, &str)],
        site: &str,
    ) -> Response {
        let mut body = String::new();
        let token = person.map(|person| ("token", person.token.as_str()));
        for (name, value) in form.iter().copied().chain(token) {
            body += &format!("{name}={value}&");
        }
        let mut request = self
            .client
            .request(Method::POST, format!("{}{path}", self.url))
            .header(HOST, NAME)
            .body(body);
        request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", site);
        if let Some(person) = person {
            request = request.header(COOKIE, &person.cookie);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn request(&self, route: &Route, person: Option<&Person>) -> u16 {
        let path = route.path.replacen("{}", &OWN.to_string(), 1).replace("{}", "1");
        let answer = match route.method {
            "GET" => self.get(&path, person).await,
            _ => self.post(&path, person, &[], "same-origin").await,
        };
        answer.status().as_u16()
    }
}
