//! Somebody who has never seen the dashboard finds the causes of the five failures of `FAILURES=1 make demo`,
//! by its pages alone, with JavaScript off. The ways are those of `proto-docs/guide.md`.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_lab::demo::failures::{Surroundings, prepare};
use rastro_service::config::ExposeSecret as _;
use rastro_store::{KeyOrder, KeyRole};
use rastro_test_support::process::Process;
use rastro_test_support::{DATASET_ID, Key, World, eventually};
use reqwest::Client;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;

/// A browser without JavaScript, and how often its owner clicked or searched.
struct Browser {
    url: String,
    client: Client,
    cookie: String,
    page: String,
    steps: usize,
}

impl Browser {
    /// At the entrance, with a key.
    async fn sign_in(url: String, key: &str) -> Self {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let entering = client
            .post(format!("{url}/entrar"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(format!("key={key}&name=Nova"));
        let answer = entering.send().await.unwrap();
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Browser {
            url,
            client,
            cookie,
            page: String::new(),
            steps: 0,
        }
    }

    async fn open(&mut self, path: &str) {
        let url = format!("{}{path}", self.url);
        let answer = self
            .client
            .get(&url)
            .header(COOKIE, &self.cookie)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        self.page = answer.text().await.unwrap();
    }

    /// Where everybody begins.
    async fn begin(&mut self) {
        self.open("/").await;
        self.steps = 0;
    }

    /// Follows the one link whose text or name holds these words.
    async fn click(&mut self, words: &str) {
        let links = self.page.split("<a ").skip(1);
        let mut found: Vec<String> = links
            .filter_map(|link| {
                let (tag, rest) = link.split_once('>')?;
                let text = text(rest.split("</a>").next()?);
                let name = attribute(tag, "aria-label").unwrap_or_default();
                (text.trim() == words || name.contains(words)).then(|| attribute(tag, "href"))?
            })
            .collect();
        found.dedup();
        assert_eq!(found.len(), 1, "{words}: {found:?}");
        let path = found.remove(0);
        self.open(&path).await;
        self.steps += 1;
    }

    /// Types into the search of this page.
    async fn search(&mut self, words: &str) {
        assert!(self.page.contains("role=\"search\""), "there is a search");
        self.open(&format!("/evento?q={words}")).await;
        self.steps += 1;
    }

    /// The page says all of this, after so many steps.
    #[track_caller]
    fn reads(&self, steps: usize, sentences: &[&str]) {
        let read = text(&self.page);
        for sentence in sentences {
            assert!(read.contains(sentence), "{sentence:?} is not in: {read}");
        }
        assert_eq!(self.steps, steps);
    }
}

/// What people see of HTML.
fn text(html: &str) -> String {
    let seen: String = html
        .split('<')
        .enumerate()
        .map(|(at, part)| {
            if at == 0 {
                part
            } else {
                part.split_once('>').map_or("", |(_, text)| text)
            }
        })
        .collect();
    seen.replace('\u{a0}', " ")
        .replace("&amp;", "&")
        .replace("&quot;", "\"")
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split_once(&format!("{name}=\""))?.1;
    Some(rest.split_once('"')?.0.replace("&amp;", "&"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_finds_the_causes_of_five_failures_in_three_steps_each() {
    let world = World::start().await;
    let gateway = Process::gateway(&world.database, &[]);
    let _forwarder = Process::forwarder(&world.database, &world.sandbox.url(), &[]);
    let listen = [("RASTRO__DASHBOARD__LISTEN", "127.0.0.1:0")];
    let dashboard = Process::monitor(&world.database, &["dashboard"], &listen);
    let sandbox = world.sandbox.url();
    let around = Surroundings {
        gateway: gateway.address_after("\"listening on ").await.parse().unwrap(),
        sandbox: sandbox.trim_start_matches("http://").parse().unwrap(),
        store: &world.store,
        dataset_id: DATASET_ID.parse().unwrap(),
        secret_key: Key::Secret.as_str(),
        now: world.database_now().await.timestamp(),
    };
    let failures = prepare(&around).await.unwrap();
    let order = KeyOrder {
        role: KeyRole::Admin,
        dataset_id: None,
        label: "test".into(),
        event_names: None,
    };
    let (_, key) = world.store.issue_api_key(&order, "test").await.unwrap().unwrap();
    let address = dashboard.address_after("the dashboard listens on ").await;
    let mut browser = Browser::sign_in(format!("http://{address}"), key.expose_secret()).await;
    let delivered = "SELECT count(*) FROM send_attempts WHERE outcome = 'delivered'";
    eventually("the order reached Meta", || async {
        (world.database.value(delivered).await != "0").then_some(())
    })
    .await;

    // 1. Nothing of a dataset reaches Meta.
    let (dataset, event) = &failures.wrong_token;
    browser.begin().await;
    browser.click(&format!("Ver o disjuntor de {dataset}")).await;
    browser.reads(1, &["token ou acesso recusado", "1 evento espera"]);
    browser.click("Um evento").await;
    browser.search(event).await;
    browser.reads(3, &["190"]);

    // 2. An answer of 422: by its request_id, and by its dataset.
    browser.begin().await;
    browser.click("Um evento").await;
    browser.search(&failures.no_email).await;
    browser.reads(
        2,
        &["1 evento recusado na entrada", "/user_data", "um e-mail sem @"],
    );
    browser.begin().await;
    browser.click("Conjuntos").await;
    browser.click("test").await;
    browser.reads(2, &["Recusados na entrada", "/user_data", &failures.no_email]);

    // 3. An order that was sent twice.
    browser.begin().await;
    browser.click("Um evento").await;
    browser.search(&failures.twice).await;
    browser.reads(
        2,
        &[
            "chegou à Meta em",
            "1 cópia barrada",
            "O mesmo evento veio de novo",
        ],
    );

    // 4. A site that is answered 403.
    browser.begin().await;
    browser.click("Conjuntos").await;
    browser.reads(1, &["aposentado"]);
    browser.click(&failures.retired).await;
    browser.reads(2, &["Aposentado desde", "recebe 403"]);

    // 5. A dataset that is late.
    browser.begin().await;
    browser
        .click(&format!("Ver o disjuntor de {}", failures.throttled.0))
        .await;
    browser.reads(
        1,
        &["a Meta pediu espera", "1 evento espera", "A Meta pediu espera"],
    );
}
